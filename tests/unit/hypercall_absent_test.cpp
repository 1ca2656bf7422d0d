// SPDX-License-Identifier: GPL-2.0-or-later
// Every command of the interface versions is there, or is refused by its name; and what machines without
// shared-resource control say.
#include <set>

#include "hypercall/absent_names.hpp"
#include "unit/domctl_fixture.hpp"

namespace domus::hypercall {
namespace {

class Absent : public Domctl {
  protected:
    bool named_by_number_only(const char* family, u32 number) {
        const std::string bare = std::string(family) + " " + std::to_string(number) + " is not implemented";
        for (const std::string& line : log_lines)
            if (line.find(bare) != std::string::npos) return true;
        return false;
    }
    // Calls commands 0 to `last`; those that are answered by a number alone.
    template <class Call>
    std::set<u32> unnamed(const char* family, u32 last, Call&& make_call) {
        std::set<u32> found;
        for (u32 number = 0; number <= last; number++) {
            log_lines.clear();
            machine.now += core::ToldSet::kInterval;  // all may be told again
            make_call(number);
            if (named_by_number_only(family, number)) found.insert(number);
        }
        return found;
    }
};

// What is left are the numbers that public headers list as removed or obsolete, keep to the hypervisor, or
// have never given.
TEST_F(Absent, EveryCommandHasAName) {
    EXPECT_EQ(unnamed("domctl", 86, [&](u32 n) { op = {}, call(n, 99); }),
              (std::set<u32>{0, 6, 7, 8, 23, 30, 31, 32, 41, 49, 51, 52, 53, 58, 70, 76, 80}));
    EXPECT_EQ(unnamed("sysctl", 29,
                      [&](u32 n) {
                          xen_sysctl_t s{};
                          s.cmd = n;
                          s.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
                          put(0, s);
                          run(__HYPERVISOR_sysctl, at(0));
                      }),
              (std::set<u32>{0, 13, 24, 28}));
    EXPECT_EQ(unnamed("memory_op", 28,
                      [&](u32 n) {
                          put(0, std::vector<u8>(128));
                          run(__HYPERVISOR_memory_op, n, at(0));
                      }),
              (std::set<u32>{8}));
    std::set<u32> never_given;
    for (u32 n = 0; n <= 64; n++) {
        static const std::set<u32> given{17, 31, 32, 33, 35, 39, 48, 49, 50, 51, 52,
                                         53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
        if (!given.contains(n)) never_given.insert(n);
    }
    EXPECT_EQ(unnamed("platform_op", 64,
                      [&](u32 n) {
                          xen_platform_op_t p{};
                          p.cmd = n;
                          p.interface_version = XENPF_INTERFACE_VERSION;
                          put(0, p);
                          run(__HYPERVISOR_platform_op, at(0));
                      }),
              never_given);
}

TEST_F(Absent, IsSaidOnceAndByName) {
    xen_sysctl_t s{};
    s.cmd = XEN_SYSCTL_livepatch_op;
    s.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    put(0, s);
    for (int i = 0; i < 3; i++) EXPECT_EQ(run(__HYPERVISOR_sysctl, at(0)), -ENOSYS);
    ASSERT_EQ(log_lines.size(), 1u);
    EXPECT_NE(log_lines[0].find("sysctl livepatch_op (27) is not implemented"), std::string::npos)
        << log_lines[0];
    EXPECT_EQ(absent_name("domctl", XEN_SYSCTL_livepatch_op), nullptr);
}

TEST_F(Absent, CachesAreNeitherWatchedNorDivided) {
    xen_sysctl_t s{};
    const auto sysctl = [&](u32 command) {
        s.cmd = command;
        s.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
        put(0, s);
        const s64 result = run(__HYPERVISOR_sysctl, at(0));
        s = get<xen_sysctl_t>(0);
        return result;
    };
    s.u.psr_cmt_op = {.cmd = XEN_SYSCTL_PSR_CMT_enabled, .flags = 0, .u = {.data = 77}};
    EXPECT_EQ(sysctl(XEN_SYSCTL_psr_cmt_op), 0);
    EXPECT_EQ(s.u.psr_cmt_op.u.data, 0u);
    s.u.psr_cmt_op = {.cmd = XEN_SYSCTL_PSR_CMT_get_total_rmid, .flags = 0, .u = {.data = 0}};
    EXPECT_EQ(sysctl(XEN_SYSCTL_psr_cmt_op), -ENODEV);
    s.u.psr_cmt_op.cmd = 99;
    EXPECT_EQ(sysctl(XEN_SYSCTL_psr_cmt_op), -ENOSYS);
    s.u.psr_alloc.cmd = XEN_SYSCTL_PSR_get_l3_info;
    EXPECT_EQ(sysctl(XEN_SYSCTL_psr_alloc), -ENODEV);
    s.u.psr_alloc.cmd = 99;
    EXPECT_EQ(sysctl(XEN_SYSCTL_psr_alloc), -EOPNOTSUPP);

    const u16 id = create(5);
    op.u.psr_cmt_op = {.cmd = XEN_DOMCTL_PSR_CMT_OP_ATTACH, .data = 0};
    EXPECT_EQ(call(XEN_DOMCTL_psr_cmt_op, id), -ENODEV);
    EXPECT_EQ(call(XEN_DOMCTL_psr_cmt_op, 99), -ESRCH);
    op.u.psr_alloc = {.cmd = XEN_DOMCTL_PSR_GET_L3_CBM, .target = 0, .data = 0};
    EXPECT_EQ(call(XEN_DOMCTL_psr_alloc, id), -ENODEV);
    op.u.psr_alloc.cmd = 99;
    EXPECT_EQ(call(XEN_DOMCTL_psr_alloc, id), -EOPNOTSUPP);
    destroy_by_call(id);
}

}  // namespace
}  // namespace domus::hypercall

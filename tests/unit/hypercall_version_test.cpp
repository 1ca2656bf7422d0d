// SPDX-License-Identifier: GPL-2.0-or-later
// xen_version.
#include "hypercall/version.hpp"

#include <gtest/gtest.h>

#include "abi/xen.hpp"
#include "unit/hypercall_fixture.hpp"

namespace domus::hypercall {
namespace {

constexpr u32 kDom0Features = 0x228f0;  // /sys/hypervisor/properties/features of a dom0 on the reference

class Version : public HypercallTest {
  protected:
    s64 ask(u32 command, u64 arg = 0) { return run(__HYPERVISOR_xen_version, command, arg); }
};

TEST_F(Version, NumbersAndTexts) {
    EXPECT_EQ(ask(XENVER_version), 0x40011);
    EXPECT_EQ(ask(XENVER_extraversion, at(0)), 0);
    EXPECT_STREQ(reinterpret_cast<char*>(machine.guest.data()), ".7-domus");
    EXPECT_EQ(ask(XENVER_capabilities, at(0)), 0);
    EXPECT_STREQ(reinterpret_cast<char*>(machine.guest.data()), "xen-3.0-x86_64 xen-3.0-x86_32p ");
    EXPECT_EQ(ask(XENVER_platform_parameters, at(0)), 0);
    EXPECT_EQ(get<u64>(0), 0xffff800000000000u);
    EXPECT_EQ(ask(XENVER_pagesize), 4096);
    EXPECT_EQ(ask(XENVER_pagesize, at(0)), -EINVAL);
    EXPECT_EQ(ask(XENVER_compile_info, at(0)), 0);
    EXPECT_NE(get<xen_compile_info_t>(0).compiler[0], 0);
}

TEST_F(Version, CommandLineIsCutAndTerminated) {
    const std::string line(2000, 'x');
    set_command_line(line);
    EXPECT_EQ(ask(XENVER_commandline, at(0)), 0);
    EXPECT_EQ(get<char>(1022), 'x');
    EXPECT_EQ(get<char>(1023), 0);
    // What the administrator has written there is for the control domain.
    domain.privileged = false;
    EXPECT_EQ(ask(XENVER_commandline, at(0)), 0);
    EXPECT_STREQ(reinterpret_cast<char*>(machine.guest.data()), "<denied>");
    domain.privileged = true;
    set_command_line({});
}

TEST_F(Version, Features) {
    put(0, xen_feature_info_t{.submap_idx = 0, .submap = 0});
    EXPECT_EQ(ask(XENVER_get_features, at(0)), 0);
    EXPECT_EQ(get<xen_feature_info_t>(0).submap, kDom0Features);
    put(0, xen_feature_info_t{.submap_idx = 1, .submap = 7});
    EXPECT_EQ(ask(XENVER_get_features, at(0)), -EINVAL);
    domain.hardware = false;
    EXPECT_EQ(features(domain, 0), kDom0Features & ~(1u << XENFEAT_dom0));
}

TEST_F(Version, BuildId) {
    EXPECT_EQ(ask(XENVER_build_id), -ENODATA);
    static const u8 id[] = {1, 2, 3, 4};
    set_build_id(id);
    EXPECT_EQ(ask(XENVER_build_id), 4);
    put(0, u32{3});
    EXPECT_EQ(ask(XENVER_build_id, at(0)), -ENOBUFS);
    put(0, u32{0});
    EXPECT_EQ(ask(XENVER_build_id, at(0)), -EINVAL);
    put(0, u32{4});
    EXPECT_EQ(ask(XENVER_build_id, at(0)), 4);
    EXPECT_EQ(get<u32>(4), 0x04030201u);
    domain.privileged = false;
    EXPECT_EQ(ask(XENVER_build_id, at(0)), -EPERM);
    domain.privileged = true;
    set_build_id({});
}

TEST_F(Version, HostileArguments) {
    for (const u64 address : {u64{0}, u64{0xffff800000000000}, ~u64{0}}) {
        for (const u32 command :
             {XENVER_extraversion, XENVER_compile_info, XENVER_capabilities, XENVER_changeset,
              XENVER_platform_parameters, XENVER_get_features, XENVER_guest_handle, XENVER_commandline}) {
            EXPECT_EQ(ask(command, address), -EFAULT) << command << ' ' << address;
        }
    }
    EXPECT_EQ(ask(11), -ENOSYS);
    EXPECT_EQ(ask(~0u), -ENOSYS);
}

}  // namespace
}  // namespace domus::hypercall

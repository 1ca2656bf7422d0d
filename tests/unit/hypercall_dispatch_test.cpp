// SPDX-License-Identifier: GPL-2.0-or-later
// Decoding, continuations, the dispatch edge, multicalls and the hypercall page.
#include "hypercall/dispatch.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "abi/xen.hpp"
#include "hypercall/refusal.hpp"
#include "unit/hypercall_fixture.hpp"

namespace domus::hypercall {
namespace {

using fakes::Machine;

// ---- thunks -------------------------------------------------------------------------------------

struct Seen {
    u32 a;
    s32 b;
    u64 c;
    u64 pointer;
    u16 domain;
    u64 va;
} seen;

Result<s64> everything(Caller&, u32 a, s32 b, u64 c, GuestIn<u32> p, DomId d, Vaddr va) {
    seen = {a, b, c, p.raw(), d.v, va.v};
    return 7;
}
Preemptible<u32, u64, GuestAddr> steps(Caller&, u32 a, u64 b, GuestAddr p) {
    if (a == 0) return s64{99};
    return again(a - 1, b + 1, p.offset(8));
}
Result<> broken(Caller&) { return fail(Error::exist); }

class Thunks : public HypercallTest {};

TEST_F(Thunks, DecodeByType) {
    Words w{0xffffffff00000001, 0xaaaaaaaafffffffe, 0x123456789abcdef0, 0x2000, 0x17ff0, 0xffff880000001000};
    const Outcome o = ThunkOf<Layout64, &everything>::call(caller, w);
    EXPECT_EQ(o.value, 7);
    EXPECT_EQ(seen.a, 1u);
    EXPECT_EQ(seen.b, -2);
    EXPECT_EQ(seen.c, 0x123456789abcdef0u);
    EXPECT_EQ(seen.pointer, 0x2000u);
    EXPECT_EQ(seen.domain, 0x7ff0);
    EXPECT_EQ(seen.va, 0xffff880000001000u);
}

Result<> narrow(Caller&, u32 a, u64 b, GuestAddr p, DomId d) {
    seen = {.a = a, .b = 0, .c = b, .pointer = p.raw(), .domain = d.v, .va = 0};
    return {};
}
TEST_F(Thunks, ThirtyTwoBitLayoutSplitsU64) {
    static_assert(ThunkOf<Layout32, &narrow>::kWords == 5);
    Words w{1, 0x89abcdef, 0x01234567, 0xfffff000, 3, 0};
    EXPECT_EQ((ThunkOf<Layout32, &narrow>::call(caller, w).value), 0);
    EXPECT_EQ(seen.a, 1u);
    EXPECT_EQ(seen.c, 0x0123456789abcdefu);
    EXPECT_EQ(seen.pointer, 0xfffff000u);
    EXPECT_EQ(seen.domain, 3);
}

TEST_F(Thunks, ErrorsAreNegatedAtTheEdge) {
    Words w{};
    EXPECT_EQ((ThunkOf<Layout64, &broken>::call(caller, w).value), -17);
}

template <class L>
void run_continuation(Caller& caller) {
    Words w{};
    Argument<L, u32>::encode(3, &w[0]);
    Argument<L, u64>::encode(0xfffffffe, &w[1]);
    constexpr unsigned p = 1 + L::kWordsOfU64;
    Argument<L, GuestAddr>::encode(GuestAddr(0x1000), &w[p]);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ((ThunkOf<L, &steps>::call(caller, w).then), Outcome::Then::again);
    }
    EXPECT_EQ((Argument<L, u64>::decode(&w[1])), 0x100000001u);
    EXPECT_EQ(w[p], 0x1018u);
    const Outcome last = ThunkOf<L, &steps>::call(caller, w);
    EXPECT_EQ(last.then, Outcome::Then::result);
    EXPECT_EQ(last.value, 99);
}
TEST_F(Thunks, ContinuationIsEncodedInTheSameWords) {
    run_continuation<Layout64>(caller);
    run_continuation<Layout32>(caller);
}

// ---- dispatch -----------------------------------------------------------------------------------

class Dispatch : public HypercallTest {};

TEST_F(Dispatch, ResultGoesToRaxAndTheGuestGoesOn) {
    regs.rax = __HYPERVISOR_xen_version;
    regs.rdi = XENVER_version;
    regs.rip = 0x1002;
    dispatch(vcpu, regs);
    EXPECT_EQ(regs.rax, 0x40011u);
    EXPECT_EQ(regs.rip, 0x1002u);
}

TEST_F(Dispatch, UnknownNumbersAreEnosysAndNamedOnce) {
    for (const u64 n : {11u, 63u, 64u, 4096u, ~0u}) {
        regs.rax = n;
        dispatch(vcpu, regs);
        EXPECT_EQ(static_cast<s64>(regs.rax), -ENOSYS) << n;
    }
    const usize lines = log_lines.size();
    EXPECT_GE(lines, 4u);
    regs.rax = 11;
    dispatch(vcpu, regs);
    EXPECT_EQ(log_lines.size(), lines);
    EXPECT_NE(log_lines[0].find("hypercall 11"), std::string::npos) << log_lines[0];
}

// A domain that asks for all there is not hides nobody else's refusals, and does not fill the log.
TEST_F(Dispatch, OneDomainsNoiseIsItsOwn) {
    Domain& noisy = make_running(7);
    Vcpu& v = *noisy.vcpu(VcpuId(0));
    for (u32 command = 100; command < 1000; command++)
        run_as(v, __HYPERVISOR_event_channel_op, command, at(0));
    EXPECT_EQ(log_lines.size(), core::ToldSet::kKept);
    log_lines.clear();
    run(__HYPERVISOR_event_channel_op, 200, at(0));
    ASSERT_EQ(log_lines.size(), 1u);
    EXPECT_EQ(log_lines[0], "d0v0: event_channel_op 200 is not implemented");
}

TEST_F(Dispatch, RubbishAboveTheNumberIsIgnored) {
    regs.rax = 0xdead000000000000 | __HYPERVISOR_xen_version;
    regs.rdi = 0xbeef00000000 | XENVER_version;
    dispatch(vcpu, regs);
    EXPECT_EQ(regs.rax, 0x40011u);
}

// ---- the table ----------------------------------------------------------------------------------

std::map<u32, std::string> abi_names() {
    return {
#define CALL(name) {__HYPERVISOR_##name, #name}
        CALL(set_trap_table),
        CALL(mmu_update),
        CALL(set_gdt),
        CALL(stack_switch),
        CALL(set_callbacks),
        CALL(fpu_taskswitch),
        CALL(sched_op_compat),
        CALL(platform_op),
        CALL(set_debugreg),
        CALL(get_debugreg),
        CALL(update_descriptor),
        CALL(memory_op),
        CALL(multicall),
        CALL(update_va_mapping),
        CALL(set_timer_op),
        CALL(event_channel_op_compat),
        CALL(xen_version),
        CALL(console_io),
        CALL(physdev_op_compat),
        CALL(grant_table_op),
        CALL(vm_assist),
        CALL(update_va_mapping_otherdomain),
        CALL(iret),
        CALL(vcpu_op),
        CALL(set_segment_base),
        CALL(mmuext_op),
        CALL(xsm_op),
        CALL(nmi_op),
        CALL(sched_op),
        CALL(callback_op),
        CALL(xenoprof_op),
        CALL(event_channel_op),
        CALL(physdev_op),
        CALL(hvm_op),
        CALL(sysctl),
        CALL(domctl),
        CALL(kexec_op),
        CALL(tmem_op),
        CALL(argo_op),
        CALL(xenpmu_op),
        CALL(dm_op),
        CALL(hypfs_op),
        {__HYPERVISOR_arch_0, "mca"},
#undef CALL
    };
}

TEST(HypercallTable, EveryRowBearsTheAbisNameForItsNumber) {
    const auto names = abi_names();
    u32 last = 0;
    bool first = true;
    for (const Row& r : rows()) {
        ASSERT_TRUE(names.contains(r.number)) << r.number;
        EXPECT_EQ(names.at(r.number), r.name);
        EXPECT_NE(r.thunk, nullptr);
        EXPECT_LE(r.words, kMaxWords);
        EXPECT_TRUE(first || r.number > last) << "sorted, no duplicates";
        EXPECT_EQ(row_of(r.number).name, r.name);
        last = r.number, first = false;
    }
    EXPECT_FALSE(first);
}

// ---- multicall ----------------------------------------------------------------------------------

class Multicall : public HypercallTest {
  protected:
    multicall_entry_t entry(u64 op, u64 a0 = 0, u64 a1 = 0) {
        multicall_entry_t e{};
        e.op = op, e.args[0] = a0, e.args[1] = a1;
        e.result = 0x5555;
        return e;
    }
};

TEST_F(Multicall, RunsEachEntryAndWritesItsResult) {
    put(0x100, std::vector{entry(__HYPERVISOR_xen_version, XENVER_version), entry(63),
                           entry(__HYPERVISOR_xen_version, XENVER_pagesize)});
    EXPECT_EQ(run(__HYPERVISOR_multicall, at(0x100), 3), 0);
    const auto e = get<multicall_entry_t>(0x100, 3);
    EXPECT_EQ(e[0].result, 0x40011u);
    EXPECT_EQ(static_cast<s64>(e[1].result), -ENOSYS);
    EXPECT_EQ(e[2].result, 4096u);
}

TEST_F(Multicall, PreemptionAtEveryPointGivesTheSameResults) {
    for (u64 n = 0; n < 6; n++) {
        put(0x100, std::vector(5, entry(__HYPERVISOR_xen_version, XENVER_version)));
        machine.preempt_after = n;
        EXPECT_EQ(run(__HYPERVISOR_multicall, at(0x100), 5), 0);
        EXPECT_EQ(again_count, n < 4 ? 1u : 0u);
        for (const auto& e : get<multicall_entry_t>(0x100, 5)) EXPECT_EQ(e.result, 0x40011u);
        machine.preempt_after = ~u64{0};
    }
}

TEST_F(Multicall, DoesNotNest) {
    put(0x100, std::vector{entry(__HYPERVISOR_multicall, at(0x200), 1)});
    EXPECT_EQ(run(__HYPERVISOR_multicall, at(0x100), 1), 0);
    EXPECT_EQ(static_cast<s64>(get<multicall_entry_t>(0x100, 1)[0].result), -EINVAL);
}

TEST_F(Multicall, HostileLists) {
    EXPECT_EQ(run(__HYPERVISOR_multicall, 0, 1), -EFAULT);
    EXPECT_EQ(run(__HYPERVISOR_multicall, 0xffff830000000000, 1), -EFAULT);
    EXPECT_EQ(run(__HYPERVISOR_multicall, 0x8000000000000000, ~0u), -EFAULT);
    EXPECT_EQ(run(__HYPERVISOR_multicall, 0, 0), 0);
    // The list ends where memory ends: the entries before it have run.
    const u64 edge = machine.guest.size() - sizeof(multicall_entry_t);
    put(edge, std::vector{entry(__HYPERVISOR_xen_version, XENVER_version)});
    EXPECT_EQ(run(__HYPERVISOR_multicall, at(edge), ~0u), -EFAULT);
    EXPECT_EQ(get<multicall_entry_t>(edge, 1)[0].result, 0x40011u);
}

// ---- the page -----------------------------------------------------------------------------------

TEST(HypercallPage, Stubs) {
    std::vector<u8> page(kPageSize);
    fill_hypercall_page(page.data());
    const u8 ordinary[] = {0x51, 0x41, 0x53, 0xb8, 12, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3, 0xcc};
    EXPECT_EQ(std::memcmp(page.data() + 12 * 32, ordinary, sizeof ordinary), 0);
    const u8 iret[] = {0x51, 0x41, 0x53, 0x50, 0xb8, 23, 0, 0, 0, 0x0f, 0x05, 0x0f, 0x0b, 0xcc};
    EXPECT_EQ(std::memcmp(page.data() + 23 * 32, iret, sizeof iret), 0);
}

}  // namespace
}  // namespace domus::hypercall

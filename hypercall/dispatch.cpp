// SPDX-License-Identifier: GPL-2.0-or-later
// Dispatch: bounds check, table load, indirect call.
#include "hypercall/dispatch.hpp"

#include "core/trace.hpp"
#include "hypercall/refusal.hpp"
#include "hypercall/table.hpp"

namespace domus::hypercall {

namespace {

template <class L>
struct Table {
    Row by_number[kTableSize];
    Row dense[kTableSize];
    usize count = 0;

    static void bad_table() {}  // not constexpr: calling it in build() stops the compilation

    // A row is told by its name: GCC 12 under UBSan has no constant for "the address of a function is null".
    static consteval Table build() {
        Table t{};
        const auto take = [&t](const Row& r) {
            if (r.number >= kTableSize || t.by_number[r.number].name != nullptr) bad_table();
            t.by_number[r.number] = r;
        };
        for (const Row& r : kRows<L>) take(r);
        for (const Row& r : kOwnRows<L>) take(r);
        for (u32 n = 0; n < kTableSize; n++) {
            t.by_number[n].number = n;
            if (t.by_number[n].name != nullptr) t.dense[t.count++] = t.by_number[n];
        }
        return t;
    }
};
template <class L>
constexpr Table<L> kTable = Table<L>::build();

// SYSCALL and INT n are both two bytes long: stepping back over the instruction makes the guest execute it
// again.
constexpr u64 kInstructionLength = 2;

#ifdef DOMUS_ASSERTIONS
// The ABI leaves a call's argument registers undefined afterwards; debug builds make sure that no guest
// relies on them.
template <class L>
void clobber_arguments(GuestRegs& regs, unsigned count) {
    Words words = L::words(regs);
    for (unsigned i = 0; i < count; i++) words[i] = 0xdeadbeefdeadf00d;
    L::set_words(regs, words);
}
#else
template <class L>
void clobber_arguments(GuestRegs&, unsigned) {}
#endif

template <class L>
[[gnu::cold, gnu::noinline]] Outcome refuse(Caller& caller, u64 number) {
    if (number < kTableSize && kTable<L>.by_number[number].thunk != nullptr) {
        name_forbidden(caller, "hypercall", kTable<L>.by_number[number].name);
        return {.value = to_abi(Error::perm)};
    }
    name_missing(caller, "hypercall", number);
    return {.value = to_abi(Error::nosys)};
}

// A hypercall's number and first two arguments.
[[gnu::cold, gnu::noinline]] void trace_call(u32 event, u64 number, const Words& words) {
    constexpr u32 kNumber = ~TRC_PV_HYPERCALL_V2_ARG_MASK;
    core::trace(
        event,
        (static_cast<u32>(number) & kNumber) | TRC_PV_HYPERCALL_V2_ARG_64(0) | TRC_PV_HYPERCALL_V2_ARG_64(1),
        u64{words[0]}, u64{words[1]});
}

template <class L>
[[gnu::always_inline]] inline Outcome run(Caller& caller, u64 number, Words& words) {
    if (number >= kTableSize) [[unlikely]]
        return refuse<L>(caller, number);
    const Row& r = kTable<L>.by_number[number];
    if (r.thunk == nullptr || !allowed(caller.domain, r.who)) [[unlikely]]
        return refuse<L>(caller, number);
    return r.thunk(caller, words);
}

}  // namespace

template <class L>
std::span<const Row> rows() {
    return std::span(kTable<L>.dense, kTable<L>.count);
}
template <class L>
const Row& row_of(u32 number) {
    return kTable<L>.by_number[number];
}

template <class L>
Outcome call(Caller& caller, u64 number, Words& words) {
    if (core::tracing(TRC_PV_HYPERCALL_SUBCALL)) [[unlikely]]
        trace_call(TRC_PV_HYPERCALL_SUBCALL, number, words);
    return run<L>(caller, number, words);
}

template <class L>
void dispatch(Vcpu& vcpu, GuestRegs& regs) {
    Caller caller{.vcpu = vcpu, .domain = *vcpu.domain, .regs = regs};
    // The number is the C argument's 32 bits: guests leave rubbish above.
    const u32 number = static_cast<u32>(regs.rax);
    Words words = L::words(regs);
    if (core::tracing(TRC_PV_HYPERCALL_V2)) [[unlikely]]
        trace_call(TRC_PV_HYPERCALL_V2, number, words);
    const Outcome outcome = run<L>(caller, number, words);
    switch (outcome.then) {
        [[likely]] case Outcome::Then::result:
            if (number < kTableSize) clobber_arguments<L>(regs, kTable<L>.by_number[number].words);
            L::set_result(regs, outcome.value);
            break;
        case Outcome::Then::again:
            L::set_words(regs, words);
            regs.rax = number;
            regs.rip -= kInstructionLength;
            break;
        case Outcome::Then::leave_registers: break;
    }
}

template std::span<const Row> rows<Layout64>();
template std::span<const Row> rows<Layout32>();
template const Row& row_of<Layout64>(u32);
template const Row& row_of<Layout32>(u32);
template Outcome call<Layout64>(Caller&, u64, Words&);
template Outcome call<Layout32>(Caller&, u64, Words&);
template void dispatch<Layout64>(Vcpu&, GuestRegs&);
template void dispatch<Layout32>(Vcpu&, GuestRegs&);

}  // namespace domus::hypercall

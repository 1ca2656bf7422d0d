// SPDX-License-Identifier: GPL-2.0-or-later
// multicall: a list of hypercalls in one. Preemption has two grains: between entries the call continues with
// the rest of the list; inside an entry the handler's continuation is written into that entry's arguments,
// and the call continues with that entry.
#include "hypercall/dispatch.hpp"
#include "hypercall/layout.hpp"
#include "port/cpu.hpp"

namespace domus::hypercall {

template <class L>
Preemptible<GuestAddr, u32> multicall(Caller& caller, GuestAddr list, u32 count) {
    using Entry = typename L::MulticallEntry;
    // A list inside a list could nest without end.
    if (caller.in_multicall) return fail(Error::inval);

    Caller entry_caller{
        .vcpu = caller.vcpu, .domain = caller.domain, .regs = caller.regs, .in_multicall = true};
    const auto entries = list.in_out<Entry>();

    for (u32 i = 0; i < count; i++) {
        // Every entry is a hypercall of its own, so each may be followed by a look at pending work.
        if (i != 0 && port::preempt_wanted()) {
            return again(list.offset(u64{i} * sizeof(Entry)), count - i);
        }
        Entry entry = TRY(entries.read(i));
        Words words{};
        for (unsigned w = 0; w < kMaxWords; w++) words[w] = entry.args[w];

        const Outcome outcome = call<L>(entry_caller, static_cast<u64>(entry.op), words);
        if (outcome.then == Outcome::Then::again) {
            for (unsigned w = 0; w < kMaxWords; w++) entry.args[w] = static_cast<typename L::Long>(words[w]);
            TRY(entries.write(entry, i));
            return again(list.offset(u64{i} * sizeof(Entry)), count - i);
        }
        // Only the result is written back: the guest's arguments stay as they were.
        using Result = decltype(entry.result);
        GuestOut<Result> result(list.raw() + u64{i} * sizeof(Entry) + offsetof(Entry, result));
        TRY(result.write(static_cast<Result>(outcome.value)));
    }
    return s64{0};
}
template Preemptible<GuestAddr, u32> multicall<Layout64>(Caller&, GuestAddr, u32);
template Preemptible<GuestAddr, u32> multicall<Layout32>(Caller&, GuestAddr, u32);

}  // namespace domus::hypercall

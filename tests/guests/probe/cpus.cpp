// SPDX-License-Identifier: GPL-2.0-or-later
// Several vCPUs: bringing them up, events between them, and that a flush reaches where it says.
#include <atomic>

#include "probe/probe.hpp"

namespace probe {

namespace {

constexpr u64 kShared = 0xffff900000200000;
std::atomic<u32> up{0}, round{0}, answered{0};
std::atomic<bool> stop{false};
std::atomic<u64> seen[kMaxCpus];

// Reads the shared page for each round, so that its translation is in this CPU's TLB.
void follow(u32 id) {
    up.fetch_add(1);
    for (u32 last = 0; !stop;) {
        const u32 now = round.load();
        if (now == last) {
            if (now != 0) seen[id].store(*reinterpret_cast<volatile u64*>(kShared));
            continue;
        }
        seen[id].store(*reinterpret_cast<volatile u64*>(kShared));
        last = now;
        answered.fetch_add(1);
    }
    up.fetch_sub(1);
}

bool wait_until(const std::atomic<u32>& value, u32 wanted) {
    const u64 limit = now() + 20'000'000'000;
    while (value.load() != wanted)
        if (now() > limit) return false;
    return true;
}

}  // namespace

void check_cpus(u32 cpus) {
    check_error("a vCPU that is not there", hypercall(__HYPERVISOR_vcpu_op, VCPUOP_is_up, kMaxCpus * 1000),
                -ENOENT);
    check_error("this one is up", hypercall(__HYPERVISOR_vcpu_op, VCPUOP_is_up, 0), 1);
    u64 nothing = 0;
    check_error("initialising it again",
                hypercall(__HYPERVISOR_vcpu_op, VCPUOP_initialise, 0, reinterpret_cast<u64>(cpu_context())),
                -EEXIST);
    if (cpus == 1) return;
    check_error("bringing up one without a context",
                hypercall(__HYPERVISOR_vcpu_op, VCPUOP_up, 1, address(nothing)), -EINVAL);

    const u64 first = take_page(), second = take_page();
    *direct<u64>(first) = 111, *direct<u64>(second) = 222;
    check("tables for a shared page", make_tables(kShared));
    update_va(kShared, Pte(mfn_of(first), kRo));
    for (u32 id = 1; id < cpus; id++) check_error("starting a vCPU", start_vcpu(id, follow), 0);
    check("all have come up", wait_until(up, cpus - 1), up.load(), cpus - 1);

    for (u32 i = 1; i <= 20; i++) {
        const u64 pfn = i % 2 == 0 ? first : second;
        const u64 mask = ~u64{0};
        // The three ways of saying "everywhere".
        if (i % 3 == 0) {
            update_va(kShared, Pte(mfn_of(pfn), kRo), UVMF_INVLPG | UVMF_ALL);
        } else if (i % 3 == 1) {
            update_va(kShared, Pte(mfn_of(pfn), kRo), UVMF_NONE);
            extended(MMUEXT_TLB_FLUSH_ALL, 0);
        } else {
            update_va(kShared, Pte(mfn_of(pfn), kRo), UVMF_NONE);
            extended(MMUEXT_INVLPG_MULTI, kShared, address(mask));
        }
        answered = 0;
        round = i;
        bool good = wait_until(answered, cpus - 1);
        for (u32 id = 1; id < cpus; id++) good = good && seen[id].load() == *direct<u64>(pfn);
        if (!good || i == 20) {
            check("every vCPU sees a change after a flush", good, i, 20);
            break;
        }
    }

    // An event to another vCPU arrives there.
    evtchn_bind_ipi_t ipi{.vcpu = 1, .port = 0};
    check_error("an IPI's port", operate(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, ipi), 0);
    guest::vcpu_info(1).evtchn_upcall_mask = 0;
    const u64 before = cpu(1).entries[kEventEntry];
    evtchn_send_t send{.port = ipi.port};
    check_error("sending it", operate(__HYPERVISOR_event_channel_op, EVTCHNOP_send, send), 0);
    const u64 limit = now() + 20'000'000'000;
    while (__atomic_load_n(&cpu(1).entries[kEventEntry], __ATOMIC_RELAXED) == before && now() < limit) {}
    check("... arrives", __atomic_load_n(&cpu(1).entries[kEventEntry], __ATOMIC_RELAXED) > before);

    stop = true;
    check("all have gone down", wait_until(up, 0), up.load(), 0);
}

}  // namespace probe

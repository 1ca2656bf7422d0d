// SPDX-License-Identifier: GPL-2.0-or-later
// What single operations cost, hypervisor and guest together, in ticks of the time-stamp counter: under
// QEMU's -icount a tick is an instruction. Boots in dom0's place on one CPU, with two vCPUs for what takes
// two. Each line is `micro NAME TICKS`, with one decimal: the best batch of several, per operation.
#include <algorithm>

#include "base/assert.hpp"
#include "lib/console.hpp"
#include "lib/cpu.hpp"
#include "lib/hypercall.hpp"
#include "lib/memory.hpp"
#include "lib/start.hpp"

namespace guest {

namespace {

constexpr u32 kBatches = 5;
constexpr u32 kOperations = 256;                      // a batch
constexpr u64 kGrantedVa = kDirect + (u64{1} << 38);  // an address that nothing else uses
constexpr grant_ref_t kRef = 20;

u64 ticks() {
    u32 low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return u64{high} << 32 | low;
}

template <class F>
void measure(std::string_view name, F&& operation) {
    operation();  // first uses allocate
    u64 best = ~u64{0};
    for (u32 batch = 0; batch < kBatches; batch++) {
        const u64 start = ticks();
        for (u32 i = 0; i < kOperations; i++) operation();
        best = std::min(best, ticks() - start);
    }
    const u64 tenths = best * 10 / kOperations;
    say("micro {} {}.{}", name, tenths / 10, tenths % 10);
}

void must(s64 result, std::string_view what) {
    if (result < 0) panic("{}: {}", what, result);
}

void mask_upcalls(bool masked) {
    vcpu_info_t& v = vcpu_info(this_cpu().id);
    __atomic_store_n(&v.evtchn_upcall_mask, static_cast<u8>(masked), __ATOMIC_SEQ_CST);
}

// Takes a port's pending bit back; false: it was not set.
bool take(evtchn_port_t port) {
    const u64 bit = u64{1} << (port % 64);
    const u64 old = __atomic_fetch_and(&shared_info->evtchn_pending[port / 64], ~bit, __ATOMIC_SEQ_CST);
    vcpu_info_t& v = vcpu_info(this_cpu().id);
    __atomic_store_n(&v.evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&v.evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    return (old & bit) != 0;
}

evtchn_port_t ipi_port(u32 vcpu) {
    evtchn_bind_ipi_t bind{.vcpu = vcpu, .port = 0};
    must(operate(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, bind), "bind_ipi");
    evtchn_unmask_t unmask{.port = bind.port};
    must(operate(__HYPERVISOR_event_channel_op, EVTCHNOP_unmask, unmask), "unmask");
    return bind.port;
}

s64 send(evtchn_port_t port) {
    evtchn_send_t argument{.port = port};
    return operate(__HYPERVISOR_event_channel_op, EVTCHNOP_send, argument);
}

void wait_for(evtchn_port_t port) {
    while (!take(port)) {
        sched_poll_t poll{};
        poll.ports.p = &port;
        poll.nr_ports = 1;
        must(operate(__HYPERVISOR_sched_op, SCHEDOP_poll, poll), "poll");
    }
}

void calls() {
    measure("nothing", [] { asm volatile(""); });
    measure("null_hypercall", [] { hypercall(__HYPERVISOR_xen_version, XENVER_version); });
    measure("sched_yield", [] { hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield); });
    measure("exception_ud", [] { attempt([] { asm volatile("ud2"); }); });
    const u64 page = take_page();
    measure("protect_and_back", [&] {
        protect(page, false);
        protect(page, true);
    });
}

void events() {
    const evtchn_port_t port = ipi_port(0);
    mask_upcalls(true);
    measure("event_send_masked", [&] {
        send(port);
        take(port);
    });
    mask_upcalls(false);
    measure("event_delivered", [&] { send(port); });
    mask_upcalls(true);
}

void grants() {
    const u64 table = take_page(), granted = take_page(), other = take_page();
    xen_pfn_t frame = 0;
    gnttab_setup_table_t setup{.dom = DOMID_SELF, .nr_frames = 1, .status = 0, .frame_list = {}};
    setup.frame_list.p = &frame;
    must(hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, address(setup), 1), "setup_table");
    if (setup.status != 0) panic("setup_table: status {}", setup.status);
    // The table's frame goes where a page of ours was mapped.
    must(update_va(kDirect + table * kPageSize, Pte(frame << 12 | kRw)), "map the grant table");
    grant_entry_v1_t& entry = direct<grant_entry_v1_t>(table)[kRef];
    entry.domid = 0;
    entry.frame = static_cast<u32>(mfn_of(granted).v);
    __atomic_store_n(&entry.flags, GTF_permit_access, __ATOMIC_SEQ_CST);

    gnttab_copy_t copy{};
    copy.source.u.ref = kRef;
    copy.source.domid = 0;
    copy.dest.u.gmfn = mfn_of(other).v;
    copy.dest.domid = DOMID_SELF;
    copy.flags = GNTCOPY_source_gref;
    for (const u32 length : {u32{64}, u32{4096}}) {
        copy.len = static_cast<u16>(length);
        measure(length == 64 ? "grant_copy_64" : "grant_copy_4096", [&] {
            must(hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_copy, address(copy), 1), "copy");
            if (copy.status != 0) panic("copy: status {}", copy.status);
        });
    }

    if (!make_tables(kGrantedVa)) panic("no page tables for the granted page");
    measure("grant_map_unmap", [] {
        gnttab_map_grant_ref_t map{};
        map.host_addr = kGrantedVa;
        map.flags = GNTMAP_host_map;
        map.ref = kRef;
        map.dom = 0;
        must(hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, address(map), 1), "map");
        if (map.status != 0) panic("map: status {}", map.status);
        gnttab_unmap_grant_ref_t unmap{};
        unmap.host_addr = kGrantedVa;
        unmap.handle = map.handle;
        must(hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, address(unmap), 1), "unmap");
        if (unmap.status != 0) panic("unmap: status {}", unmap.status);
    });
}

// Two vCPUs on one CPU send each other events and sleep: each round trip is two sends, two waits and two
// switches.
evtchn_port_t ping = 0, pong = 0;

void ping_pong() {
    ping = ipi_port(1);
    pong = ipi_port(0);
    must(start_vcpu(
             1,
             [](u32) {
                 mask_upcalls(
                     true);  // an upcall would take the event that the wait is for; the first pong says: done
                 for (;;) {
                     must(send(pong), "send");
                     wait_for(ping);
                 }
             }),
         "start vCPU 1");
    wait_for(pong);
    measure("event_ping_pong", [] {
        must(send(ping), "send");
        wait_for(pong);
    });
}

}  // namespace

}  // namespace guest

void guest::run(const start_info_t&) {
    calls();
    events();
    grants();
    ping_pong();
    say("micro complete");
}

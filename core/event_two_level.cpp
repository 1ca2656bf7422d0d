// SPDX-License-Identifier: GPL-2.0-or-later
// The two-level event layout: a pending and a mask bit for each port in the shared info page, and for each
// vCPU a word that says which words of pending bits to look at (public xen.h, struct shared_info).
//
// The order of the steps matters, because the guest clears them in the opposite one: pending bit, then
// selector, then upcall flag; and vcpu_info is looked up after the pending bit is set, because it may move
// (core/vcpu_info.cpp).
#include <atomic>

#include "core/domain.hpp"
#include "core/event_abi.hpp"
#include "core/evtchn.hpp"

namespace domus::core {

namespace {

using Word = std::atomic_ref<xen_ulong_t>;
constexpr u32 kWordBits = 64;

xen_ulong_t bit_of(EvtPort port) { return xen_ulong_t{1} << (port.v % kWordBits); }
xen_ulong_t& pending_word(const Domain& d, EvtPort port) {
    return d.shared->evtchn_pending[port.v / kWordBits];
}
xen_ulong_t& mask_word(const Domain& d, EvtPort port) { return d.shared->evtchn_mask[port.v / kWordBits]; }

// A domain that goes back from the FIFO layout can have higher ports for a moment. They have no bits.
bool has_bits(EvtPort port) { return port.v < EVTCHN_2L_NR_CHANNELS; }

void notify(Vcpu& v, EvtPort port) {
    const xen_ulong_t select = xen_ulong_t{1} << (port.v / kWordBits);
    if ((Word(v.info_now()->evtchn_pending_sel).fetch_or(select) & select) == 0) mark_upcall_pending(v);
}

bool masked(const Domain& d, const Channel&, EvtPort port) {
    return has_bits(port) && (Word(mask_word(d, port)).load() & bit_of(port)) != 0;
}

bool pending(const Domain& d, const Channel&, EvtPort port) {
    return has_bits(port) && (Word(pending_word(d, port)).load() & bit_of(port)) != 0;
}

void set_pending(Domain& d, Channel& c, EvtPort port, Vcpu& v) {
    if (!has_bits(port)) [[unlikely]]
        return;
    if ((Word(pending_word(d, port)).fetch_or(bit_of(port)) & bit_of(port)) != 0) return;
    if (!masked(d, c, port)) notify(v, port);
    wake_pollers(d, port);
}

void clear_pending(Domain& d, Channel&, EvtPort port) {
    if (has_bits(port)) Word(pending_word(d, port)).fetch_and(~bit_of(port));
}

void unmask(Domain& d, Channel& c, EvtPort port, Vcpu& v) {
    if (!has_bits(port)) return;
    const bool was_masked = (Word(mask_word(d, port)).fetch_and(~bit_of(port)) & bit_of(port)) != 0;
    if (was_masked && pending(d, c, port)) notify(v, port);
}

}  // namespace

constinit const EventAbi kTwoLevelEvents = {
    .max_ports = EVTCHN_2L_NR_CHANNELS,
    .set_pending = set_pending,
    .clear_pending = clear_pending,
    .unmask = unmask,
    .is_pending = pending,
    .is_masked = masked,
};

void mark_upcall_pending(Vcpu& v) {
    if (std::atomic_ref(v.info_now()->evtchn_upcall_pending).exchange(1) == 0) kick_vcpu(v);
}

void wake_pollers(Domain& d, EvtPort port) {
    if (d.events.pollers.load() == 0) return;
    for (u32 i = 0; i < d.max_vcpus; i++) {
        Vcpu* v = d.vcpu(VcpuId(i));
        if (v == nullptr) continue;
        const u32 waits_for = v->polling.load();
        if (waits_for == port.v || waits_for == Vcpu::kPollMany) unblock(*v);
    }
}

}  // namespace domus::core

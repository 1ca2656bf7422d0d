// SPDX-License-Identifier: GPL-2.0-or-later
// The life of one end of an event channel, as pure functions from state to state (public event_channel.h).
//
//   free ── alloc ──> unbound ── the named domain binds ──> interdomain ── peer closes ──> unbound
//   free ── bind ──> interdomain, virq, ipi, pirq           every state ── close ──> free
//
// A state fits one word, so that it can be read without a lock.
#pragma once

#include "abi/xen.hpp"
#include "base/result.hpp"
#include "base/types.hpp"

namespace domus::core {

enum class ChannelKind : u8 {
    free,
    reserved,     // taken by an operation that is not complete; port 0 for ever
    unbound,      // waits for domain `peer` to bind
    interdomain,  // the other end is `peer`, port `value`
    pirq,         // value: the domain's PIRQ
    virq,         // value: VIRQ_*
    ipi,
};

struct ChannelState {
    ChannelKind kind = ChannelKind::free;
    u8 priority = EVTCHN_FIFO_PRIORITY_DEFAULT;  // 0 highest to 15; only the FIFO ABI looks
    u16 notify = 0;                              // the vCPU that is told
    DomId peer{};
    u32 value = 0;  // 24 bits

    // As one number: what the sender of an event does twice must be short.
    constexpr bool operator==(const ChannelState& other) const { return pack() == other.pack(); }

    constexpr u64 pack() const {
        return u64{static_cast<u8>(kind)} | u64{priority} << 4 | u64{notify} << 8 | u64{peer.v} << 24 |
               u64{value} << 40;
    }
    static constexpr ChannelState unpack(u64 v) {
        return {static_cast<ChannelKind>(v & 15), static_cast<u8>((v >> 4) & 15), static_cast<u16>(v >> 8),
                DomId(static_cast<u16>(v >> 24)), static_cast<u32>(v >> 40)};
    }
};

// VIRQs are of one vCPU each or of the whole domain (the list in public xen.h; those of the architecture,
// machine checks, are global). `virq` below NR_VIRQS.
constexpr bool virq_is_per_vcpu(u32 virq) {
    return virq == VIRQ_TIMER || virq == VIRQ_DEBUG || virq == VIRQ_XENOPROF || virq == VIRQ_XENPMU;
}

namespace event_state {

// The state of a free port that an operation takes.
constexpr ChannelState reserved() { return {.kind = ChannelKind::reserved}; }
constexpr ChannelState unbound(DomId allowed) { return {.kind = ChannelKind::unbound, .peer = allowed}; }
constexpr ChannelState interdomain(DomId peer, EvtPort port) {
    return {.kind = ChannelKind::interdomain, .peer = peer, .value = port.v};
}
constexpr ChannelState virq(u32 number, VcpuId vcpu) {
    return {.kind = ChannelKind::virq, .notify = static_cast<u16>(vcpu.v), .value = number};
}
constexpr ChannelState ipi(VcpuId vcpu) {
    return {.kind = ChannelKind::ipi, .notify = static_cast<u16>(vcpu.v)};
}
constexpr ChannelState pirq(Pirq number) { return {.kind = ChannelKind::pirq, .value = number.v}; }

// An unbound end, when `binder` connects its `port` to it; it goes on notifying the same vCPU.
constexpr Result<ChannelState> connected(ChannelState s, DomId binder, EvtPort port) {
    if (s.kind != ChannelKind::unbound || s.peer != binder) return fail(Error::inval);
    s.kind = ChannelKind::interdomain;
    s.value = port.v;
    return s;
}

// An interdomain end whose peer has closed: it listens again, to the same domain.
constexpr ChannelState peer_closed(ChannelState s) {
    s.kind = ChannelKind::unbound;
    s.value = 0;
    return s;
}

// Is `s` an end whose other end is (peer, port)?
constexpr bool connects_to(const ChannelState& s, DomId peer, EvtPort port) {
    return s.kind == ChannelKind::interdomain && s.peer == peer && s.value == port.v;
}

constexpr bool in_use(const ChannelState& s) {
    return s.kind != ChannelKind::free && s.kind != ChannelKind::reserved;
}

// EVTCHNOP_bind_vcpu. EINVAL: not in use, or bound to its vCPU for life (IPIs, per-vCPU VIRQs).
constexpr Result<ChannelState> notifying(ChannelState s, VcpuId vcpu) {
    const bool fixed =
        s.kind == ChannelKind::ipi || (s.kind == ChannelKind::virq && virq_is_per_vcpu(s.value));
    if (!in_use(s) || fixed) return fail(Error::inval);
    s.notify = static_cast<u16>(vcpu.v);
    return s;
}

// EVTCHNOP_status, without the domain and port that were asked for.
constexpr evtchn_status_t status(const ChannelState& s) {
    evtchn_status_t out{};
    out.vcpu = s.notify;
    switch (s.kind) {
        case ChannelKind::free:
        case ChannelKind::reserved: out.status = EVTCHNSTAT_closed; break;
        case ChannelKind::unbound:
            out.status = EVTCHNSTAT_unbound;
            out.u.unbound.dom = s.peer.v;
            break;
        case ChannelKind::interdomain:
            out.status = EVTCHNSTAT_interdomain;
            out.u.interdomain.dom = s.peer.v;
            out.u.interdomain.port = s.value;
            break;
        case ChannelKind::pirq:
            out.status = EVTCHNSTAT_pirq;
            out.u.pirq = s.value;
            break;
        case ChannelKind::virq:
            out.status = EVTCHNSTAT_virq;
            out.u.virq = s.value;
            break;
        case ChannelKind::ipi: out.status = EVTCHNSTAT_ipi; break;
    }
    return out;
}

}  // namespace event_state
}  // namespace domus::core

// SPDX-License-Identifier: GPL-2.0-or-later
// The two-level event layout: a pending and a mask bit for each port in the shared info page, and for each
// vCPU a word that says which words of pending bits to look at (public xen.h, struct shared_info).
//
// The order of the steps matters, because the guest clears them in the opposite one: pending bit, then
// selector, then upcall flag; and vcpu_info is looked up after the pending bit is set, because it may move
// (core/vcpu_info.cpp).
#include <atomic>

#include "abi/xen32.hpp"
#include "core/domain.hpp"
#include "core/event_abi.hpp"
#include "core/evtchn.hpp"

namespace domus::core {

namespace {

// The words of 64-bit and of 32-bit guests (public foreign/x86_32.h).
struct Words64 {
    using Type = xen_ulong_t;
    using Shared = shared_info_t;
    using Info = vcpu_info_t;
};
struct Words32 {
    using Type = u32;
    using Shared = shared_info_x86_32;
    using Info = vcpu_info_x86_32;
};

template <class W>
struct TwoLevel {
    using Type = typename W::Type;
    using Word = std::atomic_ref<Type>;
    static constexpr u32 kWordBits = sizeof(Type) * 8;
    static constexpr u32 kPorts = kWordBits * kWordBits;

    static Type bit_of(EvtPort port) { return Type{1} << (port.v % kWordBits); }
    static typename W::Shared& shared(const Domain& d) {
        return *reinterpret_cast<typename W::Shared*>(d.shared);
    }
    static Type& pending_word(const Domain& d, EvtPort port) {
        return shared(d).evtchn_pending[port.v / kWordBits];
    }
    static Type& mask_word(const Domain& d, EvtPort port) {
        return shared(d).evtchn_mask[port.v / kWordBits];
    }

    // A domain that goes back from the FIFO layout can have higher ports for a moment. They have no bits.
    static bool has_bits(EvtPort port) { return port.v < kPorts; }

    static void notify(Vcpu& v, EvtPort port) {
        const Type select = Type{1} << (port.v / kWordBits);
        auto* const info = reinterpret_cast<typename W::Info*>(v.info_now());
        if ((Word(info->evtchn_pending_sel).fetch_or(select) & select) == 0) mark_upcall_pending(v);
    }

    static bool masked(const Domain& d, const Channel&, EvtPort port) {
        return has_bits(port) && (Word(mask_word(d, port)).load() & bit_of(port)) != 0;
    }

    static bool pending(const Domain& d, const Channel&, EvtPort port) {
        return has_bits(port) && (Word(pending_word(d, port)).load() & bit_of(port)) != 0;
    }

    static void set_pending(Domain& d, Channel& c, EvtPort port, Vcpu& v) {
        if (!has_bits(port)) [[unlikely]]
            return;
        if ((Word(pending_word(d, port)).fetch_or(bit_of(port)) & bit_of(port)) != 0) return;
        if (!masked(d, c, port)) notify(v, port);
        wake_pollers(d, port);
    }

    static void clear_pending(Domain& d, Channel&, EvtPort port) {
        if (has_bits(port)) Word(pending_word(d, port)).fetch_and(~bit_of(port));
    }

    static void unmask(Domain& d, Channel& c, EvtPort port, Vcpu& v) {
        if (!has_bits(port)) return;
        const bool was_masked = (Word(mask_word(d, port)).fetch_and(~bit_of(port)) & bit_of(port)) != 0;
        if (was_masked && pending(d, c, port)) notify(v, port);
    }

    static constexpr EventAbi abi() {
        return {
            .max_ports = kPorts,
            .set_pending = set_pending,
            .clear_pending = clear_pending,
            .unmask = unmask,
            .is_pending = pending,
            .is_masked = masked,
        };
    }
};
static_assert(TwoLevel<Words64>::kPorts == EVTCHN_2L_NR_CHANNELS && TwoLevel<Words32>::kPorts == 1024);

}  // namespace

constinit const EventAbi kTwoLevelEvents = TwoLevel<Words64>::abi();
constinit const EventAbi kTwoLevelEvents32 = TwoLevel<Words32>::abi();
const EventAbi& two_level_events(const Domain& d) { return d.is_32bit ? kTwoLevelEvents32 : kTwoLevelEvents; }

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

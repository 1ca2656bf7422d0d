// SPDX-License-Identifier: GPL-2.0-or-later
// Event channels: the operations of event_channel_op (public event_channel.h) and the hypervisor's own sends.
//
// Locks: a domain's `lock` guards which ports are free and the table's growth; each port has a lock of its
// own (rank event_channel) for its state, taken in pairs where two ends change in one step. Sending takes the
// lock of the receiving port only. Other domains are looked up without locks (core/quiesce.hpp).
#pragma once

#include <atomic>
#include <string_view>

#include "abi/xen.hpp"
#include "core/event_abi.hpp"
#include "core/event_state.hpp"
#include "core/growing_table.hpp"
#include "port/lock.hpp"

namespace domus::core {

struct FifoEvents;

struct Channel {
    std::atomic<u64> packed{0};
    SpinLock lock{Rank::event_channel};
    std::atomic<u32> fifo{0};  // the FIFO layout's FifoMark; changed under the lock

    ChannelState state() const { return ChannelState::unpack(packed.load(std::memory_order_acquire)); }
    void set(const ChannelState& s) { packed.store(s.pack(), std::memory_order_release); }
};

inline constexpr u32 kMaxPorts = EVTCHN_FIFO_NR_CHANNELS;

struct EventChannels {
    // The layout in force, and its state if that is the FIFO. Read without a lock; senders read them under
    // the receiving port's, so that a change of layout knows when they are done.
    std::atomic<const EventAbi*> abi{&kTwoLevelEvents};
    std::atomic<FifoEvents*> fifo{nullptr};
    u32 fifo_generation = 0;       // under `lock`: how often FIFO queues were set up
    u32 max_port = kMaxPorts - 1;  // the domain's own limit: the highest port it may use

    SpinLock lock{Rank::event_channels};
    u32 lowest_free = 1;  // under `lock`: no free port is below. Port 0 is never used
    u32 active = 0;       // under `lock`: ports not free

    GrowingTable<Channel, kMaxPorts> ports;
    std::atomic<u32> global_virq[NR_VIRQS] = {};  // the port of each global VIRQ, 0 if unbound
    std::atomic<u32> pollers{0};                  // vCPUs in SCHEDOP_poll

    const EventAbi& layout() const { return *abi.load(std::memory_order_acquire); }
    Channel* find(EvtPort port) const { return port.v == 0 ? nullptr : ports.find(port.v); }
};

// EVTCHNOP_*. `d` is the calling domain, or the one it may act for: who may name another domain is decided by
// the caller (hypercall/). Errors common to all: EINVAL: the port is not in use. Allocating ones: ENOSPC: no
// port free, ENOMEM.

// A port of d that `remote` may bind.
Result<EvtPort> alloc_unbound(Domain& d, DomId remote);
// As alloc_unbound with a given number, for the domain builder and migration. EBUSY: in use.
Result<> alloc_unbound_at(Domain& d, EvtPort port, DomId remote);
// EINVAL: (remote, remote_port) does not wait for d. ESRCH: no such domain. The new port is made pending.
Result<EvtPort> bind_interdomain(Domain& d, DomId remote, EvtPort remote_port);
// EINVAL: no such VIRQ, or a global one not on vCPU 0. ENOENT: no such vCPU. EEXIST: bound already.
Result<EvtPort> bind_virq(Domain& d, u32 virq, VcpuId vcpu);
// ENOENT: no such vCPU.
Result<EvtPort> bind_ipi(Domain& d, VcpuId vcpu);
// EINVAL: no such PIRQ, not mapped, or unknown flags. EEXIST: bound already. EBUSY: the line is another
// domain's: lines are not shared between domains, so BIND_PIRQ__WILL_SHARE changes nothing.
Result<EvtPort> bind_pirq(Domain& d, Pirq pirq, u32 flags);
Result<> close_port(Domain& d, EvtPort port);
// Interdomain and IPI ports; an unbound port swallows the event. EINVAL: others.
Result<> send_event(Domain& d, EvtPort port);
// A port never used has status "closed"; EINVAL: beyond the limit of the ABI in use.
Result<evtchn_status_t> port_status(Domain& d, EvtPort port);
// ENOENT: no such vCPU.
Result<> bind_port_to_vcpu(Domain& d, EvtPort port, VcpuId vcpu);
Result<> unmask_port(Domain& d, EvtPort port);
// For the next time that the port becomes pending. EINVAL: no such priority. ENOSYS: two levels know none.
Result<> set_port_priority(Domain& d, EvtPort port, u32 priority);
// Closes every port. Preemptible: `next` (0 at first) is where to go on when it fails with ERESTART. Ends
// with the two-level ABI in force.
Result<> reset_events(Domain& d, u32& next);

// Is the port pending? For SCHEDOP_poll. EINVAL: not in use.
Result<bool> port_pending(Domain& d, EvtPort port);

// The hypervisor's own sends; silently nothing if the guest has not bound the VIRQ. Any context without locks
// of rank event_channel or later.
void send_virq(Vcpu& v, u32 virq);           // per-vCPU VIRQs
void send_global_virq(Domain& d, u32 virq);  // global VIRQs, to this domain
// … to the domain that handles it: the hardware domain, unless control software has named another.
void send_global_virq(u32 virq);
// From now on this domain handles a global VIRQ, until it dies. EINVAL: not a global VIRQ, or d is dying.
Result<> set_virq_handler(Domain& d, u32 virq);
void drop_virq_handlers(const Domain& d);
// From the PIRQ code, when the line of a bound PIRQ has fired.
void send_pirq(Domain& d, EvtPort port, Pirq pirq);

// For people: every domain's ports and what is pending, its vCPUs' timers; a line a call. Changes nothing.
void report_events(void (*write)(std::string_view));

}  // namespace domus::core

// SPDX-License-Identifier: GPL-2.0-or-later
// Event channels: allocating, binding, closing.
#include "core/evtchn.hpp"

#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "core/event_fifo.hpp"
#include "core/pirq.hpp"
#include "port/cpu.hpp"

namespace domus::core {

namespace es = event_state;

namespace {

// The channel of a port in use by the guest. Its state can change until its lock is taken.
Result<Channel*> used_channel(Domain& d, EvtPort port) {
    Channel* c = d.events.find(port);
    if (c == nullptr || !es::in_use(c->state())) return fail(Error::inval);
    return c;
}

u32 port_limit(const EventChannels& e) {
    const u32 last = e.layout().max_ports - 1;
    return e.max_port < last ? e.max_port : last;
}

// A reservation of a free port, given back unless it is kept.
class [[nodiscard]] Reservation {
  public:
    Reservation(Domain& d, EvtPort port, Channel& c) : domain_(&d), port_(port), channel_(&c) {}
    Reservation(Reservation&& o) noexcept
        : domain_(std::exchange(o.domain_, nullptr)), port_(o.port_), channel_(o.channel_) {}
    Reservation(const Reservation&) = delete;
    Reservation& operator=(const Reservation&) = delete;
    Reservation& operator=(Reservation&&) = delete;
    ~Reservation();

    EvtPort port() const { return port_; }
    Channel& channel() const { return *channel_; }
    // The port becomes what the operation wanted.
    EvtPort keep(const ChannelState& s) {
        {
            LockGuard guard(channel_->lock);
            channel_->set(s);
        }
        return kept();
    }
    // … when the caller has set the state itself.
    EvtPort kept() {
        domain_ = nullptr;
        return port_;
    }

  private:
    Domain* domain_;
    EvtPort port_;
    Channel* channel_;
};

// After the channel's state has become free.
void note_free(Domain& d, EvtPort port) {
    LockGuard guard(d.events.lock);
    d.events.active--;
    if (port.v < d.events.lowest_free) d.events.lowest_free = port.v;
}

Reservation::~Reservation() {
    if (domain_ == nullptr) return;
    {
        LockGuard guard(channel_->lock);
        channel_->set({});
    }
    note_free(*domain_, port_);
}

Result<Reservation> reserve_at(Domain& d, EvtPort port) {
    EventChannels& e = d.events;
    LockGuard guard(e.lock);
    if (port.v == 0 || port.v > port_limit(e)) return fail(Error::inval);
    if (d.dying.load(std::memory_order_relaxed) != Dying::no) return fail(Error::inval);
    Channel* c = TRY(e.ports.require(port.v));
    LockGuard channel_guard(c->lock);
    if (c->state().kind != ChannelKind::free) return fail(Error::busy);
    c->set(es::reserved());
    e.active++;
    return Reservation(d, port, *c);
}

Result<Reservation> reserve_any(Domain& d) {
    EventChannels& e = d.events;
    LockGuard guard(e.lock);
    if (d.dying.load(std::memory_order_relaxed) != Dying::no) return fail(Error::inval);
    const u32 limit = port_limit(e);
    for (u32 p = e.lowest_free; p <= limit; p++) {
        Channel* c = TRY(e.ports.require(p));
        if (c->state().kind != ChannelKind::free) continue;  // only we, under e.lock, take free ones
        LockGuard channel_guard(c->lock);
        c->set(es::reserved());
        e.active++;
        e.lowest_free = p + 1;
        return Reservation(d, EvtPort(p), *c);
    }
    e.lowest_free = limit + 1;
    return fail(Error::nospc);
}

void set_pending_locked(Domain& d, Channel& c, EvtPort port) {
    Vcpu* v = d.vcpu(VcpuId(c.state().notify));
    if (v != nullptr) d.events.layout().set_pending(d, c, port, *v);
}

void forget_virq(Domain& d, EvtPort port, const ChannelState& s) {
    std::atomic<u32>* slot = nullptr;
    if (!virq_is_per_vcpu(s.value))
        slot = &d.events.global_virq[s.value];
    else if (Vcpu* v = d.vcpu(VcpuId(s.notify)))
        slot = &v->virq_port[s.value];
    u32 expected = port.v;
    if (slot != nullptr) slot->compare_exchange_strong(expected, 0);
}

// Closes a port whatever it is; EINVAL if it is not in use.
Result<> close_any(Domain& d, EvtPort port) {
    Channel* c = TRY(used_channel(d, port));
    for (;;) {
        const ChannelState s = c->state();
        if (!es::in_use(s)) return fail(Error::inval);
        if (s.kind == ChannelKind::interdomain) {
            Domain* remote = find_domain(s.peer);
            Channel* other = remote == nullptr ? nullptr : remote->events.find(EvtPort(s.value));
            if (other == nullptr) {
                // The peer closes its ports at its end, and that changes ours: it has by now.
                LockGuard guard(c->lock);
                if (c->state() != s) continue;
                c->set({});
                d.events.layout().clear_pending(d, *c, port);
                break;
            }
            PairGuard guard(c->lock, other->lock);
            if (c->state() != s) continue;
            ASSERT(es::connects_to(other->state(), d.id, port));
            if (other != c) other->set(es::peer_closed(other->state()));
            c->set({});
            d.events.layout().clear_pending(d, *c, port);
            break;
        }
        if (s.kind == ChannelKind::pirq) unbind_pirq(d, Pirq(s.value), port);
        LockGuard guard(c->lock);
        if (c->state() != s) continue;
        if (s.kind == ChannelKind::virq) forget_virq(d, port, s);
        c->set({});
        d.events.layout().clear_pending(d, *c, port);
        break;
    }
    note_free(d, port);
    return {};
}

}  // namespace

Result<EvtPort> alloc_unbound(Domain& d, DomId remote) {
    Reservation r = TRY(reserve_any(d));
    return r.keep(es::unbound(remote));
}

Result<> alloc_unbound_at(Domain& d, EvtPort port, DomId remote) {
    Reservation r = TRY(reserve_at(d, port));
    r.keep(es::unbound(remote));
    return {};
}

Result<EvtPort> bind_interdomain(Domain& d, DomId remote, EvtPort remote_port) {
    Domain* rd = find_domain(remote);
    if (rd == nullptr) return fail(Error::srch);
    Reservation r = TRY(reserve_any(d));
    Channel* other = TRY(used_channel(*rd, remote_port));
    Channel& mine = r.channel();
    {
        PairGuard guard(mine.lock, other->lock);
        other->set(TRY(es::connected(other->state(), d.id, r.port())));
        mine.set(es::interdomain(remote, remote_port));
        // Whatever the peer may have sent before now was swallowed.
        set_pending_locked(d, mine, r.port());
    }
    return r.kept();
}

Result<EvtPort> bind_virq(Domain& d, u32 virq, VcpuId vcpu) {
    if (virq >= NR_VIRQS) return fail(Error::inval);
    const bool per_vcpu = virq_is_per_vcpu(virq);
    if (!per_vcpu && vcpu != VcpuId(0)) return fail(Error::inval);
    Vcpu* v = d.vcpu(vcpu);
    if (v == nullptr) return fail(Error::noent);
    std::atomic<u32>& slot = per_vcpu ? v->virq_port[virq] : d.events.global_virq[virq];
    if (slot.load(std::memory_order_acquire) != 0) return fail(Error::exist);
    Reservation r = TRY(reserve_any(d));
    u32 none = 0;
    // The channel is set before a sender can find it. Until the guest knows the number it cannot close it.
    if (!slot.compare_exchange_strong(none, r.port().v)) return fail(Error::exist);
    return r.keep(es::virq(virq, vcpu));
}

Result<EvtPort> bind_ipi(Domain& d, VcpuId vcpu) {
    if (d.vcpu(vcpu) == nullptr) return fail(Error::noent);
    Reservation r = TRY(reserve_any(d));
    return r.keep(es::ipi(vcpu));
}

Result<EvtPort> bind_pirq(Domain& d, Pirq pirq, u32 flags) {
    if ((flags & ~u32{BIND_PIRQ__WILL_SHARE}) != 0) return fail(Error::inval);
    Reservation r = TRY(reserve_any(d));
    TRY(bind_pirq_line(d, pirq, r.port()));
    const EvtPort port = r.keep(es::pirq(pirq));
    start_pirq(d, pirq, port);  // only now: a level-triggered line fires once until it is ended
    return port;
}

Result<> close_port(Domain& d, EvtPort port) { return close_any(d, port); }

Result<evtchn_status_t> port_status(Domain& d, EvtPort port) {
    if (port.v >= d.events.layout().max_ports) return fail(Error::inval);
    Channel* c = d.events.find(port);
    return es::status(c == nullptr ? ChannelState{} : c->state());
}

Result<> bind_port_to_vcpu(Domain& d, EvtPort port, VcpuId vcpu) {
    if (d.vcpu(vcpu) == nullptr) return fail(Error::noent);
    Channel* c = TRY(used_channel(d, port));
    ChannelState s;
    {
        LockGuard guard(c->lock);
        s = TRY(es::notifying(c->state(), vcpu));
        c->set(s);
    }
    if (s.kind == ChannelKind::pirq) aim_pirq(d, Pirq(s.value), vcpu);
    return {};
}

Result<> set_port_priority(Domain& d, EvtPort port, u32 priority) {
    if (&d.events.layout() != &kFifoEvents) return fail(Error::nosys);
    if (priority > EVTCHN_FIFO_PRIORITY_MIN) return fail(Error::inval);
    Channel* c = TRY(used_channel(d, port));
    LockGuard guard(c->lock);
    ChannelState s = c->state();
    if (!es::in_use(s)) return fail(Error::inval);
    s.priority = static_cast<u8>(priority);
    c->set(s);
    return {};
}

Result<> reset_events(Domain& d, u32& next) {
    EventChannels& e = d.events;
    for (u32 p = e.ports.next_present(next); p < kMaxPorts; p = e.ports.next_present(p + 1)) {
        // A CPU that has just reserved it, perhaps for a domain that is at its end by now, makes something of
        // it in a few steps more; what that is must not be left behind.
        while (p != 0 && e.ports.find(p)->state().kind == ChannelKind::reserved) port::relax();
        // A port that is not in use is nothing to complain about here.
        static_cast<void>(close_any(d, EvtPort(p)));
        if (p % 64 == 63 && port::preempt_wanted()) {
            next = p + 1;
            return fail(Error::restart);
        }
    }
    next = 0;
    leave_fifo(d);
    return {};
}

}  // namespace domus::core

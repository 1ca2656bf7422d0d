// SPDX-License-Identifier: GPL-2.0-or-later
// Event channels: sending, unmasking, asking. These take the lock of the receiving port and no other.
#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "core/evtchn.hpp"

namespace domus::core {

namespace es = event_state;

namespace {

// One more than the id of the domain that takes a global VIRQ in the hardware domain's stead; 0: nobody.
constinit std::atomic<u32> virq_handlers[NR_VIRQS] = {};

// With c's lock held and its state checked.
void set_pending(Domain& d, Channel& c, EvtPort port, const ChannelState& s) {
    if (Vcpu* v = d.vcpu(VcpuId(s.notify))) d.events.layout().set_pending(d, c, port, *v);
}

void send_interdomain(Domain& d, EvtPort port, const ChannelState& local) {
    Domain* rd = find_domain(local.peer);
    if (rd == nullptr) return;
    const EvtPort remote_port(local.value);
    Channel* other = rd->events.find(remote_port);
    if (other == nullptr) return;
    LockGuard guard(other->lock);
    const ChannelState s = other->state();
    if (es::connects_to(s, d.id, port)) set_pending(*rd, *other, remote_port, s);  // else just closed
}

void send_to_virq_port(Domain& d, u32 port, u32 virq) {
    if (port == 0) return;
    Channel* c = d.events.find(EvtPort(port));
    if (c == nullptr) return;
    LockGuard guard(c->lock);
    const ChannelState s = c->state();
    if (s.kind == ChannelKind::virq && s.value == virq) set_pending(d, *c, EvtPort(port), s);
}

}  // namespace

Result<> send_event(Domain& d, EvtPort port) {
    Channel* c = d.events.find(port);
    if (c == nullptr) return fail(Error::inval);
    const ChannelState s = c->state();
    switch (s.kind) {
        case ChannelKind::interdomain: send_interdomain(d, port, s); return {};
        case ChannelKind::ipi: {
            LockGuard guard(c->lock);
            if (c->state() == s) set_pending(d, *c, port, s);
            return {};
        }
        case ChannelKind::unbound: return {};
        default: return fail(Error::inval);
    }
}

Result<> unmask_port(Domain& d, EvtPort port) {
    Channel* c = d.events.find(port);
    if (c == nullptr) return fail(Error::inval);
    LockGuard guard(c->lock);
    const ChannelState s = c->state();
    if (!es::in_use(s)) return fail(Error::inval);
    if (Vcpu* v = d.vcpu(VcpuId(s.notify))) d.events.layout().unmask(d, *c, port, *v);
    return {};
}

Result<bool> port_pending(Domain& d, EvtPort port) {
    Channel* c = d.events.find(port);
    if (c == nullptr || !es::in_use(c->state())) return fail(Error::inval);
    return d.events.layout().is_pending(d, *c, port);
}

void send_virq(Vcpu& v, u32 virq) {
    ASSERT(virq < NR_VIRQS && virq_is_per_vcpu(virq));
    send_to_virq_port(*v.domain, v.virq_port[virq].load(std::memory_order_acquire), virq);
}

void send_global_virq(Domain& d, u32 virq) {
    ASSERT(virq < NR_VIRQS && !virq_is_per_vcpu(virq));
    send_to_virq_port(d, d.events.global_virq[virq].load(std::memory_order_acquire), virq);
}

void send_global_virq(u32 virq) {
    const u32 handler = virq_handlers[virq].load();
    Domain* d = handler != 0 ? find_domain(DomId(static_cast<u16>(handler - 1))) : hardware_domain();
    if (d != nullptr) send_global_virq(*d, virq);
}

Result<> set_virq_handler(Domain& d, u32 virq) {
    if (virq >= NR_VIRQS || virq_is_per_vcpu(virq) || d.dying.load() != Dying::no) return fail(Error::inval);
    virq_handlers[virq].store(u32{d.id.v} + 1);
    return {};
}

void drop_virq_handlers(const Domain& d) {
    for (auto& handler : virq_handlers) {
        u32 ours = u32{d.id.v} + 1;
        handler.compare_exchange_strong(ours, 0);
    }
}

void send_pirq(Domain& d, EvtPort port, Pirq pirq) {
    Channel* c = d.events.find(port);
    if (c == nullptr) return;
    LockGuard guard(c->lock);
    const ChannelState s = c->state();
    if (s.kind == ChannelKind::pirq && s.value == pirq.v) set_pending(d, *c, port, s);
}

}  // namespace domus::core

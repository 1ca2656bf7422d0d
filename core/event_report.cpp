// SPDX-License-Identifier: GPL-2.0-or-later
// The report of event channels and of vCPUs that wait for them (debug key e): for a guest that stands still,
// it tells whether something is pending that it has not been told of.
#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "core/evtchn.hpp"
#include "core/report.hpp"
#include "port/time.hpp"

namespace domus::core {

namespace {

// A domain may have 131,071 ports, and a serial line takes some ms for each.
constexpr u32 kMostPorts = 128;

// Everything here is read as it changes: a report must not hold up those who send.
void report_timer(const Report& r, const char* name, const Timer& t, Nanos now) {
    if (t.queued()) r.line("      {} timer due in {} us", name, (t.when - now) / 1000);
}

void report_vcpu(const Report& r, const Vcpu& v, Nanos now) {
    const vcpu_info_t& info = *v.info_now();
    const u32 poll = v.polling.load();
    r.line("    vCPU {}: {}{}upcall {}{}{}", v.id, v.online.load() ? "" : "down, ",
           v.blocked.load() ? "blocked, " : "",
           __atomic_load_n(&info.evtchn_upcall_pending, __ATOMIC_RELAXED) != 0 ? "pending" : "not pending",
           __atomic_load_n(&info.evtchn_upcall_mask, __ATOMIC_RELAXED) != 0 ? ", masked" : "",
           poll == Vcpu::kPollNone ? "" : ", polls ports");
    report_timer(r, "single-shot", v.singleshot_timer, now);
    report_timer(r, "periodic", v.periodic_timer, now);
    report_timer(r, "poll", v.poll_timer, now);
}

void report_port(const Report& r, const Domain& d, EvtPort port, const Channel& channel) {
    const ChannelState s = channel.state();
    const EventAbi& layout = d.events.layout();
    const char* const pending = layout.is_pending(d, channel, port) ? ", pending" : "";
    const char* const masked = layout.is_masked(d, channel, port) ? ", masked" : "";
    switch (s.kind) {
        case ChannelKind::interdomain:
            r.line("    port {}: d{} port {}, to vCPU {}{}{}", port, s.peer, s.value, s.notify, pending,
                   masked);
            break;
        case ChannelKind::unbound:
            r.line("    port {}: waits for d{}, to vCPU {}{}{}", port, s.peer, s.notify, pending, masked);
            break;
        case ChannelKind::pirq:
            r.line("    port {}: PIRQ {}, to vCPU {}{}{}", port, s.value, s.notify, pending, masked);
            break;
        case ChannelKind::virq:
            r.line("    port {}: VIRQ {}, to vCPU {}{}{}", port, s.value, s.notify, pending, masked);
            break;
        case ChannelKind::ipi:
            r.line("    port {}: IPI, to vCPU {}{}{}", port, s.notify, pending, masked);
            break;
        case ChannelKind::free:
        case ChannelKind::reserved: break;
    }
}

}  // namespace

void report_events(void (*write)(std::string_view)) {
    const Report r(write);
    const Nanos now = port::now();
    r.line("events at {} ms:", now / kMillisecond);
    for (Domain* d = next_domain(DomId(0)); d != nullptr; d = next_domain(d->id + 1)) {
        const EventAbi& layout = d->events.layout();
        r.line("  domain {}: {}{}", d->id, &layout == &kFifoEvents ? "FIFO queues" : "two levels",
               d->pause_count.load() != 0 ? ", paused" : "");
        for_each_vcpu(*d, [&](const Vcpu& v) { report_vcpu(r, v, now); });
        u32 shown = 0;
        constexpr u32 kBucket = decltype(d->events.ports)::kBucket;
        for (EvtPort port{1}; port.v < layout.max_ports && shown < kMostPorts; ++port) {
            const Channel* const channel = d->events.find(port);
            if (channel == nullptr) {
                port.v += kBucket - 1 - port.v % kBucket;
            } else if (event_state::in_use(channel->state())) {
                report_port(r, *d, port, *channel);
                shown++;
            }
        }
        if (shown == kMostPorts) r.line("    no more than {} ports are shown", kMostPorts);
    }
}

}  // namespace domus::core

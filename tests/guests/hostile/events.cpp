// SPDX-License-Identifier: GPL-2.0-or-later
#include "hostile/events.hpp"

#include <type_traits>

#include "hostile/arena.hpp"

namespace hostile {

namespace {

u32 spared[2];
bool is_dom0 = true;

u32 some_port(Random& r) {
    for (;;) {
        const u32 port = static_cast<u32>(r.one_in(8) ? r.edge() : r.below(48));
        if (is_dom0 || (port != spared[0] && port != spared[1])) return port;
    }
}
u32 some_vcpu(Random& r) { return static_cast<u32>(r.one_in(8) ? r.edge() : r.below(4)); }

}  // namespace

void spare_events(const start_info_t& info) {
    is_dom0 = (info.flags & SIF_INITDOMAIN) != 0;
    if (is_dom0) return;
    spared[0] = info.console.domU.evtchn;
    spared[1] = info.store_evtchn;
}

Call event_operation(Random& r, u64 place) {
    u64 command = r.one_in(32) ? r.edge() : r.below(15);
    // A reset closes the console, too.
    if (command == EVTCHNOP_reset && !is_dom0) command = EVTCHNOP_unmask;
    const auto make = [&](const auto& value) {
        using T = std::remove_cvref_t<decltype(value)>;
        *reinterpret_cast<T*>(place) = value;
        return Call{.number = __HYPERVISOR_event_channel_op, .arguments = {command, place, 0, 0, 0}};
    };
    const auto domain = [&] { return static_cast<domid_t>(some_domain(r)); };
    switch (command) {
        case EVTCHNOP_bind_interdomain:
            return make(evtchn_bind_interdomain_t{
                .remote_dom = domain(), .remote_port = some_port(r), .local_port = 0});
        case EVTCHNOP_bind_virq:
            return make(evtchn_bind_virq_t{.virq = static_cast<u32>(r.one_in(8) ? r.edge() : r.below(24)),
                                           .vcpu = some_vcpu(r),
                                           .port = 0});
        case EVTCHNOP_bind_pirq:
            return make(evtchn_bind_pirq_t{.pirq = static_cast<u32>(r.one_in(4) ? r.edge() : r.below(300)),
                                           .flags = static_cast<u32>(r.below(4)),
                                           .port = 0});
        case EVTCHNOP_close:
        case EVTCHNOP_send:
        case EVTCHNOP_unmask: return make(evtchn_send_t{.port = some_port(r)});
        case EVTCHNOP_status:
            return make(
                evtchn_status_t{.dom = domain(), .port = some_port(r), .status = 0, .vcpu = 0, .u = {}});
        case EVTCHNOP_alloc_unbound:
            return make(evtchn_alloc_unbound_t{.dom = domain(), .remote_dom = domain(), .port = 0});
        case EVTCHNOP_bind_ipi: return make(evtchn_bind_ipi_t{.vcpu = some_vcpu(r), .port = 0});
        case EVTCHNOP_bind_vcpu: return make(evtchn_bind_vcpu_t{.port = some_port(r), .vcpu = some_vcpu(r)});
        case EVTCHNOP_reset: return make(evtchn_reset_t{.dom = domain()});
        case EVTCHNOP_init_control:
            return make(
                evtchn_init_control_t{.control_gfn = expendable_frame(r).v,
                                      .offset = static_cast<u32>(r.one_in(4) ? r.edge() : r.below(512) * 8),
                                      .vcpu = some_vcpu(r),
                                      .link_bits = 0,
                                      ._pad = {}});
        case EVTCHNOP_expand_array: return make(evtchn_expand_array_t{.array_gfn = expendable_frame(r).v});
        case EVTCHNOP_set_priority:
            return make(evtchn_set_priority_t{
                .port = some_port(r), .priority = static_cast<u32>(r.one_in(4) ? r.edge() : r.below(17))});
        default:
            return {.number = __HYPERVISOR_event_channel_op,
                    .arguments = {command, r.one_in(2) ? some_address(r) : place, 0, 0, 0}};
    }
}

}  // namespace hostile

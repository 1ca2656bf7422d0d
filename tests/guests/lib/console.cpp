// SPDX-License-Identifier: GPL-2.0-or-later
// Printing through the console ring and by hypercall, and the end of the machine.
#include "lib/console.hpp"

#include <xen/io/console.h>

#include "base/assert.hpp"
#include "lib/hypercall.hpp"
#include "lib/memory.hpp"

namespace guest {

namespace {

xencons_interface* ring = nullptr;  // of a domain that is not dom0
u32 ring_port = 0;
u32 lock = 0;

void put_in_ring(char c) {
    const u32 at = ring->out_prod;
    while (at - __atomic_load_n(&ring->out_cons, __ATOMIC_ACQUIRE) >= sizeof ring->out)
        hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    ring->out[MASK_XENCONS_IDX(at, ring->out)] = c;
    __atomic_store_n(&ring->out_prod, at + 1, __ATOMIC_RELEASE);
}

}  // namespace

void init_console(const start_info_t& info) {
    if ((info.flags & SIF_INITDOMAIN) != 0) return;
    ring = static_cast<xencons_interface*>(boot_pointer(Mfn(info.console.domU.mfn)));
    ring_port = info.console.domU.evtchn;
}

void print(std::string_view text) {
    if (ring == nullptr) {
        hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, text.size(), reinterpret_cast<u64>(text.data()));
        return;
    }
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE) != 0)
        hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    for (const char c : text) {
        if (c == '\n') put_in_ring('\r');
        put_in_ring(c);
    }
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
    evtchn_send_t send{.port = ring_port};
    operate(__HYPERVISOR_event_channel_op, EVTCHNOP_send, send);
}

void power_off() {
    // dom0 is to turn the machine off itself: by ACPI, whose sleep type for S5 is 0 on the machines that we
    // run on.
    xen_platform_op_t off{};
    off.cmd = XENPF_enter_acpi_sleep;
    off.interface_version = XENPF_INTERFACE_VERSION;
    off.u.enter_acpi_sleep.sleep_state = 5;
    if (ring == nullptr) hypercall(__HYPERVISOR_platform_op, address(off));
    sched_shutdown_t reason{.reason = SHUTDOWN_poweroff};
    for (;;) operate(__HYPERVISOR_sched_op, SCHEDOP_shutdown, reason);
}

}  // namespace guest

void domus::panic_text(const char* what) {
    guest::say("guest: {}", what);
    guest::power_off();
}

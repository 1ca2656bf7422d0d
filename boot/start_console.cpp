// SPDX-License-Identifier: GPL-2.0-or-later
// The console as the command line asks for it. Lines logged before it is attached are in the ring, and shown
// then.
#include "boot/start.hpp"
#include "drivers/console.hpp"
#include "drivers/console_input.hpp"
#include "drivers/parse.hpp"
#include "drivers/vga_text.hpp"
#include "port/memory.hpp"
#include "pv/io_ports.hpp"

namespace domus::boot {

namespace {

constinit Uart uarts[2];
constinit VgaText screen;
constinit Uart* input = nullptr;

void attach_uart(Uart& uart, const UartConfig& config) {
    if (uart.present()) return;
    if (!uart.init(config)) {
        log(Level::warning, "no serial port answers at {:#x}", config.io_base);
        return;
    }
    (void)console::attach(
        {.write = [](void* device, std::string_view text) { static_cast<Uart*>(device)->write(text); },
         .device = &uart});
    pv::claim_uart(config.io_base);
    if (input == nullptr) input = &uart;
}

void attach_screen() {
    if (boot_info.video.kind == VideoMode::Kind::linear) return;  // a frame buffer: dom0's to draw on
    screen.init(static_cast<volatile u16*>(port::direct_map(Maddr(kVgaTextAddress))));
    (void)console::attach(
        {.write = [](void* device, std::string_view text) { static_cast<VgaText*>(device)->write(text); },
         .device = &screen});
}

}  // namespace

Uart* console_uart() { return input; }

void start_console() {
    console::configure(options.log_levels, options.guest_levels, options.console_timestamps);
    (void)console::set_switch(options.conswitch);
    for (std::string_view list = options.console; !list.empty();) {
        const std::string_view name = cut(list, ',');
        if (name == "com1")
            attach_uart(uarts[0], options.com1);
        else if (name == "com2")
            attach_uart(uarts[1], options.com2);
        else if (name == "vga")
            attach_screen();
        else if (name != "none")
            log(Level::warning, "console={}: not a console of this version (com1, com2, vga, none)", name);
    }
}

}  // namespace domus::boot

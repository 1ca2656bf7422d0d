// SPDX-License-Identifier: GPL-2.0-or-later
// The console as the command line asks for it. Lines logged before it is attached are in the ring, and shown
// then.
#include <algorithm>
#include <bit>

#include "boot/start.hpp"
#include "drivers/console.hpp"
#include "drivers/console_input.hpp"
#include "drivers/parse.hpp"
#include "drivers/vga_text.hpp"
#include "mm/heap.hpp"
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

void enlarge_console_ring(u32 cpus) {
    // A boot's messages, and some more for each CPU that may speak.
    constexpr u64 kLeast = 64 * kKiB, kEachCpu = 4 * kKiB, kMost = 256 * kMiB;
    const u64 wanted = options.conring_size != 0 ? options.conring_size : std::max(kLeast, cpus * kEachCpu);
    const u64 size = std::bit_ceil(std::clamp(wanted, kLeast, kMost));
    const Result<Mfn> frames = alloc_frames(static_cast<unsigned>(std::countr_zero(size / kPageSize)));
    if (!frames) {
        log(Level::warning, "no memory for a console ring of {} KiB: it stays small", size / kKiB);
        return;
    }
    console::set_ring({port::frame_ptr<char>(*frames), size});
}

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

// SPDX-License-Identifier: GPL-2.0-or-later
// The order in which the machine comes up. Each step is one function; what a step needs, the ones before it
// have made.
#pragma once

#include "base/assert.hpp"
#include "boot/boot_info.hpp"
#include "boot/cmdline.hpp"
#include "boot/memory.hpp"
#include "drivers/uart.hpp"

namespace domus {
struct Domain;
}

namespace domus::boot {

[[noreturn]] void refuse_text(const char* line);

// Ends the boot with the one line an operator needs: what is wrong, and what to do about it.
template <class... Args>
[[noreturn]] void refuse(FormatString<Args...> fmt, const Args&... args) {
    char line[256];
    constexpr std::string_view lead = "Domus cannot start: ";
    __builtin_memcpy(line, lead.data(), lead.size());
    format_to(std::span(line).subspan(lead.size()), fmt, args...);
    refuse_text(line);
}

// What the boot loader passed.
extern BootInfo boot_info;
extern BootOptions options;

// The console as the command line asks (start_console.cpp).
void start_console();
// The ring of messages for the toolstack, in the size the command line asks for; the heap is up.
void enlarge_console_ring(u32 cpus);
// The serial port that is the console; null if there is none.
Uart* console_uart();

// Machine memory: page tables, metadata, the heap (start_memory.cpp).
void start_memory();
// Contiguous memory kept back from the heap for unpacking the kernel; smaller than asked for (or empty) where
// there is no such range. To be given back in any number of pieces.
ByteRange unpacking_area();
// Page-aligned memory goes to the heap.
void give_to_heap(ByteRange range);
// The machine address of something in the hypervisor's image.
Maddr image_address(const void* p);
// Machine memory for looking at tables: maps the range into the direct map first.
const void* view_memory(Maddr at, u64 size);

// Connects devices and firmware to the hypercalls that serve dom0 (start_platform.cpp); the core is up.
void start_platform();
// What of the machine the hardware domain may use.
void grant_devices(Domain& d);

// Builds the control domain from the boot modules and makes it runnable (start_dom0.cpp).
void start_dom0();

}  // namespace domus::boot

// SPDX-License-Identifier: GPL-2.0-or-later
// The first C++ after boot.S: brings the machine up, builds dom0, and leaves to it.
#include "boot/start.hpp"

#include "arch/cpu.hpp"
#include "arch/cpu_area.hpp"
#include "arch/features.hpp"
#include "arch/idt.hpp"
#include "arch/insn.hpp"
#include "arch/paging.hpp"
#include "base/log.hpp"
#include "boot/multiboot.hpp"
#include "drivers/console.hpp"
#include "drivers/uart.hpp"
#include "port/machine.hpp"
#include "port/memory.hpp"

extern "C" [[noreturn]] void call_on_stack(domus::u64 stack, void (*function)(void*), void* argument);
extern "C" [[noreturn]] void start_guests();

namespace domus::boot {

constinit BootInfo boot_info;

namespace {

constinit Uart com1;

void start_console() {
    console::init();
    if (com1.init(kCom1)) {
        (void)console::attach(
            {.write = [](void* device, std::string_view text) { static_cast<Uart*>(device)->write(text); },
             .device = &com1});
    }
}

// On the CPU's own stack, with its own tables.
void start_on_own_stack(void*) {
    x86::build_idt();
    x86::load_cpu_tables(CpuId(0));
    log(Level::info, "CPU 0 is on its own tables ({}{}{})", std::string_view(x86::features.vendor),
        x86::features.xsave ? ", XSAVE" : "", x86::features.smep ? ", SMEP" : "");
    panic("nothing to run yet");
}

}  // namespace

void refuse_text(const char* line) {
    console::enter_panic();
    log(Level::error, "{}", line);
    port::machine_crashed();
}

extern "C" [[noreturn]] void domus_start(u32 magic, u32 info) {
    start_console();
    log(Level::info, "Domus, serving the Xen 4.17 interface");
    const PhysReader reader{[](void*, Maddr at, u64 size) -> const void* {
        return at.v < 4 * kGiB && size <= 4 * kGiB - at.v ? port::direct_map(at) : nullptr;
    }};
    if (const Result<> r = read_multiboot(magic, Maddr(info), reader, boot_info); !r)
        refuse(
            "it was not loaded by a multiboot boot loader. Use GRUB's multiboot or multiboot2 command, or "
            "QEMU's -kernel.");
    x86::detect_features(true, true, true);
    start_memory();
    if (const Result<> r = x86::create_cpu_area(CpuId(0)); !r)
        refuse("no memory for CPU 0. Give the machine more memory.");
    call_on_stack(x86::stack_top(CpuId(0)) - sizeof(CpuInfo), start_on_own_stack, nullptr);
}

}  // namespace domus::boot

namespace domus::port {

void machine_crashed() { x86::halt_forever(); }

}  // namespace domus::port

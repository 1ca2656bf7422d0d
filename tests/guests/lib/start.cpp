// SPDX-License-Identifier: GPL-2.0-or-later
// The first C++ of a test kernel, its command line's numbers, and its clock.
#include "lib/start.hpp"

#include "base/assert.hpp"
#include "lib/console.hpp"
#include "lib/cpu.hpp"
#include "lib/hypercall.hpp"
#include "lib/memory.hpp"

namespace guest {

namespace {

alignas(kPageSize) u8 shared_info_place[kPageSize];
const start_info_t* boot_info = nullptr;

u64 read_tsc() {
    u32 low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return u64{high} << 32 | low;
}

}  // namespace

extern "C" [[noreturn]] void guest_main(const start_info_t* info) {
    boot_info = info;
    shared_info = reinterpret_cast<shared_info_t*>(shared_info_place);
    const u64 map = hypercall(__HYPERVISOR_update_va_mapping, reinterpret_cast<u64>(shared_info_place),
                              info->shared_info | kRw, UVMF_INVLPG) == 0;
    init_console(*info);
    if (map == 0) panic("the shared info page cannot be mapped");
    init_traps();
    init_memory(*info);
    run(*info);
    power_off();
}

u64 option(std::string_view name, u64 otherwise) {
    const std::string_view line(reinterpret_cast<const char*>(boot_info->cmd_line));
    for (usize at = 0; at < line.size(); at++) {
        if ((at != 0 && line[at - 1] != ' ') || !line.substr(at).starts_with(name)) continue;
        usize i = at + name.size();
        if (i >= line.size() || line[i++] != '=') continue;
        u64 value = 0;
        for (; i < line.size() && line[i] >= '0' && line[i] <= '9'; i++)
            value = value * 10 + static_cast<u64>(line[i] - '0');
        return value;
    }
    return otherwise;
}

u64 now() {
    const volatile vcpu_time_info_t& t = vcpu_info(this_cpu().id).time;
    for (;;) {
        const u32 version = t.version;
        asm volatile("" : : : "memory");
        u64 delta = read_tsc() - t.tsc_timestamp;
        delta = t.tsc_shift >= 0 ? delta << t.tsc_shift : delta >> -t.tsc_shift;
        __extension__ using Wide = unsigned __int128;
        const u64 ns = t.system_time + static_cast<u64>(Wide{delta} * t.tsc_to_system_mul >> 32);
        asm volatile("" : : : "memory");
        if ((version & 1) == 0 && version == t.version) return ns;
    }
}

}  // namespace guest

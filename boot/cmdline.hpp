// SPDX-License-Identifier: GPL-2.0-or-later
// The hypervisor's command line: its options as a table, and their values as one struct.
#pragma once

#include <span>
#include <string_view>

#include "base/types.hpp"
#include "boot/dom0_memory.hpp"
#include "core/grant_table.hpp"
#include "drivers/console_levels.hpp"
#include "drivers/console_stamp.hpp"
#include "drivers/uart.hpp"

namespace domus {

struct VcpuRange {
    u32 min = 1, max = ~u32{0};
    constexpr bool operator==(const VcpuRange&) const = default;
};

// Texts point into the command line that was parsed.
struct BootOptions {
    std::string_view console = "com1,vga";
    UartConfig com1 = kCom1, com2 = kCom2;
    bool com1_given = false, com2_given = false;
    LevelThresholds log_levels{2, 2};    // errors and warnings
    LevelThresholds guest_levels{0, 2};  // errors and warnings, at a limited rate
    StampKind console_timestamps = StampKind::none;
    u64 conring_size = 0;  // bytes; 0: chosen by the number of CPUs
    std::string_view conswitch = "a";

    Dom0MemoryOption dom0_mem;
    VcpuRange dom0_max_vcpus;
    bool dom0_vcpus_pin = false;
    std::string_view dom0_extra;  // what follows " -- ": appended to dom0's kernel command line

    u32 maxcpus = ~u32{0};
    bool nosmp = false;
    std::string_view sched = "credit2";
    u64 sched_ratelimit_us = 1000;

    core::GrantLimits grants;

    bool noreboot = false;
    std::string_view nmi = "dom0";
    std::string_view reboot;  // "" : by what the machine offers
    bool smep = true, smap = true, xsave = true;
    bool x2apic = false;
};

enum class OptionKind : u8 {
    boolean,  // NAME, no-NAME, or NAME= one of on off yes no true false enable disable 1 0
    value,    // NAME=VALUE
    no_use,   // accepted, without any effect here: nothing is lost by it
    missing,  // an option of Xen's that this version does not implement: a warning says so
};

struct Option {
    std::string_view name;
    OptionKind kind;
    std::string_view form;  // what may follow "NAME="
    std::string_view default_text;
    std::string_view help;  // one or more sentences
    bool (*set)(BootOptions& options,
                std::string_view value);  // false: not in the accepted form. Null without effect
};

// All options, in the order in which the documentation shows them.
std::span<const Option> option_table();

struct CommandLineReport {
    u32 unknown = 0, malformed = 0;
};

// Reads a command line into `options`; of options given twice the last one counts (of dom0_mem=, the last of
// each of its parts). An unknown option, a malformed value and an option without effect leave a line in the
// log and are counted. In names '-' and '_' are the same.
CommandLineReport parse_command_line(std::string_view line, BootOptions& options);

// on off yes no true false enable disable 1 0
std::optional<bool> parse_bool(std::string_view text);

}  // namespace domus

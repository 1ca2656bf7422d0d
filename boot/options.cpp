// SPDX-License-Identifier: GPL-2.0-or-later
// The table of the hypervisor's options. docs/command-line.md is made from it.
#include "boot/cmdline.hpp"
#include "drivers/parse.hpp"

namespace domus {
namespace {

using B = BootOptions;
using Text = std::string_view;

template <auto Member>
bool set_flag(B& o, Text v) {
    const auto b = parse_bool(v);
    if (b) o.*Member = *b;
    return b.has_value();
}

template <auto Member>
bool set_flag_off(B& o, Text v) {
    const auto b = parse_bool(v);
    if (b) o.*Member = !*b;
    return b.has_value();
}

template <auto Member>
bool set_text(B& o, Text v) {
    o.*Member = v;
    return !v.empty();
}

template <auto Member, u64 Min, u64 Max>
bool set_number(B& o, Text v) {
    const auto n = parse_number(v, Max);
    if (!n || *n < Min) return false;
    o.*Member = static_cast<std::remove_reference_t<decltype(o.*Member)>>(*n);
    return true;
}

// One of the words in `choices`, which are separated by '|'.
bool set_choice(Text& out, Text v, Text choices) {
    while (!choices.empty())
        if (cut(choices, '|') == v) return out = v, true;
    return false;
}

template <auto Member>
bool set_levels(B& o, Text v) {
    const auto levels = parse_levels(v);
    if (levels) o.*Member = *levels;
    return levels.has_value();
}

template <auto Member, auto Given>
bool set_uart(B& o, Text v) {
    if (!parse_uart(v, o.*Member)) return false;
    return o.*Given = true;
}

bool set_timestamps(B& o, Text v) {
    if (const auto b = parse_bool(v)) {
        o.console_timestamps = *b ? StampKind::date : StampKind::none;
        return true;
    }
    const auto kind = parse_stamp_kind(v);
    if (kind) o.console_timestamps = *kind;
    return kind.has_value();
}

bool set_conring(B& o, Text v) {
    const auto size = parse_size_in_kib(v);
    if (!size || *size > 256 * kMiB) return false;
    o.conring_size = *size;
    return true;
}

bool set_dom0_mem(B& o, Text v) {
    Dom0MemoryOption parsed = o.dom0_mem;
    do {
        Text part = cut(v, ',');
        std::optional<MemoryAmount>* which = &parsed.amount;
        if (part.starts_with("min:"))
            which = &parsed.min, part.remove_prefix(4);
        else if (part.starts_with("max:"))
            which = &parsed.max, part.remove_prefix(4);
        const auto amount = parse_memory_amount(part);
        if (!amount) return false;
        *which = amount;
    } while (!v.empty());
    o.dom0_mem = parsed;
    return true;
}

bool set_dom0_vcpus(B& o, Text v) {
    constexpr u64 kMost = 8192;
    const usize dash = v.find('-');
    const auto first = parse_number(v.substr(0, dash), kMost);
    VcpuRange range;
    if (dash == Text::npos) {
        if (!first || *first == 0) return false;
        range.min = range.max = static_cast<u32>(*first);
    } else {
        const Text rest = v.substr(dash + 1);
        const auto second = parse_number(rest, kMost);
        if ((!first && dash != 0) || (!second && !rest.empty()) || (!first && !second)) return false;
        if (first) range.min = static_cast<u32>(*first);
        if (second) range.max = static_cast<u32>(*second);
        if (range.min == 0 || range.max < range.min) return false;
    }
    o.dom0_max_vcpus = range;
    return true;
}

bool set_gnttab(B& o, Text v) {
    core::GrantLimits l = o.grants;
    do {
        const Text part = cut(v, ',');
        const usize at = part.find_first_of(":=");
        const Text name = part.substr(0, at);
        const Text value = at == Text::npos ? Text("on") : part.substr(at + 1);
        if (name == "max-ver") {
            const auto n = parse_number(value, 2);
            if (!n || *n == 0) return false;
            l.max_version = static_cast<u32>(*n);
        } else {
            const bool negated = name.starts_with("no-");
            const Text flag = negated ? name.substr(3) : name;
            const auto b = parse_bool(value);
            if (!b || (negated && at != Text::npos) || (flag != "transitive" && flag != "transfer"))
                return false;
            (flag == "transitive" ? l.transitive : l.transfer) = negated ? false : *b;
        }
    } while (!v.empty());
    o.grants = l;
    return true;
}

template <auto Member, u64 Max>
bool set_grant_frames(B& o, Text v) {
    const auto n = parse_number(v, Max);
    if (!n || *n == 0) return false;
    o.grants.*Member = static_cast<u32>(*n);
    return true;
}

bool set_reboot(B& o, Text v) {
    if (v == "no" || v == "n") return o.noreboot = true;
    return set_choice(o.reboot, v, "acpi|a|kbd|k|triple|t|pci|p");
}

constexpr Text kBoolean = "<boolean>";
using enum OptionKind;

constexpr Option kOptions[] = {
    {"console", value, "<device>[,<device>...]", "com1,vga",
     "Where the hypervisor's messages and dom0's console go: com1, com2, vga, none.", set_text<&B::console>},
    {"com1", value, "<baud>[/<base-baud>][,[<data><parity><stop>][,[<io-base>][,[<irq>]]]]",
     "115200,8n1,0x3f8,4",
     "The first serial port. A baud of auto keeps what firmware has set. Without a working interrupt (irq 0: "
     "none) its "
     "input is polled.",
     set_uart<&B::com1, &B::com1_given>},
    {"com2", value, "<baud>[/<base-baud>][,[<data><parity><stop>][,[<io-base>][,[<irq>]]]]",
     "115200,8n1,0x2f8,3", "The second serial port.", set_uart<&B::com2, &B::com2_given>},
    {"loglvl", value, "<level>[/<level>]", "warning",
     "The hypervisor's own messages up to the first level (none, error, warning, info, debug, all) are "
     "shown, "
     "those up to the second at a limited rate.",
     set_levels<&B::log_levels>},
    {"guest_loglvl", value, "<level>[/<level>]", "none/warning",
     "The same for messages that report what a guest did.", set_levels<&B::guest_levels>},
    {"console_timestamps", value, "none|date|datems|boot|raw|<boolean>", "none",
     "A time in front of each message: the date, with milliseconds, seconds since boot, or the TSC.",
     set_timestamps},
    {"conring_size", value, "<size>", "by the number of CPUs",
     "The size of the ring of messages that the toolstack can read, rounded up to a power of two.",
     set_conring},
    {"conswitch", value, "<letter>[x]", "a",
     "Ctrl and this letter, three times, switch the keyboard between dom0 and the hypervisor. With x after "
     "it, the keyboard starts at the hypervisor.",
     set_text<&B::conswitch>},

    {"dom0_mem", value, "[min:<amount>,][max:<amount>,]<amount>",
     "all but 1/16 of memory, at most 128 MiB of it",
     "Dom0's memory at its start, its least, and the most it may grow to. An amount is <size>, -<size> (all "
     "but that), <n>% (of what is available) or <size>+<n>%. Sizes take the suffixes B, K, M, G, T, and "
     "count KiB without one.",
     set_dom0_mem},
    {"dom0_max_vcpus", value, "<n>|<min>-<max>|<min>-|-<max>", "as many as CPUs",
     "Dom0's virtual CPUs: a number, or limits for the number of CPUs of the machine.", set_dom0_vcpus},
    {"dom0_vcpus_pin", boolean, kBoolean, "off", "Dom0's virtual CPU n runs on CPU n only.",
     set_flag<&B::dom0_vcpus_pin>},

    {"maxcpus", value, "<n>", "all", "How many CPUs are used.", set_number<&B::maxcpus, 1, 0xffffffff>},
    {"nosmp", boolean, kBoolean, "off", "Only the CPU that the machine starts on is used.",
     set_flag<&B::nosmp>},
    {"sched", value, "credit2|credit|rtds|null|arinc653", "credit2", "The scheduler of the virtual CPUs.",
     [](B& o, Text v) { return set_choice(o.sched, v, "credit2|credit|rtds|null|arinc653"); }},
    {"sched_ratelimit_us", value, "<microseconds>", "1000",
     "How long a virtual CPU runs at least before another one preempts it; 0, or 100 to 500000.",
     [](B& o, Text v) {
         const auto n = parse_number(v, 500'000);
         if (!n || (*n != 0 && *n < 100)) return false;
         o.sched_ratelimit_us = *n;
         return true;
     }},

    {"gnttab", value, "[max-ver:<n>][,transitive[=<boolean>]][,transfer[=<boolean>]]",
     "max-ver:2,transitive,transfer",
     "What domains may do with grants: the highest version of their tables, grants that name other grants, "
     "pages "
     "that change their owner. no- in front of a word switches it off.",
     set_gnttab},
    {"gnttab_max_frames", value, "<n>", "64",
     "The most frames of 512 grants each that a domain's table may have, and the default, dom0's as well.",
     set_grant_frames<&core::GrantLimits::max_frames, 4096>},
    {"gnttab_max_maptrack_frames", value, "<n>", "1024",
     "The most grants that a domain may have mapped, in units of 256, and the default, dom0's as well.",
     set_grant_frames<&core::GrantLimits::max_maptrack_frames, core::MapTrack::kMaxFrames>},

    {"noreboot", boolean, kBoolean, "off",
     "After a crash of the hypervisor or of dom0 the machine stops, instead of rebooting.",
     set_flag<&B::noreboot>},
    {"nmi", value, "ignore|dom0|fatal", "dom0",
     "What a non-maskable interrupt from the board leads to: a line in the log, the same interrupt in dom0 "
     "as well, or "
     "a crash report.",
     [](B& o, Text v) { return set_choice(o.nmi, v, "ignore|dom0|fatal"); }},
    {"reboot", value, "acpi|kbd|triple|pci|no", "what the machine offers",
     "How the machine is rebooted first: by ACPI's reset register, the keyboard controller, a triple fault "
     "or port "
     "0xcf9. The first letter suffices. no is the same as noreboot.",
     set_reboot},

    {"smep", boolean, kBoolean, "on", "Supervisor-mode execution prevention, where the CPU has it.",
     set_flag<&B::smep>},
    {"smap", boolean, kBoolean, "on",
     "Supervisor-mode access prevention, where the CPU has it: the hypervisor can touch a guest's "
     "user-accessible "
     "memory in its copy routines only.",
     set_flag<&B::smap>},
    {"nosmap", boolean, kBoolean, "off", "The opposite of smap.", set_flag_off<&B::smap>},
    {"xsave", boolean, kBoolean, "on", "The extended state (AVX and later), where the CPU has it.",
     set_flag<&B::xsave>},
    {"x2apic", boolean, kBoolean, "off",
     "The x2APIC mode of the local APICs even where nothing needs it, if the CPU has it.",
     set_flag<&B::x2apic>},

    // What Debian's GRUB scripts and common guides put on the line and what is pointless here.
    {"placeholder", no_use, "", "", "Debian's GRUB scripts pass it in place of a file name.", nullptr},
    {"no-real-mode", no_use, "", "", "Domus never calls the BIOS.", nullptr},
    {"edd", no_use, "off|on|skipmbr", "", "Domus never calls the BIOS.", nullptr},
    {"edid", no_use, "no|force", "", "Domus never calls the BIOS.", nullptr},
    {"vga", no_use, "<mode>", "", "The video mode is the boot loader's.", nullptr},
    {"dom0", no_use, "pv", "", "Dom0 is always a PV domain.", nullptr},
    {"sync_console", no_use, kBoolean, "", "The console always waits until a message has been sent.",
     nullptr},
    {"allow_unsafe", no_use, kBoolean, "", "Nothing that it allows is refused.", nullptr},

    // Options of Xen's with a meaning that somebody may count on.
    {"iommu", missing, "...", "", "Device isolation.", nullptr},
    {"ucode", missing, "...", "", "Loading of microcode.", nullptr},
    {"spec-ctrl", missing, "...", "", "Choice of speculation mitigations.", nullptr},
    {"xpti", missing, "...", "", "Page-table isolation.", nullptr},
    {"pv-l1tf", missing, "...", "", "L1TF mitigation for PV guests.", nullptr},
    {"crashkernel", missing, "...", "", "A crash kernel.", nullptr},
    {"cpufreq", missing, "...", "", "CPU frequency governors.", nullptr},
    {"max_cstate", missing, "<n>", "", "CPU idle states.", nullptr},
    {"flask", missing, "...", "", "Mandatory access control.", nullptr},
    {"smt", missing, "<boolean>", "", "Leaving sibling threads unused.", nullptr},
    {"numa", missing, "...", "", "NUMA placement.", nullptr},
    {"dom0_nodes", missing, "...", "", "NUMA placement of dom0.", nullptr},
    {"clocksource", missing, "...", "", "The clock that the TSC is measured against.", nullptr},
    {"console_to_ring", missing, kBoolean, "", "Guests' console output in the ring of messages.", nullptr},
    {"watchdog", missing, kBoolean, "", "A report on a CPU that makes no progress.", nullptr},
    {"pku", missing, kBoolean, "", "Switching protection keys off.", nullptr},
    {"fsgsbase", missing, kBoolean, "", "Switching the FSGSBASE instructions off.", nullptr},
    {"cpuid", missing, "...", "", "Masking of CPU features.", nullptr},
};

}  // namespace

std::span<const Option> option_table() { return kOptions; }

}  // namespace domus

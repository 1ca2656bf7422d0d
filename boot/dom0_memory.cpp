// SPDX-License-Identifier: GPL-2.0-or-later
// Reading dom0_mem=, and what it amounts to on this machine.
#include "boot/dom0_memory.hpp"

#include "drivers/parse.hpp"

namespace domus {

std::optional<u64> parse_size_in_kib(std::string_view text) {
    if (text.empty()) return std::nullopt;
    const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    unsigned shift = 10;
    bool suffix = true;
    switch (text.back()) {
        case 'b':
        case 'B': suffix = !hexadecimal, shift = suffix ? 0 : 10; break;  // else it is a digit
        case 'k':
        case 'K': break;
        case 'm':
        case 'M': shift = 20; break;
        case 'g':
        case 'G': shift = 30; break;
        case 't':
        case 'T': shift = 40; break;
        default: suffix = false; break;
    }
    if (suffix) text.remove_suffix(1);
    const auto v = parse_number(text, ~u64{0} >> shift);
    return v ? std::optional<u64>(*v << shift) : std::nullopt;
}

std::optional<MemoryAmount> parse_memory_amount(std::string_view text) {
    MemoryAmount a;
    if (text.starts_with('-')) {
        const auto size = parse_size_in_kib(text.substr(1));
        if (!size) return std::nullopt;
        a.less_than_all = true;
        a.bytes = *size;
        return a;
    }
    if (text.ends_with('%')) {
        text.remove_suffix(1);
        std::string_view share = text;
        if (const usize plus = text.find('+'); plus != std::string_view::npos) {
            const auto size = parse_size_in_kib(text.substr(0, plus));
            if (!size) return std::nullopt;
            a.bytes = *size;
            share = text.substr(plus + 1);
        }
        const auto percent = parse_number(share, 100);
        if (!percent) return std::nullopt;
        a.percent = static_cast<u32>(*percent);
        return a;
    }
    const auto size = parse_size_in_kib(text);
    if (!size) return std::nullopt;
    a.bytes = *size;
    return a;
}

u64 MemoryAmount::pages(u64 available_pages) const {
    const u64 fixed = bytes >> kPageShift;
    if (less_than_all) return fixed < available_pages ? available_pages - fixed : 0;
    return fixed + available_pages / 100 * percent + available_pages % 100 * percent / 100;
}

Dom0Memory choose_dom0_memory(const Dom0MemoryOption& option, u64 available_pages) {
    Dom0Memory result;
    if (option.amount) {
        result.pages = option.amount->pages(available_pages);
    } else {
        constexpr u64 kMostReserve = 128 * kMiB / kPageSize;
        const u64 sixteenth = available_pages / 16;
        result.pages = available_pages - (sixteenth < kMostReserve ? sixteenth : kMostReserve);
    }
    result.max_pages = option.max ? option.max->pages(available_pages) : ~u64{0};
    if (option.min) {
        const u64 least = option.min->pages(available_pages);
        if (result.pages < least) result.pages = least;
    }
    if (result.pages > result.max_pages) result.pages = result.max_pages;
    return result;
}

}  // namespace domus

// SPDX-License-Identifier: GPL-2.0-or-later
// How much memory dom0 gets (dom0_mem=).
#pragma once

#include <optional>
#include <string_view>

#include "base/types.hpp"

namespace domus {

// An amount of memory: a size, a share of what is available, or their sum; or all that is available less a
// size.
struct MemoryAmount {
    u64 bytes = 0;
    u32 percent = 0;             // of the available memory
    bool less_than_all = false;  // all that is available less `bytes`
    constexpr bool operator==(const MemoryAmount&) const = default;

    u64 pages(u64 available_pages) const;
};

// `<size>`, `-<size>`, `<percentage>%` or `<size>+<percentage>%`. A size without a suffix counts KiB.
std::optional<MemoryAmount> parse_memory_amount(std::string_view text);

// A size: a number with a suffix B, K, M, G or T (powers of 1024), KiB without one.
std::optional<u64> parse_size_in_kib(std::string_view text);

struct Dom0MemoryOption {
    std::optional<MemoryAmount> amount, min, max;
};

struct Dom0Memory {
    u64 pages = 0;      // at the start
    u64 max_pages = 0;  // what it may grow to; ~0 without a limit
};

// What dom0 gets of `available_pages`. Without an amount: all but a reserve of 1/16, at most 128 MiB, which
// later serves dom0's requests for memory that devices can reach, and other domains' first needs. An amount
// that is more than there is stays: building dom0 then refuses, rather than start a smaller one.
Dom0Memory choose_dom0_memory(const Dom0MemoryOption& option, u64 available_pages);

}  // namespace domus

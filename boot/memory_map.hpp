// SPDX-License-Identifier: GPL-2.0-or-later
// The machine's memory map in the form that PC firmware gives it (ACPI Specification 6.4, section 15:
// "E820").
#pragma once

#include <array>
#include <span>

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus {

// The numbers of the firmware interface. Any other number is to be treated as reserved.
enum class MemoryType : u32 { usable = 1, reserved = 2, acpi = 3, nvs = 4, unusable = 5 };
const char* memory_type_name(MemoryType type);

struct MemoryRegion {
    u64 start = 0, end = 0;  // bytes, end exclusive
    MemoryType type = MemoryType::reserved;
    constexpr bool operator==(const MemoryRegion&) const = default;
};

class MemoryMap {
  public:
    static constexpr u32 kCapacity = 512;

    // Adds what firmware said, as it said it: `size` may be 0 (dropped) or run over the end of the address
    // space (cut). A region that continues the last one added is merged with it. False when the table is
    // full.
    bool add(u64 start, u64 size, u32 type);

    // Sorts, and resolves overlaps in favour of the more restrictive type. Adjacent regions of one type
    // become one. Afterwards regions() is strictly ascending and free of overlaps. ENOSPC when the result
    // does not fit; the map is then unchanged.
    Result<> sanitise();

    std::span<const MemoryRegion> regions() const { return {regions_.data(), count_}; }
    void clear() { count_ = 0; }

  private:
    std::array<MemoryRegion, kCapacity> regions_{};
    u32 count_ = 0;
};

}  // namespace domus

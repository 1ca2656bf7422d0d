// SPDX-License-Identifier: GPL-2.0-or-later
// Sorting the firmware's map and resolving its overlaps.
#include "boot/memory_map.hpp"

namespace domus {
namespace {

// Which of two claims on the same byte wins: the higher.
constexpr u32 restrictiveness(MemoryType t) {
    switch (t) {
        case MemoryType::usable: return 1;
        case MemoryType::acpi: return 2;  // usable after its tables have been read, so weaker than the others
        case MemoryType::reserved: return 3;
        case MemoryType::nvs: return 4;
        case MemoryType::unusable: return 5;
    }
    return 3;
}

// Where a new table is put together: too large for a CPU's stack. Maps are only changed by the boot CPU.
constinit std::array<MemoryRegion, MemoryMap::kCapacity> scratch;

}  // namespace

const char* memory_type_name(MemoryType type) {
    switch (type) {
        case MemoryType::usable: return "usable";
        case MemoryType::acpi: return "ACPI data";
        case MemoryType::reserved: return "reserved";
        case MemoryType::nvs: return "ACPI NVS";
        case MemoryType::unusable: return "unusable";
    }
    return "reserved";
}

bool MemoryMap::add(u64 start, u64 size, u32 type) {
    if (size == 0) return true;
    const u64 end = start + size < start ? ~u64{0} : start + size;
    const auto t = type >= 1 && type <= 5 ? static_cast<MemoryType>(type) : MemoryType::reserved;
    if (count_ > 0 && regions_[count_ - 1].end == start && regions_[count_ - 1].type == t) {
        regions_[count_ - 1].end = end;
        return true;
    }
    if (count_ == kCapacity) return false;
    regions_[count_++] = {start, end, t};
    return true;
}

// The result changes only at a start or an end of a region. From each such point the next one is searched,
// and the piece between them is given the most restrictive type that covers it. Quadratic, in a table of some
// hundred entries at most, once.
Result<> MemoryMap::sanitise() {
    auto& out = scratch;
    u32 n = 0;
    u64 at = 0;
    for (;;) {
        u64 next = ~u64{0};
        bool covered = false;
        MemoryType type = MemoryType::usable;
        for (const MemoryRegion& r : regions()) {
            if (r.start > at && r.start < next) next = r.start;
            if (r.end > at && r.end < next) next = r.end;
            if (r.start <= at && at < r.end) {
                if (!covered || restrictiveness(r.type) > restrictiveness(type)) type = r.type;
                covered = true;
            }
        }
        if (covered) {
            if (n > 0 && out[n - 1].end == at && out[n - 1].type == type) {
                out[n - 1].end = next;
            } else {
                if (n == kCapacity) return fail(Error::nospc);
                out[n++] = {at, next, type};
            }
        }
        if (next == ~u64{0}) break;
        at = next;
    }
    for (u32 i = 0; i < n; i++) regions_[i] = out[i];
    count_ = n;
    return {};
}

}  // namespace domus

// SPDX-License-Identifier: GPL-2.0-or-later
// Shared by the ACPI parsers: unaligned little-endian fields.
#pragma once

#include <cstring>

#include "drivers/acpi.hpp"

namespace domus {

template <class T>
T get(const u8* p) {
    T v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

// Checks the MADT's entries and takes the local APIC's address from it; false: there is no sound MADT.
bool finish_madt(AcpiInfo& info);

}  // namespace domus

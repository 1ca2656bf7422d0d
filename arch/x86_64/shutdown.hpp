// SPDX-License-Identifier: GPL-2.0-or-later
// How the machine ends: by dom0's wish or after a crash.
#pragma once

#include "arch_devices/power.hpp"

namespace domus::x86 {

struct ShutdownOptions {
    bool noreboot = false;  // stop where a reboot is due
    ResetMethod reset = ResetMethod::acpi;
};

// Where even reporting has failed: the shortest way to a reset.
[[noreturn]] void last_resort();

// `acpi` lives for ever.
void init_shutdown(const AcpiInfo& acpi, const ShutdownOptions& options);

}  // namespace domus::x86

// SPDX-License-Identifier: GPL-2.0-or-later
// The public header of machine-check telemetry.
#pragma once

#include "abi/xen.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wconversion"
#include <xen/arch-x86/xen-mca.h>
#pragma GCC diagnostic pop

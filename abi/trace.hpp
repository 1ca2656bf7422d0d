// SPDX-License-Identifier: GPL-2.0-or-later
// Trace buffers' records and numbers (public trace.h).
#pragma once

#include "abi/xen.hpp"

#include <xen/trace.h>

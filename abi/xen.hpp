// SPDX-License-Identifier: GPL-2.0-or-later
// The public Xen headers of Debian's libxen-dev, as C++. Include this, never <xen/…> directly.
#pragma once

#include <cstddef>
#include <cstdint>

#ifndef __XEN_TOOLS__
#define __XEN_TOOLS__ 1
#endif

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wconversion"
// clang-format off: xen.h must come first
#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/elfnote.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>
#include <xen/nmi.h>
#include <xen/hvm/params.h>
#include <xen/hvm/hvm_op.h>
#include <xen/domctl.h>
#include <xen/sysctl.h>
// clang-format on
#pragma GCC diagnostic pop

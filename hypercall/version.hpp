// SPDX-License-Identifier: GPL-2.0-or-later
// Who we say that we are. Boot fills in what is known only at run time.
#pragma once

#include <span>
#include <string_view>

#include "base/types.hpp"
#include "core/domain.hpp"

namespace domus::hypercall {

// The ABI version that Domus serves: toolstacks choose their programs by it.
inline constexpr u32 kVersionMajor = 4, kVersionMinor = 17;
inline constexpr std::string_view kExtraVersion = ".7-domus";  // at most 15 characters

// The hypervisor's command line, as XENVER_commandline shows it. `line` lives for ever.
void set_command_line(std::string_view line);
// The build-id note's descriptor; empty if the image has none. Lives for ever.
void set_build_id(std::span<const u8> id);
// Adds a guest type to XENVER_capabilities, such as "hvm-3.0-x86_64". Lives for ever; "xen-3.0-x86_64" is
// always there.
void add_capability(std::string_view name);

// XENFEAT_* bits (public features.h) that the domain is told, one u32 a submap.
u32 features(const Domain& d, u32 submap);

}  // namespace domus::hypercall

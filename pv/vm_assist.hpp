// SPDX-License-Identifier: GPL-2.0-or-later
// The kinds of help that a PV guest may ask for (vm_assist, public xen.h).
#pragma once

#include "abi/xen.hpp"
#include "base/types.hpp"

namespace domus::pv {

constexpr u64 assist(unsigned type) { return u64{1} << type; }
// What a 64-bit PV guest may switch on. The segment emulations of 32-bit guests are accepted, as they always
// were, and mean nothing here.
inline constexpr u64 kAssistTypes =
    assist(VMASST_TYPE_4gb_segments) | assist(VMASST_TYPE_4gb_segments_notify) |
    assist(VMASST_TYPE_writable_pagetables) | assist(VMASST_TYPE_pae_extended_cr3) |
    assist(VMASST_TYPE_architectural_iopl) | assist(VMASST_TYPE_runstate_update_flag) |
    assist(VMASST_TYPE_m2p_strict);

}  // namespace domus::pv

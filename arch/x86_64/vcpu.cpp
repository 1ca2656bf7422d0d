// SPDX-License-Identifier: GPL-2.0-or-later
// The architecture's part of a vCPU: its virtual IDT and the area that keeps its vector state.
#include "core/vcpu.hpp"
#include "arch/features.hpp"
#include "mm/objects.hpp"
#include "port/context.hpp"
#include "pv/traps.hpp"

namespace domus::port {

using x86::features;

namespace {

constexpr usize kVectorAlign = 64;  // XSAVE (Intel SDM vol. 1, 13.4)

// The state after reset: FCW and MXCSR of the legacy region; an XSAVE header of zeros says that all
// components are in their initial state (Intel SDM vol. 1, 13.4.1 and 13.6).
void reset_vector_state(u8* area) {
    __builtin_memset(area, 0, features.xsave_bytes);
    const u16 fcw = 0x37f;
    const u32 mxcsr = 0x1f80;
    __builtin_memcpy(area, &fcw, sizeof fcw);
    __builtin_memcpy(area + 24, &mxcsr, sizeof mxcsr);
}

}  // namespace

Result<> vcpu_create(Vcpu& v) {
    v.pv.traps = static_cast<TrapGate*>(TRY(allocate(pv::kTrapCount * sizeof(TrapGate))));
    const Result<void*> area = allocate(features.xsave_bytes, kVectorAlign);
    if (!area) {
        vcpu_destroy(v);
        return fail(area.error());
    }
    v.pv.fpu_area = static_cast<u8*>(*area);
    v.pv.fpu_bytes = features.xsave_bytes;
    pv::clear_traps(v.pv);
    reset_vector_state(v.pv.fpu_area);
    return {};
}

void vcpu_destroy(Vcpu& v) {
    if (v.pv.traps != nullptr) deallocate(v.pv.traps, pv::kTrapCount * sizeof(TrapGate));
    if (v.pv.fpu_area != nullptr) deallocate(v.pv.fpu_area, v.pv.fpu_bytes, kVectorAlign);
    v.pv.traps = nullptr;
    v.pv.fpu_area = nullptr;
    v.pv.fpu_bytes = 0;
}

}  // namespace domus::port

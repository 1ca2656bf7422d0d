// SPDX-License-Identifier: GPL-2.0-or-later
// Moving a vCPU's vcpu_info out of the shared info page (VCPUOP_register_vcpu_info).
#include <cstring>

#include "abi/xen32.hpp"
#include "core/domain.hpp"
#include "core/vcpu_op.hpp"
#include "port/context.hpp"
#include "port/memory.hpp"

namespace domus::core {

Result<> register_vcpu_info(Domain& d, VcpuId id, Mfn frame, u32 offset) {
    Vcpu& v = *TRY(named_vcpu(d, id));
    if (offset > kPageSize - sizeof(vcpu_info_t) || offset % alignof(vcpu_info_t) != 0)
        return fail(Error::inval);
    // The vCPU's own CPU reads `info` as it pleases, so nobody else may move it while it can run.
    if (&v != port::current_vcpu() && v.online.load()) return fail(Error::inval);
    if (v.info_mfn != kNoMfn) return fail(Error::inval);
    TRY(hold_writable_page(d, frame));
    {
        LockGuard guard(v.state_lock);
        if (v.info_mfn != kNoMfn) {
            release_writable_page(frame);
            return fail(Error::inval);
        }
        v.info_mfn = frame;
    }
    auto* to = reinterpret_cast<vcpu_info_t*>(port::frame_ptr<u8>(frame) + offset);
    std::memcpy(to, v.info, sizeof *to);
    __atomic_store_n(&v.info, to, __ATOMIC_SEQ_CST);
    // A sender may have set a bit in the old place after it was copied: let the guest look everywhere once.
    if (d.is_32bit) {
        std::atomic_ref(reinterpret_cast<vcpu_info_x86_32*>(to)->evtchn_pending_sel).store(~u32{0});
    } else {
        std::atomic_ref(to->evtchn_pending_sel).store(~xen_ulong_t{0});
    }
    mark_upcall_pending(v);
    return {};
}

void forget_vcpu_info(Vcpu& v) {
    // In any case: the shared info page goes as well.
    __atomic_store_n(&v.info, &v.own_info, __ATOMIC_SEQ_CST);
    if (v.info_mfn == kNoMfn) return;
    release_writable_page(v.info_mfn);
    v.info_mfn = kNoMfn;
}

}  // namespace domus::core

// SPDX-License-Identifier: GPL-2.0-or-later
// The public structures of Xen as a 32-bit PV guest lays them out: the ABI's longs and pointers have 32 bits
// there, and nothing is aligned to more than four bytes. Where the compiler would leave a gap in one that
// goes back to guests there is a field `gap`, which is written as zero. Those of the processor come from
// Debian's libxen-dev (public foreign/x86_32.h); the others are the public headers' structures, written for
// that width and held against its sizes.
#pragma once

#include "abi/xen.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include <xen/foreign/x86_32.h>
#pragma GCC diagnostic pop

namespace domus::abi32 {

using Long = uint32_t;    // the guest's unsigned long
using Handle = uint32_t;  // its pointers

// Where a 32-bit PV kernel finds the machine-to-physical table, and where what is the hypervisor's begins
// (public arch-x86/xen-x86_32.h). On a 64-bit hypervisor the table may go on nearly to the end of the address
// space.
inline constexpr uint32_t kM2pStart = 0xf5800000, kM2pEnd = 0xffe00000;
inline constexpr uint64_t kM2pEntries = (kM2pEnd - kM2pStart) / sizeof(uint32_t);

// The flat segments of the reserved part of the descriptor table.
inline constexpr uint16_t kKernelCs = FLAT_KERNEL_CS_X86_32, kKernelDs = FLAT_KERNEL_DS_X86_32,
                          kUserCs = 0xe02b, kUserDs = 0xe033;

#pragma pack(push, 4)

struct CallbackRegister {  // callback.h
    uint16_t type, flags;
    uint32_t cs, eip;
};
struct NmiCallback {  // nmi.h
    Long handler_address, pad;
};

struct MmuextOp {  // xen.h
    uint32_t cmd;
    Long arg1;  // mfn, or a linear address
    Long arg2;  // a number of entries, a pointer, or mfn
};

struct MemoryReservation {  // memory.h
    Handle extent_start;
    Long nr_extents;
    uint32_t extent_order, mem_flags;
    uint16_t domid, gap = 0;
};
struct MemoryExchange {
    MemoryReservation in, out;
    Long nr_exchanged;
};
struct MachphysMapping {
    Long v_start, v_end, max_mfn;
};
struct MachphysMfnList {
    uint32_t max_extents;
    Handle extent_start;
    uint32_t nr_extents;
};
struct MemoryMap {
    uint32_t nr_entries;
    Handle buffer;
};
struct AddToPhysmap {
    uint16_t domid, size;
    uint32_t space;
    Long idx, gpfn;
};
struct RemoveFromPhysmap {
    uint16_t domid;
    Long gpfn;
};

struct GnttabSetupTable {  // grant_table.h
    uint16_t dom, gap0 = 0;
    uint32_t nr_frames;
    int16_t status;
    uint16_t gap1 = 0;
    Handle frame_list;
};
struct GnttabGetStatusFrames {
    uint32_t nr_frames;
    uint16_t dom;
    int16_t status;
    Handle frame_list;
};
struct GnttabCopyEnd {
    uint32_t ref_or_gmfn;
    uint16_t domid, offset;
};
struct GnttabCopy {
    GnttabCopyEnd source, dest;
    uint16_t len, flags;
    int16_t status;
};
struct GnttabTransfer {
    Long mfn;
    uint16_t domid;
    uint32_t ref;
    int16_t status;
};

struct PhysdevSetIobitmap {  // physdev.h
    Handle bitmap;
    uint32_t nr_ports;
};

struct SchedPoll {  // sched.h
    Handle ports;
    uint32_t nr_ports;
    uint64_t timeout;
};

struct VcpuRunstateInfo {  // vcpu.h
    int32_t state;
    uint64_t state_entry_time, time[4];
};
struct VcpuSetSingleshotTimer {
    uint64_t timeout_abs_ns;
    uint32_t flags;
};

struct PlatformParameters {  // version.h
    Long virt_start;
};

#pragma pack(pop)

// Sizes of a compiler for 32-bit x86.
static_assert(sizeof(CallbackRegister) == 12 && sizeof(NmiCallback) == 8 && sizeof(MmuextOp) == 12);
static_assert(sizeof(MemoryReservation) == 20 && sizeof(MemoryExchange) == 44 &&
              sizeof(MachphysMapping) == 12);
static_assert(sizeof(MachphysMfnList) == 12 && sizeof(MemoryMap) == 8 && sizeof(AddToPhysmap) == 16 &&
              sizeof(RemoveFromPhysmap) == 8);
static_assert(sizeof(GnttabSetupTable) == 16 && offsetof(GnttabSetupTable, frame_list) == 12);
static_assert(sizeof(GnttabGetStatusFrames) == 12 && sizeof(GnttabCopyEnd) == 8 && sizeof(GnttabCopy) == 24);
static_assert(sizeof(GnttabTransfer) == 16 && offsetof(GnttabTransfer, status) == 12);
static_assert(sizeof(SchedPoll) == 16 && sizeof(VcpuRunstateInfo) == 44 &&
              sizeof(VcpuSetSingleshotTimer) == 12);
static_assert(sizeof(trap_info_x86_32) == 8 && sizeof(cpu_user_regs_x86_32) == 68);
static_assert(sizeof(vcpu_guest_context_x86_32) == 2800);
// What both kinds of guests have in the same place is used through the one structure.
static_assert(sizeof(vcpu_info_x86_32) == sizeof(vcpu_info_t));
static_assert(offsetof(vcpu_info_x86_32, time) == offsetof(vcpu_info_t, time));
static_assert(offsetof(vcpu_info_x86_32, evtchn_upcall_mask) == offsetof(vcpu_info_t, evtchn_upcall_mask));
static_assert(offsetof(vcpu_info_x86_32, evtchn_pending_sel) == 4 && offsetof(vcpu_info_x86_32, arch) == 8);
static_assert(offsetof(shared_info_x86_32, vcpu_info) == offsetof(shared_info_t, vcpu_info));
static_assert(offsetof(shared_info_x86_32, evtchn_pending) == 2048 &&
              offsetof(shared_info_x86_32, wc_version) == 2304);

}  // namespace domus::abi32

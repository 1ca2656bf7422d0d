// SPDX-License-Identifier: GPL-2.0-or-later
// Segment bases and descriptor tables.
#include "probe/probe.hpp"

namespace probe {

namespace {

u64 load_fs(u16 selector) {
    const auto fault = attempt([&] { asm volatile("movl %0, %%fs" : : "r"(u32{selector})); });
    return fault ? fault->vector : 0;
}
u64 read_fs(u64 offset) {
    u64 value = 0;
    attempt([&] { asm volatile("movq %%fs:(%1), %0" : "=r"(value) : "r"(offset)); });
    return value;
}

constexpr u64 kData = 0x00cf93000000ffff, kCallGate = 0x0000ec0000100000, kTss = 0x0000890000000067;

}  // namespace

void check_segments() {
    static u64 word = 0x77777777;
    check_error("a base of FS", hypercall(__HYPERVISOR_set_segment_base, SEGBASE_FS, address(word)), 0);
    check_equal("... is used", read_fs(0), word);
    check_error("a non-canonical base",
                hypercall(__HYPERVISOR_set_segment_base, SEGBASE_FS, 0x8000000000000000), -EINVAL);
    check_error("no such segment", hypercall(__HYPERVISOR_set_segment_base, 9, 0), -EINVAL);
    hypercall(__HYPERVISOR_set_segment_base, SEGBASE_FS, 0);

    const u64 gdt = take_page();
    direct<u64>(gdt)[1] = kData;
    const u64 frame = mfn_of(gdt).v;
    check_error("a GDT that is mapped writable", hypercall(__HYPERVISOR_set_gdt, address(frame), 512),
                -EINVAL);
    protect(gdt, false);
    check_error("a GDT", hypercall(__HYPERVISOR_set_gdt, address(frame), 512), 0);
    check_error("... mapped writable now", protect(gdt, true), -EBUSY);
    check_equal("... its descriptor loads", load_fs(0x0b), 0);
    check_equal("... DPL 3 was set", direct<u64>(gdt)[1] >> 45 & 3, 3);
    check_equal("... an empty one does not", load_fs(0x13), kGeneralProtection);
    check_error("too many entries", hypercall(__HYPERVISOR_set_gdt, address(frame), 7169), -EINVAL);

    const u64 slot = (frame << kPageShift) + 5 * 8;
    check_error("a descriptor", hypercall(__HYPERVISOR_update_descriptor, slot, kData), 0);
    check_equal("... loads", load_fs(0x2b), 0);
    check_error("a call gate", hypercall(__HYPERVISOR_update_descriptor, slot, kCallGate), -EINVAL);
    check_error("a task state", hypercall(__HYPERVISOR_update_descriptor, slot, kTss), -EINVAL);
    check_equal("... the descriptor before still loads", load_fs(0x2b), 0);
    check_error("a descriptor at an odd address", hypercall(__HYPERVISOR_update_descriptor, slot + 4, kData),
                -EINVAL);
    load_fs(0);
    check_error("no GDT", hypercall(__HYPERVISOR_set_gdt, address(frame), 0), 0);
    check_error("... it is a page again", protect(gdt, true), 0);

    // An LDT comes in page by page as it is used.
    const u64 ldt = take_page();
    direct<u64>(ldt)[2] = kData;
    protect(ldt, false);
    const u64 base = reinterpret_cast<u64>(direct(ldt));
    check_error("an LDT", extended(MMUEXT_SET_LDT, base, 512), 0);
    check_equal("... its descriptor loads", load_fs(0x17), 0);
    check_error("... mapped writable now", protect(ldt, true), -EBUSY);
    load_fs(0);
    check_error("an LDT that is not aligned", extended(MMUEXT_SET_LDT, base + 8, 512), -EINVAL);
    check_error("no LDT", extended(MMUEXT_SET_LDT, 0, 0), 0);
    check_error("... it is a page again", protect(ldt, true), 0);
}

}  // namespace probe

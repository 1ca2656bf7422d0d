// SPDX-License-Identifier: GPL-2.0-or-later
// The hypercall page of a PV guest: one stub of 32 bytes for each number. SYSCALL, of 64-bit guests, destroys
// rcx and r11, which the caller of a stub may hold live: stubs save them. Stub 23 (iret) is jumped to, not
// called, and leaves the three registers that iret restores on the stack, where struct iret_context (public
// arch-x86/xen-x86_64.h) has them. A 32-bit guest's stubs raise interrupt 82h, which leaves its registers
// alone; its iret finds eax on top of the stack.
#include <span>

#include "abi/xen.hpp"
#include "core/domain.hpp"
#include "hypercall/dispatch.hpp"
#include "port/guest_entry.hpp"

namespace domus::hypercall {

namespace {

constexpr usize kStubSize = 32;

constexpr u8 kPushRcx[] = {0x51}, kPushR11[] = {0x41, 0x53}, kPushRax[] = {0x50}, kPopR11[] = {0x41, 0x5b},
             kPopRcx[] = {0x59}, kSyscall[] = {0x0f, 0x05}, kRet[] = {0xc3}, kUd2[] = {0x0f, 0x0b},
             kInt82[] = {0xcd, 0x82};

struct Emitter {
    u8* at;
    void bytes(std::span<const u8> code) {
        for (u8 b : code) *at++ = b;
    }
    void mov_eax(u32 value) {
        *at++ = 0xb8;
        for (unsigned shift = 0; shift < 32; shift += 8) *at++ = static_cast<u8>(value >> shift);
    }
};

}  // namespace

void fill_hypercall_page(void* page) {
    u8* const base = static_cast<u8*>(page);
    for (usize i = 0; i < kPageSize; i++)
        base[i] = 0xcc;  // int3: nothing may fall through into the next stub
    for (u32 n = 0; n < kPageSize / kStubSize; n++) {
        Emitter e{base + n * kStubSize};
        e.bytes(kPushRcx);
        e.bytes(kPushR11);
        if (n == __HYPERVISOR_iret) {
            e.bytes(kPushRax);
            e.mov_eax(n);
            e.bytes(kSyscall);
            e.bytes(kUd2);  // iret does not return
            continue;
        }
        e.mov_eax(n);
        e.bytes(kSyscall);
        e.bytes(kPopR11);
        e.bytes(kPopRcx);
        e.bytes(kRet);
    }
}

void fill_hypercall_page32(void* page) {
    u8* const base = static_cast<u8*>(page);
    for (usize i = 0; i < kPageSize; i++) base[i] = 0xcc;
    for (u32 n = 0; n < kPageSize / kStubSize; n++) {
        Emitter e{base + n * kStubSize};
        if (n == __HYPERVISOR_iret) e.bytes(kPushRax);
        e.mov_eax(n);
        e.bytes(kInt82);
        if (n == __HYPERVISOR_iret) {
            e.bytes(kUd2);
        } else {
            e.bytes(kRet);
        }
    }
}

}  // namespace domus::hypercall

void domus::upcall::fill_hypercall_page(const Domain& d, void* page) {
    if (d.is_32bit) {
        hypercall::fill_hypercall_page32(page);
    } else {
        hypercall::fill_hypercall_page(page);
    }
}

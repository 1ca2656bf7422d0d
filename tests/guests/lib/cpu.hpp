// SPDX-License-Identifier: GPL-2.0-or-later
// The vCPUs of a test kernel: stacks, exceptions, and starting others.
#pragma once

#include <optional>

#include "abi/xen.hpp"
#include "base/types.hpp"
#include "lib/stack_size.hpp"

namespace guest {

using namespace domus;

// What an entry found, as entry.S pushes it.
struct Frame {
    u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u64 vector, error;
    u64 rip, cs, rflags, rsp, ss;
};
static_assert(sizeof(Frame) == 22 * 8);

// Entries that are no exceptions.
inline constexpr u64 kEventEntry = 256, kNmiEntry = 257, kSyscallEntry = 258, kFailsafeEntry = 259;
inline constexpr u8 kDivideError = 0, kDebug = 1, kBreakpoint = 3, kOverflow = 4, kInvalidOpcode = 6,
                    kNoDevice = 7, kInvalidTss = 10, kNoSegment = 11, kStackFault = 12,
                    kGeneralProtection = 13, kPageFault = 14, kFpuError = 16, kAlignment = 17,
                    kSimdError = 19;

inline constexpr u32 kMaxCpus = 16;

// A place to go back to: mark_place() in entry.S.
struct Place {
    u64 rip, rsp, rbx, rbp, r12, r13, r14, r15;
};
extern "C" int mark_place(Place* place) __attribute__((returns_twice));
// Goes on as the frame says, in user mode if its CS has privilege level 3.
extern "C" [[noreturn]] void enter_user(const Frame* frame);

// What a fault was.
struct Fault {
    u64 vector = 0, error = 0, address = 0;
    Frame frame{};
};

// At the low end of each stack.
struct Cpu {
    u32 id = 0;
    Place* place = nullptr;  // where the next exception goes back to
    Fault fault{};
    u64 entries[260] = {};  // how often each entry was taken
};
Cpu& this_cpu();
Cpu& cpu(u32 id);

extern shared_info_t* shared_info;
vcpu_info_t& vcpu_info(u32 id);
extern "C" u64 failsafe_selectors[4];  // ds, es, fs, gs of the last failsafe entry

// Sets the trap table and the callbacks of the calling vCPU, events masked.
void init_traps();
// Who looks at an entry first: true: done, the frame goes on. Null: nobody.
extern bool (*entry_hook)(Frame& frame);
u64 entry_address(u32 vector);

// Runs f; an exception in it ends it and is returned. f must own nothing.
template <class F>
std::optional<Fault> attempt(F&& f) {
    Cpu& c = this_cpu();
    Place* const outer = c.place;
    Place here;
    // Volatile: the second return of mark_place() finds it in memory.
    Cpu* volatile mine = &c;
    if (mark_place(&here) != 0) {
        mine->place = outer;
        return mine->fault;
    }
    c.place = &here;
    asm volatile("" : : : "memory");  // a fault looks at it
    f();
    asm volatile("" : : : "memory");
    c.place = outer;
    return std::nullopt;
}

// Starts vCPU `id` in `main`, in the calling vCPU's address space. Returns the first error of the ABI, or 0.
s64 start_vcpu(u32 id, void (*main)(u32 id));
u32 vcpu_count();                           // vCPUs that the domain has
const vcpu_guest_context_t* cpu_context();  // the one that was last used

}  // namespace guest

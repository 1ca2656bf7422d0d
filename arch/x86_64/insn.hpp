// SPDX-License-Identifier: GPL-2.0-or-later
// Instructions that C++ has no words for. Each is named after the instruction or the register.
#pragma once

#include "base/types.hpp"

namespace domus::x86 {

inline u64 rdmsr(u32 msr) {
    u32 lo, hi;
    asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return u64{hi} << 32 | lo;
}
inline void wrmsr(u32 msr, u64 value) {
    asm volatile("wrmsr"
                 :
                 : "c"(msr), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32))
                 : "memory");
}

struct CpuidResult {
    u32 eax, ebx, ecx, edx;
};
inline CpuidResult cpuid(u32 leaf, u32 subleaf = 0) {
    CpuidResult r;
    asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

#define DOMUS_CONTROL_REGISTER(name)                                \
    inline u64 read_##name() {                                      \
        u64 v;                                                      \
        asm volatile("mov %%" #name ", %0" : "=r"(v) : : "memory"); \
        return v;                                                   \
    }                                                               \
    inline void write_##name(u64 v) { asm volatile("mov %0, %%" #name : : "r"(v) : "memory"); }
DOMUS_CONTROL_REGISTER(cr0)
DOMUS_CONTROL_REGISTER(cr2)
DOMUS_CONTROL_REGISTER(cr3)
DOMUS_CONTROL_REGISTER(cr4)
DOMUS_CONTROL_REGISTER(dr0)
DOMUS_CONTROL_REGISTER(dr1)
DOMUS_CONTROL_REGISTER(dr2)
DOMUS_CONTROL_REGISTER(dr3)
DOMUS_CONTROL_REGISTER(dr6)
DOMUS_CONTROL_REGISTER(dr7)
#undef DOMUS_CONTROL_REGISTER

// The data segment registers, into fields of their names.
template <class T>
void read_selectors(T& to) {
    asm volatile("movw %%ds, %0" : "=m"(to.ds));
    asm volatile("movw %%es, %0" : "=m"(to.es));
    asm volatile("movw %%fs, %0" : "=m"(to.fs));
    asm volatile("movw %%gs, %0" : "=m"(to.gs));
}

inline void wbinvd() { asm volatile("wbinvd" : : : "memory"); }
inline void clflush(const void* p) { asm volatile("clflush (%0)" : : "r"(p) : "memory"); }
inline void invlpg(u64 va) { asm volatile("invlpg (%0)" : : "r"(va) : "memory"); }
inline void swapgs() { asm volatile("swapgs" : : : "memory"); }
inline void cli() { asm volatile("cli" : : : "memory"); }
inline void sti() { asm volatile("sti" : : : "memory"); }
inline void pause() { asm volatile("pause" : : : "memory"); }
[[noreturn]] inline void halt_forever() {
    for (;;) asm volatile("cli; hlt" : : : "memory");
}

// Model-specific registers (AMD APM vol. 2, Appendix A).
inline constexpr u32 kMsrEfer = 0xc0000080, kMsrStar = 0xc0000081, kMsrLstar = 0xc0000082,
                     kMsrCstar = 0xc0000083, kMsrSfmask = 0xc0000084, kMsrFsBase = 0xc0000100,
                     kMsrGsBase = 0xc0000101, kMsrKernelGsBase = 0xc0000102, kMsrPat = 0x277,
                     kMsrSysenterCs = 0x174, kMsrSysenterEsp = 0x175, kMsrSysenterEip = 0x176,
                     kMsrTscAux = 0xc0000103, kMsrArchCaps = 0x10a, kMsrMicrocode = 0x8b,
                     kMsrDecodeConfig = 0xc0011029;

inline constexpr u64 kCr0Mp = 1u << 1, kCr0Em = 1u << 2, kCr0Ts = 1u << 3, kCr0Wp = 1u << 16;
inline constexpr u64 kCr4Tsd = 1u << 2, kCr4De = 1u << 3, kCr4Pae = 1u << 5, kCr4Mce = 1u << 6,
                     kCr4Pge = 1u << 7, kCr4Osfxsr = 1u << 9, kCr4Osxmmexcpt = 1u << 10,
                     kCr4Fsgsbase = 1u << 16, kCr4Osxsave = 1u << 18, kCr4Smep = 1u << 20,
                     kCr4Smap = 1u << 21;

}  // namespace domus::x86

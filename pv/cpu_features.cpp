// SPDX-License-Identifier: GPL-2.0-or-later
// The tables of processor features.
#include "pv/cpu_features.hpp"

namespace domus::pv {

namespace {

enum class In : u8 { basic, feature, state, extended, caps_low, caps_high };
struct Place {
    In in;
    u8 index;
    u32 CpuidLeaf::* reg;
};

// Where each word is. Words 16 and 17 are MSR 0x10a (IA32_ARCH_CAPABILITIES).
constexpr Place kPlaces[kFeatureWords] = {
    {In::basic, 1, &CpuidLeaf::edx},        // 0
    {In::basic, 1, &CpuidLeaf::ecx},        // 1
    {In::extended, 1, &CpuidLeaf::edx},     // 2
    {In::extended, 1, &CpuidLeaf::ecx},     // 3
    {In::state, 1, &CpuidLeaf::eax},        // 4
    {In::feature, 0, &CpuidLeaf::ebx},      // 5
    {In::feature, 0, &CpuidLeaf::ecx},      // 6
    {In::extended, 7, &CpuidLeaf::edx},     // 7
    {In::extended, 8, &CpuidLeaf::ebx},     // 8
    {In::feature, 0, &CpuidLeaf::edx},      // 9
    {In::feature, 1, &CpuidLeaf::eax},      // 10
    {In::extended, 0x21, &CpuidLeaf::eax},  // 11
    {In::feature, 1, &CpuidLeaf::ebx},      // 12
    {In::feature, 2, &CpuidLeaf::edx},      // 13
    {In::feature, 1, &CpuidLeaf::ecx},      // 14
    {In::feature, 1, &CpuidLeaf::edx},      // 15
    {In::caps_low, 0, nullptr},             // 16
    {In::caps_high, 0, nullptr},            // 17
    {In::extended, 0x21, &CpuidLeaf::ecx},  // 18
};

template <class Policy>
auto* word_of(Policy& p, const Place& at) {
    switch (at.in) {
        case In::basic: return &(p.basic[at.index].*at.reg);
        case In::feature: return &(p.features[at.index].*at.reg);
        case In::state: return &(p.state[at.index].*at.reg);
        default: return &(p.extended[at.index].*at.reg);
    }
}

#define F(name) XEN_X86_FEATURE_##name

constexpr std::array<u16, kNotOfferedCount> kWithheld = {
    // Speculation controls: registers that would have to be switched with the vCPU.
    F(IBRSB),
    F(STIBP),
    F(SSBD),
    F(INTEL_PSFD),
    F(IBPB),
    // Say how IBPB works, which is not there.
    F(IBPB_RET),
    F(IBPB_BRTYPE),
    // Address masks of breakpoints: likewise registers of a vCPU.
    F(DBEXT),
};

// The features that the public header marks with A (all guests, by default) and a (all guests, on demand).
// AMD's copies of word 0 in word 2 are not features of their own.
consteval FeatureSet table(bool optional) {
    FeatureSet s{0x1fc9cbf5, 0xf6d83203, 0xea500800, 0x042109e3, 0x00000007, 0xfdaf0b29, 0x02405f43,
                 0x00000000, 0x64001005, 0xac00441c, 0x00001c30, 0x78000064, 0x00000000, 0x00000021,
                 0x00000000, 0x00000000, 0x1d12e173, 0x40000000, 0x00000006};
    if (optional) {
        for (const u32 f : {F(HLE), F(MOVDIRI), F(MOVDIR64B), F(ITSC), F(AVX512_VP2INTERSECT), F(TSXLDTRK)})
            add(s, f);
    }
    for (const u32 f : kWithheld) clear(s, f);
    return s;
}

// {feature, what it needs}: the manuals' rules (Intel SDM vol. 1, chapters 13 to 16; AMD APM vol. 3,
// Appendix D). A feature may have several rows.
struct Need {
    u16 feature, needs;
};
constexpr Need kNeeds[] = {
    {F(FXSR), F(FPU)},
    {F(MMX), F(FPU)},
    {F(SSE), F(FXSR)},
    {F(FFXSR), F(FXSR)},
    {F(SSE2), F(SSE)},
    {F(MISALIGNSSE), F(SSE)},
    {F(SSE3), F(SSE2)},
    {F(SSSE3), F(SSE3)},
    {F(SSE4A), F(SSE3)},
    {F(SSE4_1), F(SSSE3)},
    {F(SSE4_2), F(SSE4_1)},
    {F(PCLMULQDQ), F(SSE2)},
    {F(AESNI), F(SSE2)},
    {F(SHA), F(SSE2)},
    {F(GFNI), F(SSE2)},
    {F(MMXEXT), F(MMX)},
    {F(3DNOW), F(MMX)},
    {F(3DNOWEXT), F(3DNOW)},
    {F(LM), F(SSE2)},
    {F(LAHF_LM), F(LM)},
    {F(CX16), F(CX8)},
    {F(FSGSBASE), F(LM)},
    {F(CLFLUSHOPT), F(CLFLUSH)},
    {F(XSAVE), F(FXSR)},
    {F(XSAVEOPT), F(XSAVE)},
    {F(XSAVEC), F(XSAVE)},
    {F(XGETBV1), F(XSAVE)},
    {F(AVX), F(XSAVE)},
    {F(AVX), F(SSE)},
    {F(FMA), F(AVX)},
    {F(F16C), F(AVX)},
    {F(FMA4), F(AVX)},
    {F(XOP), F(AVX)},
    {F(AVX2), F(AVX)},
    {F(VAES), F(AVX)},
    {F(VAES), F(AESNI)},
    {F(VPCLMULQDQ), F(AVX)},
    {F(VPCLMULQDQ), F(PCLMULQDQ)},
    {F(AVX_VNNI), F(AVX2)},
    {F(AVX512F), F(AVX2)},
    {F(AVX512DQ), F(AVX512F)},
    {F(AVX512_IFMA), F(AVX512F)},
    {F(AVX512PF), F(AVX512F)},
    {F(AVX512ER), F(AVX512F)},
    {F(AVX512CD), F(AVX512F)},
    {F(AVX512BW), F(AVX512F)},
    {F(AVX512VL), F(AVX512F)},
    {F(AVX512_VNNI), F(AVX512F)},
    {F(AVX512_VPOPCNTDQ), F(AVX512F)},
    {F(AVX512_4VNNIW), F(AVX512F)},
    {F(AVX512_4FMAPS), F(AVX512F)},
    {F(AVX512_VP2INTERSECT), F(AVX512F)},
    {F(AVX512_VBMI), F(AVX512BW)},
    {F(AVX512_VBMI2), F(AVX512BW)},
    {F(AVX512_BITALG), F(AVX512BW)},
    {F(AVX512_BF16), F(AVX512BW)},
    {F(TSXLDTRK), F(RTM)},
    {F(ITSC), F(TSC)},
};

#undef F

}  // namespace

constexpr FeatureSet kPvMaximum = table(true);
constexpr FeatureSet kPvDefault = table(false);
constexpr std::array<u16, kNotOfferedCount> kNotOffered = kWithheld;

FeatureSet features_of(const CpuPolicy& policy) {
    FeatureSet s{};
    for (u32 w = 0; w < kFeatureWords; w++) {
        if (kPlaces[w].in == In::caps_low)
            s[w] = static_cast<u32>(policy.arch_caps);
        else if (kPlaces[w].in == In::caps_high)
            s[w] = static_cast<u32>(policy.arch_caps >> 32);
        else
            s[w] = *word_of(policy, kPlaces[w]);
    }
    return s;
}

void set_features(CpuPolicy& policy, const FeatureSet& set) {
    policy.arch_caps = u64{set[17]} << 32 | set[16];
    for (u32 w = 0; w < kFeatureWords; w++)
        if (kPlaces[w].reg != nullptr) *word_of(policy, kPlaces[w]) = set[w];
}

void drop_dependents(FeatureSet& set) {
    // A feature that goes may be what another one needs.
    for (bool again = true; again;) {
        again = false;
        for (const Need& n : kNeeds) {
            if (!has(set, n.feature) || has(set, n.needs)) continue;
            clear(set, n.feature);
            again = true;
        }
    }
}

}  // namespace domus::pv

// SPDX-License-Identifier: GPL-2.0-or-later
// The MSR policy of PV guests. What a kernel reads while it finds out about the machine exists and says that
// there is nothing to do; a few registers are the vCPU's own; the rest is absent. docs/cpu-features.md tells
// the reasons.
#include "pv/msr.hpp"

#include <algorithm>
#include <array>
#include <atomic>

#include "base/log.hpp"
#include "core/domain.hpp"
#include "core/vcpu.hpp"
#include "port/guest_entry.hpp"
#include "port/io.hpp"
#include "port/memory.hpp"
#include "port/pv_hw.hpp"
#include "port/time.hpp"
#include "pv/address.hpp"
#include "pv/cpu_features.hpp"
#include "pv/cpu_policy.hpp"

namespace domus::pv {

namespace {

using For = MsrRow::For;
using Write = MsrRow::Write;

// Names after AMD APM vol. 2, Appendix A and Intel SDM vol. 4.
constexpr u32 kFsBase = 0xc0000100, kGsBase = 0xc0000101, kUserGsBase = 0xc0000102;

// EFER of a 64-bit guest kernel: SYSCALL, long mode enabled and active, no-execute.
constexpr u64 kGuestEfer = 0xd01;
// MISC_ENABLE: fast strings; no branch trace store, no event-based sampling, no task priority messages.
constexpr u64 kMiscEnable = 0x801801;
constexpr u32 kBanks = 2;  // of machine checks
constexpr u64 kTscFreqSel = u64{1} << 24, kLfenceSerializes = 2;

bool offers(const Vcpu& v, u32 feature) { return has(features_of(policy_of(*v.domain)), feature); }

Result<u64> read_tsc(const Vcpu& v, u32) { return guest_tsc(v); }
Result<u64> read_apic_base(const Vcpu& v, u32) {
    // The local APIC is enabled, at its usual place, and the first vCPU's is the bootstrap processor's.
    return u64{0xfee00800} | (v.id.v == 0 ? 0x100u : 0u);
}
Result<u64> read_microcode(const Vcpu& v, u32) { return v.domain->hardware ? host_facts().microcode : 0; }
Result<> write_microcode(Vcpu&, u32, u64 value) {
    // Intel's way to ask for the revision starts with writing 0 (SDM vol. 3, 9.11.7.1).
    if (like_intel(vendor_of(host_policy())) && value == 0) return {};
    return fail(Error::inval);
}
Result<u64> read_platform_info(const Vcpu& v, u32) { return policy_of(*v.domain).platform_info; }
Result<u64> read_arch_caps(const Vcpu& v, u32) {
    if (!offers(v, XEN_X86_FEATURE_ARCH_CAPS)) return fail(Error::inval);
    return policy_of(*v.domain).arch_caps;
}
Result<> write_efer(Vcpu&, u32, u64 value) {
    if (value != kGuestEfer) return fail(Error::inval);
    return {};
}

// Machine-check banks, four registers each: CTL, STATUS, ADDR, MISC. Nothing is ever logged in them.
Result<u64> read_bank(const Vcpu&, u32 msr) {
    return (msr & 3) == 0 && (msr - 0x400) / 4 < kBanks ? ~u64{0} : u64{0};
}
Result<> write_bank(Vcpu&, u32 msr, u64 value) {
    const bool control = (msr & 3) == 0;
    if (!control && value != 0 && (msr - 0x400) / 4 < kBanks) return fail(Error::inval);
    return {};
}

Result<u64> read_base(const Vcpu&, u32 msr) {
    switch (msr) {
        case kFsBase: return port::read_fs_base();
        case kGsBase: return port::read_gs_base_kernel();
        default: return port::read_gs_base_user();
    }
}
Result<> write_base(Vcpu& v, u32 msr, u64 value) {
    if (!canonical(value)) return fail(Error::inval);
    switch (msr) {
        case kFsBase:
            v.pv.fs_base = value;
            port::load_fs_base(value);
            break;
        case kGsBase:
            v.pv.gs_base_kernel = value;
            port::load_gs_base_kernel(value);
            break;
        default: v.pv.gs_base_user = value; port::load_gs_base_user(value);
    }
    return {};
}

Result<u64> read_tsc_aux(const Vcpu& v, u32) {
    if (!has_tsc_aux(*v.domain)) return fail(Error::inval);
    return v.pv.tsc_aux;
}
Result<> write_tsc_aux(Vcpu& v, u32, u64 value) {
    if (!has_tsc_aux(*v.domain) || value >> 32 != 0) return fail(Error::inval);
    v.pv.tsc_aux = static_cast<u32>(value);
    port::load_tsc_aux(v.pv.tsc_aux);
    return {};
}

// The hypercall page by its register (CPUID leaf 0x40000002): the number of one of the guest's pages, which
// is filled. There is one page of hypercalls, so that the index in the low bits is 0.
Result<> write_hypercall_page(Vcpu& v, u32, u64 value) {
    if (value % kPageSize != 0) return fail(Error::inval);
    const Mfn page(value / kPageSize);
    TRY(core::hold_writable_page(*v.domain, page));
    upcall::fill_hypercall_page(*v.domain, port::frame_ptr<u8>(page));
    core::release_writable_page(page);
    return {};
}

Result<u64> read_hwcr(const Vcpu& v, u32) { return offers(v, XEN_X86_FEATURE_ITSC) ? kTscFreqSel : u64{0}; }
Result<u64> read_decode_config(const Vcpu& v, u32) {
    return offers(v, XEN_X86_FEATURE_LFENCE_DISPATCH) ? kLfenceSerializes : u64{0};
}

constexpr MsrRow kRows[] = {
    {0x0, 0x1, For::all, Write::refuse},                       // Pentium's machine check
    {0x10, 0x10, For::all, Write::refuse, 0, read_tsc},        // TSC
    {0x17, 0x17, For::intel, Write::refuse},                   // PLATFORM_ID
    {0x1b, 0x1b, For::all, Write::refuse, 0, read_apic_base},  // APIC_BASE
    {0x3a, 0x3a, For::intel, Write::refuse, 1},                // FEATURE_CONTROL: locked, nothing on
    {0x8b, 0x8b, For::all, Write::special, 0, read_microcode, write_microcode},
    {0xc1, 0xc8, For::intel, Write::ignore},                       // performance counters
    {0xce, 0xce, For::all, Write::refuse, 0, read_platform_info},  // PLATFORM_INFO
    {0x10a, 0x10a, For::all, Write::refuse, 0, read_arch_caps},    // ARCH_CAPABILITIES
    {0x140, 0x140, For::all, Write::zero},                         // MISC_FEATURES_ENABLES: no CPUID faults
    {0x179, 0x179, For::all, Write::ignore, kBanks},               // MCG_CAP
    {0x17a, 0x17b, For::all, Write::ignore},                       // MCG_STATUS, MCG_CTL
    {0x186, 0x189, For::intel, Write::ignore},                     // performance event selectors
    {0x198, 0x198, For::intel, Write::refuse},                     // PERF_STATUS
    {0x199, 0x199, For::intel, Write::ignore},                     // PERF_CTL
    {0x19c, 0x19c, For::intel, Write::refuse},                     // THERM_STATUS
    {0x1a0, 0x1a0, For::all, Write::ignore, kMiscEnable},          // MISC_ENABLE
    {0x277, 0x277, For::all, Write::refuse, kPvPat},               // PAT
    {0x280, 0x29f, For::all, Write::ignore},                       // MCi_CTL2
    {0x309, 0x30b, For::intel, Write::ignore},                     // fixed performance counters
    {0x345, 0x345, For::all, Write::refuse},                       // PERF_CAPABILITIES
    {0x38d, 0x390, For::intel, Write::ignore},                     // performance counters' control
    {0x400, 0x47f, For::all, Write::special, 0, read_bank, write_bank},
    {0x40000000, 0x40000000, For::all, Write::special, 0, nullptr, write_hypercall_page},
    {0xc0000080, 0xc0000080, For::all, Write::special, kGuestEfer, nullptr, write_efer},
    {kFsBase, kUserGsBase, For::all, Write::special, 0, read_base, write_base},
    {0xc0000103, 0xc0000103, For::all, Write::special, 0, read_tsc_aux, write_tsc_aux},
    {0xc0010000, 0xc0010007, For::amd, Write::ignore},  // performance events and counters
    {0xc0010010, 0xc0010010, For::amd, Write::refuse},  // SYSCFG
    {0xc0010015, 0xc0010015, For::amd, Write::ignore, 0, read_hwcr},
    {0xc0010016, 0xc001001a, For::amd, Write::refuse},  // IORR, TOP_MEM
    {0xc001001d, 0xc001001d, For::amd, Write::refuse},  // TOP_MEM2
    {0xc001001f, 0xc001001f, For::all, Write::ignore},  // NB_CFG
    {0xc0010041, 0xc0010042, For::amd, Write::ignore},  // FIDVID
    {0xc0010061, 0xc001006b, For::amd, Write::ignore},  // P-states
    {0xc0010112, 0xc0010113, For::amd, Write::refuse},  // SMM's memory
    {0xc0010200, 0xc001020b, For::amd, Write::ignore},  // performance events and counters
    {0xc0011029, 0xc0011029, For::amd, Write::ignore, 0, read_decode_config},
};

bool exists(const MsrRow& row) {
    const Vendor vendor = vendor_of(host_policy());
    return row.on == For::all || (row.on == For::intel ? like_intel(vendor) : like_amd(vendor));
}

const MsrRow* find(u32 msr) {
    const MsrRow* row = std::lower_bound(std::begin(kRows), std::end(kRows), msr,
                                         [](const MsrRow& r, u32 n) { return r.last < n; });
    return row != std::end(kRows) && row->first <= msr && exists(*row) ? row : nullptr;
}

Fail refused(const Vcpu& v, const char* what, u32 msr, u64 value) {
    // A guest chooses the number: remember a few, and let the log's rate limit do the rest.
    static constinit std::array<std::atomic<u32>, 32> seen{};
    static constinit std::atomic<u32> next = 0;
    for (const auto& s : seen)
        if (s.load(std::memory_order_relaxed) == msr) return fail(Error::inval);
    seen[next.fetch_add(1, std::memory_order_relaxed) % seen.size()].store(msr, std::memory_order_relaxed);
    guest_log(Level::debug,
              "d{}v{}: {} of MSR {:#x} ({:x}) refused: no such register for a PV guest, or not this value",
              v.domain->id, v.id, what, msr, value);
    return fail(Error::inval);
}

}  // namespace

std::span<const MsrRow> msr_rows() { return kRows; }

Result<u64> read_msr(const Vcpu& v, u32 msr) {
    const MsrRow* row = find(msr);
    if (row == nullptr) return refused(v, "read", msr, 0);
    return row->read != nullptr ? row->read(v, msr) : row->value;
}

Result<> write_msr(Vcpu& v, u32 msr, u64 value) {
    const MsrRow* row = find(msr);
    if (row == nullptr) return refused(v, "write", msr, value);
    switch (row->on_write) {
        case Write::ignore: return {};
        case Write::zero:
            if (value == 0) return {};
            break;
        case Write::special:
            if (const Result<> done = row->write(v, msr, value)) return done;
            break;
        case Write::refuse: break;
    }
    return refused(v, "write", msr, value);
}

bool has_tsc_aux(const Domain& d) {
    const FeatureSet f = features_of(policy_of(d));
    return has(f, XEN_X86_FEATURE_RDTSCP) || has(f, XEN_X86_FEATURE_RDPID);
}

u64 guest_tsc(const Vcpu& v) {
    const core::GuestTsc& tsc = v.domain->tsc;
    return tsc.emulated ? core::emulated_tsc(tsc, port::now()) : port::read_tsc();
}

}  // namespace domus::pv

// SPDX-License-Identifier: GPL-2.0-or-later
// The MSR policy of PV guests: a few registers that are the vCPU's own, some that read as on a plain machine
// and ignore writes, the rest absent.
#include "pv/msr.hpp"

#include <algorithm>
#include <array>

#include "base/log.hpp"
#include "core/domain.hpp"
#include "core/vcpu.hpp"
#include "port/io.hpp"
#include "port/pv_hw.hpp"
#include "pv/address.hpp"

namespace domus::pv {

namespace {

// Names after AMD APM vol. 2, Appendix A and Intel SDM vol. 4.
constexpr u32 kTsc = 0x10, kPlatformId = 0x17, kApicBase = 0x1b, kUcodeRevision = 0x8b, kMcgCap = 0x179,
              kMcgStatus = 0x17a, kMiscEnable = 0x1a0, kPat = 0x277, kEfer = 0xc0000080, kStar = 0xc0000081,
              kLstar = 0xc0000082, kCstar = 0xc0000083, kSfmask = 0xc0000084, kFsBase = 0xc0000100,
              kGsBase = 0xc0000101, kKernelGsBase = 0xc0000102, kSyscfg = 0xc0010010, kHwcr = 0xc0010015,
              kNbCfg = 0xc001001f, kOsvwLength = 0xc0010140, kOsvwStatus = 0xc0010141, kDebugCtl = 0x1d9,
              kMtrrCap = 0xfe, kMtrrDefType = 0x2ff, kSysenterCs = 0x174, kSysenterEsp = 0x175,
              kSysenterEip = 0x176, kPlatformInfo = 0xce, kMiscFeatures = 0x140;

// EFER of a 64-bit guest kernel: SYSCALL, long mode enabled and active, no-execute.
constexpr u64 kGuestEfer = 0xd01;

void name_once(const Vcpu& v, const char* what, u32 msr, u64 value) {
    // A guest chooses the number: remember a few, and let the log's rate limit do the rest.
    static constinit std::array<u32, 32> seen{};
    static constinit u32 next = 0;
    if (std::find(seen.begin(), seen.end(), msr) != seen.end()) return;
    seen[next++ % seen.size()] = msr;
    guest_log(Level::debug, "d{}v{}: {} of unknown MSR {:#x} ({:x}) refused", v.domain->id, v.id, what, msr,
              value);
}

}  // namespace

Result<u64> read_msr(const Vcpu& v, u32 msr) {
    switch (msr) {
        case kEfer: return kGuestEfer;
        case kFsBase: return port::read_fs_base();
        case kGsBase: return port::read_gs_base_kernel();
        case kKernelGsBase: return port::read_gs_base_user();
        case kPat: return kPvPat;
        case kTsc: return port::read_tsc();
        // The local APIC is enabled, at its usual place, on the bootstrap processor.
        case kApicBase: return u64{0xfee00900} & ~(v.id.v == 0 ? u64{0} : u64{0x100});
        case kMiscEnable: return u64{1};
        case kMcgCap:
        case kMcgStatus:
        case kStar:
        case kLstar:
        case kCstar:
        case kSfmask:
        case kSysenterCs:
        case kSysenterEsp:
        case kSysenterEip:
        case kPlatformId:
        case kUcodeRevision:
        case kSyscfg:
        case kNbCfg:
        case kOsvwLength:
        case kOsvwStatus:
        case kDebugCtl:
        case kMtrrCap:
        case kMtrrDefType:
        case kPlatformInfo:
        case kMiscFeatures: return u64{0};
        case kHwcr: return u64{1} << 24;  // TscFreqSel: the TSC counts at a fixed frequency
        default: name_once(v, "read", msr, 0); return fail(Error::inval);
    }
}

Result<> write_msr(Vcpu& v, u32 msr, u64 value) {
    switch (msr) {
        case kFsBase:
        case kGsBase:
        case kKernelGsBase:
            if (!canonical(value)) return fail(Error::inval);
            if (msr == kFsBase) {
                v.pv.fs_base = value;
                port::load_fs_base(value);
            } else if (msr == kGsBase) {
                v.pv.gs_base_kernel = value;
                port::load_gs_base_kernel(value);
            } else {
                v.pv.gs_base_user = value;
                port::load_gs_base_user(value);
            }
            return {};
        case kPat:
            if (value != kPvPat) return fail(Error::inval);
            return {};
        // A PV kernel sets these up like any other, but enters through its callbacks: nothing follows from
        // the values.
        case kEfer:
        case kStar:
        case kLstar:
        case kCstar:
        case kSfmask:
        case kSysenterCs:
        case kSysenterEsp:
        case kSysenterEip:
        case kMiscEnable:
        case kUcodeRevision:
        case kApicBase:
        case kNbCfg:
        case kHwcr:
        case kDebugCtl:
        case kMcgStatus: return {};
        default: name_once(v, "write", msr, value); return fail(Error::inval);
    }
}

}  // namespace domus::pv

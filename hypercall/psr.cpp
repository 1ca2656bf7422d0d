// SPDX-License-Identifier: GPL-2.0-or-later
// Platform shared resources: who uses how much of the caches and of the memory's bandwidth, and limits for it
// (Intel SDM vol. 3, 18.18 and 18.19). Domus does neither, and answers as a machine that cannot: `xl
// psr-hwinfo` and its relatives then say so.
#include "base/log.hpp"
#include "hypercall/domctl.hpp"
#include "hypercall/refusal.hpp"
#include "hypercall/sysctl.hpp"

namespace domus::hypercall {

namespace {

Result<> not_divided(const Caller& caller) {
    guest_log(Level::info,
              "d{}: use of caches and memory bandwidth is neither watched nor limited; do without psr",
              caller.domain.id);
    return fail(Error::nodev);
}

}  // namespace

Result<> sysctl_psr_cmt_op(Caller& caller, xen_sysctl_psr_cmt_op& arg) {
    if (arg.flags != 0) return fail(Error::inval);
    switch (arg.cmd) {
        case XEN_SYSCTL_PSR_CMT_enabled: arg.u.data = 0; return {};
        case XEN_SYSCTL_PSR_CMT_get_total_rmid:
        case XEN_SYSCTL_PSR_CMT_get_l3_upscaling_factor:
        case XEN_SYSCTL_PSR_CMT_get_l3_cache_size:
        case XEN_SYSCTL_PSR_CMT_get_l3_event_mask: return not_divided(caller);
        default: name_missing(caller, "psr_cmt_op", arg.cmd); return fail(Error::nosys);
    }
}

Result<> sysctl_psr_alloc(Caller& caller, xen_sysctl_psr_alloc& arg) {
    switch (arg.cmd) {
        case XEN_SYSCTL_PSR_get_l3_info:
        case XEN_SYSCTL_PSR_get_l2_info:
        case XEN_SYSCTL_PSR_get_mba_info: return not_divided(caller);
        default: name_missing(caller, "psr_alloc", arg.cmd); return fail(Error::opnotsupp);
    }
}

Result<> domctl_psr_cmt_op(Caller& caller, Domain&, xen_domctl_psr_cmt_op&) { return not_divided(caller); }

Result<> domctl_psr_alloc(Caller& caller, Domain&, xen_domctl_psr_alloc& arg) {
    if (arg.cmd <= XEN_DOMCTL_PSR_GET_MBA_THRTL) return not_divided(caller);
    name_missing(caller, "psr_alloc", arg.cmd);
    return fail(Error::opnotsupp);
}

}  // namespace domus::hypercall

// SPDX-License-Identifier: GPL-2.0-or-later
// The commands of the 4.17 interface versions that are answered ENOSYS. Most are for guests with hardware
// virtualisation, or for processors of other architectures.
#include "hypercall/absent_names.hpp"

#include <string_view>

#include "abi/xen.hpp"

namespace domus::hypercall {

namespace {

struct Absent {
    std::string_view family;
    u32 number;
    const char* name;
};

constexpr Absent kAbsent[] = {
    {"domctl", XEN_DOMCTL_real_mode_area, "real_mode_area"},
    {"domctl", XEN_DOMCTL_gethvmcontext, "gethvmcontext"},
    {"domctl", XEN_DOMCTL_sethvmcontext, "sethvmcontext"},
    {"domctl", XEN_DOMCTL_ioport_mapping, "ioport_mapping"},
    {"domctl", XEN_DOMCTL_set_opt_feature, "set_opt_feature"},
    {"domctl", XEN_DOMCTL_debug_op, "debug_op"},
    {"domctl", XEN_DOMCTL_gethvmcontext_partial, "gethvmcontext_partial"},
    {"domctl", XEN_DOMCTL_vm_event_op, "vm_event_op"},
    {"domctl", XEN_DOMCTL_mem_sharing_op, "mem_sharing_op"},
    {"domctl", XEN_DOMCTL_set_access_required, "set_access_required"},
    {"domctl", XEN_DOMCTL_audit_p2m, "audit_p2m"},
    {"domctl", XEN_DOMCTL_set_broken_page_p2m, "set_broken_page_p2m"},
    {"domctl", XEN_DOMCTL_cacheflush, "cacheflush"},
    {"domctl", XEN_DOMCTL_monitor_op, "monitor_op"},
    {"domctl", XEN_DOMCTL_soft_reset, "soft_reset"},
    {"domctl", XEN_DOMCTL_vuart_op, "vuart_op"},
    {"domctl", XEN_DOMCTL_vmtrace_op, "vmtrace_op"},
    {"domctl", XEN_DOMCTL_get_paging_mempool_size, "get_paging_mempool_size"},
    {"domctl", XEN_DOMCTL_set_paging_mempool_size, "set_paging_mempool_size"},
    {"sysctl", XEN_SYSCTL_perfc_op, "perfc_op"},
    {"sysctl", XEN_SYSCTL_lockprof_op, "lockprof_op"},
    {"sysctl", XEN_SYSCTL_coverage_op, "coverage_op"},
    {"sysctl", XEN_SYSCTL_livepatch_op, "livepatch_op"},
    {"memory_op", XENMEM_paging_op, "paging_op"},
    {"memory_op", XENMEM_access_op, "access_op"},
    {"memory_op", XENMEM_sharing_op, "sharing_op"},
    {"platform_op", XENPF_add_memtype, "add_memtype"},
    {"platform_op", XENPF_del_memtype, "del_memtype"},
    {"platform_op", XENPF_read_memtype, "read_memtype"},
    {"platform_op", XENPF_platform_quirk, "platform_quirk"},
    {"platform_op", XENPF_efi_runtime_call, "efi_runtime_call"},
    {"platform_op", XENPF_change_freq, "change_freq"},
    {"platform_op", XENPF_mem_hotadd, "mem_hotadd"},
    {"platform_op", XENPF_resource_op, "resource_op"},
};

}  // namespace

const char* absent_name(const char* family, u64 number) {
    for (const Absent& a : kAbsent)
        if (a.number == number && a.family == family) return a.name;
    return nullptr;
}

}  // namespace domus::hypercall

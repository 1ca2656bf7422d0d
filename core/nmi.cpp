// SPDX-License-Identifier: GPL-2.0-or-later
// Telling the log and, if it is to know, dom0 of NMIs.
#include "core/nmi.hpp"

#include <atomic>

#include "abi/xen.hpp"
#include "base/log.hpp"
#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "core/vcpu_op.hpp"
#include "port/cpu.hpp"
#include "port/machine.hpp"

namespace domus::core {

void report_nmis() {
    const port::NmiReport nmi = port::take_nmis();
    if (nmi.count == 0) return;
    log(Level::warning, "NMI on CPU {}: {}", port::this_cpu(),
        nmi.system_error   ? "a parity or system error, says the board"
        : nmi.device_error ? "an error of a device, says the board"
                           : "its cause is unknown");
    Domain* const dom0 = nmi.for_dom0 ? find_domain(DomId(0)) : nullptr;
    if (dom0 == nullptr) return;
    // Public nmi.h.
    const unsigned long reason = nmi.system_error   ? XEN_NMIREASON_pci_serr
                                 : nmi.device_error ? XEN_NMIREASON_io_error
                                                    : XEN_NMIREASON_unknown;
    std::atomic_ref(dom0->shared->arch.nmi_reason).fetch_or(reason);
    (void)vcpu_send_nmi(*dom0, VcpuId(0));
}

}  // namespace domus::core

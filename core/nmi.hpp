// SPDX-License-Identifier: GPL-2.0-or-later
// NMIs that come from the machine, not from a vCPU.
#pragma once

namespace domus::core {

// On the exit path after port::Work::nmi: says so in the log and, if that is wanted, sends dom0's first vCPU
// an NMI with the reason in the shared info page.
void report_nmis();

}  // namespace domus::core

// SPDX-License-Identifier: GPL-2.0-or-later
// What control software is told of a domain: domctl getdomaininfo and sysctl getdomaininfolist.
#pragma once

#include "abi/xen.hpp"
#include "core/domain.hpp"

namespace domus::hypercall {

xen_domctl_getdomaininfo domain_info(Domain& d, Nanos now);

}  // namespace domus::hypercall

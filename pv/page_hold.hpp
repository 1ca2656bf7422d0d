// SPDX-License-Identifier: GPL-2.0-or-later
// A frame held by a vCPU: a general reference and a use of a type, as one.
#pragma once

#include "core/domain.hpp"
#include "mm/page_type.hpp"
#include "pv/mmu_rules.hpp"

namespace domus::pv {

// EINVAL: not the domain's, or in use as something else. RESTART (with Preempt::yes): call again.
inline Result<> hold_typed(const Domain& d, Mfn m, PageType type, Preempt preempt = Preempt::no) {
    PageRef page = TRY(get_page(m, d.id));
    TRY(get_page_type(page.frame(), type, table_rules(d, preempt)));
    // Loading a segment marks its descriptor as accessed.
    if (type == PageType::descriptors) outside_writer_begins(page.frame());
    page.release();
    return {};
}

inline void release_typed(Mfn m, PageType type) {
    Frame& f = frame_of(m);
    if (type == PageType::descriptors) outside_writer_ends(f);
    static_cast<void>(put_page_type(f, Preempt::no));
    put_ref(f);
}

}  // namespace domus::pv

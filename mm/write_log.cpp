// SPDX-License-Identifier: GPL-2.0-or-later
#include "mm/write_log.hpp"

#include "base/assert.hpp"

namespace domus {

constinit std::atomic<u32> logged_domains{0};
constinit WriteLogHooks detail::write_log_hooks{};

void set_write_log_hooks(const WriteLogHooks& hooks) { detail::write_log_hooks = hooks; }

void outside_writer_begins(Frame& f) {
    u64 refs = f.refs.load(std::memory_order_relaxed);
    do {
        if ((refs & kOutsideMask) == kOutsideMask) break;
    } while (!f.refs.compare_exchange_weak(refs, refs + (u64{1} << kOutsideShift)));
    if (detail::logging()) [[unlikely]]
        detail::write_log_hooks.held(f);
}

void outside_writer_ends(Frame& f) {
    u64 refs = f.refs.load(std::memory_order_relaxed);
    do {
        ASSERT((refs & kOutsideMask) != 0);
        if ((refs & kOutsideMask) == kOutsideMask || (refs & kOutsideMask) == 0) return;
    } while (!f.refs.compare_exchange_weak(refs, refs - (u64{1} << kOutsideShift)));
}

}  // namespace domus

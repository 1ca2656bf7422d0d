// SPDX-License-Identifier: GPL-2.0-or-later
// Telling the log of a domain's dirty pages of writes that do not go through the domain's own page tables,
// and of changes to those tables. Nothing is done, and next to nothing spent, while no domain is logged.
//
// Who writes a page at once calls note_written() after it. Who can go on writing, because another domain maps
// the page or the hypervisor keeps something in it, counts as an outside writer for as long.
//
// The order that makes this safe: logging is announced to every CPU (port::flush_everything) before it
// begins, and between a write and its note no CPU answers others. So a write whose note did nothing came
// before the log.
#pragma once

#include <atomic>

#include "mm/frame_refs.hpp"

namespace domus {

struct WriteLogHooks {
    void (*written)(Frame& page);
    void (*entry_written)(Frame& table, unsigned index);
    // The page is no longer a table, or not yet one again.
    void (*table_ends)(Frame& table);
    // It has an outside writer from now on.
    void (*held)(Frame& page);
};

// Set once, at boot.
void set_write_log_hooks(const WriteLogHooks& hooks);

// How many domains are logged.
extern constinit std::atomic<u32> logged_domains;

namespace detail {
extern constinit WriteLogHooks write_log_hooks;
inline bool logging() { return logged_domains.load(std::memory_order_relaxed) != 0; }
}  // namespace detail

inline void note_written(Frame& page) {
    if (detail::logging()) [[unlikely]]
        detail::write_log_hooks.written(page);
}
// An entry of a table has been written; what the old one held is still held.
inline void note_entry_written(Frame& table, unsigned index) {
    if (detail::logging()) [[unlikely]]
        detail::write_log_hooks.entry_written(table, index);
}
// The last use of a table is about to go; its entries still hold what they did.
inline void note_table_ends(Frame& table) {
    if (detail::logging()) [[unlikely]]
        detail::write_log_hooks.table_ends(table);
}

// Outside writers, each of whom holds a reference and a writable use of the page meanwhile. Their number is
// kept in Frame::refs, beside the references; a number too large to count stays so until the page is freed.
inline constexpr unsigned kOutsideShift = 48;
inline constexpr u64 kMostOutside = 0xfff;
inline constexpr u64 kOutsideMask = kMostOutside << kOutsideShift;

inline u64 outside_writers(const Frame& f) {
    return (f.refs.load(std::memory_order_relaxed) & kOutsideMask) >> kOutsideShift;
}
void outside_writer_begins(Frame& f);
void outside_writer_ends(Frame& f);

}  // namespace domus

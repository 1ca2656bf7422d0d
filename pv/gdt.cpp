// SPDX-License-Identifier: GPL-2.0-or-later
// The global descriptor table.
#include "pv/gdt.hpp"

#include <atomic>

#include "mm/page_type_share.hpp"
#include "mm/write_log.hpp"
#include "port/memory.hpp"
#include "port/pv_hw.hpp"
#include "pv/page_hold.hpp"

namespace domus::pv {

namespace {
u32 pages_of(u32 entries) { return (entries + kDescriptorsPerPage - 1) / kDescriptorsPerPage; }
}  // namespace

Result<GdtFrames> hold_gdt_frames(const Domain& d, std::span<const Mfn> frames, u32 entries) {
    if (entries > kGuestGdtEntries || frames.size() != pages_of(entries)) return fail(Error::inval);
    GdtFrames held;
    for (usize i = 0; i < frames.size(); i++) {
        const Result<> got = hold_typed(d, frames[i], PageType::descriptors);
        if (!got) {
            held.entries = static_cast<u32>(i) * kDescriptorsPerPage;
            release_gdt_frames(held);
            return fail(got.error());
        }
        held.frames[i] = frames[i];
    }
    held.entries = entries;
    return held;
}

void release_gdt_frames(const GdtFrames& held) {
    for (u32 i = 0; i < pages_of(held.entries); i++) release_typed(held.frames[i], PageType::descriptors);
}

void drop_gdt(PvVcpu& pv) {
    release_gdt_frames({.frames = pv.gdt_frames, .entries = pv.gdt_entries});
    pv.gdt_frames = {};
    pv.gdt_entries = 0;
}

Result<> set_gdt(Vcpu& v, std::span<const Mfn> frames, u32 entries) {
    const GdtFrames fresh = TRY(hold_gdt_frames(*v.domain, frames, entries));
    const GdtFrames old{.frames = v.pv.gdt_frames, .entries = v.pv.gdt_entries};
    v.pv.gdt_frames = fresh.frames;
    v.pv.gdt_entries = fresh.entries;
    // The CPU must have let go of the old pages before their type does.
    port::load_gdt(v);
    release_gdt_frames(old);
    return {};
}

Result<> update_descriptor(const Domain& d, Maddr at, u64 descriptor) {
    if (at.v % sizeof(u64) != 0) return fail(Error::inval);
    const std::optional<u64> checked = check_descriptor(d.is_32bit, descriptor);
    if (!checked) return fail(Error::inval);

    const PageRef page = TRY(get_page(mfn(at), d.id));
    // Whatever the page is now stays so for the write: a page of descriptors, or one that anybody may write.
    // It does not become a page of descriptors by that: its other words may be anything, and are not ours to
    // correct.
    const bool typed = share_page_type(page.frame(), PageType::descriptors);
    if (!typed && !get_writable(page.frame())) return fail(Error::inval);
    // One store: another CPU may be loading from this slot.
    std::atomic_ref(*static_cast<u64*>(port::direct_map(at))).store(*checked, std::memory_order_release);
    note_written(page.frame());
    if (typed) {
        static_cast<void>(put_page_type(page.frame(), Preempt::no));
    } else {
        put_writable(page.frame());
    }
    return {};
}

}  // namespace domus::pv

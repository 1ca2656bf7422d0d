// SPDX-License-Identifier: GPL-2.0-or-later
// The steps of a transfer: announce it in the entry, let the page change hands, and complete the entry.
#include "pv/grant_transfer.hpp"

#include "abi/xen32.hpp"
#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "core/grant_pin.hpp"
#include "port/tlb.hpp"
#include "pv/m2p.hpp"

namespace domus::pv {

namespace {

using core::GrantResult;
using core::GrantStatus;
using core::refuse;

// Writes the page's arrival into the entry, whose lock is held: first that it comes, then which it is, then
// that it is there. The guest may change the entry until the first.
GrantResult<> announce(const core::GrantTable& g, u32 version, u32 ref, DomId giver, Mfn page) {
    u8* const entry = version == 1 ? core::entry_v1(g, ref) : core::entry_v2(g, ref);
    auto* const word = reinterpret_cast<u32*>(entry);
    u32 seen = core::load_shared<u32>(word);
    int patience = 8;
    do {
        if (patience-- == 0) return refuse(GrantStatus::general_error);
        TRY(core::grant_machine::judge_transfer(static_cast<u16>(seen), static_cast<u16>(seen >> 16), giver));
    } while (!__atomic_compare_exchange_n(word, &seen, seen | GTF_transfer_committed, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED));
    if (version == 1) {
        auto* const frame = reinterpret_cast<u32*>(entry + offsetof(grant_entry_v1_t, frame));
        set_m2p(page, core::load_shared<u32>(frame));
        __atomic_store_n(frame, static_cast<u32>(page.v), __ATOMIC_RELAXED);
    } else {
        auto* const frame = reinterpret_cast<u64*>(entry + offsetof(grant_entry_v2_t, full_page.frame));
        set_m2p(page, core::load_shared<u64>(frame));
        __atomic_store_n(frame, page.v, __ATOMIC_RELAXED);
    }
    __atomic_fetch_or(word, u32{GTF_transfer_completed}, __ATOMIC_RELEASE);
    return {};
}

// The page has no owner. `theirs`: it has become the receiver's, though perhaps only for a moment.
GrantResult<> receive(Domain& to, u32 ref, DomId giver, Mfn page, bool& theirs) {
    core::GrantTable& g = to.grants;
    std::atomic<u32>* const pins = g.pins_of(ref);
    if (pins == nullptr) return refuse(GrantStatus::bad_gntref);
    GrantResult<> told;
    {
        core::EntryLock lock(g, *pins);
        const u32 version = lock.version;
        if (version == 0) return refuse(GrantStatus::bad_domain);
        if (version == 2 && ref / core::GrantTable::kEntriesV2 >= g.frames.load(std::memory_order_relaxed))
            return refuse(GrantStatus::bad_gntref);
        // Not to charge the receiver for what it does not wait for.
        const u32 header =
            core::load_shared<u32>(version == 1 ? core::entry_v1(g, ref) : core::entry_v2(g, ref));
        TRY(core::grant_machine::judge_transfer(static_cast<u16>(header), static_cast<u16>(header >> 16),
                                                giver));
        // A 32-bit guest cannot find a page that its machine-to-physical table ends before.
        if (to.is_32bit && page.v >= abi32::kM2pEntries) return refuse(GrantStatus::address_too_big);
        if (!core::add_pages(to, page, 1)) return refuse(GrantStatus::general_error);
        theirs = true;
        told = announce(g, version, ref, giver, page);
    }
    // It has changed its mind in this very moment: the page goes the way of all that nobody owns.
    if (!told) static_cast<void>(core::release_page(to, page));
    return told;
}

}  // namespace

GrantResult<> transfer_page(Domain& giver, const gnttab_transfer_t& op) {
    if (!core::grant_limits().transfer) return refuse(GrantStatus::permission_denied);
    const Mfn page(op.mfn);
    if (!core::detach_page(giver, page)) return refuse(GrantStatus::bad_page);
    set_m2p(page, kInvalidM2p);
    // The giver's CPUs, and those of whom it granted the page to, may know it still.
    port::flush_since(port::tlb_clock());
    Domain* to = core::find_domain(DomId(op.domid));
    GrantResult<> done = refuse(GrantStatus::bad_domain);
    bool theirs = false;
    if (to != nullptr && to->dying.load(std::memory_order_relaxed) == Dying::no)
        done = receive(*to, op.ref, giver.id, page, theirs);
    if (!theirs) free_frames(page, 0);
    return done;
}

}  // namespace domus::pv

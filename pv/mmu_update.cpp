// SPDX-License-Identifier: GPL-2.0-or-later
// mmu_update: a list of entries to write and of machine-to-physical translations to set.
#include "base/log.hpp"
#include "core/domain_list.hpp"
#include "port/cpu.hpp"
#include "pv/m2p.hpp"
#include "pv/mmu_rules.hpp"

namespace domus::pv {

Result<DomId> pages_of(const Vcpu& v, u32 id) {
    const Domain& d = *v.domain;
    if (id == DOMID_SELF || id == d.id.v) [[likely]]
        return d.id;
    if (id == DOMID_IO) return kOwnerIo;  // each frame is checked
    if (!d.privileged) return fail(Error::perm);
    if (id == DOMID_XEN) return kOwnerXen;
    if (id >= DOMID_FIRST_RESERVED || core::find_domain(DomId(static_cast<u16>(id))) == nullptr)
        return fail(Error::srch);
    return DomId(static_cast<u16>(id));
}

Result<TableRules> tables_of(const Vcpu& v, u32 id) {
    const Domain& d = *v.domain;
    if (id == DOMID_SELF || id == d.id.v) [[likely]]
        return table_rules(d, Preempt::yes);
    if (!d.privileged) return fail(Error::perm);
    if (id >= DOMID_FIRST_RESERVED) return fail(Error::srch);
    const Domain* other = core::find_domain(DomId(static_cast<u16>(id)));
    if (other == nullptr) return fail(Error::srch);
    // A dying domain's pages are being taken apart: it makes no new tables.
    if (other->dying.load(std::memory_order_relaxed) != Dying::no) return fail(Error::inval);
    return table_rules(*other, Preempt::yes);
}

namespace {

// One call: whose tables and pages, and the table that the last entry went to, kept locked for the next.
class Updates {
  public:
    Updates(Vcpu& v, const TableRules& rules, DomId pages) : vcpu_(v), rules_(rules), pages_(pages) {}

    Result<> apply(const mmu_update_t& request) {
        const u64 command = request.ptr & 3;
        if (command == MMU_MACHPHYS_UPDATE) return set_machine_to_physical(request);
        const Mfn m = mfn(Maddr(request.ptr));
        if ((request.ptr & 4) != 0) return fail(Error::inval);
        const auto index = static_cast<unsigned>(request.ptr >> 3) & (kPtesPerTable - 1);
        const KeepBits keep = command == MMU_PT_UPDATE_PRESERVE_AD ? KeepBits::accessed_dirty : KeepBits::no;
        if (m != current_) [[unlikely]] {
            if (!TRY(switch_to(m))) return store_plain(m, index, request.val);
        }
        const Pte value(request.val);
        if (table_.type() == PageType::l1) [[likely]]
            return set_l1_entry(table_, index, value, pages_, rules_, keep);
        // Tables of another domain's cannot be linked.
        if (value.present() && pages_ != rules_.owner) return fail(Error::inval);
        Frame* retired = nullptr;
        TRY(set_upper_entry(table_, index, value, rules_, retired, keep));
        // Not to be gone on with here: the locked table may be below it.
        if (retired != nullptr) vcpu_.pv.retiring_table = mfn_of(*retired);
        return {};
    }
    bool retiring() const { return vcpu_.pv.retiring_table != kNoMfn; }

    // No lock is held afterwards.
    void pause() {
        table_.unlock();
        current_ = kNoMfn;
    }

  private:
    // True: `m` is a page table and locked. False: it is not a page table.
    Result<bool> switch_to(Mfn m) {
        pause();
        if (!frame_valid(m)) return fail(Error::inval);
        Frame& f = frame_of(m);
        auto locked = LockedTable::lock(f);
        if (!locked) return false;
        // Locked, it is in use, and its owner fixed.
        if (f.owner != rules_.owner) return fail(Error::perm);
        table_ = std::move(*locked);
        current_ = m;
        return true;
    }

    // The ABI also lets entries of a page be written that is no table (yet).
    Result<> store_plain(Mfn m, unsigned index, u64 value) {
        const PageRef page = TRY(get_page(m, rules_.owner));
        if (!get_writable(page.frame())) return fail(Error::inval);
        __atomic_store_n(port::frame_ptr<u64>(m) + index, value, __ATOMIC_RELAXED);
        note_written(page.frame());
        put_writable(page.frame());
        return {};
    }

    Result<> set_machine_to_physical(const mmu_update_t& request) {
        const Mfn m = mfn(Maddr(request.ptr));
        const PageRef page = TRY(get_page(m, pages_));
        set_m2p(m, request.val);
        return {};
    }

    Vcpu& vcpu_;
    TableRules rules_;
    DomId pages_;
    Mfn current_ = kNoMfn;
    LockedTable table_;
};

[[gnu::cold]] void log_refused(const Vcpu& v, const mmu_update_t& r, Error e) {
    guest_log(Level::warning, "d{}v{}: mmu_update of {:#x} to {:#x} refused ({})", v.domain->id, v.id, r.ptr,
              r.val, e);
}

}  // namespace

MmuProgress mmu_update(Vcpu& v, GuestIn<mmu_update_t> requests, u32 count, u32 foreign) {
    const Result<DomId> pages = pages_of(v, foreign & 0xffff);
    if (!pages) return {0, fail(pages.error())};
    const u32 table_id = foreign >> 16;
    const Result<TableRules> rules = tables_of(v, table_id == 0 ? DOMID_SELF : table_id - 1);
    if (!rules) return {0, fail(rules.error())};
    if (auto r = finish_retiring(v); !r) return {0, r};

    constexpr u32 kBatch = 16;
    mmu_update_t batch[kBatch];
    Updates updates(v, *rules, *pages);
    u32 done = 0, since_pause = 0;
    while (done < count) {
        // Not after each batch: the interrupt window costs more than some entries.
        if (since_pause >= 4 * kBatch) {
            updates.pause();
            if (port::preempt_wanted()) return {done, fail(Error::restart)};
            since_pause = 0;
        }
        const u32 n = count - done < kBatch ? count - done : kBatch;
        since_pause += n;
        if (auto r = requests.read(done, batch, n); !r) {
            // One by one, so that what precedes the bad address counts.
            const auto one = requests.read(done);
            if (!one) return {done, r};
            if (auto applied = updates.apply(*one); !applied) return {done, applied};
            done++;
            if (updates.retiring()) return {done, fail(Error::restart)};
            continue;
        }
        for (u32 i = 0; i < n; i++) {
            if (auto r = updates.apply(batch[i]); !r) [[unlikely]] {
                if (r.error() != Error::restart) log_refused(v, batch[i], r.error());
                return {done, r};
            }
            done++;
            if (updates.retiring()) [[unlikely]]
                return {done, fail(Error::restart)};
        }
    }
    return {done, {}};
}

}  // namespace domus::pv

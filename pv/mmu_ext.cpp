// SPDX-License-Identifier: GPL-2.0-or-later
// mmuext_op: pinning, address spaces, flushes, the LDT, whole pages. One function a command.
#include <cstring>

#include "base/log.hpp"
#include "core/domain_list.hpp"
#include "mm/heap.hpp"
#include "port/address_space.hpp"
#include "port/cpu.hpp"
#include "port/pv_hw.hpp"
#include "pv/descriptors.hpp"
#include "pv/ldt.hpp"
#include "pv/mmu_flush.hpp"
#include "pv/mmu_rules.hpp"

namespace domus::pv {

Result<Reach> reach_of(const Vcpu& v, GuestIn<u8> bitmap) {
    const u32 vcpus = v.domain->max_vcpus;
    Reach reach = Reach::none;
    u8 bytes[32];
    for (u32 at = 0; at < (vcpus + 7) / 8; at += sizeof bytes) {
        const u32 left = (vcpus + 7) / 8 - at;
        const u32 n = left < sizeof bytes ? left : static_cast<u32>(sizeof bytes);
        TRY(bitmap.read(at, bytes, n));
        for (u32 i = 0; i < n; i++) {
            u8 others = bytes[i];
            if ((at + i) == v.id.v / 8) {
                const u8 self = static_cast<u8>(1u << (v.id.v % 8));
                if ((others & self) != 0 && reach == Reach::none) reach = Reach::local;
                others &= static_cast<u8>(~self);
            }
            if (others != 0) reach = Reach::domain;
        }
    }
    return reach;
}

namespace {

// A root of the vCPU's domain, for it to hold.
Result<> hold_root(const Vcpu& v, Mfn m, Preempt preempt) {
    PageRef page = TRY(get_page(m, v.domain->id));
    TRY(get_page_type(page.frame(), root_type(v.pv.is_32bit), table_rules(*v.domain, preempt)));
    page.release();
    return {};
}

// Gives up a root that has been replaced; what cannot be done at once is left in retiring_table.
Result<> retire_root(Vcpu& v, Mfn old, Preempt preempt) {
    if (old == kNoMfn) return {};
    Frame& f = frame_of(old);
    if (auto r = put_page_type(f, preempt); !r) {
        v.pv.retiring_table = old;
        return r;
    }
    put_ref(f);
    return {};
}

}  // namespace

namespace {

// With `running`, on the CPU that uses the old table: it leaves the table before the table's type may go.
Result<> change_kernel_table(Vcpu& v, Mfn l4, Preempt preempt, bool running) {
    TRY(finish_retiring(v));
    if (l4 != v.pv.kernel_table) {
        TRY(hold_root(v, l4, preempt));
        show_m2p(l4);
    }
    const Mfn old = std::exchange(v.pv.kernel_table, l4);
    if (running) port::load_address_space(v);
    return old != l4 ? retire_root(v, old, preempt) : Result<>{};
}

// A 32-bit vCPU's table is one entry of its own level 4 table. The CPU lets go of what the old one led to
// when that is loaded anew.
Result<> change_pae_table(Vcpu& v, Mfn l3, Preempt preempt, bool running) {
    TRY(finish_retiring(v));
    if (l3 != v.pv.pae_table) TRY(hold_root(v, l3, preempt));
    const Mfn old = std::exchange(v.pv.pae_table, l3);
    point_pae_root(v.pv);
    if (running) port::load_address_space(v);
    return old != l3 ? retire_root(v, old, preempt) : Result<>{};
}

}  // namespace

Result<Mfn> make_pae_root() {
    const Mfn m = TRY(alloc_frames(0));
    Pte* const table = port::frame_ptr<Pte>(m);
    std::memset(static_cast<void*>(table), 0, kPageSize);
    // But for the machine-to-physical table of 64-bit guests, which no address of 32 bits reaches.
    for (unsigned s = 1; s < kHypervisorSlots; s++) table[kFirstHypervisorSlot + s] = hypervisor_slots[s];
    return m;
}

void point_pae_root(const PvVcpu& pv) {
    constexpr u64 kFlags = Pte::kPresent | Pte::kWritable | Pte::kUser | Pte::kAccessed;
    store_entry(port::frame_ptr<Pte>(pv.kernel_table)[0],
                pv.pae_table == kNoMfn ? Pte() : Pte(pv.pae_table, kFlags));
}

void free_pae_root(PvVcpu& pv) {
    if (pv.kernel_table != kNoMfn) free_frames(pv.kernel_table, 0);
    pv.kernel_table = pv.user_table = kNoMfn;
}

Result<> set_kernel_table(Vcpu& v, Mfn l4, bool preemptible) {
    return change_kernel_table(v, l4, preemptible ? Preempt::yes : Preempt::no, false);
}

Result<> set_user_table(Vcpu& v, Mfn l4, bool preemptible) {
    const Preempt preempt = preemptible ? Preempt::yes : Preempt::no;
    TRY(finish_retiring(v));
    if (l4 == v.pv.user_table) return {};
    if (l4 != kNoMfn) {
        TRY(hold_root(v, l4, preempt));
        if (table_rules(*v.domain, preempt).m2p_strict) hide_m2p(l4);
    }
    return retire_root(v, std::exchange(v.pv.user_table, l4), preempt);
}

Result<> drop_tables(Vcpu& v) {
    TRY(finish_retiring(v));
    if (v.pv.is_32bit) {
        if (v.pv.kernel_table == kNoMfn) return {};
        const Mfn old = std::exchange(v.pv.pae_table, kNoMfn);
        point_pae_root(v.pv);
        free_pae_root(v.pv);
        return retire_root(v, old, Preempt::yes);
    }
    TRY(set_user_table(v, kNoMfn, true));
    TRY(retire_root(v, std::exchange(v.pv.kernel_table, kNoMfn), Preempt::yes));
    return {};
}

namespace {

struct Call {
    Vcpu& vcpu;
    DomId pages;
    Result<TableRules> rules;  // for tables of the domain that `pages` names
};

Mfn frame_arg(const mmuext_op_t& op) { return Mfn(op.arg1.mfn); }

Result<> pin(Call& c, const mmuext_op_t& op) {
    const TableRules rules = TRY(c.rules);
    const PageRef page = TRY(get_page(frame_arg(op), c.pages));
    PageType type = table_type(op.cmd - MMUEXT_PIN_L1_TABLE + 1);
    if (rules.is_32bit) {
        if (type == PageType::l4) return fail(Error::inval);
        if (type == PageType::l3) type = PageType::l3_pae;
    }
    TRY(pin_page(page.frame(), type, rules));
    // A domain that has come to its end since the rules were made gives up its pins, and may have been at
    // this page already: then nobody else ever would. Whoever sees the other's step undoes it.
    const Domain* const owner = core::find_domain(rules.owner);
    if (owner != nullptr && owner->dying.load() != Dying::no && take_pin(page.frame())) {
        c.vcpu.pv.retiring_table = page.mfn();
        return fail(Error::inval);
    }
    return {};
}

Result<> unpin(Call& c, const mmuext_op_t& op) {
    const PageRef page = TRY(get_page(frame_arg(op), c.pages));
    return unpin_page(page.frame(), Preempt::yes);
}

// CR3 as the guest's kernel sees it. Writing the value it has flushes, as on hardware.
Result<> new_baseptr(Call& c, const mmuext_op_t& op) {
    if (c.vcpu.domain->id != c.pages) return fail(Error::perm);
    if (c.vcpu.pv.is_32bit) return change_pae_table(c.vcpu, frame_arg(op), Preempt::yes, true);
    return change_kernel_table(c.vcpu, frame_arg(op), Preempt::yes, true);
}

Result<> new_user_baseptr(Call& c, const mmuext_op_t& op) {
    if (c.vcpu.domain->id != c.pages) return fail(Error::perm);
    // A 32-bit guest's kernel and its programs share their tables.
    if (c.vcpu.pv.is_32bit) return fail(Error::nosys);
    return set_user_table(c.vcpu, op.arg1.mfn == 0 ? kNoMfn : frame_arg(op), true);
}

Result<> tlb_flush_local(Call& c, const mmuext_op_t&) { return flush_all(c.vcpu, Reach::local), Result<>{}; }
Result<> tlb_flush_all(Call& c, const mmuext_op_t&) { return flush_all(c.vcpu, Reach::domain), Result<>{}; }
Result<> tlb_flush_multi(Call& c, const mmuext_op_t& op) {
    flush_all(c.vcpu, TRY(reach_of(c.vcpu, GuestIn<u8>(reinterpret_cast<u64>(op.arg2.vcpumask.p)))));
    return {};
}
Result<> invlpg_local(Call& c, const mmuext_op_t& op) {
    flush_page(c.vcpu, Vaddr(op.arg1.linear_addr), Reach::local);
    return {};
}
Result<> invlpg_all(Call& c, const mmuext_op_t& op) {
    flush_page(c.vcpu, Vaddr(op.arg1.linear_addr), Reach::domain);
    return {};
}
Result<> invlpg_multi(Call& c, const mmuext_op_t& op) {
    const Reach reach = TRY(reach_of(c.vcpu, GuestIn<u8>(reinterpret_cast<u64>(op.arg2.vcpumask.p))));
    flush_page(c.vcpu, Vaddr(op.arg1.linear_addr), reach);
    return {};
}

Result<> flush_cache(Call& c, const mmuext_op_t&) {
    if (!c.vcpu.domain->hardware) return fail(Error::access);
    port::flush_caches();
    return {};
}
Result<> flush_cache_global(Call& c, const mmuext_op_t&) {
    if (!c.vcpu.domain->hardware) return fail(Error::access);
    port::flush_caches_everywhere();
    return {};
}

Result<> set_ldt(Call& c, const mmuext_op_t& op) {
    const u64 base = op.arg1.linear_addr;
    const u32 entries = op.arg2.nr_ents;
    if (c.vcpu.domain->id != c.pages) return fail(Error::perm);
    if (base % kPageSize != 0 || entries > kMaxLdtEntries) return fail(Error::inval);
    if (entries != 0 && (!guest_address(base) || !guest_address(base + entries * u64{8} - 1)))
        return fail(Error::inval);
    PvVcpu& pv = c.vcpu.pv;
    if (pv.ldt_entries == 0 && entries == 0) return {};
    pv.ldt_base = base;
    pv.ldt_entries = entries;
    // The CPU lets go of the old pages before their type does; the new ones come with their first use.
    port::load_ldt(c.vcpu);
    release_ldt(c.vcpu);
    return {};
}

Result<> clear_page(Call& c, const mmuext_op_t& op) {
    const PageRef page = TRY(get_page(frame_arg(op), c.pages));
    if (!get_writable(page.frame())) return fail(Error::inval);
    std::memset(port::frame_ptr(page.mfn()), 0, kPageSize);
    note_written(page.frame());
    put_writable(page.frame());
    return {};
}

Result<> copy_page(Call& c, const mmuext_op_t& op) {
    const PageRef source = TRY(get_page(Mfn(op.arg2.src_mfn), c.pages));
    const PageRef page = TRY(get_page(frame_arg(op), c.pages));
    if (source.mfn() == page.mfn()) return {};
    if (!get_writable(page.frame())) return fail(Error::inval);
    std::memcpy(port::frame_ptr(page.mfn()), port::frame_ptr(source.mfn()), kPageSize);
    note_written(page.frame());
    put_writable(page.frame());
    return {};
}

Result<> superpages(Call&, const mmuext_op_t&) { return fail(Error::opnotsupp); }

struct Row {
    Result<> (*run)(Call&, const mmuext_op_t&) = nullptr;
    const char* name = nullptr;
};

constexpr auto kCommands = [] {
    std::array<Row, MMUEXT_UNMARK_SUPER + 1> t{};
    t[MMUEXT_PIN_L1_TABLE] = {pin, "PIN_L1_TABLE"};
    t[MMUEXT_PIN_L2_TABLE] = {pin, "PIN_L2_TABLE"};
    t[MMUEXT_PIN_L3_TABLE] = {pin, "PIN_L3_TABLE"};
    t[MMUEXT_PIN_L4_TABLE] = {pin, "PIN_L4_TABLE"};
    t[MMUEXT_UNPIN_TABLE] = {unpin, "UNPIN_TABLE"};
    t[MMUEXT_NEW_BASEPTR] = {new_baseptr, "NEW_BASEPTR"};
    t[MMUEXT_NEW_USER_BASEPTR] = {new_user_baseptr, "NEW_USER_BASEPTR"};
    t[MMUEXT_TLB_FLUSH_LOCAL] = {tlb_flush_local, "TLB_FLUSH_LOCAL"};
    t[MMUEXT_TLB_FLUSH_MULTI] = {tlb_flush_multi, "TLB_FLUSH_MULTI"};
    t[MMUEXT_TLB_FLUSH_ALL] = {tlb_flush_all, "TLB_FLUSH_ALL"};
    t[MMUEXT_INVLPG_LOCAL] = {invlpg_local, "INVLPG_LOCAL"};
    t[MMUEXT_INVLPG_MULTI] = {invlpg_multi, "INVLPG_MULTI"};
    t[MMUEXT_INVLPG_ALL] = {invlpg_all, "INVLPG_ALL"};
    t[MMUEXT_FLUSH_CACHE] = {flush_cache, "FLUSH_CACHE"};
    t[MMUEXT_FLUSH_CACHE_GLOBAL] = {flush_cache_global, "FLUSH_CACHE_GLOBAL"};
    t[MMUEXT_SET_LDT] = {set_ldt, "SET_LDT"};
    t[MMUEXT_CLEAR_PAGE] = {clear_page, "CLEAR_PAGE"};
    t[MMUEXT_COPY_PAGE] = {copy_page, "COPY_PAGE"};
    t[MMUEXT_MARK_SUPER] = {superpages, "MARK_SUPER"};
    t[MMUEXT_UNMARK_SUPER] = {superpages, "UNMARK_SUPER"};
    return t;
}();

[[gnu::cold]] void log_refused(const Vcpu& v, const mmuext_op_t& op, Error e) {
    const char* name = op.cmd < kCommands.size() ? kCommands[op.cmd].name : nullptr;
    guest_log(Level::warning, "d{}v{}: mmuext_op {} ({}) of {:#x} refused ({})", v.domain->id, v.id, op.cmd,
              name == nullptr ? "unknown" : name, op.arg1.mfn, e);
}

mmuext_op_t wide(const mmuext_op_t& op) { return op; }
mmuext_op_t wide(const abi32::MmuextOp& op) {
    mmuext_op_t w{};
    w.cmd = op.cmd;
    w.arg1.mfn = op.arg1;
    w.arg2.src_mfn = op.arg2;  // a number of entries is its low half, a pointer all of it
    return w;
}

template <class Request>
MmuProgress run_requests(Vcpu& v, GuestIn<Request> requests, u32 count, u32 foreign) {
    const Result<DomId> pages = pages_of(v, foreign);
    if (!pages) return {0, fail(pages.error())};
    Call call{.vcpu = v, .pages = *pages, .rules = tables_of(v, foreign)};
    for (u32 done = 0; done < count; done++) {
        if (done != 0 && port::preempt_wanted()) return {done, fail(Error::restart)};
        if (auto r = finish_retiring(v); !r) return {done, r};
        const Result<Request> request = requests.read(done);
        if (!request) return {done, fail(request.error())};
        const mmuext_op_t& op = wide(*request);
        Result<> r = fail(Error::nosys);
        if (op.cmd < kCommands.size() && kCommands[op.cmd].run != nullptr)
            r = kCommands[op.cmd].run(call, op);
        if (!r) {
            if (r.error() != Error::restart) log_refused(v, op, r.error());
            return {done, r};
        }
    }
    return {count, {}};
}

}  // namespace

MmuProgress mmuext_op(Vcpu& v, GuestIn<mmuext_op_t> requests, u32 count, u32 foreign) {
    return run_requests(v, requests, count, foreign);
}
MmuProgress mmuext_op(Vcpu& v, GuestIn<abi32::MmuextOp> requests, u32 count, u32 foreign) {
    return run_requests(v, requests, count, foreign);
}

}  // namespace domus::pv

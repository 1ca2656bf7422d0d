// SPDX-License-Identifier: GPL-2.0-or-later
// Making and removing entries for granted frames; what was removed is flushed in batches.
#include "pv/grant_map.hpp"

#include "core/domain.hpp"
#include "port/tlb.hpp"
#include "pv/mmu_rules.hpp"
#include "pv/mmu_walk.hpp"

namespace domus::pv {

namespace {

using core::GrantMapping;
using core::GrantResult;
using core::GrantStatus;
using core::refuse;

unsigned index_of(u64 host_addr, bool by_pte) {
    return by_pte ? static_cast<unsigned>(host_addr >> 3) & (kPtesPerTable - 1)
                  : table_index(Vaddr(host_addr), 1);
}

// The table with the entry that `host_addr` means, if it can be one.
GrantResult<Mfn> table_at(const Vcpu& v, u64 host_addr, bool by_pte) {
    if (by_pte) {
        if ((host_addr & 7) != 0) return refuse(GrantStatus::bad_virt_addr);
        return mfn(Maddr(host_addr));
    }
    const Mfn root = current_root(v);
    if (root == kNoMfn || !guest_address(host_addr)) return refuse(GrantStatus::bad_virt_addr);
    const auto table = find_l1(root, Vaddr(host_addr));
    if (!table) return refuse(GrantStatus::bad_virt_addr);
    return *table;
}

// The entry for a request (flags GNTMAP_*, public grant_table.h). Accessed and dirty, so that the CPU need
// not write to it; never to be executed. Whether user mode sees it is its level 4 tables' matter, or a 32-bit
// kernel's to say.
Pte entry_for(bool is_32bit, Mfn frame, u32 flags) {
    u64 bits = Pte::kPresent | Pte::kAccessed | Pte::kDirty | Pte::kNoExecute;
    if (!is_32bit || (flags & GNTMAP_application_map) != 0) bits |= Pte::kUser;
    if ((flags & GNTMAP_readonly) == 0) bits |= Pte::kWritable;
    bits |= u64{flags >> _GNTMAP_guest_avail0} << 9 & Pte::kAvailable;
    return {frame, bits};
}

u32 parts_of(u32 flags) {
    u32 parts = 0;
    if ((flags & GNTMAP_readonly) == 0) parts |= GrantMapping::kWritable;
    if ((flags & GNTMAP_device_map) != 0) parts |= GrantMapping::kDevice;
    if ((flags & GNTMAP_host_map) != 0) {
        parts |= GrantMapping::kHost;
        if ((flags & GNTMAP_contains_pte) != 0) parts |= GrantMapping::kByPte;
    }
    return parts;
}

GrantResult<> enter(Vcpu& v, GrantMapping& m, u64 host_addr, u32 flags) {
    const bool by_pte = (flags & GNTMAP_contains_pte) != 0;
    const Mfn at = TRY(table_at(v, host_addr, by_pte));
    auto table = lock_l1(*v.domain, at);
    if (!table) return refuse(GrantStatus::bad_virt_addr);
    if (!set_l1_entry(*table, index_of(host_addr, by_pte), entry_for(v.pv.is_32bit, Mfn(m.frame), flags),
                      m.granter->id, table_rules(*v.domain, Preempt::no)))
        return refuse(GrantStatus::general_error);
    m.table = static_cast<u32>(at.v);
    m.host_addr = host_addr;
    return {};
}

// Takes the mapping's entry out. If it maps something else by now, or its table is none any more, the mapping
// is gone already.
void leave(const Vcpu& v, const GrantMapping& m, u32 state) {
    auto table = lock_l1(*v.domain, Mfn(m.table));
    if (!table) return;
    const unsigned index = index_of(m.host_addr, (state & GrantMapping::kByPte) != 0);
    const Pte now = load_entry(table->entries()[index]);
    if (!now.present() || now.mfn() != Mfn(m.frame)) return;
    // Nothing can be wrong with an empty entry.
    static_cast<void>(set_l1_entry(*table, index, Pte(), v.domain->id, table_rules(*v.domain, Preempt::no)));
}

}  // namespace

GrantResult<MappedGrant> map_grant(Vcpu& v, const gnttab_map_grant_ref_t& op) {
    const u32 parts = parts_of(op.flags);
    if ((parts & (GrantMapping::kHost | GrantMapping::kDevice)) == 0) return refuse(GrantStatus::bad_gntref);
    Domain& d = *v.domain;
    const u32 handle = TRY(core::begin_mapping(d, op.dom, op.ref, parts));
    GrantMapping& m = d.grants.maptrack.at(handle);
    const MappedGrant mapped{handle, maddr(Mfn(m.frame))};
    if ((parts & GrantMapping::kHost) != 0) {
        if (const auto entered = enter(v, m, op.host_addr, op.flags); !entered) [[unlikely]] {
            if ((parts & GrantMapping::kDevice) != 0) core::drop_device_part(m, parts);
            core::end_mapping(d, handle, m, parts);
            return refuse(entered.error());
        }
    }
    core::publish_mapping(m, parts);
    return mapped;
}

void undo_map_grant(Vcpu& v, const gnttab_map_grant_ref_t& op, const MappedGrant& mapped) {
    UnmapBatch batch(v);
    // Another vCPU may have guessed the handle and ended the mapping: then that is that.
    static_cast<void>(batch.add(mapped.handle, (op.flags & GNTMAP_host_map) != 0 ? op.host_addr : 0,
                                (op.flags & GNTMAP_device_map) != 0 ? mapped.frame.v : 0));
}

void UnmapBatch::end(GrantMapping& m, u32 handle, u32 state, u32 parts) {
    const u32 left = state & (GrantMapping::kHost | GrantMapping::kDevice) & ~parts;
    list_[ended_++] = {&m, handle, state, left == 0 ? 0 : state & ~parts};
}

GrantResult<> UnmapBatch::add(u32 handle, u64 host_addr, u64 dev_bus_addr) {
    GrantMapping* m = nullptr;
    const u32 state = TRY(core::claim_mapping(*vcpu_.domain, handle, m));
    u32 parts = 0;
    if (host_addr != 0 && (state & GrantMapping::kHost) != 0) parts |= GrantMapping::kHost;
    if (dev_bus_addr != 0 && (state & GrantMapping::kDevice) != 0) parts |= GrantMapping::kDevice;
    const bool wrong_host = (parts & GrantMapping::kHost) != 0 && host_addr != m->host_addr;
    const bool wrong_device =
        (parts & GrantMapping::kDevice) != 0 && Maddr(dev_bus_addr) != maddr(Mfn(m->frame));
    if (wrong_host || wrong_device) {
        core::publish_mapping(*m, state);
        return refuse(wrong_host ? GrantStatus::bad_virt_addr : GrantStatus::bad_dev_addr);
    }
    if ((parts & GrantMapping::kHost) != 0) {
        leave(vcpu_, *m, state);
        flush_ = true;
    }
    if ((parts & GrantMapping::kDevice) != 0) core::drop_device_part(*m, state);
    end(*m, handle, state, parts);
    return {};
}

GrantResult<> UnmapBatch::replace(u32 handle, u64 host_addr, u64 new_addr) {
    if (new_addr == 0) return add(handle, host_addr, 0);
    const auto from_table = table_at(vcpu_, new_addr, false);
    if (!from_table) return refuse(from_table.error());
    GrantMapping* m = nullptr;
    const u32 state = TRY(core::claim_mapping(*vcpu_.domain, handle, m));
    GrantResult<> done = refuse(GrantStatus::general_error);
    if ((state & GrantMapping::kHost) != 0 && (state & GrantMapping::kByPte) == 0) {
        if (host_addr != m->host_addr) {
            done = refuse(GrantStatus::bad_virt_addr);
        } else if (move_l1_entry({.table = Mfn(m->table), .index = table_index(Vaddr(host_addr), 1)},
                                 {.table = *from_table, .index = table_index(Vaddr(new_addr), 1)},
                                 Mfn(m->frame), vcpu_.domain->id)) {
            done = {};
        }
    }
    if (!done) {
        core::publish_mapping(*m, state);
        return done;
    }
    flush_ = true;
    end(*m, handle, state, GrantMapping::kHost);
    return {};
}

void UnmapBatch::finish() {
    Domain& d = *vcpu_.domain;
    // Before the granters hear of it, no CPU may have a translation left. The guest can have mapped the
    // entry's table at several places: a flush of single pages would not do.
    if (flush_) port::flush_domain(d.id);
    flush_ = false;
    for (u32 i = 0; i < ended_; i++) {
        const Ended& e = list_[i];
        if (e.remaining != 0)
            core::publish_mapping(*e.mapping, e.remaining);
        else
            core::end_mapping(d, e.handle, *e.mapping, e.state);
    }
    ended_ = 0;
}

}  // namespace domus::pv

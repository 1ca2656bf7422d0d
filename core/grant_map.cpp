// SPDX-License-Identifier: GPL-2.0-or-later
// The life of a handle: pin and hold, publish, claim, give up.
#include "core/grant_map.hpp"

#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "core/grant_pin.hpp"
#include "core/trace.hpp"
#include "mm/page_type.hpp"
#include "mm/write_log.hpp"

namespace domus::core {

namespace {

// Undoes what begin_mapping has done so far.
class Attempt {
  public:
    Attempt(Domain& mapper, u32 handle) : mapper_(mapper), handle_(handle) {}
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;
    ~Attempt() {
        if (done_) return;
        if (granter_ != nullptr) {
            if (pinned_) unpin_grant(granter_->grants, ref_, write_);
            put_domain(*granter_);
        }
        mapper_.grants.maptrack.give_back(handle_);
    }
    void holds(Domain& granter) { granter_ = &granter; }
    void pinned(u32 ref, bool write) { pinned_ = true, ref_ = ref, write_ = write; }
    u32 succeed() {
        done_ = true;
        return handle_;
    }

  private:
    Domain& mapper_;
    u32 handle_;
    Domain* granter_ = nullptr;
    u32 ref_ = 0;
    bool write_ = false, pinned_ = false, done_ = false;
};

// EINVAL: not the granter's.
Result<> hold_for_device(Mfn m, DomId owner, bool write) {
    PageRef page = TRY(get_page(m, owner));
    if (write) {
        if (!get_writable(page.frame())) return fail(Error::inval);
        outside_writer_begins(page.frame());
    }
    static_cast<void>(page.release());
    return {};
}

}  // namespace

GrantResult<u32> begin_mapping(Domain& mapper, u16 granter_id, u32 ref, u32 parts) {
    Domain* granter = find_domain(DomId(granter_id));
    if (granter == nullptr || granter->dying.load(std::memory_order_relaxed) != Dying::no) [[unlikely]]
        return refuse(GrantStatus::bad_domain);
    const Result<u32> handle = mapper.grants.maptrack.take();
    if (!handle) [[unlikely]]
        return refuse(GrantStatus::no_space);
    Attempt attempt(mapper, *handle);
    // While it is held its id, and with that the owner of its pages, means this domain.
    DomainRef held = DomainRef::get(*granter);
    if (!held) return refuse(GrantStatus::bad_domain);
    attempt.holds(*held.release());
    const bool write = (parts & GrantMapping::kWritable) != 0;
    const GrantedPart part = TRY(pin_grant(granter->grants, ref, mapper.id, {.write = write}));
    attempt.pinned(ref, write);
    const Mfn frame(part.frame);
    if (!frame_valid(frame)) return refuse(GrantStatus::bad_page);
    if ((parts & GrantMapping::kDevice) != 0 && !hold_for_device(frame, granter->id, write))
        return refuse(GrantStatus::bad_page);

    GrantMapping& m = mapper.grants.maptrack.at(*handle);
    m.ref.store(ref, std::memory_order_relaxed);
    __atomic_store_n(&m.granter, granter, __ATOMIC_RELAXED);
    __atomic_store_n(&m.frame, static_cast<u32>(frame.v), __ATOMIC_RELAXED);
    m.table = 0;
    m.host_addr = 0;
    trace(TRC_MEM_PAGE_GRANT_MAP, u32{granter->id.v});
    return attempt.succeed();
}

GrantResult<u32> claim_mapping(const Domain& mapper, u32 handle, GrantMapping*& mapping) {
    mapping = mapper.grants.maptrack.find(handle);
    if (mapping == nullptr) return refuse(GrantStatus::bad_handle);
    u32 state = mapping->state.load(std::memory_order_relaxed);
    if (state == 0 || (state & GrantMapping::kBusy) != 0 ||
        !mapping->state.compare_exchange_strong(state, GrantMapping::kBusy, std::memory_order_acquire))
        return refuse(GrantStatus::bad_handle);
    return state;
}

void drop_device_part(const GrantMapping& m, u32 state) {
    Frame& f = frame_of(Mfn(m.frame));
    if ((state & GrantMapping::kWritable) != 0) {
        outside_writer_ends(f);
        put_writable(f);
    }
    put_ref(f);
}

void end_mapping(Domain& mapper, u32 handle, GrantMapping& m, u32 state) {
    Domain* granter = m.granter;
    trace(TRC_MEM_PAGE_GRANT_UNMAP, u32{granter->id.v});
    unpin_grant(granter->grants, m.ref.load(std::memory_order_relaxed),
                (state & GrantMapping::kWritable) != 0);
    __atomic_store_n(&m.granter, nullptr, __ATOMIC_RELAXED);
    mapper.grants.maptrack.give_back(handle);
    put_domain(*granter);
}

Result<PageRef> hold_mapped_frame(Domain& mapper, Mfn frame, u32& position) {
    constexpr u32 kStep = 1024;  // mappings between two looks at other work
    MapTrack& track = mapper.grants.maptrack;
    for (u32 at = position * kStep; at < track.end(); at++) {
        if (at % kStep == 0 && at != position * kStep && port::preempt_wanted()) {
            position = at / kStep;
            return fail(Error::restart);
        }
        GrantMapping& m = track.at(at);
        const u32 live = m.state.load(std::memory_order_acquire);
        if (live == 0 || (live & GrantMapping::kBusy) != 0 ||
            __atomic_load_n(&m.frame, __ATOMIC_RELAXED) != static_cast<u32>(frame.v))
            continue;
        // Not claimed: to end it meanwhile is another vCPU's right. What is read stays a domain until this
        // CPU leaves, and what counts is whether the frame is still that domain's.
        const Domain* granter = __atomic_load_n(&m.granter, __ATOMIC_RELAXED);
        if (granter == nullptr) continue;
        if (auto page = get_page(frame, granter->id)) return page;
    }
    position = 0;
    return fail(Error::perm);
}

Result<> release_all_mappings(Domain& d, u32& next) {
    // Its vCPUs run no more: no mapping is busy.
    constexpr u32 kFree = 2048;  // handles without a mapping between two looks at other work
    for (u32 done = 0, seen = 0; next < d.grants.maptrack.end(); next++) {
        if (++seen % kFree == 0 && port::preempt_wanted()) return fail(Error::restart);
        GrantMapping* m = nullptr;
        const auto state = claim_mapping(d, next, m);
        if (!state) continue;
        if ((*state & GrantMapping::kDevice) != 0) drop_device_part(*m, *state);
        end_mapping(d, next, *m, *state);
        if (++done % 64 == 0 && port::preempt_wanted()) {
            next++;
            return fail(Error::restart);
        }
    }
    return {};
}

}  // namespace domus::core

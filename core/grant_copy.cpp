// SPDX-License-Identifier: GPL-2.0-or-later
// The two ends of a copy: each is looked up, checked, held for the copy and let go.
#include "core/grant_copy.hpp"

#include <cstring>

#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "core/grant_pin.hpp"
#include "mm/page_type.hpp"
#include "mm/write_log.hpp"

namespace domus::core {

namespace {

// One end of a copy: the pins of the grant and, if that is transitive, of the one it names, and the frame.
class Side {
  public:
    explicit Side(bool write) : write_(write) {}
    Side(const Side&) = delete;
    Side& operator=(const Side&) = delete;
    ~Side() {
        if (frame_ != nullptr) {
            if (write_) {
                note_written(*frame_);
                put_writable(*frame_);
            }
            put_ref(*frame_);
        }
        while (pins_ > 0) {
            const Pin& p = pin_[--pins_];
            unpin_grant(*p.table, p.ref, write_);
        }
    }

    GrantResult<> own(const Domain& d, u64 frame) { return hold(frame, d.id); }

    GrantResult<> granted(Domain& caller, u16 domid, u32 ref, u32 offset, u32 length) {
        Domain* granter = domid == DOMID_SELF ? &caller : find_domain(DomId(domid));
        if (granter == nullptr || dying(*granter)) [[unlikely]]
            return refuse(GrantStatus::bad_domain);
        GrantedPart part = TRY(pin(*granter, ref, caller.id, grant_limits().transitive));
        if (part.kind == GrantKind::transitive) [[unlikely]] {
            // The granter lends what another one has granted to it: one step, so that there are no circles.
            const DomId middle = granter->id;
            granter = find_domain(DomId(part.next_domain));
            if (granter == nullptr || dying(*granter)) return refuse(GrantStatus::bad_domain);
            if (granter->id == middle) return refuse(GrantStatus::general_error);
            part = TRY(pin(*granter, part.next_ref, middle, false));
        }
        if (part.kind == GrantKind::sub_page) [[unlikely]] {
            if (offset < part.offset || offset + length > u32{part.offset} + part.length)
                return refuse(GrantStatus::general_error);
        }
        TRY(hold(part.frame, granter->id));
        // A domain that was alive after that was so before: its id means it, and the frame was its own.
        if (dying(*granter)) return refuse(GrantStatus::bad_domain);
        return {};
    }

    u8* bytes() const { return port::frame_ptr<u8>(mfn_of(*frame_)); }

  private:
    struct Pin {
        GrantTable* table;
        u32 ref;
    };

    static bool dying(const Domain& d) { return d.dying.load(std::memory_order_seq_cst) != Dying::no; }

    GrantResult<GrantedPart> pin(Domain& granter, u32 ref, DomId grantee, bool transitive) {
        const auto part = pin_grant(granter.grants, ref, grantee,
                                    {.write = write_, .copy = true, .transitive = transitive});
        if (part) pin_[pins_++] = {&granter.grants, ref};
        return part;
    }

    GrantResult<> hold(u64 frame, DomId owner) {
        const Mfn m(frame);
        if (!frame_valid(m)) return refuse(GrantStatus::bad_page);
        Frame& f = frame_of(m);
        if (!get_ref(f, owner)) [[unlikely]]
            return refuse(GrantStatus::bad_page);
        if (write_ && !get_writable(f)) [[unlikely]] {
            put_ref(f);
            return refuse(GrantStatus::bad_page);
        }
        frame_ = &f;
        return {};
    }

    bool write_;
    u8 pins_ = 0;
    Pin pin_[2];
    Frame* frame_ = nullptr;
};

GrantResult<> take(Side& side, Domain& caller, const gnttab_copy_t::gnttab_copy_ptr& end, bool by_ref,
                   u32 length) {
    if (by_ref) return side.granted(caller, end.domid, end.u.ref, end.offset, length);
    if (end.domid != DOMID_SELF) [[unlikely]]
        return refuse(GrantStatus::permission_denied);
    return side.own(caller, end.u.gmfn);
}

}  // namespace

GrantResult<> copy_grant(Domain& caller, const gnttab_copy_t& op) {
    const u32 length = op.len;
    if (op.source.offset + length > kPageSize || op.dest.offset + length > kPageSize) [[unlikely]]
        return refuse(GrantStatus::bad_copy_arg);
    Side source(false), dest(true);
    TRY(take(source, caller, op.source, (op.flags & GNTCOPY_source_gref) != 0, length));
    TRY(take(dest, caller, op.dest, (op.flags & GNTCOPY_dest_gref) != 0, length));
    u8* const to = dest.bytes() + op.dest.offset;
    const u8* const from = source.bytes() + op.source.offset;
    if (to < from + length && from < to + length) [[unlikely]]
        std::memmove(to, from, length);
    else
        std::memcpy(to, from, length);
    return {};
}

}  // namespace domus::core

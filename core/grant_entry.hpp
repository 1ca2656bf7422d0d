// SPDX-License-Identifier: GPL-2.0-or-later
// The life of one grant entry, as functions from state to state.
//
// An entry is shared: the guest that grants writes it at will, and the hypervisor adds two flags, GTF_reading
// and GTF_writing, that say "somebody uses this; you may not end it now". In version 1 they stand in the
// entry's flags, in version 2 in a status word of their own. What the hypervisor knows itself is the number
// of uses ("pins"), which no guest can touch. Nothing of a grant's safety rests on what the guest does to the
// flags: who maps or copies holds references to the frame itself.
#pragma once

#include "core/grant_status.hpp"

namespace domus::core {

// What an entry is wanted for.
struct GrantUse {
    bool write = false;
    bool copy = false;        // parts of pages will do; a mapping needs the whole
    bool transitive = false;  // (copy) an entry that names another grant will do
};

enum class GrantKind : u8 { page, sub_page, transitive };

// Uses of one entry: a word of which one bit is the entry's lock.
struct GrantPins {
    u32 v = 0;

    static constexpr u32 kLocked = 1u << 31;
    static constexpr u32 kMost = (1u << 15) - 1;  // of either kind
    static constexpr u32 kReader = 1, kWriter = 1u << 15;

    constexpr u32 readers() const { return v & kMost; }
    constexpr u32 writers() const { return v / kWriter & kMost; }
    constexpr bool none() const { return (v & ~kLocked) == 0; }
    constexpr bool locked() const { return (v & kLocked) != 0; }
    constexpr bool operator==(const GrantPins&) const = default;
};

namespace grant_machine {

// May `grantee` use an entry that reads so? general_error: it grants nothing, or not this, or to another.
constexpr GrantResult<GrantKind> judge(u32 version, u16 flags, u16 domid, DomId grantee, GrantUse use) {
    if (domid != grantee.v || (use.write && (flags & GTF_readonly) != 0))
        return refuse(GrantStatus::general_error);
    switch (flags & GTF_type_mask) {
        case GTF_permit_access:
            if (version == 1 || (flags & GTF_sub_page) == 0) return GrantKind::page;
            if (use.copy) return GrantKind::sub_page;
            break;
        case GTF_transitive:
            if (version == 2 && use.copy && use.transitive) return GrantKind::transitive;
            break;
        default: break;
    }
    return refuse(GrantStatus::general_error);
}

// The flags that a use sets: who writes reads as well.
constexpr u16 flags_of(bool write) { return write ? GTF_reading | GTF_writing : GTF_reading; }

// One use more. no_space: as many as can be counted.
constexpr GrantResult<GrantPins> add(GrantPins p, bool write) {
    if ((write ? p.writers() : p.readers()) == GrantPins::kMost) return refuse(GrantStatus::no_space);
    return GrantPins{p.v + (write ? GrantPins::kWriter : GrantPins::kReader)};
}
// One less, of those there are.
constexpr GrantPins remove(GrantPins p, bool write) {
    return GrantPins{p.v - (write ? GrantPins::kWriter : GrantPins::kReader)};
}
// The flags that no use stands behind.
constexpr u16 idle_flags(GrantPins p) {
    if (p.writers() != 0) return 0;
    return p.readers() != 0 ? GTF_writing : GTF_reading | GTF_writing;
}

// An entry that waits for a page (GTF_accept_transfer) from `giver`, and nobody is at it. general_error.
constexpr GrantResult<> judge_transfer(u16 flags, u16 domid, DomId giver) {
    constexpr u16 kBegun = GTF_transfer_committed | GTF_transfer_completed;
    if ((flags & GTF_type_mask) != GTF_accept_transfer || (flags & kBegun) != 0 || domid != giver.v)
        return refuse(GrantStatus::bad_gntref);
    return {};
}

}  // namespace grant_machine
}  // namespace domus::core

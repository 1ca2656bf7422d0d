// SPDX-License-Identifier: GPL-2.0-or-later
// Naming refusals.
#include "hypercall/refusal.hpp"

#include "base/log.hpp"
#include "hypercall/absent_names.hpp"
#include "port/time.hpp"

namespace domus::hypercall {

namespace {

bool first_time(const Caller& caller, const char* text, u64 sub) {
    u64 key = 0xcbf29ce484222325u;  // FNV-1a
    for (const char* p = text; *p != 0; p++) key = (key ^ static_cast<u8>(*p)) * 0x100000001b3u;
    key = (key ^ sub) * 0x100000001b3u;
    return caller.domain.refusals.tell(key, port::now());
}

struct Rule {
    const char* broken = nullptr;  // null: an ordinary answer
    const char* remedy = nullptr;
};

constexpr Rule rule_of(Error e) {
    switch (e) {
        case Error::perm:
        case Error::access:
            return {"not this domain's to do, or not at this point of the target's life",
                    "a permission given first, or an earlier call"};
        case Error::inval:
            return {"an argument is malformed, out of range or does not fit the target's state",
                    "the public headers say what it takes"};
        case Error::range:
        case Error::overflow:
        case Error::toobig: return {"a number is beyond what can be kept", "a smaller one"};
        case Error::nospc: return {"a table of limited size is full", "giving up entries, or a higher limit"};
        case Error::busy: return {"somebody else is at it or uses it", "trying anew when that has ended"};
        case Error::nomem:
            return {"no memory, or the target's limit is reached", "freeing some, or a higher limit"};
        default: return {};
    }
}

}  // namespace

void name_missing(const Caller& caller, const char* call, u64 sub) {
    // Numbers outside the ABI's range are a guest's noise: all of them count as one.
    if (sub != kNoSub && sub > 0xffff) sub = 0xffff;
    if (!first_time(caller, call, sub)) return;
    if (sub == kNoSub) {
        guest_log(Level::warning, "d{}v{}: hypercall {} is not implemented", caller.domain.id, caller.vcpu.id,
                  call);
    } else if (const char* name = absent_name(call, sub)) {
        guest_log(Level::warning, "d{}v{}: {} {} ({}) is not implemented", caller.domain.id, caller.vcpu.id,
                  call, name, sub);
    } else {
        guest_log(Level::warning, "d{}v{}: {} {} is not implemented", caller.domain.id, caller.vcpu.id, call,
                  sub);
    }
}

void name_forbidden(const Caller& caller, const char* call, const char* operation) {
    if (!first_time(caller, operation, 0x10000u)) return;
    guest_log(Level::warning, "d{}v{}: {} {} is not allowed to this domain", caller.domain.id, caller.vcpu.id,
              call, operation);
}

void name_refused(const Caller& caller, const char* call, const char* operation, const Domain* target,
                  Error error) {
    const Rule rule = rule_of(error);
    if (rule.broken == nullptr) return;
    const u64 about = target != nullptr ? target->id.v : u64{0xffff};
    if (!first_time(caller, operation, (u64{2} + static_cast<u64>(error)) << 16 | about)) return;
    if (target != nullptr) {
        guest_log(Level::warning, "d{}: {} {} for d{} refused ({}): {}; what helps: {}", caller.domain.id,
                  call, operation, target->id, error, rule.broken, rule.remedy);
    } else {
        guest_log(Level::warning, "d{}: {} {} refused ({}): {}; what helps: {}", caller.domain.id, call,
                  operation, error, rule.broken, rule.remedy);
    }
}

}  // namespace domus::hypercall

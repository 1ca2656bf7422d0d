// SPDX-License-Identifier: GPL-2.0-or-later
// Naming refusals once.
#include "hypercall/refusal.hpp"

#include <atomic>

#include "base/log.hpp"

namespace domus::hypercall {

namespace {

// A fixed open-addressing set of keys: enough for every operation of the ABI; when it is full, or when two
// CPUs race for one slot with different keys, nothing more than a log line is lost.
constexpr usize kSlots = 256;
constinit std::atomic<u64> seen[kSlots];

bool first_time(const char* text, u64 sub) {
    u64 key = 0xcbf29ce484222325u;  // FNV-1a
    for (const char* p = text; *p != 0; p++) key = (key ^ static_cast<u8>(*p)) * 0x100000001b3u;
    key = (key ^ sub) * 0x100000001b3u;
    key |= 1;
    for (usize probe = 0; probe < 8; probe++) {
        std::atomic<u64>& slot = seen[((key >> 32) + probe) % kSlots];
        u64 held = slot.load(std::memory_order_relaxed);
        if (held == key) return false;
        if (held == 0 && slot.compare_exchange_strong(held, key, std::memory_order_relaxed)) return true;
        if (held == key) return false;
    }
    return false;
}

}  // namespace

void name_missing(const Caller& caller, const char* call, u64 sub) {
    // Numbers outside the ABI's range are a guest's noise: all of them count as one.
    if (sub != kNoSub && sub > 0xffff) sub = 0xffff;
    if (!first_time(call, sub)) return;
    if (sub == kNoSub) {
        guest_log(Level::warning, "d{}v{}: hypercall {} is not implemented", caller.domain.id, caller.vcpu.id,
                  call);
    } else {
        guest_log(Level::warning, "d{}v{}: {} {} is not implemented", caller.domain.id, caller.vcpu.id, call,
                  sub);
    }
}

void name_forbidden(const Caller& caller, const char* call, const char* operation) {
    if (!first_time(operation, 0x10000u + caller.domain.id.v)) return;
    guest_log(Level::warning, "d{}v{}: {} {} is not allowed to this domain", caller.domain.id, caller.vcpu.id,
              call, operation);
}

void forget_named() {
    for (auto& s : seen) s.store(0, std::memory_order_relaxed);
}

}  // namespace domus::hypercall

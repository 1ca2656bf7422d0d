// SPDX-License-Identifier: GPL-2.0-or-later
// What the scheduler knows of a vCPU. Embedded in core's Vcpu, which it knows nothing of.
#pragma once

#include <atomic>
#include <new>
#include <type_traits>

#include "base/heap.hpp"
#include "base/types.hpp"

namespace domus::sched {

// Room for a type that only the policy in charge knows, so that a policy needs no allocation of its own.
template <usize Size>
struct PolicySpace {
    alignas(8) unsigned char bytes[Size] = {};

    template <class T>
    T& make() {
        static_assert(sizeof(T) <= Size && alignof(T) <= 8 && std::is_trivially_destructible_v<T>);
        return *new (bytes) T{};
    }
    template <class T>
    T& as() {
        return *std::launder(reinterpret_cast<T*>(bytes));
    }
    template <class T>
    const T& as() const {
        return *std::launder(reinterpret_cast<const T*>(bytes));
    }
};

// A set of CPUs that somebody else stores: bit i of word i / 64 is CPU i. CPUs past the end are not in it.
// Without words it is the set of all CPUs.
struct CpuMask {
    const u64* words = nullptr;
    u32 word_count = 0;

    bool everything() const { return words == nullptr; }
    bool test(CpuId cpu) const {
        if (words == nullptr) return true;
        return cpu.v / 64 < word_count && ((words[cpu.v / 64] >> (cpu.v % 64)) & 1) != 0;
    }
    // The 64 CPUs from `first` on, as one word.
    u64 window(u32 first) const {
        if (words == nullptr) return ~u64{0};
        const u32 word = first / 64, shift = first % 64;
        u64 low = word < word_count ? words[word] : 0;
        if (shift == 0) return low;
        const u64 high = word + 1 < word_count ? words[word + 1] : 0;
        return (low >> shift) | (high << (64 - shift));
    }
};

// Numbered as the ABI's RUNSTATE_* (public vcpu.h).
enum class RunState : u8 { running = 0, runnable = 1, blocked = 2, offline = 3 };

// A unit's share of the CPUs, as the toolstack sets it.
struct Share {
    u16 weight = 256;  // 1..65535, relative to the other units
};

// Time that a real-time policy reserves: `budget` in every `period`.
struct Reservation {
    Nanos period = 10 * kMillisecond;
    Nanos budget = 4 * kMillisecond;
    bool extra = false;  // may have what others leave
    constexpr bool operator==(const Reservation&) const = default;
};

class Group;
struct Queue;

// Everything here is written by the engine alone, under the lock of the unit's queue, unless it says
// otherwise.
struct Unit {
    // Identity, set by the owner before add_unit().
    DomId domain{};
    VcpuId vcpu{};
    Group* group = nullptr;  // null: none

    CpuId cpu{};  // where it runs or last ran
    std::atomic<Queue*> queue{nullptr};
    std::atomic<bool> running{false};  // on a CPU, until its registers have been saved; anyone may read it
    bool runnable = false;             // wants a CPU
    bool attached = false;             // counted in its queue
    bool yielded = false;              // let another go first, once
    bool parked = false;               // waits for `release`, not for a CPU
    RunState state = RunState::offline;
    RunState sleep_state = RunState::offline;  // what `state` will be once it has left its CPU
    u32 wanted_queue = ~0u;                    // where migrate() wants it
    CpuMask hard, soft;

    HeapNode node;      // in one of its queue's heaps while it waits
    Nanos release = 0;  // when a parked unit may compete again
    u64 key = 0;        // smallest goes first, as serial numbers compare: wrap-around is fine within 2^63

    Nanos since = 0;     // when it entered `state`
    Nanos time[4] = {};  // ns spent in each state before that

    PolicySpace<56> policy;

    bool waiting() const { return node.linked(); }
};

}  // namespace domus::sched

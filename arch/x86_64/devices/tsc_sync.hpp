// SPDX-License-Identifier: GPL-2.0-or-later
// How far another CPU's TSC is from ours: timed questions and answers through shared memory, as a network
// clock does it.
#pragma once

#include <atomic>

#include "base/types.hpp"

namespace domus::x86 {

struct TscSync {
    static constexpr u32 kRounds = 64;

    std::atomic<u32> question{0};  // the asker's round; grows
    std::atomic<u32> answer{0};
    std::atomic<u64> answer_tsc{0};
    std::atomic<bool> over{false};

    // The two run at the same time, on the two CPUs. answer_all() returns when the asker is done, or when it
    // has asked nothing for `patience` ticks. ask_all() ends early after `enough` ticks if it has one answer
    // at least (on a host that runs the two CPUs by turns each takes a time slice), and without one after
    // `patience` ticks.
    void answer_all(u64 patience);

    struct Offset {
        bool measured = false;
        s64 ticks = 0;  // add to the other's TSC to get ours
        u64 error = 0;  // half the shortest round trip
    };
    Offset ask_all(u64 enough, u64 patience);
};

// What to do about an offset: within its error bound the two are in step, and no correction is better than
// noise.
s64 correction(const TscSync::Offset& offset);

}  // namespace domus::x86

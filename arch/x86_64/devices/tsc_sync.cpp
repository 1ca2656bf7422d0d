// SPDX-License-Identifier: GPL-2.0-or-later
// The exchange that compares two CPUs' TSCs.
#include "arch_devices/tsc_sync.hpp"

#include "port/io.hpp"

namespace domus::x86 {

void TscSync::answer_all(u64 give_up_tsc) {
    for (u32 round = 1; round <= kRounds; round++) {
        const u64 since = port::read_tsc();
        while (question.load(std::memory_order_acquire) < round) {
            if (port::read_tsc() - since > give_up_tsc || gave_up.load(std::memory_order_relaxed)) return;
            port::pause();
        }
        answer_tsc.store(port::read_tsc(), std::memory_order_relaxed);
        answer.store(round, std::memory_order_release);
    }
}

TscSync::Offset TscSync::ask_all(u64 give_up_tsc) {
    Offset best;
    for (u32 round = 1; round <= kRounds; round++) {
        const u64 asked = port::read_tsc();
        question.store(round, std::memory_order_release);
        while (answer.load(std::memory_order_acquire) < round) {
            if (port::read_tsc() - asked > give_up_tsc) {
                gave_up.store(true, std::memory_order_relaxed);
                return best;
            }
        }
        const u64 answered = port::read_tsc();
        const u64 error = (answered - asked) / 2;
        if (best.measured && error >= best.error) continue;
        best.measured = true;
        best.error = error;
        best.ticks = static_cast<s64>(asked + error - answer_tsc.load(std::memory_order_relaxed));
    }
    return best;
}

s64 correction(const TscSync::Offset& offset) {
    if (!offset.measured) return 0;
    const u64 size = static_cast<u64>(offset.ticks < 0 ? -offset.ticks : offset.ticks);
    return size <= offset.error ? 0 : offset.ticks;
}

}  // namespace domus::x86

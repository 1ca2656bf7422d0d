// SPDX-License-Identifier: GPL-2.0-or-later
// The exchange that compares two CPUs' TSCs.
#include "arch_devices/tsc_sync.hpp"

#include "port/io.hpp"

namespace domus::x86 {

void TscSync::answer_all(u64 patience) {
    u64 since = port::read_tsc();
    u32 answered = 0;
    while (!over.load(std::memory_order_acquire)) {
        const u32 asked = question.load(std::memory_order_acquire);
        if (asked != answered) {
            answer_tsc.store(port::read_tsc(), std::memory_order_relaxed);
            answer.store(asked, std::memory_order_release);
            answered = asked;
            since = port::read_tsc();
        } else if (port::read_tsc() - since > patience) {
            return;
        }
        port::pause();
    }
}

TscSync::Offset TscSync::ask_all(u64 enough, u64 patience) {
    Offset best;
    const u64 begin = port::read_tsc();
    for (u32 round = 1; round <= kRounds; round++) {
        const u64 asked = port::read_tsc();
        if (best.measured && asked - begin > enough) break;
        question.store(round, std::memory_order_release);
        u64 now = asked;
        while (answer.load(std::memory_order_acquire) != round && now - asked <= patience)
            now = port::read_tsc();
        if (answer.load(std::memory_order_acquire) != round) break;
        now = port::read_tsc();
        const u64 error = (now - asked) / 2;
        if (best.measured && error >= best.error) continue;
        best.measured = true;
        best.error = error;
        best.ticks = static_cast<s64>(asked + error - answer_tsc.load(std::memory_order_relaxed));
    }
    over.store(true, std::memory_order_release);
    return best;
}

s64 correction(const TscSync::Offset& offset) {
    if (!offset.measured) return 0;
    const u64 size = static_cast<u64>(offset.ticks < 0 ? -offset.ticks : offset.ticks);
    return size <= offset.error ? 0 : offset.ticks;
}

}  // namespace domus::x86

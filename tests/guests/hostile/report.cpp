// SPDX-License-Identifier: GPL-2.0-or-later
#include "hostile/report.hpp"

#include "lib/console.hpp"
#include "lib/cpu.hpp"

namespace hostile {

namespace {

using namespace guest;

constexpr u32 kNumbers = 64;  // the last for all beyond
constexpr u32 kErrors = 130;  // 0: success, the last for all beyond: Linux's numbers end before
struct Counts {
    u32 results[kNumbers][kErrors];
};
Counts counts[kMaxCpus];

}  // namespace

void note_call(u64 number, s64 result) {
    const u64 error = result >= 0 ? 0 : static_cast<u64>(-result);
    counts[this_cpu().id]
        .results[number < kNumbers ? number : kNumbers - 1][error < kErrors ? error : kErrors - 1]++;
}

u64 report_calls(u32 cpus) {
    u64 total = 0;
    for (u32 n = 0; n < kNumbers; n++) {
        u64 sums[kErrors] = {}, made = 0;
        for (u32 id = 0; id < cpus; id++)
            for (u32 e = 0; e < kErrors; e++)
                sums[e] += counts[id].results[n][e], made += counts[id].results[n][e];
        if (made == 0) continue;
        total += made;
        char line[240];
        usize at = format_to(line, "hostile: hypercall {}: {} made, {} succeeded", n, made, sums[0]);
        for (u32 e = 1; e < kErrors && at + 24 < sizeof line; e++)
            if (sums[e] != 0) at += format_to(std::span(line).subspan(at), ", error {}: {}", e, sums[e]);
        say("{}", std::string_view(line, at));
    }
    return total;
}

}  // namespace hostile

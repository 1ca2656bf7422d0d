// SPDX-License-Identifier: GPL-2.0-or-later
// The ring of last events, and the patching of code: what of arch/x86_64 is plain data.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "arch_state/patch.hpp"
#include "arch_state/trace.hpp"

namespace domus {
namespace {

std::string text(TraceEntry e) {
    char out[128];
    return {out, format_trace_entry(e, out)};
}

TEST(Trace, FindsEntriesByAge) {
    std::array<TraceEntry, kTraceEntries> ring{};
    EXPECT_EQ(trace_entry(ring, 0, 0), nullptr);
    for (u64 n = 0; n < 3; n++) ring[n].a = n;
    EXPECT_EQ(trace_entry(ring, 3, 0)->a, 2u);
    EXPECT_EQ(trace_entry(ring, 3, 2)->a, 0u);
    EXPECT_EQ(trace_entry(ring, 3, 3), nullptr) << "never written";
    for (u64 n = 0; n < kTraceEntries + 5; n++) ring[n % kTraceEntries].a = n;
    EXPECT_EQ(trace_entry(ring, kTraceEntries + 5, 0)->a, kTraceEntries + 4);
    EXPECT_EQ(trace_entry(ring, kTraceEntries + 5, kTraceEntries - 1)->a, 5u);
    EXPECT_EQ(trace_entry(ring, kTraceEntries + 5, kTraceEntries), nullptr) << "overwritten";
}

TEST(Trace, LastEventsOldestFirst) {
    std::array<TraceEntry, kTraceEntries> ring{};
    const auto last = [&ring](u64 next, u32 most) {
        std::vector<u64> seen;
        for_last_events(ring, next, most, [&seen](const TraceEntry& e) { seen.push_back(e.a); });
        return seen;
    };
    EXPECT_TRUE(last(0, 24).empty());
    for (u64 n = 0; n < kTraceEntries + 5; n++) ring[n % kTraceEntries].a = n;
    EXPECT_EQ(last(2, 24).size(), 2u) << "no more than there are";
    EXPECT_EQ(last(kTraceEntries + 5, 3),
              (std::vector<u64>{kTraceEntries + 2, kTraceEntries + 3, kTraceEntries + 4}));
    EXPECT_EQ(last(kTraceEntries + 5, 1000).size(), kTraceEntries);
    EXPECT_EQ(last(kTraceEntries + 5, 1000).front(), 5u);
    EXPECT_TRUE(last(kTraceEntries, 0).empty());
}

TEST(Trace, Texts) {
    EXPECT_EQ(text({.tsc = 0, .event = TraceEvent::hypercall, .reserved = 0, .a = 32, .b = 4}),
              "hypercall 32 (0x4, ...)");
    EXPECT_EQ(
        text({.tsc = 0, .event = TraceEvent::guest_trap, .reserved = 0, .a = u64{7} << 32 | 14, .b = 0xabc}),
        "guest exception 14, error code 7, at abc");
    EXPECT_EQ(text({.tsc = 0, .event = TraceEvent::interrupt, .reserved = 0, .a = 0xf0, .b = 0x10}),
              "interrupt 0xf0 at 10");
    EXPECT_EQ(text({.tsc = 0,
                    .event = TraceEvent::switch_vcpus,
                    .reserved = 0,
                    .a = trace_vcpu(DomId(3), VcpuId(1)),
                    .b = kTraceIdle}),
              "switch from d3v1 to idle");
    EXPECT_EQ(text({.tsc = 0, .event = static_cast<TraceEvent>(77), .reserved = 0, .a = 1, .b = 2}),
              "event 77 (1, 2)");
    EXPECT_EQ(text({}), "");
}

TEST(CodePatches, OnlyWhereTheFeatureIsUsed) {
    std::array<u8, 16> code{};
    const std::array<CodePatch, 3> patches{{{2, 3, 0, {1, 2, 3}}, {8, 2, 1, {4, 5}}, {12, 200, 0, {9}}}};
    const auto writable = [&code](u64 at) { return &code[at]; };
    EXPECT_EQ(apply_patches(patches, 0, writable), 0u);
    EXPECT_EQ(code, (std::array<u8, 16>{}));
    EXPECT_EQ(apply_patches(patches, 1, writable), 1u)
        << "an entry that claims more than it holds is left out";
    EXPECT_EQ(code, (std::array<u8, 16>{0, 0, 1, 2, 3}));
    EXPECT_EQ(apply_patches(patches, 2, writable), 1u);
    EXPECT_EQ(code, (std::array<u8, 16>{0, 0, 1, 2, 3, 0, 0, 0, 4, 5}));
}

}  // namespace
}  // namespace domus

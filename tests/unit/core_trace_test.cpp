// SPDX-License-Identifier: GPL-2.0-or-later
// Trace buffers, read as xentrace reads them: through the frames that t_info names.
#include "core/trace.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "core/evtchn.hpp"
#include "mm/frame_refs.hpp"
#include "mm/page_type.hpp"
#include "unit/core_fixture.hpp"

namespace domus {
namespace {

struct Record {
    u32 event = 0;
    bool timed = false;
    u64 time = 0;
    std::vector<u32> words;
};

class TraceBuffers : public CoreTest {
  protected:
    void SetUp() override {
        CoreTest::SetUp();
        core::forget_trace_buffers();
    }
    void TearDown() override {
        core::forget_trace_buffers();
        CoreTest::TearDown();
    }
    static void start(u32 pages = 1) {
        ASSERT_TRUE(core::make_trace_buffers(pages));
        ASSERT_TRUE(core::start_tracing());
    }
    // Byte `offset` of a CPU's buffer.
    static u32* buffer(u32 cpu, u32 offset) {
        auto* info = port::frame_ptr<t_info>(Mfn(core::trace_info().frame));
        const u32 mfn = reinterpret_cast<u32*>(info)[info->mfn_offset[cpu] + offset / kPageSize];
        return port::frame_ptr<u32>(Mfn(mfn)) + offset % kPageSize / 4;
    }
    static t_buf& marks(u32 cpu) { return *reinterpret_cast<t_buf*>(buffer(cpu, 0)); }
    static u32 size() {
        return port::frame_ptr<t_info>(Mfn(core::trace_info().frame))->tbuf_size * u32{kPageSize} - 8;
    }
    // All that a CPU has recorded and nobody has read.
    static std::vector<Record> read(u32 cpu = 0) {
        std::vector<Record> records;
        u32 at = marks(cpu).cons;
        while (at != marks(cpu).prod) {
            const auto word = [&](u32 i) { return *buffer(cpu, 8 + at % size() + i * 4); };
            const u32 header = word(0), extra = TRC_HD_EXTRA(header);
            Record r{.event = TRC_HD_TO_EVENT(header), .timed = (header >> 31) != 0, .time = 0, .words = {}};
            u32 n = 1;
            if (r.timed) r.time = word(1) | u64{word(2)} << 32, n = 3;
            EXPECT_LE(at % size() + (n + extra) * 4, size()) << "a record in two pieces";
            for (u32 i = 0; i < extra; i++) r.words.push_back(word(n++));
            at = (at + n * 4) % (2 * size());
            if (r.event != TRC_TRACE_WRAP_BUFFER) records.push_back(r);
        }
        marks(cpu).cons = at;
        return records;
    }
    using Words = std::vector<u32>;
};

TEST_F(TraceBuffers, NothingBeforeBuffersExist) {
    EXPECT_FALSE(core::tracing(TRC_SCHED_WAKE));
    EXPECT_ERROR(core::start_tracing(), inval);
    EXPECT_EQ(core::trace_info().frame, 0u);
    EXPECT_EQ(core::trace_info().size, 0u);
    core::trace(TRC_SCHED_WAKE, u32{1});
    EXPECT_ERROR(core::make_trace_buffers(0), inval);
}

TEST_F(TraceBuffers, RecordsWordsAndTimes) {
    start();
    core::trace(TRC_SCHED_WAKE, u32{1}, u32{2});
    core::trace(TRC_PV_PAGE_FAULT | TRC_64_FLAG, u64{0x1122334455667788}, u64{9}, u32{7});
    machine.set_cpu(CpuId(1));
    core::trace(TRC_DOM0_DOM_ADD, u32{5});
    machine.set_cpu(CpuId(0));
    const auto records = read(0);
    ASSERT_EQ(records.size(), 2u);
    EXPECT_EQ(records[0].event, static_cast<u32>(TRC_SCHED_WAKE));
    EXPECT_EQ(records[0].words, Words({1, 2}));
    EXPECT_TRUE(records[0].timed);
    EXPECT_LT(records[0].time, records[1].time);
    EXPECT_EQ(records[1].event, static_cast<u32>(TRC_PV_PAGE_FAULT | TRC_64_FLAG));
    EXPECT_EQ(records[1].words, Words({0x55667788, 0x11223344, 9, 0, 7}));
    const auto other = read(1);
    ASSERT_EQ(other.size(), 1u);
    EXPECT_EQ(other[0].words, Words({5}));
    core::stop_tracing();
    core::trace(TRC_SCHED_WAKE, u32{1});
    EXPECT_TRUE(read().empty());
}

TEST_F(TraceBuffers, MaskChoosesClassAndSubclass) {
    start();
    core::set_trace_events(TRC_SCHED_MIN);
    EXPECT_TRUE(core::tracing(TRC_SCHED_RUNSTATE_CHANGE));
    EXPECT_FALSE(core::tracing(TRC_SCHED_WAKE));
    EXPECT_FALSE(core::tracing(TRC_PV_HYPERCALL_V2));
    EXPECT_EQ(core::trace_event_mask(), static_cast<u32>(TRC_SCHED_MIN));
    const std::array<u64, 1> second{2};
    ASSERT_TRUE(core::set_traced_cpus(second));
    core::trace(TRC_SCHED_RUNSTATE_CHANGE, u32{1});
    EXPECT_TRUE(read(0).empty());
    machine.set_cpu(CpuId(1));
    core::trace(TRC_SCHED_RUNSTATE_CHANGE, u32{1});
    machine.set_cpu(CpuId(0));
    EXPECT_EQ(read(1).size(), 1u);
    ASSERT_TRUE(core::set_traced_cpus({}));
    machine.set_cpu(CpuId(1));
    core::trace(TRC_SCHED_RUNSTATE_CHANGE, u32{1});
    machine.set_cpu(CpuId(0));
    EXPECT_TRUE(read(1).empty());
}

TEST_F(TraceBuffers, EverySizeOfRecordGoesRoundTheBuffer) {
    start(2);
    u32 next = 0, seen = 0;
    for (int round = 0; round < 400; round++) {
        for (int i = 0; i < 20; i++) {
            const u32 n = next++;
            switch (n % 5) {
                case 0: core::trace(TRC_SCHED_WAKE, n); break;
                case 1: core::trace(TRC_SCHED_WAKE, n, n); break;
                case 2: core::trace(TRC_SCHED_WAKE, n, u64{1}, u64{2}); break;
                case 3: core::trace(TRC_SCHED_WAKE, n, u64{1}, u64{2}, u64{3}); break;
                default: core::trace(TRC_SCHED_WAKE, n, u32{1}, u32{1}); break;
            }
        }
        for (const Record& r : read()) {
            ASSERT_EQ(r.event, static_cast<u32>(TRC_SCHED_WAKE));
            ASSERT_EQ(r.words[0], seen++);
        }
    }
    EXPECT_EQ(seen, next);
}

TEST_F(TraceBuffers, CountsWhatIsLost) {
    start();
    u32 written = 0;
    for (; written < 1000; written++) core::trace(TRC_SCHED_WAKE, written);
    auto records = read();
    const auto kept = static_cast<u32>(records.size());
    EXPECT_GT(kept, 200u);
    EXPECT_EQ(records.back().words, Words({kept - 1}));
    core::trace(TRC_SCHED_WAKE, u32{77});
    records = read();
    ASSERT_EQ(records.size(), 2u);
    EXPECT_EQ(records[0].event, static_cast<u32>(TRC_LOST_RECORDS));
    EXPECT_EQ(records[0].words[0], written - kept);
    EXPECT_EQ(records[1].words, Words({77}));
    // A new start forgets losses.
    for (u32 i = 0; i < 1000; i++) core::trace(TRC_SCHED_WAKE, i);
    core::stop_tracing();
    ASSERT_TRUE(core::start_tracing());
    static_cast<void>(read());
    core::trace(TRC_SCHED_WAKE, u32{78});
    records = read();
    ASSERT_EQ(records.size(), 1u);
    EXPECT_EQ(records[0].words, Words({78}));
}

TEST_F(TraceBuffers, AnotherMarkThanTheReadersIsHarmless) {
    start();
    core::trace(TRC_SCHED_WAKE, u32{1});
    for (const u32 bad : {~u32{0}, 2 * size(), size() + 1, 3u, size() * 2 - 4}) {
        marks(0).cons = bad;
        marks(0).prod = ~bad;
        for (u32 i = 0; i < 1000; i++) core::trace(TRC_SCHED_WAKE, i);
    }
    SUCCEED();
}

TEST_F(TraceBuffers, TellsTheReaderWhenHalfFull) {
    Domain& d = make_running(0, 1, {.privileged = true, .hardware = true});
    run_all();
    const auto port = core::bind_virq(d, VIRQ_TBUF, VcpuId(0));
    ASSERT_TRUE(port);
    start();
    core::set_trace_events(TRC_MEM);
    for (u32 used = 0; used + 16 < size() / 2; used += 16) core::trace(TRC_MEM_PAGE_GRANT_MAP, used);
    run_all();
    EXPECT_FALSE(pending(d, *port));
    core::trace(TRC_MEM_PAGE_GRANT_MAP, u32{1});
    run_all();
    EXPECT_TRUE(pending(d, *port));
}

TEST_F(TraceBuffers, BuffersAreMadeOnce) {
    machine.preempt = true;
    Result<> r = core::make_trace_buffers(3);
    u32 calls = 1;
    for (; !r && r.error() == Error::restart; calls++) {
        EXPECT_EQ(core::trace_info().frame, 0u);
        EXPECT_ERROR(core::start_tracing(), inval);
        EXPECT_ERROR(core::make_trace_buffers(4), inval);
        r = core::make_trace_buffers(3);
    }
    EXPECT_TRUE(r);
    EXPECT_EQ(calls, 3 * kCpus);
    EXPECT_TRUE(core::make_trace_buffers(3));
    EXPECT_ERROR(core::make_trace_buffers(2), inval);
    EXPECT_EQ(core::trace_info().size, kPageSize);
    // The reader may write the buffers, and only read the list of their frames.
    const Mfn info(core::trace_info().frame);
    EXPECT_TRUE(get_page(info, kOwnerXen));
    EXPECT_FALSE(get_writable(frame_of(info)));
    const Mfn page = mfn(port::direct_map_address(&marks(1)));
    ASSERT_TRUE(get_page(page, kOwnerXen));
    ASSERT_TRUE(get_writable(frame_of(page)));
    put_writable(frame_of(page));
}

TEST_F(TraceBuffers, GivesAllBackWhenMemoryEnds) {
    static_cast<void>(core::set_traced_cpus(std::array<u64, 1>{3}));  // the CPUs' state stays
    const u64 before = heap_free_frames();
    for (u64 n = 0; n < 1 + u64{kCpus} * 3; n++) {
        heap_fail_after(n);
        EXPECT_ERROR(core::make_trace_buffers(3), nomem) << n;
        EXPECT_EQ(heap_free_frames(), before) << n;
    }
    heap_fail_after(~u64{0});
    EXPECT_TRUE(core::make_trace_buffers(3));
}

TEST_F(TraceBuffers, SchedulingLeavesItsStory) {
    start(2);
    Domain& d = make_running(3, 1);
    run_all();
    core::pause_domain(d);
    run_all();
    std::vector<Record> all;
    for (u32 cpu = 0; cpu < kCpus; cpu++)
        for (Record& r : read(cpu)) all.push_back(r);
    const auto count = [&](u32 event, const Words& words) {
        return std::count_if(all.begin(), all.end(),
                             [&](const Record& r) { return r.event == event && r.words == words; });
    };
    EXPECT_EQ(count(TRC_DOM0_DOM_ADD, {3}), 1);
    const u32 self = 3u << 16;
    EXPECT_EQ(count(TRC_SCHED_RUNSTATE_CHANGE | 3 << 8 | 1 << 4, {self}), 1);  // offline, runnable
    EXPECT_EQ(count(TRC_SCHED_RUNSTATE_CHANGE | 1 << 8 | 0 << 4, {self}), 1);  // runnable, running
    EXPECT_EQ(count(TRC_SCHED_RUNSTATE_CHANGE | 0 << 8 | 3 << 4, {self}), 1);  // running, offline
    const u32 cpu = vcpu(d, 0).sched.cpu.v;
    EXPECT_EQ(count(TRC_SCHED_SWITCH, {DOMID_IDLE, cpu, 3, 0}), 1);
    EXPECT_EQ(count(TRC_SCHED_SWITCH, {3, 0, DOMID_IDLE, cpu}), 1);
}

}  // namespace
}  // namespace domus

// SPDX-License-Identifier: GPL-2.0-or-later
// Trace buffers: how they are made and shared, and how a record is written.
#include "core/trace.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "core/evtchn.hpp"
#include "core/per_cpu.hpp"
#include "mm/frame_refs.hpp"
#include "mm/heap.hpp"
#include "port/cpu.hpp"
#include "port/io.hpp"
#include "port/memory.hpp"
#include "sched/observer.hpp"

namespace domus::core {

constinit std::atomic<u32> trace_parts::traced_events{0};

namespace {

constexpr u32 kWord = sizeof(u32);
constexpr u32 kWithTime = 1u << 31;  // struct t_rec: the time follows the header
constexpr u32 kAllEvents = TRC_ALL;

// One CPU's. Only that CPU changes it, but for `off` and `fresh`.
struct Buffer {
    t_buf* marks = nullptr;  // at the start of the first page; the records follow
    const u32* pages = nullptr;
    u32 produced = 0;  // what marks->prod says: the reader could write there
    u32 lost = 0;      // records that found no room since the last that did
    u64 lost_since = 0;
    bool tell = false;               // the reader is to be told
    std::atomic<bool> off{false};    // this CPU is not traced
    std::atomic<bool> fresh{false};  // tracing starts anew: nothing has been lost yet
};

constinit PerCpu<Buffer> buffers;

// What is shared with the reader, and how far its making has come.
struct Shared {
    t_info* info = nullptr;
    u32 info_order = 0, info_pages = 0;
    u32 buffer_pages = 0;  // of each CPU
    u32 made = 0;          // pages of all buffers
    bool ready = false;
    bool started = false;
    u32 events = kAllEvents;  // what will be recorded, or is
};
constinit Shared shared;

u32 buffer_bytes() { return shared.buffer_pages * static_cast<u32>(kPageSize) - u32{sizeof(t_buf)}; }

// The lists of pages follow the header, in units of four bytes.
u32 list_start(u32 cpus) { return (u32{sizeof(u16)} * (1 + cpus) + kWord - 1) / kWord; }
u32* page_list() { return reinterpret_cast<u32*>(shared.info) + list_start(port::cpu_count()); }

u32& word_at(const Buffer& b, u32 offset) {
    const u32 at = offset + u32{sizeof(t_buf)};
    return port::frame_ptr<u32>(Mfn(b.pages[at / kPageSize]))[at % kPageSize / kWord];
}

// Bytes that the reader has not taken; all of them if its mark makes no sense.
u32 unread(const Buffer& b, u32 size) {
    const u32 consumed = __atomic_load_n(&b.marks->cons, __ATOMIC_ACQUIRE);
    if (consumed >= 2 * size || consumed % kWord != 0) return size;
    const u32 used = b.produced >= consumed ? b.produced - consumed : b.produced + 2 * size - consumed;
    return std::min(used, size);
}

void put_record(Buffer& b, u32 size, u32 event, bool with_time, u64 time, std::span<const u32> words) {
    u32 at = b.produced % size;
    word_at(b, at) =
        event | static_cast<u32>(words.size()) << TRACE_EXTRA_SHIFT | (with_time ? kWithTime : 0);
    if (with_time) {
        word_at(b, at += kWord) = static_cast<u32>(time);
        word_at(b, at += kWord) = static_cast<u32>(time >> 32);
    }
    for (const u32 word : words) word_at(b, at += kWord) = word;
    b.produced = (b.produced + static_cast<u32>(1 + (with_time ? 2 : 0) + words.size()) * kWord) % (2 * size);
}

// The event is sent on the way out: whoever records may hold any lock. To report that nothing is in use is
// what a CPU may always be asked for.
void tell_reader(Buffer& b) {
    b.tell = true;
    port::raise_work(port::Work::quiesce);
}

// A record that fills the end of the buffer, where the next does not fit in one piece.
void fill_end(Buffer& b, u32 size, u64 time, u32 bytes) {
    static constexpr u32 kNothing[TRACE_EXTRA_MAX] = {};
    const bool with_time = bytes / kWord - 1 > TRACE_EXTRA_MAX;
    put_record(b, size, TRC_TRACE_WRAP_BUFFER, with_time, time,
               std::span(kNothing).first(bytes / kWord - (with_time ? 3 : 1)));
}

// False: there is no room.
bool put(Buffer& b, u32 event, u64 time, std::span<const u32> words) {
    const u32 size = buffer_bytes();
    const u32 bytes = static_cast<u32>(3 + words.size()) * kWord;
    const u32 to_end = size - b.produced % size;
    const u32 skipped = bytes > to_end ? to_end : 0;
    const u32 used = unread(b, size);
    if (bytes + skipped > size - used) return false;
    if (skipped != 0) fill_end(b, size, time, skipped);
    put_record(b, size, event, true, time, words);
    __atomic_store_n(&b.marks->prod, b.produced, __ATOMIC_RELEASE);
    // The reader is told once it is half full.
    if (used < size / 2 && used + skipped + bytes >= size / 2) tell_reader(b);
    return true;
}

bool tell_lost(Buffer& b, u64 time) {
    const u32 words[] = {b.lost, DOMID_INVALID, static_cast<u32>(b.lost_since),
                         static_cast<u32>(b.lost_since >> 32)};
    if (!put(b, TRC_LOST_RECORDS, time, words)) return false;
    b.lost = 0;
    return true;
}

// How many pages each CPU gets where so many are wished for: all lists begin within reach of t_info's
// offsets.
u32 size_for(u32 pages) {
    constexpr u32 kLastOffset = 0xffff;
    const u32 cpus = port::cpu_count(), start = list_start(cpus);
    return start < kLastOffset ? std::min(pages, (kLastOffset - start) / cpus) : 0;
}

Result<> make_info(u32 pages) {
    const u32 cpus = port::cpu_count(), start = list_start(cpus);
    if (!buffers.attached()) TRY(attach_per_cpu(buffers));
    const u64 bytes = u64{start + cpus * pages} * kWord;
    const auto info_pages = static_cast<u32>((bytes + kPageSize - 1) / kPageSize);
    const auto order = static_cast<u32>(std::bit_width(info_pages - 1));
    const Mfn first = TRY(alloc_frames(order, {.scrub = true}));
    shared.info = port::frame_ptr<t_info>(first);
    shared.info_order = order;
    shared.info_pages = info_pages;
    shared.buffer_pages = pages;
    shared.made = 0;
    shared.info->tbuf_size = static_cast<u16>(pages);
    for (u32 cpu = 0; cpu < cpus; cpu++) shared.info->mfn_offset[cpu] = static_cast<u16>(start + cpu * pages);
    return {};
}

Mfn info_frame() { return mfn(port::direct_map_address(shared.info)); }

// None of it has been given to anybody.
void unmake() {
    for (u32 i = 0; i < shared.made; i++) free_frames(Mfn(page_list()[i]), 0);
    free_frames(info_frame(), shared.info_order);
    shared.info = nullptr;
}

void publish() {
    for (u32 i = 0; i < shared.made; i++) assign_frame(Mfn(page_list()[i]), kOwnerXen);
    for (u32 i = 0; i < 1u << shared.info_order; i++) assign_read_only(info_frame() + i, kOwnerXen);
    for (CpuId cpu{0}; cpu.v < port::cpu_count(); ++cpu) {
        Buffer& b = buffers.of(cpu);
        b.pages = page_list() + cpu.v * shared.buffer_pages;
        b.marks = port::frame_ptr<t_buf>(Mfn(b.pages[0]));
    }
    shared.ready = true;
}

// A change of a vCPU's state. The event's number holds the states, too.
void trace_state(const sched::Unit& u, sched::RunState from, sched::RunState to) {
    trace(TRC_SCHED_RUNSTATE_CHANGE | static_cast<u32>(from) << 8 | static_cast<u32>(to) << 4,
          u32{u.vcpu.v} | u32{u.domain.v} << 16);
}

void update() {
    trace_parts::traced_events.store(shared.started ? shared.events : 0, std::memory_order_release);
    sched::observe_states(tracing(TRC_SCHED_RUNSTATE_CHANGE) ? &trace_state : nullptr);
}

}  // namespace

void trace_parts::record(u32 event, std::span<const u32> words) {
    Buffer& b = buffers.get();
    if (b.off.load(std::memory_order_relaxed)) return;
    if (b.fresh.load(std::memory_order_relaxed)) [[unlikely]] {
        b.fresh.store(false, std::memory_order_relaxed);
        b.lost = 0;
    }
    const u64 time = port::read_tsc();
    if ((b.lost == 0 || tell_lost(b, time)) && put(b, event, time, words)) [[likely]]
        return;
    if (b.lost++ == 0) b.lost_since = time;
}

void tell_trace_reader() {
    if (!shared.ready || !std::exchange(buffers.get().tell, false)) return;
    send_global_virq(VIRQ_TBUF);
}

Result<> make_trace_buffers(u32 pages) {
    pages = size_for(pages);
    if (pages == 0) return fail(Error::inval);
    if (shared.info == nullptr) TRY(make_info(pages));
    if (pages != shared.buffer_pages) return fail(Error::inval);
    if (shared.ready) return {};
    for (const u32 all = shared.buffer_pages * port::cpu_count(); shared.made < all;) {
        const Result<Mfn> page = alloc_frames(0, {.scrub = true});
        if (!page) {
            unmake();
            return fail(page.error());
        }
        page_list()[shared.made++] = static_cast<u32>(page->v);
        if (shared.made < all && port::preempt_wanted()) return fail(Error::restart);
    }
    publish();
    return {};
}

Result<> start_tracing() {
    if (!shared.ready) return fail(Error::inval);
    if (!shared.started)
        for (CpuId cpu{0}; cpu.v < port::cpu_count(); ++cpu) buffers.of(cpu).fresh.store(true);
    shared.started = true;
    update();
    return {};
}

void stop_tracing() {
    shared.started = false;
    update();
}

void set_trace_events(u32 mask) {
    shared.events = mask;
    update();
}
u32 trace_event_mask() { return shared.events; }

Result<> set_traced_cpus(std::span<const u64> cpus) {
    if (!buffers.attached()) TRY(attach_per_cpu(buffers));
    for (CpuId cpu{0}; cpu.v < port::cpu_count(); ++cpu)
        buffers.of(cpu).off.store(cpu.v / 64 >= cpus.size() || ((cpus[cpu.v / 64] >> (cpu.v % 64)) & 1) == 0);
    return {};
}

TraceInfo trace_info() {
    if (!shared.ready) return {};
    return {.frame = info_frame().v, .size = shared.info_pages * static_cast<u32>(kPageSize)};
}

void forget_trace_buffers() {
    shared = {};
    buffers = {};
    update();
}

}  // namespace domus::core

// SPDX-License-Identifier: GPL-2.0-or-later
// The console: log lines to a ring and to the attached outputs.
#include "drivers/console.hpp"

#include <atomic>

#include "base/log.hpp"
#include "drivers/console_levels.hpp"
#include "drivers/console_ring.hpp"
#include "drivers/console_stamp.hpp"
#include "port/cpu.hpp"
#include "port/io.hpp"

namespace domus::console {

namespace {

constexpr usize kEarlyRing = 16 * kKiB;
constexpr usize kOutputs = 4;
constexpr std::string_view kPrefix = "(domus) ";
constexpr u32 kPanicSpins = 1'000'000;  // some milliseconds: a line at 115200 baud, no more

constinit char early_ring[kEarlyRing];

struct State {
    CharRing ring{early_ring};
    u32 cleared = 0;  // index where clear_ring() was called
    Output outputs[kOutputs];
    usize output_count = 0;
    LevelThresholds host{2, 2};   // loglvl=warning until options say more
    LevelThresholds guest{0, 2};  // guest_loglvl=none/warning
    RateLimit host_rate{10, 500 * kMillisecond};
    RateLimit guest_rate{10, 500 * kMillisecond};
    StampKind stamp = StampKind::none;
    port::WallClock wall;
    bool at_line_start = true;  // the last raw character was a newline
    void (*ring_notify)() = nullptr;
};
constinit State state;

// The lock is our own, since it must be usable where no other lock is: in an NMI, in a crash, and by a CPU
// that already holds it.
constexpr u32 kFree = ~u32{0};
constinit std::atomic<u32> owner{kFree};
constinit std::atomic<bool> panicking{false};

class Locked {
  public:
    Locked() {
        const u32 me = port::this_cpu().v;
        if (owner.load(std::memory_order_relaxed) == me) return;  // this CPU interrupted itself
        u32 spins = 0;
        u32 expected = kFree;
        while (!owner.compare_exchange_weak(expected, me, std::memory_order_acquire)) {
            expected = kFree;
            if (panicking.load(std::memory_order_relaxed)) {
                if (++spins == kPanicSpins) return;
                port::pause();
            } else {
                port::relax();
            }
        }
        mine_ = true;
    }
    ~Locked() {
        if (mine_) owner.store(kFree, std::memory_order_release);
    }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;

  private:
    bool mine_ = false;
};

// Only to the outputs: what the control domain prints is not a message of the hypervisor's, and `xl dmesg`
// shows the ring.
void show(std::string_view text) {
    if (text.empty()) return;
    for (usize i = 0; i < state.output_count; i++) state.outputs[i].write(state.outputs[i].device, text);
    state.at_line_start = text.back() == '\n';
}

void emit(std::string_view text) {
    state.ring.put(text);
    show(text);
    if (text.ends_with('\n') && state.ring_notify != nullptr) state.ring_notify();
}

void emit_line(std::string_view prefix, std::string_view line) {
    char stamp[48];
    if (!state.at_line_start) show("\n");  // dom0 was in the middle of a line
    emit(prefix);
    if (state.stamp != StampKind::none)
        emit(std::string_view(stamp,
                              format_stamp(stamp, state.stamp, port::now(), port::read_tsc(), state.wall)));
    emit(line);
    emit("\n");
}

void sink(Level level, bool guest, std::string_view line) {
    const u8 number = static_cast<u8>(level);
    Locked lock;
    const LevelThresholds& t = guest ? state.guest : state.host;
    if (number >= t.limited && !panicking.load(std::memory_order_relaxed)) return;
    if (number >= t.always && !panicking.load(std::memory_order_relaxed)) {
        u32 missed = 0;
        if (!(guest ? state.guest_rate : state.host_rate).admit(port::now(), missed)) return;
        if (missed != 0) {
            char note[64];
            emit_line(kPrefix, std::string_view(note, format_to(note, "({} lines suppressed)", missed)));
        }
    }
    emit_line(kPrefix, line);
}

}  // namespace

void init() { set_log_sink(sink); }

void set_ring_notify(void (*notify)()) {
    Locked lock;
    state.ring_notify = notify;
}

Result<> attach(Output output) {
    Locked lock;
    if (state.output_count == kOutputs) return fail(Error::nospc);
    char piece[128];
    u32 from = state.ring.oldest();
    while (const usize n = state.ring.read(from, piece))
        output.write(output.device, std::string_view(piece, n));
    state.outputs[state.output_count++] = output;
    return {};
}

void configure(const LevelThresholds& host, const LevelThresholds& guest, StampKind stamp) {
    Locked lock;
    state.host = host;
    state.guest = guest;
    state.stamp = stamp;
}

void set_wall_clock(port::WallClock at_zero) {
    Locked lock;
    state.wall = at_zero;
}

void write_raw(std::string_view text) {
    Locked lock;
    emit(text);
}

void write_dom0(std::string_view text) {
    Locked lock;
    show(text);
}

void write_guest(DomId domain, std::string_view line) {
    char text[256];
    usize n = format_to(text, "(d{}) ", domain);
    for (char c : line) {
        if (n == sizeof text) break;
        if (c == '\t' || (c >= ' ' && c <= '~')) text[n++] = c;
    }
    Locked lock;
    u32 missed = 0;
    if (!state.guest_rate.admit(port::now(), missed)) return;
    emit_line({}, std::string_view(text, n));
}

void set_ring(std::span<char> storage) {
    Locked lock;
    state.ring.move_to(storage);
}

usize read_ring(u32& from, std::span<char> out) {
    Locked lock;
    return state.ring.read(from, out);
}

u32 ring_end() {
    Locked lock;
    return state.ring.end();
}

u32 ring_start() {
    Locked lock;
    const u32 oldest = state.ring.oldest();
    return state.ring.end() - state.cleared <= state.ring.end() - oldest ? state.cleared : oldest;
}

void clear_ring() {
    Locked lock;
    state.cleared = state.ring.end();
}

void enter_panic() { panicking.store(true, std::memory_order_relaxed); }

void take_over() { owner.store(kFree, std::memory_order_relaxed); }

namespace testing {
void reset() {
    set_log_sink(nullptr);
    state = State{};
    owner = kFree;
    panicking = false;
}
}  // namespace testing

}  // namespace domus::console

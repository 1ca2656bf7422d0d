// SPDX-License-Identifier: GPL-2.0-or-later
// The console: where log lines go. Works from the first line of C++ on: lines enter a static ring, and an
// output that is attached later first receives what the ring holds.
//
// Everything here may be called on any CPU in any context. One lock orders writers; a CPU that interrupts
// itself while it holds the lock (NMI, a crash in the console) writes without it, and after enter_panic()
// waits for it only briefly.
#pragma once

#include <span>
#include <string_view>

#include "base/result.hpp"
#include "base/types.hpp"
#include "drivers/console_levels.hpp"
#include "drivers/console_stamp.hpp"
#include "port/time.hpp"

namespace domus::console {

// A device that shows text. `write` is called with the console's lock held and must not wait without bound.
struct Output {
    void (*write)(void* device, std::string_view text) = nullptr;
    void* device = nullptr;
};

// Makes the console the sink of log(). Call first thing in C++.
void init();

// Adds an output (at most four; ENOSPC) and shows it what the ring holds.
Result<> attach(Output output);

// The options of the command line, parsed.
void configure(const LevelThresholds& host, const LevelThresholds& guest, StampKind stamp);

// What time it was at system time 0; timestamps of kind date need it.
void set_wall_clock(port::WallClock at_zero);

// Text as it is, without prefix, level or line structure: what debug keys show.
void write_raw(std::string_view text);

// The same for dom0's console output, which goes to the outputs only: the ring is the hypervisor's own words.
void write_dom0(std::string_view text);

// Text from a domain without privileges, shown as "(dN) text": control characters are dropped.
void write_guest(DomId domain, std::string_view line);

// Replaces the ring by a larger one (conring_size); `storage` lives for ever, its size a power of two.
void set_ring(std::span<char> storage);

// Copies from the ring, for the readconsole operation of sysctl. `from` counts characters since boot; it
// moves up to what the ring still holds. Returns the number of characters copied; `from` becomes the index
// after the last.
usize read_ring(u32& from, std::span<char> out);
// The index after the newest character, and the index from which a reader that does not ask for an increment
// reads (the oldest one, or where clear_ring() was called).
u32 ring_end();
u32 ring_start();
void clear_ring();
// Called after lines have entered the ring, in any context and with the console's lock held: a mark for
// later.
void set_ring_notify(void (*notify)());

// From now on output must appear whatever happens: waiting for the lock is bounded.
void enter_panic();
// After the other CPUs have been stopped: takes the lock from whichever of them holds it.
void take_over();

namespace testing {
void reset();  // as before init(): the unit tests' only
}

}  // namespace domus::console

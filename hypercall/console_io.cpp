// SPDX-License-Identifier: GPL-2.0-or-later
// console_io (18): the hypervisor's console, for the domain that owns it.
#include <algorithm>
#include <string_view>

#include "abi/xen.hpp"
#include "hypercall/families.hpp"
#include "hypercall/platform.hpp"
#include "hypercall/refusal.hpp"
#include "port/cpu.hpp"
#include "port/guest_memory.hpp"

namespace domus::hypercall {

namespace {

constexpr u32 kChunk = 128;  // characters between two looks at pending work

using ConsoleCall = Preemptible<u32, u32, GuestAddr>;

ConsoleCall write(Caller& caller, u32 count, GuestAddr buffer) {
    const Platform& p = platform();
    char text[kChunk];
    while (count != 0) {
        const u32 n = std::min(count, kChunk);
        TRY(buffer.in<char>().read(0, text, n));
        if (caller.domain.hardware) {
            if (p.console_write != nullptr) p.console_write({text, n});
        } else if (p.console_guest != nullptr) {
            p.console_guest(caller.domain.id, {text, n});
        }
        buffer = buffer.offset(n);
        count -= n;
        if (count != 0 && port::preempt_wanted()) return again(u32{CONSOLEIO_write}, count, buffer);
    }
    return s64{0};
}

// Returns how many characters there were; does not wait for more.
Result<s64> read(u32 count, GuestAddr buffer) {
    const Platform& p = platform();
    if (p.console_read == nullptr) return 0;
    char text[kChunk];
    u32 done = 0;
    while (done < count) {
        // What has been taken out cannot be put back: make sure of the place first.
        const u32 room = std::min(count - done, kChunk);
        if (port::clear_guest(Vaddr(buffer.raw() + done), room) != 0) return fail(Error::fault);
        const auto n = static_cast<u32>(p.console_read({text, room}));
        if (n == 0) break;
        TRY(buffer.out<char>().write(done, text, n));
        done += n;
        if (n < room) break;
    }
    return s64{done};
}

}  // namespace

Preemptible<u32, u32, GuestAddr> console_io(Caller& caller, u32 command, u32 count, GuestAddr buffer) {
    switch (command) {
        case CONSOLEIO_write:
        case CONSOLEIO_read: break;
        default: name_missing(caller, "console_io", command); return fail(Error::nosys);
    }
    // A count that does not fit the result cannot be meant.
    if (count > INT32_MAX) return fail(Error::inval);
    if (command == CONSOLEIO_write) return write(caller, count, buffer);
    return read(count, buffer);
}

}  // namespace domus::hypercall

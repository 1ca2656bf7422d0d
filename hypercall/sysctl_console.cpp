// SPDX-License-Identifier: GPL-2.0-or-later
// sysctl: the hypervisor's log and its debug keys.
#include <algorithm>

#include "hypercall/bitmap.hpp"
#include "hypercall/platform.hpp"
#include "hypercall/sysctl.hpp"
#include "port/cpu.hpp"

namespace domus::hypercall {

// The log, oldest first, as much as fits.
Result<> sysctl_readconsole(Caller&, xen_sysctl_readconsole& arg) {
    const Platform& p = platform();
    if (p.log_read == nullptr) return fail(Error::nosys);
    const GuestAddr buffer = address_of(arg.buffer);
    // A reader that would go on from before the log was cleared starts where that was. Indices count
    // characters and wrap.
    u32 at = p.log_start();
    if (arg.incremental != 0 && static_cast<s32>(arg.index - at) > 0) at = arg.index;
    u32 done = 0;
    char text[256];
    while (done < arg.count) {
        const usize n = p.log_read(at, {text, std::min<usize>(sizeof text, arg.count - done)});
        if (n == 0) break;
        TRY(buffer.out<char>().write(done, text, n));
        done += static_cast<u32>(n);
    }
    if (arg.clear != 0) p.log_clear();
    arg.index = at;
    arg.count = done;
    return {};
}

Result<> sysctl_debug_keys(Caller&, GuestAddr where) {
    xen_sysctl_debug_keys arg = TRY(where.in<xen_sysctl_debug_keys>().read());
    if (platform().debug_key == nullptr) return fail(Error::nosys);
    const GuestIn<char> keys = address_of(arg.keys).in<char>();
    // Each key is a report: more of them than keys exist are a mistake.
    constexpr u32 kMost = 256;
    if (arg.nr_keys > kMost) return fail(Error::toobig);
    for (u32 i = 0; i < arg.nr_keys; i++) {
        // A report takes long on a serial line. Which keys are left is in the structure.
        if (i != 0 && port::preempt_wanted()) {
            arg.keys.p += i;
            arg.nr_keys -= i;
            TRY(where.out<xen_sysctl_debug_keys>().write(arg));
            return fail(Error::restart);
        }
        platform().debug_key(TRY(keys.read(i)));
    }
    return {};
}

}  // namespace domus::hypercall

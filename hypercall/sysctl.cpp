// SPDX-License-Identifier: GPL-2.0-or-later
// sysctl (35): the toolstack's operations on the machine. One row an operation.
#include <algorithm>

#include "abi/xen.hpp"
#include "hypercall/command.hpp"
#include "hypercall/families.hpp"
#include "hypercall/platform.hpp"

namespace domus::hypercall {

namespace {

// The log, oldest first, as much as fits.
Result<> readconsole(Caller&, xen_sysctl_readconsole& arg) {
    const Platform& p = platform();
    if (p.log_read == nullptr) return fail(Error::nosys);
    const GuestAddr buffer(reinterpret_cast<u64>(arg.buffer.p));
    u32 at = arg.incremental != 0 ? arg.index : p.log_start();
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

constexpr Command<> kList[] = {
    command<&readconsole>(XEN_SYSCTL_readconsole, "readconsole"),
};
constexpr Commands kCommands("sysctl", kList);

}  // namespace

Result<s64> sysctl(Caller& caller, GuestAddr op) {
    struct Header {
        u32 command, version;
    };
    static_assert(offsetof(xen_sysctl_t, u) == sizeof(Header));
    const Header header = TRY(op.in<Header>().read());
    if (header.version != XEN_SYSCTL_INTERFACE_VERSION) return fail(Error::access);
    return kCommands.call(caller, header.command, op.offset(sizeof(Header)));
}

}  // namespace domus::hypercall

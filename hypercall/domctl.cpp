// SPDX-License-Identifier: GPL-2.0-or-later
// domctl (36): the toolstack's operations on domains. One row an operation; the domain that the header names
// is looked up once, here.
#include "abi/xen.hpp"
#include "core/domain.hpp"
#include "hypercall/command.hpp"
#include "hypercall/families.hpp"
#include "hypercall/target.hpp"

namespace domus::hypercall {

namespace {

Result<> pausedomain(Caller& caller, Domain& d) {
    // A domain that pauses itself would never come to unpause itself.
    if (&d == &caller.domain) return fail(Error::inval);
    core::pause_domain_sync(d);
    return {};
}

Result<> unpausedomain(Caller& caller, Domain& d) {
    if (&d == &caller.domain) return fail(Error::inval);
    core::unpause_domain(d);
    return {};
}

constexpr Command<Domain&> kList[] = {
    command<&pausedomain, Domain&>(XEN_DOMCTL_pausedomain, "pausedomain"),
    command<&unpausedomain, Domain&>(XEN_DOMCTL_unpausedomain, "unpausedomain"),
};
constexpr Commands kCommands("domctl", kList);

}  // namespace

Result<s64> domctl(Caller& caller, GuestAddr op) {
    struct Header {
        u32 command, version;
        u16 domain, pad[3];
    };
    static_assert(offsetof(xen_domctl_t, u) == sizeof(Header));
    const Header header = TRY(op.in<Header>().read());
    if (header.version != XEN_DOMCTL_INTERFACE_VERSION) return fail(Error::access);
    if (kCommands.find(header.command) == nullptr) {
        name_missing(caller, "domctl", header.command);
        return fail(Error::nosys);
    }
    Domain* d = TRY(target_domain(caller, header.domain));
    return kCommands.call(caller, header.command, *d, op.offset(sizeof(Header)));
}

}  // namespace domus::hypercall

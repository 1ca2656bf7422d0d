// SPDX-License-Identifier: GPL-2.0-or-later
// xen_version (17): which hypervisor this is, and what it offers.
#include "hypercall/version.hpp"

#include <algorithm>

#include "abi/xen.hpp"
#include "arch_state/layout.hpp"
#include "core/domain.hpp"
#include "hypercall/command.hpp"
#include "hypercall/families.hpp"

namespace domus::hypercall {

namespace {

constinit std::string_view command_line{};
constinit std::span<const u8> build_id{};
constexpr usize kMaxCapabilities = 8;
constinit std::string_view capabilities[kMaxCapabilities] = {"xen-3.0-x86_64", "xen-3.0-x86_32p"};
constinit usize capability_count = 2;

// Copies text into a fixed, zero-filled character array of the ABI's; always terminated.
template <usize N>
void put(char (&to)[N], std::string_view text) {
    const usize n = std::min(text.size(), N - 1);
    std::copy_n(text.data(), n, to);
    to[n] = 0;
}

template <usize N>
struct Text {
    static constexpr bool kSameIn32 = true;
    char text[N];
};

Result<s64> version(Caller&) { return s64{kVersionMajor} << 16 | kVersionMinor; }

Result<> extraversion(Caller&, Out<Text<XEN_EXTRAVERSION_LEN>>& out) {
    static_assert(kExtraVersion.size() < XEN_EXTRAVERSION_LEN);
    put(out.v.text, kExtraVersion);
    return {};
}

Result<> compile_info(Caller&, Out<xen_compile_info_t>& out) {
#ifdef __clang__
    put(out.v.compiler, "clang " __clang_version__);
#else
    put(out.v.compiler, "g++ " __VERSION__);
#endif
    put(out.v.compile_by, "domus");
    put(out.v.compile_domain, "domus");
    // No build date: the same source gives the same image.
    return {};
}

Result<> capabilities_info(Caller&, Out<Text<XEN_CAPABILITIES_INFO_LEN>>& out) {
    // Each name is followed by a space, the last one too: toolstacks search for "name ".
    usize at = 0;
    for (usize i = 0; i < capability_count; i++) {
        const std::string_view name = capabilities[i];
        if (at + name.size() + 2 > XEN_CAPABILITIES_INFO_LEN) break;
        std::copy_n(name.data(), name.size(), out.v.text + at);
        at += name.size();
        out.v.text[at++] = ' ';
    }
    return {};
}

Result<> changeset(Caller&, Out<Text<XEN_CHANGESET_INFO_LEN>>&) { return {}; }

template <class L>
Result<> platform_parameters(Caller&, Out<xen_platform_parameters_t>& out) {
    out.v.virt_start = std::is_same_v<L, Layout32> ? abi32::kM2pStart : layout::kHypervisorStart;
    return {};
}

Result<> get_features(Caller& caller, xen_feature_info_t& info) {
    if (info.submap_idx >= XENFEAT_NR_SUBMAPS) return fail(Error::inval);
    info.submap = features(caller.domain, info.submap_idx);
    return {};
}

Result<s64> pagesize(Caller&, GuestAddr where) {
    if (!where.null()) return fail(Error::inval);
    return static_cast<s64>(kPageSize);
}

Result<> guest_handle(Caller& caller, Out<Text<sizeof(xen_domain_handle_t)>>& out) {
    static_cast<void>(caller);
    static_cast<void>(out);
    return {};  // all zero until the toolstack can set it
}

// How this machine is run is no guest's business; the text is what others are told.
Result<> commandline(Caller& caller, Out<Text<sizeof(xen_commandline_t)>>& out) {
    put(out.v.text, caller.domain.privileged ? command_line : "<denied>");
    return {};
}

// A buffer of the guest's size: {u32 length of buf; buf…}. With a null pointer, only the length is asked for.
Result<s64> build_id_note(Caller& caller, GuestAddr where) {
    if (!caller.domain.privileged) return fail(Error::perm);
    if (build_id.empty()) return fail(Error::nodata);
    const s64 size = static_cast<s64>(build_id.size());
    if (where.null()) return size;
    const u32 room = TRY(where.in<u32>().read());
    if (room == 0) return fail(Error::inval);
    if (room < build_id.size()) return fail(Error::nobufs);
    TRY(where.offset(offsetof(xen_build_id_t, buf)).out<u8>().write(0, build_id.data(), build_id.size()));
    return size;
}

template <class L>
constexpr Command<> kList[] = {
    command<L, &version>(XENVER_version, "version"),
    command<L, &extraversion>(XENVER_extraversion, "extraversion"),
    command<L, &compile_info>(XENVER_compile_info, "compile_info"),
    command<L, &capabilities_info>(XENVER_capabilities, "capabilities"),
    command<L, &changeset>(XENVER_changeset, "changeset"),
    command<L, &platform_parameters<L>>(XENVER_platform_parameters, "platform_parameters"),
    command<L, &get_features>(XENVER_get_features, "get_features"),
    command<L, &pagesize>(XENVER_pagesize, "pagesize"),
    command<L, &guest_handle>(XENVER_guest_handle, "guest_handle"),
    command<L, &commandline>(XENVER_commandline, "commandline"),
    command<L, &build_id_note>(XENVER_build_id, "build_id"),
};
template <class L>
constexpr Commands kCommands("xen_version", kList<L>);

}  // namespace

void set_command_line(std::string_view line) { command_line = line; }
void set_build_id(std::span<const u8> id) { build_id = id; }
void add_capability(std::string_view name) {
    if (capability_count < kMaxCapabilities) capabilities[capability_count++] = name;
}

u32 features(const Domain& d, u32 submap) {
    if (submap != 0) return 0;
    const auto bit = [](unsigned n) { return 1u << n; };
    // What every PV domain gets, as measured on the reference. Page and descriptor tables are
    // validated, hence not writable; "direct mapped" because a PV guest handles machine frames itself.
    u32 f = bit(XENFEAT_pae_pgdir_above_4gb) | bit(XENFEAT_mmu_pt_update_preserve_ad) |
            bit(XENFEAT_highmem_assist) | bit(XENFEAT_gnttab_map_avail_bits) |
            bit(XENFEAT_memory_op_vnode_supported) | bit(XENFEAT_direct_mapped);
    if (d.hardware) f |= bit(XENFEAT_dom0);
    return f;
}

template <class L>
Result<s64> xen_version(Caller& caller, u32 command, GuestAddr arg) {
    return kCommands<L>.call(caller, command, arg);
}

template Result<s64> xen_version<Layout64>(Caller& caller, u32 command, GuestAddr arg);
template Result<s64> xen_version<Layout32>(Caller& caller, u32 command, GuestAddr arg);

}  // namespace domus::hypercall

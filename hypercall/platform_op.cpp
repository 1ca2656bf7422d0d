// SPDX-License-Identifier: GPL-2.0-or-later
// platform_op (7): the machine's firmware, processors, clock and power, for the control domain.
#include <algorithm>

#include "abi/xen.hpp"
#include "base/log.hpp"
#include "core/vcpu_time.hpp"
#include "hypercall/bitmap.hpp"
#include "hypercall/command.hpp"
#include "hypercall/families.hpp"
#include "hypercall/platform.hpp"
#include "hypercall/platform_op.hpp"

namespace domus::hypercall {

namespace {

// ---- time ---------------------------------------------------------------------------------------

Result<> settime32(Caller&, const xenpf_settime32_t& arg) {
    return core::set_wall_clock(arg.secs, arg.nsecs, static_cast<Nanos>(arg.system_time));
}

Result<> settime64(Caller&, const xenpf_settime64_t& arg) {
    if (arg.mbz != 0) return fail(Error::inval);
    return core::set_wall_clock(arg.secs, arg.nsecs, static_cast<Nanos>(arg.system_time));
}

// ---- firmware -----------------------------------------------------------------------------------

Result<> disk_info(xenpf_firmware_info_t& info) {
    const auto disks = platform().disks;
    if (info.index >= disks.size()) return fail(Error::srch);
    const BiosDisk& d = disks[info.index];
    auto& out = info.u.disk_info;
    // The guest's buffer begins with its size; it gets what fits, with the size of what there is.
    const GuestAddr params = address_of(out.edd_params);
    const u16 room = TRY(params.in<u16>().read());
    const usize n = std::min<usize>(room, d.edd_params.size());
    if (n != 0) TRY(params.out<u8>().write(0, d.edd_params.data(), n));
    out.device = d.device;
    out.version = d.version;
    out.interface_support = d.interface_support;
    out.legacy_max_cylinder = d.legacy_max_cylinder;
    out.legacy_max_head = d.legacy_max_head;
    out.legacy_sectors_per_track = d.legacy_sectors_per_track;
    return {};
}

// Public platform.h, XEN_FW_EFI_INFO.
Result<> efi_info(xenpf_firmware_info_t& info) {
    const Platform::Efi& efi = platform().efi;
    auto& out = info.u.efi_info;
    if (efi.tables == 0) return fail(Error::nosys);  // not booted through EFI
    switch (info.index) {
        case XEN_FW_EFI_VERSION: out.version = efi.version; return {};
        // Calls of the runtime services are not passed on to the firmware: there are none.
        case XEN_FW_EFI_RT_VERSION: return fail(Error::nodev);
        case XEN_FW_EFI_CONFIG_TABLE:
            out.cfg.addr = efi.tables;
            out.cfg.nent = efi.table_count;
            return {};
        case XEN_FW_EFI_VENDOR: {
            const usize room = out.vendor.bufsz / sizeof(char16_t);
            out.vendor.revision = efi.firmware_revision;
            const GuestAddr name = address_of(out.vendor.name);
            for (usize i = 0; i < room; i++) {
                TRY(name.out<u16>().write(static_cast<u16>(efi.vendor[i]), i));
                if (efi.vendor[i] == 0) return {};
            }
            return fail(Error::nobufs);
        }
        case XEN_FW_EFI_MEM_INFO: {
            Platform::Efi::Range range{};
            const u64 address = out.mem.addr;
            if (efi.find_range == nullptr || !efi.find_range(address, range)) return fail(Error::srch);
            const u64 rest = range.start + range.bytes - address;
            out.mem.type = range.type;
            out.mem.attr = range.attributes;
            if (out.mem.size > rest) out.mem.size = rest;
            return {};
        }
        case XEN_FW_EFI_PCI_ROM:
        case XEN_FW_EFI_APPLE_PROPERTIES: return fail(Error::noent);  // asked of boot services only
        default: return fail(Error::inval);
    }
}

Result<> firmware_info(Caller&, xenpf_firmware_info_t& info) {
    switch (info.type) {
        case XEN_FW_DISK_INFO: return disk_info(info);
        case XEN_FW_DISK_MBR_SIGNATURE: {
            const auto mbrs = platform().mbrs;
            if (info.index >= mbrs.size()) return fail(Error::srch);
            info.u.disk_mbr_signature.device = mbrs[info.index].device;
            info.u.disk_mbr_signature.mbr_signature = mbrs[info.index].signature;
            return {};
        }
        case XEN_FW_VBEDDC_INFO: return fail(Error::srch);  // no monitor was asked at boot
        case XEN_FW_EFI_INFO: return efi_info(info);
        case XEN_FW_KBD_SHIFT_FLAGS:
            if (info.index != 0) return fail(Error::srch);
            info.u.kbd_shift_flags = platform().kbd_shift_flags;
            return {};
        default: return fail(Error::inval);
    }
}

// ---- power --------------------------------------------------------------------------------------

Result<> enter_acpi_sleep(Caller& caller, const xenpf_enter_acpi_sleep_t& arg) {
    constexpr u32 kDeepest = 5;
    if (arg.sleep_state == 0 || arg.sleep_state > kDeepest ||
        (arg.flags & ~u32{XENPF_ACPI_SLEEP_EXTENDED}) != 0) {
        return fail(Error::inval);
    }
    if (platform().enter_sleep == nullptr) return fail(Error::nosys);
    const bool extended = (arg.flags & XENPF_ACPI_SLEEP_EXTENDED) != 0;
    // Sleep types are one byte where the extended registers take them.
    if (extended && (arg.val_a > 0xff || arg.val_b > 0xff)) return fail(Error::inval);
    const Result<> slept = platform().enter_sleep(arg.sleep_state, arg.val_a, arg.val_b, extended);
    if (!slept) {
        guest_log(Level::warning, "d{}: the machine does not go to sleep state S{} ({})", caller.domain.id,
                  arg.sleep_state, slept.error());
    }
    return slept;
}

// ---- symbols ------------------------------------------------------------------------------------

Result<> get_symbol(Caller&, xenpf_symdata_t& data) {
    if (platform().symbol == nullptr) return fail(Error::nosys);
    u64 address = 0;
    char type = 0;
    std::string_view name;
    if (!platform().symbol(data.symnum, address, type, name)) {
        // The number unchanged says that this was the last.
        data.namelen = 0;
        data.address = 0;
        data.type = 0;
        return {};
    }
    // The terminating zero counts as part of what must fit.
    char text[128] = {};
    const usize length = std::min(name.size(), sizeof text - 1);
    std::copy_n(name.data(), length, text);
    const usize fits = std::min<usize>(length + 1, data.namelen);
    if (fits != 0) TRY(address_of(data.name).template out<char>().write(0, text, fits));
    data.namelen = static_cast<u32>(length);
    data.symnum++;
    data.address = address;
    data.type = type;
    return {};
}

constexpr Command<> kList[] = {
    command<&settime32>(XENPF_settime32, "settime32"),
    command<&settime64>(XENPF_settime64, "settime64"),
    command<&platform_get_cpu_version>(XENPF_get_cpu_version, "get_cpu_version"),
    command<&firmware_info>(XENPF_firmware_info, "firmware_info"),
    command<&enter_acpi_sleep>(XENPF_enter_acpi_sleep, "enter_acpi_sleep"),
    command<&platform_getidletime>(XENPF_getidletime, "getidletime"),
    command<&platform_get_cpuinfo>(XENPF_get_cpuinfo, "get_cpuinfo"),
    command<&platform_cpu_online>(XENPF_cpu_online, "cpu_online"),
    command<&platform_cpu_offline>(XENPF_cpu_offline, "cpu_offline"),
    command<&platform_cpu_hotadd>(XENPF_cpu_hotadd, "cpu_hotadd"),
    command<&platform_core_parking>(XENPF_core_parking, "core_parking"),
    command<&platform_set_processor_pminfo>(XENPF_set_processor_pminfo, "set_processor_pminfo"),
    command<&platform_microcode_update>(XENPF_microcode_update, "microcode_update"),
    command<&get_symbol>(XENPF_get_symbol, "get_symbol"),
};
constexpr Commands kCommands("platform_op", kList);

}  // namespace

Preemptible<GuestAddr> platform_op(Caller& caller, GuestAddr op) {
    struct Header {
        u32 command, version;
    };
    const Header header = TRY(op.in<Header>().read());
    if (header.version != XENPF_INTERFACE_VERSION) return fail(Error::access);
    static_assert(offsetof(xen_platform_op_t, u) == sizeof(Header));
    const Value value = kCommands.call(caller, header.command, op.offset(sizeof(Header)));
    if (!value && value.error() == Error::restart) return again(op);
    return value;
}

}  // namespace domus::hypercall

// SPDX-License-Identifier: GPL-2.0-or-later
// The families about the machine: console, platform, interrupts and PCI, machine checks, and the toolstack's.
#include <gtest/gtest.h>

#include <vector>

#include "abi/xen.hpp"
#include "abi/xen_mca.hpp"
#include "hypercall/dispatch.hpp"
#include "unit/hypercall_fixture.hpp"

namespace domus::hypercall {
namespace {

// ---- console ------------------------------------------------------------------------------------

std::string written, guest_written, typed;

class ConsoleIo : public HypercallTest {
  protected:
    ConsoleIo() {
        written = guest_written = typed = "";
        platform().console_write = [](std::string_view s) { written += s; };
        platform().console_guest = [](DomId, std::string_view s) { guest_written += s; };
        platform().console_read = [](std::span<char> out) {
            const usize n = std::min(out.size(), typed.size());
            typed.copy(out.data(), n);
            typed.erase(0, n);
            return n;
        };
    }
};

TEST_F(ConsoleIo, WriteInChunks) {
    const std::string text(1000, 'x');
    put(0, std::vector<char>(text.begin(), text.end()));
    machine.preempt = true;
    EXPECT_EQ(run(__HYPERVISOR_console_io, CONSOLEIO_write, 1000, at(0)), 0);
    EXPECT_EQ(written, text);
    EXPECT_EQ(again_count, 7u);
}

TEST_F(ConsoleIo, ReadWhatThereIs) {
    EXPECT_EQ(run(__HYPERVISOR_console_io, CONSOLEIO_read, 16, at(0)), 0);
    typed = "hello";
    EXPECT_EQ(run(__HYPERVISOR_console_io, CONSOLEIO_read, 3, at(0)), 3);
    EXPECT_EQ(run(__HYPERVISOR_console_io, CONSOLEIO_read, 16, at(3)), 2);
    EXPECT_EQ(std::memcmp(machine.guest.data(), "hello", 5), 0);
    typed = std::string(300, 'y');
    EXPECT_EQ(run(__HYPERVISOR_console_io, CONSOLEIO_read, 1000, at(0)), 300);
}

TEST_F(ConsoleIo, OthersHaveNoConsole) {
    Domain& other = make_running(7);
    EXPECT_EQ(run_as(*other.vcpu(VcpuId(0)), __HYPERVISOR_console_io, CONSOLEIO_write, 1, at(0)), -EPERM);
}

TEST_F(ConsoleIo, Hostile) {
    typed = "secret";
    for (const u64 address : {u64{0xffff800000000000}, ~u64{0}}) {
        EXPECT_EQ(run(__HYPERVISOR_console_io, CONSOLEIO_write, 10, address), -EFAULT);
        EXPECT_EQ(run(__HYPERVISOR_console_io, CONSOLEIO_read, 10, address), -EFAULT);
    }
    EXPECT_EQ(typed, "secret") << "nothing is lost on a bad buffer";
    EXPECT_EQ(run(__HYPERVISOR_console_io, CONSOLEIO_write, ~0u, at(0)), -EINVAL);
    EXPECT_EQ(run(__HYPERVISOR_console_io, CONSOLEIO_read, 0x80000000, at(0)), -EINVAL);
    EXPECT_EQ(run(__HYPERVISOR_console_io, 2, 1, at(0)), -ENOSYS);
    EXPECT_EQ(run(__HYPERVISOR_console_io, CONSOLEIO_write, 0, 0), 0);
}

// ---- platform -----------------------------------------------------------------------------------

class PlatformOp : public HypercallTest {
  protected:
    s64 call(xen_platform_op_t& o) {
        o.interface_version = XENPF_INTERFACE_VERSION;
        put(0, o);
        const s64 result = run(__HYPERVISOR_platform_op, at(0));
        o = get<xen_platform_op_t>(0);
        return result;
    }
};

TEST_F(PlatformOp, Header) {
    xen_platform_op_t o{};
    o.cmd = XENPF_get_cpuinfo;
    o.interface_version = XENPF_INTERFACE_VERSION + 1;
    put(0, o);
    EXPECT_EQ(run(__HYPERVISOR_platform_op, at(0)), -EACCES);
    for (const u64 address : kBadAddresses) EXPECT_EQ(run(__HYPERVISOR_platform_op, address), -EFAULT);
    o.cmd = 999;
    EXPECT_EQ(call(o), -ENOSYS);
    domain.privileged = false;
    o.cmd = XENPF_get_cpuinfo;
    EXPECT_EQ(call(o), -EPERM);
    domain.privileged = true;
}

TEST_F(PlatformOp, Cpus) {
    xen_platform_op_t o{};
    o.cmd = XENPF_get_cpuinfo;
    o.u.pcpu_info.xen_cpuid = 1;
    EXPECT_EQ(call(o), 0);
    EXPECT_EQ(o.u.pcpu_info.max_present, 1u);
    EXPECT_EQ(o.u.pcpu_info.flags, u32{XEN_PCPU_FLAGS_ONLINE});
    EXPECT_EQ(o.u.pcpu_info.apic_id, 2u);
    EXPECT_EQ(o.u.pcpu_info.acpi_id, 1u);
    o.u.pcpu_info.xen_cpuid = 2;
    EXPECT_EQ(call(o), 0);
    EXPECT_EQ(o.u.pcpu_info.flags, u32{XEN_PCPU_FLAGS_INVALID});
    o.cmd = XENPF_get_cpu_version;
    EXPECT_EQ(call(o), -ENOSYS);
    platform().cpu_version = [](CpuId) { return CpuVersion{"AuthenticAM", 15, 107, 1}; };
    o.u.pcpu_version.xen_cpuid = 0;
    EXPECT_EQ(call(o), 0);
    EXPECT_EQ(o.u.pcpu_version.family, 15u);
}

TEST_F(PlatformOp, IdleTime) {
    put(0x200, u8{0xff});
    xen_platform_op_t o{};
    o.cmd = XENPF_getidletime;
    o.u.getidletime.cpumap_nr_cpus = ~0u;
    set_handle(o.u.getidletime.cpumap_bitmap, at(0x200));
    set_handle(o.u.getidletime.idletime, at(0x300));
    EXPECT_EQ(call(o), 0);
    EXPECT_EQ(get<u8>(0x200), 3) << "the processors that exist";
    EXPECT_EQ(o.u.getidletime.now, static_cast<u64>(machine.now));
}

TEST_F(PlatformOp, Clock) {
    xen_platform_op_t o{};
    o.cmd = XENPF_settime64;
    o.u.settime64 = {.secs = 1'700'000'000, .nsecs = 5, .mbz = 0, .system_time = 0};
    EXPECT_EQ(call(o), 0);
    EXPECT_EQ(domain.shared->wc_sec, 1'700'000'000u);
    o.u.settime64.mbz = 1;
    EXPECT_EQ(call(o), -EINVAL);
    o.cmd = XENPF_settime32;
    o.u.settime32 = {.secs = 1'600'000'000, .nsecs = 1'000'000'000, .system_time = 0};
    EXPECT_EQ(call(o), -EINVAL);
    o.u.settime32.nsecs = 0;
    EXPECT_EQ(call(o), 0);
    EXPECT_EQ(domain.shared->wc_sec, 1'600'000'000u);
}

TEST_F(PlatformOp, Firmware) {
    static const u8 edd[] = {26, 0, 1, 2, 3};
    static const BiosDisk disks[] = {{.device = 0x80, .version = 0x30, .edd_params = edd}};
    static const BiosMbr mbrs[] = {{.device = 0x80, .signature = 0x12345678}};
    platform().disks = disks;
    platform().mbrs = mbrs;
    platform().kbd_shift_flags = 0x20;
    xen_platform_op_t o{};
    o.cmd = XENPF_firmware_info;
    auto& f = o.u.firmware_info;
    f.type = XEN_FW_DISK_INFO;
    set_handle(f.u.disk_info.edd_params, at(0x200));
    put(0x200, u16{30});
    EXPECT_EQ(call(o), 0);
    EXPECT_EQ(f.u.disk_info.device, 0x80);
    EXPECT_EQ(get<u8>(0x204), 3);
    f = {};
    f.type = XEN_FW_DISK_INFO, f.index = 1;
    EXPECT_EQ(call(o), -ESRCH);
    f.type = XEN_FW_DISK_MBR_SIGNATURE, f.index = 0;
    EXPECT_EQ(call(o), 0);
    EXPECT_EQ(f.u.disk_mbr_signature.mbr_signature, 0x12345678u);
    f.type = XEN_FW_KBD_SHIFT_FLAGS, f.index = 0;
    EXPECT_EQ(call(o), 0);
    EXPECT_EQ(f.u.kbd_shift_flags, 0x20);
    f.type = XEN_FW_EFI_INFO;
    EXPECT_EQ(call(o), -ENOSYS);
    f.type = 77;
    EXPECT_EQ(call(o), -EINVAL);
}

TEST_F(PlatformOp, Efi) {
    platform().efi = {.version = 0x20046,
                      .tables = 0x7f000000,
                      .table_count = 9,
                      .firmware_revision = 0x10000,
                      .vendor = u"EDK",
                      .find_range = [](u64 address, Platform::Efi::Range& r) {
                          r = {.start = 0x1000, .bytes = 0x3000, .attributes = 15, .type = 6};
                          return address >= 0x1000 && address < 0x4000;
                      }};
    xen_platform_op_t o{};
    o.cmd = XENPF_firmware_info;
    auto& f = o.u.firmware_info;
    const auto ask = [&](u32 index) {
        f.type = XEN_FW_EFI_INFO;
        f.index = index;
        return call(o);
    };
    EXPECT_EQ(ask(XEN_FW_EFI_CONFIG_TABLE), 0);
    EXPECT_EQ(f.u.efi_info.cfg.addr, 0x7f000000u);
    EXPECT_EQ(f.u.efi_info.cfg.nent, 9u);
    EXPECT_EQ(ask(XEN_FW_EFI_VERSION), 0);
    EXPECT_EQ(f.u.efi_info.version, 0x20046u);
    EXPECT_EQ(ask(XEN_FW_EFI_RT_VERSION), -ENODEV);

    set_handle(f.u.efi_info.vendor.name, at(0x200));
    f.u.efi_info.vendor.bufsz = 8;
    EXPECT_EQ(ask(XEN_FW_EFI_VENDOR), 0);
    EXPECT_EQ(f.u.efi_info.vendor.revision, 0x10000u);
    EXPECT_EQ(get<u64>(0x200), 0x004b00440045u) << "EDK and a zero";
    f = {};
    put(0x206, u16{0x7777});
    set_handle(f.u.efi_info.vendor.name, at(0x200));
    f.u.efi_info.vendor.bufsz = 6;
    EXPECT_EQ(ask(XEN_FW_EFI_VENDOR), -ENOBUFS);
    EXPECT_EQ(get<u16>(0x206), 0x7777) << "written beyond the buffer";

    f = {};
    f.u.efi_info.mem.addr = 0x2000, f.u.efi_info.mem.size = ~u64{0} - 0x2000;
    EXPECT_EQ(ask(XEN_FW_EFI_MEM_INFO), 0);
    EXPECT_EQ(f.u.efi_info.mem.size, 0x2000u);
    EXPECT_EQ(f.u.efi_info.mem.type, 6u);
    EXPECT_EQ(f.u.efi_info.mem.attr, 15u);
    f.u.efi_info.mem.size = 0x10;
    EXPECT_EQ(ask(XEN_FW_EFI_MEM_INFO), 0);
    EXPECT_EQ(f.u.efi_info.mem.size, 0x10u);
    f.u.efi_info.mem.addr = 0x4000;
    EXPECT_EQ(ask(XEN_FW_EFI_MEM_INFO), -ESRCH);
    EXPECT_EQ(ask(XEN_FW_EFI_PCI_ROM), -ENOENT);
    EXPECT_EQ(ask(99), -EINVAL);
    platform().efi = {};
}

u32 slept;
TEST_F(PlatformOp, Sleep) {
    slept = 0;
    xen_platform_op_t o{};
    o.cmd = XENPF_enter_acpi_sleep;
    auto& s = o.u.enter_acpi_sleep;
    s = {.val_a = 0x2000, .val_b = 0, .sleep_state = 5, .flags = 0};
    EXPECT_EQ(call(o), -ENOSYS);
    platform().enter_sleep = [](u32 state, u16, u16, bool) -> Result<> {
        if (state != 5) return fail(Error::opnotsupp);
        slept = state;
        return {};
    };
    EXPECT_EQ(call(o), 0);
    EXPECT_EQ(slept, 5u);
    s.sleep_state = 3;
    EXPECT_EQ(call(o), -EOPNOTSUPP);
    for (const u32 state : {0u, 6u, ~0u}) {
        s.sleep_state = state;
        EXPECT_EQ(call(o), -EINVAL);
    }
    s = {.val_a = 0x100, .val_b = 0, .sleep_state = 5, .flags = XENPF_ACPI_SLEEP_EXTENDED};
    EXPECT_EQ(call(o), -EINVAL);
    s.flags = 2;
    EXPECT_EQ(call(o), -EINVAL);
}

TEST_F(PlatformOp, Symbols) {
    platform().symbol = [](u32 index, u64& address, char& type, std::string_view& name) {
        if (index >= 1) return false;
        address = 0x1234, type = 't', name = "dispatch";
        return true;
    };
    xen_platform_op_t o{};
    o.cmd = XENPF_get_symbol;
    auto& s = o.u.symdata;
    s.symnum = 0, s.namelen = 4;
    set_handle(s.name, at(0x200));
    EXPECT_EQ(call(o), 0);
    EXPECT_EQ(s.namelen, 8u);
    EXPECT_EQ(s.symnum, 1u);
    EXPECT_EQ(std::memcmp(&machine.guest[0x200], "disp\0", 5), 0);
    EXPECT_EQ(call(o), 0);
    EXPECT_EQ(s.symnum, 1u) << "the end";
}

// ---- physical devices ---------------------------------------------------------------------------

class PhysdevOp : public HypercallTest {
  protected:
    PhysdevOp() { EXPECT_TRUE(domain.irq_caps.add(0, 255)); }
    template <class T>
    s64 phys(u32 command, T& arg) {
        return op(__HYPERVISOR_physdev_op, command, arg);
    }
    s32 map_gsi(s32 gsi, s32 pirq = -1) {
        physdev_map_pirq_t m{};
        m.domid = DOMID_SELF, m.type = MAP_PIRQ_TYPE_GSI, m.index = gsi, m.pirq = pirq;
        const s64 r = phys(PHYSDEVOP_map_pirq, m);
        return r == 0 ? m.pirq : static_cast<s32>(r);
    }
};

TEST_F(PhysdevOp, Gsi) {
    physdev_setup_gsi_t gsi{.gsi = 9, .triggering = 1, .polarity = 1};
    EXPECT_EQ(phys(PHYSDEVOP_setup_gsi, gsi), 0);
    EXPECT_TRUE(fakes::interrupts.level[9]);
    gsi.gsi = 24;
    log_lines.clear();
    EXPECT_EQ(phys(PHYSDEVOP_setup_gsi, gsi), -EINVAL);
    ASSERT_EQ(log_lines.size(), 1u);
    EXPECT_NE(log_lines[0].find("setup_gsi: no GSI "), std::string::npos) << log_lines[0];
    gsi.gsi = -1;
    EXPECT_EQ(phys(PHYSDEVOP_setup_gsi, gsi), -EINVAL);

    const s32 pirq = map_gsi(9, 9);
    EXPECT_EQ(pirq, 9);
    EXPECT_EQ(map_gsi(24), -EINVAL);
    EXPECT_EQ(map_gsi(-1), -EINVAL);
    physdev_irq_status_query_t status{.irq = 9, .flags = 0};
    EXPECT_EQ(phys(PHYSDEVOP_irq_status_query, status), 0);
    EXPECT_EQ(status.flags & XENIRQSTAT_needs_eoi, u32{XENIRQSTAT_needs_eoi});
    physdev_eoi_t eoi{.irq = 9};
    EXPECT_EQ(phys(PHYSDEVOP_eoi, eoi), 0);
    eoi.irq = ~0u;
    EXPECT_EQ(phys(PHYSDEVOP_eoi, eoi), -EINVAL);
    physdev_unmap_pirq_t unmap{.domid = DOMID_SELF, .pirq = 9};
    EXPECT_EQ(phys(PHYSDEVOP_unmap_pirq, unmap), 0);
    EXPECT_EQ(phys(PHYSDEVOP_unmap_pirq, unmap), -EINVAL);
    unmap.pirq = -5;
    EXPECT_EQ(phys(PHYSDEVOP_unmap_pirq, unmap), -EINVAL);
}

TEST_F(PhysdevOp, Msi) {
    physdev_map_pirq_t m{};
    m.domid = DOMID_SELF, m.type = MAP_PIRQ_TYPE_MSI_SEG, m.index = -1, m.pirq = -1, m.bus = 0,
    m.devfn = 0x10;
    EXPECT_EQ(phys(PHYSDEVOP_map_pirq, m), 0);
    EXPECT_GE(m.pirq, 0);
    m.pirq = -1, m.type = MAP_PIRQ_TYPE_MULTI_MSI, m.entry_nr = 4;
    EXPECT_EQ(phys(PHYSDEVOP_map_pirq, m), 0);
    for (const s32 entries : {0, -1, 33}) {
        m.pirq = -1, m.entry_nr = entries;
        EXPECT_EQ(phys(PHYSDEVOP_map_pirq, m), -EINVAL);
    }
    m.entry_nr = 0, m.type = MAP_PIRQ_TYPE_MSI_SEG, m.devfn = 256;
    EXPECT_EQ(phys(PHYSDEVOP_map_pirq, m), -EINVAL);
    m.devfn = 0, m.bus = 0x1234, m.type = MAP_PIRQ_TYPE_MSI;
    EXPECT_EQ(phys(PHYSDEVOP_map_pirq, m), -EINVAL);
    m.type = 9;
    EXPECT_EQ(phys(PHYSDEVOP_map_pirq, m), -EINVAL);
    physdev_get_free_pirq_t free{.type = MAP_PIRQ_TYPE_MSI, .pirq = 0};
    EXPECT_EQ(phys(PHYSDEVOP_get_free_pirq, free), 0);
    free.type = 7;
    EXPECT_EQ(phys(PHYSDEVOP_get_free_pirq, free), -EINVAL);
}

TEST_F(PhysdevOp, IoPrivileges) {
    physdev_set_iopl_t iopl{.iopl = 1};
    EXPECT_EQ(phys(PHYSDEVOP_set_iopl, iopl), 0);
    EXPECT_EQ(vcpu.pv.iopl, 1u);
    iopl.iopl = 4;
    EXPECT_EQ(phys(PHYSDEVOP_set_iopl, iopl), -EINVAL);
    physdev_set_iobitmap_t bitmap{};
    bitmap.nr_ports = 65537;
    EXPECT_EQ(phys(PHYSDEVOP_set_iobitmap, bitmap), -EINVAL);
    bitmap.nr_ports = 65536;
    set_handle(bitmap.bitmap, at(0));
    EXPECT_EQ(phys(PHYSDEVOP_set_iobitmap, bitmap), 0);
    EXPECT_EQ(vcpu.pv.iobmp_limit, 65536u);
}

TEST_F(PhysdevOp, IoApicAndVectors) {
    physdev_apic_t apic{.apic_physbase = 0xfec00000, .reg = 1, .value = 0};
    EXPECT_EQ(phys(PHYSDEVOP_apic_read, apic), -ENOSYS);
    platform().ioapic_read = [](u64 base, u32) -> Result<u32> {
        if (base != 0xfec00000) return fail(Error::inval);
        return u32{0x170020};
    };
    EXPECT_EQ(phys(PHYSDEVOP_apic_read, apic), 0);
    EXPECT_EQ(apic.value, 0x170020u);
    apic.apic_physbase = 1;
    EXPECT_EQ(phys(PHYSDEVOP_apic_read, apic), -EINVAL);
    physdev_irq_t irq{.irq = 9, .vector = 0};
    EXPECT_EQ(phys(PHYSDEVOP_alloc_irq_vector, irq), 0);
    EXPECT_EQ(irq.vector, 9u);
    irq.irq = 24;
    EXPECT_EQ(phys(PHYSDEVOP_alloc_irq_vector, irq), -EINVAL);
}

TEST_F(PhysdevOp, PciDevices) {
    log_lines.clear();
    physdev_pci_device_add_t add{};
    add.bus = 0, add.devfn = 0x0b;
    EXPECT_EQ(phys(PHYSDEVOP_pci_device_add, add), 0);
    ASSERT_EQ(log_lines.size(), 1u);
    EXPECT_NE(log_lines[0].find("0000:00:01.3"), std::string::npos) << log_lines[0];
    physdev_manage_pci_ext_t ext{};
    ext.is_extfn = 2;
    EXPECT_EQ(phys(PHYSDEVOP_manage_pci_add_ext, ext), -EINVAL);
    physdev_pci_mmcfg_reserved_t mmcfg{};
    EXPECT_EQ(phys(PHYSDEVOP_pci_mmcfg_reserved, mmcfg), -ENOSYS);
    physdev_dbgp_op_t dbgp{};
    dbgp.op = PHYSDEVOP_DBGP_RESET_PREPARE;
    EXPECT_EQ(phys(PHYSDEVOP_dbgp_op, dbgp), 0);
    dbgp.op = 9;
    EXPECT_EQ(phys(PHYSDEVOP_dbgp_op, dbgp), -ENOSYS);
}

TEST_F(PhysdevOp, OnlyTheHardwareDomain) {
    Domain& other = make_running(7);
    Vcpu& v = *other.vcpu(VcpuId(0));
    for (const u32 command :
         {PHYSDEVOP_setup_gsi, PHYSDEVOP_map_pirq, PHYSDEVOP_unmap_pirq, PHYSDEVOP_apic_read,
          PHYSDEVOP_apic_write, PHYSDEVOP_alloc_irq_vector, PHYSDEVOP_pci_device_add,
          PHYSDEVOP_manage_pci_add, PHYSDEVOP_pci_mmcfg_reserved, PHYSDEVOP_dbgp_op}) {
        EXPECT_EQ(run_as(v, __HYPERVISOR_physdev_op, command, at(0)), -EPERM) << command;
    }
}

TEST_F(PhysdevOp, Hostile) {
    for (u32 command = 0; command < 64; command++) {
        for (const u64 address : kBadAddresses) {
            const s64 r = run(__HYPERVISOR_physdev_op, command, address);
            EXPECT_TRUE(r == -EFAULT || r == -ENOSYS) << command << ": " << r;
        }
    }
    physdev_op_t compat{};
    compat.cmd = PHYSDEVOP_set_iopl;
    compat.u.set_iopl.iopl = 3;
    put(0, compat);
    EXPECT_EQ(run(__HYPERVISOR_physdev_op_compat, at(0)), 0);
    EXPECT_EQ(vcpu.pv.iopl, 3u);
}

// ---- machine checks -----------------------------------------------------------------------------

TEST_F(PhysdevOp, MachineChecks) {
    xen_mc_t mc{};
    mc.cmd = XEN_MC_physcpuinfo;
    mc.interface_version = XEN_MCA_INTERFACE_VERSION;
    put(0, mc);
    EXPECT_EQ(run(__HYPERVISOR_arch_0, at(0)), 0);
    mc = get<xen_mc_t>(0);
    EXPECT_EQ(mc.u.mc_physcpuinfo.ncpus, 2u);
    set_handle(mc.u.mc_physcpuinfo.info, at(0x1000));
    mc.u.mc_physcpuinfo.ncpus = ~0u;
    put(0, mc);
    EXPECT_EQ(run(__HYPERVISOR_arch_0, at(0)), 0);
    EXPECT_EQ(get<xen_mc_logical_cpu_t>(0x1000, 2)[1].mc_apicid, 2u);
    mc.cmd = XEN_MC_fetch;
    mc.u.mc_fetch.flags = XEN_MC_URGENT;
    put(0, mc);
    EXPECT_EQ(run(__HYPERVISOR_arch_0, at(0)), 0);
    EXPECT_EQ(get<xen_mc_t>(0).u.mc_fetch.flags, u32{XEN_MC_NODATA});
    mc.interface_version++;
    put(0, mc);
    EXPECT_EQ(run(__HYPERVISOR_arch_0, at(0)), -EACCES);
}

// ---- toolstack ----------------------------------------------------------------------------------

class Toolstack : public HypercallTest {};

TEST_F(Toolstack, Domctl) {
    Domain& other = make_domain(7);
    xen_domctl_t d{};
    d.cmd = XEN_DOMCTL_pausedomain;
    d.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    d.domain = 7;
    put(0, d);
    EXPECT_EQ(run(__HYPERVISOR_domctl, at(0)), 0);
    EXPECT_EQ(other.pause_count.load(), 2u);
    d.cmd = XEN_DOMCTL_unpausedomain;
    put(0, d);
    EXPECT_EQ(run(__HYPERVISOR_domctl, at(0)), 0);
    EXPECT_EQ(other.pause_count.load(), 1u);
    d.domain = 0;
    put(0, d);
    EXPECT_EQ(run(__HYPERVISOR_domctl, at(0)), -EINVAL);
    d.domain = 99;
    put(0, d);
    EXPECT_EQ(run(__HYPERVISOR_domctl, at(0)), -ESRCH);
    d.cmd = 9999;
    put(0, d);
    EXPECT_EQ(run(__HYPERVISOR_domctl, at(0)), -ENOSYS);
    d.interface_version = 1;
    put(0, d);
    EXPECT_EQ(run(__HYPERVISOR_domctl, at(0)), -EACCES);
    EXPECT_EQ(run_as(*other.vcpu(VcpuId(0)), __HYPERVISOR_domctl, at(0)), -EPERM);
    EXPECT_EQ(run_as(*other.vcpu(VcpuId(0)), __HYPERVISOR_sysctl, at(0)), -EPERM);
}

TEST_F(Toolstack, ReadConsole) {
    static const std::string log = "line one\nline two\n";
    platform().log_read = [](u32& from, std::span<char> out) {
        const usize n = std::min<usize>(out.size(), log.size() - from);
        log.copy(out.data(), n, from);
        from += static_cast<u32>(n);
        return n;
    };
    static u32 cleared;
    cleared = 0;
    platform().log_start = [] { return cleared; };
    platform().log_clear = [] { cleared = 9; };
    xen_sysctl_t s{};
    s.cmd = XEN_SYSCTL_readconsole;
    s.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    set_handle(s.u.readconsole.buffer, at(0x200));
    s.u.readconsole.count = 1000;
    put(0, s);
    EXPECT_EQ(run(__HYPERVISOR_sysctl, at(0)), 0);
    s = get<xen_sysctl_t>(0);
    EXPECT_EQ(s.u.readconsole.count, log.size());
    EXPECT_EQ(std::memcmp(&machine.guest[0x200], log.data(), log.size()), 0);
    s.u.readconsole.count = 5;
    put(0, s);
    EXPECT_EQ(run(__HYPERVISOR_sysctl, at(0)), 0);
    EXPECT_EQ(get<xen_sysctl_t>(0).u.readconsole.index, 5u);
    // Goes on from an index, unless the log has been cleared behind it.
    const auto read_from = [&](u32 index, u8 clear = 0) {
        s.u.readconsole.clear = clear;
        s.u.readconsole.incremental = 1;
        s.u.readconsole.index = index;
        s.u.readconsole.count = 4;
        set_handle(s.u.readconsole.buffer, at(0x200));
        put(0, s);
        EXPECT_EQ(run(__HYPERVISOR_sysctl, at(0)), 0);
        const auto r = get<xen_sysctl_t>(0).u.readconsole;
        const auto text = get<char>(0x200, std::max(r.count, 1u));
        return std::string(text.begin(), text.begin() + r.count);
    };
    EXPECT_EQ(read_from(5), "one\n");
    EXPECT_EQ(read_from(18), "");
    EXPECT_EQ(read_from(0, 1), "line");
    EXPECT_EQ(read_from(0), "line");
    EXPECT_EQ(cleared, 9u);
    EXPECT_EQ(read_from(4), "line") << "from behind the clearing";
    EXPECT_EQ(read_from(14), "two\n");
}

}  // namespace
}  // namespace domus::hypercall

// SPDX-License-Identifier: GPL-2.0-or-later
// What a PV kernel sees of the CPU: privileged instructions, bounce frames, CPUID. Code, stack and frames are
// in the fake machine's guest memory.
#include <cstring>
#include <initializer_list>
#include <vector>

#include "fakes/cpuid.hpp"
#include "fakes/io.hpp"
#include "fakes/pv_hw.hpp"
#include "hypercall_fixture.hpp"
#include "mm/page_type.hpp"
#include "port/guest_entry.hpp"
#include "port/memory.hpp"
#include "pv/bounce.hpp"
#include "pv/cpu_policy.hpp"
#include "pv/cpuid.hpp"
#include "pv/emulate.hpp"
#include "pv/io_ports.hpp"
#include "unit/pv_cpuid_samples.hpp"

namespace domus {
namespace {

using pv::EmulateResult;
using Action = EmulateResult::Action;

class PvMachine : public hypercall::HypercallTest {
  protected:
    PvMachine() {
        fakes::pv_hw = {};
        vcpu.pv.traps = gates.data();
        vcpu.pv.in_kernel = true;
        vcpu.pv.iopl = 1;
        regs = {};
        regs.cs = FLAT_RING3_CS64;
        regs.ss = FLAT_RING3_SS64;
        regs.rflags = kFlagFixed | kFlagIf;
        regs.rsp = at(0x8000);
    }
    ~PvMachine() override { vcpu.pv.traps = own_gates; }

    EmulateResult run(std::initializer_list<u8> code, u64 offset = 0x1000) {
        std::memcpy(&machine.guest.at(offset), code.begin(), code.size());
        regs.rip = at(offset);
        length = code.size();
        return pv::emulate_privileged(vcpu, regs);
    }
    bool done(std::initializer_list<u8> code) {
        return run(code).action == Action::done && regs.rip == at(0x1000) + length;
    }
    bool refused(std::initializer_list<u8> code) {
        const EmulateResult r = run(code);
        return r.action == Action::inject && r.vector == 13 && r.error_code == 0 && regs.rip == at(0x1000);
    }

    TrapGate* own_gates = vcpu.pv.traps;
    std::array<TrapGate, 256> gates{};
    usize length = 0;
};

// Remembers accesses, and answers reads with `value`.
class Ports : public fakes::IoBus {
  public:
    struct Access {
        bool out;
        u16 port;
        unsigned size;
        u32 value;
        bool operator==(const Access&) const = default;
    };
    u32 in(u16 port, unsigned size) override {
        log.push_back({false, port, size, 0});
        return value;
    }
    void out(u16 port, unsigned size, u32 v) override { log.push_back({true, port, size, v}); }
    std::vector<Access> log;
    u32 value = 0x11223344;
};

TEST_F(PvMachine, PortsReadAndWriteByWidth) {
    Ports ports;
    regs.rdx = 0x608, regs.rax = ~u64{0};
    EXPECT_TRUE(done({0xed}));  // in eax, dx
    EXPECT_EQ(regs.rax, 0x11223344u) << "4 bytes clear the upper half";
    regs.rax = ~u64{0};
    EXPECT_TRUE(done({0x66, 0xed}));  // in ax, dx
    EXPECT_EQ(regs.rax, 0xffffffffffff3344u);
    EXPECT_TRUE(done({0xe4, 0x64}));  // in al, 0x64
    EXPECT_EQ(regs.rax, 0xffffffffffff3344u);
    EXPECT_TRUE(done({0xe6, 0x80}));  // out 0x80, al
    EXPECT_EQ(ports.log,
              (std::vector<Ports::Access>{
                  {false, 0x608, 4, 0}, {false, 0x608, 2, 0}, {false, 0x64, 1, 0}, {true, 0x80, 1, 0x44}}));
}

TEST_F(PvMachine, NothingIsBehindTheLastPort) {
    Ports ports;
    regs.rdx = 0xfffc;
    EXPECT_TRUE(done({0xed}));
    for (const u64 port : {0xfffdu, 0xfffeu, 0xffffu}) {
        regs.rdx = port;
        EXPECT_TRUE(refused({0xed})) << port;
        EXPECT_TRUE(refused({0xef})) << port;
    }
    EXPECT_EQ(ports.log.size(), 1u);
}

// The hypervisor executes what it accepts, and would fault.
TEST_F(PvMachine, XsetbvTakesNoHalfAvx512) {
    // A processor with x87, SSE, AVX and AVX-512.
    for (const samples::Leaf& l : samples::kMaxRaw)
        fakes::cpuid_leaves[{l.leaf, l.subleaf}] = {l.eax, l.ebx, l.ecx, l.edx};
    fakes::cpuid_leaves[{7, 0}].ebx |= 1u << 16;
    fakes::cpuid_leaves[{0xd, 0}] = {0xe7, 0xa80, 0xa80, 0};
    pv::init_cpu_policies({.xsave = true});
    for (u64 value = 0; value < 0x100; value++) {
        const bool avx512 = (value & 0xe0) != 0;
        const bool good = (value & 1) != 0 && (value & 0x18) == 0 && ((value & 4) == 0 || (value & 2) != 0) &&
                          (!avx512 || (value & 0xe4) == 0xe4);
        regs.rcx = 0, regs.rdx = 0, regs.rax = value;
        vcpu.pv.xcr0 = 1;
        EXPECT_EQ(done({0x0f, 0x01, 0xd1}), good) << value;
        EXPECT_EQ(vcpu.pv.xcr0, good ? value : 1);
    }
    fakes::cpuid_leaves.clear();
    pv::init_cpu_policies({});
}

TEST_F(PvMachine, PortsOfTheHypervisorAreAbsent) {
    Ports ports;
    regs.rdx = 0x20;
    EXPECT_TRUE(done({0xec}));
    EXPECT_EQ(regs.rax & 0xff, 0xffu);
    EXPECT_TRUE(done({0xee}));
    EXPECT_TRUE(ports.log.empty());
}

TEST_F(PvMachine, PortsNeedPrivilege) {
    Ports ports;
    vcpu.pv.iopl = 0;
    EXPECT_TRUE(refused({0xec}));
    vcpu.pv.iopl = 1, vcpu.pv.in_kernel = false;
    EXPECT_TRUE(refused({0xec})) << "user mode";
    const u8 bitmap[2] = {0xff, 0xfe};  // port 8 alone
    std::memcpy(&machine.guest.at(0x100), bitmap, 2);
    vcpu.pv.iobmp_address = at(0x100), vcpu.pv.iobmp_limit = 16;
    regs.rdx = 8;
    EXPECT_TRUE(done({0xec}));
    EXPECT_TRUE(refused({0xed})) << "port 9 is not its";
    regs.rdx = 16;
    EXPECT_TRUE(refused({0xec})) << "beyond the bitmap";
}

TEST_F(PvMachine, PciAddressIsTheDomainsOwn) {
    Ports ports;
    regs.rdx = 0xcf8, regs.rax = 0x80001000;
    EXPECT_TRUE(done({0xef}));
    EXPECT_TRUE(ports.log.empty()) << "kept until the data is accessed";
    regs.rdx = 0xcfc;
    EXPECT_TRUE(done({0xed}));
    EXPECT_EQ(ports.log, (std::vector<Ports::Access>{{true, 0xcf8, 4, 0x80001000}, {false, 0xcfc, 4, 0}}));
    regs.rdx = 0xcf8;
    EXPECT_TRUE(done({0xed}));
    EXPECT_EQ(regs.rax, 0x80001000u);
}

TEST_F(PvMachine, StringPortsMoveAndFault) {
    Ports ports;
    regs.rdx = 0x1f0, regs.rdi = at(0x200), regs.rcx = 3;
    EXPECT_TRUE(done({0xf3, 0x66, 0x6d}));  // rep insw
    EXPECT_EQ(regs.rcx, 0u);
    EXPECT_EQ(regs.rdi, at(0x206));
    EXPECT_EQ(get<u16>(0x204), 0x3344);
    const usize before = ports.log.size();
    regs.rdi = 0x5, regs.rcx = 1;
    const EmulateResult r = run({0xf3, 0x6c});
    EXPECT_EQ(r.vector, 14u);
    EXPECT_EQ(r.address, 0x5u);
    EXPECT_EQ(ports.log.size(), before) << "the device must not be read for nothing";
    machine.preempt = true;
    regs.rdi = at(0x200), regs.rcx = 5;
    EXPECT_EQ(run({0xf3, 0x6c}).action, Action::retry);
    EXPECT_EQ(regs.rcx, 4u);
    EXPECT_EQ(regs.rip, at(0x1000));
}

TEST_F(PvMachine, ControlRegisters) {
    vcpu.pv.cr4 = 0x660, vcpu.pv.cr0 = 0x80050033, vcpu.pv.kernel_table = Mfn(0x1234);
    regs.rbp = 0;
    EXPECT_TRUE(done({0x0f, 0x20, 0xe5}));  // mov rbp, cr4
    EXPECT_EQ(regs.rbp, 0x660u);
    EXPECT_TRUE(done({0x41, 0x0f, 0x20, 0xd9}));  // mov r9, cr3
    EXPECT_EQ(regs.r9, 0x1234000u);
    regs.rax = 0x80050033 | 8;
    EXPECT_TRUE(done({0x0f, 0x22, 0xc0}));  // mov cr0, rax
    EXPECT_TRUE(fakes::pv_hw.task_switched);
    EXPECT_TRUE(done({0x0f, 0x06}));  // clts
    EXPECT_FALSE(fakes::pv_hw.task_switched);
    regs.rax = 0x80050033 & ~u64{1u << 16};
    EXPECT_TRUE(refused({0x0f, 0x22, 0xc0})) << "write protection is ours";
    EXPECT_TRUE(refused({0x0f, 0x22, 0xd8})) << "mov cr3: a hypercall does it";
    vcpu.pv.in_kernel = false;
    EXPECT_TRUE(refused({0x0f, 0x20, 0xe5}));
}

// The bug: a kernel on a code segment of its own has another selector, and REX was taken for an opcode.
TEST_F(PvMachine, TheDescriptorSaysWhetherCodeIs64Bit) {
    const Mfn frame = *alloc_frames(0);
    u64* gdt = port::frame_ptr<u64>(frame);
    gdt[2] = 0x00affb000000ffff;  // 64-bit
    gdt[4] = 0x00cffb000000ffff;  // 32-bit
    vcpu.pv.gdt_frames[0] = frame, vcpu.pv.gdt_entries = 16;
    vcpu.pv.cr4 = 0x660, regs.r9 = 0;
    regs.cs = 0x13;
    EXPECT_TRUE(done({0x41, 0x0f, 0x20, 0xe1}));  // mov r9, cr4
    EXPECT_EQ(regs.r9, 0x660u);
    regs.cs = 0x23;
    EXPECT_TRUE(refused({0x41, 0x0f, 0x20, 0xe1})) << "0x41 is an opcode of its own there";
    regs.cs = 0x8b;
    EXPECT_TRUE(refused({0x41, 0x0f, 0x20, 0xe1})) << "beyond the table";
    vcpu.pv.gdt_entries = 0;
    vcpu.pv.gdt_frames[0] = {};
    free_frames(frame, 0);
}

TEST_F(PvMachine, MsrsByTable) {
    fakes::pv_hw.gs_base_kernel = 0x7000;
    regs.rcx = 0xc0000101;
    EXPECT_TRUE(done({0x0f, 0x32}));
    EXPECT_EQ(regs.rax, 0x7000u);
    regs.rcx = 0xc0000100, regs.rax = 0x1000, regs.rdx = 0xffff8880;
    EXPECT_TRUE(done({0x0f, 0x30}));
    EXPECT_EQ(fakes::pv_hw.fs_base, 0xffff888000001000u);
    regs.rdx = 0x00008880;
    EXPECT_TRUE(refused({0x0f, 0x30})) << "not canonical";
    regs.rcx = 0x12345678;
    EXPECT_TRUE(refused({0x0f, 0x32}));
    EXPECT_TRUE(refused({0x0f, 0x30}));
}

TEST_F(PvMachine, WhatIsNotKnownIsRefused) {
    EXPECT_TRUE(refused({0x90}));
    EXPECT_TRUE(refused({0xf0, 0x0f, 0x20, 0xe5})) << "LOCK";
    EXPECT_TRUE(refused({0x0f, 0x01, 0x10})) << "LGDT";
    EXPECT_TRUE(
        refused({0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66}));
    for (const u64 rip : {u64{0}, u64{0xffff830000000000}, u64{0x8000000000000000}, ~u64{0}}) {
        regs.rip = rip;
        EXPECT_EQ(pv::emulate_privileged(vcpu, regs).vector, 13u);
        EXPECT_EQ(pv::emulate_forced(vcpu, regs).action, Action::none);
    }
    // The last byte of guest memory is an opcode that wants another.
    EXPECT_EQ(run({0x0f}, machine.guest.size() - 1).vector, 13u);
}

TEST_F(PvMachine, SingleStepTrapsBehindTheInstruction) {
    regs.rflags |= kFlagTf;
    const EmulateResult r = run({0x0f, 0x06});
    EXPECT_EQ(r.vector, 1u);
    EXPECT_EQ(regs.rip, at(0x1002));
}

TEST_F(PvMachine, ForcedCpuid) {
    fakes::cpuid_leaves = {{{1, 0}, {0x60fb1, 0x800, 0xffffffff, 0xffffffff}}, {{0, 0}, {0xd, 1, 2, 3}}};
    pv::init_cpu_policies({});
    const u8 code[] = {0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2};
    std::memcpy(&machine.guest.at(0x1000), code, sizeof code);
    regs.rip = at(0x1000), regs.rax = 1, regs.rcx = 0;
    EXPECT_EQ(pv::emulate_forced(vcpu, regs).action, Action::done);
    EXPECT_EQ(regs.rip, at(0x1000) + sizeof code);
    EXPECT_EQ(regs.rdx & (1u << 1 | 1u << 3 | 1u << 13 | 1u << 17), 0u) << "VME, PSE, PGE, PSE36";
    EXPECT_EQ(regs.rcx & (1u << 3 | 1u << 5 | 1u << 17 | 1u << 21), 0u) << "MONITOR, VMX, PCID, x2APIC";
    EXPECT_NE(regs.rcx & 1u << 31, 0u) << "a hypervisor is there";
    EXPECT_EQ(pv::guest_cpuid(vcpu, 0x40000001, 0).eax, 4u << 16 | 17);
    EXPECT_EQ(pv::guest_cpuid(vcpu, 0x40000000, 0).ebx, 0x566e6558u);
    EXPECT_EQ(pv::guest_cpuid(vcpu, 0x12, 0), CpuidLeaf{}) << "beyond what is described";
    fakes::cpuid_leaves.clear();
    pv::init_cpu_policies({});
}

TEST_F(PvMachine, EmulatedCounterIsReadByItsInstructions) {
    fakes::cpuid_leaves = {{{0, 0}, {0xd, 0, 0, 0}},
                           {{0x80000000, 0}, {0x80000008, 0, 0, 0}},
                           {{0x80000001, 0}, {0, 0, 0, 1u << 27}}};
    pv::init_cpu_policies({});
    machine.now = 10 * kSecond;
    domain.tsc = *core::make_tsc(1, 2 * kSecond, 1'000'000, 0, 2'600'000, 9 * kSecond);
    vcpu.pv.in_kernel = false;
    EXPECT_TRUE(done({0x0f, 0x31}));
    EXPECT_EQ(regs.rdx << 32 | regs.rax, 3'000'000'000u) << "two seconds old then, one more since";
    vcpu.pv.tsc_aux = 9;
    EXPECT_TRUE(done({0x0f, 0x01, 0xf9}));
    EXPECT_EQ(regs.rcx, 9u);
    EXPECT_EQ(regs.rdx << 32 | regs.rax, 3'000'000'000u);
    vcpu.pv.cr4 |= 1u << 2;  // TSD
    EXPECT_TRUE(refused({0x0f, 0x31}));
    EXPECT_TRUE(refused({0x0f, 0x01, 0xf9}));
    vcpu.pv.in_kernel = true;
    EXPECT_TRUE(done({0x0f, 0x01, 0xf9}));
    fakes::cpuid_leaves.clear();
    pv::init_cpu_policies({});
    EXPECT_EQ(run({0x0f, 0x01, 0xf9}).vector, 6u) << "a processor without RDTSCP";
    domain.tsc = {};
}

TEST_F(PvMachine, SystemCallsOf32BitProcesses) {
    vcpu.pv.in_kernel = false, vcpu.pv.kernel_sp = at(0x4000);
    vcpu.pv.syscall32_callback = 0x5000, vcpu.pv.syscall32_masks_events = true;
    vcpu.info->evtchn_upcall_mask = 0;
    regs.rip = 0x1234, regs.rsp = 0x7000, regs.cs = FLAT_USER_CS32, regs.rcx = 0x1234, regs.r11 = 0x202;
    upcall::guest_syscall32(vcpu, regs);
    EXPECT_TRUE(vcpu.pv.in_kernel);
    EXPECT_EQ(regs.rip, 0x5000u);
    EXPECT_EQ(regs.cs, FLAT_RING3_CS64);
    EXPECT_EQ(vcpu.info->evtchn_upcall_mask, 1);
    EXPECT_EQ(get<u64>(0x4000 - 56, 7),
              (std::vector<u64>{0x1234, 0x202, 0x1234, FLAT_USER_CS32, kFlagFixed | kFlagIf | 1u << 12,
                                0x7000, FLAT_RING3_SS64}));

    vcpu.pv.in_kernel = false, vcpu.info->evtchn_upcall_mask = 0;
    vcpu.pv.sysenter_callback = 0x6000;
    regs.rip = 0, regs.rsp = 0, regs.cs = FLAT_USER_CS32, regs.rflags = kFlagFixed | kFlagNt | kFlagTf;
    upcall::guest_sysenter(vcpu, regs);
    EXPECT_EQ(regs.rip, 0x6000u);
    EXPECT_EQ(regs.rflags & (kFlagNt | kFlagTf | kFlagIf), kFlagIf) << "NT would make the way out fault";
    EXPECT_EQ(vcpu.info->evtchn_upcall_mask, 0);
}

// As on the reference: SYSCALL is an unknown instruction, SYSENTER a forbidden one.
TEST_F(PvMachine, SystemCallsThatNobodyRegistered) {
    gates[6] = {.rip = 0x6600, .cs = FLAT_RING3_CS64, .dpl = 0, .masks_events = false};
    gates[13] = {.rip = 0x6d00, .cs = FLAT_RING3_CS64, .dpl = 0, .masks_events = false};
    vcpu.pv.in_kernel = false, vcpu.pv.kernel_sp = at(0x4000);
    regs.rip = 0x1236;
    upcall::guest_syscall32(vcpu, regs);
    EXPECT_EQ(regs.rip, 0x6600u);
    EXPECT_EQ(get<u64>(0x4000 - 56 + 16), 0x1234u) << "at the instruction";
    vcpu.pv.in_kernel = false;
    upcall::guest_sysenter(vcpu, regs);
    EXPECT_EQ(regs.rip, 0x6d00u);
    EXPECT_EQ(get<u64>(0x4000 - 64 + 16), 0u) << "error code 0";
    vcpu.pv.sysenter_callback = 0x6000, vcpu.pv.in_kernel = true, regs.rsp = at(0x4000);
    upcall::guest_sysenter(vcpu, regs);
    EXPECT_EQ(regs.rip, 0x6d00u) << "not from the kernel";
}

// Kernels compare the selectors with those in the registers to tell which did not load.
TEST_F(PvMachine, TheFailsafeFrameHasTheSelectors) {
    vcpu.pv.failsafe_callback = 0x7000;
    vcpu.pv.ds = 0x2b, vcpu.pv.es = 0x33, vcpu.pv.fs = 0x3b, vcpu.pv.gs = 0x43;
    vcpu.info->evtchn_upcall_mask = 0;
    regs.rip = 0x1234, regs.rsp = at(0x8000), regs.rcx = 11, regs.r11 = 12, regs.cs = 0x13;
    upcall::guest_failsafe(vcpu, regs);
    ASSERT_EQ(regs.rsp, at(0x8000 - 88));
    EXPECT_EQ(get<u64>(0x8000 - 88, 11),
              (std::vector<u64>{11, 12, 0x2b, 0x33, 0x3b, 0x43, 0x1234, 0x10, kFlagFixed | kFlagIf | 1u << 12,
                                at(0x8000), FLAT_RING3_SS64}));
    EXPECT_EQ(regs.rip, 0x7000u);
    vcpu.pv.ds = vcpu.pv.es = vcpu.pv.fs = vcpu.pv.gs = 0;
}

TEST_F(PvMachine, BounceFromKernelMode) {
    gates[14] = {.rip = 0x5000, .cs = FLAT_RING3_CS64, .dpl = 0, .masks_events = true};
    vcpu.info->evtchn_upcall_mask = 0;
    regs.rip = 0x1234, regs.rsp = at(0x8008), regs.rcx = 11, regs.r11 = 12, regs.cs = 0x13;
    regs.rflags |= kFlagTf;
    pv::inject_page_fault(vcpu, regs, kPfUser | kPfWrite, 0xabc);
    ASSERT_EQ(regs.rsp, at(0x8000 - 64));
    EXPECT_EQ(get<u64>(0x8000 - 64, 8),
              (std::vector<u64>{11, 12, kPfWrite, 0x1234, 0x10, kFlagFixed | kFlagTf | kFlagIf | 1u << 12,
                                at(0x8008), FLAT_RING3_SS64}))
        << "user bit clear, CPL 0 in the saved CS, the guest's interrupt flag and privilege level";
    EXPECT_EQ(regs.rip, 0x5000u);
    EXPECT_EQ(regs.rflags & kFlagTf, 0u);
    EXPECT_EQ(vcpu.info->evtchn_upcall_mask, 1);
    EXPECT_EQ(vcpu.info->arch.cr2, 0xabcu);
}

TEST_F(PvMachine, BounceFromUserModeUsesTheKernelStack) {
    gates[13] = {.rip = 0x5000, .cs = FLAT_RING3_CS64, .dpl = 0, .masks_events = false};
    vcpu.pv.in_kernel = false, vcpu.pv.kernel_sp = at(0x4000);
    vcpu.info->evtchn_upcall_mask = 0;
    regs.rip = 0x1234, regs.rsp = 0x7000, regs.cs = 0x33, regs.error_code = 8, regs.vector = 13;
    upcall::guest_trap(vcpu, regs, 0);
    EXPECT_TRUE(vcpu.pv.in_kernel);
    ASSERT_EQ(regs.rsp, at(0x4000 - 64));
    EXPECT_EQ(get<u64>(0x4000 - 64 + 24), 0x1234u);
    EXPECT_EQ(get<u64>(0x4000 - 64 + 32), 0x33u) << "CPL 3: from user mode";
    EXPECT_EQ(get<u64>(0x4000 - 64 + 48), 0x7000u);
}

TEST_F(PvMachine, SoftwareInterruptsByTheGuestsOwnGates) {
    std::memcpy(&machine.guest.at(0x1000), "\xcd\x85", 2);
    gates[0x85] = {.rip = 0x6000, .cs = FLAT_RING3_CS64, .dpl = 3, .masks_events = false};
    vcpu.pv.in_kernel = false, vcpu.pv.kernel_sp = at(0x4000);
    regs.rip = at(0x1000), regs.vector = 13, regs.error_code = 0x85 * 16 + 2;  // as an emulator reports it
    upcall::guest_trap(vcpu, regs, 0);
    EXPECT_EQ(regs.rip, 0x6000u);
    ASSERT_EQ(regs.rsp, at(0x4000 - 56)) << "no error code";
    EXPECT_EQ(get<u64>(0x4000 - 56 + 16), at(0x1002)) << "behind the instruction";
}

TEST_F(PvMachine, AGuestThatCannotTakeAnExceptionIsCrashed) {
    regs.vector = 6;
    upcall::guest_trap(vcpu, regs, 0);
    EXPECT_EQ(fakes::pv_hw.crashes, 1u) << "no handler";
    gates[6] = {.rip = 0x5000, .cs = FLAT_RING3_CS64, .dpl = 0, .masks_events = false};
    for (const u64 bad : kBadAddresses) {
        fakes::pv_hw.crashes = 0;
        regs.rsp = bad, regs.vector = 6;
        upcall::guest_trap(vcpu, regs, 0);
        EXPECT_EQ(fakes::pv_hw.crashes, 1u) << std::hex << bad;
    }
    gates[6].rip = 0xffff830000000000;
    fakes::pv_hw.crashes = 0, regs.rsp = at(0x8000), regs.vector = 6;
    upcall::guest_trap(vcpu, regs, 0);
    EXPECT_EQ(fakes::pv_hw.crashes, 1u) << "a handler in the hypervisor";
}

}  // namespace
}  // namespace domus

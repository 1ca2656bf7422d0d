// SPDX-License-Identifier: GPL-2.0-or-later
// The MSR table: every row behaves as it says, and nothing else exists.
#include "pv/msr.hpp"

#include <gtest/gtest.h>

#include "fakes/cpuid.hpp"
#include "fakes/pv_hw.hpp"
#include "hypercall_fixture.hpp"
#include "mm/page_type.hpp"
#include "port/memory.hpp"
#include "pv/cpu_policy.hpp"
#include "unit/pv_cpuid_samples.hpp"

namespace domus {
namespace {

using pv::MsrRow;
using pv::read_msr;
using pv::write_msr;

class PvMsr : public hypercall::HypercallTest {
  protected:
    PvMsr() { install(samples::kMaxRaw); }
    ~PvMsr() override {
        fakes::cpuid_leaves.clear();
        pv::init_cpu_policies({});
    }
    static void install(std::span<const samples::Leaf> raw) {
        fakes::cpuid_leaves.clear();
        for (const samples::Leaf& l : raw)
            fakes::cpuid_leaves[{l.leaf, l.subleaf}] = {l.eax, l.ebx, l.ecx, l.edx};
        pv::init_cpu_policies({.xsave = true, .lfence_dispatches = true, .microcode = 0x1234});
    }
};

TEST_F(PvMsr, RowsRiseAndDoNotOverlap) {
    const MsrRow* last = nullptr;
    for (const MsrRow& r : pv::msr_rows()) {
        EXPECT_LE(r.first, r.last);
        if (last != nullptr) {
            EXPECT_LT(last->last, r.first) << std::hex << r.first;
        }
        last = &r;
        EXPECT_EQ(r.write != nullptr, r.on_write == MsrRow::Write::special) << std::hex << r.first;
    }
}

TEST_F(PvMsr, EveryRowBehavesAsItSays) {
    for (const bool intel : {false, true}) {
        install(intel ? std::span<const samples::Leaf>(samples::kIntelRaw) : samples::kMaxRaw);
        for (const MsrRow& r : pv::msr_rows()) {
            const bool there = r.on == MsrRow::For::all || (r.on == MsrRow::For::intel) == intel;
            for (const u32 msr : {r.first, r.last}) {
                SCOPED_TRACE(testing::Message() << std::hex << msr);
                const Result<u64> before = read_msr(vcpu, msr);
                if (!there) {
                    EXPECT_ERROR(before, inval);
                    EXPECT_ERROR(write_msr(vcpu, msr, 0), inval);
                    continue;
                }
                if (r.read == nullptr) {
                    EXPECT_EQ(before, r.value);
                }
                if (r.on_write == MsrRow::Write::special) continue;
                const bool takes_any = r.on_write == MsrRow::Write::ignore;
                EXPECT_EQ(write_msr(vcpu, msr, 0x55).has_value(), takes_any);
                EXPECT_EQ(write_msr(vcpu, msr, 0).has_value(),
                          takes_any || r.on_write == MsrRow::Write::zero);
                if (r.read == nullptr) {
                    EXPECT_EQ(read_msr(vcpu, msr), before) << "unchanged";
                }
            }
        }
    }
}

TEST_F(PvMsr, WhatHasNoRowDoesNotExist) {
    u32 refused = 0;
    for (u32 msr = 0; msr < 0x2000; msr++) {
        bool in_row = false;
        for (const MsrRow& r : pv::msr_rows()) in_row = in_row || (msr >= r.first && msr <= r.last);
        if (in_row) continue;
        EXPECT_ERROR(read_msr(vcpu, msr), inval) << std::hex << msr;
        EXPECT_ERROR(write_msr(vcpu, msr, 0), inval) << std::hex << msr;
        refused++;
    }
    EXPECT_GT(refused, 0x1f00u - 0x100);
}

TEST_F(PvMsr, OfTheMachine) {
    EXPECT_EQ(read_msr(vcpu, 0x1b), 0xfee00900u);
    EXPECT_EQ(read_msr(*domain.vcpu(VcpuId(1)), 0x1b), 0xfee00800u) << "not the bootstrap processor";
    EXPECT_EQ(read_msr(vcpu, 0x277), pv::kPvPat);
    EXPECT_EQ(read_msr(vcpu, 0xc0000080), 0xd01u);
    EXPECT_TRUE(write_msr(vcpu, 0xc0000080, 0xd01));
    EXPECT_ERROR(write_msr(vcpu, 0xc0000080, 0xd00), inval);
    EXPECT_EQ(read_msr(vcpu, 0x8b), 0x1234u);
    EXPECT_ERROR(write_msr(vcpu, 0x8b, 0), inval)
        << "AMD's updates by this register are not a guest's business";
    install(samples::kIntelRaw);
    EXPECT_TRUE(write_msr(vcpu, 0x8b, 0));
    EXPECT_EQ(read_msr(*make_domain(5).vcpu(VcpuId(0)), 0x8b), 0u);
}

TEST_F(PvMsr, MachineCheckBanksAreEmpty) {
    EXPECT_EQ(read_msr(vcpu, 0x179), 2u);
    EXPECT_EQ(read_msr(vcpu, 0x400), ~u64{0});
    EXPECT_EQ(read_msr(vcpu, 0x404), ~u64{0});
    EXPECT_EQ(read_msr(vcpu, 0x408), 0u);
    EXPECT_EQ(read_msr(vcpu, 0x401), 0u);
    EXPECT_TRUE(write_msr(vcpu, 0x400, 5));
    EXPECT_TRUE(write_msr(vcpu, 0x401, 0));
    EXPECT_ERROR(write_msr(vcpu, 0x401, 1), inval);
    EXPECT_TRUE(write_msr(vcpu, 0x409, 1));
}

TEST_F(PvMsr, TscAuxIsTheVcpusOwn) {
    EXPECT_TRUE(write_msr(vcpu, 0xc0000103, 7));
    EXPECT_EQ(read_msr(vcpu, 0xc0000103), 7u);
    EXPECT_EQ(fakes::pv_hw.tsc_aux, 7u);
    EXPECT_EQ(read_msr(*domain.vcpu(VcpuId(1)), 0xc0000103), 0u);
    EXPECT_ERROR(write_msr(vcpu, 0xc0000103, u64{1} << 32), inval);
    install(samples::kAmdRaw);  // without RDTSCP
    EXPECT_ERROR(read_msr(vcpu, 0xc0000103), inval);
    EXPECT_ERROR(write_msr(vcpu, 0xc0000103, 1), inval);
}

TEST_F(PvMsr, HypercallPageByRegister) {
    const Mfn page = *core::allocate_pages(domain, 0, {.scrub = true});
    EXPECT_TRUE(write_msr(vcpu, 0x40000000, page.v << kPageShift));
    EXPECT_EQ(port::frame_ptr<u8>(page)[0], 0x51) << "push rcx: the first stub's start";
    EXPECT_ERROR(write_msr(vcpu, 0x40000000, (page.v << kPageShift) | 1), inval) << "there is only page 0";
    Domain& other = make_domain(5);
    const Mfn foreign = *core::allocate_pages(other, 0, {.scrub = true});
    EXPECT_ERROR(write_msr(vcpu, 0x40000000, foreign.v << kPageShift), inval);
    EXPECT_ERROR(write_msr(vcpu, 0x40000000, u64{3} << kPageShift), inval) << "nobody's";
    EXPECT_ERROR(write_msr(vcpu, 0x40000000, ~u64{0} << kPageShift), inval);
    EXPECT_EQ(port::frame_ptr<u8>(foreign)[0], 0);
}

}  // namespace
}  // namespace domus

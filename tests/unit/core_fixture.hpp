// SPDX-License-Identifier: GPL-2.0-or-later
// A simulated machine with the core running, for the core's tests.
#pragma once

#include <gtest/gtest.h>

#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "core/init.hpp"
#include "core/quiesce.hpp"
#include "core/scheduler.hpp"
#include "core/vcpu_op.hpp"
#include "core/vcpu_time.hpp"
#include "fakes/context.hpp"
#include "fakes/interrupt.hpp"
#include "fakes/machine.hpp"
#include "mm/heap.hpp"
#include "mm/objects.hpp"
#include "port/context.hpp"
#include "port/memory.hpp"

namespace domus {

class CoreTest : public testing::Test {
  protected:
    static constexpr u32 kCpus = 2;
    static constexpr u64 kFrames = 16 * kMiB / kPageSize;
    fakes::Machine machine{kFrames * kPageSize, kCpus};

    void SetUp() override {
        objects_reset();
        heap_reset();
        fakes::context.reset();
        fakes::interrupts.reset();
        ram_add(Mfn(0), kFrames);
        heap_add(Mfn(256), kFrames - 256);
        ASSERT_TRUE(core::init());
    }
    void TearDown() override {
        // Each once: one that somebody still holds on to stays, and is a failure.
        u16 from = 0;
        while (Domain* const d = core::next_domain(DomId(from))) {
            from = static_cast<u16>(d->id.v + 1);
            for (u32 cpu = 0; cpu < kCpus; cpu++) idle(cpu);
            destroy(*d);
        }
        EXPECT_EQ(core::next_domain(DomId(0)), nullptr) << "a domain that does not go";
        objects_reset();
        heap_reset();
    }

    static Domain& make_domain(u16 id, u32 vcpus = 2, DomainConfig config = {}) {
        config.max_vcpus = vcpus;
        if (config.max_pages == 0) config.max_pages = 1024;
        auto d = core::create_domain(DomId(id), config);
        EXPECT_TRUE(d);
        for (u32 i = 0; i < vcpus; i++) EXPECT_TRUE(core::create_vcpu(**d, VcpuId(i)));
        return **d;
    }
    // A domain whose vCPUs want to run.
    static Domain& make_running(u16 id, u32 vcpus = 2, DomainConfig config = {}) {
        Domain& d = make_domain(id, vcpus, config);
        for (u32 i = 0; i < vcpus; i++) {
            if (i >= XEN_LEGACY_MAX_VCPUS) break;
            EXPECT_TRUE(core::vcpu_initialise(d, VcpuId(i), nullptr));
            EXPECT_TRUE(core::vcpu_up(d, VcpuId(i)));
        }
        core::unpause_domain(d);
        return d;
    }
    void destroy(Domain& d) {
        Result<> r = core::destroy_domain(d);
        for (int i = 0; i < 100000 && !r && r.error() == Error::restart; i++) r = core::destroy_domain(d);
        EXPECT_TRUE(r);
        quiesce();
    }
    // Every CPU passes its exit path, twice: taking out of the lists and freeing are two grace periods.
    void quiesce() {
        for (int round = 0; round < 3; round++)
            for (u32 cpu = 0; cpu < kCpus; cpu++) exit_path(cpu);
    }
    // What the architecture does on a CPU's way out.
    void exit_path(u32 cpu) {
        machine.set_cpu(CpuId(cpu));
        for (u32 work = port::take_work(); work != 0; work = port::take_work())
            upcall::run_work(work, machine.now);
        machine.set_cpu(CpuId(0));
    }
    // As exit_path, until no CPU has work, with the timer interrupts that are due.
    void run_all() {
        for (int round = 0; round < 50; round++) {
            bool any = false;
            for (u32 cpu = 0; cpu < kCpus; cpu++) {
                if (machine.deadline[cpu] <= machine.now) {
                    machine.deadline[cpu] = port::kNever;
                    machine.work[cpu] |= static_cast<u32>(port::Work::timer);
                }
                any = any || machine.work[cpu] != 0;
                exit_path(cpu);
            }
            if (!any) return;
        }
    }
    void advance(Nanos by) {
        machine.now += by;
        run_all();
    }
    void idle(u32 cpu) {
        machine.set_cpu(CpuId(cpu));
        if (Vcpu* v = port::current_vcpu()) {
            core::pause_vcpu(*v);
            exit_path(cpu);
        }
        machine.set_cpu(CpuId(0));
    }
    // Lets the calling thread be the CPU that runs `v`.
    void act_as(Vcpu& v) {
        ASSERT_TRUE(v.sched.running.load());
        machine.set_cpu(v.sched.cpu);
        ASSERT_EQ(port::current_vcpu(), &v);
    }

    static Vcpu& vcpu(Domain& d, u32 i) { return *d.vcpu(VcpuId(i)); }
    static bool pending(Domain& d, EvtPort p) {
        return (d.shared->evtchn_pending[p.v / 64] >> (p.v % 64)) & 1;
    }
    static void ack(Domain& d, EvtPort p) { d.shared->evtchn_pending[p.v / 64] &= ~(1ul << (p.v % 64)); }
    static void mask(Domain& d, EvtPort p) { d.shared->evtchn_mask[p.v / 64] |= 1ul << (p.v % 64); }
    static void take_upcall(Vcpu& v) {
        v.info->evtchn_upcall_pending = 0;
        v.info->evtchn_pending_sel = 0;
    }
};

// The error of a Result, or an error number that does not exist.
template <class T>
Error error_of(const Result<T>& r) {
    return r ? Error{0} : r.error();
}
#define EXPECT_ERROR(expr, e) EXPECT_EQ(error_of(expr), Error::e)

}  // namespace domus

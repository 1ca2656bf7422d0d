// SPDX-License-Identifier: GPL-2.0-or-later
#include "hostile/ground.hpp"

#include <atomic>

#include "lib/console.hpp"
#include "lib/hypercall.hpp"
#include "lib/start.hpp"

namespace hostile {

namespace {

constexpr u64 kPatience = 3'000'000'000;  // ns without a step before a vCPU counts as lost

Work work_of_all = nullptr;
u32 count_of_cpus = 1;
std::atomic<u64> by_exception{0}, by_silence{0};

struct Seen {
    std::atomic<u64> steps{0};
    std::atomic<bool> lost{false};
    u64 noted = 0, since = 0;  // by the keeper
};
Seen seen[kMaxCpus];

extern "C" [[noreturn]] void begin_anew() {
    Cpu& c = this_cpu();
    c.place = nullptr;
    hypercall(__HYPERVISOR_set_debugreg, 7, 0x400);
    init_traps();
    work_of_all(c.id);
    for (;;) hypercall(__HYPERVISOR_vcpu_op, VCPUOP_down, c.id);
}

void go_to_work(Frame& frame, const Cpu& c) {
    frame.rip = reinterpret_cast<u64>(&begin_anew);
    // As after a call.
    frame.rsp = reinterpret_cast<u64>(&c) + CPU_STACK_SIZE - 8;
    frame.cs = FLAT_KERNEL_CS & ~3u;
    frame.ss = FLAT_KERNEL_SS;
    frame.rflags = 0x202;
}

bool hook(Frame& frame) {
    Cpu& c = this_cpu();
    switch (frame.vector) {
        case kEventEntry: return false;
        case kDebug:
            hypercall(__HYPERVISOR_set_debugreg, 7, 0x400);
            frame.rflags &= ~u64{0x100};
            return true;
        case kNoDevice: return true;  // the hypervisor has cleared TS on the way
        case kNmiEntry:
            if (seen[c.id].lost.exchange(false)) go_to_work(frame, c);
            return true;
        default: break;
    }
    if (c.place != nullptr) return false;
    if (by_exception.fetch_add(1) < 20)
        say("hostile: vCPU {} lost: entry {}, error {:x}, address {:x}, rip {:x}, rsp {:x}", c.id,
            frame.vector, frame.error, guest::vcpu_info(c.id).arch.cr2, frame.rip, frame.rsp);
    go_to_work(frame, c);
    return true;
}

}  // namespace

void keep_ground(Work work, u32 cpus) {
    work_of_all = work;
    count_of_cpus = cpus;
    entry_hook = hook;
}

void call_back(u32 id) {
    seen[id].lost.store(true);
    hypercall(__HYPERVISOR_vcpu_op, VCPUOP_up, id);
    hypercall(__HYPERVISOR_vcpu_op, VCPUOP_send_nmi, id);
}

void note_steps(u32 id, u64 steps) {
    seen[id].steps.store(steps, std::memory_order_relaxed);
    seen[id].lost.store(false);
}

u32 keeper() { return count_of_cpus; }

void look_after_others(u32) {
    for (;;) {
        sched_poll_t pause{};
        pause.timeout = now() + kPatience / 30;
        hypercall(__HYPERVISOR_sched_op, SCHEDOP_poll, address(pause));
        const u64 time = now();
        for (u32 id = 0; id < count_of_cpus; id++) {
            hypercall(__HYPERVISOR_vcpu_op, VCPUOP_up, id);
            Seen& other = seen[id];
            const u64 at = other.steps.load(std::memory_order_relaxed);
            if (at != other.noted || other.since == 0) {
                other.noted = at;
                other.since = time;
            } else if (time > other.since && time - other.since > kPatience) {
                other.since = time;
                by_silence.fetch_add(1);
                call_back(id);
            }
        }
    }
}

u64 losses_by_exception() { return by_exception.load(); }
u64 losses_by_silence() { return by_silence.load(); }

}  // namespace hostile

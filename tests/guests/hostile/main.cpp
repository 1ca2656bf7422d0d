// SPDX-License-Identifier: GPL-2.0-or-later
// A guest that tries to break the hypervisor: for a while every vCPU makes hypercalls with arguments that are
// partly sensible, executes what it should not, and writes page tables by every way there is. What it asks of
// the hypervisor is to survive, to leave its memory alone, and to power off in the end.
//
// Command line: seed=NUMBER seconds=NUMBER steps=NUMBER (of each vCPU; 0: by time alone) cpus=NUMBER
#include <atomic>

#include "base/assert.hpp"
#include "hostile/arena.hpp"
#include "hostile/calls.hpp"
#include "hostile/instructions.hpp"
#include "lib/console.hpp"
#include "lib/start.hpp"

namespace hostile {

namespace {

std::atomic<bool> over{false};
std::atomic<u32> working{0};
u64 seed, steps, deadline;
u32 cpus_started;
u64 steps_done[kMaxCpus];

// Benign entries: what our own actions bring about at any time.
bool hook(Frame& frame) {
    switch (frame.vector) {
        case kDebug:
            hypercall(__HYPERVISOR_set_debugreg, 7, 0x400);
            frame.rflags &= ~u64{0x100};
            return true;
        case kNoDevice:  // the hypervisor has cleared TS on the way
        case kNmiEntry: return true;
        default: return false;
    }
}

void one_step(Random& r) {
    if (r.one_in(4)) fill_scratch(r);
    switch (r.below(16)) {
        case 0: privileged_instruction(r); break;
        case 1: random_code(r); break;
        case 2: odd_return(r); break;
        case 3:
        case 4: touch_arena(r); break;
        case 5: load_selectors(r); break;
        default: make_random_call(r); break;
    }
}

void work(u32 id) {
    Random r(seed * kMaxCpus + id);
    working.fetch_add(1);
    for (u64 step = 0; !over.load(std::memory_order_relaxed); step++) {
        one_step(r);
        steps_done[id] = step;
        if (steps != 0 && step == steps) break;
        if (id != 0) continue;
        if (step % 256 == 0) {
            // Those that went to sleep for good.
            for (u32 other = 1; other < kMaxCpus; other++)
                if (other < cpus_started) hypercall(__HYPERVISOR_vcpu_op, VCPUOP_up, other);
            if (dead_canaries() != 0) panic("a canary is dead");
            if (now() > deadline) over.store(true);
        }
    }
    over.store(id == 0 ? true : over.load());
    hypercall(__HYPERVISOR_set_debugreg, 7, 0x400);
    working.fetch_sub(1);
}

}  // namespace

}  // namespace hostile

void guest::run(const start_info_t&) {
    using namespace hostile;
    seed = option("seed", 1);
    steps = option("steps", 0);
    deadline = now() + option("seconds", 10) * 1'000'000'000;
    const u64 most = option("cpus", kMaxCpus);
    const u32 cpus = vcpu_count() < most ? vcpu_count() : static_cast<u32>(most);
    cpus_started = cpus;
    say("hostile: seed {}, {} vCPUs, {} pages", seed, cpus, page_count());
    make_arena();
    make_code_pages();
    plant_canaries();
    entry_hook = hook;
    for (u32 id = 1; id < cpus; id++)
        if (const s64 r = start_vcpu(id, work); r != 0) panic("vCPU {} does not start: {}", id, r);
    work(0);

    // The others end with their step; one that sleeps or is down has to be woken for that.
    const u64 patience = now() + 30'000'000'000;
    while (working.load() != 0 && now() < patience) {
        for (u32 id = 1; id < cpus; id++) {
            hypercall(__HYPERVISOR_vcpu_op, VCPUOP_up, id);
            hypercall(__HYPERVISOR_vcpu_op, VCPUOP_send_nmi, id);
        }
        hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    }
    if (working.load() != 0) panic("{} vCPUs do not come to an end", working.load());

    u64 total = 0, entries = 0;
    for (u32 n = 0; n < kNumbers; n++) {
        u64 made = 0, good = 0;
        for (u32 id = 0; id < cpus; id++) made += counts[id].made[n], good += counts[id].succeeded[n];
        if (made != 0) say("hostile: hypercall {}: {} made, {} succeeded", n, made, good);
        total += made;
    }
    for (u32 id = 0; id < cpus; id++)
        for (const u64 n : cpu(id).entries) entries += n;
    u64 all_steps = 0;
    for (u32 id = 0; id < cpus; id++) all_steps += steps_done[id];
    if (dead_canaries() != 0) panic("a canary is dead");
    say("hostile: {} steps, {} hypercalls, {} entries", all_steps, total, entries);
    say("hostile: complete, all canaries alive");
}

// SPDX-License-Identifier: GPL-2.0-or-later
// A guest that tries to break the hypervisor: for a while every vCPU makes hypercalls with arguments that are
// partly sensible, executes what it should not, and writes page tables by every way there is. What it asks of
// the hypervisor is to survive, to leave its memory alone, and to power off in the end.
//
// Command line: seed=NUMBER seconds=NUMBER least=NUMBER (steps of the
// first vCPU, however slow the machine is) steps=NUMBER (of each vCPU; 0: by time alone) cpus=NUMBER
#include <atomic>

#include "base/assert.hpp"
#include "hostile/arena.hpp"
#include "hostile/calls.hpp"
#include "hostile/events.hpp"
#include "hostile/grants.hpp"
#include "hostile/ground.hpp"
#include "hostile/instructions.hpp"
#include "hostile/report.hpp"
#include "lib/console.hpp"
#include "lib/start.hpp"

namespace hostile {

namespace {

std::atomic<bool> over{false};
std::atomic<bool> at_work[kMaxCpus];
u64 seed, steps, least, deadline;
u32 cpus_started;
u64 steps_done[kMaxCpus], rounds[kMaxCpus];

void one_step(Random& r) {
    if (r.one_in(4)) fill_scratch(r);
    switch (r.below(16)) {
        case 0: privileged_instruction(r); break;
        case 1: random_code(r); break;
        case 2: odd_return(r); break;
        case 3:
        case 4: touch_arena(r); break;
        case 5: load_selectors(r); break;
        case 6: write_grants(r); break;
        default: make_random_call(r); break;
    }
}

void finish() {
    // The others end with their step; one that sleeps or is lost has to be called back for that.
    const u64 patience = now() + 60'000'000'000;
    const auto working = [] {
        u32 n = 0;
        for (const auto& w : at_work) n += w.load();
        return n;
    };
    for (u64 next = now() + 2'000'000'000; working() != 0 && now() < patience;) {
        if (now() > next) {
            for (u32 id = 1; id < cpus_started; id++)
                if (at_work[id].load()) call_back(id);
            next = now() + 2'000'000'000;
        }
        hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    }
    if (working() != 0) panic("{} vCPUs do not come to an end", working());

    u64 entries = 0, all_steps = 0;
    for (u32 id = 0; id < cpus_started; id++) {
        for (const u64 n : cpu(id).entries) entries += n;
        all_steps += steps_done[id];
    }
    const u64 total = report_calls(cpus_started);
    if (dead_canaries() != 0) panic("a canary is dead");
    say("hostile: vCPUs began anew {} times by an exception, {} times by silence", losses_by_exception(),
        losses_by_silence());
    say("hostile: {} steps, {} hypercalls, {} entries", all_steps, total, entries);
    say("hostile: complete, all canaries alive");
    power_off();
}

void work(u32 id) {
    Random r(seed * kMaxCpus + id + 1000003 * rounds[id]++);
    at_work[id].store(true);
    for (u64 step = 0; !over.load(std::memory_order_relaxed); step++) {
        one_step(r);
        if (++steps_done[id] == steps) break;
        if (step % 64 != 0) continue;
        note_steps(id, steps_done[id]);
        if (id == 0 && step % 256 == 0) {
            if (dead_canaries() != 0) panic("a canary is dead");
            if (now() > deadline && steps_done[0] >= least) over.store(true);
        }
        if (step % 1024 == 0) init_traps();
    }
    if (id == 0) over.store(true);
    hypercall(__HYPERVISOR_set_debugreg, 7, 0x400);
    at_work[id].store(false);
    if (id == 0) finish();
}

}  // namespace

}  // namespace hostile

void guest::run(const start_info_t& info) {
    using namespace hostile;
    seed = option("seed", 1);
    steps = option("steps", 0);
    least = option("least", 0);
    deadline = now() + option("seconds", 10) * 1'000'000'000;
    // One is the keeper.
    const u64 most = option("cpus", kMaxCpus - 1);
    if (vcpu_count() < 2) panic("it takes two vCPUs");
    const u32 cpus = vcpu_count() - 1 < most ? vcpu_count() - 1 : static_cast<u32>(most);
    cpus_started = cpus;
    say("hostile: seed {}, {} vCPUs, {} pages", seed, cpus, page_count());
    make_arena();
    make_code_pages();
    make_grants();
    spare_events(info);
    plant_canaries();
    keep_ground(work, cpus);
    for (u32 id = 1; id < cpus; id++)
        if (const s64 r = start_vcpu(id, work); r != 0) panic("vCPU {} does not start: {}", id, r);
    if (const s64 r = start_vcpu(cpus, look_after_others); r != 0) panic("the keeper does not start: {}", r);
    work(0);
}

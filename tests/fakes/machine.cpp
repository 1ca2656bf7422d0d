// SPDX-License-Identifier: GPL-2.0-or-later
// port/ over the simulated machine.
#include "fakes/machine.hpp"

#include <sched.h>
#include <sys/mman.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/assert.hpp"
#include "core/vcpu.hpp"
#include "mm/frame.hpp"
#include "port/address_space.hpp"
#include "port/cpu.hpp"
#include "port/guest_memory.hpp"
#include "port/memory.hpp"
#include "port/tlb.hpp"

namespace domus {

void panic_text(const char* what) {
    std::fprintf(stderr, "panic: %s\n", what);
    std::abort();
}

namespace fakes {

Machine* machine = nullptr;

namespace {
template <class T>
T* reserve(u64 bytes) {
    void* p =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) std::abort();
#ifdef __SANITIZE_ADDRESS__
    // Whoever had these addresses before may have left them poisoned (zstd does, for its work space).
    __asan_unpoison_memory_region(p, bytes);
#endif
    return static_cast<T*>(p);
}
}  // namespace

Machine::Machine(u64 bytes, u32 cpu_number)
    : deadline(cpu_number, port::kNever),
      work(cpu_number),
      kicks(cpu_number),
      ram_bytes(bytes),
      cpus(cpu_number) {
    if (machine != nullptr) std::abort();
    machine = this;
    port::fake_ram = reserve<u8>(bytes);
    port::fake_ram_bytes = bytes;
    // Metadata comes in whole GiB, as populate_metadata() makes it.
    port::fake_frame_table = reserve<Frame>(round_up(bytes, kGiB) / kPageSize * sizeof(Frame));
    port::fake_m2p = reserve<u64>(round_up(bytes, kGiB) / kPageSize * sizeof(u64));
    port::fake_m2p32 = reserve<u32>(round_up(bytes, kGiB) / kPageSize * sizeof(u32));
    port::fake_cpu = CpuId(0);
}

Machine::~Machine() {
    munmap(port::fake_ram, ram_bytes);
    munmap(port::fake_frame_table, round_up(ram_bytes, kGiB) / kPageSize * sizeof(Frame));
    munmap(port::fake_m2p, round_up(ram_bytes, kGiB) / kPageSize * sizeof(u64));
    munmap(port::fake_m2p32, round_up(ram_bytes, kGiB) / kPageSize * sizeof(u32));
    machine = nullptr;
}

void Machine::set_cpu(CpuId cpu) { port::fake_cpu = cpu; }

}  // namespace fakes

namespace port {

using fakes::machine;

thread_local CpuId fake_cpu{0};
u8* fake_ram;
u64 fake_ram_bytes;
Frame* fake_frame_table;
u64* fake_m2p;
u32* fake_m2p32;

u32 cpu_count() { return machine->cpus; }
void relax() { sched_yield(); }  // CPUs may be threads
void raise_work(CpuId cpu, Work w) { machine->work[cpu.v] |= static_cast<u32>(w); }
void raise_work(Work w) { raise_work(fake_cpu, w); }
u32 take_work() { return machine->work[fake_cpu.v].exchange(0); }
bool preempt_wanted() {
    if (machine->preempt_after != ~u64{0}) return machine->preempt_after-- == 0;
    return machine->preempt;
}
void flush_cache_lines(const void*, usize size) { machine->cache_lines_flushed += size; }
void flush_caches() { machine->cache_flushes++; }
void flush_caches_everywhere() { machine->cache_flushes += machine->cpus; }
void load_address_space(Vcpu& v) { machine->root = v.pv.kernel_table, machine->root_loads++; }
void kick(CpuId cpu) { machine->kicks[cpu.v]++; }

Result<> populate_metadata(Mfn, u64) { return {}; }
Mfn m2p_block(u64 gib) { return gib < machine->m2p_blocks.size() ? machine->m2p_blocks[gib] : kNoMfn; }
Mfn m2p32_block(u64 part) { return m2p_block(part); }
Result<void*> map_device(Maddr, u64) { return fail(Error::nodev); }

u32 tlb_clock() {
    if (machine->on_tlb_clock) machine->on_tlb_clock();
    return machine->tlb_clock;
}
void flush_domain(DomId) { machine->domain_flushes++, machine->tlb_clock++; }
void flush_since(u32 stamp) {
    if (static_cast<s32>(machine->tlb_clock - stamp) <= 0) machine->domain_flushes++, machine->tlb_clock++;
}
void flush_domain_page(DomId, Vaddr) { machine->page_flushes++; }
void flush_local() { machine->domain_flushes++; }
void flush_local_page(Vaddr) { machine->page_flushes++; }
void flush_everything() { machine->full_flushes++, machine->tlb_clock++; }

Nanos now() { return machine->now; }
ClockScale clock_scale() { return machine->clock_scale; }
u64 tsc_khz() { return 1'000'000; }
bool tsc_stable() { return machine->tsc_stable; }
WallClock wall_clock() { return machine->wall_clock; }
void set_deadline(Nanos when) { machine->deadline[fake_cpu.v] = when; }

namespace {
u8* guest_bytes(Vaddr va, usize size) {
    using M = fakes::Machine;
    if (va.v < M::guest_base || va.v - M::guest_base >= machine->guest.size()) return nullptr;
    const u64 offset = va.v - M::guest_base;
    return size <= machine->guest.size() - offset ? machine->guest.data() + offset : nullptr;
}
}  // namespace

usize copy_from_guest(void* to, Vaddr from, usize size) {
    const u8* p = guest_bytes(from, size);
    if (p == nullptr) return size;
    std::memcpy(to, p, size);
    return 0;
}
usize copy_to_guest(Vaddr to, const void* from, usize size) {
    u8* p = guest_bytes(to, size);
    if (p == nullptr) return size;
    std::memcpy(p, from, size);
    return 0;
}
usize clear_guest(Vaddr to, usize size) {
    u8* p = guest_bytes(to, size);
    if (p == nullptr) return size;
    std::memset(p, 0, size);
    return 0;
}

}  // namespace port
}  // namespace domus

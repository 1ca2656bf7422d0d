// SPDX-License-Identifier: GPL-2.0-or-later
// Starting CPUs: INIT and start-up requests (Intel SDM vol. 3, 9.4.4), the trampoline, and the first steps of
// each CPU.
#include "arch/smp.hpp"

#include "arch/boot_array.hpp"
#include "arch/cpu.hpp"
#include "arch/cpu_area.hpp"
#include "arch/insn.hpp"
#include "arch/interrupts.hpp"
#include "arch/paging.hpp"
#include "arch/time.hpp"
#include "arch/trampoline.hpp"
#include "arch_devices/topology.hpp"
#include "arch_devices/tsc_sync.hpp"
#include "base/log.hpp"
#include "mm/frame.hpp"
#include "mm/page_type.hpp"
#include "port/context.hpp"
#include "port/cpu.hpp"
#include "port/time.hpp"
#include "port/topology.hpp"

extern "C" const char trampoline_start[], trampoline_end[];

namespace domus::x86 {

namespace {

constinit std::span<CpuCandidate> candidates;
constinit std::span<CpuState> states;
constinit CpuCandidate only_boot_cpu;
constinit ApicIdFields apic_id_fields;

// Long enough for a CPU of a host that is busy with other things.
constexpr Nanos kPatience = 10 * kSecond;
constexpr u64 kSyncMilliseconds = 20;

enum class Progress : u32 { none, in_cpp, synchronised, ready };
struct Start {
    std::atomic<Progress> progress{Progress::none};
    TscSync sync;
    void (*main)(CpuId) = nullptr;
};
constinit Start* start = nullptr;

bool wait_for(Progress wanted) {
    const Nanos since = port::now();
    while (start->progress.load(std::memory_order_acquire) != wanted) {
        if (port::now() - since > kPatience) return false;
        port::relax();
    }
    return true;
}

u64 patience_in_ticks() { return port::tsc_khz() * (kPatience / kMillisecond); }

// The first C++ of a CPU, on its own stack but with the trampoline's tables.
extern "C" [[noreturn]] void start_this_cpu(u32 number) {
    const CpuId cpu(number);
    load_cpu_tables(cpu);
    write_cr3(idle_root().v);
    enable_local_apic();
    start->progress.store(Progress::in_cpp, std::memory_order_release);
    start->sync.answer_all(patience_in_ticks());
    while (start->progress.load(std::memory_order_acquire) != Progress::synchronised) pause();
    init_cpu_timer();
    void (*const main)(CpuId) = start->main;
    start->progress.store(Progress::ready, std::memory_order_release);
    main(cpu);
    halt_forever();
}

// The four pages below 1 MiB that a CPU starts from: code, and tables that map them where they are beside the
// hypervisor's slots.
struct LowMemory {
    Maddr code;
    TrampolineData* data = nullptr;
};

// Boot keeps the first MiB out of the heap, as firmware and boot loaders leave things there that are no
// longer needed once dom0 is being built. The BIOS data area is left alone.
Result<Mfn> find_low_frames(u32 count) {
    for (u64 first = 8; first + count <= 0x9c; first++) {
        u32 good = 0;
        while (good < count && frame_valid(Mfn(first + good))) good++;
        if (good == count) return Mfn(first);
    }
    return fail(Error::nomem);
}

Result<LowMemory> make_trampoline() {
    const Mfn first = TRY(find_low_frames(4));
    LowMemory low;
    low.code = maddr(first);
    auto* const bytes = port::frame_ptr<u8>(first);
    const usize size = static_cast<usize>(trampoline_end - trampoline_start);
    ASSERT(size <= kPageSize);
    __builtin_memset(bytes, 0, 4 * kPageSize);
    __builtin_memcpy(bytes, trampoline_start, size);

    const u32 base = static_cast<u32>(low.code.v);
    const auto page = [&](u32 n) { return base + n * static_cast<u32>(kPageSize); };
    const auto table = [&](u32 n) { return reinterpret_cast<u64*>(bytes + n * kPageSize); };
    constexpr u64 kTable = Pte::kPresent | Pte::kWritable;
    constexpr u64 kLarge = 1u << 7;
    table(1)[0] = page(2) | kTable;
    table(2)[0] = page(3) | kTable;
    table(3)[0] = 0 | kTable | kLarge;  // the first 2 MiB
    for (unsigned i = 0; i < 16; i++) __builtin_memcpy(&table(1)[256 + i], &hypervisor_slots[i], sizeof(u64));

    low.data = reinterpret_cast<TrampolineData*>(bytes + kTrampolineData);
    low.data->gdt_limit = sizeof low.data->gdt - 1;
    low.data->gdt_base = base + kTrampolineData + static_cast<u32>(offsetof(TrampolineData, gdt));
    low.data->protected_entry += base;
    low.data->long_entry += base;
    low.data->cr3 = page(1);
    low.data->entry = reinterpret_cast<u64>(&start_this_cpu);
    return low;
}

bool start_one(const LowMemory& low, u32 index, CpuId cpu) {
    const CpuCandidate& c = candidate(index);
    if (auto made = create_cpu_area(cpu); !made) {
        log(Level::error, "CPU {} (APIC ID {}): {}", cpu, c.apic_id, made.error());
        return false;
    }
    states[cpu.v].apic_id = c.apic_id;
    states[cpu.v].acpi_id = c.acpi_id;
    start->progress = Progress::none;
    start->sync.question = 0;
    start->sync.answer = 0;
    start->sync.over = false;
    low.data->stack = stack_top(cpu) - sizeof(CpuInfo);
    low.data->cpu = cpu.v;

    const LocalApic& apic = local_apic();
    apic.send_init(c.apic_id);
    delay_us(1000);
    // The second request is for old CPUs that miss the first; a running CPU ignores it.
    for (int attempt = 0; attempt < 2 && start->progress.load(std::memory_order_acquire) == Progress::none;
         attempt++) {
        apic.send_startup(c.apic_id, static_cast<u8>(low.code.v >> kPageShift));
        delay_us(300);
    }
    if (!wait_for(Progress::in_cpp)) {
        log(Level::error, "CPU {} (APIC ID {}) does not start: left out", cpu, c.apic_id);
        apic.send_init(c.apic_id);  // should it wake up late, it must find no trampoline
        return false;
    }
    const TscSync::Offset offset =
        start->sync.ask_all(port::tsc_khz() * kSyncMilliseconds, patience_in_ticks());
    const s64 ticks = correction(offset);
    if (!offset.measured) log(Level::warning, "CPU {}: its TSC could not be compared", cpu);
    if (ticks != 0)
        log(Level::info, "CPU {}: TSC off by {} ticks (to {}): corrected", cpu, ticks, offset.error);
    set_cpu_clock(cpu, ticks);
    set_cpus(cpu.v + 1, states.data());
    start->progress.store(Progress::synchronised, std::memory_order_release);
    return wait_for(Progress::ready);
}

}  // namespace

u32 candidate_count() { return candidates.empty() ? 1 : static_cast<u32>(candidates.size()); }
const CpuCandidate& candidate(u32 index) { return candidates.empty() ? only_boot_cpu : candidates[index]; }

Result<> find_cpus(const AcpiInfo& acpi, const SmpOptions& options) {
    const u32 boot_apic_id = cpuid(0).eax >= 0xb && cpuid(0xb).ebx != 0 ? cpuid(0xb).edx : cpuid(1).ebx >> 24;
    const u32 most = options.smp ? (options.max_cpus == 0 ? 1 : options.max_cpus) : 1;
    u32 found = 0, enabled = 0;
    for_each_madt_entry(acpi.madt,
                        [&](const MadtEntry& e) { enabled += e.kind == MadtEntry::Kind::cpu && e.enabled; });
    const std::span<CpuCandidate> all = TRY(boot_array<CpuCandidate>(enabled + 1));
    all[found++] = {boot_apic_id, 0};
    for_each_madt_entry(acpi.madt, [&](const MadtEntry& e) {
        if (e.kind != MadtEntry::Kind::cpu || !e.enabled) return;
        for (u32 i = 0; i < found; i++)
            if (all[i].apic_id == e.apic_id) {  // a CPU may be listed both as APIC and as x2APIC
                all[i].acpi_id = e.acpi_id;
                return;
            }
        all[found++] = {e.apic_id, e.acpi_id};
    });
    const u32 used = found < most ? found : most;
    if (used < found) log(Level::info, "CPUs: using {} of {}", used, found);
    candidates = all.first(used);
    apic_id_fields = read_apic_id_fields();
    states = TRY(boot_array<CpuState>(used));
    states[0].apic_id = all[0].apic_id;
    states[0].acpi_id = all[0].acpi_id;
    set_cpus(1, states.data());
    return {};
}

u32 start_cpus(void (*main)(CpuId)) {
    if (candidate_count() == 1) return 1;
    auto low = make_trampoline();
    auto start_memory = boot_array<Start>(1);
    if (!low || !start_memory) {
        log(Level::error, "CPUs: no memory below 1 MiB to start others from; going on with one");
        return 1;
    }
    start = start_memory->data();
    start->main = main;
    u32 running = 1;
    for (u32 i = 1; i < candidate_count(); i++)
        if (start_one(*low, i, CpuId(running))) running++;
    log(Level::info, "CPUs: {} running", running);
    return running;
}

void stop_other_cpus() {
    if (!local_apic().ready()) return;
    const CpuId self = port::this_cpu();
    const auto running = [self](CpuId cpu) {
        return cpu != self && cpu_state(cpu).halted.load(std::memory_order_acquire) == 0;
    };
    for (CpuId cpu{0}; cpu.v < port::cpu_count(); ++cpu)
        if (running(cpu)) local_apic().send_nmi(cpu_state(cpu).apic_id);
    constexpr u32 kTries = 100;
    for (CpuId cpu{0}; cpu.v < port::cpu_count(); ++cpu)
        for (u32 i = 0; i < kTries && running(cpu); i++) delay_us(1000);
}

}  // namespace domus::x86

namespace domus::port {

u32 apic_id(CpuId cpu) { return x86::cpu_state(cpu).apic_id; }
u32 acpi_id(CpuId cpu) { return x86::cpu_state(cpu).acpi_id; }
CpuTopology cpu_topology(CpuId cpu) { return x86::decode_apic_id(apic_id(cpu), x86::apic_id_fields); }

}  // namespace domus::port

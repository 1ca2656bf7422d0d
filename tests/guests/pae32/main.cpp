// SPDX-License-Identifier: GPL-2.0-or-later
// A 32-bit (PAE) PV kernel of our own: tries what the ABI gives one, and says on its console how each attempt
// ended. "PAE32 complete" comes only if all went well. It is a domain that the toolstack makes: libxc builds
// its tables and its start page.
//
// Not by way of abi/: what a 64-bit machine has of the C++ library's headers does not go with a 32-bit
// compiler.
#include <stddef.h>
#include <stdint.h>

#define __XEN_INTERFACE_VERSION__ 0x00040e00
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include <xen/xen.h>
// clang-format off: xen.h must come first
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/io/console.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>
// clang-format on
#pragma GCC diagnostic pop

using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
using s32 = int32_t;

extern "C" {
extern const char hypercall_page[], entry_stubs[], event_entry[], failsafe_entry[], attempt_failed[],
    vcpu_start[];
extern char kernel_stack[], user_stack[];
extern u32 attempt_stack;
int attempt(void (*f)());
void* memset(void* to, int value, size_t n) {
    for (size_t i = 0; i < n; i++) static_cast<volatile char*>(to)[i] = static_cast<char>(value);
    return to;
}
void* memcpy(void* to, const void* from, size_t n) {
    for (size_t i = 0; i < n; i++) static_cast<volatile char*>(to)[i] = static_cast<const char*>(from)[i];
    return to;
}
}

namespace {

constexpr u32 kBase = 0xc0000000, kPage = 4096;
constexpr u32 kUserCs = FLAT_USER_CS, kUserDs = FLAT_USER_DS;

s32 hypercall(u32 number, u32 a1 = 0, u32 a2 = 0, u32 a3 = 0, u32 a4 = 0, u32 a5 = 0) {
    s32 result;
    asm volatile("call *%%eax"
                 : "=a"(result), "+b"(a1), "+c"(a2), "+d"(a3), "+S"(a4), "+D"(a5)
                 : "0"(hypercall_page + number * 32)
                 : "memory");
    return result;
}
template <class T>
u32 address(T& object) {
    return reinterpret_cast<u32>(&object);
}

const start_info_t* start;
shared_info_t* shared;
xencons_interface* console;
alignas(4096) char shared_place[kPage], scratch[kPage], user_page[kPage], gdt_page[kPage];
alignas(4096) u8 user_code[kPage];

u32 mfn_of(const void* va) {
    return reinterpret_cast<u32*>(start->mfn_list)[(reinterpret_cast<u32>(va) - kBase) / kPage];
}
u64 pte_of(const void* va, u64 flags) { return u64{mfn_of(va)} << 12 | flags; }
constexpr u64 kP = 1, kRw = 2, kUs = 4, kReadWrite = kP | kRw | 0x60, kReadOnly = kP | 0x20;

void put(char c) {
    while (console->out_prod - __atomic_load_n(&console->out_cons, __ATOMIC_ACQUIRE) >= sizeof console->out)
        hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield);
    console->out[console->out_prod % sizeof console->out] = c;
    __atomic_store_n(&console->out_prod, console->out_prod + 1, __ATOMIC_RELEASE);
}
void flush() {
    evtchn_send_t send{start->console.domU.evtchn};
    hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_send, address(send));
}
void print(const char* text) {
    for (; *text != 0; text++) put(*text);
}
void print_hex(u64 value) {
    print("0x");
    for (int shift = 60; shift >= 0; shift -= 4) put("0123456789abcdef"[value >> shift & 15]);
}
unsigned failed = 0;
void check(const char* name, bool good, u64 detail = 0) {
    print(good ? "PAE32 ok " : "PAE32 FAIL ");
    print(name);
    if (!good) {
        failed++;
        put(' ');
        print_hex(detail);
    }
    print("\r\n");
    flush();
}
[[noreturn]] void power_off(u32 reason) {
    sched_shutdown_t arg{reason};
    for (;;) hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, address(arg));
}

// ---- entries --------------------------------------------------------------------------------------

struct Frame {
    u32 edi, esi, ebp, esp_unused, ebx, edx, ecx, eax, es, ds, vector, error, eip, cs, eflags, esp, ss;
};
struct Seen {
    u32 vector, error, cr2, cs, mask, eip;
} last;
volatile u32 events = 0, user_calls = 0;
u32 user_return_eip = 0;
volatile u32 second_cpu = 0;

vcpu_info_t& info(u32 cpu = 0) { return shared->vcpu_info[cpu]; }

void take_events() {
    info().evtchn_upcall_pending = 0;
    u32 words = __atomic_exchange_n(&info().evtchn_pending_sel, 0u, __ATOMIC_SEQ_CST);
    for (u32 w = 0; w < 32; w++) {
        if ((words >> w & 1) == 0) continue;
        const u32 bits =
            __atomic_load_n(&shared->evtchn_pending[w], __ATOMIC_SEQ_CST) & ~shared->evtchn_mask[w];
        __atomic_fetch_and(&shared->evtchn_pending[w], ~bits, __ATOMIC_SEQ_CST);
        for (u32 left = bits; left != 0; left &= left - 1) events = events + 1;
    }
}

}  // namespace

extern "C" void handle_entry(Frame* f) {
    if (f->vector == 256) return take_events();
    last = {f->vector, f->error, info().arch.cr2, f->cs & 0xffff, f->cs >> 16 & 0xff, f->eip};
    if (f->vector == 0x80) {  // from ring 3: the end of its time
        user_calls = user_calls + 1;
        if (f->eax != 0) {
            f->eip = user_return_eip;
            f->cs = FLAT_KERNEL_CS;
            // An inner return takes no stack: go on below this frame's.
            asm volatile("movl %0, %%esp; jmp *%1" : : "r"(attempt_stack), "r"(attempt_failed));
        }
        return;
    }
    if (f->vector == 3) return;
    if (attempt_stack != 0) asm volatile("jmp *%0" : : "r"(attempt_failed));
    print("PAE32 FAIL unexpected exception ");
    print_hex(f->vector);
    print(" at ");
    print_hex(f->eip);
    print(" error ");
    print_hex(f->error);
    print(" cr2 ");
    print_hex(last.cr2);
    print("\r\n");
    flush();
    power_off(SHUTDOWN_crash);
}

extern "C" void vcpu_main() {
    second_cpu = 1;
    for (;;) hypercall(__HYPERVISOR_vcpu_op, VCPUOP_down, 1);
}

namespace {

void set_traps() {
    static trap_info_t table[257];
    for (u32 v = 0; v < 256; v++) {
        table[v].vector = static_cast<u8>(v);
        table[v].flags = v == 0x80 || v == 3 ? 3 : 0;
        table[v].cs = FLAT_KERNEL_CS;
        table[v].address = reinterpret_cast<u32>(entry_stubs) + v * 16;
    }
    check("set_trap_table", hypercall(__HYPERVISOR_set_trap_table, address(table)) == 0);
    check("set_callbacks",
          hypercall(__HYPERVISOR_set_callbacks, FLAT_KERNEL_CS, reinterpret_cast<u32>(event_entry),
                    FLAT_KERNEL_CS, reinterpret_cast<u32>(failsafe_entry)) == 0);
}

bool map(const void* where, u64 pte) {
    return hypercall(__HYPERVISOR_update_va_mapping, reinterpret_cast<u32>(where), static_cast<u32>(pte),
                     static_cast<u32>(pte >> 32), UVMF_INVLPG | UVMF_LOCAL) == 0;
}

// ---- memory ---------------------------------------------------------------------------------------

void write_scratch() { *reinterpret_cast<volatile u32*>(scratch) = 7; }
void write_m2p() { *reinterpret_cast<volatile u32*>(MACH2PHYS_VIRT_START) = 7; }
void write_table() { *reinterpret_cast<volatile u32*>(start->pt_base) = 7; }

// The machine address of the L1 entry for va; tables lie in the first memory, whose addresses are known.
u64* entry_of(const void* va, u64& machine) {
    const auto* const m2p = machine_to_phys_mapping;
    const u32 at = reinterpret_cast<u32>(va);
    auto* table = reinterpret_cast<u64*>(start->pt_base);
    u64 e = table[at >> 30];
    table = reinterpret_cast<u64*>(kBase + m2p[static_cast<u32>(e >> 12)] * kPage);
    e = table[at >> 21 & 511];
    table = reinterpret_cast<u64*>(kBase + m2p[static_cast<u32>(e >> 12 & 0xffffffffff)] * kPage);
    machine = (e & 0x000ffffffffff000) + (at >> 12 & 511) * 8;
    return &table[at >> 12 & 511];
}

void try_memory() {
    check("m2p knows the start page",
          machine_to_phys_mapping[mfn_of(start)] == (reinterpret_cast<u32>(start) - kBase) / kPage,
          machine_to_phys_mapping[mfn_of(start)]);
    check("m2p is read-only", attempt(write_m2p) == 1 && last.vector == 14 && last.error == 3, last.error);
    check("read-only page", map(scratch, pte_of(scratch, kReadOnly)));
    check("write to it faults",
          attempt(write_scratch) == 1 && last.vector == 14 && last.cr2 == address(scratch) && last.error == 3,
          last.cr2);
    check("the frame's CS is ring 1's", last.cs == FLAT_KERNEL_CS, last.cs);
    u64 machine = 0;
    u64* entry = entry_of(scratch, machine);
    check("its entry", (*entry & ~u64{0x60}) == (pte_of(scratch, kReadOnly) & ~u64{0x60}), *entry);
    mmu_update_t update{machine | MMU_NORMAL_PT_UPDATE, pte_of(scratch, kReadWrite)};
    u32 done = 0;
    check(
        "mmu_update",
        hypercall(__HYPERVISOR_mmu_update, address(update), 1, address(done), DOMID_SELF) == 0 && done == 1);
    check("write to it works", attempt(write_scratch) == 0);
    // The kernel sees its tables read-only; an ordinary store to one is carried out.
    *reinterpret_cast<volatile u32*>(entry) = static_cast<u32>(pte_of(scratch, kReadOnly));
    hypercall(__HYPERVISOR_update_va_mapping, address(scratch), static_cast<u32>(*entry),
              static_cast<u32>(*entry >> 32), UVMF_INVLPG);
    check("stored entry counts", attempt(write_scratch) == 1);
    u64 expected = *entry;
    const u64 wanted = pte_of(scratch, kReadWrite);
    bool exchanged;
    asm volatile("cmpxchg8b %1"
                 : "=@ccz"(exchanged), "+m"(*entry), "+A"(expected)
                 : "b"(static_cast<u32>(wanted)), "c"(static_cast<u32>(wanted >> 32))
                 : "memory");
    check("cmpxchg8b of an entry", exchanged && (*entry & kRw) != 0, *entry);
    check("a root cannot be written", attempt(write_table) == 1 && last.vector == 14, last.vector);
    // Beyond the four entries of the root there is nothing that is a guest's.
    update = {(u64{mfn_of(reinterpret_cast<void*>(start->pt_base))} << 12) + 4 * 8,
              pte_of(scratch, kReadOnly)};
    check("fifth entry of the root refused",
          hypercall(__HYPERVISOR_mmu_update, address(update), 1, 0, DOMID_SELF) == -22);
    // … and the last GiB's table has entries of the hypervisor's.
    const u64 top = reinterpret_cast<u64*>(start->pt_base)[3];
    update = {(top & 0x000ffffffffff000) + 428 * 8, 0};
    check("hypervisor's entry refused",
          hypercall(__HYPERVISOR_mmu_update, address(update), 1, 0, DOMID_SELF) == -22);
    mmuext_op_t op{};
    op.cmd = MMUEXT_NEW_BASEPTR;
    op.arg1.mfn = mfn_of(reinterpret_cast<void*>(start->pt_base));
    check("new_baseptr", hypercall(__HYPERVISOR_mmuext_op, address(op), 1, 0, DOMID_SELF) == 0);
    op.cmd = MMUEXT_TLB_FLUSH_LOCAL;
    check("tlb_flush_local", hypercall(__HYPERVISOR_mmuext_op, address(op), 1, 0, DOMID_SELF) == 0);
    u32 cr3;
    asm volatile("mov %%cr3, %0" : "=r"(cr3));
    check("cr3", xen_cr3_to_pfn(cr3) == mfn_of(reinterpret_cast<void*>(start->pt_base)), cr3);
}

void try_balloon() {
    static xen_pfn_t frame;
    const u32 pfn = (address(user_page) - kBase) / kPage;
    check("unmap", map(user_page, 0));
    frame = mfn_of(user_page);
    xen_memory_reservation_t r{};
    set_xen_guest_handle(r.extent_start, &frame);
    r.nr_extents = 1;
    r.domid = DOMID_SELF;
    check("decrease_reservation",
          hypercall(__HYPERVISOR_memory_op, XENMEM_decrease_reservation, address(r)) == 1);
    frame = pfn;
    check("populate_physmap", hypercall(__HYPERVISOR_memory_op, XENMEM_populate_physmap, address(r)) == 1);
    reinterpret_cast<u32*>(start->mfn_list)[pfn] = frame;
    check("m2p knows the new page", machine_to_phys_mapping[frame] == pfn, machine_to_phys_mapping[frame]);
    check("map it", map(user_page, pte_of(user_page, kReadWrite | kUs)));
    domid_t self = DOMID_SELF;
    check("current_reservation", hypercall(__HYPERVISOR_memory_op, XENMEM_current_reservation,
                                           address(self)) == static_cast<s32>(start->nr_pages));
}

// ---- ring 3 ---------------------------------------------------------------------------------------

// Goes to ring 3 with the iret hypercall; comes back by INT 80h with a number, or by a fault. The code is
// copied to a page that ring 3 may execute.
void run_in_user() {
    const u32 frame[5] = {address(user_code), kUserCs, 0x202, reinterpret_cast<u32>(user_page) + kPage - 16,
                          kUserDs};
    asm volatile(
        "pushl 16(%0); pushl 12(%0); pushl 8(%0); pushl 4(%0); pushl (%0); pushl $0; movl $23, %%eax; int "
        "$0x82"
        :
        : "r"(frame)
        : "memory");
    __builtin_unreachable();
}
void put_code(const u8* code, u32 size) { memcpy(user_code, code, size); }

void try_user() {
    check("kernel stack", hypercall(__HYPERVISOR_stack_switch, FLAT_KERNEL_SS,
                                    reinterpret_cast<u32>(kernel_stack) + 8192) == 0);
    check("user's code page", map(user_code, pte_of(user_code, kReadWrite | kUs)));
    // mov $0, %eax; int $0x80; mov $1, %eax; int $0x80
    static const u8 calls[] = {0xb8, 0, 0, 0, 0, 0xcd, 0x80, 0xb8, 1, 0, 0, 0, 0xcd, 0x80};
    put_code(calls, sizeof calls);
    attempt(run_in_user);
    check("ring 3 calls its kernel twice", user_calls == 2 && last.cs == kUserCs, last.cs);
    check("the frame's eip", last.eip == address(user_code) + sizeof calls, last.eip);
    // mov ADDRESS, %eax
    u8 load[] = {0xa1, 0, 0, 0, 0};
    const auto reads = [&load](u32 at) {
        memcpy(load + 1, &at, 4);
        put_code(load, sizeof load);
        attempt(run_in_user);
        return last.vector == 14 && last.error == 5 && last.cr2 == at;
    };
    check("ring 3 cannot read the kernel", reads(address(failed)), last.error);
    check("ring 3 cannot read the m2p", reads(MACH2PHYS_VIRT_START), last.error);
    static const u8 hyper[] = {0xb8, 17, 0, 0, 0, 0xcd, 0x82};  // INT 82h is ring 1's
    put_code(hyper, sizeof hyper);
    attempt(run_in_user);
    check("ring 3 makes no hypercalls", last.vector == 13 && last.error == 0x82 * 8 + 2, last.error);
    static const u8 cli[] = {0xfa};
    put_code(cli, sizeof cli);
    attempt(run_in_user);
    check("ring 3 has no privilege", last.vector == 13, last.vector);
}

// ---- exceptions, privileged instructions, segments ------------------------------------------------

void undefined() { asm volatile("ud2"); }
void divide() { asm volatile("divl %0" : : "r"(0), "a"(1), "d"(0) : "cc"); }
void breakpoint() { asm volatile("int3"); }
void halt() { asm volatile("hlt"); }
void far_jump_hypervisor() { asm volatile("ljmp $0xe009, $0x1000"); }
void load_hypervisor_data() { asm volatile("movl %0, %%fs" : : "r"(0xe011)); }
void load_long_code() { asm volatile("ljmp $0x11, $1f; 1:"); }

void try_exceptions() {
    check("invalid opcode", attempt(undefined) == 1 && last.vector == 6, last.vector);
    check("divide error", attempt(divide) == 1 && last.vector == 0, last.vector);
    check("breakpoint", attempt(breakpoint) == 0 && last.vector == 3, last.vector);
    check("hlt is refused", attempt(halt) == 1 && last.vector == 13, last.vector);
    check("the hypervisor's code segment", attempt(far_jump_hypervisor) == 1 && last.vector == 13,
          last.vector);
    check("the hypervisor's data segment", attempt(load_hypervisor_data) == 1 && last.vector == 13,
          last.vector);
    u32 eax = 0x40000000, ebx, ecx = 0, edx;
    asm volatile("ud2; .ascii \"xen\"; cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    check("cpuid names the hypervisor", ebx == 0x566e6558, ebx);
}

void try_segments() {
    auto* gdt = reinterpret_cast<u64*>(gdt_page);
    gdt[1] = 0x00cf9b000000ffff;  // code, ring 0: becomes ring 1
    gdt[3] = 0x00cf93001000ffff;  // data with a base, ring 0
    check("gdt page read-only", map(gdt_page, pte_of(gdt_page, kReadOnly)));
    static unsigned long frames[1];
    frames[0] = mfn_of(gdt_page);
    check("set_gdt", hypercall(__HYPERVISOR_set_gdt, address(frames), 512) == 0);
    check("ring 0 has become ring 1", (gdt[1] >> 45 & 3) == 1 && (gdt[3] >> 45 & 3) == 1, gdt[1]);
    u32 selector = 0;
    asm volatile("ljmp $0x9, $1f; 1: mov %%cs, %0; ljmp %1, $2f; 2:" : "=r"(selector) : "i"(FLAT_KERNEL_CS));
    check("run in a segment of its own", selector == 9, selector);
    const u64 at = u64{mfn_of(gdt_page)} << 12;
    const auto update = [&](u32 index, u64 value) {
        const u64 where = at + index * 8;
        return hypercall(__HYPERVISOR_update_descriptor, static_cast<u32>(where),
                         static_cast<u32>(where >> 32), static_cast<u32>(value),
                         static_cast<u32>(value >> 32));
    };
    check("update_descriptor", update(3, 0x00cfb3000000ffff) == 0 && gdt[3] == 0x00cfb3000000ffff, gdt[3]);
    check("a 64-bit code segment is refused", update(2, 0x00afbb000000ffff) == -22, gdt[2]);
    check("a call gate is refused", update(2, 0x0000ec0000190000) == -22, gdt[2]);
    check("jump to it faults", attempt(load_long_code) == 1 && last.vector == 13, last.vector);
    asm volatile("movl %0, %%gs" : : "r"(0x19));
}

// ---- events, time, CPUs ---------------------------------------------------------------------------

void try_events() {
    evtchn_bind_ipi_t ipi{};
    check("bind_ipi", hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, address(ipi)) == 0);
    shared->evtchn_mask[ipi.port / 32] &= ~(1u << ipi.port % 32);
    info().evtchn_upcall_mask = 0;
    const u32 before = events;
    evtchn_send_t send{ipi.port};
    check("send", hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_send, address(send)) == 0);
    check("upcall", events == before + 1, events);

    evtchn_bind_virq_t virq{};
    virq.virq = VIRQ_TIMER;
    check("bind_virq", hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, address(virq)) == 0);
    shared->evtchn_mask[virq.port / 32] &= ~(1u << virq.port % 32);
    const u64 start_time = info().time.system_time;
    const u64 when = start_time + 50'000'000;
    const u32 ticks = events;
    hypercall(__HYPERVISOR_set_timer_op, static_cast<u32>(when), static_cast<u32>(when >> 32));
    info().evtchn_upcall_mask = 1;
    while (events == ticks) {
        hypercall(__HYPERVISOR_sched_op, SCHEDOP_block);  // unmasks
        info().evtchn_upcall_mask = 1;
    }
    info().evtchn_upcall_mask = 0;
    check("timer wakes from block", events > ticks);

    static evtchn_port_t ports[1];
    ports[0] = virq.port;
    sched_poll_t poll{};
    set_xen_guest_handle(poll.ports, ports);
    poll.nr_ports = 1;
    poll.timeout = 1;
    check("poll", hypercall(__HYPERVISOR_sched_op, SCHEDOP_poll, address(poll)) == 0);

    static vcpu_runstate_info_t runstate;
    vcpu_register_runstate_memory_area_t area{};
    area.addr.v = &runstate;
    check("runstate area",
          hypercall(__HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, 0, address(area)) == 0 &&
              runstate.state == RUNSTATE_running && runstate.time[0] != 0,
          runstate.time[0]);
    check("wall clock", shared->wc_sec > 1'500'000'000, shared->wc_sec);
    check("time of day beyond 2038", shared->arch.wc_sec_hi == 0, shared->arch.wc_sec_hi);
}

void try_second_cpu() {
    static vcpu_guest_context_t context;
    static char stack[4096];
    if (hypercall(__HYPERVISOR_vcpu_op, VCPUOP_is_up, 1) < 0) return check("(one vCPU only)", true);
    context.flags = VGCF_in_kernel;
    context.user_regs.eip = reinterpret_cast<u32>(vcpu_start);
    context.user_regs.cs = FLAT_KERNEL_CS;
    context.user_regs.ss = context.user_regs.ds = context.user_regs.es = FLAT_KERNEL_DS;
    context.user_regs.esp = reinterpret_cast<u32>(stack + sizeof stack);
    context.user_regs.eflags = 0x1000;
    context.kernel_ss = FLAT_KERNEL_SS;
    context.kernel_sp = context.user_regs.esp;
    context.event_callback_cs = context.failsafe_callback_cs = FLAT_KERNEL_CS;
    context.event_callback_eip = reinterpret_cast<u32>(event_entry);
    context.failsafe_callback_eip = reinterpret_cast<u32>(failsafe_entry);
    context.ctrlreg[3] = xen_pfn_to_cr3(mfn_of(reinterpret_cast<void*>(start->pt_base)));
    check("initialise vCPU 1", hypercall(__HYPERVISOR_vcpu_op, VCPUOP_initialise, 1, address(context)) == 0);
    check("vCPU 1 up", hypercall(__HYPERVISOR_vcpu_op, VCPUOP_up, 1) == 0);
    for (u32 tries = 0; tries < 100000 && second_cpu == 0; tries++)
        hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield);
    check("vCPU 1 runs", second_cpu == 1);
}

void try_calls() {
    const s32 version = hypercall(__HYPERVISOR_xen_version, XENVER_version);
    check("version", version >> 16 == 4, static_cast<u32>(version));
    xen_platform_parameters_t parameters{};
    check("platform_parameters",
          hypercall(__HYPERVISOR_xen_version, XENVER_platform_parameters, address(parameters)) == 0 &&
              parameters.virt_start == HYPERVISOR_VIRT_START,
          parameters.virt_start);
    static multicall_entry_t list[2];
    list[0].op = __HYPERVISOR_xen_version;
    list[0].args[0] = XENVER_version;
    list[1].op = 63;
    check("multicall", hypercall(__HYPERVISOR_multicall, address(list), 2) == 0);
    check("multicall's results",
          static_cast<s32>(list[0].result) == version && static_cast<s32>(list[1].result) == -38,
          list[1].result);
    static xen_pfn_t frames[1];
    gnttab_setup_table_t setup{};
    setup.dom = DOMID_SELF;
    setup.nr_frames = 1;
    set_xen_guest_handle(setup.frame_list, frames);
    check("grant table",
          hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, address(setup), 1) == 0 &&
              setup.status == 0 && frames[0] != 0,
          static_cast<u32>(setup.status));
    check("a bad pointer",
          hypercall(__HYPERVISOR_xen_version, XENVER_platform_parameters, 0xfffffffe) == -14);
    check("no control", hypercall(__HYPERVISOR_domctl, 0) == -1);
}

}  // namespace

extern "C" void guest_main(const start_info_t* info_page) {
    start = info_page;
    const u32 console_pfn = machine_to_phys_mapping[start->console.domU.mfn];
    console = reinterpret_cast<xencons_interface*>(kBase + console_pfn * kPage);
    print("PAE32 starts\r\n");
    check("start info", start->magic[0] == 'x' && start->nr_pages > 1000, start->nr_pages);
    check("shared info", map(shared_place, u64{start->shared_info} | kReadWrite));
    shared = reinterpret_cast<shared_info_t*>(shared_place);
    check("upcalls start masked", info().evtchn_upcall_mask == 1, info().evtchn_upcall_mask);
    set_traps();
    try_calls();
    try_exceptions();
    try_memory();
    try_balloon();
    try_user();
    try_segments();
    try_events();
    try_second_cpu();
    print(failed == 0 ? "PAE32 complete\r\n" : "PAE32 has failures\r\n");
    flush();
    power_off(SHUTDOWN_poweroff);
}

// SPDX-License-Identifier: GPL-2.0-or-later
// Exceptions, events, and starting further vCPUs.
#include "lib/cpu.hpp"

#include "arch_state/regs.hpp"
#include "base/assert.hpp"
#include "lib/console.hpp"
#include "lib/hypercall.hpp"
#include "lib/memory.hpp"

extern "C" {
alignas(CPU_STACK_SIZE) domus::u8 cpu_stacks[guest::kMaxCpus][CPU_STACK_SIZE];
domus::u64 failsafe_selectors[4];
extern const char entry_stubs[], event_entry[], nmi_entry[], syscall_from_user[], failsafe_entry[],
    vcpu_start[];
}

namespace guest {

shared_info_t* shared_info = nullptr;
bool (*entry_hook)(Frame& frame) = nullptr;

namespace {

void (*started[kMaxCpus])(u32);
vcpu_guest_context_t context;

u64 number(const char* symbol) { return reinterpret_cast<u64>(symbol); }

[[noreturn]] void die(const Frame& f, u64 address) {
    const Cpu& c = this_cpu();
    say("guest: vCPU {}: entry {}, error {:x}, address {:x}, rip {:x}, rsp {:x}, rax {:x}", c.id, f.vector,
        f.error, address, f.rip, f.rsp, f.rax);
    panic("unexpected entry");
}

// Takes what there is and forgets it: test kernels look at counters.
void take_events(u32 id) {
    vcpu_info_t& v = vcpu_info(id);
    __atomic_store_n(&v.evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    u64 words = __atomic_exchange_n(&v.evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    for (; words != 0; words &= words - 1) {
        const int w = __builtin_ctzl(words);
        __atomic_exchange_n(&shared_info->evtchn_pending[w], 0, __ATOMIC_SEQ_CST);
    }
}

}  // namespace

Cpu& cpu(u32 id) { return *reinterpret_cast<Cpu*>(cpu_stacks[id]); }
Cpu& this_cpu() {
    u64 sp;
    asm("movq %%rsp, %0" : "=r"(sp));
    return *reinterpret_cast<Cpu*>(sp & ~u64{CPU_STACK_SIZE - 1});
}
vcpu_info_t& vcpu_info(u32 id) { return shared_info->vcpu_info[id]; }

u64 entry_address(u32 vector) { return number(entry_stubs) + u64{vector} * 16; }

extern "C" void handle_entry(Frame* frame) {
    Cpu& c = this_cpu();
    const u64 address = vcpu_info(c.id).arch.cr2;
    c.entries[frame->vector]++;
    if (entry_hook != nullptr && entry_hook(*frame)) return;
    if (frame->vector == kEventEntry) return take_events(c.id);
    if (c.place == nullptr) die(*frame, address);
    c.fault = {.vector = frame->vector, .error = frame->error, .address = address, .frame = *frame};
    const Place& to = *c.place;
    frame->rip = to.rip, frame->rsp = to.rsp;
    frame->rbx = to.rbx, frame->rbp = to.rbp;
    frame->r12 = to.r12, frame->r13 = to.r13, frame->r14 = to.r14, frame->r15 = to.r15;
    frame->rax = 1;
    // Kernel mode, flat segments, as much of the flags as decides how we go on.
    frame->cs = FLAT_KERNEL_CS & ~3u;
    frame->ss = FLAT_KERNEL_SS;
    frame->rflags = (frame->rflags & kFlagIf) | 2;
}

void init_traps() {
    trap_info_t traps[33] = {};
    u32 n = 0;
    for (u32 v = 0; v < 32; v++) {
        if (v == 2 || v == 15) continue;
        traps[n++] = {.vector = static_cast<u8>(v),
                      .flags = static_cast<u8>(v == kBreakpoint || v == kOverflow ? 3 : 0),
                      .cs = FLAT_KERNEL_CS,
                      .address = entry_address(v)};
    }
    traps[n++] = {.vector = 0x80, .flags = 3, .cs = FLAT_KERNEL_CS, .address = entry_address(0x80)};
    if (const s64 r = hypercall(__HYPERVISOR_set_trap_table, reinterpret_cast<u64>(traps)); r != 0)
        panic("set_trap_table: {}", r);
    if (const s64 r = hypercall(__HYPERVISOR_set_callbacks, number(event_entry), number(failsafe_entry),
                                number(syscall_from_user));
        r != 0)
        panic("set_callbacks: {}", r);
    callback_register_t nmi{.type = CALLBACKTYPE_nmi, .flags = 0, .address = number(nmi_entry)};
    operate(__HYPERVISOR_callback_op, CALLBACKOP_register, nmi);
    hypercall(__HYPERVISOR_stack_switch, FLAT_KERNEL_SS,
              reinterpret_cast<u64>(cpu_stacks[this_cpu().id]) + CPU_STACK_SIZE);
}

u32 vcpu_count() {
    for (u32 id = 0; id < kMaxCpus; id++)
        if (hypercall(__HYPERVISOR_vcpu_op, VCPUOP_is_up, id) < 0) return id;
    return kMaxCpus;
}

extern "C" [[noreturn]] void vcpu_main() {
    init_traps();
    const u32 id = this_cpu().id;
    started[id](id);
    for (;;) hypercall(__HYPERVISOR_vcpu_op, VCPUOP_down, id);
}

const vcpu_guest_context_t* cpu_context() { return &context; }

s64 start_vcpu(u32 id, void (*main)(u32)) {
    started[id] = main;
    cpu(id) = Cpu{.id = id};
    context = {};
    context.flags = VGCF_in_kernel;  // not VGCF_online: with it the reference's VCPUOP_up wakes nobody
    context.user_regs.rip = number(vcpu_start);
    context.user_regs.rsp = reinterpret_cast<u64>(cpu_stacks[id]) + CPU_STACK_SIZE;
    context.user_regs.cs = FLAT_KERNEL_CS;
    context.user_regs.ss = FLAT_KERNEL_SS;
    context.user_regs.rflags = kFlagIf;
    context.kernel_ss = FLAT_KERNEL_SS;
    context.kernel_sp = context.user_regs.rsp;
    context.ctrlreg[0] = 0x80050033;
    context.ctrlreg[3] = xen_pfn_to_cr3(kernel_root().v);
    context.event_callback_eip = number(event_entry);
    context.failsafe_callback_eip = number(failsafe_entry);
    context.syscall_callback_eip = number(syscall_from_user);
    if (const s64 r = hypercall(__HYPERVISOR_vcpu_op, VCPUOP_initialise, id, address(context)); r != 0)
        return r;
    return hypercall(__HYPERVISOR_vcpu_op, VCPUOP_up, id);
}

}  // namespace guest

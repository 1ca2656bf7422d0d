// SPDX-License-Identifier: GPL-2.0-or-later
#include "hostile/calls.hpp"

#include "hostile/arena.hpp"
#include "hostile/events.hpp"
#include "hostile/grants.hpp"
#include "hostile/ground.hpp"
#include "hostile/report.hpp"
#include "lib/start.hpp"

namespace hostile {

namespace {

// No address of 64-bit code: refused wherever one is looked at.
constexpr u64 kNoAddress = 0x8000000000000000;

// A structure in the scratch memory, as full of rubbish as what lies there, of which the caller sets some.
class Place {
  public:
    explicit Place(u64 at) : at_(at) {}
    template <class T>
    T& next(usize count = 1) {
        T& object = *reinterpret_cast<T*>(at_);
        at_ = round_up(at_ + sizeof(T) * count, 16);
        return object;
    }
    u64 address() const { return at_; }

  private:
    u64 at_;
};

Call call(u64 number, u64 a = 0, u64 b = 0, u64 c = 0, u64 d = 0, u64 e = 0) {
    return {number, {a, b, c, d, e}};
}
template <class T>
u64 at(T& object) {
    return reinterpret_cast<u64>(&object);
}
template <class H, class T>
void set_handle(H& handle, T& to) {
    handle.p = reinterpret_cast<decltype(handle.p)>(&to);
}

u64 foreign(Random& r) {
    return r.one_in(4) ? some_domain(r) | (r.one_in(2) ? some_domain(r) << 16 : 0) : DOMID_SELF;
}

Call page_table_update(Random& r, Place p) {
    constexpr u64 kMost = 48;
    const u64 n = r.one_in(8) ? r.below(kMost) : 1 + r.below(4);
    const u64 count = r.one_in(64) ? r.edge() % kMost : n;
    mmu_update_t& list = p.next<mmu_update_t>(kMost);
    u32& done = p.next<u32>();
    for (u64 i = 0; i < n || i < count; i++) {
        mmu_update_t& u = (&list)[i];
        const u64 kind =
            r.one_in(16) ? r.below(8) : (r.one_in(4) ? MMU_PT_UPDATE_PRESERVE_AD : MMU_NORMAL_PT_UPDATE);
        u.ptr = expendable_frame(r).v << kPageShift | (r.one_in(4) ? r.below(512) : r.below(8)) * 8 | kind;
        u.val = (u.ptr & 3) == MMU_MACHPHYS_UPDATE ? r.edge() : some_entry(r).v;
    }
    return call(__HYPERVISOR_mmu_update, at(list), count, r.one_in(2) ? at(done) : 0, foreign(r));
}

Call update_mapping(Random& r) {
    const u64 flags =
        r.one_in(2) ? r.below(4) | (r.one_in(2) ? UVMF_ALL : 0) : (some_address(r) & ~u64{3}) | r.below(4);
    const u64 va = r.one_in(32) ? r.edge() : some_arena_address(r);
    // Of our own address space only the arena.
    const u64 safe = va >= kBootBase || (va >= kDirect && va < kArena) ? kArena : va;
    if (r.one_in(8))
        return call(__HYPERVISOR_update_va_mapping_otherdomain, safe, some_entry(r).v, flags, some_domain(r));
    return call(__HYPERVISOR_update_va_mapping, safe, some_entry(r).v, flags);
}

Call extended_operation(Random& r, Place p) {
    constexpr u64 kMost = 8;
    const u64 n = 1 + (r.one_in(4) ? r.below(kMost) : 0);
    mmuext_op_t& list = p.next<mmuext_op_t>(kMost);
    u32& done = p.next<u32>();
    for (u64 i = 0; i < n; i++) {
        mmuext_op_t& op = (&list)[i];
        op.cmd = static_cast<u32>(r.one_in(3) ? r.below(20) : r.below(5));
        op.arg1.mfn = expendable_frame(r).v;
        switch (op.cmd) {
            case MMUEXT_NEW_BASEPTR:
                // A root of the arena's would leave us without a kernel: only our own, or what cannot be a
                // root.
                op.arg1.mfn = r.one_in(2) ? kernel_root().v : arena_table(0).v;
                break;
            case MMUEXT_NEW_USER_BASEPTR:
                if (r.one_in(3)) op.arg1.mfn = 0;
                break;
            case MMUEXT_SET_LDT:
                op.arg1.linear_addr = r.one_in(4) ? r.edge() : some_arena_address(r) & kPageMask;
                op.arg2.nr_ents = static_cast<u32>(r.one_in(4) ? r.edge() : r.below(8193));
                break;
            case MMUEXT_INVLPG_LOCAL:
            case MMUEXT_INVLPG_ALL:
            case MMUEXT_INVLPG_MULTI: op.arg1.linear_addr = some_address(r); break;
            default: break;
        }
        if (op.cmd == MMUEXT_TLB_FLUSH_MULTI || op.cmd == MMUEXT_INVLPG_MULTI)
            op.arg2.vcpumask.p = reinterpret_cast<void*>(some_address(r));
        if (op.cmd == MMUEXT_COPY_PAGE) op.arg2.src_mfn = some_frame(r).v;
    }
    return call(__HYPERVISOR_mmuext_op, at(list), n, r.one_in(2) ? at(done) : 0, foreign(r));
}

Call trap_table(Random& r, Place p) {
    constexpr u64 kRows = 8;
    trap_info_t& rows = p.next<trap_info_t>(kRows + 1);
    const u64 n = r.below(kRows);
    for (u64 i = 0; i < n; i++) {
        const u8 vector = static_cast<u8>(0x81 + r.below(0x7f));
        // A handler at an address that can never be one would end the domain at the next INT: it is ours, or
        // faults when it is entered, or is refused.
        u64 address = entry_address(vector);
        if (r.one_in(3)) address = some_unmapped_address(r);
        if (r.one_in(8)) address = kNoAddress | r.below(1u << 30);
        (&rows)[i] = {.vector = vector,
                      .flags = static_cast<u8>(r.next()),
                      .cs = static_cast<u16>(r.one_in(4) ? no_code_selector(r) : u64{FLAT_KERNEL_CS}),
                      .address = address};
    }
    (&rows)[n].address = 0;
    return call(__HYPERVISOR_set_trap_table, at(rows));
}

Call callbacks(Random& r, Place p) {
    // Our own entry points stay: only types we do not use, and addresses that are refused.
    const u64 address = kNoAddress | r.below(u64{1} << 40);
    switch (r.below(4)) {
        case 0: return call(__HYPERVISOR_set_callbacks, address, address, address);
        case 1: {
            u64& handler = p.next<u64>();
            handler = address;
            const u64 command = r.one_in(2) ? u64{XENNMI_register_callback} : 2 + (r.edge() & 0x7fffffff);
            return call(__HYPERVISOR_nmi_op, command, at(handler));
        }
        case 2: {
            callback_unregister_t& c = p.next<callback_unregister_t>();
            c.type = static_cast<u16>(r.one_in(2) ? r.below(10) : r.edge());
            if (c.type == CALLBACKTYPE_nmi) c.type = CALLBACKTYPE_event;  // which is refused
            return call(__HYPERVISOR_callback_op, CALLBACKOP_unregister, at(c));
        }
        default: break;
    }
    callback_register_t& c = p.next<callback_register_t>();
    c.type = static_cast<u16>(r.one_in(2) ? r.below(8) : r.edge());
    c.flags = static_cast<u16>(r.next());
    c.address = address;
    return call(__HYPERVISOR_callback_op, CALLBACKOP_register, at(c));
}

Call descriptors(Random& r, Place p) {
    if (r.one_in(3)) {
        u64& list = p.next<u64>(16);
        for (u64 i = 0; i < 16; i++) (&list)[i] = expendable_frame(r).v;
        return call(__HYPERVISOR_set_gdt, at(list), r.one_in(8) ? r.edge() : r.below(7169));
    }
    u64 d = r.next();
    if (r.one_in(2)) d = 0x00affb000000ffff ^ (u64{1} << r.below(64)) ^ (u64{1} << r.below(64));
    return call(__HYPERVISOR_update_descriptor,
                expendable_frame(r).v << kPageShift | (r.one_in(8) ? r.below(4096) : r.below(512) * 8), d);
}

Call memory_operation(Random& r, Place p) {
    const u64 extents = 1 + r.below(r.one_in(8) ? 64 : 4);
    xen_memory_exchange_t& x = p.next<xen_memory_exchange_t>();
    u64& in = p.next<u64>(64);
    u64& out = p.next<u64>(64);
    for (u64 i = 0; i < 64; i++) {
        (&in)[i] = expendable_frame(r).v;
        (&out)[i] = pool.first_pfn + r.below(kPoolPages);
    }
    const auto reservation = [&](xen_memory_reservation_t& y, u64& list) {
        set_handle(y.extent_start, list);
        y.nr_extents = extents;
        // A list of any length only where nothing of ours can follow: frames are written into it.
        if (r.one_in(32))
            y.nr_extents = r.edge(), y.extent_start.p = reinterpret_cast<xen_pfn_t*>(some_arena_address(r));
        y.extent_order = static_cast<u32>(r.one_in(16) ? r.edge() : r.below(4));
        y.mem_flags = static_cast<u32>(r.one_in(4) ? r.edge() : 0);
        y.domid = static_cast<domid_t>(r.one_in(8) ? some_domain(r) : DOMID_SELF);
    };
    reservation(x.in, in);
    reservation(x.out, out);
    x.nr_exchanged = r.one_in(16) ? r.edge() : 0;
    const u64 shift = r.one_in(32) ? r.edge() << 6 : 0;
    // What the call brings goes into the pool, or that would soon be empty.
    const auto gaining = [&](Call c, const xen_memory_reservation_t& y, const u64& list) {
        if (y.extent_order == 0 && shift == 0 && y.extent_start.p == &list)
            c.gained = &list, c.lucky = r.below(kPoolPages);
        return c;
    };
    switch (r.below(8)) {
        case 0: return call(__HYPERVISOR_memory_op, XENMEM_exchange | shift, at(x));
        case 1:
            return gaining(call(__HYPERVISOR_memory_op, XENMEM_increase_reservation | shift, at(x)), x.in,
                           in);
        case 2: return call(__HYPERVISOR_memory_op, XENMEM_decrease_reservation | shift, at(x));
        case 3:
            x.in.extent_start.p = x.out.extent_start.p;
            x.in.nr_extents = x.out.nr_extents;
            return gaining(call(__HYPERVISOR_memory_op, XENMEM_populate_physmap | shift, at(x)), x.in, out);
        default: return call(__HYPERVISOR_memory_op, r.below(32) | shift, at(x));
    }
}

Call scheduling(Random& r, Place p) {
    sched_poll_t& poll = p.next<sched_poll_t>();
    switch (r.below(5)) {
        case 0: {
            u32& ports = p.next<u32>(128);
            set_handle(poll.ports, ports);
            poll.nr_ports = static_cast<u32>(r.one_in(8) ? r.edge() : r.below(4));
            poll.timeout = now() + r.below(2'000'000);
            return call(__HYPERVISOR_sched_op, SCHEDOP_poll, at(poll));
        }
        case 1: {
            sched_watchdog_t& w = p.next<sched_watchdog_t>();
            w.id = static_cast<u32>(r.below(4));
            w.timeout = static_cast<u32>(r.one_in(2) ? 0 : 100000 + r.below(1u << 30));
            return call(__HYPERVISOR_sched_op, SCHEDOP_watchdog, at(w));
        }
        case 2: {
            sched_remote_shutdown_t& s = p.next<sched_remote_shutdown_t>();
            s.domain_id = static_cast<domid_t>(100 + r.below(DOMID_FIRST_RESERVED - 100));
            s.reason = static_cast<u32>(r.next());
            return call(__HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, at(s));
        }
        case 3: return call(__HYPERVISOR_sched_op, 7 + r.below(100), p.address());
        default:
            return call(r.one_in(4) ? __HYPERVISOR_sched_op_compat : __HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    }
}

Call vcpu_operation(Random& r, Place p) {
    static constexpr u64 kRunning[] = {VCPUOP_is_up,
                                       VCPUOP_get_runstate_info,
                                       VCPUOP_register_runstate_memory_area,
                                       VCPUOP_set_periodic_timer,
                                       VCPUOP_stop_periodic_timer,
                                       VCPUOP_set_singleshot_timer,
                                       VCPUOP_stop_singleshot_timer,
                                       VCPUOP_send_nmi,
                                       VCPUOP_get_physid,
                                       VCPUOP_register_vcpu_time_memory_area,
                                       VCPUOP_up,
                                       VCPUOP_initialise,
                                       20,
                                       33};
    u64& arg = p.next<u64>(16);
    const u64 kind = kRunning[r.below(sizeof kRunning / sizeof *kRunning)];
    if (kind == VCPUOP_set_singleshot_timer || kind == VCPUOP_set_periodic_timer)
        (&arg)[0] = r.one_in(2) ? now() + r.below(10'000'000) : r.edge();
    if (kind == VCPUOP_register_runstate_memory_area || kind == VCPUOP_register_vcpu_time_memory_area)
        (&arg)[0] = r.one_in(4) ? 0 : some_arena_address(r);  // written at any time: not to our lists
    u64 id = static_cast<u32>(r.one_in(8) ? r.edge() : r.below(kMaxCpus));
    if (id == keeper()) id = 0;
    // A place for vcpu_info only where none of ours is at work.
    if (r.one_in(16)) {
        (&arg)[0] = expendable_frame(r).v;
        (&arg)[1] = r.edge();
        return call(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, id < kMaxCpus ? id + kMaxCpus : id,
                    at(arg));
    }
    // The keeper wakes the others up again.
    if (r.one_in(64) && id != 0) return call(__HYPERVISOR_vcpu_op, VCPUOP_down, id);
    return call(__HYPERVISOR_vcpu_op, kind, id, r.one_in(8) ? some_address(r) : at(arg));
}

// A toolstack operation with the right version, so that it gets further than that.
Call toolstack(Random& r, Place p) {
    u32& words = p.next<u32>(64);
    u32* const w = &words;
    switch (r.below(3)) {
        case 0: {
            static constexpr u32 kNever[] = {XEN_SYSCTL_debug_keys, XEN_SYSCTL_cpu_hotplug};
            w[0] = static_cast<u32>(r.below(32));
            for (const u32 never : kNever)
                if (w[0] == never) w[0] = XEN_SYSCTL_physinfo;
            w[1] = XEN_SYSCTL_INTERFACE_VERSION;
            return call(__HYPERVISOR_sysctl, at(words));
        }
        case 1: {
            // Ourselves we may pause, destroy or let be debugged: that is our own business.
            w[0] = static_cast<u32>(r.below(90));
            w[1] = XEN_DOMCTL_INTERFACE_VERSION;
            w[2] = static_cast<u32>(r.one_in(2) ? some_domain(r) : 1 + r.below(8));
            const bool ourselves = (w[2] & 0xffff) == 0 || (w[2] & 0xffff) == DOMID_SELF;
            if (ourselves && (w[0] == XEN_DOMCTL_setvcpucontext || w[0] == XEN_DOMCTL_setdebugging ||
                              w[0] == XEN_DOMCTL_soft_reset || w[0] == XEN_DOMCTL_max_mem))
                w[0] = XEN_DOMCTL_getdomaininfo;
            return call(__HYPERVISOR_domctl, at(words));
        }
        default:
            w[0] = static_cast<u32>(r.below(70));
            w[1] = XENPF_INTERFACE_VERSION;
            if (w[0] == XENPF_enter_acpi_sleep || w[0] == XENPF_cpu_offline || w[0] == XENPF_mem_hotadd)
                w[0] = XENPF_get_cpuinfo;
            return call(__HYPERVISOR_platform_op, at(words));
    }
}

Call console(Random& r) {
    if (r.one_in(2)) return call(__HYPERVISOR_console_io, CONSOLEIO_read, r.below(100), some_address(r));
    // Of what is readable only blanks: the console is where we report.
    static char blanks[256];
    __builtin_memset(blanks, ' ', sizeof blanks);
    return call(__HYPERVISOR_console_io, CONSOLEIO_write, r.one_in(4) ? r.edge() | u64{1} << 31 : 0,
                r.one_in(2) ? r.edge() | kNoAddress : at(blanks));
}

// Calls in which no argument can hurt us: anything.
Call anything(Random& r) {
    static constexpr u64 kHarmless[] = {__HYPERVISOR_stack_switch,
                                        __HYPERVISOR_fpu_taskswitch,
                                        __HYPERVISOR_get_debugreg,
                                        __HYPERVISOR_set_debugreg,
                                        __HYPERVISOR_set_timer_op,
                                        __HYPERVISOR_event_channel_op_compat,
                                        __HYPERVISOR_xen_version,
                                        __HYPERVISOR_physdev_op_compat,
                                        __HYPERVISOR_vm_assist,
                                        __HYPERVISOR_set_segment_base,
                                        __HYPERVISOR_xsm_op,
                                        __HYPERVISOR_physdev_op,
                                        __HYPERVISOR_kexec_op,
                                        __HYPERVISOR_xenoprof_op,
                                        __HYPERVISOR_tmem_op,
                                        __HYPERVISOR_hvm_op,
                                        __HYPERVISOR_argo_op,
                                        __HYPERVISOR_xenpmu_op,
                                        __HYPERVISOR_dm_op,
                                        __HYPERVISOR_hypfs_op,
                                        __HYPERVISOR_arch_0,
                                        11,
                                        27,
                                        38,
                                        43,
                                        47,
                                        49,
                                        55,
                                        56,
                                        63,
                                        64};
    Call c{.number = r.one_in(32) ? 64 + r.edge() % (u64{1} << 31)
                                  : kHarmless[r.below(sizeof kHarmless / sizeof *kHarmless)]};
    for (u64& a : c.arguments) a = r.one_in(2) ? some_address(r) : r.edge();
    if (r.one_in(2)) c.arguments[0] = r.below(40);
    if (r.one_in(2)) c.arguments[1] = some_address(r);
    return c;
}

}  // namespace

Call make_call(Random& r, u64 where) {
    const Place p(where);
    switch (r.below(24)) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4: return page_table_update(r, p);
        case 5:
        case 6: return update_mapping(r);
        case 7:
        case 8:
        case 9: return extended_operation(r, p);
        case 10: return r.one_in(2) ? trap_table(r, p) : callbacks(r, p);
        case 11: return descriptors(r, p);
        case 12:
        case 13: return memory_operation(r, p);
        case 14: return scheduling(r, p);
        case 15: return vcpu_operation(r, p);
        case 16:
        case 17: return grant_operation(r, where);
        case 18: return toolstack(r, p);
        case 19: return r.one_in(4) ? console(r) : event_operation(r, where);
        case 20: return event_operation(r, where);
        default: return anything(r);
    }
}

s64 make(const Call& c) {
    const u64* a = c.arguments;
    // There are 128 stubs; beyond them the instruction itself.
    s64 result;
    register u64 r10 asm("r10") = a[3];
    register u64 r8 asm("r8") = a[4];
    u64 rdi = a[0], rsi = a[1], rdx = a[2];
    asm volatile("syscall"
                 : "=a"(result), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r10), "+r"(r8)
                 : "a"(c.number)
                 : "rcx", "r11", "r9", "memory");
    note_call(c.number, result);
    // Frames that a list of ours has brought.
    if (c.gained != nullptr)
        for (s64 i = 0; i < result && i < 64; i++)
            pool.mfn[(c.lucky + static_cast<u64>(i)) % kPoolPages].store(c.gained[i],
                                                                         std::memory_order_relaxed);
    return result;
}

s64 make_random_call(Random& r) {
    const u64 base = reinterpret_cast<u64>(scratch());
    if (!r.one_in(8)) return make(make_call(r, base));
    // Each entry's structures have a place of their own, behind the list.
    constexpr u64 kMost = 6;
    const u64 n = 1 + r.below(kMost);
    auto* const list = reinterpret_cast<multicall_entry_t*>(base);
    for (u64 i = 0; i < n; i++) {
        const Call c = make_call(r, base + 1024 + i * 2048);
        list[i].op = c.number;
        for (u64 j = 0; j < 5; j++) list[i].args[j] = c.arguments[j];
    }
    // More entries than were made: what lies there must be none, or it would empty our trap table one day.
    for (u64 i = n; i < kMost; i++) list[i].op = ~u64{0};
    return make({__HYPERVISOR_multicall, {base, r.one_in(64) ? r.edge() % (kMost + 1) : n, 0, 0, 0}});
}

}  // namespace hostile

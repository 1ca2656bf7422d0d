// SPDX-License-Identifier: GPL-2.0-or-later
// sysctl tbuf_op: control of the trace buffers, for xentrace.
#include <atomic>

#include "core/trace.hpp"
#include "hypercall/bitmap.hpp"
#include "hypercall/cpu_set.hpp"
#include "hypercall/sysctl.hpp"

namespace domus::hypercall {

namespace {

// One caller at a time; a second is told to come back (EBUSY) rather than to wait.
class Turn {
  public:
    Turn() : taken_(!busy.exchange(true, std::memory_order_acquire)) {}
    ~Turn() {
        if (taken_) busy.store(false, std::memory_order_release);
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    explicit operator bool() const { return taken_; }

  private:
    static constinit inline std::atomic<bool> busy{false};
    bool taken_;
};

Result<> set_cpus(const xenctl_bitmap& from) {
    CpuSet cpus = TRY(CpuSet::make());
    TRY(read_bitmap(from, cpus.words()));
    return core::set_traced_cpus(cpus.words());
}

}  // namespace

Result<> sysctl_tbuf_op(Caller&, xen_sysctl_tbuf_op& arg) {
    const Turn turn;
    if (!turn) return fail(Error::busy);
    switch (arg.cmd) {
        case XEN_SYSCTL_TBUFOP_get_info: {
            const core::TraceInfo info = core::trace_info();
            arg.evt_mask = core::trace_event_mask();
            arg.buffer_mfn = info.frame;
            arg.size = info.size;
            return {};
        }
        case XEN_SYSCTL_TBUFOP_set_cpu_mask: return set_cpus(arg.cpu_mask);
        case XEN_SYSCTL_TBUFOP_set_evt_mask: core::set_trace_events(arg.evt_mask); return {};
        case XEN_SYSCTL_TBUFOP_set_size: return core::make_trace_buffers(arg.size);
        case XEN_SYSCTL_TBUFOP_enable: return core::start_tracing();
        case XEN_SYSCTL_TBUFOP_disable: core::stop_tracing(); return {};
        default: return fail(Error::inval);
    }
}

}  // namespace domus::hypercall

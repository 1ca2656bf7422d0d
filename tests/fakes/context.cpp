// SPDX-License-Identifier: GPL-2.0-or-later
// The simulated switch of vCPUs.
#include "fakes/context.hpp"

#include "base/assert.hpp"
#include "port/cpu.hpp"

namespace domus {
namespace fakes {
Context context;
}

namespace port {

using fakes::context;

void context_switch(Vcpu* prev, Vcpu* next) {
    ASSERT(context.current[this_cpu().v] == prev && prev != next);
    context.current[this_cpu().v] = next;
    context.switches++;
}
Vcpu* current_vcpu() { return context.current[this_cpu().v]; }
Result<> vcpu_create(Vcpu&) {
    if (context.fail_create) return fail(Error::nomem);
    context.vcpus++;
    return {};
}
void vcpu_destroy(Vcpu&) { context.vcpus--; }
Result<> vcpu_set_context(Vcpu& v, const void* from) {
    if (context.set_context) return context.set_context(v, from);
    if (context.refuse_context) return fail(Error::inval);
    context.contexts_set++;
    return {};
}
void vcpu_get_context(const Vcpu& v, void* out) { context.get_context(v, out); }
Result<> vcpu_drop_context(Vcpu& v) {
    if (context.drop_preempted > 0) {
        context.drop_preempted--;
        return fail(Error::restart);
    }
    if (context.drop_context) return context.drop_context(v);
    context.contexts_dropped++;
    return {};
}
u32 apic_id(CpuId cpu) { return cpu.v * 2; }
u32 acpi_id(CpuId cpu) { return cpu.v; }
NmiReport take_nmis() {
    const NmiReport taken = context.nmis;
    context.nmis.count = 0;
    return taken;
}
void machine_shutdown(u32 reason) { panic("machine shutdown, reason {}", reason); }

}  // namespace port
}  // namespace domus

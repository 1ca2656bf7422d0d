// SPDX-License-Identifier: GPL-2.0-or-later
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
Result<> vcpu_set_context(Vcpu&, const void*) {
    if (context.refuse_context) return fail(Error::inval);
    context.contexts_set++;
    return {};
}
Result<> vcpu_drop_context(Vcpu&) {
    context.contexts_dropped++;
    return {};
}
u32 apic_id(CpuId cpu) { return cpu.v * 2; }
u32 acpi_id(CpuId cpu) { return cpu.v; }
void machine_shutdown(u32 reason) { panic("machine shutdown, reason {}", reason); }

}  // namespace port
}  // namespace domus

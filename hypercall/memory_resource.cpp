// SPDX-License-Identifier: GPL-2.0-or-later
// XENMEM_acquire_resource: the control domain learns the frames of a resource that the hypervisor keeps for
// another domain, and maps them as that domain's. The mapping holds the frames; the answer here does not.
#include "base/log.hpp"
#include "core/grant_table.hpp"
#include "hypercall/memory_op.hpp"
#include "hypercall/target.hpp"
#include "port/cpu.hpp"

namespace domus::hypercall {

namespace {

struct Resource {
    u64 frames;  // how many it can have
    Result<Mfn> (*frame)(Domain&, u32);
};

// EINVAL: no such part of the resource. EOPNOTSUPP: nothing of this type.
Result<Resource> find_resource(Domain& d, u16 type, u32 id) {
    if (type != XENMEM_resource_grant_table) return fail(Error::opnotsupp);
    const u32 frames = core::grant_table_size(d).max_frames;
    switch (id) {
        case XENMEM_resource_grant_table_id_shared: return Resource{frames, &core::grant_shared_frame};
        case XENMEM_resource_grant_table_id_status:
            return Resource{core::status_frames_for(frames), &core::grant_status_frame};
        default: return fail(Error::inval);
    }
}

// Another domain than the caller's own: it has its resources anyway.
Result<Domain*> other_domain(Caller& caller, u16 id) {
    if (id == DOMID_SELF) return fail(Error::srch);
    Domain* d = TRY(target_domain(caller, id));
    if (d == &caller.domain) return fail(Error::perm);
    return d;
}

Result<> check(const xen_mem_acquire_resource_t& arg, const Resource& r) {
    if (arg.frame_list.p == nullptr || arg.nr_frames == 0) return fail(Error::inval);
    if (arg.frame >= r.frames || arg.nr_frames > r.frames - arg.frame) return fail(Error::inval);
    return {};
}

}  // namespace

MemoryCall acquire_resource(Caller& caller, u64 start, GuestAddr where) {
    if (!allowed(caller.domain, Who::control)) {
        name_forbidden(caller, "memory_op", "acquire_resource");
        return fail(Error::perm);
    }
    auto arg = TRY(where.in<xen_mem_acquire_resource_t>().read());
    if (arg.pad != 0) return fail(Error::inval);
    Domain* d = TRY(other_domain(caller, arg.domid));
    const Resource resource = TRY(find_resource(*d, arg.type, arg.id));
    if (arg.frame_list.p == nullptr && arg.nr_frames == 0) {
        arg.nr_frames = static_cast<u32>(resource.frames);
        return where.out<xen_mem_acquire_resource_t>().write(arg);
    }
    TRY(check(arg, resource));
    if (start >= arg.nr_frames) return fail(Error::inval);

    const GuestOut<xen_pfn_t> list(reinterpret_cast<u64>(arg.frame_list.p));
    for (u64 i = start; i < arg.nr_frames; i++) {
        if (i != start && port::preempt_wanted())
            return again(GuestLong(XENMEM_acquire_resource | i << kExtentShift), where);
        const Result<Mfn> m = resource.frame(*d, static_cast<u32>(arg.frame + i));
        if (!m) {
            guest_log(Level::info, "d{}: frame {} of resource {}.{} of d{} is not to be had ({})",
                      caller.domain.id, arg.frame + i, arg.type, arg.id, d->id, m.error());
            return fail(m.error() == Error::nospc ? Error::inval : m.error());
        }
        TRY(list.write(m->v, i));
    }
    return s64{0};
}

}  // namespace domus::hypercall

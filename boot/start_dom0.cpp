// SPDX-License-Identifier: GPL-2.0-or-later
// The control domain, from the boot modules to its first vCPU.
#include <algorithm>
#include <array>

#include "base/log.hpp"
#include "boot/dom0_builder.hpp"
#include "boot/dom0_layout.hpp"
#include "boot/dom0_memory.hpp"
#include "boot/kernel_image.hpp"
#include "boot/kernel_notes.hpp"
#include "boot/modules.hpp"
#include "boot/start.hpp"
#include "boot/unpack.hpp"
#include "core/affinity.hpp"
#include "core/domain.hpp"
#include "core/pages.hpp"
#include "core/vcpu_op.hpp"
#include "hypercall/dispatch.hpp"
#include "mm/box.hpp"
#include "mm/heap.hpp"
#include "mm/page_type.hpp"
#include "port/cpu.hpp"
#include "port/memory.hpp"

namespace domus::boot {

namespace {

class FramesOf final : public Dom0Frames {
  public:
    // `image`: memory of the kernel's file, and of the module it came in, that may be dom0's in the end.
    FramesOf(Domain& d, std::span<const ByteRange> image) : domain_(d), image_(image) {}
    Result<Mfn> allocate(unsigned order) override { return core::allocate_pages(domain_, order); }
    Result<> adopt(Mfn first, u64 count) override { return core::add_pages(domain_, first, count); }
    unsigned max_order() const override { return kMaxOrder; }
    void image_loaded() override {
        for (const ByteRange& range : image_) give_to_heap(range);
    }

  private:
    Domain& domain_;
    std::span<const ByteRange> image_;
};

template <class T>
T must(Attempt<T>&& attempt) {
    if (!attempt) refuse("{}", attempt.error().text);
    if constexpr (!std::is_void_v<T>) return *attempt;
}

std::span<const std::byte> module_bytes(const BootModule& module) {
    return {static_cast<const std::byte*>(port::direct_map(module.start)), module.size()};
}

// The module's frames if nothing else lies in them, else an empty range.
ByteRange own_memory(const BootModule& module) {
    if (!has_own_frames(boot_info.modules(), module, boot_info.memory)) return {};
    return {module.start.v, round_up(module.end.v, kPageSize)};
}

struct KernelFile {
    std::span<const std::byte> file;
    ByteRange area;  // memory of the unpacked file; empty if it is the module's own
};

KernelFile unpack_kernel(const KernelPayload& payload) {
    if (payload.packing == Compression::none) return {payload.bytes, {}};
    const ByteRange area = unpacking_area();
    const u64 size = round_up(payload.unpacked_size, kPageSize);
    if (area.size() < size + kUnpackScratch)
        refuse("there is not enough memory to unpack dom0's kernel ({} MiB). Give the machine more memory.",
               (payload.unpacked_size + kUnpackScratch) / kMiB);
    const std::span all(static_cast<std::byte*>(port::direct_map(Maddr(area.start))), area.size());
    const auto unpacked = unpack(payload.bytes, all.first(payload.unpacked_size), all.subspan(size));
    if (!unpacked)
        refuse("dom0's kernel cannot be unpacked: {}. Reinstall the kernel package.",
               describe(unpacked.error()));
    give_to_heap({area.start + size, area.end});
    return {all.first(*unpacked), {area.start, area.start + size}};
}

u32 dom0_vcpus() {
    return std::clamp(port::cpu_count(), options.dom0_max_vcpus.min, options.dom0_max_vcpus.max);
}

Domain& create_dom0(const Dom0Memory& memory) {
    core::grant_limits() = options.grants;
    const Result<Domain*> d =
        core::create_domain(DomId(0), {.max_vcpus = dom0_vcpus(),
                                       .privileged = true,
                                       .hardware = true,
                                       .max_pages = memory.max_pages,
                                       .max_grant_frames = options.grants.max_frames,
                                       .max_maptrack_frames = options.grants.max_maptrack_frames,
                                       .max_grant_version = options.grants.max_version});
    if (!d) refuse("dom0 cannot be created ({}). Give the machine more memory.", d.error());
    for (u32 i = 0; i < dom0_vcpus(); i++) {
        if (const Result<Vcpu*> v = core::create_vcpu(**d, VcpuId(i)); !v)
            refuse("dom0's vCPU {} cannot be created ({}). Give the machine more memory.", i, v.error());
    }
    return **d;
}

// vCPU n on CPU n, for as long as dom0 lives.
void pin_vcpus(Domain& d) {
    const usize words = core::cpu_set_words();
    core::for_each_vcpu(d, [&](Vcpu& v) {
        const u32 cpu = v.id.v % port::cpu_count();
        const Result<Array<u64>> mask = make_array<u64>(words);
        if (!mask) refuse("no memory for dom0's CPU masks. Give the machine more memory.");
        (*mask)[cpu / 64] = u64{1} << (cpu % 64);
        const std::span<const u64> only{mask->data(), words};
        if (const Result<> r = core::set_affinity(v, only, only); !r)
            log(Level::warning, "dom0's vCPU {} cannot be pinned to CPU {} ({})", v.id, cpu, r.error());
        else
            v.pinned = true;
    });
}

// The registers and tables that the first vCPU starts with (public arch-x86/xen.h: "at domain start of day").
void start_first_vcpu(Domain& d, const Dom0Start& start) {
    Result<Box<vcpu_guest_context_t>> box = make<vcpu_guest_context_t>();
    if (!box) refuse("no memory for dom0's first context. Give the machine more memory.");
    vcpu_guest_context_t& c = **box;
    c.flags = VGCF_in_kernel | VGCF_online;
    c.user_regs.rip = start.entry;
    c.user_regs.rsp = start.stack;
    c.user_regs.rsi = start.start_info;
    c.user_regs.rflags = 1u << 9;
    c.user_regs.cs = FLAT_KERNEL_CS;
    c.user_regs.ss = FLAT_KERNEL_SS;
    c.user_regs.ds = c.user_regs.es = FLAT_KERNEL_DS;
    c.kernel_ss = FLAT_KERNEL_SS;
    c.kernel_sp = start.stack;
    c.ctrlreg[3] = xen_pfn_to_cr3(start.table.v);
    Result<> r;
    do {
        r = core::vcpu_initialise(d, VcpuId(0), &c);
    } while (!r && r.error() == Error::restart);
    if (!r)
        refuse("dom0's page tables were refused ({}): a bug in Domus. Please report it with this log.",
               r.error());
    // As a toolstack leaves a guest's: pinned, so that the kernel may unpin it when it has tables of its own.
    // Validated already: this cannot be preempted.
    if (const Result<> pinned = pin_page(frame_of(start.table), PageType::l4, {.owner = d.id}); !pinned)
        refuse(
            "dom0's first page table cannot be pinned ({}): a bug in Domus. Please report it with this log.",
            pinned.error());
    // Events are masked until the kernel is ready for them.
    __atomic_store_n(&d.vcpu(VcpuId(0))->info->evtchn_upcall_mask, u8{1}, __ATOMIC_RELAXED);
    if (const Result<> up = core::vcpu_up(d, VcpuId(0)); !up)
        refuse("dom0's first vCPU does not start ({}).", up.error());
}

}  // namespace

void start_dom0() {
    if (boot_info.module_count == 0)
        refuse(
            "there is no dom0 kernel. Add it as the first module: `module2 /boot/vmlinuz-… ARGUMENTS` in "
            "GRUB, -initrd \"vmlinuz "
            "ARGUMENTS,initrd\" in QEMU.");
    const BootModule& kernel_module = boot_info.module_table[0];
    const BootModule* initrd = boot_info.module_count > 1 ? &boot_info.module_table[1] : nullptr;

    const KernelPayload payload = must(find_kernel(module_bytes(kernel_module)));
    const KernelFile kernel = unpack_kernel(payload);
    const ElfImage image = must(ElfImage::parse(kernel.file));
    const KernelNotes notes = must(read_kernel_notes(image));

    const std::array file_memory{kernel.area, own_memory(kernel_module)};
    const ByteRange initrd_memory = initrd != nullptr ? own_memory(*initrd) : ByteRange{};
    u64 available = heap_free_frames() + initrd_memory.size() / kPageSize;
    for (const ByteRange& range : file_memory) available += range.size() / kPageSize;
    const Dom0Memory memory = choose_dom0_memory(options.dom0_mem, available);
    if (memory.pages > available)
        refuse(
            "dom0_mem= asks for {} MiB, of which there are {}. Lower dom0_mem=, or give the machine more "
            "memory.",
            memory.pages * kPageSize / kMiB, available * kPageSize / kMiB);
    const Dom0Layout layout = must(lay_out_dom0(notes, image.start(), image.end(), memory.pages,
                                                initrd != nullptr ? initrd->size() : 0));
    log_dom0_layout(layout);
    Domain& d = create_dom0(memory);

    grant_devices(d);
    FramesOf frames(d, file_memory);
    const Dom0Start start = must(build_dom0({.image = &image,
                                             .notes = &notes,
                                             .layout = &layout,
                                             .initrd = initrd != nullptr ? initrd->start : Maddr(0),
                                             .initrd_bytes = initrd != nullptr ? initrd->size() : 0,
                                             .initrd_in_place = initrd_memory.size() != 0,
                                             .command_line = module_arguments(boot_info, kernel_module),
                                             .extra = options.dom0_extra,
                                             .shared_info = maddr(d.shared_mfn),
                                             .video = boot_info.video,
                                             .efi = boot_info.efi_system_table != 0,
                                             .fill_hypercall_page = hypercall::fill_hypercall_page},
                                            frames));
    if (!start.initrd_taken) give_to_heap(initrd_memory);
    for (const BootModule& module : boot_info.modules().subspan(std::min<usize>(2, boot_info.module_count))) {
        log(Level::warning, "boot module '{}' is of no use here", module.command_line);
        give_to_heap(own_memory(module));
    }
    if (options.dom0_vcpus_pin) pin_vcpus(d);
    start_first_vcpu(d, start);
    log(Level::info, "dom0 has {} MiB and {} vCPUs", memory.pages * kPageSize / kMiB, d.max_vcpus);
    core::unpause_domain(d);
}

}  // namespace domus::boot

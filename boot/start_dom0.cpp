// SPDX-License-Identifier: GPL-2.0-or-later
// The control domain, from the boot modules to its first vCPU.
#include <algorithm>
#include <bit>

#include "base/log.hpp"
#include "boot/dom0_builder.hpp"
#include "boot/dom0_layout.hpp"
#include "boot/dom0_memory.hpp"
#include "boot/kernel_image.hpp"
#include "boot/kernel_notes.hpp"
#include "boot/modules.hpp"
#include "boot/start.hpp"
#include "boot/unpack.hpp"
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

// Frames for the length of the boot, given back at the end of a scope.
class BootBuffer {
  public:
    explicit BootBuffer(u64 bytes) : pages_((bytes + kPageSize - 1) / kPageSize) {
        const unsigned order = static_cast<unsigned>(std::bit_width(pages_ - 1));
        const Result<Mfn> first = order <= kMaxOrder ? alloc_frames(order) : fail(Error::nomem);
        if (!first) return;
        first_ = *first;
        // What rounding up to a power of two took too much goes back at once.
        give_back(pages_, u64{1} << order);
    }
    BootBuffer(const BootBuffer&) = delete;
    BootBuffer& operator=(const BootBuffer&) = delete;
    ~BootBuffer() {
        if (first_ != kNoMfn) give_back(0, pages_);
    }
    explicit operator bool() const { return first_ != kNoMfn; }
    std::span<std::byte> bytes() const { return {port::frame_ptr<std::byte>(first_), pages_ * kPageSize}; }

  private:
    // Frees frames [from, to) of the block in the largest aligned pieces.
    void give_back(u64 from, u64 to) {
        while (from < to) {
            const unsigned aligned = from == 0 ? kMaxOrder : static_cast<unsigned>(std::countr_zero(from));
            const unsigned fits = static_cast<unsigned>(std::bit_width(to - from)) - 1;
            const unsigned order = std::min({aligned, fits, kMaxOrder});
            free_frames(first_ + from, order);
            from += u64{1} << order;
        }
    }

    Mfn first_ = kNoMfn;
    u64 pages_ = 0;
};

class FramesOf final : public Dom0Frames {
  public:
    explicit FramesOf(Domain& d) : domain_(d) {}
    Result<Mfn> allocate(unsigned order) override { return core::allocate_pages(domain_, order); }
    Result<> adopt(Mfn first, u64 count) override { return core::add_pages(domain_, first, count); }
    unsigned max_order() const override { return kMaxOrder; }

  private:
    Domain& domain_;
};

template <class T>
T must(Attempt<T>&& attempt) {
    if (!attempt) refuse("{}", attempt.error().text);
    if constexpr (!std::is_void_v<T>) return *attempt;
}

std::span<const std::byte> module_bytes(const BootModule& module) {
    return {static_cast<const std::byte*>(port::direct_map(module.start)), module.size()};
}

u32 dom0_vcpus() {
    return std::clamp(port::cpu_count(), options.dom0_max_vcpus.min, options.dom0_max_vcpus.max);
}

Domain& create_dom0(const Dom0Memory& memory) {
    const Result<Domain*> d = core::create_domain(
        DomId(0),
        {.max_vcpus = dom0_vcpus(), .privileged = true, .hardware = true, .max_pages = memory.max_pages});
    if (!d) refuse("dom0 cannot be created ({}). Give the machine more memory.", d.error());
    for (u32 i = 0; i < dom0_vcpus(); i++) {
        if (const Result<Vcpu*> v = core::create_vcpu(**d, VcpuId(i)); !v)
            refuse("dom0's vCPU {} cannot be created ({}). Give the machine more memory.", i, v.error());
    }
    return **d;
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
    std::span<const std::byte> file = payload.bytes;
    BootBuffer unpacked(payload.packing == Compression::none ? kPageSize : payload.unpacked_size);
    if (payload.packing != Compression::none) {
        BootBuffer scratch(kUnpackScratch);
        if (!unpacked || !scratch)
            refuse(
                "there is not enough memory to unpack dom0's kernel ({} MiB). Give the machine more memory.",
                payload.unpacked_size / kMiB);
        const auto size = unpack(payload.bytes, unpacked.bytes(), scratch.bytes());
        if (!size)
            refuse("dom0's kernel cannot be unpacked: {}. Reinstall the kernel package.",
                   describe(size.error()));
        file = unpacked.bytes().first(*size);
    }
    const ElfImage image = must(ElfImage::parse(file));
    const KernelNotes notes = must(read_kernel_notes(image));

    const Dom0Memory memory = choose_dom0_memory(options.dom0_mem, heap_free_frames());
    const Dom0Layout layout = must(lay_out_dom0(notes, image.start(), image.end(), memory.pages,
                                                initrd != nullptr ? initrd->size() : 0));
    log_dom0_layout(layout);
    Domain& d = create_dom0(memory);

    grant_devices(d);
    FramesOf frames(d);
    const Dom0Start start =
        must(build_dom0({.image = &image,
                         .notes = &notes,
                         .layout = &layout,
                         .initrd = initrd != nullptr ? initrd->start : Maddr(0),
                         .initrd_bytes = initrd != nullptr ? initrd->size() : 0,
                         .initrd_in_place = initrd != nullptr &&
                                            has_own_frames(boot_info.modules(), *initrd, boot_info.memory),
                         .command_line = module_arguments(boot_info, kernel_module),
                         .extra = options.dom0_extra,
                         .shared_info = maddr(d.shared_mfn),
                         .video = boot_info.video,
                         .efi = boot_info.efi_system_table != 0,
                         .fill_hypercall_page = hypercall::fill_hypercall_page},
                        frames));
    start_first_vcpu(d, start);
    log(Level::info, "dom0 has {} MiB and {} vCPUs", memory.pages * kPageSize / kMiB, d.max_vcpus);
    core::unpause_domain(d);
}

}  // namespace domus::boot

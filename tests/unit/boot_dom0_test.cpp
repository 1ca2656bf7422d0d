// SPDX-License-Identifier: GPL-2.0-or-later
// Dom0 built in simulated memory, and looked at by a page-table walker of the test's own, which knows nothing
// of the builder.
#include "boot/dom0_builder.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "arch_state/layout.hpp"
#include "arch_state/pte.hpp"
#include "fakes/machine.hpp"
#include "mm/frame_refs.hpp"
#include "mm/page_type.hpp"
#include "port/memory.hpp"
#include "unit/boot_kernel_maker.hpp"

namespace domus {
namespace {

using test::File;
using test::KernelMaker;

constexpr DomId kDom0{0};

// Hands out frames in random order and refuses blocks above a size, so that nothing is contiguous by chance.
class ScatteredFrames final : public Dom0Frames {
  public:
    ScatteredFrames(u64 first, u64 end, unsigned largest, u32 seed) : largest_(largest), random_(seed) {
        const u64 block = u64{1} << largest;
        for (u64 m = round_up(first, block); m + block <= end; m += block) blocks_.push_back(m);
        std::shuffle(blocks_.begin(), blocks_.end(), random_);
    }
    Result<Mfn> allocate(unsigned order) override {
        if (order > largest_) return fail(Error::nomem);
        if (order < largest_) {
            auto& small = split_[order];
            if (small.empty()) {
                const auto whole = allocate(order + 1);
                if (!whole) return whole;
                small.push_back(whole->v);
                small.push_back(whole->v + (u64{1} << order));
                unaccount(*whole, order + 1);
            }
            const Mfn m{small.back()};
            small.pop_back();
            return account(m, order);
        }
        if (blocks_.empty()) return fail(Error::nomem);
        const Mfn m{blocks_.back()};
        blocks_.pop_back();
        return account(m, order);
    }
    Result<> adopt(Mfn first, u64 count) override {
        if (refuse_adoption) return fail(Error::busy);
        for (u64 i = 0; i < count; i++) owned.insert(first.v + i);
        return {};
    }
    unsigned max_order() const override { return 18; }

    std::set<u64> owned;
    bool refuse_adoption = false;

  private:
    Mfn account(Mfn m, unsigned order) {
        __builtin_memset(port::frame_ptr(m), 0xa5, kPageSize << order);  // what was there before
        for (u64 i = 0; i < u64{1} << order; i++) owned.insert(m.v + i);
        return m;
    }
    void unaccount(Mfn m, unsigned order) {
        for (u64 i = 0; i < u64{1} << order; i++) owned.erase(m.v + i);
    }
    unsigned largest_;
    std::mt19937 random_;
    std::vector<u64> blocks_;
    std::map<unsigned, std::vector<u64>> split_;
};

struct Mapping {
    u64 mfn = 0;
    bool writable = true, user = true, executable = true;
};

struct World {
    fakes::Machine machine;
    ScatteredFrames frames;
    File file;
    ElfImage image;
    KernelNotes notes;
    Dom0Layout layout;
    Dom0Request request;
    Dom0Start start;
    std::vector<u8> initrd;

    static constexpr u64 kInitrdAt = 0x400000;

    World(File kernel, u64 machine_bytes, u64 dom0_pages, u64 initrd_bytes, unsigned largest, u32 seed)
        : machine(machine_bytes, 1),
          frames(0x1000000 / kPageSize, machine_bytes / kPageSize, largest, seed),
          file(std::move(kernel)),
          image(ElfImage::parse(file).value()),
          notes(read_kernel_notes(image).value()),
          layout(lay_out_dom0(notes, image.start(), image.end(), dom0_pages, initrd_bytes).value()) {
        std::mt19937 random(seed);
        initrd.resize(initrd_bytes);
        for (u8& b : initrd) b = static_cast<u8>(random());
        __builtin_memset(port::direct_map(Maddr(kInitrdAt)), 0xee,
                         round_up(initrd_bytes, kPageSize) + kPageSize);
        if (initrd_bytes != 0)
            __builtin_memcpy(port::direct_map(Maddr(kInitrdAt)), initrd.data(), initrd_bytes);
        request.image = &image, request.notes = &notes, request.layout = &layout;
        request.initrd = Maddr(kInitrdAt), request.initrd_bytes = initrd_bytes,
        request.initrd_in_place = true;
        request.command_line = "console=hvc0", request.extra = "quiet";
        request.shared_info = Maddr(0x3000);
        request.fill_hypercall_page = [](void* p) { __builtin_memset(p, 0x77, kPageSize); };
    }
    Attempt<> build() {
        const auto r = build_dom0(request, frames);
        if (!r) return std::unexpected(r.error());
        start = *r;
        return {};
    }

    static u64 entry(u64 table, u64 index) {
        return static_cast<u64*>(port::direct_map(Maddr(table << 12)))[index];
    }

    std::optional<Mapping> walk(u64 va) const {
        Mapping m;
        m.mfn = start.table.v;
        for (int level = 4; level >= 1; level--) {
            const u64 e = entry(m.mfn, va >> (12 + 9 * (level - 1)) & 511);
            if ((e & 1) == 0) return std::nullopt;
            if (level > 1 && (e & 0x80) != 0) return std::nullopt;  // no large pages
            m.writable &= (e >> 1 & 1) != 0;
            m.user &= (e >> 2 & 1) != 0;
            m.executable &= (e >> 63) == 0;
            m.mfn = e >> 12 & 0xffffffffff;
        }
        return m;
    }
    // All tables, and all leaves, of the whole address space.
    void collect(u64 table, int level, u64 va, std::map<u64, Mapping>& leaves, std::set<u64>& tables) const {
        EXPECT_TRUE(tables.insert(table).second) << "a table is linked twice";
        for (u64 i = 0; i < 512; i++) {
            const u64 e = entry(table, i);
            if ((e & 1) == 0) continue;
            u64 at = va | i << (12 + 9 * (level - 1));
            if (level == 4 && i >= 256) at |= 0xffff000000000000;
            if (level > 1)
                collect(e >> 12 & 0xffffffffff, level - 1, at, leaves, tables);
            else
                leaves[at] = {e >> 12 & 0xffffffffff, (e & 2) != 0, (e & 4) != 0, (e >> 63) == 0};
        }
    }
    std::string read(u64 va, u64 size) const {
        std::string s;
        while (size > 0) {
            const auto m = walk(va);
            if (!m) return s;
            const u64 offset = va & 4095, n = std::min(size, 4096 - offset);
            s.append(static_cast<const char*>(port::direct_map(Maddr(m->mfn << 12))) + offset, n);
            va += n, size -= n;
        }
        return s;
    }
    template <class T>
    T get(u64 va) const {
        T value;
        const std::string s = read(va, sizeof value);
        EXPECT_EQ(s.size(), sizeof value);
        __builtin_memcpy(&value, s.data(), s.size());
        return value;
    }

    void verify(bool contents = true);
};

void World::verify(bool contents) {
    const auto si_text = read(start.start_info, sizeof(start_info_t));
    ASSERT_EQ(si_text.size(), sizeof(start_info_t));
    start_info_t si;
    __builtin_memcpy(&si, si_text.data(), sizeof si);
    EXPECT_STREQ(si.magic, "xen-3.0-x86_64");
    EXPECT_EQ(si.shared_info, 0x3000u);
    EXPECT_EQ(si.flags & 3, 3u);
    EXPECT_STREQ(reinterpret_cast<const char*>(si.cmd_line), "console=hvc0 quiet");
    EXPECT_EQ(si.store_mfn, 0u);

    // Frames: all different, dom0's, and each is where the list and the M2P say.
    std::vector<u64> p2m(si.nr_pages);
    for (u64 i = 0; i < p2m.size(); i += 512) {
        const u64 n = std::min<u64>(512, p2m.size() - i);
        const std::string s = read(si.mfn_list + i * 8, n * 8);
        ASSERT_EQ(s.size(), n * 8);
        __builtin_memcpy(p2m.data() + i, s.data(), n * 8);
    }
    const std::set<u64> distinct(p2m.begin(), p2m.end());
    EXPECT_EQ(distinct.size(), p2m.size());
    for (u64 pfn = 0; pfn < p2m.size(); pfn++) {
        ASSERT_EQ(frames.owned.count(p2m[pfn]), 1u);
        ASSERT_EQ(port::m2p_base()[p2m[pfn]], pfn);
    }
    EXPECT_EQ(frames.owned.size(), p2m.size()) << "dom0 owns frames that it does not know of";

    // The region maps pfn 0 upward, at the virtual base, to its end; tables read-only, all else writable.
    std::map<u64, Mapping> leaves;
    std::set<u64> tables;
    collect(start.table.v, 4, 0, leaves, tables);
    const u64 base = notes.virt_base;
    u64 end = base;
    for (; leaves.count(end) == 1; end += kPageSize) {
        const Mapping& m = leaves[end];
        ASSERT_EQ(m.mfn, p2m[(end - base) >> 12]) << std::hex << end;
        EXPECT_TRUE(m.user && m.executable);
        const bool table = end >= si.pt_base && end < si.pt_base + si.nr_pt_frames * kPageSize;
        EXPECT_EQ(m.writable, !table) << std::hex << end;
    }
    EXPECT_EQ((end % (4 * kMiB)), 0u);
    EXPECT_GE(end - start.stack, 512 * kKiB);
    for (const auto& [va, m] : leaves) {
        if (tables.count(m.mfn) != 0) {
            EXPECT_FALSE(m.writable) << "a table is writable at " << std::hex << va;
        }
        const bool in_region = va >= base && va < end;
        const bool in_list = va >= si.mfn_list && va < si.mfn_list + si.nr_pages * 8;
        EXPECT_TRUE(in_region || in_list) << std::hex << va;
        EXPECT_FALSE(va >= layout::kHypervisorStart && va < layout::kHypervisorEnd);
    }
    const auto root = walk(si.pt_base);
    ASSERT_TRUE(root);
    EXPECT_EQ(root->mfn, start.table.v);
    for (u64 t : tables) EXPECT_EQ(distinct.count(t), 1u);

    // The list's own frames, and the tables that map it if it is apart.
    std::set<u64> list_frames;
    for (u64 i = 0; i < si.nr_p2m_frames; i++) list_frames.insert(p2m[si.first_p2m_pfn + i]);
    for (u64 va = si.mfn_list; va < si.mfn_list + si.nr_pages * 8; va += kPageSize) {
        ASSERT_TRUE(walk(va));
        EXPECT_EQ(list_frames.count(walk(va)->mfn), 1u);
        EXPECT_TRUE(walk(va)->writable);
    }
    std::set<u64> region_tables;
    for (u64 i = 0; i < si.nr_pt_frames; i++) region_tables.insert(walk(si.pt_base + i * kPageSize)->mfn);
    for (u64 t : tables) EXPECT_TRUE(region_tables.count(t) == 1 || list_frames.count(t) == 1);

    // Contents.
    for (u32 i = 0; contents && i < image.program_headers(); i++) {
        const auto s = image.load_segment(i);
        if (!s) continue;
        const std::string there = read(notes.virtual_of(s->physical), s->size);
        ASSERT_EQ(there.size(), s->size);
        std::string expected(reinterpret_cast<const char*>(s->bytes.data()), s->bytes.size());
        expected.resize(s->size);
        if (notes.hypercall_page) {
            const u64 at = *notes.hypercall_page - notes.virtual_of(s->physical);
            if (at < expected.size()) expected.replace(at, kPageSize, kPageSize, '\x77');
        }
        EXPECT_TRUE(there == expected) << "segment " << i;
    }
    EXPECT_EQ(read(start.stack - kPageSize, kPageSize), std::string(kPageSize, '\0'));
    if (!initrd.empty()) {
        ASSERT_EQ(si.mod_len, initrd.size());
        std::string got;
        if ((si.flags & SIF_MOD_START_PFN) != 0) {
            for (u64 i = 0; i * kPageSize < initrd.size(); i++) {
                const void* p = port::direct_map(Maddr(p2m[si.mod_start + i] << 12));
                got.append(static_cast<const char*>(p), kPageSize);
            }
        } else {
            got = read(si.mod_start, round_up(initrd.size(), kPageSize));
        }
        std::string expected(initrd.begin(), initrd.end());
        expected.resize(round_up(initrd.size(), kPageSize));
        EXPECT_TRUE(got == expected);
    } else {
        EXPECT_EQ(si.mod_len, 0u);
    }

    // The production code that guards every guest's tables accepts these.
    ram_add(Mfn(0), machine.ram_bytes / kPageSize);
    for (u64 m : frames.owned) assign_frame(Mfn(m), kDom0);
    Frame& top = frame_of(start.table);
    ASSERT_TRUE(get_ref(top, kDom0));
    const TableRules rules{.owner = kDom0};
    const auto pinned = pin_page(top, PageType::l4, rules);
    EXPECT_TRUE(pinned);
    for (u64 t : tables) EXPECT_TRUE(is_table(TypeWord{frame_of(Mfn(t)).type.load()}.type()));
    ASSERT_TRUE(unpin_page(top, Preempt::no));
}

TEST(Dom0Build, LikeLinux) {
    World w(KernelMaker::linux_like().make(), 128 * kMiB, 20000, 12345, 12, 1);
    ASSERT_TRUE(w.build());
    w.verify();
    EXPECT_EQ(w.start.entry, 0xffffffff81000123u);
    EXPECT_EQ(w.layout.frame_list.start, 0x8000000000u);
    const auto si = w.get<start_info_t>(w.start.start_info);
    EXPECT_EQ(si.mfn_list, 0x8000000000u);
    EXPECT_TRUE((si.flags & SIF_MOD_START_PFN) != 0);
    EXPECT_EQ(w.frames.owned.count(World::kInitrdAt >> 12), 1u);  // taken over, not copied
    EXPECT_EQ(si.console.dom0.info_size, 0u);
}

TEST(Dom0Build, PlainKernel) {
    World w(KernelMaker::plain().make(), 128 * kMiB, 20000, 12345, 12, 2);
    ASSERT_TRUE(w.build());
    w.verify();
    EXPECT_EQ(w.frames.owned.count(World::kInitrdAt >> 12), 0u);  // copied
    EXPECT_TRUE(w.layout.region.contains(w.layout.frame_list.start));
    EXPECT_TRUE(w.layout.region.contains(w.layout.initrd.start));
}

TEST(Dom0Build, ScatteredMemory) {
    for (u32 seed = 10; seed < 14; seed++) {
        World w(seed % 2 ? KernelMaker::plain().make() : KernelMaker::linux_like().make(), 128 * kMiB,
                9000 + seed * 7, seed * 4096, 8, seed);
        ASSERT_TRUE(w.build());
        w.verify();
    }
}

TEST(Dom0Build, InitrdThatCannotBeTakenOver) {
    World w(KernelMaker::linux_like().make(), 128 * kMiB, 16000, 50000, 12, 3);
    w.frames.refuse_adoption = true;
    ASSERT_TRUE(w.build());
    w.verify();
    EXPECT_TRUE(w.layout.initrd_by_frame);
}

TEST(Dom0Build, NoInitrd) {
    World w(KernelMaker::linux_like().make(), 128 * kMiB, 16000, 0, 12, 4);
    ASSERT_TRUE(w.build());
    w.verify();
    EXPECT_EQ(w.layout.initrd_frames.count, 0u);
}

TEST(Dom0Build, Screen) {
    World w(KernelMaker::linux_like().make(), 128 * kMiB, 16000, 0, 12, 5);
    w.request.video = {.kind = VideoMode::Kind::linear,
                       .address = 0x1fd000000,
                       .pitch = 4096,
                       .width = 1024,
                       .height = 768,
                       .bits_per_pixel = 32,
                       .red_position = 16,
                       .red_size = 8,
                       .green_position = 8,
                       .green_size = 8,
                       .blue_position = 0,
                       .blue_size = 8};
    ASSERT_TRUE(w.build());
    const auto si = w.get<start_info_t>(w.start.start_info);
    ASSERT_EQ(si.console.dom0.info_size, sizeof(dom0_vga_console_info_t));
    const auto v = w.get<dom0_vga_console_info_t>(w.start.start_info + si.console.dom0.info_off);
    EXPECT_EQ(v.video_type, XEN_VGATYPE_VESA_LFB);
    EXPECT_EQ(v.u.vesa_lfb.lfb_base, 0xfd000000u);
    EXPECT_EQ(v.u.vesa_lfb.ext_lfb_base, 1u);
    EXPECT_EQ(v.u.vesa_lfb.lfb_size, 48u);
    EXPECT_EQ(v.u.vesa_lfb.rsvd_pos, 24);
}

TEST(Dom0Build, LongCommandLineIsCut) {
    World w(KernelMaker::linux_like().make(), 128 * kMiB, 16000, 0, 12, 6);
    const std::string line(3000, 'x');
    w.request.command_line = line;
    ASSERT_TRUE(w.build());
    const auto si = w.get<start_info_t>(w.start.start_info);
    EXPECT_EQ(std::strlen(reinterpret_cast<const char*>(si.cmd_line)), size_t{MAX_GUEST_CMDLINE - 1});
}

TEST(Dom0Build, NotEnoughFrames) {
    World w(KernelMaker::linux_like().make(), 128 * kMiB, 40000, 0, 12, 7);
    const auto r = w.build();
    ASSERT_FALSE(r);
    EXPECT_NE(std::string(r.error().text).find("memory for dom0"), std::string::npos);
}

// Kernels that say strange things of themselves are refused, or built without touching memory that is not
// dom0's.
TEST(Dom0Build, SurvivesStrangeKernels) {
    std::mt19937_64 random(21);
    const u64 base = KernelMaker::kBase;
    const auto strange = [&random, base]() -> u64 {
        const u64 values[] = {0,
                              1,
                              base,
                              base + 16 * kMiB,
                              base + 16 * kMiB + 0x18000,
                              base - kMiB,
                              ~u64{0},
                              ~u64{0xfff},
                              0x8000000000,
                              0x7fffffffe000,
                              0xffff880000000000,
                              0xffff87fffffff000,
                              random(),
                              random() & ~u64{0xfff},
                              random() % kGiB};
        return values[random() % std::size(values)];
    };
    int built = 0;
    for (int round = 0; round < 300; round++) {
        KernelMaker k = KernelMaker::linux_like();
        k.text_size = 0x100, k.data_file_size = 0x100;
        const u32 kinds[] = {XEN_ELFNOTE_ENTRY,    XEN_ELFNOTE_VIRT_BASE,    XEN_ELFNOTE_HYPERCALL_PAGE,
                             XEN_ELFNOTE_INIT_P2M, XEN_ELFNOTE_PADDR_OFFSET, XEN_ELFNOTE_MOD_START_PFN};
        for (u64 n = random() % 3; n > 0; n--) k.notes.number(kinds[random() % std::size(kinds)], strange());
        File f = k.make();
        // Sizes and addresses of the segments.
        for (u64 n = random() % 3; n > 0; n--) {
            const u64 at = sizeof(abi::Elf64Header) + random() % 2 * sizeof(abi::Elf64ProgramHeader) + 24 +
                           random() % 3 * 8;
            const u64 value = random() % 2 ? strange() : random() % (64 * kMiB);
            __builtin_memcpy(f.data() + at, &value, sizeof value);
        }
        const auto image = ElfImage::parse(f);
        if (!image) continue;
        const auto notes = read_kernel_notes(*image);
        if (!notes) continue;
        const u64 initrd = random() % 2 ? random() % 100000 : 0;
        if (!lay_out_dom0(*notes, image->start(), image->end(), 16000, initrd)) continue;
        World w(f, 96 * kMiB, 16000, initrd, 11, static_cast<u32>(round));
        if (!w.build()) continue;
        if (built++ % 8 == 0) w.verify(false);  // segments may overlap
    }
    EXPECT_GT(built, 30);
}

// Layouts of every size satisfy the ABI's rules.
TEST(Dom0Layout, Properties) {
    std::mt19937_64 random(1);
    for (int round = 0; round < 2000; round++) {
        KernelNotes n;
        n.virt_base = random() % 2 ? 0xffffffff80000000 : 0x100000 * (random() % 1000);
        n.entry = n.virt_base;
        if (random() % 2) n.init_p2m = 0x8000000000;
        n.mod_start_pfn = random() % 2 == 0;
        const u64 image_start = random() % 5000 * kPageSize,
                  image_end = image_start + (1 + random() % 20000) * kPageSize;
        const u64 pages = random() % (round % 3 == 0 ? u64{1} << 34 : 300000),
                  initrd = random() % (300 * kMiB);
        const auto a = lay_out_dom0(n, image_start, image_end, pages, round % 5 == 0 ? 0 : initrd);
        if (!a) continue;
        const Dom0Layout& l = *a;
        EXPECT_EQ(l.region.end % (4 * kMiB), 0u);
        EXPECT_GE(l.region.end - l.stack.end, 512 * kKiB);
        EXPECT_LT(l.region.end - l.stack.end, 512 * kKiB + 4 * kMiB);
        EXPECT_GT(l.region.end, l.region.start);
        u64 at = l.kernel.end;
        for (const VirtualRange& r :
             {l.initrd, l.list_apart ? VirtualRange{} : l.frame_list, l.start_info, l.tables, l.stack}) {
            if (r.size() == 0) continue;
            EXPECT_EQ(r.start, at);
            at = r.end;
        }
        EXPECT_LE(l.first_free_pfn(), pages);
        const u64 need = 1 + tables_for(l.region.start, l.region.end, 1) +
                         tables_for(l.region.start, l.region.end, 2) +
                         tables_for(l.region.start, l.region.end, 3);
        EXPECT_GE(l.tables.pages(), need);
        EXPECT_LE(l.tables.pages(), need + 8);
    }
}

TEST(Dom0Layout, AsTheReferenceLaysOutDebiansKernel) {
    KernelNotes n;
    n.virt_base = 0xffffffff80000000, n.entry = 0xffffffff830791c0, n.init_p2m = 0x8000000000,
    n.mod_start_pfn = true;
    const auto l = lay_out_dom0(n, 0x1000000, 0x4a00000, 262144, 151736320);
    ASSERT_TRUE(l);
    EXPECT_EQ(l->kernel.start, 0xffffffff81000000u);
    EXPECT_EQ(l->start_info.start, 0xffffffff84a00000u);
    EXPECT_EQ(l->tables.start, 0xffffffff84a01000u);
    EXPECT_EQ(l->tables.end, 0xffffffff84a2a000u);
    EXPECT_EQ(l->stack.start, 0xffffffff84a2a000u);
    EXPECT_EQ(l->region.end, 0xffffffff84c00000u);
    EXPECT_EQ(l->frame_list.end, 0x8000200000u);
}

TEST(Dom0Layout, Refusals) {
    KernelNotes n;
    n.virt_base = 0xffffffff80000000, n.entry = n.virt_base + 0x1000000;
    const auto text = [](const auto& a) { return a ? std::string() : std::string(a.error().text); };
    // 1 TiB of memory without a place of its own for the list: 2 GiB of list.
    EXPECT_NE(text(lay_out_dom0(n, 0x1000000, 0x4a00000, u64{1} << 28, 0)).find("do not fit"),
              std::string::npos);
    EXPECT_NE(text(lay_out_dom0(n, 0x1000000, 0x4a00000, 1000, 0)).find("too little memory"),
              std::string::npos);
    EXPECT_NE(text(lay_out_dom0(n, 0x1000000, 0x4a00000, 1u << 18, ~u64{0} - 4096)).find("do not fit"),
              std::string::npos);
    n.init_p2m = 0xffffffff00000000;  // next to the kernel
    EXPECT_NE(text(lay_out_dom0(n, 0x1000000, 0x4a00000, 1u << 18, 0)).find("do not fit"), std::string::npos);
    n.init_p2m = 0xffff7ffffffff000;
    EXPECT_NE(text(lay_out_dom0(n, 0x1000000, 0x4a00000, 1u << 18, 0)), "");
    n.init_p2m = 0x8000000000;
    EXPECT_EQ(text(lay_out_dom0(n, 0x1000000, 0x4a00000, u64{1} << 28, 0)), "");
}

// Debian's kernel, where DOMUS_TEST_KERNEL names its file.
TEST(Dom0Build, RealKernel) {
    const char* path = std::getenv("DOMUS_TEST_KERNEL");
    if (path == nullptr) GTEST_SKIP() << "DOMUS_TEST_KERNEL names no kernel";
    std::ifstream in(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const auto p = find_kernel(std::as_bytes(std::span(text)));
    ASSERT_TRUE(p);
    File kernel(p->unpacked_size), scratch(kUnpackScratch);
    if (p->packing == Compression::none)
        kernel.assign(p->bytes.begin(), p->bytes.end());
    else
        ASSERT_EQ(unpack(p->bytes, kernel, scratch), kernel.size());
    World w(std::move(kernel), kGiB, 150000, 9'000'001, 14, 8);
    ASSERT_TRUE(w.build());
    w.verify();
}

}  // namespace
}  // namespace domus

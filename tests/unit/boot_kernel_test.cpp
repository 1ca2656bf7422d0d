// SPDX-License-Identifier: GPL-2.0-or-later
// Kernels as files: what is taken, what is refused and with which words, and that no input is read out of
// bounds.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <random>

#include "boot/kernel_image.hpp"
#include "boot/kernel_notes.hpp"
#include "unit/boot_kernel_maker.hpp"

namespace domus {
namespace {

using test::File;
using test::KernelMaker;

Attempt<KernelNotes> notes_of(const File& f) {
    const auto image = ElfImage::parse(f);
    if (!image) return std::unexpected(image.error());
    return read_kernel_notes(*image);
}

// The refusal, which must say what is wrong and what to do.
template <class T>
std::string refused(const Attempt<T>& a) {
    if (a) return "";
    const std::string text = a.error().text;
    EXPECT_NE(text.find(". "), std::string::npos) << text;
    EXPECT_TRUE(text.ends_with('.')) << text;
    EXPECT_LT(text.size(), 230u) << "does not fit into one line of the log: " << text;
    return text;
}
#define EXPECT_REFUSED(attempt, word) \
    EXPECT_NE(refused(attempt).find(word), std::string::npos) << refused(attempt)

// As a gzip file of stored blocks (RFC 1951, 3.2.4; RFC 1952).
File gzip(const File& in) {
    File out;
    const auto put = [&out](u64 value, int size) {
        for (; size > 0; size--, value >>= 8) out.push_back(static_cast<std::byte>(value));
    };
    put(0x00088b1f, 4), put(0, 4), put(0x0300, 2);
    u32 crc = ~0u;
    for (std::byte b : in) {
        crc ^= static_cast<u32>(b);
        for (int i = 0; i < 8; i++) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
    }
    for (usize at = 0; at < in.size();) {
        const usize n = std::min<usize>(in.size() - at, 60000);
        put(at + n == in.size(), 1), put(n, 2), put(~n & 0xffff, 2);
        out.insert(out.end(), in.begin() + static_cast<long>(at), in.begin() + static_cast<long>(at + n));
        at += n;
    }
    put(~crc & 0xffffffff, 4), put(in.size(), 4);
    return out;
}

TEST(KernelNotes, Linux) {
    const File f = KernelMaker::linux_like().make();
    const auto n = notes_of(f);
    ASSERT_TRUE(n) << n.error().text;
    EXPECT_EQ(n->entry, 0xffffffff81000123u);
    EXPECT_EQ(n->virt_base, 0xffffffff80000000u);
    EXPECT_EQ(n->hypercall_page, 0xffffffff81001000u);
    EXPECT_EQ(n->init_p2m, 0x8000000000u);
    EXPECT_TRUE(n->mod_start_pfn && n->suspend_cancel && n->supported_given);
    EXPECT_EQ(n->guest_os, "linux");
    EXPECT_EQ(n->loader, "generic");
    EXPECT_EQ(n->required, 1u << XENFEAT_writable_page_tables);
    EXPECT_EQ(n->supported, 0x8801u | 1u << XENFEAT_pae_pgdir_above_4gb);
    const auto image = ElfImage::parse(f);
    EXPECT_EQ(image->start(), 16 * kMiB);
    EXPECT_EQ(image->end(), 16 * kMiB + 0x19000);
    EXPECT_EQ(n->virtual_of(image->start()), 0xffffffff81000000u);
}

TEST(KernelNotes, LegacySection) {
    KernelMaker k;
    k.legacy = std::string(
        "GUEST_OS=netbsd,XEN_VER=xen-3.0,VIRT_BASE=0xffffffff80000000,ELF_PADDR_OFFSET=0x0,"
        "VIRT_ENTRY=0xffffffff81000010,HYPERCALL_PAGE=0x1002,LOADER=generic,PAE=yes\0",
        154);
    const auto n = notes_of(k.make());
    ASSERT_TRUE(n) << n.error().text;
    EXPECT_EQ(n->entry, 0xffffffff81000010u);
    EXPECT_EQ(n->hypercall_page, 0xffffffff81002000u);
    EXPECT_FALSE(n->init_p2m);
}

TEST(KernelNotes, Refusals) {
    EXPECT_REFUSED(notes_of(KernelMaker{}.make()), "PV notes");
    KernelMaker pvh;
    pvh.notes.text(XEN_ELFNOTE_XEN_VERSION, "xen-3.0").number32(XEN_ELFNOTE_PHYS32_ENTRY, 0x1000000);
    EXPECT_REFUSED(notes_of(pvh.make()), "PVH");
    KernelMaker other = KernelMaker::plain();
    other.notes.text(XEN_ELFNOTE_XEN_VERSION, "xen-9.9");
    EXPECT_REFUSED(notes_of(other.make()), "version");
    KernelMaker required = KernelMaker::plain();
    required.notes.text(XEN_ELFNOTE_FEATURES, "!telepathy");
    EXPECT_REFUSED(notes_of(required.make()), "requires");
    required = KernelMaker::plain();
    required.notes.text(XEN_ELFNOTE_FEATURES, "!auto_translated_physmap");
    EXPECT_REFUSED(notes_of(required.make()), "requires");
    KernelMaker guest = KernelMaker::plain();
    guest.notes.number32(XEN_ELFNOTE_SUPPORTED_FEATURES, 1);
    EXPECT_REFUSED(notes_of(guest.make()), "dom0");
    KernelMaker b32 = KernelMaker::linux_like();
    b32.elf_class = 1;
    EXPECT_REFUSED(notes_of(b32.make()), "32-bit");
    KernelMaker arm = KernelMaker::linux_like();
    arm.machine = 183;
    EXPECT_REFUSED(notes_of(arm.make()), "processor");
}

TEST(KernelNotes, ImpossibleAddresses) {
    const struct {
        u32 note;
        u64 value;
    } table[] = {{XEN_ELFNOTE_ENTRY, 0x1000},
                 {XEN_ELFNOTE_VIRT_BASE, 0x123},
                 {XEN_ELFNOTE_VIRT_BASE, 0x800000000000},
                 {XEN_ELFNOTE_VIRT_BASE, 0xffff800000000000},
                 {XEN_ELFNOTE_VIRT_BASE, 0xfffffffffffff000},
                 {XEN_ELFNOTE_PADDR_OFFSET, 0x7ffff00000000000},
                 {XEN_ELFNOTE_PADDR_OFFSET, 32 * kMiB},
                 {XEN_ELFNOTE_HYPERCALL_PAGE, 0},
                 {XEN_ELFNOTE_HYPERCALL_PAGE, 0xffffffff81000001},
                 {XEN_ELFNOTE_INIT_P2M, 0xffff810000000000},
                 {XEN_ELFNOTE_INIT_P2M, 0x1234500000000000},
                 {XEN_ELFNOTE_HV_START_LOW, 0xffff900000000000}};
    for (const auto& row : table) {
        KernelMaker k = KernelMaker::linux_like();
        k.notes.number(row.note, row.value);
        EXPECT_REFUSED(notes_of(k.make()), "contradict");
    }
}

TEST(KernelImage, FindsTheElfImageInEveryWrapping) {
    const File elf = KernelMaker::linux_like().make();
    auto p = find_kernel(elf);
    ASSERT_TRUE(p);
    EXPECT_EQ(p->packing, Compression::none);
    const File packed = gzip(elf);
    for (const File& f : {packed, test::bzimage(packed, static_cast<u32>(elf.size()))}) {
        p = find_kernel(f);
        ASSERT_TRUE(p) << p.error().text;
        EXPECT_EQ(p->packing, Compression::gzip);
        EXPECT_EQ(p->unpacked_size, elf.size());
        File out(p->unpacked_size), scratch(kUnpackScratch);
        EXPECT_EQ(unpack(p->bytes, out, scratch), elf.size());
        EXPECT_EQ(out, elf);
    }
}

TEST(KernelImage, Refusals) {
    EXPECT_REFUSED(find_kernel({}), "not a kernel");
    const std::string text(5000, 'x');
    EXPECT_REFUSED(find_kernel(std::as_bytes(std::span(text))), "not a kernel");
    const File packed = gzip(KernelMaker::linux_like().make());
    File b = test::bzimage(packed, 12345);
    EXPECT_REFUSED(find_kernel(std::span(b).first(b.size() - 200)), "cut off");
    EXPECT_REFUSED(find_kernel(std::span(b).first(0x240)), "cut off");
    File old = b;
    old[0x206] = std::byte{7};
    EXPECT_REFUSED(find_kernel(old), "boot protocol");
    File unknown = test::bzimage(File(1000, std::byte{0x33}), 12345);
    EXPECT_REFUSED(find_kernel(unknown), "compression");
    EXPECT_REFUSED(find_kernel(test::bzimage(packed, 0xffffffff)), "cut off");
    EXPECT_REFUSED(ElfImage::parse({}), "not a kernel");
}

TEST(KernelImage, EveryTruncation) {
    const File elf = KernelMaker::linux_like().make();
    for (usize n = 0; n < elf.size(); n += n < 0x200 || n + 0x800 > elf.size() ? 1 : 997) {
        const std::unique_ptr<std::byte[]> exact(new std::byte[n]);
        std::memcpy(exact.get(), elf.data(), n);
        const auto image = ElfImage::parse({exact.get(), n});
        if (image)
            static_cast<void>(read_kernel_notes(*image));
        else
            static_cast<void>(refused(image));
    }
}

// Damaged headers, notes and section tables.
TEST(KernelImage, SurvivesGarbage) {
    std::mt19937_64 random(11);
    KernelMaker maker = KernelMaker::linux_like();
    maker.text_size = 0x100, maker.data_file_size = 0x100;
    const File good = maker.make();
    KernelMaker old;
    old.text_size = 0x100, old.data_file_size = 0x100;
    old.legacy = "GUEST_OS=netbsd,XEN_VER=xen-3.0,VIRT_BASE=0xffffffff80000000,VIRT_ENTRY=0xffffffff81000010";
    const File legacy = old.make();
    int taken = 0;
    for (int round = 0; round < 20000; round++) {
        File f = round % 3 == 0 ? legacy : good;
        for (unsigned n = 1 + random() % 6; n > 0; n--) {
            const u64 at = random() % 2 ? random() % 0xe8 : 0x1200 + random() % (f.size() - 0x1200);
            if (random() % 2)
                f[at] = static_cast<std::byte>(random());
            else
                f[at] = static_cast<std::byte>(random() % 2 ? 0xff : 0);
        }
        f.resize(f.size() - random() % 20);
        f.shrink_to_fit();
        const auto image = ElfImage::parse(f);
        if (!image) continue;
        for (u32 i = 0; i < image->program_headers() + 1; i++)
            if (const auto s = image->load_segment(i)) {
                EXPECT_LE(s->bytes.size(), s->size);
                EXPECT_GE(s->physical, image->start());
                EXPECT_LE(s->physical + s->size, image->end());
            }
        const auto n = read_kernel_notes(*image);
        if (n) taken++;
    }
    EXPECT_GT(taken, 100);
    for (int round = 0; round < 20000; round++) {
        File f = test::bzimage(File(64, std::byte{0x1f}), 1000);
        for (unsigned n = 1 + random() % 4; n > 0; n--)
            f[0x1f0 + random() % 0x60] = static_cast<std::byte>(random());
        f.resize(random() % f.size());
        f.shrink_to_fit();
        if (const auto p = find_kernel(f)) {
            EXPECT_LE(p->bytes.data() + p->bytes.size(), f.data() + f.size());
        }
    }
}

// Debian's kernel, where DOMUS_TEST_KERNEL names its file.
TEST(KernelImage, RealKernel) {
    const char* path = std::getenv("DOMUS_TEST_KERNEL");
    if (path == nullptr) GTEST_SKIP() << "DOMUS_TEST_KERNEL names no kernel";
    std::ifstream in(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const auto p = find_kernel(std::as_bytes(std::span(text)));
    ASSERT_TRUE(p) << p.error().text;
    File out(p->unpacked_size), scratch(kUnpackScratch);
    if (p->packing != Compression::none) {
        ASSERT_EQ(unpack(p->bytes, out, scratch), out.size());
    } else {
        out.assign(p->bytes.begin(), p->bytes.end());
    }
    const auto n = notes_of(out);
    ASSERT_TRUE(n) << n.error().text;
    EXPECT_EQ(n->guest_os, "linux");
    EXPECT_EQ(n->init_p2m, 0x8000000000u);
    EXPECT_TRUE(n->mod_start_pfn);
}

}  // namespace
}  // namespace domus

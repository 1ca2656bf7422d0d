// SPDX-License-Identifier: GPL-2.0-or-later
// The boot loader's hand-over: good, odd and hostile.
#include "boot/multiboot.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "abi/multiboot.hpp"
#include "base/log.hpp"

namespace domus {
namespace {

using namespace abi;

struct Log {
    Log() {
        text.clear();
        set_log_sink([](Level, bool, std::string_view line) { text.append(line).append("\n"); });
    }
    ~Log() { set_log_sink(nullptr); }
    static inline std::string text;
};

// A megabyte of machine memory at address 0.
struct Memory {
    std::vector<u8> bytes = std::vector<u8>(1 << 20);
    u64 next = 0x9000;

    PhysReader reader() {
        return {[](void* context, Maddr a, u64 size) -> const void* {
                    auto& b = static_cast<Memory*>(context)->bytes;
                    return a.v <= b.size() && size <= b.size() - a.v ? b.data() + a.v : nullptr;
                },
                this};
    }
    template <class T>
    u32 put(const T& value) {
        return put_bytes(&value, sizeof value);
    }
    u32 put(const char* s) { return put_bytes(s, std::strlen(s) + 1); }
    u32 put_bytes(const void* p, u64 size) {
        std::memcpy(bytes.data() + next, p, size);
        const u64 at = next;
        next += size;
        return static_cast<u32>(at);
    }
    void align(u64 a) { next = round_up(next, a); }
};

TEST(Multiboot1, WhatQemuPasses) {
    Memory m;
    Mb1Info info{};
    info.flags = kMb1Memory | kMb1CommandLine | kMb1Modules | kMb1MemoryMap | kMb1LoaderName;
    info.mem_lower = 639, info.mem_upper = 1000;
    info.command_line = m.put("/x/domus.elf console=com1 dom0_mem=1G");
    info.loader_name = m.put("qemu");
    const Mb1Module modules[] = {{0x100000, 0x200000, m.put("vmlinuz console=hvc0 root=/dev/sda"), 0},
                                 {0x200000, 0x200001, m.put("initrd.gz"), 0}};
    info.module_count = 2;
    info.modules = m.put(modules);
    const Mb1MapEntry map[] = {{20, 0, 0x9fc00, 1}, {20, 0x9fc00, 0x400, 2}, {20, 0x100000, 0x7fee0000, 1}};
    info.map = m.put(map);
    info.map_length = sizeof map;
    const u32 at = m.put(info);

    BootInfo b;
    ASSERT_TRUE(read_multiboot(kMultiboot1Magic, Maddr(at), m.reader(), b));
    std::fill(m.bytes.begin(), m.bytes.end(), u8{0});  // the loader's memory is not needed any more
    EXPECT_EQ(b.loader, "qemu");
    EXPECT_EQ(b.command_line, "/x/domus.elf console=com1 dom0_mem=1G");
    EXPECT_EQ(hypervisor_arguments(b), "console=com1 dom0_mem=1G");
    ASSERT_EQ(b.modules().size(), 2u);
    EXPECT_EQ(b.modules()[0].start, Maddr(0x100000));
    EXPECT_EQ(module_arguments(b, b.modules()[0]), "console=hvc0 root=/dev/sda");
    EXPECT_EQ(module_arguments(b, b.modules()[1]), "");
    EXPECT_EQ(b.modules()[1].size(), 1u);
    ASSERT_EQ(b.memory.regions().size(), 3u);
    EXPECT_EQ(b.memory.regions()[1], (MemoryRegion{0x9fc00, 0xa0000, MemoryType::reserved}));
    EXPECT_EQ(b.video.kind, VideoMode::Kind::none);
    EXPECT_EQ(b.rsdp_size, 0u);
}

TEST(Multiboot1, NoMapButSizes) {
    Memory m;
    Mb1Info info{};
    info.flags = kMb1Memory;
    info.mem_lower = 640, info.mem_upper = 64 * 1024;
    BootInfo b;
    ASSERT_TRUE(read_multiboot(kMultiboot1Magic, Maddr(m.put(info)), m.reader(), b));
    ASSERT_EQ(b.memory.regions().size(), 2u);
    EXPECT_EQ(b.memory.regions()[1], (MemoryRegion{kMiB, 65 * kMiB, MemoryType::usable}));
}

TEST(Multiboot1, BrokenPartsAreLeftOut) {
    Memory m;
    Mb1Info info{};
    info.flags = kMb1CommandLine | kMb1Modules | kMb1MemoryMap;
    info.command_line = 0xfffffff0;  // no memory there
    const Mb1Module modules[] = {
        {0x200000, 0x100000, 0, 0},           // ends before it starts
        {0x300000, 0x400000, 0xfffffff0, 0},  // unreadable command line
    };
    info.modules = m.put(modules);
    info.module_count = 0xffffffff;
    const Mb1MapEntry map[] = {{20, 0, 0x1000, 1}, {3, 0x1000, 0x1000, 1}, {20, 0x5000, 0x1000, 1}};
    info.map = m.put(map);
    info.map_length = 0xffffffff;
    BootInfo b;
    ASSERT_TRUE(read_multiboot(kMultiboot1Magic, Maddr(m.put(info)), m.reader(), b));
    EXPECT_EQ(b.command_line, "");
    ASSERT_GE(b.modules().size(), 1u);
    EXPECT_EQ(b.modules()[0].start, Maddr(0x300000));
    ASSERT_EQ(b.memory.regions().size(), 1u);
}

TEST(Multiboot1, LongTextsAreCut) {
    Memory m;
    Mb1Info info{};
    info.flags = kMb1CommandLine | kMb1LoaderName | kMb1Modules;
    info.command_line = m.put(std::string(100'000, 'x').c_str());
    info.loader_name = m.put("GRUB 2.06");
    std::vector<Mb1Module> modules(40, Mb1Module{0x1000, 0x2000, info.command_line, 0});
    info.modules = m.put_bytes(modules.data(), modules.size() * sizeof(Mb1Module));
    info.module_count = 40;
    BootInfo b;
    ASSERT_TRUE(read_multiboot(kMultiboot1Magic, Maddr(m.put(info)), m.reader(), b));
    EXPECT_EQ(b.loader, "GRUB 2.06");
    EXPECT_EQ(b.command_line.size(), 4096u);
    EXPECT_EQ(b.modules().size(), BootInfo::kMaxModules);
}

TEST(Multiboot, Grub2OmitsTheFileName) {
    BootInfo b;
    b.loader = "GRUB 2.06-13+deb12u1";
    b.command_line = "placeholder no-real-mode edd=off";
    EXPECT_EQ(hypervisor_arguments(b), "placeholder no-real-mode edd=off");
    b.loader = "GRUB 0.97";
    EXPECT_EQ(hypervisor_arguments(b), "no-real-mode edd=off");
    b.loader = "";
    b.command_line = "  one";
    EXPECT_EQ(hypervisor_arguments(b), "");
}

TEST(Multiboot, RefusesOtherLoaders) {
    Memory m;
    BootInfo b;
    EXPECT_EQ(read_multiboot(0x12345678, Maddr(0), m.reader(), b).error(), Error::inval);
    EXPECT_EQ(read_multiboot(kMultiboot1Magic, Maddr(m.bytes.size() - 80), m.reader(), b).error(),
              Error::fault);
    EXPECT_EQ(read_multiboot(kMultiboot2Magic, Maddr(~u64{0} - 3), m.reader(), b).error(), Error::fault);
}

struct Tags {
    Memory m;
    u64 start = m.next;
    Tags() { m.put(Mb2Info{}); }
    void tag(u32 type, const std::string& body) {
        m.align(8);
        m.put(Mb2Tag{type, static_cast<u32>(sizeof(Mb2Tag) + body.size())});
        m.put_bytes(body.data(), body.size());
    }
    u64 finish() {
        tag(kMb2End, "");
        const u32 size = static_cast<u32>(m.next - start);
        std::memcpy(m.bytes.data() + start, &size, sizeof size);
        return start;
    }
};
template <class... T>
std::string bytes_of(const T&... values) {
    std::string s;
    (s.append(reinterpret_cast<const char*>(&values), sizeof values), ...);
    return s;
}

TEST(Multiboot2, Everything) {
    Tags t;
    t.tag(kMb2CommandLine, std::string("placeholder loglvl=all\0", 23));
    t.tag(kMb2LoaderName, std::string("GRUB 2.06\0", 10));
    t.tag(kMb2BasicMemory, bytes_of(u32{640}, u32{1024}));
    t.tag(kMb2Module, bytes_of(u32{0x400000}, u32{0x500000}) + std::string("placeholder ro\0", 15));
    t.tag(kMb2MemoryMap,
          bytes_of(u32{24}, u32{0}, Mb2MapEntry{0, 0x9f000, 1, 0}, Mb2MapEntry{0x100000, 0x1000, 7, 0}));
    t.tag(kMb2Framebuffer,
          bytes_of(MbFramebuffer{0xfd000000, 4096, 1024, 768, 32, 1}, u16{0}, MbRgbInfo{16, 8, 8, 8, 0, 8}));
    t.tag(kMb2Efi64, bytes_of(u64{0x7fe00018}));
    t.tag(kMb2AcpiNew, "RSD PTR " + std::string(28, 'n'));
    t.tag(kMb2AcpiOld, "RSD PTR " + std::string(12, 'o'));  // the newer one stays
    t.tag(99, "unknown");
    BootInfo b;
    ASSERT_TRUE(read_multiboot(kMultiboot2Magic, Maddr(t.finish()), t.m.reader(), b));
    EXPECT_EQ(hypervisor_arguments(b), "placeholder loglvl=all");
    ASSERT_EQ(b.modules().size(), 1u);
    EXPECT_EQ(module_arguments(b, b.modules()[0]), "placeholder ro");
    ASSERT_EQ(b.memory.regions().size(), 2u);
    EXPECT_EQ(b.memory.regions()[1].type, MemoryType::reserved);  // an unknown number
    EXPECT_EQ(b.video.kind, VideoMode::Kind::linear);
    EXPECT_EQ(b.video.address, 0xfd000000u);
    EXPECT_EQ(b.video.width, 1024u);
    EXPECT_EQ(b.video.red_position, 16);
    EXPECT_EQ(b.efi_system_table, 0x7fe00018u);
    EXPECT_EQ(b.rsdp_size, 36u);
    EXPECT_EQ(b.rsdp[35], 'n');
}

TEST(Multiboot2, EfiMapOnlyWithoutAnother) {
    Tags t;
    t.tag(kMb2EfiMemoryMap, bytes_of(u32{40}, u32{1}, EfiMemoryDescriptor{7, 0, 0x100000, 0, 16, 0},
                                     EfiMemoryDescriptor{10, 0, 0x110000, 0, 1, 0}));
    BootInfo b;
    ASSERT_TRUE(read_multiboot(kMultiboot2Magic, Maddr(t.finish()), t.m.reader(), b));
    ASSERT_EQ(b.memory.regions().size(), 2u);
    EXPECT_EQ(b.memory.regions()[0], (MemoryRegion{0x100000, 0x110000, MemoryType::usable}));
    EXPECT_EQ(b.memory.regions()[1].type, MemoryType::nvs);
}

TEST(Multiboot2, EfiMapIsKeptBesideAnother) {
    Tags t;
    t.tag(kMb2EfiMemoryMap,
          bytes_of(u32{40}, u32{1}, EfiMemoryDescriptor{6, 0, 0x7f000000, 0, 16, 0x800000000000000f}));
    t.tag(kMb2MemoryMap, bytes_of(u32{24}, u32{0}, Mb2MapEntry{0, 0x9f000, 1, 0}));
    BootInfo b;
    ASSERT_TRUE(read_multiboot(kMultiboot2Magic, Maddr(t.finish()), t.m.reader(), b));
    ASSERT_EQ(b.memory.regions().size(), 1u);
    ASSERT_EQ(b.efi_ranges, 1u);
    EXPECT_EQ(b.efi_map[0].start, 0x7f000000u);
    EXPECT_EQ(b.efi_map[0].pages, 16u);
    EXPECT_EQ(b.efi_map[0].type, 6u);
    EXPECT_EQ(b.efi_map[0].attributes, 0x800000000000000fu);
}

// Ranges that lie apart, of a MiB each.
std::string scattered_efi_map(u64 count) {
    std::string map = bytes_of(u32{40}, u32{1});
    for (u64 i = 0; i < count; i++) map += bytes_of(EfiMemoryDescriptor{7, 0, 2 * i * kMiB, 0, 256, 0});
    return map;
}

TEST(Multiboot2, TooLongEfiMapIsCutAndSaysWhatIsLost) {
    const Log log;
    Tags t;
    t.tag(kMb2EfiMemoryMap, scattered_efi_map(600));
    BootInfo b;
    ASSERT_TRUE(read_multiboot(kMultiboot2Magic, Maddr(t.finish()), t.m.reader(), b));
    EXPECT_EQ(b.efi_ranges, b.efi_map.size());
    EXPECT_EQ(b.memory.regions().size(), 512u);
    EXPECT_NE(log.text.find("more than 512 regions: 88 MiB of memory are not used"), std::string::npos)
        << log.text;
}

TEST(Multiboot2, TooLongEfiMapLosesNoMemoryBesideAnother) {
    const Log log;
    Tags t;
    t.tag(kMb2EfiMemoryMap, scattered_efi_map(513));
    t.tag(kMb2MemoryMap, bytes_of(u32{24}, u32{0}, Mb2MapEntry{0, 0x9f000, 1, 0}));
    BootInfo b;
    ASSERT_TRUE(read_multiboot(kMultiboot2Magic, Maddr(t.finish()), t.m.reader(), b));
    EXPECT_EQ(log.text.find("not used"), std::string::npos) << log.text;
    EXPECT_NE(log.text.find("has 1 ranges more than 512"), std::string::npos) << log.text;
}

TEST(Multiboot2, TooLongMapSaysWhatIsLost) {
    const Log log;
    Tags t;
    std::string map = bytes_of(u32{24}, u32{0});
    for (u64 i = 0; i < 520; i++) map += bytes_of(Mb2MapEntry{2 * i * kMiB, kMiB, i % 2 == 0 ? 1u : 2u, 0});
    t.tag(kMb2MemoryMap, map);
    BootInfo b;
    ASSERT_TRUE(read_multiboot(kMultiboot2Magic, Maddr(t.finish()), t.m.reader(), b));
    EXPECT_NE(log.text.find(": 4 MiB of memory are not used"), std::string::npos) << log.text;
}

TEST(Multiboot2, NeighboursInEfiMapBecomeOne) {
    Tags t;
    std::string map = bytes_of(u32{40}, u32{1});
    for (u64 i = 0; i < 600; i++) map += bytes_of(EfiMemoryDescriptor{7, 0, i << 12, 0, 1, 15});
    map += bytes_of(EfiMemoryDescriptor{7, 0, 600 << 12, 0, 1, 7},
                    EfiMemoryDescriptor{4, 0, 601 << 12, 0, 1, 7});
    t.tag(kMb2EfiMemoryMap, map);
    BootInfo b;
    ASSERT_TRUE(read_multiboot(kMultiboot2Magic, Maddr(t.finish()), t.m.reader(), b));
    ASSERT_EQ(b.efi_ranges, 3u);
    EXPECT_EQ(b.efi_map[0].pages, 600u);
    EXPECT_EQ(b.efi_map[1].start, 600u << 12);
    EXPECT_EQ(b.efi_map[1].pages, 1u);
    ASSERT_EQ(b.memory.regions().size(), 1u);
    EXPECT_EQ(b.memory.regions()[0], (MemoryRegion{0, 602 << 12, MemoryType::usable}));
}

// Random and randomly damaged input must never be read out of bounds (the sanitizers watch) nor loop for
// ever.
TEST(Multiboot, SurvivesGarbage) {
    std::mt19937_64 random(1);
    for (int round = 0; round < 3000; round++) {
        Tags t;
        t.m.bytes.resize(0xa000);
        for (int i = 0; i < 6; i++) {
            std::string body(random() % 60, '\0');
            for (char& c : body) c = static_cast<char>(random());
            t.tag(static_cast<u32>(random() % 20), body);
        }
        const u64 at = t.finish();
        for (int i = 0; i < 4; i++) t.m.bytes[at + random() % 200] = static_cast<u8>(random());
        auto b = std::make_unique<BootInfo>();
        static_cast<void>(
            read_multiboot(round % 2 ? kMultiboot2Magic : kMultiboot1Magic, Maddr(at), t.m.reader(), *b));
        for (const BootModule& module : b->modules()) EXPECT_LT(module.start, module.end);
    }
}

}  // namespace
}  // namespace domus

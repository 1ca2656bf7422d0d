// SPDX-License-Identifier: GPL-2.0-or-later
// Whose frames modules lie in, and the text mode a BIOS left.
#include "boot/modules.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "boot/bios_video.hpp"

namespace domus {
namespace {

TEST(Modules, OwnFrames) {
    MemoryMap map;
    map.add(kMiB, 4 * kMiB, 1);
    ASSERT_TRUE(map.sanitise());
    const auto own = [&map](std::vector<BootModule> modules) {
        return has_own_frames(modules, modules[0], map);
    };
    const auto module = [](u64 start, u64 end) { return BootModule{Maddr(start), Maddr(end), {}}; };
    EXPECT_TRUE(own({module(0x200000, 0x200801)}));
    EXPECT_TRUE(own({module(0x200000, 0x200801), module(0x201000, 0x202000), module(0x1ff000, 0x200000)}));
    EXPECT_FALSE(own({module(0x200010, 0x201000)}));                              // begins within a frame
    EXPECT_FALSE(own({module(0x200000, 0x200801), module(0x200900, 0x201000)}));  // shares its last frame
    EXPECT_FALSE(own({module(0x200000, 0x201000), module(0x1fff00, 0x200001)}));
    EXPECT_FALSE(own({module(0x4ff000, 0x501000)}));  // runs out of memory
    EXPECT_FALSE(own({module(0x600000, 0x601000)}));
    EXPECT_FALSE(own({module(0x200000, ~u64{0})}));
}

TEST(BiosVideo, TextMode) {
    std::array<u8, 256> bda{};
    EXPECT_EQ(bios_text_mode(bda).kind, VideoMode::Kind::none);
    bda[0x49] = 3, bda[0x4a] = 80, bda[0x50] = 5, bda[0x51] = 7, bda[0x84] = 24, bda[0x85] = 16;
    const VideoMode v = bios_text_mode(bda);
    EXPECT_EQ(v.kind, VideoMode::Kind::text);
    EXPECT_EQ(v.width, 80u);
    EXPECT_EQ(v.height, 25u);
    EXPECT_EQ(v.cursor_x, 5);
    EXPECT_EQ(v.cursor_y, 7);
    EXPECT_EQ(v.font_height, 16);
    bda[0x50] = 200;
    EXPECT_EQ(bios_text_mode(bda).cursor_x, 0);
    std::mt19937 random(1);
    for (int i = 0; i < 1000; i++) {
        for (u8& b : bda) b = static_cast<u8>(random());
        static_cast<void>(bios_text_mode(bda));
    }
}

}  // namespace
}  // namespace domus

// SPDX-License-Identifier: GPL-2.0-or-later
// The build id among ELF notes.
#include "boot/build_id.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace domus {
namespace {

std::vector<u8> note(const char* name, u32 type, std::vector<u8> descriptor) {
    const u32 header[3] = {static_cast<u32>(std::strlen(name) + 1), static_cast<u32>(descriptor.size()),
                           type};
    std::vector<u8> out(sizeof header);
    std::memcpy(out.data(), header, sizeof header);
    out.insert(out.end(), name, name + header[0]);
    out.resize((out.size() + 3) & ~usize{3});
    out.insert(out.end(), descriptor.begin(), descriptor.end());
    out.resize((out.size() + 3) & ~usize{3});
    return out;
}
std::vector<u8> operator+(std::vector<u8> a, const std::vector<u8>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}
std::vector<u8> found(const std::vector<u8>& notes) {
    const std::span<const u8> id = find_build_id(notes);
    return {id.begin(), id.end()};
}

TEST(BuildId, AmongOthers) {
    const std::vector<u8> id{1, 2, 3, 4, 5};
    EXPECT_EQ(found(note("GNU", 3, id)), id);
    EXPECT_EQ(found(note("Xen", 3, {9}) + note("GNU", 1, {8, 8}) + note("GNU", 3, id)), id);
    EXPECT_TRUE(found({}).empty());
    EXPECT_TRUE(found(note("GNU", 1, id) + note("Other", 3, id)).empty());
}

TEST(BuildId, CutOffOrLying) {
    const std::vector<u8> whole = note("GNU", 3, {1, 2, 3, 4});
    for (usize n = 0; n < whole.size(); n++)
        EXPECT_TRUE(found({whole.begin(), whole.begin() + static_cast<long>(n)}).empty()) << n;
    for (const u32 size : {~0u, ~0u - 3, 0x80000000u, 5u}) {
        std::vector<u8> lying = whole;
        std::memcpy(lying.data(), &size, 4);
        EXPECT_TRUE(found(lying).empty());
        lying = whole;
        std::memcpy(lying.data() + 4, &size, 4);
        EXPECT_TRUE(found(lying).empty());
    }
}

}  // namespace
}  // namespace domus

// SPDX-License-Identifier: GPL-2.0-or-later
// Unpacking: every format as the real tools write it, and every way in which it can be wrong.
#include "boot/unpack.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "boot_unpack_samples.hpp"

namespace domus {
namespace {

using Bytes = std::vector<std::byte>;

// The text that was packed; boot_unpack_samples.py has the same function.
Bytes make_text() {
    constexpr std::size_t kSize = 20000;
    std::vector<std::uint8_t> out;
    std::uint32_t x = 1;
    const auto rnd = [&](std::uint32_t n) {
        x = (x * 1103515245u + 12345u) & 0x7fffffff;
        return (x >> 12) % n;
    };
    while (out.size() < kSize) {
        const std::uint32_t op = out.size() > 64 ? rnd(16) : 1;
        if (op == 0) {
            out.insert(out.end(), rnd(900), 0);
        } else if (op == 1) {
            for (int i = 0; i < 8; ++i) {
                const auto any = static_cast<std::uint8_t>(rnd(256));
                const std::uint8_t choice[]{0xe8, 0xe9, 0, 0xff, any};
                out.push_back(choice[rnd(5)]);
            }
        } else if (op == 2) {
            std::uint32_t target = rnd(65536) - 32768 - static_cast<std::uint32_t>(out.size());
            out.push_back(static_cast<std::uint8_t>(0xe8 + rnd(2)));
            for (int i = 0; i < 4; ++i, target >>= 8) out.push_back(static_cast<std::uint8_t>(target));
        } else {
            const std::size_t distance = 1 + rnd(op == 3 ? 9 : static_cast<std::uint32_t>(out.size()));
            const std::size_t length = rnd(op == 3 ? 300 : 400);
            for (std::size_t i = 0; i < length; ++i) out.push_back(out[out.size() - distance]);
        }
    }
    Bytes text(kSize);
    std::transform(out.begin(), out.begin() + kSize, text.begin(),
                   [](std::uint8_t b) { return std::byte{b}; });
    return text;
}

const Bytes& text() {
    static const Bytes kText = make_text();
    return kText;
}

struct Sample {
    const char* name;
    Compression format;
    std::span<const std::uint8_t> packed;
    std::size_t scratch;  // enough for it
    bool checksum;        // damage cannot go unnoticed
};

const Sample kSamples[]{
    {"gzip", Compression::gzip, kGzipSample, 1 << 20, true},
    {"xz_kernel", Compression::xz, kXzKernelSample, 1 << 20, true},
    {"xz_crc64", Compression::xz, kXzCrc64Sample, 16 << 20, true},
    {"xz_sha256", Compression::xz, kXzSha256Sample, 16 << 20, true},
    {"lzma", Compression::lzma, kLzmaSample, 65 << 20, false},
    {"zstd", Compression::zstd, kZstdSample, 1 << 20, true},
    {"lz4", Compression::lz4, kLz4Sample, 0, false},
    {"bzip2", Compression::bzip2, kBzip2Sample, 4 << 20, true},
};

// Exactly sized heap blocks: the address sanitizer sees the first byte beyond.
struct Block {
    explicit Block(std::size_t n) : size(n), data(new std::byte[n]) {}
    [[nodiscard]] std::span<std::byte> span() const { return {data.get(), size}; }
    std::size_t size;
    std::unique_ptr<std::byte[]> data;
};

Block copy_of(std::span<const std::uint8_t> bytes) {
    Block block{bytes.size()};
    std::copy_n(reinterpret_cast<const std::byte*>(bytes.data()), bytes.size(), block.data.get());
    return block;
}

class Unpack : public testing::TestWithParam<Sample> {
  protected:
    // Scratch is expensive to have poisoned anew for each of thousands of runs.
    std::span<std::byte> scratch() { return scratch_.span(); }
    Block scratch_{GetParam().scratch};
};

TEST_P(Unpack, GivesBackTheText) {
    const Block in = copy_of(GetParam().packed);
    const Block out{text().size()};
    EXPECT_EQ(identify(in.span()), GetParam().format);
    const auto written = unpack(in.span(), out.span(), scratch());
    ASSERT_TRUE(written) << describe(written.error());
    ASSERT_EQ(*written, text().size());
    EXPECT_TRUE(std::equal(text().begin(), text().end(), out.data.get()));
}

TEST_P(Unpack, IgnoresTheSizeThatABzImageAppends) {
    std::vector<std::uint8_t> packed{GetParam().packed.begin(), GetParam().packed.end()};
    const auto size = static_cast<std::uint32_t>(text().size());
    for (int i = 0; i < 4; ++i) packed.push_back(static_cast<std::uint8_t>(size >> (8 * i)));
    const Block in = copy_of(packed);
    const Block out{text().size() + 100};
    EXPECT_EQ(unpacked_size_hint(in.span()), size);
    EXPECT_EQ(unpack(in.span(), out.span(), scratch()), text().size());
    EXPECT_TRUE(std::equal(text().begin(), text().end(), out.data.get()));
}

TEST_P(Unpack, NamesTruncationAtEveryLength) {
    const Block out{text().size()};
    for (std::size_t n = 0; n < GetParam().packed.size(); ++n) {
        const Block in = copy_of(GetParam().packed.first(n));
        const auto written = unpack(in.span(), out.span(), scratch());
        ASSERT_FALSE(written) << n;
        const bool recognised = identify(in.span()).has_value();
        ASSERT_EQ(written.error(), recognised ? UnpackError::truncated : UnpackError::unsupported)
            << n << " of " << GetParam().packed.size() << ": " << describe(written.error());
    }
}

TEST_P(Unpack, NamesTooSmallAnOutput) {
    for (std::size_t n = 0; n < text().size(); n += (n < 40 || n > text().size() - 40) ? 1 : 97) {
        const Block in = copy_of(GetParam().packed);
        const Block out{n};
        const auto written = unpack(in.span(), out.span(), scratch());
        ASSERT_FALSE(written) << n;
        ASSERT_EQ(written.error(), UnpackError::output_too_small) << n << ": " << describe(written.error());
    }
}

TEST_P(Unpack, NamesTooLittleScratch) {
    const Block in = copy_of(GetParam().packed);
    const Block out{text().size()};
    std::size_t failures = 0;
    for (std::size_t n = 0; n < GetParam().scratch; n = n < 64 ? n + 1 : n * 9 / 8) {
        const Block little{n};
        const auto written = unpack(in.span(), out.span(), little.span());
        if (written) {
            ASSERT_EQ(*written, text().size());
            continue;
        }
        ASSERT_EQ(written.error(), UnpackError::out_of_scratch) << n << ": " << describe(written.error());
        ++failures;
    }
    EXPECT_EQ(failures > 0, GetParam().scratch > 0);
}

TEST_P(Unpack, SurvivesDamageInEveryByte) {
    const Block in = copy_of(GetParam().packed);
    const Block out{text().size()};
    for (std::size_t i = 0; i < in.size; ++i) {
        for (const int flip : {0x01, 0x80, 0x55, 0xff}) {
            in.data[i] ^= static_cast<std::byte>(flip);
            const auto written = unpack(in.span(), out.span(), scratch());
            // Damage may hit what does not matter, such as a time stamp, but must not give another text.
            if (written && GetParam().checksum) {
                ASSERT_EQ(*written, text().size()) << i;
                ASSERT_TRUE(std::equal(text().begin(), text().end(), out.data.get())) << i;
            }
            in.data[i] ^= static_cast<std::byte>(flip);
        }
    }
}

TEST_P(Unpack, SurvivesNoiseAfterItsMagic) {
    std::uint32_t x = 12345;
    const Block out{1000};
    for (int round = 0; round < 500; ++round) {
        const Block in = copy_of(GetParam().packed.first(300));
        const std::size_t keep = 6 + static_cast<std::size_t>(round) % 40;
        for (std::size_t i = keep; i < in.size; ++i) {
            x = x * 1664525 + 1013904223;
            in.data[i] = static_cast<std::byte>(x >> 24);
        }
        const auto written = unpack(in.span(), out.span(), scratch());
        if (written) {
            EXPECT_LE(*written, out.size);
        }
    }
}

TEST_P(Unpack, WorksWithScratchAtAnyAddress) {
    const Block in = copy_of(GetParam().packed);
    const Block out{text().size()};
    const Block odd{GetParam().scratch + 1};
    EXPECT_EQ(unpack(in.span(), out.span(), odd.span().subspan(1)), text().size());
}

INSTANTIATE_TEST_SUITE_P(Formats, Unpack, testing::ValuesIn(kSamples),
                         [](const testing::TestParamInfo<Sample>& sample) { return sample.param.name; });

TEST(UnpackNone, CopiesAnElfImage) {
    const std::byte elf[]{std::byte{0x7f}, std::byte{'E'}, std::byte{'L'}, std::byte{'F'}, std::byte{2}};
    EXPECT_EQ(identify(elf), Compression::none);
    std::byte out[5]{};
    EXPECT_EQ(unpack(elf, out, {}), sizeof(elf));
    EXPECT_TRUE(std::equal(elf, elf + sizeof(elf), out));
    EXPECT_EQ(unpack(elf, std::span(out).first(4), {}), std::unexpected(UnpackError::output_too_small));
}

TEST(UnpackNone, RefusesWhatItDoesNotKnow) {
    const std::byte text_file[]{std::byte{'#'}, std::byte{'!'}, std::byte{'/'}};
    EXPECT_EQ(identify(text_file), std::nullopt);
    EXPECT_EQ(identify({}), std::nullopt);
    std::byte out[8];
    EXPECT_EQ(unpack(text_file, out, {}), std::unexpected(UnpackError::unsupported));
    EXPECT_EQ(unpacked_size_hint(text_file), std::nullopt);
}

}  // namespace
}  // namespace domus

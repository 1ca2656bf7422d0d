// SPDX-License-Identifier: GPL-2.0-or-later
// Telling compression formats apart and choosing the decoder.
#include "boot/unpack.hpp"

#include <algorithm>
#include <array>

#include "boot/unpack_formats.hpp"

namespace domus {
namespace {

struct Magic {
    Compression format;
    std::uint8_t length;
    std::array<std::uint8_t, 6> bytes;
};

// RFC 1952; xz-file-format.txt 2.1.1.1; lzma-file-format.txt (the default lc/lp/pb and the low bytes of a
// dictionary size that is a multiple of 64 KiB, as Linux tells it); RFC 8878; LZ4's legacy frame; bzip2; ELF.
constexpr std::array kMagics{
    Magic{Compression::gzip, 3, {0x1f, 0x8b, 8}},
    Magic{Compression::xz, 6, {0xfd, '7', 'z', 'X', 'Z', 0}},
    Magic{Compression::lzma, 3, {0x5d, 0, 0}},
    Magic{Compression::zstd, 4, {0x28, 0xb5, 0x2f, 0xfd}},
    Magic{Compression::lz4, 4, {0x02, 0x21, 0x4c, 0x18}},
    Magic{Compression::bzip2, 3, {'B', 'Z', 'h'}},
    Magic{Compression::none, 4, {0x7f, 'E', 'L', 'F'}},
};

std::expected<std::size_t, UnpackError> copy(std::span<const std::byte> in, std::span<std::byte> out) {
    if (in.size() > out.size()) return std::unexpected(UnpackError::output_too_small);
    std::copy(in.begin(), in.end(), out.begin());
    return in.size();
}

}  // namespace

std::optional<Compression> identify(std::span<const std::byte> in) {
    for (const Magic& magic : kMagics) {
        const auto same = [](std::uint8_t expected, std::byte found) { return std::byte{expected} == found; };
        if (in.size() >= magic.length &&
            std::equal(magic.bytes.begin(), magic.bytes.begin() + magic.length, in.begin(), same))
            return magic.format;
    }
    return std::nullopt;
}

std::optional<std::uint32_t> unpacked_size_hint(std::span<const std::byte> payload) {
    if (payload.size() < sizeof(std::uint32_t)) return std::nullopt;
    const auto tail = payload.last<sizeof(std::uint32_t)>();
    std::uint32_t size = 0;
    for (std::size_t i = 0; i < tail.size(); ++i) size |= std::to_integer<std::uint32_t>(tail[i]) << (8 * i);
    return size;
}

std::expected<std::size_t, UnpackError> unpack(std::span<const std::byte> in, std::span<std::byte> out,
                                               std::span<std::byte> scratch) {
    unpacking::Scratch arena{scratch};
    const std::optional<Compression> format = identify(in);
    if (!format) return std::unexpected(UnpackError::unsupported);
    switch (*format) {
        case Compression::none: return copy(in, out);
        case Compression::gzip: return unpacking::gzip(in, out, arena);
        case Compression::xz: return unpacking::xz(in, out, arena);
        case Compression::lzma: return unpacking::lzma(in, out, arena);
        case Compression::zstd: return unpacking::zstd(in, out, arena);
        case Compression::lz4: return unpacking::lz4(in, out);
        case Compression::bzip2: return unpacking::bzip2(in, out, arena);
    }
    return std::unexpected(UnpackError::unsupported);
}

const char* describe(UnpackError error) {
    switch (error) {
        case UnpackError::truncated: return "the packed data is truncated";
        case UnpackError::corrupt: return "the packed data is corrupt";
        case UnpackError::unsupported: return "the packed data uses an unsupported format";
        case UnpackError::output_too_small: return "the unpacked data is larger than expected";
        case UnpackError::out_of_scratch: return "unpacking needs more working memory";
    }
    return "unknown error";
}

namespace unpacking {

void* Scratch::allocate(std::size_t count, std::size_t size) {
    constexpr std::size_t kAlign = 16;
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data()) + used_;
    const std::size_t padding = (kAlign - address % kAlign) % kAlign;
    std::size_t bytes = 0;
    const std::size_t left = memory_.size() - used_;
    if (__builtin_mul_overflow(count, size, &bytes) || padding > left || bytes > left - padding) {
        failed_ = true;
        return nullptr;
    }
    last_ = memory_.data() + used_ + padding;
    used_ += padding + bytes;
    return last_;
}

void Scratch::free(void* piece) {
    if (piece != nullptr && piece == last_) {
        used_ = static_cast<std::size_t>(last_ - memory_.data());
        last_ = nullptr;
    }
}

}  // namespace unpacking
}  // namespace domus

// SPDX-License-Identifier: GPL-2.0-or-later
// LZ4's legacy frame, which Linux uses: a magic number, then blocks of up to 8 MiB unpacked, each after its
// packed size. The blocks are decoded by liblz4. (doc/lz4_Frame_format.md of lz4, "Legacy frame".)
#include <algorithm>
#include <limits>

#include "boot/unpack_formats.hpp"

#include <lz4.h>

namespace domus::unpacking {
namespace {

constexpr std::size_t kWord = 4;
constexpr std::uint32_t kMagic = 0x184c2102;
constexpr std::size_t kBlockSize = std::size_t{8} << 20;

std::uint32_t load_le32(In in) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < kWord; ++i) value |= std::to_integer<std::uint32_t>(in[i]) << (8 * i);
    return value;
}

}  // namespace

// A legacy frame has no end mark. It ends with the input, or with the four bytes that a bzImage's build
// appends: the unpacked size.
Unpacked lz4(In in, Out out) {
    std::size_t written = 0;
    in = in.subspan(kWord);  // the magic, which identify() has seen
    if (in.empty()) return std::unexpected(UnpackError::truncated);
    while (!in.empty()) {
        if (in.size() < kWord) return std::unexpected(UnpackError::truncated);
        const std::uint32_t packed = load_le32(in);
        in = in.subspan(kWord);
        if (in.empty() && packed == static_cast<std::uint32_t>(written)) return written;
        if (packed == kMagic) continue;  // frames may follow each other
        if (packed > static_cast<std::uint32_t>(LZ4_COMPRESSBOUND(kBlockSize)))
            return std::unexpected(UnpackError::corrupt);
        if (packed > in.size()) return std::unexpected(UnpackError::truncated);

        const std::size_t room = std::min(out.size() - written, kBlockSize);
        const int got = LZ4_decompress_safe(reinterpret_cast<const char*>(in.data()),
                                            reinterpret_cast<char*>(out.data() + written),
                                            static_cast<int>(packed), static_cast<int>(room));
        if (got < 0)  // the library does not say why; a full block's room always suffices
            return std::unexpected(room < kBlockSize ? UnpackError::output_too_small : UnpackError::corrupt);
        written += static_cast<std::size_t>(got);
        in = in.subspan(packed);
    }
    return written;
}

}  // namespace domus::unpacking

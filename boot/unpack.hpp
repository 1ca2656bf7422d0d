// SPDX-License-Identifier: GPL-2.0-or-later
// Unpacking what a boot loader hands over: kernels in any format that Linux's bzImage may carry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

namespace domus {

enum class Compression : std::uint8_t { none, gzip, xz, lzma, zstd, lz4, bzip2 };

enum class UnpackError : std::uint8_t {
    truncated,         // the input ends before its stream does
    corrupt,           // the input violates its format, or a checksum of it is wrong
    unsupported,       // well-formed, but uses a feature that this build has no decoder for
    output_too_small,  // the unpacked data does not fit into `out`
    out_of_scratch,    // the decoder needs more working memory than `scratch` has
};

// Scratch that suffices for every format at the settings Linux's build uses (xz: a dictionary of up to 128
// MiB is allowed by the format, Debian's kernels use 32 MiB; gzip, zstd, lz4 and bzip2 stay below 4 MiB).
inline constexpr std::size_t kUnpackScratch = std::size_t{34} << 20;

// The format of a buffer, told by its first bytes; an ELF image is Compression::none. Empty if it is none of
// them.
[[nodiscard]] std::optional<Compression> identify(std::span<const std::byte> in);

// For the payload of a bzImage: the unpacked size that Linux's build puts into the last four bytes (for gzip
// that is the format's own field). Only a hint: the payload decides. Empty if the payload is too short.
[[nodiscard]] std::optional<std::uint32_t> unpacked_size_hint(std::span<const std::byte> payload);

// Unpacks the first stream of `in` into `out` and returns the number of bytes written. Bytes after the end of
// the stream (such as the appended size above) are ignored. `scratch` is working memory whose contents are
// lost; it may start at any address. On an error the contents of `out` are unspecified. Never reads or writes
// outside of the three spans.
[[nodiscard]] std::expected<std::size_t, UnpackError> unpack(std::span<const std::byte> in,
                                                             std::span<std::byte> out,
                                                             std::span<std::byte> scratch);

// What to print for an error.
[[nodiscard]] const char* describe(UnpackError error);

}  // namespace domus

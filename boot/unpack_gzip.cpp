// SPDX-License-Identifier: GPL-2.0-or-later
// The gzip format, by zlib's inflate.
#include <algorithm>
#include <limits>

#include "boot/unpack_formats.hpp"

#include <zlib.h>

namespace domus::unpacking {
namespace {

voidpf allocate(voidpf scratch, uInt count, uInt size) {
    return static_cast<Scratch*>(scratch)->allocate(count, size);
}

void release(voidpf scratch, voidpf piece) { static_cast<Scratch*>(scratch)->free(piece); }

constexpr int kGzipOnly = 16 + MAX_WBITS;  // zlib.h, inflateInit2

// zlib counts in unsigned int: what is left of a larger buffer is given to it later.
uInt piece_of(std::size_t left) {
    return static_cast<uInt>(std::min<std::size_t>(left, std::numeric_limits<uInt>::max()));
}

}  // namespace

Unpacked gzip(In in, Out out, Scratch& scratch) {
    z_stream stream{};
    stream.zalloc = allocate;
    stream.zfree = release;
    stream.opaque = &scratch;
    int result = inflateInit2(&stream, kGzipOnly);
    if (result != Z_OK) return std::unexpected(UnpackError::out_of_scratch);

    // zlib's next_in is not a pointer to const unless ZLIB_CONST is defined, but it only reads.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(in.data()));
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    std::size_t in_left = in.size();
    std::size_t out_left = out.size();
    do {
        stream.avail_in = piece_of(in_left);
        stream.avail_out = piece_of(out_left);
        const std::size_t in_given = stream.avail_in;
        const std::size_t out_given = stream.avail_out;
        const bool last = in_given == in_left && out_given == out_left;
        result = inflate(&stream, last ? Z_FINISH : Z_NO_FLUSH);
        in_left -= in_given - stream.avail_in;
        out_left -= out_given - stream.avail_out;
        if (last) break;
    } while (result == Z_OK);

    inflateEnd(&stream);
    switch (result) {
        case Z_STREAM_END: return out.size() - out_left;
        case Z_MEM_ERROR: return std::unexpected(UnpackError::out_of_scratch);
        case Z_OK:
        case Z_BUF_ERROR:
            // When the output is what lacks, the checksum at the end has not been read.
            return std::unexpected(in_left == 0 ? UnpackError::truncated : UnpackError::output_too_small);
        default: return std::unexpected(UnpackError::corrupt);
    }
}

}  // namespace domus::unpacking

// SPDX-License-Identifier: GPL-2.0-or-later
// The bzip2 format, by libbz2.
#include <algorithm>
#include <limits>

#include "boot/unpack_formats.hpp"

#include <bzlib.h>

// libbz2 built without stdio calls this where its own state contradicts itself, which no input brings about.
extern "C" [[noreturn]] void bz_internal_error(int) { __builtin_trap(); }

namespace domus::unpacking {
namespace {

void* allocate(void* scratch, int count, int size) {
    return static_cast<Scratch*>(scratch)->allocate(static_cast<std::size_t>(count),
                                                    static_cast<std::size_t>(size));
}

void release(void* scratch, void* piece) { static_cast<Scratch*>(scratch)->free(piece); }

// libbz2 counts in unsigned int: what is left of a larger buffer is given to it later.
unsigned piece_of(std::size_t left) {
    return static_cast<unsigned>(std::min<std::size_t>(left, std::numeric_limits<unsigned>::max()));
}

}  // namespace

Unpacked bzip2(In in, Out out, Scratch& scratch) {
    bz_stream stream{};
    stream.bzalloc = allocate;
    stream.bzfree = release;
    stream.opaque = &scratch;
    int result = BZ2_bzDecompressInit(&stream, 0, 0);
    if (result != BZ_OK) return std::unexpected(UnpackError::out_of_scratch);

    // libbz2's next_in is not a pointer to const, but it only reads.
    stream.next_in = reinterpret_cast<char*>(const_cast<std::byte*>(in.data()));
    stream.next_out = reinterpret_cast<char*>(out.data());
    std::size_t in_left = in.size();
    std::size_t out_left = out.size();
    bool progress = true;
    do {
        stream.avail_in = piece_of(in_left);
        stream.avail_out = piece_of(out_left);
        const std::size_t in_given = stream.avail_in;
        const std::size_t out_given = stream.avail_out;
        result = BZ2_bzDecompress(&stream);
        in_left -= in_given - stream.avail_in;
        out_left -= out_given - stream.avail_out;
        progress = in_given != stream.avail_in || out_given != stream.avail_out;
    } while (result == BZ_OK && progress);

    BZ2_bzDecompressEnd(&stream);
    switch (result) {
        case BZ_STREAM_END: return out.size() - out_left;
        case BZ_MEM_ERROR: return std::unexpected(UnpackError::out_of_scratch);
        case BZ_OK:
            // When the output is what lacks, the checksum at the end has not been read.
            return std::unexpected(in_left == 0 ? UnpackError::truncated : UnpackError::output_too_small);
        default: return std::unexpected(UnpackError::corrupt);
    }
}

}  // namespace domus::unpacking

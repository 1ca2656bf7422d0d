// SPDX-License-Identifier: GPL-2.0-or-later
// The xz and the older "lzma alone" formats, by liblzma.
#include <limits.h>

#include "boot/unpack_formats.hpp"

#define LZMA_MANUAL_HEADERS  // the fixed-width types are there already, and <inttypes.h> is not freestanding
#include <lzma.h>

namespace domus::unpacking {
namespace {

void* allocate(void* scratch, std::size_t count, std::size_t size) {
    return static_cast<Scratch*>(scratch)->allocate(count, size);
}

void release(void* scratch, void* piece) { static_cast<Scratch*>(scratch)->free(piece); }

UnpackError error_of(lzma_ret result, const lzma_stream& stream) {
    switch (result) {
        case LZMA_MEM_ERROR:
        case LZMA_MEMLIMIT_ERROR: return UnpackError::out_of_scratch;
        case LZMA_OPTIONS_ERROR:
        case LZMA_UNSUPPORTED_CHECK: return UnpackError::unsupported;
        case LZMA_OK:  // no error, but no end of the stream either
        case LZMA_BUF_ERROR:
            // When the output is what lacks, the end of the stream has not been read.
            return stream.avail_in == 0 ? UnpackError::truncated : UnpackError::output_too_small;
        default: return UnpackError::corrupt;
    }
}

Unpacked run(In in, Out out, Scratch& scratch, bool alone) {
    const lzma_allocator allocator{allocate, release, &scratch};
    lzma_stream stream = LZMA_STREAM_INIT;
    stream.allocator = &allocator;
    lzma_ret result =
        alone ? lzma_alone_decoder(&stream, UINT64_MAX) : lzma_stream_decoder(&stream, UINT64_MAX, 0);
    if (result == LZMA_OK) {
        stream.next_in = reinterpret_cast<const std::uint8_t*>(in.data());
        stream.avail_in = in.size();
        stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
        stream.avail_out = out.size();
        result = lzma_code(&stream, LZMA_FINISH);
    }
    const std::size_t written = out.size() - stream.avail_out;
    const UnpackError error = error_of(result, stream);
    lzma_end(&stream);
    if (result == LZMA_STREAM_END) return written;
    return std::unexpected(error);
}

}  // namespace

Unpacked xz(In in, Out out, Scratch& scratch) { return run(in, out, scratch, false); }

Unpacked lzma(In in, Out out, Scratch& scratch) { return run(in, out, scratch, true); }

}  // namespace domus::unpacking

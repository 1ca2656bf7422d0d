// SPDX-License-Identifier: GPL-2.0-or-later
// The zstd format (RFC 8878), by libzstd. Decoding in one call uses the output as the window, so that even
// the 128 MiB windows of Linux's build need no scratch of that size.
#include "boot/unpack_formats.hpp"

#define ZSTD_STATIC_LINKING_ONLY  // for a decoder in memory of ours, and the error codes
#include <zstd.h>
#include <zstd_errors.h>

namespace domus::unpacking {
namespace {

UnpackError error_of(std::size_t result) {
    switch (ZSTD_getErrorCode(result)) {
        case ZSTD_error_dstSize_tooSmall: return UnpackError::output_too_small;
        case ZSTD_error_srcSize_wrong: return UnpackError::truncated;
        case ZSTD_error_memory_allocation: return UnpackError::out_of_scratch;
        case ZSTD_error_dictionary_wrong:
        case ZSTD_error_frameParameter_unsupported:
        case ZSTD_error_version_unsupported: return UnpackError::unsupported;
        default: return UnpackError::corrupt;
    }
}

}  // namespace

Unpacked zstd(In in, Out out, Scratch& scratch) {
    // The library wants exactly one frame: find where it ends.
    const std::size_t frame = ZSTD_findFrameCompressedSize(in.data(), in.size());
    if (ZSTD_isError(frame)) return std::unexpected(error_of(frame));

    const std::size_t workspace_size = ZSTD_estimateDCtxSize();
    void* workspace = scratch.allocate(1, workspace_size);
    if (workspace == nullptr) return std::unexpected(UnpackError::out_of_scratch);
    ZSTD_DCtx* context = ZSTD_initStaticDCtx(workspace, workspace_size);
    if (context == nullptr) return std::unexpected(UnpackError::out_of_scratch);

    const std::size_t written = ZSTD_decompressDCtx(context, out.data(), out.size(), in.data(), frame);
    if (ZSTD_isError(written)) return std::unexpected(error_of(written));
    return written;
}

}  // namespace domus::unpacking

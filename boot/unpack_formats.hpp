// SPDX-License-Identifier: GPL-2.0-or-later
// One function for each compression format, and the bump allocator that their libraries draw from.
#pragma once

#include "boot/unpack.hpp"

namespace domus::unpacking {

// Hands out pieces of the caller's scratch memory, aligned to 16 bytes. Only the piece handed out last can be
// given back; that is enough for decoders, which allocate once and free all at their end.
class Scratch {
  public:
    explicit Scratch(std::span<std::byte> memory) : memory_{memory} {}

    // Null if the memory does not suffice, which failed() remembers.
    void* allocate(std::size_t count, std::size_t size);
    void free(void* piece);

    [[nodiscard]] bool failed() const { return failed_; }

  private:
    std::span<std::byte> memory_;
    std::size_t used_ = 0;
    std::byte* last_ = nullptr;
    bool failed_ = false;
};

using Unpacked = std::expected<std::size_t, UnpackError>;
using In = std::span<const std::byte>;
using Out = std::span<std::byte>;

Unpacked gzip(In in, Out out, Scratch& scratch);
Unpacked xz(In in, Out out, Scratch& scratch);
Unpacked lzma(In in, Out out, Scratch& scratch);
Unpacked zstd(In in, Out out, Scratch& scratch);
Unpacked lz4(In in, Out out);
Unpacked bzip2(In in, Out out, Scratch& scratch);

}  // namespace domus::unpacking

// SPDX-License-Identifier: GPL-2.0-or-later
// Which frame numbers are RAM. A chunk of one GiB is known by a bit; the holes inside a chunk are marked in
// the metadata that exists for the whole chunk anyway, so that the common case, a chunk all of RAM, costs
// nothing.
#include "base/assert.hpp"
#include "mm/frame.hpp"

namespace domus {

constinit std::array<u64, kMaxChunks / 64> detail::ram_chunks{};
constinit u64 detail::ram_end = 0;

void ram_add(Mfn first, u64 count) {
    ASSERT(first.v + count <= kMaxFrames);
    const u64 end = first.v + count;
    if (end > detail::ram_end) detail::ram_end = end;
    for (u64 chunk = first.v / kChunkFrames; chunk * kChunkFrames < end; chunk++) {
        const u64 chunk_first = chunk * kChunkFrames, chunk_end = chunk_first + kChunkFrames;
        const u64 from = first.v > chunk_first ? first.v : chunk_first;
        const u64 to = end < chunk_end ? end : chunk_end;
        u64& word = detail::ram_chunks[chunk / 64];
        const u64 bit = u64{1} << (chunk % 64);
        if ((word & bit) == 0) {
            for (u64 m = chunk_first; m < from; m++) frame_of(Mfn(m)).flags |= kFrameHole;
            for (u64 m = to; m < chunk_end; m++) frame_of(Mfn(m)).flags |= kFrameHole;
            word |= bit;
        } else {
            for (u64 m = from; m < to; m++) frame_of(Mfn(m)).flags &= static_cast<u8>(~kFrameHole);
        }
    }
}

Mfn last_ram() { return Mfn(detail::ram_end == 0 ? 0 : detail::ram_end - 1); }

}  // namespace domus

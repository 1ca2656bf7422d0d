// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/dirty_bits.hpp"

#include "mm/heap.hpp"
#include "port/cpu.hpp"
#include "port/memory.hpp"

namespace domus::core {

Result<> DirtyBits::grow(u64 pages) {
    const u64 wanted = (pages + kPagesPerChunk - 1) / kPagesPerChunk;
    if (chunks_.size() == 0) chunks_ = TRY(make_array<u64*>(wanted));
    while (made_ < chunks_.size()) {
        const Result<Mfn> frame = alloc_frames(0, {.scrub = true});
        if (!frame) {
            reset();
            return fail(frame.error());
        }
        chunks_[made_++] = port::frame_ptr<u64>(*frame);
        if (made_ < chunks_.size() && port::preempt_wanted()) return fail(Error::restart);
    }
    return {};
}

void DirtyBits::reset() {
    while (made_ > 0) free_frames(mfn(port::direct_map_address(chunks_[--made_])), 0);
    chunks_.reset();
}

}  // namespace domus::core

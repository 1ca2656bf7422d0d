// SPDX-License-Identifier: GPL-2.0-or-later
// A machine with a heap, for tests of memory.
#pragma once

#include <gtest/gtest.h>

#include "fakes/machine.hpp"
#include "mm/heap.hpp"
#include "mm/objects.hpp"
#include "mm/page_type.hpp"
#include "port/memory.hpp"

namespace domus {

class MemoryTest : public testing::Test {
  protected:
    static constexpr u64 kFrames = 4096;  // 16 MiB of RAM, of which the heap has all but the first MiB

    MemoryTest() {
        forget();
        ram_add(Mfn(0), kFrames);
        heap_add(Mfn(256), kFrames - 256);
    }
    ~MemoryTest() override { forget(); }

    static void forget() {
        objects_reset();
        heap_reset();
        set_frame_release(nullptr);
        set_io_permitted(nullptr);
        hypervisor_slots = {};
    }

    // A zeroed frame of the domain's.
    static Mfn new_frame(DomId owner) {
        const Mfn m = *alloc_frames(0, {.scrub = true});
        assign_frame(m, owner);
        return m;
    }
    static Pte* table(Mfn m) { return port::frame_ptr<Pte>(m); }
    static TypeWord type_of(Mfn m) { return TypeWord{frame_of(m).type.load()}; }
    static u64 refs_of(Mfn m) { return frame_of(m).refs.load() & kRefCount; }

    fakes::Machine machine{kFrames * kPageSize};
};

}  // namespace domus

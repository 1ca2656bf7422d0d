// SPDX-License-Identifier: GPL-2.0-or-later
// Repeatable random numbers (xorshift64*, Marsaglia 2003), and numbers that programs tend to trip over.
#pragma once

#include "base/types.hpp"

namespace guest {

using namespace domus;

class Random {
  public:
    explicit Random(u64 seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du) {}
    u64 next() {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return state_ * 0x2545f4914f6cdd1du;
    }
    u64 below(u64 limit) { return (next() >> 16) % limit; }
    bool one_in(u64 n) { return below(n) == 0; }

    // Near the edges of things: powers of two, the ends of address ranges, small numbers, noise.
    u64 edge() {
        static constexpr u64 kEdges[] = {0,
                                         ~u64{0},
                                         0x7fffffffffff,
                                         0x800000000000,
                                         0xffff800000000000,
                                         0xffff804000000000,
                                         0xffff828000000000,
                                         0xffff82ffffffffff,
                                         0xffff830000000000,
                                         0xffff87ffffffffff,
                                         0xffff880000000000,
                                         0x7fffffff,
                                         0x80000000,
                                         0xffffffff,
                                         0x100000000,
                                         0x7fffffffffffffff,
                                         0x8000000000000000,
                                         0xffff,
                                         0x7ff0,
                                         0x7ff1,
                                         0x7ff2,
                                         0x7ff4,
                                         4096,
                                         65536};
        switch (below(5)) {
            case 0: return kEdges[below(sizeof kEdges / sizeof *kEdges)] + below(9) - 4;
            case 1: return (u64{1} << below(64)) + below(3) - 1;
            case 2: return below(16);
            case 3: return below(5000);
            default: return next() >> below(64);
        }
    }

  private:
    u64 state_;
};

}  // namespace guest

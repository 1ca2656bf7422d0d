// SPDX-License-Identifier: GPL-2.0-or-later
// What the log has been told of a domain already, so that each thing is said once. A domain that asks for
// ever new things gets a few lines and then one in a while; other domains have sets of their own.
#pragma once

#include <atomic>

#include "base/types.hpp"

namespace domus::core {

class ToldSet {
  public:
    static constexpr u32 kKept = 16;  // things that are remembered, the last ones
    static constexpr Nanos kInterval = 10 * kSecond;

    // True if `key` is to be told now. Two CPUs at once may tell the same twice.
    bool tell(u64 key, Nanos now) {
        const u32 told = static_cast<u32>(key ^ key >> 32) | 1;
        for (auto& slot : slots_) {
            u32 held = slot.load(std::memory_order_relaxed);
            if (held == 0 && slot.compare_exchange_strong(held, told, std::memory_order_relaxed)) {
                next_at_.store(now + kInterval, std::memory_order_relaxed);
                return true;
            }
            if (held == told) return false;
        }
        // Full: the oldest makes room, if the last was long enough ago.
        Nanos at = next_at_.load(std::memory_order_relaxed);
        if (now < at || !next_at_.compare_exchange_strong(at, now + kInterval, std::memory_order_relaxed))
            return false;
        slots_[oldest_.fetch_add(1, std::memory_order_relaxed) % kKept].store(told,
                                                                              std::memory_order_relaxed);
        return true;
    }

  private:
    std::atomic<u32> slots_[kKept] = {};  // 0: free
    std::atomic<u32> oldest_{0};
    std::atomic<Nanos> next_at_{0};
};

}  // namespace domus::core

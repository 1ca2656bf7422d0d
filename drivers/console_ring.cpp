// SPDX-License-Identifier: GPL-2.0-or-later
// The ring of the newest characters.
#include "drivers/console_ring.hpp"

#include <algorithm>

namespace domus {

void CharRing::put(std::string_view text) {
    for (char c : text) storage_[end_++ & mask()] = c;
    held_ = static_cast<u32>(std::min<u64>(storage_.size(), u64{held_} + text.size()));
}

usize CharRing::read(u32& from, std::span<char> out) const {
    if (end_ - from > held_) from = oldest();
    usize n = 0;
    while (n < out.size() && from != end_) out[n++] = storage_[from++ & mask()];
    return n;
}

void CharRing::move_to(std::span<char> storage) {
    const u32 new_mask = static_cast<u32>(storage.size()) - 1;
    const u32 keep = static_cast<u32>(std::min<u64>(storage.size(), held_));
    for (u32 i = end_ - keep; i != end_; i++) storage[i & new_mask] = storage_[i & mask()];
    storage_ = storage;
    held_ = keep;
}

}  // namespace domus

// SPDX-License-Identifier: GPL-2.0-or-later
// A ring of the newest characters. Indices count characters since the start and wrap at 2^32, as the ABI's
// readconsole does.
#pragma once

#include <span>
#include <string_view>

#include "base/types.hpp"

namespace domus {

class CharRing {
  public:
    // The size is a power of two.
    constexpr explicit CharRing(std::span<char> storage) : storage_(storage) {}

    void put(std::string_view text);
    // Moves to other storage, keeping the newest characters.
    void move_to(std::span<char> storage);

    u32 end() const { return end_; }
    u32 oldest() const { return end_ - held_; }

    // Copies what the ring holds from index `from` on; `from` moves up to the oldest if that is gone, and to
    // the index after the last character copied.
    usize read(u32& from, std::span<char> out) const;

  private:
    u32 mask() const { return static_cast<u32>(storage_.size()) - 1; }

    std::span<char> storage_;
    u32 end_ = 0;
    u32 held_ = 0;
};

}  // namespace domus

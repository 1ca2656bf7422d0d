// SPDX-License-Identifier: GPL-2.0-or-later
// Why the machine cannot be started, in the words of the one line that an operator reads.
#pragma once

#include <expected>

namespace domus {

// Completes "Domus cannot start: ": what is wrong, a full stop, what to do about it, a full stop. Details
// that vary are in the log line before it.
struct Refusal {
    const char* text;
};

template <class T = void>
using Attempt = std::expected<T, Refusal>;

constexpr std::unexpected<Refusal> refusal(const char* text) { return std::unexpected(Refusal{text}); }

}  // namespace domus

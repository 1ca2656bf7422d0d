// SPDX-License-Identifier: GPL-2.0-or-later
// From a typed function to a thunk over argument words. "A hypercall is a typed function; its signature is
// its decoder": thunk_of<Layout, f> decodes each parameter of f by its type, calls it, and encodes its
// continuation, if it asks for one, into the same words.
#pragma once

#include <type_traits>
#include <utility>

#include "hypercall/argument.hpp"
#include "hypercall/caller.hpp"
#include "hypercall/outcome.hpp"

namespace domus::hypercall {

using Thunk = Outcome (*)(Caller&, Words&);

namespace detail {

template <class L, class... A>
constexpr unsigned words_of() {
    return (0u + ... + Argument<L, A>::kWords);
}

// The first word of the I-th parameter.
template <class L, class... A>
constexpr auto word_offsets() {
    std::array<unsigned, sizeof...(A) + 1> at{};
    [[maybe_unused]] unsigned next = 0, i = 0;  // (unused without arguments)
    ((at[i++] = next, next += Argument<L, A>::kWords), ...);
    return at;
}

template <class L, class... A, usize... I>
void encode_all(const std::tuple<A...>& arguments, Words& words, std::index_sequence<I...>) {
    constexpr auto at = word_offsets<L, A...>();
    (Argument<L, A>::encode(std::get<I>(arguments), &words[at[I]]), ...);
}

inline Outcome finish(const Result<>& r) { return {.value = to_abi(r), .then = Outcome::Then::result}; }
inline Outcome finish(const Result<s64>& r) { return {.value = to_abi(r), .then = Outcome::Then::result}; }

template <class L, auto F, class Signature>
struct ThunkFor;

template <class L, auto F, class R, class... A>
struct ThunkFor<L, F, R (*)(Caller&, A...)> {
    static constexpr unsigned kWords = words_of<L, A...>();
    static_assert(kWords <= kMaxWords, "more arguments than registers");

    static Outcome call(Caller& caller, Words& words) {
        return call_with(caller, words, std::index_sequence_for<A...>{});
    }

  private:
    template <usize... I>
    static Outcome call_with(Caller& caller, Words& words, std::index_sequence<I...>) {
        constexpr auto at = word_offsets<L, A...>();
        if constexpr (std::is_same_v<R, Preemptible<A...>>) {
            const R r = F(caller, Argument<L, A>::decode(&words[at[I]])...);
            if (!r.wants_again()) return {.value = r.value(), .then = Outcome::Then::result};
            encode_all<L>(r.arguments(), words, std::index_sequence_for<A...>{});
            return {.value = 0, .then = Outcome::Then::again};
        } else if constexpr (std::is_same_v<R, Outcome>) {
            return F(caller, Argument<L, A>::decode(&words[at[I]])...);
        } else {
            static_assert(
                std::is_same_v<R, Result<>> || std::is_same_v<R, Result<s64>>,
                "a hypercall returns Result<>, Result<s64>, Outcome, or Preemptible<its arguments>");
            return finish(F(caller, Argument<L, A>::decode(&words[at[I]])...));
        }
    }
};

}  // namespace detail

template <class L, auto F>
using ThunkOf = detail::ThunkFor<L, F, decltype(F)>;

// One hypercall: its number, its name (the ABI's, without prefix), who may call it, how many argument words
// it takes, and its function.
struct Row {
    u32 number = 0;
    const char* name = nullptr;
    Who who = Who::any;
    u8 words = 0;
    Thunk thunk = nullptr;
};

template <class L, auto F>
constexpr Row row(u32 number, const char* name, Who who = Who::any) {
    return {number, name, who, ThunkOf<L, F>::kWords, &ThunkOf<L, F>::call};
}

}  // namespace domus::hypercall

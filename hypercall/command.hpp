// SPDX-License-Identifier: GPL-2.0-or-later
// Families of operations behind one hypercall number: (command, …, pointer to the command's structure). Each
// command is a typed function too; the type of its last parameter says how the structure crosses:
//
//   Result<> f(Caller&)                    no structure
//   Result<> f(Caller&, const T& in)       copied in
//   Result<> f(Caller&, T& in_out)         copied in, and back out on success
//   Result<> f(Caller&, Out<T>& out)       zeroed, copied out on success
//   Result<> f(Caller&, GuestAddr where)   the function does it all
//
// A family whose commands share further decoded arguments names them as Extra…, passed before the structure.
// The layout says what the structure looks like in the guest's memory (wire.hpp).
#pragma once

#include <array>
#include <tuple>
#include <type_traits>

#include "base/log.hpp"
#include "hypercall/argument.hpp"
#include "hypercall/caller.hpp"
#include "hypercall/outcome.hpp"
#include "hypercall/refusal.hpp"
#include "hypercall/wire.hpp"

namespace domus::hypercall {

template <GuestCopyable T>
struct Out {
    T v{};
};

// The result of a command, before it becomes an ABI number.
using Value = Result<s64>;

template <class... Extra>
struct Command {
    u32 number = 0;
    const char* name = nullptr;
    Who who = Who::any;
    Value (*call)(Caller&, Extra..., GuestAddr) = nullptr;
};

namespace detail {

inline Value to_value(Result<> r) {
    if (!r) return fail(r.error());
    return 0;
}
inline Value to_value(Result<s64> r) { return r; }

template <class T>
inline constexpr bool is_out = false;
template <class T>
inline constexpr bool is_out<Out<T>> = true;

template <class Signature>
struct SignatureOf;
template <class R, class... A>
struct SignatureOf<R (*)(Caller&, A...)> {
    static constexpr usize kCount = sizeof...(A);
    using Last = std::tuple_element_t<kCount, std::tuple<void, A...>>;  // void if there is none
};

// The domain among a command's arguments, if there is one.
inline const Domain* target_of() { return nullptr; }
template <class First, class... Rest>
const Domain* target_of(const First& first, const Rest&... rest) {
    if constexpr (std::is_same_v<First, Domain>) {
        return &first;
    } else {
        return target_of(rest...);
    }
}

template <class L, auto F, class... Extra>
Value call_command(Caller& caller, Extra... extra, GuestAddr where) {
    using S = SignatureOf<decltype(F)>;
    if constexpr (S::kCount == sizeof...(Extra)) {
        return to_value(F(caller, extra...));
    } else if constexpr (std::is_same_v<typename S::Last, GuestAddr>) {
        return to_value(F(caller, extra..., where));
    } else {
        static_assert(std::is_lvalue_reference_v<typename S::Last>, "see the list at the top");
        using Structure = std::remove_reference_t<typename S::Last>;
        using T = std::remove_const_t<Structure>;
        if constexpr (is_out<T>) {
            T out{};
            const s64 value = TRY(to_value(F(caller, extra..., out)));
            TRY((write_wire<L, decltype(out.v)>(where, out.v)));
            return value;
        } else if constexpr (std::is_const_v<Structure>) {
            const T in = TRY((read_wire<L, T>(where)));
            return to_value(F(caller, extra..., in));
        } else {
            T both = TRY((read_wire<L, T>(where)));
            const s64 value = TRY(to_value(F(caller, extra..., both)));
            TRY((write_wire<L, T>(where, both)));
            return value;
        }
    }
}

}  // namespace detail

template <class L, auto F, class... Extra>
constexpr Command<Extra...> command(u32 number, const char* name, Who who = Who::any) {
    return {number, name, who, &detail::call_command<L, F, Extra...>};
}
// … of a family that only 64-bit guests call, or whose structures have one layout for all (domctl, sysctl).
template <auto F, class... Extra>
constexpr Command<Extra...> command(u32 number, const char* name, Who who = Who::any) {
    return command<Layout64, F, Extra...>(number, name, who);
}

// The commands of a family. Lookup of the small numbers that the ABI uses is one index; larger ones (none in
// a hot family) are searched.
template <usize N, class... Extra>
struct Commands {
    const char* family;
    std::array<Command<Extra...>, N> rows;
    std::array<u8, 128> index{};  // row + 1 by number

    consteval Commands(const char* name, const Command<Extra...> (&list)[N]) : family(name), rows{} {
        static_assert(N < 255);
        for (usize i = 0; i < N; i++) {
            rows[i] = list[i];
            for (usize j = 0; j < i; j++) {
                if (rows[j].number == rows[i].number) duplicate_number();
            }
            if (list[i].number < index.size()) index[list[i].number] = static_cast<u8>(i + 1);
        }
    }

    const Command<Extra...>* find(u32 number) const {
        if (number < index.size()) return index[number] != 0 ? &rows[index[number] - 1u] : nullptr;
        for (const auto& r : rows) {
            if (r.number == number) return &r;
        }
        return nullptr;
    }

    // Checks who may call, and calls. ENOSYS for an unknown number, EPERM for one that is not the caller's. A
    // refusal of an operation that is not everybody's is told, unless a line has come meanwhile.
    Value call(Caller& caller, u32 number, Extra... extra, GuestAddr where) const {
        const Command<Extra...>* c = find(number);
        if (c == nullptr) [[unlikely]] {
            name_missing(caller, family, number);
            return fail(Error::nosys);
        }
        if (!allowed(caller.domain, c->who)) [[unlikely]] {
            name_forbidden(caller, family, c->name);
            return fail(Error::perm);
        }
        if (c->who == Who::any) [[likely]]
            return c->call(caller, extra..., where);
        const u32 said = warnings_logged();
        const Value done = c->call(caller, extra..., where);
        if (!done && warnings_logged() == said) [[unlikely]]
            name_refused(caller, family, c->name, detail::target_of(extra...), done.error());
        return done;
    }

  private:
    static void duplicate_number() {}  // not constexpr: calling it above stops the compilation
};
template <class... Extra, usize N>
Commands(const char*, const Command<Extra...> (&)[N]) -> Commands<N, Extra...>;

}  // namespace domus::hypercall

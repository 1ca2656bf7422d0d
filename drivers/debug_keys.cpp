// SPDX-License-Identifier: GPL-2.0-or-later
// The table of debug keys.
#include "drivers/debug_keys.hpp"

#include <atomic>

#include "base/format.hpp"
#include "drivers/console.hpp"

namespace domus::debug_keys {

namespace {

constexpr char kFirst = ' ', kLast = '~';
constexpr usize kKeys = kLast - kFirst + 1;

struct Key {
    const char* help = nullptr;
    std::atomic<void (*)(char)> run{nullptr};
};
constinit Key keys[kKeys];

void show_help() {
    char line[128];
    for (usize i = 0; i < kKeys; i++)
        if (keys[i].run.load(std::memory_order_acquire) != nullptr)
            console::write_raw(std::string_view(
                line, format_to(line, "  {}  {}\n", static_cast<char>(kFirst + static_cast<char>(i)),
                                keys[i].help)));
    console::write_raw("  h  this list\n");
}

void show_title(char key, const char* help) {
    char line[128];
    console::write_raw(std::string_view(line, format_to(line, "debug key '{}': {}\n", key, help)));
}

}  // namespace

Result<> add(char key, const char* help, void (*run)(char)) {
    if (key < kFirst || key > kLast) return fail(Error::inval);
    Key& k = keys[key - kFirst];
    k.help = help;
    k.run.store(run, std::memory_order_release);
    return {};
}

bool run(char key) {
    if (key < kFirst || key > kLast) return false;
    const Key& k = keys[key - kFirst];
    if (auto* handler = k.run.load(std::memory_order_acquire)) {
        show_title(key, k.help);
        return handler(key), true;
    }
    if (key != 'h') return false;
    show_title(key, "the keys there are");
    return show_help(), true;
}

}  // namespace domus::debug_keys

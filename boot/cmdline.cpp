// SPDX-License-Identifier: GPL-2.0-or-later
// Taking the command line apart into words, and their values into the struct of options.
#include "boot/cmdline.hpp"

#include "base/log.hpp"
#include "drivers/parse.hpp"

namespace domus {
namespace {

constexpr bool same_name(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (usize i = 0; i < a.size(); i++) {
        const char x = a[i] == '-' ? '_' : a[i], y = b[i] == '-' ? '_' : b[i];
        if (x != y) return false;
    }
    return true;
}

const Option* find(std::string_view name) {
    for (const Option& o : option_table())
        if (same_name(o.name, name)) return &o;
    return nullptr;
}

void apply(std::string_view word, BootOptions& options, CommandLineReport& report) {
    const usize equals = word.find('=');
    std::string_view name = word.substr(0, equals);
    std::string_view value = equals == std::string_view::npos ? std::string_view{} : word.substr(equals + 1);
    const Option* option = find(name);
    if (option == nullptr && (name.starts_with("no-") || name.starts_with("no_")) &&
        equals == std::string_view::npos) {
        option = find(name.substr(3));
        if (option != nullptr && option->kind != OptionKind::boolean) option = nullptr;
        value = "off";
    }
    if (option == nullptr) {
        report.unknown++;
        log(Level::warning, "options: unknown option '{}': not used", word);
        return;
    }
    switch (option->kind) {
        case OptionKind::no_use:
            log(Level::debug, "options: '{}' has no use here: {}", word, option->help);
            return;
        case OptionKind::missing:
            log(Level::warning, "options: '{}' is not implemented in this version: no effect", word);
            return;
        case OptionKind::boolean:
            if (value.empty() && equals == std::string_view::npos) value = "on";
            break;
        case OptionKind::value: break;
    }
    if (value.empty() || !option->set(options, value)) {
        report.malformed++;
        log(Level::warning, "options: '{}' is not understood: expected {}={}", word, option->name,
            option->form);
    }
}

}  // namespace

std::optional<bool> parse_bool(std::string_view text) {
    for (std::string_view yes : {"on", "yes", "true", "enable", "1"})
        if (text == yes) return true;
    for (std::string_view no : {"off", "no", "false", "disable", "0"})
        if (text == no) return false;
    return std::nullopt;
}

CommandLineReport parse_command_line(std::string_view line, BootOptions& options) {
    CommandLineReport report;
    const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\n'; };
    while (!line.empty()) {
        usize n = 0;
        while (n < line.size() && !is_space(line[n])) n++;
        const std::string_view word = line.substr(0, n);
        line.remove_prefix(n < line.size() ? n + 1 : n);
        if (word == "--") {
            while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
            options.dom0_extra = line;
            break;
        }
        if (!word.empty()) apply(word, options, report);
    }
    return report;
}

}  // namespace domus

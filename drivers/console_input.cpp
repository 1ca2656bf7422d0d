// SPDX-License-Identifier: GPL-2.0-or-later
// Console input and its switch between dom0 and the hypervisor.
#include "drivers/console_input.hpp"

#include "base/log.hpp"
#include "drivers/console.hpp"
#include "drivers/debug_keys.hpp"
#include "port/lock.hpp"

namespace domus::console {

namespace {

constexpr u32 kInputSize = 1024;  // a screen of paste; more than that is dropped
constexpr char kDefaultSwitch = 'a' - 0x60;

struct Input {
    char buffer[kInputSize] = {};
    u32 head = 0, tail = 0;  // both only grow
    char switch_char = kDefaultSwitch;
    bool switchable = true;
    u32 switch_count = 0;
    bool to_hypervisor = false;
    void (*notify)() = nullptr;
};
constinit Guarded<Input, Rank::console> guarded_input;

}  // namespace

Result<> set_switch(std::string_view value) {
    if (value == "none") {
        guarded_input.lock()->switchable = false;
        return {};
    }
    const bool to_hypervisor = value.size() == 2 && value[1] == 'x';
    if (value.size() != 1 && !to_hypervisor) return fail(Error::inval);
    const char letter = static_cast<char>(value[0] | 0x20);
    if (letter < 'a' || letter > 'z') return fail(Error::inval);
    auto input = guarded_input.lock();
    input->switchable = true;
    input->switch_char = static_cast<char>(letter - 0x60);
    input->to_hypervisor = to_hypervisor;
    return {};
}

void set_input_notify(void (*notify)()) { guarded_input.lock()->notify = notify; }

usize read_input(std::span<char> out) {
    auto input = guarded_input.lock();
    usize n = 0;
    while (n < out.size() && input->head != input->tail) out[n++] = input->buffer[input->head++ % kInputSize];
    return n;
}

void receive(std::string_view characters) {
    for (char c : characters) {
        enum { queued, switched, key } what;
        bool to_hypervisor;
        void (*notify)() = nullptr;
        {
            auto input = guarded_input.lock();
            to_hypervisor = input->to_hypervisor;
            if (input->switchable && c == input->switch_char && ++input->switch_count == 3) {
                input->switch_count = 0;
                to_hypervisor = input->to_hypervisor = !to_hypervisor;
                what = switched;
            } else {
                if (c != input->switch_char) input->switch_count = 0;
                what = to_hypervisor ? key : queued;
                if (what == queued && input->tail - input->head < kInputSize) {
                    input->buffer[input->tail++ % kInputSize] = c;
                    notify = input->notify;
                }
            }
        }
        // Handlers and messages run without the lock: both may write to the console and send events.
        if (what == switched)
            write_raw(
                to_hypervisor
                    ? "\n*** input to the hypervisor ('h' for help; the switch character three times for "
                      "dom0) ***\n"
                    : "\n*** input to dom0 (the switch character three times for the hypervisor) ***\n");
        else if (what == key && !debug_keys::run(c) && c >= ' ')
            write_raw("no such debug key; 'h' lists them\n");
        if (notify != nullptr) notify();
    }
}

}  // namespace domus::console

// SPDX-License-Identifier: GPL-2.0-or-later
// A 16550 serial port behind I/O ports. Source: the National Semiconductor PC16550D data sheet; section
// numbers in the code are its.
#pragma once

#include <span>
#include <string_view>

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus {

struct UartConfig {
    u32 baud = 115200;       // 0: leave what firmware set ("auto")
    u32 base_baud = 115200;  // the divisor's 1: input clock / 16
    u8 data_bits = 8;        // 5 to 8
    char parity = 'n';       // n, o, e, m, s
    u8 stop_bits = 1;        // 1 or 2
    u16 io_base = 0x3f8;
    u8 irq = 4;  // ISA line; 0: poll
    bool operator==(const UartConfig&) const = default;
};

inline constexpr UartConfig kCom1{};
inline constexpr UartConfig kCom2{.io_base = 0x2f8, .irq = 3};

// com1=, com2=: <baud>[/<base-baud>][,[<data><parity><stop>][,[<io-base>][,[<irq>]]]]; baud may be "auto",
// parts that are missing keep the value they have in `config`. EINVAL: nothing changed.
Result<> parse_uart(std::string_view value, UartConfig& config);

class Uart {
  public:
    constexpr Uart() = default;

    // Programs the port, its interrupts off. ENODEV: nothing answers there.
    Result<> init(const UartConfig& config);
    bool present() const { return present_; }
    const UartConfig& config() const { return config_; }

    // Sends, "\n" as "\r\n". Waits for room, but a port that stops to take characters is given up after
    // kStuck reads and then only tried once a character, so that a dead line costs little.
    void write(std::string_view text);

    // Takes what was received. Returns the number of characters.
    usize read(std::span<char> out);

    // The receiver interrupts (level, active high or edge on ISA) when characters wait.
    void enable_interrupt();
    // The same, and the empty transmitter asks for an interrupt at once: tells whether the line works.
    void provoke_interrupt();
    // Ends a request that is not for characters waiting. From the interrupt's handler.
    void acknowledge();

    static constexpr u32 kStuck = 200'000;

  private:
    bool wait_room();
    void put(char c);

    UartConfig config_;
    bool present_ = false;
    bool stuck_ = false;
    u32 room_ = 0;       // characters that surely fit into the transmitter
    u32 fifo_size_ = 1;  // 16 with a working FIFO
};

}  // namespace domus

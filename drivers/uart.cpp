// SPDX-License-Identifier: GPL-2.0-or-later
// The 16550 serial port.
#include "drivers/uart.hpp"

#include "drivers/parse.hpp"
#include "port/io.hpp"

namespace domus {

namespace {

// Registers (8.0): offsets from the base.
enum Register : u16 {
    kData = 0,             // RBR, THR; divisor low byte while DLAB
    kInterruptEnable = 1,  // divisor high byte while DLAB
    kInterruptIdent = 2,   // reads
    kFifoControl = 2,      // writes
    kLineControl = 3,
    kModemControl = 4,
    kLineStatus = 5,
    kScratch = 7,
};
constexpr u8 kDlab = 0x80;
constexpr u8 kFifoEnableAndClear = 0x07;  // trigger level 1: an interrupt for each character
constexpr u8 kFifoPresent = 0xc0;
constexpr u8 kDtrRtsOut2 = 0x0b;  // OUT2 gates the interrupt line of a PC
constexpr u8 kDataReady = 0x01, kThrEmpty = 0x20;
constexpr u8 kReceiverInterrupt = 0x01, kTransmitterInterrupt = 0x02;

u8 line_control(const UartConfig& c) {
    u8 v = static_cast<u8>(c.data_bits - 5);
    if (c.stop_bits == 2) v |= 0x04;
    switch (c.parity) {
        case 'o': v |= 0x08; break;
        case 'e': v |= 0x18; break;
        case 'm': v |= 0x28; break;
        case 's': v |= 0x38; break;
        default: break;
    }
    return v;
}

bool parse_frame(std::string_view s, UartConfig& c) {
    if (s.size() != 3 || s[0] < '5' || s[0] > '8' || (s[2] != '1' && s[2] != '2')) return false;
    if (std::string_view("noems").find(s[1]) == std::string_view::npos) return false;
    c.data_bits = static_cast<u8>(s[0] - '0');
    c.parity = s[1];
    c.stop_bits = static_cast<u8>(s[2] - '0');
    return true;
}

}  // namespace

Result<> parse_uart(std::string_view value, UartConfig& config) {
    UartConfig c = config;
    std::string_view speed = cut(value, ',');
    if (speed == "auto") {
        c.baud = 0;
    } else if (!speed.empty()) {
        const auto baud = parse_number(cut(speed, '/'), 4'000'000);
        if (!baud || *baud == 0) return fail(Error::inval);
        c.baud = static_cast<u32>(*baud);
        if (!speed.empty()) {
            const auto base = parse_number(speed, 64'000'000);
            if (!base || *base < *baud) return fail(Error::inval);
            c.base_baud = static_cast<u32>(*base);
        }
        if (c.base_baud < c.baud || c.base_baud / c.baud > 0xffff) return fail(Error::inval);
    }
    if (const std::string_view frame = cut(value, ','); !frame.empty() && !parse_frame(frame, c))
        return fail(Error::inval);
    if (const std::string_view base = cut(value, ','); !base.empty()) {
        const auto v = parse_number(base, 0xfff8);
        if (!v || *v == 0) return fail(Error::inval);
        c.io_base = static_cast<u16>(*v);
    }
    if (const std::string_view irq = cut(value, ','); !irq.empty()) {
        const auto v = parse_number(irq, 255);
        if (!v) return fail(Error::inval);
        c.irq = static_cast<u8>(*v);
    }
    config = c;
    return {};
}

Result<> Uart::init(const UartConfig& config) {
    const u16 base = config.io_base;
    config_ = config;
    // An absent port floats. The scratch register would tell too, but some chips lack it; the interrupt
    // enable register's upper half always reads as zero (8.8).
    port::out8(base + kInterruptEnable, 0);
    if (port::in8(base + kInterruptEnable) != 0 || port::in8(base + kLineStatus) == 0xff)
        return fail(Error::nodev);

    const u8 line = line_control(config);
    port::out8(base + kLineControl, line);
    if (config.baud != 0) {
        const u32 divisor = config.base_baud / config.baud;
        port::out8(base + kLineControl, line | kDlab);
        port::out8(base + kData, static_cast<u8>(divisor));
        port::out8(base + kInterruptEnable, static_cast<u8>(divisor >> 8));
        port::out8(base + kLineControl, line);
    }
    port::out8(base + kFifoControl, kFifoEnableAndClear);
    fifo_size_ = (port::in8(base + kInterruptIdent) & kFifoPresent) == kFifoPresent ? 16 : 1;
    port::out8(base + kModemControl, kDtrRtsOut2);
    present_ = true;
    return {};
}

bool Uart::wait_room() {
    const u16 status = static_cast<u16>(config_.io_base + kLineStatus);
    for (u32 tries = stuck_ ? 1 : kStuck; tries > 0; tries--) {
        const u8 v = port::in8(status);
        if (v == 0xff) break;  // the port has gone
        if ((v & kThrEmpty) != 0) {
            room_ = fifo_size_;  // empty means the whole FIFO is (8.5)
            stuck_ = false;
            return true;
        }
        port::pause();
    }
    stuck_ = true;
    return false;
}

void Uart::put(char c) {
    if (room_ == 0 && !wait_room()) return;
    port::out8(config_.io_base + kData, static_cast<u8>(c));
    room_--;
}

void Uart::write(std::string_view text) {
    if (!present_) return;
    for (char c : text) {
        if (c == '\n') put('\r');
        put(c);
    }
}

usize Uart::read(std::span<char> out) {
    if (!present_) return 0;
    usize n = 0;
    while (n < out.size()) {
        const u8 status = port::in8(config_.io_base + kLineStatus);
        if (status == 0xff || (status & kDataReady) == 0) break;
        out[n++] = static_cast<char>(port::in8(config_.io_base + kData));
    }
    return n;
}

void Uart::enable_interrupt() {
    if (present_) port::out8(config_.io_base + kInterruptEnable, kReceiverInterrupt);
}

void Uart::provoke_interrupt() {
    if (present_) port::out8(config_.io_base + kInterruptEnable, kReceiverInterrupt | kTransmitterInterrupt);
}

void Uart::acknowledge() {
    if (present_) (void)port::in8(config_.io_base + kInterruptIdent);  // 8.7: reading it clears the request
}

}  // namespace domus

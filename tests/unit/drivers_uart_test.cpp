// SPDX-License-Identifier: GPL-2.0-or-later
// The 16550 driver against a simulated port.
#include "drivers/uart.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <string>

#include "fakes/io.hpp"

namespace domus {
namespace {

TEST(UartOptions, Forms) {
    UartConfig c = kCom1;
    ASSERT_TRUE(parse_uart("9600", c));
    EXPECT_EQ(c.baud, 9600u);
    c = kCom1;
    ASSERT_TRUE(parse_uart("115200,8n1", c));
    EXPECT_EQ(c, kCom1);
    ASSERT_TRUE(parse_uart("38400/1843200,7e2,0x3e8,5", c));
    EXPECT_EQ(c, (UartConfig{38400, 1843200, 7, 'e', 2, 0x3e8, 5}));
    c = kCom1;
    ASSERT_TRUE(parse_uart(",,1016,0", c));
    EXPECT_EQ(c.io_base, 0x3f8);
    EXPECT_EQ(c.irq, 0);
    ASSERT_TRUE(parse_uart("auto", c));
    EXPECT_EQ(c.baud, 0u);
    for (const char* bad : {"0", "fast", "115200,9n1", "115200,8x1", "115200,8n3", "115200,8n",
                            "115200,,0x10000", "115200,,0x3f8,999", "115200/9600", "1", "230400"}) {
        UartConfig before = kCom1;
        EXPECT_FALSE(parse_uart(bad, before)) << bad;
        EXPECT_EQ(before, kCom1);
    }
}

// A 16550 at 0x3f8 that takes `room` characters at a time.
struct FakeUart : fakes::IoBus {
    u32 in(u16 port, unsigned) override {
        if (port < 0x3f8 || port > 0x3ff || absent) return 0xff;
        reads++;
        switch (port - 0x3f8) {
            case 0: {
                if (input.empty()) return 0;
                const char c = input.front();
                input.pop_front();
                return static_cast<u8>(c);
            }
            case 1: return ier;
            case 2: request = false; return fifo ? 0xc1 : 0x01;
            case 5:
                if (!dead) used = 0;
                return (used == 0 ? 0x60u : 0u) | (input.empty() ? 0u : 1u);
            default: return 0;
        }
    }
    void out(u16 port, unsigned, u32 v) override {
        switch (port - 0x3f8) {
            case 0:
                if ((lcr & 0x80) != 0) {
                    divisor = (divisor & 0xff00) | v;
                } else {
                    EXPECT_LT(used, fifo ? 16u : 1u) << "overrun";
                    sent += static_cast<char>(v);
                    used++;
                }
                break;
            case 1:
                if ((lcr & 0x80) != 0)
                    divisor = (divisor & 0xff) | v << 8;
                else
                    ier = v & 0x0f, request = request || ((v & 2) != 0 && used == 0);
                break;
            case 3: lcr = v; break;
            case 4: mcr = v; break;
            default: break;
        }
    }
    bool request = false;  // the transmitter's interrupt
    bool absent = false, dead = false, fifo = true;
    u32 ier = 0, lcr = 0, mcr = 0, divisor = 0, used = 0, reads = 0;
    std::string sent;
    std::deque<char> input;
};

TEST(Uart, ProgramsThePort) {
    FakeUart hw;
    Uart uart;
    UartConfig c = kCom1;
    ASSERT_TRUE(parse_uart("9600,7e2", c));
    ASSERT_TRUE(uart.init(c));
    EXPECT_EQ(hw.divisor, 12u);
    EXPECT_EQ(hw.lcr, 0x02u | 0x04 | 0x18);
    EXPECT_EQ(hw.mcr, 0x0bu);
    EXPECT_EQ(hw.ier, 0u);
    uart.enable_interrupt();
    EXPECT_EQ(hw.ier, 1u);
}

TEST(Uart, ProvokesAnInterruptThatCanBeAcknowledged) {
    FakeUart hw;
    Uart uart;
    uart.provoke_interrupt();
    EXPECT_EQ(hw.ier, 0u) << "no port yet";
    ASSERT_TRUE(uart.init(kCom1));
    uart.provoke_interrupt();
    EXPECT_EQ(hw.ier, 3u);
    EXPECT_TRUE(hw.request);
    uart.acknowledge();
    EXPECT_FALSE(hw.request);
    uart.enable_interrupt();
    EXPECT_EQ(hw.ier, 1u);
}

TEST(Uart, SendsThroughFifoWithoutOverrun) {
    for (bool fifo : {true, false}) {
        FakeUart hw;
        hw.fifo = fifo;
        Uart uart;
        ASSERT_TRUE(uart.init(kCom1));
        uart.write("a line that is longer than sixteen characters\n");
        EXPECT_EQ(hw.sent, "a line that is longer than sixteen characters\r\n");
    }
}

TEST(Uart, AbsentPortIsRefusedAndSilent) {
    FakeUart hw;
    hw.absent = true;
    Uart uart;
    EXPECT_EQ(uart.init(kCom1).error(), Error::nodev);
    uart.write("x");
    char out[4];
    EXPECT_EQ(uart.read(out), 0u);
    EXPECT_EQ(hw.sent, "");
}

TEST(Uart, DeadPortDoesNotHangAndRecovers) {
    FakeUart hw;
    Uart uart;
    ASSERT_TRUE(uart.init(kCom1));
    uart.write("x");
    hw.dead = true;
    uart.write(std::string(1000, 'y'));
    EXPECT_LE(hw.reads, Uart::kStuck + 3000);
    hw.sent.clear();
    hw.dead = false;
    uart.write("back");
    EXPECT_EQ(hw.sent, "back");
}

TEST(Uart, ReadsWhatWaits) {
    FakeUart hw;
    Uart uart;
    ASSERT_TRUE(uart.init(kCom1));
    hw.input = {'a', 'b', 'c'};
    char out[2];
    EXPECT_EQ(uart.read(out), 2u);
    EXPECT_EQ(std::string(out, 2), "ab");
    EXPECT_EQ(uart.read(out), 1u);
    EXPECT_EQ(uart.read(out), 0u);
}

}  // namespace
}  // namespace domus

// SPDX-License-Identifier: GPL-2.0-or-later
// Emulated time stamp counters.
#include "core/guest_tsc.hpp"

#include "core_fixture.hpp"

namespace domus {
namespace {

using core::emulated_tsc;
using core::make_tsc;

constexpr u32 kHost = 2'600'000;

TEST(GuestTsc, WhenItIsEmulated) {
    EXPECT_FALSE(make_tsc(0, 0, 0, 0, kHost, 0)->emulated);
    EXPECT_FALSE(make_tsc(0, 0, kHost + 5, 0, kHost, 0)->emulated) << "another calibration of the same clock";
    EXPECT_TRUE(make_tsc(0, 0, 2'000'000, 0, kHost, 0)->emulated);
    EXPECT_TRUE(make_tsc(1, 0, 0, 0, kHost, 0)->emulated);
    EXPECT_FALSE(make_tsc(2, 0, 2'000'000, 0, kHost, 0)->emulated);
    EXPECT_EQ(make_tsc(0, 0, 0, 0, kHost, 0)->khz, kHost);
    EXPECT_EQ(make_tsc(1, 0, 0, 3, kHost, 0)->incarnation, 4u);
}

TEST(GuestTsc, Refusals) {
    for (const u32 mode : {3u, 4u, ~0u}) EXPECT_ERROR(make_tsc(mode, 0, 0, 0, kHost, 0), inval);
    for (const u32 khz : {1u, 999u, 1'000'000'001u, ~0u})
        EXPECT_ERROR(make_tsc(1, 0, khz, 0, kHost, 0), inval);
}

// The guest's own arithmetic with the published scale gives the time that the hypervisor has.
TEST(GuestTsc, CounterAndScaleAgree) {
    for (const u32 khz :
         {1'000u, 33'333u, 999'999u, 1'000'000u, 1'000'001u, 2'600'003u, 4'294'967u, 1'000'000'000u}) {
        const auto tsc = *make_tsc(1, 5 * kSecond, khz, 0, kHost, 1000);
        EXPECT_EQ(emulated_tsc(tsc, 1000) / khz, 5'000u - (emulated_tsc(tsc, 1000) % khz != 0)) << khz;
        EXPECT_GE(tsc.to_ns.mul, u32{1} << 31) << khz;
        for (const u64 ns : {u64{0}, u64{1}, u64{1'000'000}, u64{3'600} * kSecond}) {
            const u64 ticks = emulated_tsc(tsc, 1000 + static_cast<Nanos>(ns)) - emulated_tsc(tsc, 1000);
            const u64 shifted = tsc.to_ns.shift < 0 ? ticks >> -tsc.to_ns.shift : ticks << tsc.to_ns.shift;
            const u64 back = static_cast<u64>(static_cast<unsigned __int128>(shifted) * tsc.to_ns.mul >> 32);
            const u64 tick = 1'000'000 / khz + 1;
            EXPECT_NEAR(static_cast<double>(back), static_cast<double>(ns),
                        static_cast<double>(2 * tick) + static_cast<double>(ns) * 1e-6)
                << khz << ' ' << ns;
        }
    }
}

class TscPublished : public CoreTest {};

TEST_F(TscPublished, AClockInTicksOfTheEmulatedCounter) {
    machine.now = 10 * kSecond;
    Domain& d = make_domain(3, 1);
    d.tsc = *make_tsc(1, 0, 500'000, 0, kHost, 0);
    ASSERT_TRUE(core::vcpu_initialise(d, VcpuId(0), nullptr));
    ASSERT_TRUE(core::vcpu_up(d, VcpuId(0)));
    core::unpause_domain(d);
    run_all();
    const vcpu_time_info_t& t = vcpu(d, 0).info->time;
    EXPECT_EQ(t.tsc_timestamp, emulated_tsc(d.tsc, static_cast<Nanos>(t.system_time)));
    EXPECT_EQ(t.tsc_to_system_mul, d.tsc.to_ns.mul);
    EXPECT_EQ(t.tsc_shift, d.tsc.to_ns.shift);
}

}  // namespace
}  // namespace domus

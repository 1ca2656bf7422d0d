// SPDX-License-Identifier: GPL-2.0-or-later
// The choice of a scheduling policy by name.
#include <gtest/gtest.h>

#include <string>

#include "base/log.hpp"
#include "unit/core_fixture.hpp"

namespace domus {
namespace {

std::string said;

class SchedulerByName : public CoreTest, public testing::WithParamInterface<const char*> {
  protected:
    void SetUp() override {
        objects_reset();
        heap_reset();
        fakes::context.reset();
        fakes::interrupts.reset();
        ram_add(Mfn(0), kFrames);
        heap_add(Mfn(256), kFrames - 256);
        said.clear();
        set_log_sink([](Level, bool, std::string_view line) { said += line; });
        const bool up = core::init(GetParam()).has_value();
        set_log_sink(nullptr);
        ASSERT_TRUE(up);
    }
};

TEST_P(SchedulerByName, RunsADomain) {
    const std::string name = GetParam();
    const bool known = name != "credit";
    EXPECT_EQ(core::scheduler().policy().name, known && !name.empty() ? name : "credit2");
    EXPECT_EQ(said.find("sched=credit:") != std::string::npos, !known) << said;
    Domain& d = make_running(0, 2, {.privileged = true});
    for (int i = 0; i < 200; i++) advance(kMillisecond);
    for (u32 i = 0; i < 2; i++)
        EXPECT_GT(core::scheduler().run_times(vcpu(d, i).sched, machine.now).time[0], 50 * kMillisecond);
    core::pause_domain(d);
    run_all();
    destroy(d);
}
INSTANTIATE_TEST_SUITE_P(Names, SchedulerByName,
                         testing::Values("", "credit2", "rtds", "null", "arinc653", "credit"));

}  // namespace
}  // namespace domus

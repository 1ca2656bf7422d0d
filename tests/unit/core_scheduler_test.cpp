// SPDX-License-Identifier: GPL-2.0-or-later
// The choice of a scheduling policy by name.
#include <gtest/gtest.h>

#include <string>

#include "base/log.hpp"
#include "unit/core_fixture.hpp"

namespace domus {
namespace {

std::string said;

class SchedulerByName : public CoreTest {
  protected:
    void start(std::string_view name) {
        objects_reset();
        heap_reset();
        ram_add(Mfn(0), kFrames);
        heap_add(Mfn(256), kFrames - 256);
        said.clear();
        set_log_sink([](Level, bool, std::string_view line) { said += line; });
        ASSERT_TRUE(core::init(name));
        set_log_sink(nullptr);
    }
};

TEST_F(SchedulerByName, EachRunsADomain) {
    for (const char* name : {"", "credit2", "rtds", "null", "arinc653"}) {
        start(name);
        EXPECT_EQ(said, "");
        EXPECT_EQ(core::scheduler().policy().name, *name == 0 ? "credit2" : name);
        Domain& d = make_running(0, 2, {.privileged = true});
        const auto ran = [&](u32 i) {
            return core::scheduler().run_times(vcpu(d, i).sched, machine.now).time[0];
        };
        for (int i = 0; i < 200; i++) advance(kMillisecond);
        for (u32 i = 0; i < 2; i++) EXPECT_GT(ran(i), 50 * kMillisecond) << name;
        core::pause_domain(d);
        run_all();
        destroy(d);
    }
}

TEST_F(SchedulerByName, AnUnknownOneIsNamed) {
    start("credit");
    EXPECT_NE(said.find("sched=credit"), std::string::npos) << said;
    EXPECT_EQ(core::scheduler().policy().name, "credit2");
}

}  // namespace
}  // namespace domus

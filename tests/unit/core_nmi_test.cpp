// SPDX-License-Identifier: GPL-2.0-or-later
// NMIs from the machine and what dom0 gets to know of them.
#include "base/log.hpp"
#include "core/nmi.hpp"
#include "core_fixture.hpp"

namespace domus {
namespace {

std::string last_line;

class CoreNmi : public CoreTest {
  protected:
    void SetUp() override {
        CoreTest::SetUp();
        last_line.clear();
        set_log_sink([](Level, bool, std::string_view line) { last_line = line; });
    }
    void TearDown() override {
        set_log_sink(nullptr);
        CoreTest::TearDown();
    }
    void arrive(port::NmiReport report) {
        fakes::context.nmis = report;
        machine.work[0] |= static_cast<u32>(port::Work::nmi);
        run_all();
    }
};

TEST_F(CoreNmi, TellsDom0) {
    Domain& d = make_running(0, 2, {.privileged = true, .hardware = true});
    vcpu(d, 0).pv.nmi_callback = 0x1000;
    arrive({.count = 1, .for_dom0 = true});
    EXPECT_TRUE(vcpu(d, 0).nmi_pending.load());
    EXPECT_FALSE(vcpu(d, 1).nmi_pending.load());
    EXPECT_EQ(d.shared->arch.nmi_reason, XEN_NMIREASON_unknown);
    EXPECT_NE(last_line.find("NMI on CPU 0: its cause is unknown"), std::string::npos) << last_line;
    arrive({.count = 1, .system_error = true, .for_dom0 = true});
    EXPECT_EQ(d.shared->arch.nmi_reason, XEN_NMIREASON_unknown | XEN_NMIREASON_pci_serr);
    arrive({.count = 1, .device_error = true, .for_dom0 = true});
    EXPECT_NE(d.shared->arch.nmi_reason & XEN_NMIREASON_io_error, 0u);
}

TEST_F(CoreNmi, OnlySaysSoIfDom0IsNotToKnow) {
    Domain& d = make_running(0, 1, {.privileged = true, .hardware = true});
    arrive({.count = 1, .for_dom0 = false});
    EXPECT_FALSE(vcpu(d, 0).nmi_pending.load());
    EXPECT_EQ(d.shared->arch.nmi_reason, 0u);
    EXPECT_FALSE(last_line.empty());
}

TEST_F(CoreNmi, IsQuietWithoutOneAndWithoutDom0) {
    arrive({.count = 0, .for_dom0 = true});
    EXPECT_TRUE(last_line.empty());
    arrive({.count = 3, .for_dom0 = true});
    EXPECT_FALSE(last_line.empty());
}

}  // namespace
}  // namespace domus

// SPDX-License-Identifier: GPL-2.0-or-later
// A domain's pages: taking and putting back, and vCPUs that give up pages while others get them.
#include "core/pages.hpp"

#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include "core_fixture.hpp"
#include "mm/frame_refs.hpp"
#include "mm/page_type.hpp"

namespace domus {
namespace {

class DomainPagesTest : public CoreTest {
  protected:
    static u64 listed(Domain& d) {
        u64 n = 0;
        core::for_each_page(d.pages, [&n](Mfn) { n++; });
        return n;
    }
};

TEST_F(DomainPagesTest, ATakenPageIsNobodys) {
    Domain& d = make_domain(1);
    const u64 free = heap_free_frames();
    const Mfn m = *core::allocate_pages(d, 0);
    ASSERT_TRUE(core::take_page(d, m));
    EXPECT_FALSE(get_page(m, d.id));
    EXPECT_EQ(listed(d), 0u);
    EXPECT_EQ(d.pages.total, 1u);
    EXPECT_ERROR(core::take_page(d, m), inval);
    core::put_back_page(d, m);
    EXPECT_EQ(listed(d), 1u);
    EXPECT_TRUE(get_page(m, d.id));
    ASSERT_TRUE(core::take_page(d, m));
    const Mfn other = *alloc_frames(0);
    ASSERT_TRUE(core::add_in_stead(d, other, 1));
    core::free_taken_page(m);
    EXPECT_EQ(d.pages.total, 1u);
    EXPECT_EQ(heap_free_frames(), free - 1);
    ASSERT_TRUE(core::release_page(d, other));
    EXPECT_EQ(d.pages.total, 0u);
    EXPECT_EQ(heap_free_frames(), free);
}

TEST_F(DomainPagesTest, OnlyAPageThatNobodyUsesIsTaken) {
    Domain& d = make_domain(1);
    const Mfn m = *core::allocate_pages(d, 0);
    {
        const PageRef held = *get_page(m, d.id);
        EXPECT_ERROR(core::take_page(d, m), busy);
    }
    ASSERT_TRUE(get_writable(frame_of(m)));
    EXPECT_ERROR(core::take_page(d, m), busy);
    put_writable(frame_of(m));
    EXPECT_ERROR(core::take_page(d, d.shared_mfn), busy) << "the hypervisor writes to it";
    EXPECT_TRUE(get_page(m, d.id));
    EXPECT_EQ(listed(d), 1u);
    EXPECT_TRUE(core::take_page(d, m));
    core::put_back_page(d, m);
}

TEST_F(DomainPagesTest, ADyingDomainGetsNothingBack) {
    Domain& d = make_domain(1);
    const u64 free = heap_free_frames();
    const Mfn m = *core::allocate_pages(d, 0);
    ASSERT_TRUE(core::take_page(d, m));
    destroy(d);
    ASSERT_EQ(core::find_domain(DomId(1)), &d) << "a page of it is still about";
    const Mfn other = *alloc_frames(0);
    EXPECT_ERROR(core::add_in_stead(d, other, 1), inval);
    free_frames(other, 0);
    core::put_back_page(d, m);
    quiesce();
    EXPECT_EQ(core::find_domain(DomId(1)), nullptr);
    EXPECT_GE(heap_free_frames(), free);
}

// One vCPU gets memory, the other gives up pages as soon as they are the domain's: it knows which they will
// be.
TEST_F(DomainPagesTest, PagesMayBeGivenUpAtOnce) {
    Domain& d = make_domain(1, 2, {.max_pages = 2048});
    const u64 free = heap_free_frames();
    std::atomic<bool> stop{false};
    std::atomic<u64> given_up{0};
    std::thread giver([&] {
        machine.set_cpu(CpuId(1));
        while (!stop) {
            for (u64 m = 256; m < kFrames; m++) given_up += core::release_page(d, Mfn(m)).has_value();
        }
    });
    std::mt19937 random(1);
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (given_up < 20000 && std::chrono::steady_clock::now() < limit) {
        if (!core::allocate_pages(d, random() % 8)) port::relax();
    }
    stop = true;
    giver.join();
    EXPECT_GE(given_up, 20000u);
    EXPECT_EQ(listed(d), d.pages.total);
    for (u64 m = 256; m < kFrames; m++) static_cast<void>(core::release_page(d, Mfn(m)));
    EXPECT_EQ(d.pages.total, 0u);
    EXPECT_EQ(heap_free_frames(), free);
}

}  // namespace
}  // namespace domus

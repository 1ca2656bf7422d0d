// SPDX-License-Identifier: GPL-2.0-or-later
// Grant entries against a small model with random histories, with CPUs racing the guest that rewrites them,
// and with every allocation failing once.
#include <random>
#include <thread>
#include <vector>

#include "core/grant_map.hpp"
#include "core/grant_pin.hpp"
#include "core_fixture.hpp"
#include "mm/page_type.hpp"

namespace domus {
namespace {

using core::GrantStatus;

TEST(GrantMachine, PinsAreCountedApart) {
    core::GrantPins p;
    EXPECT_EQ(core::grant_machine::idle_flags(p), GTF_reading | GTF_writing);
    p = *core::grant_machine::add(p, false);
    EXPECT_EQ(core::grant_machine::idle_flags(p), GTF_writing);
    p = *core::grant_machine::add(p, true);
    EXPECT_EQ(core::grant_machine::idle_flags(p), 0);
    p = core::grant_machine::remove(p, false);
    EXPECT_EQ(core::grant_machine::idle_flags(p), 0) << "who writes reads as well";
    for (u32 i = 1; i < core::GrantPins::kMost; i++) p = *core::grant_machine::add(p, true);
    EXPECT_EQ(core::grant_machine::add(p, true).error(), GrantStatus::no_space);
    EXPECT_TRUE(core::grant_machine::add(p, false));
    EXPECT_EQ(p.writers(), core::GrantPins::kMost);
    EXPECT_EQ(p.readers(), 0u);
}

class GrantEntries : public CoreTest {
  protected:
    static u16& flags_v1(Domain& d, u32 ref) {
        return reinterpret_cast<grant_entry_v1_t*>(core::entry_v1(d.grants, ref))->flags;
    }
    static GrantStatus status_of(const core::GrantResult<core::GrantedPart>& r) {
        return r ? GrantStatus::okay : r.error();
    }
};

// The model: what an honest reader of grant_table.h expects, entry by entry.
struct Model {
    u16 flags = 0, domid = 0;  // as the guest last wrote them, without the two
    int readers = 0, writers = 0;

    GrantStatus pin(u32 version, u16 grantee, bool write, bool copy) {
        const bool whole = (flags & 3) == 1 && (version == 1 || (flags & GTF_sub_page) == 0);
        const bool part = version == 2 && (flags & 3) == 1 && (flags & GTF_sub_page) != 0 && copy;
        if (domid != grantee || !(whole || part) || (write && (flags & GTF_readonly)))
            return GrantStatus::general_error;
        (write ? writers : readers)++;
        return GrantStatus::okay;
    }
    u16 status() const {
        return static_cast<u16>((readers + writers > 0 ? GTF_reading : 0) | (writers > 0 ? GTF_writing : 0));
    }
};

TEST_F(GrantEntries, RandomHistoriesAgreeWithTheModel) {
    for (u32 version = 1; version <= 2; version++) {
        Domain& d = make_domain(static_cast<u16>(version), 1);
        ASSERT_TRUE(core::grow_grant_table(d, 1));
        ASSERT_TRUE(core::set_grant_table_version(d, version));
        std::mt19937 rng(version);
        constexpr u32 kEntries = 4;
        Model model[kEntries];
        struct Held {
            u32 entry;
            bool write;
        };
        std::vector<Held> held;
        u32 pinned = 0;
        for (int step = 0; step < 50000; step++) {
            const u32 i = rng() % kEntries, ref = 100 + i;
            Model& m = model[i];
            auto* word = reinterpret_cast<u16*>(version == 1 ? core::entry_v1(d.grants, ref)
                                                             : core::entry_v2(d.grants, ref));
            switch (rng() % 4) {
                case 0: {  // the guest writes the entry, whether it is in use or not, but for the two flags
                    m.flags = static_cast<u16>((rng() % 3) | (rng() % 2 ? GTF_readonly : 0) |
                                               (rng() % 4 == 0 ? GTF_sub_page : 0));
                    m.domid = static_cast<u16>(7 + rng() % 2);
                    word[0] = static_cast<u16>(m.flags | (version == 1 ? m.status() : 0));
                    word[1] = m.domid;
                    break;
                }
                case 1: {
                    if (held.empty()) break;
                    const usize at = rng() % held.size();
                    const Held h = held[at];
                    held.erase(held.begin() + static_cast<s64>(at));
                    core::unpin_grant(d.grants, 100 + h.entry, h.write);
                    (h.write ? model[h.entry].writers : model[h.entry].readers)--;
                    break;
                }
                default: {
                    const auto grantee = static_cast<u16>(7 + rng() % 2);
                    const bool write = rng() % 2, copy = rng() % 2;
                    const auto r =
                        core::pin_grant(d.grants, ref, DomId(grantee), {.write = write, .copy = copy});
                    ASSERT_EQ(status_of(r), m.pin(version, grantee, write, copy)) << "step " << step;
                    if (r) held.push_back({i, write}), pinned++;
                }
            }
            for (u32 e = 0; e < kEntries; e++) {
                const u16 seen = version == 1 ? flags_v1(d, 100 + e) & (GTF_reading | GTF_writing)
                                              : *core::status_word(d.grants, 100 + e);
                ASSERT_EQ(seen, model[e].status()) << "step " << step << " entry " << e;
                const core::GrantPins p{d.grants.pins_of(100 + e)->load()};
                ASSERT_EQ(p.readers(), static_cast<u32>(model[e].readers));
                ASSERT_EQ(p.writers(), static_cast<u32>(model[e].writers));
            }
        }
        EXPECT_GT(pinned, 1000u);
        while (!held.empty()) {
            core::unpin_grant(d.grants, 100 + held.back().entry, held.back().write);
            held.pop_back();
        }
        EXPECT_TRUE(core::set_grant_table_version(d, 3 - version)) << "nothing is in use any more";
    }
}

// A guest that ends and renews its grant as grant_table.h tells it to: no use begins before or lasts beyond
// that.
TEST_F(GrantEntries, ManyCpusAndAnHonestGuest) {
    Domain& d = make_domain(1, 1);
    ASSERT_TRUE(core::grow_grant_table(d, 1));
    auto* entry = reinterpret_cast<grant_entry_v1_t*>(core::entry_v1(d.grants, 9));
    auto* word = reinterpret_cast<u32*>(entry);
    constexpr u32 kGranted = GTF_permit_access | 7u << 16;
    std::atomic<bool> stop{false};
    std::atomic<u32> ended{0};  // odd while the grant stands
    std::atomic<u64> overtaken{0}, used{0};

    std::thread guest([&] {
        while (!stop) {
            ended++;
            entry->frame++;
            __atomic_store_n(word, kGranted, __ATOMIC_RELEASE);
            for (int i = 0; i < 50; i++) std::this_thread::yield();
            for (u32 expected = kGranted;
                 !stop &&
                 !__atomic_compare_exchange_n(word, &expected, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
                 expected = kGranted)
                std::this_thread::yield();
            ended++;
        }
    });
    std::vector<std::thread> users;
    for (int t = 0; t < 3; t++) {
        users.emplace_back([&, t] {
            for (int i = 0; i < 20000; i++) {
                const bool write = (i + t) % 2;
                const auto r = core::pin_grant(d.grants, 9, DomId(7), {.write = write});
                if (!r) {
                    if (i % 16 == 0) std::this_thread::yield();
                    continue;
                }
                used++;
                const u32 before = ended.load();
                if (i % 64 == 0) std::this_thread::yield();
                // While we hold it the guest cannot end it.
                if (before % 2 == 0 || ended.load() != before) overtaken++;
                core::unpin_grant(d.grants, 9, write);
            }
        });
    }
    for (auto& t : users) t.join();
    stop = true;
    guest.join();
    EXPECT_EQ(overtaken, 0u);
    EXPECT_GT(used, 100u);
    EXPECT_EQ(d.grants.pins_of(9)->load(), 0u);
    EXPECT_EQ(entry->flags & (GTF_reading | GTF_writing), 0);
}

TEST_F(GrantEntries, ManyCpusAndAHostileGuest) {
    Domain& d = make_domain(1, 1);
    ASSERT_TRUE(core::grow_grant_table(d, 1));
    std::atomic<bool> stop{false};
    std::thread guest([&] {
        std::mt19937 rng(5);
        while (!stop) {
            auto* words = reinterpret_cast<u32*>(port::frame_ptr(d.grants.shared[0]));
            __atomic_store_n(&words[rng() % 256], rng() % 4 == 0 ? rng() : (rng() & 0x1ffu) | 7u << 16,
                             __ATOMIC_RELAXED);
        }
    });
    std::atomic<u64> used{0}, switched{0};
    std::vector<std::thread> users;
    for (int t = 0; t < 3; t++) {
        users.emplace_back([&, t] {
            std::mt19937 rng(static_cast<u32>(t));
            std::vector<std::pair<u32, bool>> held;
            for (int i = 0; i < 30000; i++) {
                const u32 ref = rng() % 40;
                const bool write = rng() % 2;
                if (core::pin_grant(d.grants, ref, DomId(7),
                                    {.write = write, .copy = true, .transitive = true}))
                    held.emplace_back(ref, write), used++;
                if (held.size() > 4 || (i % 512 == 511)) {
                    for (const auto& [r, w] : held) core::unpin_grant(d.grants, r, w);
                    held.clear();
                }
                if (t == 0 && i % 128 == 0 && core::set_grant_table_version(d, 1 + rng() % 2)) switched++;
                if (i % 100 == 0) static_cast<void>(core::swap_grants(d.grants, rng() % 40, rng() % 40));
            }
            for (const auto& [r, w] : held) core::unpin_grant(d.grants, r, w);
        });
    }
    for (auto& t : users) t.join();
    stop = true;
    guest.join();
    EXPECT_GT(used, 100u);
    EXPECT_GT(switched, 0u);
    for (u32 ref = 0; ref < 512; ref++) ASSERT_EQ(d.grants.pins_of(ref)->load(), 0u);
}

TEST_F(GrantEntries, HandlesAreNobodysTwice) {
    core::MapTrack track;
    track.set_limit(2);
    std::atomic<u32> owners[512] = {};
    std::atomic<u32> twice{0};
    std::vector<std::thread> users;
    for (u32 t = 0; t < 4; t++) {
        users.emplace_back([&, t] {
            std::mt19937 rng(t);
            std::vector<u32> mine;
            for (int i = 0; i < 20000; i++) {
                if (rng() % 2 && mine.size() < 100) {
                    if (const auto h = track.take()) {
                        if (owners[*h]++ != 0) twice++;
                        mine.push_back(*h);
                    }
                } else if (!mine.empty()) {
                    owners[mine.back()]--;
                    track.give_back(mine.back());
                    mine.pop_back();
                }
            }
            for (const u32 h : mine) owners[h]--, track.give_back(h);
        });
    }
    for (auto& t : users) t.join();
    EXPECT_EQ(twice, 0u);
    u32 all = 0;
    while (track.take()) all++;
    EXPECT_EQ(all, 512u) << "none is lost";
    EXPECT_EQ(track.find(512), nullptr);
}

TEST_F(GrantEntries, EveryAllocationMayFail) {
    Domain& granter = make_domain(1, 1);
    ASSERT_TRUE(core::grow_grant_table(granter, 1));
    const Mfn m = *core::allocate_pages(granter, 0);
    *reinterpret_cast<grant_entry_v1_t*>(core::entry_v1(granter.grants, 9)) = {
        .flags = GTF_permit_access, .domid = 2, .frame = static_cast<u32>(m.v)};
    destroy(make_domain(2, 1));
    const u64 bytes = objects_bytes_in_use();
    bool complete = false;
    for (u64 n = 0; !complete; n++) {
        ASSERT_LT(n, 200u);
        Domain& d = make_domain(2, 1);
        heap_fail_after(n);
        const auto mapped = core::begin_mapping(d, 1, 9, core::GrantMapping::kDevice);
        if (!mapped) {
            EXPECT_EQ(mapped.error(), GrantStatus::no_space);
        } else {
            core::publish_mapping(d.grants.maptrack.at(*mapped), core::GrantMapping::kDevice);
        }
        complete = mapped && core::grow_grant_table(d, 3) && core::set_grant_table_version(d, 2) &&
                   core::grow_grant_table(d, 20);
        heap_fail_after(~u64{0});
        // What failed can be done again.
        EXPECT_TRUE(core::grow_grant_table(d, 20));
        EXPECT_TRUE(core::set_grant_table_version(d, 2));
        for (u32 i = 0; i < 20; i++) EXPECT_NE(*core::grant_shared_frame(d, i), Mfn(0));
        destroy(d);
        EXPECT_EQ(objects_bytes_in_use(), bytes) << n;
        EXPECT_EQ(frame_of(m).refs.load() & kRefCount, 1u);
        EXPECT_EQ(granter.grants.pins_of(9)->load(), 0u);
    }
}

TEST_F(GrantEntries, ResourcesAndLimits) {
    Domain& d = make_domain(1, 1, {.max_grant_frames = 9});
    EXPECT_ERROR(core::grant_shared_frame(d, 9), nospc);
    EXPECT_ERROR(core::grant_status_frame(d, 0), inval);
    EXPECT_EQ(*core::grant_shared_frame(d, 2), d.grants.shared[2]);
    EXPECT_EQ(core::grant_table_size(d).frames, 3u);
    ASSERT_TRUE(core::set_grant_table_version(d, 2));
    EXPECT_EQ(*core::grant_status_frame(d, 1), d.grants.status[1]);

    EXPECT_EQ(core::grant_limits_for(-1, -1, 2)->max_frames, 64u);
    EXPECT_EQ(core::grant_limits_for(-1, -1, 2)->max_maptrack_frames, 1024u);
    EXPECT_EQ(core::grant_limits_for(5, 6, 1)->max_frames, 5u);
    EXPECT_EQ(core::grant_limits_for(5, 6, 1)->max_maptrack_frames, 6u);
    EXPECT_EQ(core::grant_limits_for(5, 0, 1)->max_maptrack_frames, 0u);
    EXPECT_ERROR(core::grant_limits_for(65, -1, 1), inval);
    EXPECT_ERROR(core::grant_limits_for(0, -1, 1), inval);
    EXPECT_ERROR(core::grant_limits_for(-1, 1025, 1), inval);
    EXPECT_ERROR(core::grant_limits_for(-1, -1, 0), inval);
    EXPECT_ERROR(core::grant_limits_for(-1, -1, 3), inval);
    EXPECT_ERROR(core::grant_limits_for(-1, -1, 0x12), inval);
}

}  // namespace
}  // namespace domus

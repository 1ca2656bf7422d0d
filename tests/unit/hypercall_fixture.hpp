// SPDX-License-Identifier: GPL-2.0-or-later
// A control domain with two vCPUs on the fake machine, and hypercalls made through the dispatch edge.
#pragma once

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "hypercall/dispatch.hpp"
#include "hypercall/platform.hpp"
#include "unit/core_fixture.hpp"

namespace domus::hypercall {

inline std::vector<std::string> log_lines;

class HypercallTest : public CoreTest {
  protected:
    HypercallTest() {
        act_as(vcpu);
        log_lines.clear();
        platform() = {};
        set_log_sink([](Level, bool, std::string_view line) { log_lines.emplace_back(line); });
    }
    ~HypercallTest() override { set_log_sink(nullptr); }
    void SetUp() override {}

    // Guest memory by offset.
    static u64 at(u64 offset) { return fakes::Machine::guest_base + offset; }
    template <class T>
    void put(u64 offset, const std::vector<T>& items) {
        ASSERT_LE(offset + items.size() * sizeof(T), machine.guest.size());
        std::memcpy(&machine.guest.at(offset), items.data(), items.size() * sizeof(T));
    }
    template <class T>
    void put(u64 offset, const T& item) {
        std::memcpy(&machine.guest.at(offset), &item, sizeof item);
    }
    template <class T>
    std::vector<T> get(u64 offset, usize count) {
        std::vector<T> items(count);
        std::memcpy(static_cast<void*>(items.data()), &machine.guest.at(offset), count * sizeof(T));
        return items;
    }
    template <class T>
    T get(u64 offset) {
        T item;
        std::memcpy(&item, &machine.guest.at(offset), sizeof item);
        return item;
    }
    // A guest handle of the ABI's for an address.
    template <class H>
    static void set_handle(H& handle, u64 address) {
        handle.p = reinterpret_cast<decltype(handle.p)>(address);
    }

    // Makes the call as a guest does: again and again while it is preempted. Returns the result.
    s64 run_as(Vcpu& v, u64 number, u64 a0 = 0, u64 a1 = 0, u64 a2 = 0, u64 a3 = 0, u64 a4 = 0) {
        regs = {};
        regs.rax = number;
        regs.rdi = a0, regs.rsi = a1, regs.rdx = a2, regs.r10 = a3, regs.r8 = a4;
        again_count = 0;
        do {
            regs.rip = 0x1002;
            dispatch(v, regs);
            if (regs.rip != 0x1000) break;
            again_count++;
            if (between) between();
        } while (regs.rip == 0x1000);
        return static_cast<s64>(regs.rax);
    }
    s64 run(u64 number, u64 a0 = 0, u64 a1 = 0, u64 a2 = 0, u64 a3 = 0, u64 a4 = 0) {
        return run_as(vcpu, number, a0, a1, a2, a3, a4);
    }
    // An operation (command, structure): puts the structure at offset 0, calls, and fetches it back.
    template <class T>
    s64 op(u64 number, u64 command, T& arg) {
        put(0, arg);
        const s64 result = run(number, command, at(0));
        arg = get<T>(0);
        return result;
    }

    Domain& domain = start();
    Vcpu& vcpu = *domain.vcpu(VcpuId(0));
    GuestRegs regs{};
    Caller caller{.vcpu = vcpu, .domain = domain, .regs = regs};
    usize again_count = 0;
    std::function<void()> between;  // what happens on the machine before a preempted call is made anew

    // Addresses that no hypercall may touch.
    static constexpr u64 kBadAddresses[] = {0, 0xffff800000000000, 0xffff830000001000, 0x8000000000000000,
                                            ~u64{0}};

  private:
    Domain& start() {
        CoreTest::SetUp();
        Domain& d = make_running(0, 2, {.privileged = true, .hardware = true, .max_pages = 1024});
        run_all();
        return d;
    }
};

}  // namespace domus::hypercall

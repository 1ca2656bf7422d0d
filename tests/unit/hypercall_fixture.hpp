// SPDX-License-Identifier: GPL-2.0-or-later
// A domain with one vCPU on the fake machine, and hypercalls made through the dispatch edge.
#pragma once

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "fakes/machine.hpp"
#include "hypercall/dispatch.hpp"
#include "hypercall/refusal.hpp"

namespace domus::hypercall {

inline std::vector<std::string> log_lines;

class HypercallTest : public testing::Test {
  protected:
    HypercallTest() {
        domain.privileged = domain.hardware = true;
        domain.vcpus = vcpus;
        domain.max_vcpus = 1;
        vcpu.domain = &domain;
        vcpus[0] = &vcpu;
        log_lines.clear();
        forget_named();
        set_log_sink([](Level, bool, std::string_view line) { log_lines.emplace_back(line); });
    }
    ~HypercallTest() override { set_log_sink(nullptr); }

    // Guest memory by offset.
    static u64 at(u64 offset) { return fakes::Machine::guest_base + offset; }
    template <class T>
    void put(u64 offset, const std::vector<T>& items) {
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

    // Makes the call as a guest does: again and again while it is preempted. Returns the result.
    s64 run(u64 number, u64 a0 = 0, u64 a1 = 0, u64 a2 = 0, u64 a3 = 0, u64 a4 = 0) {
        regs = {};
        regs.rax = number;
        regs.rdi = a0, regs.rsi = a1, regs.rdx = a2, regs.r10 = a3, regs.r8 = a4;
        again_count = 0;
        do {
            regs.rip = 0x1002;
            dispatch(vcpu, regs);
            if (regs.rip == 0x1000) again_count++;
        } while (regs.rip == 0x1000);
        return static_cast<s64>(regs.rax);
    }

    fakes::Machine machine;
    Domain domain;
    Vcpu vcpu;
    Vcpu* vcpus[1];
    GuestRegs regs{};
    Caller caller{.vcpu = vcpu, .domain = domain, .regs = regs};
    usize again_count = 0;
};

}  // namespace domus::hypercall

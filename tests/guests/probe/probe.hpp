// SPDX-License-Identifier: GPL-2.0-or-later
// The probe's checks: each prints one line, ok or FAIL. One function a subject, each in a file of its own.
#pragma once

#include <cerrno>
#include <initializer_list>

#include "lib/console.hpp"
#include "lib/cpu.hpp"
#include "lib/hypercall.hpp"
#include "lib/memory.hpp"
#include "lib/start.hpp"

namespace probe {

using namespace guest;

// One line. `detail` is what was found, for a failure.
void check(const char* name, bool good, u64 found = 0, u64 wanted = 0);
inline void check_equal(const char* name, u64 found, u64 wanted) {
    check(name, found == wanted, found, wanted);
}
inline void check_error(const char* name, s64 found, s64 wanted) {
    check_equal(name, static_cast<u64>(found), static_cast<u64>(wanted));
}

// Bytes of code at a page of their own, ended by UD2; returns the fault, whose frame tells how far they came.
struct Registers {
    u64 rax = 0, rbx = 0, rcx = 0, rdx = 0;
};
Fault run_bytes(std::initializer_list<u8> bytes, Registers& registers);
bool completed(const Fault& f, usize length);  // all bytes were executed
u64 code_address();                            // where run_bytes() puts them

void check_exceptions();
void check_privileged();
void check_returns();
void check_tables();
void check_segments();
void check_debug();
void check_cpus(u32 cpus);

}  // namespace probe

/* SPDX-License-Identifier: GPL-2.0-or-later
 * Size and alignment of a vCPU's stack, bytes: for C++ and assembly. */
#pragma once
#define CPU_STACK_SIZE 32768

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What third-party code finds as <string.h> in the hypervisor: the memory functions of base/. */
#ifndef DOMUS_SHIM_STRING_H
#define DOMUS_SHIM_STRING_H
#include <stddef.h>
#ifdef __cplusplus
extern "C" {
#endif
void* memcpy(void* __restrict to, const void* __restrict from, size_t n);
void* memmove(void* to, const void* from, size_t n);
void* memset(void* to, int value, size_t n);
int memcmp(const void* a, const void* b, size_t n);
size_t strlen(const char* s);
#ifdef __cplusplus
}
#endif
#endif

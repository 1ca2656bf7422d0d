/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What third-party code finds as <stdlib.h> in the hypervisor: no heap. Every library is given an allocator
   (or a work area) by its caller; a path that falls back on malloc gets none and reports it as any failed
   allocation. */
#ifndef DOMUS_SHIM_STDLIB_H
#define DOMUS_SHIM_STDLIB_H
#include <stddef.h>
static inline void* malloc(size_t n) {
    (void)n;
    return NULL;
}
static inline void* calloc(size_t n, size_t size) {
    (void)n;
    (void)size;
    return NULL;
}
static inline void free(void* p) { (void)p; }
#endif

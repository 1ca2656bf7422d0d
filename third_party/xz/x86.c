/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes the place of liblzma's simple/x86.c: the same filter, run only where it has something to do. It turns
   the absolute targets of CALL and JMP rel32 (0xE8, 0xE9) back into relative ones and else only steps
   forward, a byte at a time; here bytes that are no such opcode are skipped eight at a time, and liblzma's
   function sees the five bytes of each candidate. */
#include "simple_private.h"

typedef size_t domus_filter(void* simple, uint32_t now_pos, bool is_encoder, uint8_t* buffer, size_t size);

static lzma_ret domus_simple_coder_init(lzma_next_coder* next, const lzma_allocator* allocator,
                                        const lzma_filter_info* filters, domus_filter* filter,
                                        size_t simple_size, size_t unfiltered_max, uint32_t alignment,
                                        bool is_encoder);

#define lzma_simple_coder_init domus_simple_coder_init
#include "simple/x86.c"
#undef lzma_simple_coder_init

/* The first position from `pos` on and below `end` that holds 0xE8 or 0xE9; at least `end` if there is none.
 */
static inline size_t domus_find_branch(const uint8_t* buffer, size_t pos, size_t end) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    for (; pos + 8 <= end; pos += 8) {
        uint64_t word;
        __builtin_memcpy(&word, buffer + pos, 8);
        word = (word & ~ones) ^ (ones * 0xE8); /* zero bytes where the opcodes were; no byte is 1 */
        const uint64_t zeros = (word - ones) & ~word & (ones << 7);
        if (zeros != 0) return pos + (size_t)__builtin_ctzll(zeros) / 8;
    }
    while (pos < end && (buffer[pos] & 0xFE) != 0xE8) ++pos;
    return pos;
}

/* Same contract as x86_code(): filters from the start of the buffer and returns how many bytes are done with.
   Between two calls of x86_code() its state needs no update: it keeps the position of the last candidate, not
   a distance. */
static size_t domus_x86_code(void* simple, uint32_t now_pos, bool is_encoder, uint8_t* buffer, size_t size) {
    size_t pos = 0;
    if (size < 5) return 0;
    const size_t end = size - 4;
    while ((pos = domus_find_branch(buffer, pos, end)) < end)
        pos += x86_code(simple, now_pos + (uint32_t)pos, is_encoder, buffer + pos, 5);
    return pos;
}

static lzma_ret domus_simple_coder_init(lzma_next_coder* next, const lzma_allocator* allocator,
                                        const lzma_filter_info* filters, domus_filter* filter,
                                        size_t simple_size, size_t unfiltered_max, uint32_t alignment,
                                        bool is_encoder) {
    (void)filter;
    return lzma_simple_coder_init(next, allocator, filters, &domus_x86_code, simple_size, unfiltered_max,
                                  alignment, is_encoder);
}

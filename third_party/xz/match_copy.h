/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copying a match within the ring buffer of the LZMA decoder. liblzma copies a match that overlaps itself
   byte by byte, and calls memcpy() for every other; in a kernel image, with its long runs of zeros, that is a
   third of all instructions. */
#ifndef DOMUS_MATCH_COPY_H
#define DOMUS_MATCH_COPY_H

/* Copies n bytes upwards, eight at a time; correct if the target is below the source or at least eight bytes
 * above. */
static inline __attribute__((always_inline)) void domus_copy_up(uint8_t* to, const uint8_t* from, size_t n) {
    for (; n >= 8; n -= 8, to += 8, from += 8) {
        uint64_t word;
        __builtin_memcpy(&word, from, 8);
        __builtin_memcpy(to, &word, 8);
    }
    if (n & 4) {
        uint32_t word;
        __builtin_memcpy(&word, from, 4);
        __builtin_memcpy(to, &word, 4);
        to += 4, from += 4;
    }
    if (n & 2) {
        uint16_t word;
        __builtin_memcpy(&word, from, 2);
        __builtin_memcpy(to, &word, 2);
        to += 2, from += 2;
    }
    if (n & 1) *to = *from;
}

/* Repeats the byte before `to` n times. */
static inline __attribute__((always_inline)) void domus_fill_up(uint8_t* to, size_t n) {
    const uint64_t word = to[-1] * UINT64_C(0x0101010101010101);
    for (; n >= 8; n -= 8, to += 8) __builtin_memcpy(to, &word, 8);
    if (n & 4) {
        __builtin_memcpy(to, &word, 4);
        to += 4;
    }
    if (n & 2) {
        __builtin_memcpy(to, &word, 2);
        to += 2;
    }
    if (n & 1) *to = (uint8_t)word;
}

/* Writes at `pos` of the ring the n bytes, of those before it, that begin `distance` + 1 bytes back. There is
   room for them, and the ring is filled as far back as `distance`. */
static inline __attribute__((always_inline)) void domus_copy_match(uint8_t* ring, size_t size, size_t pos,
                                                                   uint32_t distance, size_t n) {
    uint8_t* to = ring + pos;
    if (likely(distance < pos)) {
        size_t back = (size_t)distance + 1;
        const uint8_t* from = to - back;
        if (distance == 0) {
            domus_fill_up(to, n);
            return;
        }
        /* A pattern shorter than a word is doubled until it is not. */
        while (unlikely(back < 8)) {
            const size_t part = my_min(back, n);
            for (size_t i = 0; i < part; ++i) to[i] = from[i];
            to += part;
            n -= part;
            back += part;
            if (n == 0) return;
        }
        domus_copy_up(to, from, n);
    } else {
        /* The source starts near the end of the ring and may go on at its start. */
        const uint8_t* from = to + (size - distance - 1);
        const size_t until_end = (size_t)(ring + size - from);
        const size_t part = my_min(until_end, n);
        domus_copy_up(to, from, part);
        /* What follows the wrap may reach bytes just written: byte by byte. */
        for (size_t i = part; i < n; ++i) to[i] = ring[i - part];
    }
}

#endif

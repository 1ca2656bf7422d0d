/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes the place of liblzma's lz_decoder.h for the LZMA decoder: the same, but for a quicker dict_repeat(). liblzma copies a match
   that overlaps itself byte by byte, and calls memcpy() for every other; in a kernel image, with its runs of zeros,
   that is a third of all instructions. */
#ifndef DOMUS_LZ_DECODER_H
#define DOMUS_LZ_DECODER_H

#define dict_repeat dict_repeat_original
#include_next "lz_decoder.h"
#undef dict_repeat

/* Copies n bytes upwards, eight at a time; correct if the target is below the source or at least eight bytes above. */
static inline void domus_copy_up(uint8_t *to, const uint8_t *from, size_t n) {
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
static inline void domus_fill_up(uint8_t *to, size_t n) {
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

/* Repeats *len bytes from `distance` + 1 bytes back, as far as the dictionary has room, and takes what was copied off *len.
   True if some of it is left. The caller has checked that the dictionary is filled as far back as `distance`. */
static inline bool dict_repeat(lzma_dict *dict, uint32_t distance, uint32_t *len) {
    const size_t room = dict->limit - dict->pos;
    size_t left = my_min(room, (size_t)*len);
    uint8_t *to = dict->buf + dict->pos;

    *len -= (uint32_t)left;
    dict->pos += left;
    if (dict->full < dict->pos) dict->full = dict->pos;

    if (likely(distance < (size_t)(to - dict->buf))) {
        size_t back = (size_t)distance + 1;
        const uint8_t *from = to - back;
        if (distance == 0) {
            domus_fill_up(to, left);
        } else {
            /* A pattern shorter than a word is doubled until it is not. */
            while (unlikely(back < 8)) {
                const size_t n = my_min(back, left);
                for (size_t i = 0; i < n; ++i) to[i] = from[i];
                to += n;
                left -= n;
                back += n;
                if (left == 0) return unlikely(*len != 0);
            }
            domus_copy_up(to, from, left);
        }
    } else {
        /* The source starts near the end of the ring and may go on at its start. */
        const uint8_t *from = to + (dict->size - distance - 1);
        const size_t until_end = (size_t)(dict->buf + dict->size - from);
        const size_t n = my_min(until_end, left);
        domus_copy_up(to, from, n);
        /* What follows the wrap may reach bytes just written: byte by byte. */
        for (size_t i = n; i < left; ++i) to[i] = dict->buf[i - n];
    }
    return unlikely(*len != 0);
}

#endif

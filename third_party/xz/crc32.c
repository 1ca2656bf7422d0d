/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes the place of liblzma's check/crc32_fast.c: long buffers are first folded, which costs less than one
   instruction a byte, and only the remainder goes through liblzma's tables.

   With y = x^64 and modulo the CRC's polynomial, y^300 = y^155 + y^117 + y^89 + 1 (found by search). So a
   64-bit word of the message counts as much as copies of it added to the words 145, 183, 211 and 300 places
   later, and can be dropped: the message shrinks to its last 300 words. The idea is known from the Chorba
   algorithm (S. Russell, arXiv:2412.16398). */
#define lzma_crc32 domus_crc32_by_tables
#include "check/crc32_fast.c"
#undef lzma_crc32

enum { WORDS = 300, BLOCK = 8 * WORDS, A = 145, B = 183, C = 211 };

static inline uint64_t domus_word(const uint8_t* buf, size_t i) {
    uint64_t word;
    __builtin_memcpy(&word, buf + 8 * i, 8);
    return word;
}

/* The ring holds the last 300 folded words: word i replaces the one of 300 places before, which is added to
 * it anyway. */
static void domus_fold(uint64_t ring[WORDS], const uint8_t* buf) {
    size_t i = 0;
    for (; i < A; ++i)
        ring[i] ^= domus_word(buf, i) ^ ring[i + WORDS - A] ^ ring[i + WORDS - B] ^ ring[i + WORDS - C];
    for (; i < B; ++i)
        ring[i] ^= domus_word(buf, i) ^ ring[i - A] ^ ring[i + WORDS - B] ^ ring[i + WORDS - C];
    for (; i < C; ++i) ring[i] ^= domus_word(buf, i) ^ ring[i - A] ^ ring[i - B] ^ ring[i + WORDS - C];
    for (; i < WORDS; ++i) ring[i] ^= domus_word(buf, i) ^ ring[i - A] ^ ring[i - B] ^ ring[i - C];
}

/* What the dropped words leave of the block after them. Upwards, because each word needs only later words of
 * the ring. */
static void domus_unfold(uint64_t ring[WORDS], const uint8_t* buf) {
    size_t i = 0;
    for (; i < A; ++i)
        ring[i] ^= domus_word(buf, i) ^ ring[i + WORDS - A] ^ ring[i + WORDS - B] ^ ring[i + WORDS - C];
    for (; i < B; ++i) ring[i] ^= domus_word(buf, i) ^ ring[i + WORDS - B] ^ ring[i + WORDS - C];
    for (; i < C; ++i) ring[i] ^= domus_word(buf, i) ^ ring[i + WORDS - C];
    for (; i < WORDS; ++i) ring[i] ^= domus_word(buf, i);
}

LZMA_API(uint32_t) lzma_crc32(const uint8_t* buf, size_t size, uint32_t crc) {
    if (size >= 4 * BLOCK) {
        uint64_t ring[WORDS] = {(uint32_t)~crc}; /* the state so far is added to the first word */
        for (; size >= 2 * BLOCK; size -= BLOCK, buf += BLOCK) domus_fold(ring, buf);
        domus_unfold(ring, buf);
        size -= BLOCK, buf += BLOCK;
        crc = domus_crc32_by_tables((const uint8_t*)ring, BLOCK, ~(uint32_t)0);
    }
    return domus_crc32_by_tables(buf, size, crc);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes the place of liblzma's lzma/lzma_decoder.c: the same, with a quicker main loop before it.

   liblzma's loop can stop and go on at every bit, for which it keeps all variables in one large state
   machine: about 20 instructions for each decoded bit. As long as there is input for any symbol (20 bytes)
   and room for any match (273 bytes), nothing can stop the loop here; it needs about 15 and hands over to
   liblzma's between two symbols. The format is that of the LZMA specification (lzma-specification.txt of the
   LZMA SDK); names follow liblzma. */
#include "lzma/lzma_decoder.h"
#include "lz/lz_decoder.h"

#include "match_copy.h"

static lzma_ret lzma_decode(void* coder_ptr, lzma_dict* restrict dictptr, const uint8_t* restrict in,
                            size_t* restrict in_pos, size_t in_size);

/* A macro with parameters: it renames the definition, and not where the address is taken. */
#define lzma_decode(coder, dict, in, in_pos, in_size) \
    domus_lzma_decode_resumable(coder, dict, in, in_pos, in_size)
#include "lzma/lzma_decoder.c"
#undef lzma_decode

enum { INPUT_OF_A_SYMBOL = 21 };

/* after_bit.cpp: the next probability, by the bit that was decoded and the probability so far. */
extern const uint16_t domus_after_bit[2][RC_BIT_MODEL_TOTAL];

#define NORMALIZE()                             \
    if (unlikely(range < RC_TOP_VALUE)) {       \
        range <<= RC_SHIFT_BITS;                \
        code = (code << RC_SHIFT_BITS) | *ip++; \
    }

/* Decodes a bit by the probability at `slot` and executes the statement for its value. */
#define BIT(slot, if_0, if_1)                                                      \
    {                                                                              \
        uint16_t* const slot_ = (slot);                                            \
        const size_t p_ = *slot_;                                                  \
        NORMALIZE();                                                               \
        const uint32_t bound_ = (range >> RC_BIT_MODEL_TOTAL_BITS) * (uint32_t)p_; \
        if (code < bound_) {                                                       \
            range = bound_;                                                        \
            *slot_ = domus_after_bit[0][p_];                                       \
            if_0;                                                                  \
        } else {                                                                   \
            range -= bound_;                                                       \
            code -= bound_;                                                        \
            *slot_ = domus_after_bit[1][p_];                                       \
            if_1;                                                                  \
        }                                                                          \
    }

/* A step down a tree: the symbol so far is the index. */
#define TREE(probs) BIT(&(probs)[symbol], symbol += symbol, symbol += symbol + 1)

/* A step up from the lowest bit: `m` is the index, `bit` its value. */
#define REVERSE(probs, bit) BIT(&(probs)[m], m += m, (m += m + 1, rep0 += (bit)))

/* A step of a literal that follows a match: the byte at the match's distance chooses between two further
   trees, until a bit of the literal differs from it; then the rest is as for any literal. */
#define MATCHED(differs)                                \
    match_byte += match_byte;                           \
    if (match_byte & 0x100) {                           \
        BIT(                                            \
            &probs[0x200 + symbol],                     \
            {                                           \
                symbol += symbol;                       \
                goto differs;                           \
            },                                          \
            symbol += symbol + 1);                      \
    } else {                                            \
        BIT(&probs[0x100 + symbol], symbol += symbol, { \
            symbol += symbol + 1;                       \
            goto differs;                               \
        })                                              \
    }

#define LENGTH(ld)                                                                                       \
    {                                                                                                    \
        symbol = 1;                                                                                      \
        BIT(                                                                                             \
            &(ld).choice,                                                                                \
            {                                                                                            \
                uint16_t* const low_ = (ld).low[pos_state];                                              \
                TREE(low_);                                                                              \
                TREE(low_);                                                                              \
                TREE(low_);                                                                              \
                len = symbol - LEN_LOW_SYMBOLS + MATCH_LEN_MIN;                                          \
            },                                                                                           \
            BIT(                                                                                         \
                &(ld).choice2,                                                                           \
                {                                                                                        \
                    uint16_t* const mid_ = (ld).mid[pos_state];                                          \
                    TREE(mid_);                                                                          \
                    TREE(mid_);                                                                          \
                    TREE(mid_);                                                                          \
                    len = symbol - LEN_MID_SYMBOLS + MATCH_LEN_MIN + LEN_LOW_SYMBOLS;                    \
                },                                                                                       \
                {                                                                                        \
                    do TREE((ld).high)                                                                   \
                    while (symbol < LEN_HIGH_SYMBOLS);                                                   \
                    len = symbol - LEN_HIGH_SYMBOLS + MATCH_LEN_MIN + LEN_LOW_SYMBOLS + LEN_MID_SYMBOLS; \
                }));                                                                                     \
    }

/* Decodes symbols while there is enough input and room for any. False: the data is corrupt. */
static bool domus_decode_quickly(lzma_lzma1_decoder* restrict coder, lzma_dict* restrict dict,
                                 const uint8_t* restrict in, size_t* restrict in_pos, size_t in_size) {
    size_t room = dict->limit - dict->pos;
    if (coder->uncompressed_size < room)
        room = (size_t)coder->uncompressed_size; /* "unknown" is the largest value */
    if (in_size - *in_pos < INPUT_OF_A_SYMBOL || room < MATCH_LEN_MAX) return true;

    uint8_t* const buf = dict->buf;
    const size_t size = dict->size;
    const size_t full = dict->full;
    const size_t start = dict->pos;
    const size_t last_pos = start + room - MATCH_LEN_MAX;
    const uint8_t* const last_ip = in + in_size - INPUT_OF_A_SYMBOL;
    const uint8_t* ip = in + *in_pos;
    size_t pos = start;
    uint32_t range = coder->rc.range;
    uint32_t code = coder->rc.code;
    uint32_t state = coder->state;
    uint32_t rep0 = coder->rep0, rep1 = coder->rep1, rep2 = coder->rep2, rep3 = coder->rep3;
    bool good = true;

    do {
        const uint32_t pos_state = pos & coder->pos_mask;
        size_t symbol = 1;
        size_t len;

        BIT(&coder->is_match[state][pos_state],
            {
                uint16_t* const probs =
                    literal_subcoder(coder->literal, coder->literal_context_bits, coder->literal_pos_mask,
                                     pos, buf[pos != 0 ? pos - 1 : size - 1]);
                if (is_literal_state(state)) {
                    state = state <= STATE_SHORTREP_LIT_LIT ? STATE_LIT_LIT : state - 3;
                    TREE(probs);
                left_7:
                    TREE(probs);
                left_6:
                    TREE(probs);
                left_5:
                    TREE(probs);
                left_4:
                    TREE(probs);
                left_3:
                    TREE(probs);
                left_2:
                    TREE(probs);
                left_1:
                    TREE(probs);
                } else {
                    size_t match_byte = buf[pos - rep0 - 1 + (rep0 < pos ? 0 : size)];
                    state = state <= STATE_LIT_SHORTREP ? state - 3 : state - 6;
                    MATCHED(left_7);
                    MATCHED(left_6);
                    MATCHED(left_5);
                    MATCHED(left_4);
                    MATCHED(left_3);
                    MATCHED(left_2);
                    MATCHED(left_1);
                    MATCHED(left_0);
                }
            left_0:
                buf[pos++] = (uint8_t)symbol;
                goto next;
            },
            {});

        BIT(
            &coder->is_rep[state],
            {
                rep3 = rep2;
                rep2 = rep1;
                rep1 = rep0;
                LENGTH(coder->match_len_decoder);
                update_match(state);
                uint16_t* const slots = coder->dist_slot[get_dist_state(len)];
                symbol = 1;
                TREE(slots);
                TREE(slots);
                TREE(slots);
                TREE(slots);
                TREE(slots);
                TREE(slots);
                rep0 = (uint32_t)symbol - DIST_SLOTS;
                if (rep0 >= DIST_MODEL_START) {
                    uint32_t bits = (rep0 >> 1) - 1;
                    size_t m = 1;
                    const uint32_t slot = rep0;
                    rep0 = (2 | (rep0 & 1)) << bits;
                    if (slot < DIST_MODEL_END) {
                        uint16_t* const special = coder->pos_special + rep0 - slot - 1;
                        uint32_t bit = 1;
                        do {
                            REVERSE(special, bit);
                            bit += bit;
                        } while (--bits != 0);
                    } else {
                        uint32_t direct = 2 | (slot & 1);
                        bits -= ALIGN_BITS;
                        do {
                            NORMALIZE();
                            range >>= 1;
                            code -= range;
                            const uint32_t borrow = 0 - (code >> 31);
                            code += range & borrow;
                            direct += direct + borrow + 1;
                        } while (--bits != 0);
                        rep0 = direct << ALIGN_BITS;
                        REVERSE(coder->pos_align, 1);
                        REVERSE(coder->pos_align, 2);
                        REVERSE(coder->pos_align, 4);
                        REVERSE(coder->pos_align, 8);
                        if (unlikely(rep0 == UINT32_MAX)) {
                            /* An end marker, which is out of place if the size is known and not reached. */
                            good = coder->uncompressed_size == LZMA_VLI_UNKNOWN;
                            coder->sequence = SEQ_EOPM;
                            goto stop;
                        }
                    }
                }
            },
            {
                BIT(
                    &coder->is_rep0[state],
                    {
                        BIT(&coder->is_rep0_long[state][pos_state],
                            {
                                update_short_rep(state);
                                if (unlikely(rep0 >= pos && rep0 >= full)) {
                                    good = false;
                                    goto stop;
                                }
                                buf[pos] = buf[pos - rep0 - 1 + (rep0 < pos ? 0 : size)];
                                ++pos;
                                goto next;
                            },
                            {});
                    },
                    {
                        uint32_t distance;
                        BIT(&coder->is_rep1[state], distance = rep1, {
                            BIT(&coder->is_rep2[state], distance = rep2, {
                                distance = rep3;
                                rep3 = rep2;
                            });
                            rep2 = rep1;
                        });
                        rep1 = rep0;
                        rep0 = distance;
                    });
                update_long_rep(state);
                LENGTH(coder->rep_len_decoder);
            });

        if (unlikely(rep0 >= pos && rep0 >= full)) {
            good = false;
            goto stop;
        }
        domus_copy_match(buf, size, pos, rep0, len);
        pos += len;
    next:;
    } while (pos <= last_pos && ip <= last_ip);
stop:
    dict->pos = pos;
    if (dict->full < pos) dict->full = pos;
    if (coder->uncompressed_size != LZMA_VLI_UNKNOWN) coder->uncompressed_size -= pos - start;
    *in_pos = (size_t)(ip - in);
    coder->rc.range = range;
    coder->rc.code = code;
    coder->state = state;
    coder->rep0 = rep0;
    coder->rep1 = rep1;
    coder->rep2 = rep2;
    coder->rep3 = rep3;
    return good;
}

/* Writes what liblzma's loop had decoded and then found no room for. True if a symbol can begin then: not so
   where that loop stopped for want of input, or if there still is no room. */
static bool domus_reach_symbol(lzma_lzma1_decoder* coder, lzma_dict* dict) {
    size_t n = 0;
    switch (coder->sequence) {
        case SEQ_NORMALIZE:
        case SEQ_IS_MATCH: return true;
        case SEQ_LITERAL_WRITE:
        case SEQ_SHORTREP: n = 1; break;
        case SEQ_COPY: n = coder->len; break;
        default: return false;
    }
    if (dict->limit - dict->pos < n || coder->uncompressed_size < n) return false;
    if (coder->sequence == SEQ_LITERAL_WRITE)
        dict->buf[dict->pos] = (uint8_t)coder->symbol;
    else
        domus_copy_match(dict->buf, dict->size, dict->pos, coder->rep0, n);
    dict->pos += n;
    if (dict->full < dict->pos) dict->full = dict->pos;
    if (coder->uncompressed_size != LZMA_VLI_UNKNOWN) coder->uncompressed_size -= n;
    coder->sequence = SEQ_IS_MATCH;
    return true;
}

static lzma_ret lzma_decode(void* coder_ptr, lzma_dict* restrict dict, const uint8_t* restrict in,
                            size_t* restrict in_pos, size_t in_size) {
    lzma_lzma1_decoder* const coder = coder_ptr;
    const lzma_ret started = rc_read_init(&coder->rc, in, in_pos, in_size);
    if (started != LZMA_STREAM_END) return started;
    if (domus_reach_symbol(coder, dict) && !domus_decode_quickly(coder, dict, in, in_pos, in_size))
        return LZMA_DATA_ERROR;
    return domus_lzma_decode_resumable(coder, dict, in, in_pos, in_size);
}

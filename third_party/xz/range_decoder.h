/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes the place of liblzma's range_decoder.h: the same, with a cheaper update of a probability after a decoded zero. */
#ifndef DOMUS_RANGE_DECODER_H
#define DOMUS_RANGE_DECODER_H
#include_next "range_decoder.h"

/* prob + ((2048 - prob) >> 5), one instruction shorter: (2048 - p) >> 5 == -((p - 2048 + 31) >> 5) for 0 <= p <= 2048. */
#undef rc_update_0
#define rc_update_0(prob)                                                          \
    do {                                                                           \
        rc.range = rc_bound;                                                       \
        prob -= ((int)(prob) - RC_BIT_MODEL_TOTAL + (1 << RC_MOVE_BITS) - 1) >> RC_MOVE_BITS; \
    } while (0)
#endif

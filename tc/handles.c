/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <tc/handles.h>

#define WORD_BITS 64
/* In each 16 numbers: 0, 4 and 8 to 15. */
#define NIBBLES_USABLE UINT64_C(0xff11)
#define WORD_USABLE (NIBBLES_USABLE * UINT64_C(0x0001000100010001))

bool handles_usable(uint16_t minor) {
        return minor >= HANDLES_MIN && minor <= HANDLES_MAX && (NIBBLES_USABLE >> (minor & 15) & 1);
}

void handles_init(struct handles *handles) {
        *handles = (struct handles){.next = HANDLES_MIN};
        for (size_t i = 0; i < ARRAY_SIZE(handles->words); i++)
                handles->words[i] = ~WORD_USABLE;
        handles->words[0] |= (UINT64_C(1) << HANDLES_MIN) - 1;
        handles->words[ARRAY_SIZE(handles->words) - 1] |= UINT64_C(1) << (WORD_BITS - 1);
}

static void mark(struct handles *handles, uint32_t minor) {
        handles->words[minor / WORD_BITS] |= UINT64_C(1) << minor % WORD_BITS;
        handles->used++;
}

int handles_take(struct handles *handles, uint16_t *minorp) {
        uint32_t at = handles->next / WORD_BITS;
        /* In the first word only what is not behind us; the whole of it again at the very end. */
        uint64_t behind = (UINT64_C(1) << handles->next % WORD_BITS) - 1;

        if (handles->used == HANDLES_TOTAL)
                return HANDLES_E_FULL;
        while (!~(handles->words[at] | behind)) {
                at = (at + 1) % ARRAY_SIZE(handles->words);
                behind = 0;
        }
        *minorp = (uint16_t)(at * WORD_BITS +
                             (uint32_t)__builtin_ctzll(~(handles->words[at] | behind)));
        mark(handles, *minorp);
        handles->next = (*minorp + 1U) % (HANDLES_MAX + 1);
        return 0;
}

bool handles_claim(struct handles *handles, uint16_t minor) {
        if (handles->words[minor / WORD_BITS] >> minor % WORD_BITS & 1)
                return false;
        mark(handles, minor);
        return true;
}

void handles_drop(struct handles *handles, uint16_t minor) {
        uint64_t bit = UINT64_C(1) << minor % WORD_BITS;

        assert(handles_usable(minor));
        assert(handles->words[minor / WORD_BITS] & bit);
        assert(handles->used > 0);
        handles->words[minor / WORD_BITS] &= ~bit;
        handles->used--;
}

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_WHEN_H
#define PROVIUM_CLI_WHEN_H

/*
 * A moment as a person writes it. Few forms, so that none can be taken for another:
 *
 *     now  today  yesterday          the last two at their first moment, local time
 *     -90s  -30m  -12h  -7d  -2w     so long ago; a day is 24 hours
 *     2026-11-01                     at its first moment, local time
 *     2026-11-01 14:30[:05]          local time; also with a T between
 *     2026-11-01T14:30:05Z, ...+01:00  that time (RFC 3339; without fractions)
 *     @1793491200                    seconds since 1970
 */

#include <base/macro.h>

struct why;

enum {
        _WHEN_E_SUCCESS,
        WHEN_E_INVALID,
};

/* @text by a clock that says @now_ns (CLOCK_REALTIME). Answers INVALID with a sentence. */
_must_check_ int when_parse(const char *text, uint64_t now_ns, uint64_t *nsp, struct why *why);

#endif

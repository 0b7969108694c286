/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BENCH_PEER_H
#define PROVIUM_BENCH_PEER_H

/*
 * What people would take instead: one or more commands, run as a user runs them and waited for.
 */

#include <bench/sample.h>

#define PEER_WORDS_MAX 128

struct peer {
        const char *name;
        char *words[PEER_WORDS_MAX]; /* commands, each ended by NULL; one more NULL ends the last */
        struct sample whole;         /* usec, from before the first fork to after the last wait */
};

/* Takes "NAME=COMMAND [ARG...] [; COMMAND...]", split at blanks, into @peer; keeps @text. */
void peer_init(struct peer *peer, char *text);

/* Runs it once and notes how long that took if @count. Exits with a sentence if it fails. */
void peer_launch(struct peer *peer, bool count);

#endif

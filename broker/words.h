/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_WORDS_H
#define PROVIUM_BROKER_WORDS_H

/*
 * What the command of a VM may ask to be told about its network: {tap}, {tap.fd}, {tap.fds},
 * {vhost.fd}, {vhost.fds}, {mac}, and the same of the Nth tap, {tap.N.fd}. Descriptors have their
 * numbers before they are open: the queues of all taps from 3 on, then as many of vhost-net.
 */

#include <launcher/command.h>
#include <tc/shape.h>

struct lease;

#define WORDS_MAX ((SHAPE_TAPS_MAX + 1) * 6)

struct words {
        struct placeholder table[WORDS_MAX];
        char names[WORDS_MAX][24], values[WORDS_MAX][96];
        size_t n;
};

/* The words of @lease, whose taps are prepared; without a value if it has none. */
void words_make(const struct lease *lease, struct words *words);

/* After @table was put in: if one of vhost-net occurred, it will be opened. */
void words_note_used(struct lease *lease, const struct placeholder *table, size_t n);

#endif

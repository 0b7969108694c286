/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_CONSOLE_RING_H
#define PROVIUM_BROKER_CONSOLE_RING_H

/*
 * The last CONSOLE_LOG_MAX bytes of a stream. Bytes are counted from its beginning: who reads keeps
 * the number of the next one it wants, so that any number of readers, however slow, cost nothing
 * here and hold up nobody.
 */

#include <base/macro.h>
#include <proto/console.h>

struct console_ring {
        uint64_t end; /* so many bytes were added; the next one's number */
        unsigned char bytes[CONSOLE_LOG_MAX];
};

/* Adds @n bytes; the oldest make room. */
void console_ring_add(struct console_ring *ring, const void *bytes, size_t n);

/* The number of the oldest byte that is kept. */
uint64_t console_ring_start(const struct console_ring *ring);

/*
 * Copies up to @size bytes from number *atp on into @buffer and moves *atp behind them; returns how
 * many. What is no longer there is passed over and counted in *lostp.
 */
size_t console_ring_read(const struct console_ring *ring, uint64_t *atp, void *buffer, size_t size,
                         uint64_t *lostp);

#endif

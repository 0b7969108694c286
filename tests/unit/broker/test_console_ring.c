/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <broker/console_ring.h>

#include "unit.h"

static struct console_ring *ring_new(void) {
        struct console_ring *ring = calloc(1, sizeof(*ring));

        need(ring != NULL);
        return ring;
}

/* The byte of that number in a stream of our own. */
static unsigned char byte_of(uint64_t number) {
        return (unsigned char)(number * 31 + number / 251);
}

static void add(struct console_ring *ring, size_t n) {
        unsigned char bytes[3 * CONSOLE_LOG_MAX];

        for (size_t i = 0; i < n; i++)
                bytes[i] = byte_of(ring->end + i);
        console_ring_add(ring, bytes, n);
}

/* Reads all there is from *atp on; returns what was lost. */
static uint64_t read_all(const struct console_ring *ring, uint64_t *atp, size_t part) {
        unsigned char bytes[CONSOLE_LOG_MAX];
        uint64_t lost, all_lost = 0;
        size_t n;

        do {
                n = console_ring_read(ring, atp, bytes, part, &lost);
                all_lost += lost;
                for (size_t i = 0; i < n; i++)
                        need_int(bytes[i], byte_of(*atp - n + i));
        } while (n > 0);
        return all_lost;
}

static void what_was_added_is_read_in_order(void) {
        struct console_ring *ring = ring_new();
        uint64_t at = 0;

        expect_uint(read_all(ring, &at, 100), 0);
        add(ring, 10);
        expect_uint(read_all(ring, &at, 3), 0);
        expect_uint(at, 10);
        expect_uint(console_ring_start(ring), 0);
        add(ring, CONSOLE_LOG_MAX - 10);
        expect_uint(console_ring_start(ring), 0);
        add(ring, 4096);
        expect_uint(console_ring_start(ring), 4096);
        expect_uint(read_all(ring, &at, 4096), 4086);
        expect_uint(at, ring->end);
        free(ring);
}

static void a_slow_reader_loses_the_oldest_and_is_told_how_much(void) {
        struct console_ring *ring = ring_new();
        uint64_t at = 0, fresh;

        add(ring, CONSOLE_LOG_MAX);
        add(ring, 1000);
        expect_uint(read_all(ring, &at, 777), 1000);
        expect_uint(at, ring->end);
        /* More at once than is kept. */
        add(ring, 3 * CONSOLE_LOG_MAX);
        fresh = console_ring_start(ring);
        expect_uint(ring->end - fresh, CONSOLE_LOG_MAX);
        expect_uint(read_all(ring, &at, 4096), 2 * CONSOLE_LOG_MAX);
        expect_uint(read_all(ring, &fresh, 4096), 0);
        free(ring);
}

static void any_sizes_keep_the_stream_whole(void) {
        struct console_ring *ring = ring_new();
        uint64_t at = 0, lost = 0;

        for (size_t n = 1; n < 9000; n += 97) {
                add(ring, n);
                if (n % 3 == 0)
                        lost += read_all(ring, &at, n);
        }
        expect_uint(lost, 0);
        free(ring);
}

UNIT_MAIN(TEST(what_was_added_is_read_in_order),
          TEST(a_slow_reader_loses_the_oldest_and_is_told_how_much),
          TEST(any_sizes_keep_the_stream_whole), )

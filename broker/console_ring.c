/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <broker/console_ring.h>

void console_ring_add(struct console_ring *ring, const void *bytes, size_t n) {
        const unsigned char *from = bytes;

        if (n > CONSOLE_LOG_MAX) {
                ring->end += n - CONSOLE_LOG_MAX;
                from += n - CONSOLE_LOG_MAX;
                n = CONSOLE_LOG_MAX;
        }
        while (n > 0) {
                size_t at = ring->end % CONSOLE_LOG_MAX, part = min_u64(n, CONSOLE_LOG_MAX - at);

                memcpy(ring->bytes + at, from, part);
                ring->end += part;
                from += part;
                n -= part;
        }
}

uint64_t console_ring_start(const struct console_ring *ring) {
        return ring->end > CONSOLE_LOG_MAX ? ring->end - CONSOLE_LOG_MAX : 0;
}

size_t console_ring_read(const struct console_ring *ring, uint64_t *atp, void *buffer, size_t size,
                         uint64_t *lostp) {
        uint64_t start = console_ring_start(ring);
        unsigned char *to = buffer;
        size_t n;

        assert(*atp <= ring->end);
        *lostp = *atp < start ? start - *atp : 0;
        *atp += *lostp;
        n = min_u64(size, ring->end - *atp);
        for (size_t done = 0; done < n;) {
                size_t at = *atp % CONSOLE_LOG_MAX, part = min_u64(n - done, CONSOLE_LOG_MAX - at);

                memcpy(to + done, ring->bytes + at, part);
                *atp += part;
                done += part;
        }
        return n;
}

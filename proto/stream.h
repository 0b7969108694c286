/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_PROTO_STREAM_H
#define PROVIUM_PROTO_STREAM_H

/*
 * A varlink connection's bytes: JSON objects, each ended by a NUL, over a unix stream socket, with
 * file descriptors beside them. Bounded in both directions, never blocking, knowing nothing of
 * JSON. Descriptors belong to the message whose first byte they arrived with.
 */

#include <base/macro.h>

struct why;

#define STREAM_MESSAGE_MAX (512 * 1024)  /* bytes in one call, with its NUL */
#define STREAM_OUT_MAX (4 * 1024 * 1024) /* bytes waiting for a peer that does not read */
#define STREAM_FDS_MAX 42                /* descriptors held at a time: two sets of Run's */
#define STREAM_KEEP 4096                 /* bytes of each buffer that an idle stream keeps */

enum {
        _STREAM_E_SUCCESS,
        STREAM_E_AGAIN,   /* nothing to read now, or not everything could be written */
        STREAM_E_CLOSED,  /* the peer is gone */
        STREAM_E_TOO_BIG, /* a message, or what waits for the peer, exceeds its bound */
        STREAM_E_FDS,     /* too many descriptors, or truncated control data */
        STREAM_E_HOST,    /* the socket said something else; see errno in why */
};

struct stream {
        int fd; /* owned */

        /* in[in_start..in_used) is unread; its first in_taken bytes were given out by the last
         * stream_next(), and before in_scanned there is no further NUL. */
        char *in;
        size_t in_size, in_start, in_taken, in_scanned, in_used;
        size_t in_max; /* STREAM_MESSAGE_MAX; a client, whose replies may be longer, raises it */
        int in_fds[STREAM_FDS_MAX];
        size_t in_fds_at[STREAM_FDS_MAX]; /* where in in[] the message of each begins; ascending */
        size_t n_in_fds;

        char *out;
        size_t out_size, out_used, out_sent;
        int out_fds[STREAM_FDS_MAX]; /* owned until sent; go with the next byte written */
        size_t n_out_fds;
};

#define STREAM_NULL                                                                                \
        { .fd = -1 }

/* Takes over @fd, a unix stream socket without SO_PASSCRED (credentials would take the room of
 * descriptors). Allocates nothing yet. No function here blocks, whatever the socket's flags. */
void stream_init(struct stream *stream, int fd);
/* Closes everything still held, frees the buffers. Idempotent. */
void stream_deinit(struct stream *stream);

/*
 * Reads what is there, once (one recvmsg). 0: something came, and the caller now takes every
 * message with stream_next() until that answers STREAM_E_AGAIN. STREAM_E_AGAIN: nothing came.
 * STREAM_E_TOO_BIG, STREAM_E_FDS, STREAM_E_CLOSED and STREAM_E_HOST end the stream: it is of use
 * for stream_deinit() only. Whatever the answer, no descriptor that came is lost. Negative: out of
 * memory.
 */
_must_check_ int stream_fill(struct stream *stream, struct why *why);

/*
 * The next complete message, borrowed until the next call on @stream (stream_take_fds() aside);
 * *lengthp without the NUL, and there is no NUL before it. 0, or STREAM_E_AGAIN.
 */
_must_check_ int stream_next(struct stream *stream, const char **messagep, size_t *lengthp);

/*
 * Moves the descriptors that came with the last message into @fds (room for STREAM_FDS_MAX),
 * returns how many; the caller owns them, all are close-on-exec. Whoever does not call it before
 * the next stream_next() lets the stream close them.
 */
size_t stream_take_fds(struct stream *stream, int fds[STREAM_FDS_MAX]);

/*
 * Queues one message of @length bytes without a NUL (which is added). STREAM_E_TOO_BIG if more than
 * STREAM_OUT_MAX would wait: the peer does not read, nothing was queued. Negative: out of memory.
 */
_must_check_ int stream_queue(struct stream *stream, const char *message, size_t length);

/* Gives descriptors (dup'ed by the caller; now owned by @stream) to be sent with the next queued
 * message; only while nothing is queued (asserted): used by the client, once per call. */
void stream_give_fds(struct stream *stream, const int *fds, size_t n);

/* Writes what is queued: 0 when all is gone, STREAM_E_AGAIN when the socket is full,
 * STREAM_E_CLOSED or STREAM_E_HOST when it never will (what the peer has sent can still be read).
 */
_must_check_ int stream_flush(struct stream *stream, struct why *why);

/*
 * For a program that goes on as another one: what was read and not yet given out, and what was
 * queued and not yet sent, borrowed; and the same put into a stream fresh from stream_init().
 * Descriptors that came with what is unread are in in_fds, in_fds_at counting from in_start.
 * Negative: out of memory.
 */
const char *stream_unread(const struct stream *stream, size_t *lengthp);
const char *stream_unsent(const struct stream *stream, size_t *lengthp);
_must_check_ int stream_load(struct stream *stream, const char *unread, size_t n_unread,
                             const char *unsent, size_t n_unsent);

static inline bool stream_pending(const struct stream *stream) {
        return stream->out_used > stream->out_sent;
}

#endif

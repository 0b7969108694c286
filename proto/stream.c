/* SPDX-License-Identifier: MIT */
/*
 * Bytes and descriptors of one connection, written for a peer that means harm.
 *
 * Work: every byte that comes is looked at once for its NUL, wherever the peer cuts its writes, and
 * messages are given out by moving an offset; the rest moves to the front once per read, so that a
 * buffer full of tiny messages costs no more than one large one. Memory: the buffers grow by
 * doubling up to their bound, and an emptied one goes back to STREAM_KEEP bytes, so that a thousand
 * idle connections hold a thousand pages and no more.
 *
 * Descriptors: they are received close-on-exec, into a control buffer with room for exactly
 * STREAM_FDS_MAX. If the kernel had to cut (MSG_CTRUNC: too many, or our table is full), the stream
 * ends, and those that did arrive are closed with it.
 *
 * Whose descriptors? The kernel glues writes together in one recvmsg(2), but stops behind a write
 * that carried descriptors. They hence belong to the last message that begins in what was read,
 * provided that a peer sends each call's first byte in a write of its own call; every varlink
 * library does. Descriptors that come in the middle of a message belong to nobody: the stream ends.
 * Because reads stop behind them, no more than two sets are ever held if messages are taken after
 * every read, and the bound is on all that are held.
 *
 * Not done here: no JSON, no policy about who may connect, no waiting.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <proto/stream.h>

static_assert(STREAM_KEEP <= STREAM_MESSAGE_MAX && STREAM_MESSAGE_MAX <= STREAM_OUT_MAX,
              "bounds of a stream");

void stream_init(struct stream *stream, int fd) {
        *stream = (struct stream){.fd = fd, .in_max = STREAM_MESSAGE_MAX};
}

void stream_deinit(struct stream *stream) {
        fd_close_many(stream->in_fds, stream->n_in_fds);
        fd_close_many(stream->out_fds, stream->n_out_fds);
        free(stream->in);
        free(stream->out);
        fd_close(stream->fd);
        *stream = (struct stream)STREAM_NULL;
}

/* Sets the size of a buffer; shrinking cannot fail. */
static int resize(char **bufferp, size_t *sizep, size_t size) {
        char *buffer = realloc(*bufferp, size);

        if (!buffer)
                return size <= *sizep ? 0 : fault(-ENOMEM);

        *bufferp = buffer;
        *sizep = size;
        return 0;
}

/* Gives back what a buffer no longer needs: an empty one that grew goes, a nearly empty one is cut.
 * A growing buffer is at least half full, so the two never work against each other. */
static void shrink(char **bufferp, size_t *sizep, size_t used) {
        if (*sizep <= STREAM_KEEP || used > *sizep / 8)
                return;
        if (used > 0) {
                (void)resize(bufferp, sizep, max_u64(STREAM_KEEP, *sizep / 4));
                return;
        }
        free(*bufferp);
        *bufferp = NULL;
        *sizep = 0;
}

static void close_taken_fds(struct stream *stream) {
        size_t n = 0;

        while (n < stream->n_in_fds && stream->in_fds_at[n] == stream->in_start)
                n++;
        fd_close_many(stream->in_fds, n);
        stream->n_in_fds -= n;
        memmove(stream->in_fds, stream->in_fds + n, stream->n_in_fds * sizeof(*stream->in_fds));
        memmove(stream->in_fds_at, stream->in_fds_at + n,
                stream->n_in_fds * sizeof(*stream->in_fds_at));
}

/* Ends the loan of the message given out last. */
static void drop_taken(struct stream *stream) {
        if (stream->in_taken == 0)
                return;
        close_taken_fds(stream);
        stream->in_start += stream->in_taken;
        stream->in_taken = 0;
}

static void move_to_front(struct stream *stream) {
        size_t by = stream->in_start;

        if (by > 0) {
                memmove(stream->in, stream->in + by, stream->in_used - by);
                stream->in_start = 0;
                stream->in_scanned -= by;
                stream->in_used -= by;
                for (size_t i = 0; i < stream->n_in_fds; i++)
                        stream->in_fds_at[i] -= by;
        }
        shrink(&stream->in, &stream->in_size, stream->in_used);
}

static int make_room(struct stream *stream, struct why *why) {
        drop_taken(stream);
        move_to_front(stream);

        if (stream->in_used < stream->in_size)
                return 0;
        if (stream->in_size >= stream->in_max) {
                if (memchr(stream->in, '\0', stream->in_used))
                        return why_set(why, STREAM_E_AGAIN, "messages wait to be taken");
                return why_set(why, STREAM_E_TOO_BIG, "message is longer than %zu bytes",
                               stream->in_max);
        }
        return resize(&stream->in, &stream->in_size,
                      min_u64(stream->in_max, max_u64(STREAM_KEEP, stream->in_size * 2)));
}

/* Where the last message begins that has its first byte at or after @from; SIZE_MAX: none does. */
static size_t last_beginning(const struct stream *stream, size_t from) {
        size_t used = stream->in_used;
        const char *nul;

        /* A NUL that is the last byte ends the last message; the one before it tells its start. */
        nul = used - from > 1 ? memrchr(stream->in + from, '\0', used - from - 1) : NULL;
        if (nul)
                return (size_t)(nul - stream->in) + 1;
        return from == 0 || stream->in[from - 1] == '\0' ? from : SIZE_MAX;
}

/* Takes over what the control data brought, all of it: what does not fit is closed. */
static int keep_fds(struct stream *stream, struct msghdr *header, size_t from, struct why *why) {
        bool lost = header->msg_flags & MSG_CTRUNC;
        size_t owner = last_beginning(stream, from);
        size_t n_new = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
                size_t n;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < n; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
                        n_new++;
                        if (stream->n_in_fds == STREAM_FDS_MAX) {
                                fd_close(fd);
                                lost = true;
                                continue;
                        }
                        stream->in_fds[stream->n_in_fds] = fd;
                        stream->in_fds_at[stream->n_in_fds++] = owner;
                }
        }
        if (lost)
                return why_set(why, STREAM_E_FDS,
                               "more than %d descriptors came, or there was no room for them",
                               STREAM_FDS_MAX);
        if (n_new > 0 && owner == SIZE_MAX)
                return why_set(why, STREAM_E_FDS, "descriptors came in the middle of a message");
        return 0;
}

int stream_fill(struct stream *stream, struct why *why) {
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int) * STREAM_FDS_MAX)];
        } control;
        struct iovec iov;
        struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
        size_t from;
        ssize_t n;
        int r;

        r = make_room(stream, why);
        if (r)
                return r;

        from = stream->in_used;
        do {
                iov.iov_base = stream->in + from;
                iov.iov_len = stream->in_size - from;
                header.msg_control = control.bytes;
                header.msg_controllen = sizeof(control.bytes);
                n = recvmsg(stream->fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        if (n < 0) {
                if (errno == EAGAIN)
                        return why_set(why, STREAM_E_AGAIN, "nothing to read");
                if (errno == ECONNRESET)
                        return why_set(why, STREAM_E_CLOSED, "connection was reset by the peer");
                return why_errno(why, STREAM_E_HOST, errno, "cannot read from the socket");
        }

        stream->in_used += (size_t)n;
        r = keep_fds(stream, &header, from, why);
        if (r)
                return r;
        if (n == 0)
                return why_set(why, STREAM_E_CLOSED, "connection was closed by the peer");
        return 0;
}

int stream_next(struct stream *stream, const char **messagep, size_t *lengthp) {
        const char *nul;

        drop_taken(stream);
        nul = stream->in_scanned < stream->in_used ? memchr(stream->in + stream->in_scanned, '\0',
                                                            stream->in_used - stream->in_scanned)
                                                   : NULL;
        if (!nul) {
                stream->in_scanned = stream->in_used;
                if (stream->in_start == stream->in_used)
                        move_to_front(stream);
                return STREAM_E_AGAIN;
        }

        stream->in_scanned = (size_t)(nul - stream->in) + 1;
        stream->in_taken = stream->in_scanned - stream->in_start;
        *messagep = stream->in + stream->in_start;
        *lengthp = stream->in_taken - 1;
        return 0;
}

size_t stream_take_fds(struct stream *stream, int fds[STREAM_FDS_MAX]) {
        size_t n = 0;

        if (stream->in_taken == 0)
                return 0;
        while (n < stream->n_in_fds && stream->in_fds_at[n] == stream->in_start) {
                fds[n] = stream->in_fds[n];
                stream->in_fds[n++] = -1;
        }
        close_taken_fds(stream);
        return n;
}

int stream_queue(struct stream *stream, const char *message, size_t length) {
        size_t waiting = stream->out_used - stream->out_sent;
        size_t size = stream->out_size;
        int r;

        assert(!memchr(message, '\0', length));

        if (length >= STREAM_OUT_MAX || waiting > STREAM_OUT_MAX - length - 1)
                return STREAM_E_TOO_BIG;

        /* What is sent already is cut off only when room is wanted and it is at least half: each
         * byte moves once on average, however slowly the peer reads. */
        if (stream->out_used + length + 1 > size && stream->out_sent > 0 &&
            stream->out_sent >= waiting) {
                memmove(stream->out, stream->out + stream->out_sent, waiting);
                stream->out_sent = 0;
                stream->out_used = waiting;
        }
        while (size < stream->out_used + length + 1)
                size = size ? size * 2 : STREAM_KEEP;
        if (size > stream->out_size) {
                r = resize(&stream->out, &stream->out_size, size);
                if (r < 0)
                        return r;
        }

        memcpy(stream->out + stream->out_used, message, length);
        stream->out[stream->out_used + length] = '\0';
        stream->out_used += length + 1;
        return 0;
}

void stream_give_fds(struct stream *stream, const int *fds, size_t n) {
        assert(n <= STREAM_FDS_MAX && stream->n_out_fds == 0);
        assert(!stream_pending(stream));

        for (size_t i = 0; i < n; i++)
                stream->out_fds[i] = fds[i];
        stream->n_out_fds = n;
}

/* One sendmsg(2), with the descriptors if they still wait. Returns what it returned. */
static ssize_t send_once(struct stream *stream) {
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int) * STREAM_FDS_MAX)];
        } control = {};
        struct iovec iov = {
                .iov_base = stream->out + stream->out_sent,
                .iov_len = stream->out_used - stream->out_sent,
        };
        struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};

        if (stream->n_out_fds > 0) {
                size_t bytes = stream->n_out_fds * sizeof(int);
                struct cmsghdr *c;

                header.msg_control = control.bytes;
                header.msg_controllen = CMSG_SPACE(bytes);
                c = CMSG_FIRSTHDR(&header);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(bytes);
                memcpy(CMSG_DATA(c), stream->out_fds, bytes);
        }
        return sendmsg(stream->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int stream_flush(struct stream *stream, struct why *why) {
        while (stream_pending(stream)) {
                ssize_t n = send_once(stream);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        if (errno == EAGAIN)
                                return why_set(why, STREAM_E_AGAIN, "the peer does not read");
                        if (errno == EPIPE || errno == ECONNRESET)
                                return why_set(why, STREAM_E_CLOSED,
                                               "connection was closed by the peer");
                        return why_errno(why, STREAM_E_HOST, errno, "cannot write to the socket");
                }
                stream->out_sent += (size_t)n;
                fd_close_many(stream->out_fds, stream->n_out_fds);
                stream->n_out_fds = 0;
        }
        stream->out_used = stream->out_sent = 0;
        shrink(&stream->out, &stream->out_size, 0);
        return 0;
}

const char *stream_unread(const struct stream *stream, size_t *lengthp) {
        size_t start = stream->in_start + stream->in_taken;

        *lengthp = stream->in_used - start;
        return *lengthp > 0 ? stream->in + start : "";
}

const char *stream_unsent(const struct stream *stream, size_t *lengthp) {
        *lengthp = stream->out_used - stream->out_sent;
        return *lengthp > 0 ? stream->out + stream->out_sent : "";
}

int stream_load(struct stream *stream, const char *unread, size_t n_unread, const char *unsent,
                size_t n_unsent) {
        int r;

        assert(stream->in_used == 0 && stream->out_used == 0);
        if (n_unread > 0) {
                r = resize(&stream->in, &stream->in_size, n_unread);
                if (r < 0)
                        return r;
                memcpy(stream->in, unread, n_unread);
                stream->in_used = n_unread;
        }
        if (n_unsent > 0) {
                r = resize(&stream->out, &stream->out_size, n_unsent);
                if (r < 0)
                        return r;
                memcpy(stream->out, unsent, n_unsent);
                stream->out_used = n_unsent;
        }
        return 0;
}

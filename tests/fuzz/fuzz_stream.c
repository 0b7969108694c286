/* SPDX-License-Identifier: MIT */
/*
 * A peer of the stream that does what the input says: each step is an operation byte and its
 * arguments. After every step the books of the stream are checked, and at the end no descriptor may
 * be left open.
 *
 *     0..1 N bytes   write N bytes of the input (0: with N % 43 descriptors)
 *     2              read once and take every message, with or without its descriptors
 *     3    N         queue a message of N * 257 bytes
 *     4              flush, and let the peer read
 *     5              close the peer
 */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <proto/stream.h>

#define check(condition) ((condition) ? (void)0 : abort())

struct peer {
        int fd;
        struct stream stream;
        const uint8_t *data;
        size_t size;
};

static uint8_t next_byte(struct peer *peer) {
        if (peer->size == 0)
                return 0;
        peer->size--;
        return *peer->data++;
}

static void check_books(const struct stream *s) {
        check(s->in_start + s->in_taken <= s->in_used && s->in_used <= s->in_size);
        check(s->in_scanned <= s->in_used && s->in_size <= s->in_max);
        check(s->n_in_fds <= STREAM_FDS_MAX);
        check(s->out_sent <= s->out_used && s->out_used <= s->out_size);
        check(s->out_used - s->out_sent <= STREAM_OUT_MAX);
}

static void send_some(struct peer *peer, bool with_fds) {
        size_t n = next_byte(peer), n_fds = with_fds ? n % (STREAM_FDS_MAX + 3) : 0;
        char control[CMSG_SPACE(sizeof(int) * (STREAM_FDS_MAX + 2))] = {};
        struct iovec iov = {(void *)peer->data, n < peer->size ? n : peer->size};
        struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};

        if (n_fds > 0) {
                struct cmsghdr *c;

                header.msg_control = control;
                header.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
                c = CMSG_FIRSTHDR(&header);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
                for (size_t i = 0; i < n_fds; i++)
                        memcpy(CMSG_DATA(c) + i * sizeof(int), &peer->fd, sizeof(int));
        }
        if (peer->fd >= 0)
                (void)!sendmsg(peer->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
        peer->data += iov.iov_len;
        peer->size -= iov.iov_len;
}

/* Returns false when the stream is over. */
static bool read_some(struct peer *peer) {
        int fds[STREAM_FDS_MAX];
        const char *message;
        struct why why;
        size_t length;
        int r;

        r = stream_fill(&peer->stream, &why);
        check(r >= 0);
        if (r && r != STREAM_E_AGAIN)
                return false;
        while (stream_next(&peer->stream, &message, &length) == 0) {
                check(!memchr(message, '\0', length) && message[length] == '\0');
                if (length % 2)
                        fd_close_many(fds, stream_take_fds(&peer->stream, fds));
                check_books(&peer->stream);
        }
        return true;
}

static void queue_some(struct peer *peer) {
        static char block[256 * 257];
        size_t length = (size_t)next_byte(peer) * 257;
        int r;

        memset(block, 'q', sizeof(block));
        r = stream_queue(&peer->stream, block, length);
        check(r == 0 || r == STREAM_E_TOO_BIG);
}

static bool flush_some(struct peer *peer) {
        char block[4096];
        int r = stream_flush(&peer->stream, NULL);

        if (peer->fd >= 0)
                (void)!read(peer->fd, block, sizeof(block));
        return r == 0 || r == STREAM_E_AGAIN;
}

static bool step(struct peer *peer) {
        switch (next_byte(peer) % 6) {
        case 0:
                send_some(peer, true);
                return true;
        case 1:
                send_some(peer, false);
                return true;
        case 2:
                return read_some(peer);
        case 3:
                queue_some(peer);
                return true;
        case 4:
                return flush_some(peer);
        default:
                peer->fd = fd_close(peer->fd);
                return true;
        }
}

/* The lowest free descriptor: the same before and after if none was lost. */
static int lowest_free(void) {
        int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);

        close(fd);
        return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct peer peer = {.data = data, .size = size};
        int fds[2], lowest = lowest_free();
        bool alive = true;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return 0;
        peer.fd = fds[0];
        stream_init(&peer.stream, fds[1]);
        while (alive && peer.size > 0) {
                alive = step(&peer);
                check_books(&peer.stream);
        }
        stream_deinit(&peer.stream);
        fd_close(peer.fd);
        check(lowest_free() == lowest);
        return 0;
}

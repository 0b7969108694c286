/* SPDX-License-Identifier: MIT */
/*
 * unix(7): descriptors travel with the bytes they were sent with, and a receive never goes beyond
 * the bytes that have some of their own; so those of a head come with the head. There are at most
 * 253 with one message (SCM_MAX_FD).
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <base/fd.h>
#include <launcher/wire.h>

_Static_assert(WIRE_FDS_MAX <= 253, "SCM_MAX_FD");

union control {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(WIRE_FDS_MAX * sizeof(int))];
};

/* What is left of head and payload after @done bytes. */
static size_t rest(struct iovec parts[2], size_t done) {
        size_t n = 0;

        for (size_t i = 0; i < 2; i++) {
                size_t skipped = done < parts[i].iov_len ? done : parts[i].iov_len;

                done -= skipped;
                if (parts[i].iov_len > skipped)
                        parts[n++] = (struct iovec){(char *)parts[i].iov_base + skipped,
                                                    parts[i].iov_len - skipped};
        }
        return n;
}

int wire_send(int fd, const void *head, size_t size, const void *payload, size_t length,
              const int *fds, size_t n_fds) {
        struct iovec parts[2] = {{(void *)head, size}, {(void *)payload, length}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        size_t left = size + length;
        union control control;

        assert(n_fds <= WIRE_FDS_MAX);
        if (n_fds > 0) {
                control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(n_fds * sizeof(int)),
                                                  .cmsg_level = SOL_SOCKET,
                                                  .cmsg_type = SCM_RIGHTS};
                memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        }
        while (left > 0) {
                ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? ETIMEDOUT : errno;
                left -= (size_t)n;
                message.msg_iovlen = rest(parts, (size_t)n);
                message.msg_control = NULL;
                message.msg_controllen = 0;
        }
        return 0;
}

/* All that came, up to @max; more than that, or anything else, is closed and false. */
static bool take_fds(struct msghdr *message, int *fds, size_t max, size_t *np) {
        bool fit = !(message->msg_flags & MSG_CTRUNC);

        for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part;
             part = CMSG_NXTHDR(message, part)) {
                size_t n = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                int fd;

                if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; i < n; i++) {
                        memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
                        if (*np < max)
                                fds[(*np)++] = fd;
                        else
                                fit = fd_close(fd) == 0; /* -1: false */
                }
        }
        return fit;
}

int wire_receive(int fd, void *head, size_t size, int *fds, size_t fds_max, size_t *n_fdsp) {
        size_t done = 0, n_fds = 0;
        int error = 0;

        while (done < size && !error) {
                struct iovec part = {(char *)head + done, size - done};
                union control control;
                struct msghdr message = {.msg_iov = &part,
                                         .msg_iovlen = 1,
                                         .msg_control = &control,
                                         .msg_controllen = sizeof(control)};
                ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        error = errno == EAGAIN ? ETIMEDOUT : errno;
                else if (n == 0)
                        error = EPIPE;
                else if (!take_fds(&message, fds, fds_max, &n_fds))
                        error = EBADMSG;
                else
                        done += (size_t)n;
        }
        if (error)
                fd_close_many(fds, n_fds);
        *n_fdsp = error ? 0 : n_fds;
        return error;
}

int wire_receive_payload(int fd, void *payload, size_t length) {
        size_t n_fds;

        return wire_receive(fd, payload, length, NULL, 0, &n_fds);
}

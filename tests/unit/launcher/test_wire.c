/* SPDX-License-Identifier: MIT */
/* What passes between broker and launcher, over a socket: whole, or not at all and nothing kept. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <base/fd.h>
#include <launcher/wire.h>

#include "unit.h"

#define FDS_MORE 200 /* more than are taken, and fewer than the kernel refuses */

static int files[FDS_MORE];
static ino_t inodes[FDS_MORE];

static void open_files(void) {
        struct stat st;

        for (size_t i = 0; i < FDS_MORE; i++) {
                files[i] = memfd_create("sent", MFD_CLOEXEC);
                need(files[i] >= 0);
                need_int(fstat(files[i], &st), 0);
                inodes[i] = st.st_ino;
        }
}

static size_t count_open(void) {
        DIR *dir = opendir("/proc/self/fd");
        size_t n = 0;

        need(dir != NULL);
        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

static char at(size_t i) {
        return (char)(i * 31 + (i >> 8));
}

/* Another process, so that what does not fit into the socket's buffer does not wait for us. */
static pid_t start_sender(const int pair[2], size_t length, size_t n_fds) {
        struct wire_request request = {
                .op = WIRE_SPAWN, .length = (uint32_t)length, .n_fds = (uint32_t)n_fds};
        pid_t pid = fork();
        char *payload;

        need(pid >= 0);
        if (pid > 0)
                return pid;
        close(pair[0]);
        payload = malloc(length + 1);
        for (size_t i = 0; payload && i < length; i++)
                payload[i] = at(i);
        _exit(payload ? wire_send(pair[1], &request, sizeof(request), payload, length, files, n_fds)
                      : ENOMEM);
}

static void expect_files(const int *fds, size_t n) {
        struct stat st;

        for (size_t i = 0; i < n; i++) {
                expect(fstat(fds[i], &st) == 0 && st.st_ino == inodes[i]);
                expect(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        }
}

static void expect_request(size_t length, size_t n_fds) {
        struct wire_request request = {};
        int fds[WIRE_FDS_MAX], pair[2], status = -1;
        size_t before = count_open(), n = 0, wrong = 0;
        char *payload = malloc(length + 1);
        pid_t pid;

        need(payload != NULL);
        need_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        pid = start_sender(pair, length, n_fds);
        expect_int(wire_receive(pair[0], &request, sizeof(request), fds, WIRE_FDS_MAX, &n), 0);
        expect_uint(request.op, WIRE_SPAWN);
        expect_uint(request.length, length);
        expect_uint(request.n_fds, n_fds);
        expect_uint(n, n_fds);
        expect_files(fds, n);
        expect_int(wire_receive_payload(pair[0], payload, length), 0);
        for (size_t i = 0; i < length; i++)
                wrong += payload[i] != at(i);
        expect_uint(wrong, 0);
        expect(waitpid(pid, &status, 0) == pid && status == 0);
        fd_close_many(fds, n);
        fd_close_many(pair, 2);
        free(payload);
        expect_uint(count_open(), before);
}

static void a_request_arrives_as_it_was_sent(void) {
        static const size_t lengths[] = {0, 1, 4095, 65536, (3U << 20) + 1, WIRE_LENGTH_MAX};
        static const size_t counts[] = {0, 1, 2, WIRE_FDS_MAX - 1, WIRE_FDS_MAX};

        open_files();
        for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
                for (size_t j = 0; j < ARRAY_SIZE(counts); j++)
                        expect_request(lengths[i], counts[j]);
        fd_close_many(files, FDS_MORE);
}

/* Some bytes, and descriptors beside the first of them, as anybody might send them. */
static void send_part(int fd, const void *bytes, size_t size, const int *fds, size_t n_fds) {
        struct iovec part = {(void *)bytes, size};
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(FDS_MORE * sizeof(int))];
        } control = {};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

        if (n_fds > 0) {
                control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(n_fds * sizeof(int)),
                                                  .cmsg_level = SOL_SOCKET,
                                                  .cmsg_type = SCM_RIGHTS};
                memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        }
        need_int(sendmsg(fd, &message, MSG_NOSIGNAL), (ssize_t)size);
}

static void a_head_in_pieces_is_put_together(void) {
        const struct wire_request request = {.op = WIRE_CHOWN, .number = {1, 2, 3, 4, 5, 6}};
        struct wire_request got;
        int fds[WIRE_FDS_MAX], pair[2];
        size_t before, n = 0;

        open_files();
        need_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        before = count_open();
        for (size_t i = 0; i < sizeof(request); i++)
                send_part(pair[1], (const char *)&request + i, 1, &files[i], 1);
        expect_int(wire_receive(pair[0], &got, sizeof(got), fds, WIRE_FDS_MAX, &n), 0);
        expect(memcmp(&got, &request, sizeof(got)) == 0);
        expect_uint(n, sizeof(request));
        expect_files(fds, n);
        fd_close_many(fds, n);
        expect_uint(count_open(), before);
        fd_close_many(pair, 2);
        fd_close_many(files, FDS_MORE);
}

/* With the first @first bytes these descriptors, and as many with the rest. */
static void expect_refused(size_t first, size_t n_first, size_t n_rest, size_t taken) {
        struct wire_request request = {}, got;
        int fds[WIRE_FDS_MAX], pair[2];
        size_t before, n = 99;

        need_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        before = count_open();
        send_part(pair[1], &request, first, files, n_first);
        send_part(pair[1], (char *)&request + first, sizeof(request) - first, files, n_rest);
        expect_int(wire_receive(pair[0], &got, sizeof(got), fds, taken, &n), EBADMSG);
        expect_uint(n, 0);
        expect_uint(count_open(), before);
        fd_close_many(pair, 2);
}

static void more_descriptors_than_are_taken_are_all_closed(void) {
        open_files();
        expect_refused(8, WIRE_FDS_MAX + 1, 0, WIRE_FDS_MAX);
        expect_refused(8, FDS_MORE, 0, WIRE_FDS_MAX);
        expect_refused(8, 0, FDS_MORE, WIRE_FDS_MAX);
        expect_refused(8, 100, 100, WIRE_FDS_MAX);
        expect_refused(1, WIRE_FDS_MAX, 1, WIRE_FDS_MAX);
        expect_refused(8, WIRE_ANSWER_FDS_MAX + 1, 0, WIRE_ANSWER_FDS_MAX);
        expect_refused(8, 3, 2, WIRE_ANSWER_FDS_MAX);
        expect_refused(8, 1, 0, 0);
        fd_close_many(files, FDS_MORE);
}

static void an_end_in_the_middle_keeps_nothing(void) {
        struct wire_request request = {}, got;
        int fds[WIRE_FDS_MAX], pair[2];
        size_t before, n;

        open_files();
        before = count_open();
        for (size_t sent = 0; sent < sizeof(request); sent++) {
                need_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
                if (sent > 0)
                        send_part(pair[1], &request, sent, files, 3);
                fd_close(pair[1]);
                n = 99;
                expect_int(wire_receive(pair[0], &got, sizeof(got), fds, WIRE_FDS_MAX, &n), EPIPE);
                expect_uint(n, 0);
                fd_close(pair[0]);
                expect_uint(count_open(), before);
        }
        /* And in that of a payload. */
        need_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        send_part(pair[1], &request, sizeof(request) - 1, NULL, 0);
        fd_close(pair[1]);
        expect_int(wire_receive_payload(pair[0], &got, sizeof(got)), EPIPE);
        fd_close(pair[0]);
        fd_close_many(files, FDS_MORE);
}

static void nobody_is_waited_for_beyond_the_timeout(void) {
        const struct timeval timeout = {.tv_usec = 20000};
        char *much = calloc(1, WIRE_LENGTH_MAX);
        struct wire_request request = {}, got;
        int fds[WIRE_FDS_MAX], pair[2];
        size_t before, n = 99;

        need(much != NULL);
        open_files();
        need_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        need_int(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
        need_int(setsockopt(pair[1], SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)), 0);
        before = count_open();
        expect_int(wire_receive(pair[0], &got, sizeof(got), fds, WIRE_FDS_MAX, &n), ETIMEDOUT);
        send_part(pair[1], &request, 5, files, 5);
        expect_int(wire_receive(pair[0], &got, sizeof(got), fds, WIRE_FDS_MAX, &n), ETIMEDOUT);
        expect_uint(n, 0);
        expect_uint(count_open(), before);
        expect_int(wire_send(pair[1], &request, sizeof(request), much, WIRE_LENGTH_MAX, NULL, 0),
                   ETIMEDOUT);
        /* Who has left ends it, without a signal. */
        fd_close(pair[0]);
        expect_int(wire_send(pair[1], &request, sizeof(request), NULL, 0, files, 3), EPIPE);
        fd_close(pair[1]);
        fd_close_many(files, FDS_MORE);
        free(much);
}

UNIT_MAIN(TEST(a_request_arrives_as_it_was_sent), TEST(a_head_in_pieces_is_put_together),
          TEST(more_descriptors_than_are_taken_are_all_closed),
          TEST(an_end_in_the_middle_keeps_nothing), TEST(nobody_is_waited_for_beyond_the_timeout))

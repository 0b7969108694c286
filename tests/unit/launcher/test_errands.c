/* SPDX-License-Identifier: MIT */
/* The errands as the launcher runs them, asked for rightly and wrongly. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <base/fd.h>
#include <launcher/child_quota.h>
#include <launcher/errands.h>

#include "unit.h"

#define OTHER 61234

static struct wire_answer answer;
static int answer_fd;

/* One without a payload, about a descriptor or none (-1). */
static int ask(uint32_t op, int fd, int64_t a, int64_t b, int64_t c, int64_t d) {
        struct wire_message message = {.request = {.op = op, .number = {a, b, c, d}}};
        int r;

        message.request.n_fds = fd >= 0;
        message.fds[0] = fd;
        r = errand_run(&message, &answer, &answer_fd);
        expect_int(answer.error, r);
        expect_int(answer.n_fds, answer_fd >= 0);
        return r;
}

static int ask_address(uint32_t op, const void *address, size_t length, int64_t backlog) {
        struct wire_message message = {.request = {.op = op, .number = {backlog}}};
        char payload[256] = "";

        memcpy(payload, address, length);
        message.request.length = (uint32_t)length;
        message.payload = payload;
        return errand_run(&message, &answer, &answer_fd);
}

static pid_t start_sleeper(int *pidfdp) {
        pid_t pid = fork();

        if (pid == 0) {
                for (;;)
                        pause();
        }
        need(pid > 0);
        *pidfdp = pidfd_open(pid, 0);
        need(*pidfdp >= 0);
        return pid;
}

static void what_is_no_errand_or_lacks_its_parts_is_refused(void) {
        static const uint32_t without[] = {WIRE_SIGNAL, WIRE_CHOWN, WIRE_UNQUOTA};
        static const uint32_t none_wanted[] = {WIRE_NAMESPACES, WIRE_KMSG,   WIRE_PRESSURE,
                                               WIRE_FORWARD,    WIRE_LISTEN, WIRE_CONNECT};
        static const uint32_t strange[] = {0,          WIRE_HELLO, WIRE_SPAWN,
                                           WIRE_RENEW, _WIRE_OP_N, UINT32_MAX};

        for (size_t i = 0; i < ARRAY_SIZE(strange); i++)
                expect_int(ask(strange[i], -1, 1, 1, 1, 1), EINVAL);
        for (size_t i = 0; i < ARRAY_SIZE(without); i++)
                expect_int(ask(without[i], -1, 1, 1, 1, 1), EINVAL);
        for (size_t i = 0; i < ARRAY_SIZE(none_wanted); i++)
                expect_int(ask(none_wanted[i], STDIN_FILENO, 1, 1, 1, 1), EINVAL);
        /* A payload where there is none, and none where there is one. */
        expect_int(ask_address(WIRE_KMSG, "x", 1, 0), EINVAL);
        expect_int(ask_address(WIRE_LISTEN, "", 0, 1), EINVAL);
}

static void a_signal_reaches_the_process_of_the_descriptor(void) {
        int pidfd = -1, status = 0;
        pid_t pid = start_sleeper(&pidfd);

        expect_int(ask(WIRE_SIGNAL, pidfd, 0, 0, 0, 0), EINVAL);
        expect_int(ask(WIRE_SIGNAL, pidfd, -9, 0, 0, 0), EINVAL);
        expect_int(ask(WIRE_SIGNAL, pidfd, SIGRTMAX + 1, 0, 0, 0), EINVAL);
        expect_int(ask(WIRE_SIGNAL, pidfd, (INT64_C(1) << 32) + SIGKILL, 0, 0, 0), EINVAL);
        expect_int(ask(WIRE_SIGNAL, STDIN_FILENO, SIGKILL, 0, 0, 0), EBADF);
        expect_int(ask(WIRE_SIGNAL, pidfd, SIGUSR1, 0, 0, 0), 0);
        need_int(waitpid(pid, &status, 0), pid);
        expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
        expect_int(ask(WIRE_SIGNAL, pidfd, SIGUSR1, 0, 0, 0), ESRCH);
        fd_close(pidfd);
}

static void an_owner_is_changed_by_a_descriptor_without_rights(void) {
        char path[] = "/tmp/errands-XXXXXX";
        int file_fd = mkstemp(path), fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        bool root = geteuid() == 0;
        struct stat st;

        need(file_fd >= 0 && fd >= 0);
        expect_int(ask(WIRE_CHOWN, fd, -1, 0, 0, 0), EINVAL);
        expect_int(ask(WIRE_CHOWN, fd, 0, UINT32_MAX, 0, 0), EINVAL);
        expect_int(ask(WIRE_CHOWN, fd, (INT64_C(1) << 32) + 1, 0, 0, 0), EINVAL);
        expect_int(ask(WIRE_CHOWN, fd, OTHER, OTHER, 0, 0), root ? 0 : EPERM);
        need_int(fstat(file_fd, &st), 0);
        expect_uint(st.st_uid, root ? OTHER : geteuid());
        expect_int(ask(WIRE_CHOWN, fd, geteuid(), getegid(), 0, 0), 0);
        need_int(fstat(file_fd, &st), 0);
        expect_uint(st.st_uid, geteuid());
        unlink(path);
        fd_close(fd);
        fd_close(file_fd);
}

static void namespaces_of_its_own_are_told(void) {
        int pipe_fds[2];
        char byte = 0;
        pid_t pid;

        expect_int(ask(WIRE_NAMESPACES, -1, getpid(), geteuid(), getegid(), 0), 0);
        expect_int(answer.number[0], 0);
        expect_int(ask(WIRE_NAMESPACES, -1, 0, 0, 0, 0), EINVAL);
        expect_int(ask(WIRE_NAMESPACES, -1, INT64_C(1) << 31, 0, 0, 0), EINVAL);
        expect_int(ask(WIRE_NAMESPACES, -1, getpid(), -1, 0, 0), EINVAL);
        expect_int(ask(WIRE_NAMESPACES, -1, getpid(), 0, UINT32_MAX, 0), EINVAL);
        expect_int(ask(WIRE_NAMESPACES, -1, INT32_MAX, geteuid(), getegid(), 0), ENOENT);
        expect_int(geteuid(), getuid());

        need_int(pipe2(pipe_fds, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                byte = unshare(CLONE_NEWUTS | CLONE_NEWIPC) == 0 ? 'y' : 'n';
                (void)!write(pipe_fds[1], &byte, 1);
                for (;;)
                        pause();
        }
        need(pid > 0);
        need_int(read(pipe_fds[0], &byte, 1), 1);
        if (byte == 'y') {
                expect_int(ask(WIRE_NAMESPACES, -1, pid, geteuid(), getegid(), 0), 0);
                expect_int(answer.number[0], CLONE_NEWUTS | CLONE_NEWIPC);
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        fd_close_many(pipe_fds, 2);
}

/* As open(2) itself answers whoever runs this. */
static void the_log_of_the_kernel_is_opened_not_to_wait_for(void) {
        int fd = open("/dev/kmsg", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        int wanted = fd < 0 ? errno : 0;

        expect_int(ask(WIRE_KMSG, -1, 0, 0, 0, 0), wanted);
        if (wanted == 0) {
                expect(fcntl(answer_fd, F_GETFL) & O_NONBLOCK);
                expect(fcntl(answer_fd, F_GETFD) & FD_CLOEXEC);
        }
        fd_close(fd);
        fd_close(answer_fd);
}

static void pressure_and_forwarding_are_of_what_there_is(void) {
        expect_int(ask(WIRE_PRESSURE, -1, -1, 0, 1000, 1000000), EINVAL);
        expect_int(ask(WIRE_PRESSURE, -1, _WIRE_PRESSURE_N, 0, 1000, 1000000), EINVAL);
        expect_int(ask(WIRE_PRESSURE, -1, 0, 2, 1000, 1000000), EINVAL);
        expect_int(ask(WIRE_PRESSURE, -1, 0, 0, 0, 1000000), EINVAL);
        expect_int(ask(WIRE_PRESSURE, -1, 0, 0, 1000, INT64_MAX), EINVAL);
        expect_int(ask(WIRE_FORWARD, -1, AF_UNIX, 0, 0, 0), EINVAL);
        expect_int(ask(WIRE_FORWARD, -1, -1, 0, 0, 0), EINVAL);
}

static void a_listener_takes_whoever_connects(void) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        struct sockaddr_in in = {.sin_family = AF_INET,
                                 .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
        struct sockaddr local = {.sa_family = AF_UNIX};
        socklen_t length = sizeof(in);
        int listen_fd, accepts = 0;
        socklen_t size = sizeof(accepts);

        expect_int(ask_address(WIRE_LISTEN, &local, sizeof(local), 8), EINVAL);
        expect_int(ask_address(WIRE_LISTEN, &in, sizeof(in) - 1, 8), EINVAL);
        expect_int(ask_address(WIRE_LISTEN, &in6, sizeof(in), 8), EINVAL);
        expect_int(ask_address(WIRE_LISTEN, &in, sizeof(in), 0), EINVAL);
        expect_int(ask_address(WIRE_LISTEN, &in, sizeof(in), 1 << 20), EINVAL);
        expect_int(answer_fd, -1);
        need_int(ask_address(WIRE_LISTEN, &in, sizeof(in), 8), 0);
        listen_fd = answer_fd;
        need_int(getsockopt(listen_fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size), 0);
        expect_int(accepts, 1);
        expect(fcntl(listen_fd, F_GETFL) & O_NONBLOCK);
        need_int(getsockname(listen_fd, (struct sockaddr *)&in, &length), 0);

        /* The same again is somebody else's; and he is there. */
        expect_int(ask_address(WIRE_LISTEN, &in, sizeof(in), 8), EADDRINUSE);
        expect_int(answer_fd, -1);
        expect_that(ask_address(WIRE_CONNECT, &in, sizeof(in), 0) == EINPROGRESS ||
                            answer.error == 0,
                    "errno %d", answer.error);
        expect_int(answer_fd, -1);
        expect_int(ask_address(WIRE_CONNECT, &local, sizeof(local), 0), EINVAL);
        fd_close(listen_fd);
}

static int ask_unquota(int told_fd, int file_fd, int64_t project, int64_t major, int *left_fd) {
        struct wire_message message = {
                .request = {.op = WIRE_UNQUOTA, .n_fds = 2, .number = {project, major, 0}},
                .fds = {told_fd, file_fd}};
        int r = errand_run(&message, &answer, &answer_fd);

        *left_fd = message.fds[0];
        return r;
}

/* Of a file system that has no quotas: the thread tells what the kernel said, and lets go. */
static void the_end_of_a_quota_is_told_by_a_thread(void) {
        int fds[2], left, file_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
        int64_t project = CHILD_PROJECT_MIN;
        struct wire_unquota told = {};

        need_int(pipe2(fds, O_CLOEXEC), 0);
        need(file_fd >= 0);
        expect_int(ask_unquota(fds[1], file_fd, project - 1, 0, &left), EINVAL);
        expect_int(ask_unquota(fds[1], file_fd, INT64_MAX, 0, &left), EINVAL);
        expect_int(ask_unquota(fds[1], file_fd, project, -1, &left), EINVAL);
        expect_int(ask_unquota(fds[1], fds[0], project, 0, &left), EINVAL);
        expect_int(left, fds[1]);
        need_int(ask_unquota(fds[1], file_fd, project, 0, &left), 0);
        expect_int(left, -1);
        expect_int(read(fds[0], &told, sizeof(told)), sizeof(told));
        expect_int(told.files, 0);
        expect_int(read(fds[0], &told, sizeof(told)), 0);
        fd_close(fds[0]);
}

UNIT_MAIN(TEST(what_is_no_errand_or_lacks_its_parts_is_refused),
          TEST(a_signal_reaches_the_process_of_the_descriptor),
          TEST(an_owner_is_changed_by_a_descriptor_without_rights),
          TEST(namespaces_of_its_own_are_told),
          TEST(the_log_of_the_kernel_is_opened_not_to_wait_for),
          TEST(pressure_and_forwarding_are_of_what_there_is),
          TEST(a_listener_takes_whoever_connects), TEST(the_end_of_a_quota_is_told_by_a_thread))

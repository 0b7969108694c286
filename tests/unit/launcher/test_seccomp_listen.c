/* SPDX-License-Identifier: MIT */
/*
 * A fork that makes its calls under the filter that asks, and this process as the one that is
 * asked: no root is needed for either.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <base/why.h>
#include <launcher/child.h>
#include <launcher/child_learn.h>
#include <launcher/seccomp_listen.h>

#include "lists.h"
#include "unit.h"

#define WAIT_MS 10000

/* By the bare call: a sanitizer looks for leaks in _exit(). */
static void leave(int status) {
        for (;;)
                syscall(SYS_exit_group, status);
}

/* In the fork. */
static long start(int socket_fd) {
        static struct child_learn learn;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -1;
        child_learn_init(&learn, socket_fd);
        return child_start_learning(&learn, socket_fd);
}

struct learner {
        struct seccomp_listener listener;
        pid_t pid;
};

/* A fork that learns and then does what @body says, whose value is its status; 99: it cannot. */
static void learner_open(struct learner *learner, int (*body)(void)) {
        struct why why = {};
        int peer = -1;

        *learner = (struct learner){.listener = SECCOMP_LISTENER_NULL};
        need_int(seccomp_listen_open(&learner->listener, &peer, &why), 0);
        learner->pid = fork();
        if (learner->pid == 0)
                leave(start(peer) < 0 ? 99 : body());
        need(learner->pid > 0);
        close(peer);
}

/* One turn; false: it is over. */
static bool learner_step(struct learner *learner) {
        struct pollfd pollfd = {seccomp_listen_poll_fd(&learner->listener), POLLIN, 0};
        struct why why = {};

        if (pollfd.fd < 0)
                return false;
        need_that(poll(&pollfd, 1, WAIT_MS) > 0, "there is news");
        need_that(seccomp_listen_step(&learner->listener, &why) == 0, "%s", why.text);
        return true;
}

static int learner_end(struct learner *learner) {
        int status = 0;

        need_int(waitpid(learner->pid, &status, 0), learner->pid);
        seccomp_listen_close(&learner->listener);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int call_some(void) {
        long parent = syscall(SYS_getppid);
        long fd = syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
        long clone = syscall(SYS_clone3, NULL, 0);

        if (parent <= 0 || fd < 0 || clone != -1 || errno != ENOSYS)
                return 1;
        for (int i = 0; i < 1000; i++)
                if (syscall(SYS_getppid) != parent)
                        return 2;
        return 7;
}

static void calls_are_noted_and_go_on(void) {
        struct learner learner;
        const struct seccomp_learned *learned = &learner.listener.learned;

        learner_open(&learner, call_some);
        while (learner_step(&learner))
                ;
        expect_int(learner_end(&learner), 7);
        expect(learner.listener.came);
        expect(learned->called[SYS_getppid] && learned->called[SYS_socket]);
        /* What needs no question, and what carried the listener here. */
        expect(!learned->called[SYS_exit_group] && !learned->called[SYS_clone3] &&
               !learned->called[SYS_sendmsg]);
        expect_uint(learned->n_called, 2);
}

static int call_until_it_fails(void) {
        syscall(SYS_close_range, 3, ~0U, 0); /* as execve does it with the fork's own listener */
        while (syscall(SYS_getppid) > 0)
                ;
        return errno == ENOSYS ? 7 : 1;
}

static void without_a_listener_calls_fail_but_not_the_end(void) {
        struct learner learner;

        learner_open(&learner, call_until_it_fails);
        while (!learner.listener.learned.called[SYS_getppid])
                need(learner_step(&learner));
        seccomp_listen_close(&learner.listener);
        seccomp_listen_close(&learner.listener);
        expect_int(seccomp_listen_poll_fd(&learner.listener), -1);
        expect_int(learner_end(&learner), 7);
}

static int call_as_i386(void) {
        long result;

        __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
        return 1;
}

static int call_as_x32(void) {
        return (int)syscall(0x40000000 | SYS_getpid);
}

static void other_architectures_kill(void) {
        int (*const bodies[])(void) = {call_as_i386, call_as_x32};

        for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
                struct learner learner;

                learner_open(&learner, bodies[i]);
                while (learner_step(&learner))
                        ;
                expect_int(learner_end(&learner), 128 + SIGSYS);
        }
}

/* What start() answers for @socket_fd. */
static int answer_for(int socket_fd) {
        int status = 0;
        pid_t pid = fork();

        if (pid == 0)
                leave((int)-start(socket_fd));
        need_int(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void what_does_not_take_the_listener_is_refused_without_waiting(void) {
        struct why why = {};
        struct seccomp_listener listener = SECCOMP_LISTENER_NULL;
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC), peer = -1;

        expect_int(answer_for(null_fd), ENOTSOCK);
        close(null_fd);
        need_int(seccomp_listen_open(&listener, &peer, &why), 0);
        while (send(peer, "x", 1, MSG_DONTWAIT) == 1)
                ;
        expect_int(answer_for(peer), EAGAIN);
        seccomp_listen_close(&listener);
        expect_int(answer_for(peer), EPIPE);
        close(peer);
}

static void what_comes_without_a_listener_ends_the_wait(void) {
        struct seccomp_listener listener = SECCOMP_LISTENER_NULL;
        struct why why = {};
        int peer = -1;

        need_int(seccomp_listen_open(&listener, &peer, &why), 0);
        need_int(seccomp_listen_step(&listener, &why), 0);
        expect(seccomp_listen_poll_fd(&listener) >= 0);
        need(send(peer, "x", 1, 0) == 1);
        need_int(seccomp_listen_step(&listener, &why), 0);
        expect_int(seccomp_listen_poll_fd(&listener), -1);
        expect(!listener.came);
        close(peer);
        seccomp_listen_close(&listener);
}

/* The whole child, with the socket where a descriptor for the hypervisor is to be. */
static int run_child(int peer) {
        char *const argv[] = {(char *)"/nonexistent/vmm", NULL}, *const envp[] = {NULL};
        static struct child_learn learn;
        struct child_note note = {};
        int pass[3], null_fd = open("/dev/null", O_RDWR);
        struct child_args args = {
                .argv = argv,
                .envp = envp,
                .paths = argv,
                .cgroup_fd = -1,
                .cwd_fd = -1,
                .pass = pass,
                .n_pass = ARRAY_SIZE(pass),
                .learn = &learn,
                .note = &note,
                .nofile = {1024, 1024},
        };

        for (size_t i = 0; i < ARRAY_SIZE(pass); i++)
                pass[i] = fcntl(null_fd, F_DUPFD, 100);
        for (size_t i = 0; i < 3; i++)
                args.stdio[i] = pass[0];
        dup2(peer, CHILD_PASS_FIRST + 1);
        child_learn_init(&learn, CHILD_PASS_FIRST + 1);
        (void)launcher_child(&args);
        return note.failed_step == CHILD_EXEC ? (int)note.failed_errnum : 100;
}

static void the_socket_may_lie_where_another_descriptor_goes(void) {
        struct learner learner = {.listener = SECCOMP_LISTENER_NULL};
        struct why why = {};
        int low = -1, peer;

        need_int(seccomp_listen_open(&learner.listener, &low, &why), 0);
        peer = fcntl(low, F_DUPFD_CLOEXEC, 200);
        close(low);
        learner.pid = fork();
        if (learner.pid == 0)
                leave(run_child(peer));
        close(peer);
        while (learner_step(&learner))
                ;
        expect_int(learner_end(&learner), ENOENT);
        expect(learner.listener.came && learner.listener.learned.called[SYS_execve]);
        expect_uint(learner.listener.learned.n_called, 1);
}

UNIT_MAIN(TEST(calls_are_noted_and_go_on), TEST(without_a_listener_calls_fail_but_not_the_end),
          TEST(other_architectures_kill),
          TEST(what_does_not_take_the_listener_is_refused_without_waiting),
          TEST(what_comes_without_a_listener_ends_the_wait),
          TEST(the_socket_may_lie_where_another_descriptor_goes), )

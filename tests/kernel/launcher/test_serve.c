/* SPDX-License-Identifier: MIT */
/* rig: --beside --timeout 120 */
/*
 * The launcher with real processes: who may tell it what to do, what it makes of nonsense and of
 * silence, and what becomes of its children when nobody is left who will ask for them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <launcher/launcher.h>
#include <launcher/launches.h>
#include <launcher/serve.h>

#include "unit.h"

#define GROUP "/sys/fs/cgroup/serve"
#define SOCKET "/run/serve-socket"
#define FIFO "/run/serve-fifo"
#define WAIT_MS 30000
#define SILENT 12 /* more than may wait at once */

struct other {
        pid_t pid;
        int fd; /* what it was born with; -1: it listens */
};

static struct why why;
static int log_fds[2] = {-1, -1};

static int64_t now_ms(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the launcher ---- */

static void note(const char *text) {
        dprintf(log_fds[1], "%s\n", text);
}

static int renew(int listen_fd, int connection_fd) {
        return ENOSYS;
}

static bool was_noted(const char *what) {
        static char text[16384];
        static size_t n;
        ssize_t got = read(log_fds[0], text + n, sizeof(text) - 1 - n);

        n += got > 0 ? (size_t)got : 0;
        text[n] = '\0';
        if (!strstr(text, what))
                return false;
        n = 0;
        return true;
}

static void start_other(struct other *other, bool listens) {
        struct serve_options options = {
                .listen_fd = -1, .connection_fd = -1, .log = note, .renew = renew};
        struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET};
        int pair[2] = {-1, -1};

        if (log_fds[0] < 0)
                need_int(pipe2(log_fds, O_CLOEXEC | O_NONBLOCK), 0);
        if (listens) {
                unlink(SOCKET);
                options.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
                need_int(bind(options.listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
                need_int(listen(options.listen_fd, 64), 0);
        } else {
                need_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
                options.connection_fd = pair[1];
        }
        other->pid = fork();
        need(other->pid >= 0);
        if (other->pid == 0) {
                fd_close(pair[0]);
                _exit(serve(&options));
        }
        fd_close(pair[1]);
        fd_close(options.listen_fd);
        other->fd = pair[0];
}

static void end_other(struct other *other) {
        int status = 0;

        expect_int(waitpid(other->pid, &status, WNOHANG), 0);
        kill(other->pid, SIGKILL);
        waitpid(other->pid, NULL, 0);
}

static size_t count_fds(pid_t pid) {
        char path[64];
        size_t n = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/fd", pid);
        dir = opendir(path);
        while (dir && readdir(dir))
                n++;
        if (dir)
                closedir(dir);
        return n;
}

/* In ticks. */
static long cpu_time(pid_t pid) {
        long user = 0, system = 0;
        char path[64], name[64];
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        file = fopen(path, "re");
        need(file != NULL);
        need_int(fscanf(file, "%*d %63s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", name,
                        &user, &system),
                 3);
        fclose(file);
        return user + system;
}

static bool is_gone(pid_t pid) {
        return kill(pid, 0) < 0 && errno == ESRCH;
}

static bool wait_gone(pid_t pid) {
        int64_t until = now_ms() + WAIT_MS;

        while (!is_gone(pid) && now_ms() < until)
                usleep(5000);
        return is_gone(pid);
}

/* ---- its broker ---- */

static struct launcher *meet(const struct other *other) {
        const struct launcher_place place = {.fd = other->fd,
                                             .path = other->fd < 0 ? SOCKET : NULL};
        struct launcher *launcher = NULL;

        need_int(launcher_new(&launcher, &place, NULL, &why), 0);
        need_that(launcher_meet(launcher, &why) == 0, "%s", why.text);
        expect_int(launcher_is_ours(launcher), other->fd >= 0);
        return launcher;
}

static int ask(struct launcher *launcher, uint32_t op, int64_t a, const char *payload) {
        struct wire_request request = {
                .op = op, .length = payload ? (uint32_t)strlen(payload) : 0, .number = {a}};

        return launcher_ask(launcher, &request, payload, NULL, NULL, NULL);
}

/* What came with a request is closed after its answer: that of the one before is, once the next is
 * answered. */
static size_t count_settled(struct launcher *launcher, const struct other *other) {
        expect_int(ask(launcher, WIRE_WAIT, 0, NULL), EINVAL);
        return count_fds(other->pid);
}

static char *none[] = {NULL};
static char *sleeper[] = {(char *)"sleep", (char *)"1000", NULL};
static char *leaver[] = {(char *)"sh", (char *)"-c", (char *)"exit 7", NULL};
static char *sleep_paths[] = {(char *)"/bin/sleep", NULL};
static char *shell_paths[] = {(char *)"/bin/sh", NULL};

struct room {
        int group_fd, null_fd;
};

static struct room room;

static void open_room(void) {
        mkdir(GROUP, 0755);
        room.group_fd = open(GROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        room.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (room.group_fd < 0 || geteuid() != 0)
                unit_skip("there is no cgroup to start a process in");
        need(room.null_fd > 2);
}

static void close_room(void) {
        room.group_fd = fd_close(room.group_fd);
        room.null_fd = fd_close(room.null_fd);
}

static void fill(struct launched *launched, char **argv) {
        *launched = (struct launched)LAUNCHED_NULL;
        launched->args = (struct child_args){
                .argv = argv,
                .envp = none,
                .paths = argv == sleeper ? sleep_paths : shell_paths,
                .cgroup_fd = room.group_fd,
                .stdio = {room.null_fd, room.null_fd, room.null_fd},
                .cwd_fd = -1,
        };
}

static int await(struct launcher *launcher, struct launched *launched) {
        int64_t until = now_ms() + WAIT_MS;
        int r = SPAWN_E_AGAIN;

        while (r == SPAWN_E_AGAIN && now_ms() < until) {
                r = launcher_result(launcher, launched, &why);
                if (r == SPAWN_E_AGAIN)
                        usleep(5000);
        }
        return r;
}

static void start(struct launcher *launcher, struct launched *launched, char **argv, bool forget) {
        fill(launched, argv);
        need_that(launcher_start(launcher, launched, forget, &why) == 0, "%s", why.text);
        need_that(await(launcher, launched) == 0, "%s", why.text);
        expect(launched->pid > 0 && launched->pidfd >= 0);
}

static int await_end(struct launcher *launcher, pid_t pid, siginfo_t *status) {
        int64_t until = now_ms() + WAIT_MS;
        int r = EAGAIN;

        while (r == EAGAIN && now_ms() < until) {
                r = launcher_wait(launcher, pid, status);
                if (r == EAGAIN)
                        usleep(5000);
        }
        return r;
}

static void kill_launched(const struct launched *launched) {
        expect_int(pidfd_send_signal(launched->pidfd, SIGKILL, NULL, 0), 0);
}

/* ---- anybody ---- */

static int call(void) {
        struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        need(fd >= 0);
        need_int(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        return fd;
}

/* A byte; @pid: who is said to have sent it, 0: nobody is; and some descriptors. 0 or an errno. */
static int send_byte(int fd, pid_t pid, size_t n_fds) {
        const struct ucred who = {.pid = pid};
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(who)) + CMSG_SPACE(16 * sizeof(int))];
        } control = {};
        struct cmsghdr *at = &control.header;
        struct iovec part = {(char *)"b", 1};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

        if (pid) {
                *at = (struct cmsghdr){CMSG_LEN(sizeof(who)), SOL_SOCKET, SCM_CREDENTIALS};
                memcpy(CMSG_DATA(at), &who, sizeof(who));
                message.msg_controllen += CMSG_SPACE(sizeof(who));
                at = (struct cmsghdr *)(control.bytes + CMSG_SPACE(sizeof(who)));
        }
        if (n_fds > 0) {
                *at = (struct cmsghdr){CMSG_LEN(n_fds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
                for (size_t i = 0; i < n_fds; i++)
                        memcpy(CMSG_DATA(at) + i * sizeof(int), &room.null_fd, sizeof(int));
                message.msg_controllen += CMSG_SPACE(n_fds * sizeof(int));
        }
        if (message.msg_controllen > 0)
                message.msg_control = &control;
        return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? errno : 0;
}

static int call_as_broker(void) {
        int fd = call();

        need_int(send_byte(fd, 1, 0), 0);
        return fd;
}

/* It was closed at the other end. */
static bool is_turned_away(int fd) {
        char byte;
        ssize_t n = recv(fd, &byte, 1, 0);

        return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void drop_capabilities(void) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct nothing[2] = {};

        if (syscall(SYS_capset, &header, nothing) < 0)
                _exit(9);
}

static void who_has_no_capability_is_turned_away(void) {
        struct launcher *launcher;
        struct other other;
        int status = -1;
        pid_t pid;

        open_room();
        start_other(&other, true);
        pid = fork();
        if (pid == 0) {
                int fd = call();

                drop_capabilities();
                if (send_byte(fd, 1, 0) != EPERM)
                        _exit(1);
                if (send_byte(fd, getpid(), 0))
                        _exit(2);
                _exit(is_turned_away(fd) ? 0 : 3);
        }
        expect(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
        expect_int(WEXITSTATUS(status), 0);
        expect(was_noted("turned away"));
        launcher = meet(&other);
        launcher_free(launcher);
        end_other(&other);
        close_room();
}

static void who_does_not_say_he_is_init_is_turned_away_with_all_he_brings(void) {
        struct launcher *launcher;
        struct other other;
        size_t before;

        open_room();
        start_other(&other, true);
        launcher = meet(&other);
        before = count_settled(launcher, &other);
        for (size_t n_fds = 0; n_fds <= 16; n_fds++) {
                int fd = call();

                expect_int(send_byte(fd, n_fds % 2 ? getpid() : 0, n_fds), 0);
                expect(is_turned_away(fd));
                fd_close(fd);
        }
        expect_uint(count_settled(launcher, &other), before);
        expect_int(launcher_reset_oom(launcher, getpid()), 0); /* who is there stays */
        launcher_free(launcher);
        end_other(&other);
        close_room();
}

static void the_silent_hold_nobody_up(void) {
        struct launcher *launcher;
        struct launched launched;
        int silent[SILENT];
        struct other other;
        siginfo_t status;

        open_room();
        start_other(&other, true);
        for (size_t i = 0; i < SILENT; i++)
                silent[i] = call();
        launcher = meet(&other);
        expect(is_turned_away(silent[0]));
        start(launcher, &launched, leaver, false);
        expect_int(await_end(launcher, launched.pid, &status), 0);
        launched_deinit(launcher, &launched);
        launcher_free(launcher);
        fd_close_many(silent, SILENT);
        end_other(&other);
        close_room();
}

static void half_a_request_is_waited_for_no_longer_than_a_call(void) {
        const struct wire_request request = {.op = WIRE_SPAWN, .length = 1000};
        static const size_t sizes[] = {sizeof(request) / 2, sizeof(request)};
        struct other other;

        open_room();
        start_other(&other, true);
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                int fd = call_as_broker(), left = 1;
                struct launcher *launcher;
                int64_t begin;

                need_int(send(fd, &request, sizes[i], MSG_NOSIGNAL), (ssize_t)sizes[i]);
                for (begin = now_ms(); left > 0 && now_ms() < begin + WAIT_MS; usleep(5000))
                        need_int(ioctl(fd, SIOCOUTQ, &left), 0);
                begin = now_ms();
                launcher = meet(&other);
                unit_note("another was served after %.1f s", (double)(now_ms() - begin) / 1e3);
                expect(was_noted("lost the broker"));
                expect(is_turned_away(fd));
                launcher_free(launcher);
                fd_close(fd);
        }
        end_other(&other);
        close_room();
}

/* ---- nonsense ---- */

static void tell(struct launcher *launcher, uint32_t op, int64_t a, const char *payload) {
        const struct wire_request request = {
                .op = op, .length = payload ? (uint32_t)strlen(payload) : 0, .number = {a}};

        expect_int(wire_send(launcher_fd(launcher), &request, sizeof(request), payload,
                             request.length, NULL, 0),
                   0);
}

static void nonsense_is_answered_and_forgotten(void) {
        static const int64_t numbers[] = {0, -1, INT64_MAX, INT64_MIN, INT64_C(1) << 32};
        static const uint32_t ops[] = {0, _WIRE_OP_N, 9999, UINT32_MAX};
        struct launcher *launcher;
        struct other other;
        size_t before;

        open_room();
        start_other(&other, false);
        launcher = meet(&other);
        before = count_settled(launcher, &other);
        for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
                expect_int(ask(launcher, ops[i], 1, NULL), EINVAL);
                expect_int(ask(launcher, ops[i], 1, "and more"), EINVAL);
        }
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
                expect_int(ask(launcher, WIRE_WAIT, numbers[i], NULL), EINVAL);
                expect_int(ask(launcher, WIRE_RESET_OOM, numbers[i], NULL), EINVAL);
                tell(launcher, WIRE_RELEASE, numbers[i], NULL);
        }
        tell(launcher, WIRE_RELEASE, LAUNCHES_MAX, NULL);
        tell(launcher, WIRE_OURS, 0, "1234567");
        expect_int(ask(launcher, WIRE_SPAWN, 0, NULL), EBADMSG);
        expect_int(ask(launcher, WIRE_SPAWN, 0, "nothing that anybody could start"), EBADMSG);
        expect_int(ask(launcher, WIRE_RENEW, 0, NULL), ENOSYS);
        expect_int(ask(launcher, WIRE_WAIT, 1, NULL), ECHILD);
        expect_uint(count_settled(launcher, &other), before);
        launcher_free(launcher);
        expect(waitpid(other.pid, NULL, 0) == other.pid);
        close_room();
}

static void as_many_descriptors_as_fit_arrive_from_a_caller_too(void) {
        struct wire_request request = {.op = WIRE_SPAWN, .n_fds = WIRE_FDS_MAX};
        struct launcher *launcher;
        int fds[WIRE_FDS_MAX];
        struct other other;
        size_t before;

        open_room();
        start_other(&other, true);
        launcher = meet(&other);
        before = count_settled(launcher, &other);
        for (size_t i = 0; i < WIRE_FDS_MAX; i++)
                fds[i] = room.null_fd;
        expect_int(launcher_ask(launcher, &request, NULL, fds, NULL, NULL), EBADMSG);
        expect(!launcher_is_lost(launcher));
        expect_uint(count_settled(launcher, &other), before);
        launcher_free(launcher);
        end_other(&other);
        close_room();
}

/* A head that lies, and what came with it. */
static void expect_hung_up(const struct other *other, struct wire_request request, size_t n_fds) {
        int fd = call_as_broker(), fds[WIRE_FDS_MAX];
        char path[64];

        for (size_t i = 0; i < n_fds; i++)
                fds[i] = room.null_fd;
        expect_int(wire_send(fd, &request, sizeof(request), NULL, 0, fds, n_fds), 0);
        expect(is_turned_away(fd));
        fd_close(fd);
        for (int i = 0; i < 3; i++) {
                snprintf(path, sizeof(path), "/proc/%d/fd/%d", other->pid, i);
                expect_that(access(path, F_OK) == 0, "%s is still there", path);
        }
}

static void a_head_that_lies_ends_the_connection_and_nothing_else(void) {
        struct launcher *launcher;
        struct other other;
        size_t before;

        open_room();
        start_other(&other, true);
        launcher = meet(&other);
        before = count_settled(launcher, &other);
        launcher_free(launcher);
        expect_hung_up(&other, (struct wire_request){.op = WIRE_HELLO, .n_fds = 3}, 0);
        expect_hung_up(&other, (struct wire_request){.op = WIRE_HELLO, .n_fds = 3}, 2);
        expect_hung_up(&other, (struct wire_request){.op = WIRE_HELLO}, 2);
        expect_hung_up(&other, (struct wire_request){.op = WIRE_HELLO, .n_fds = UINT32_MAX}, 5);
        expect_hung_up(&other, (struct wire_request){.op = WIRE_SPAWN, .length = UINT32_MAX}, 7);
        expect_hung_up(&other, (struct wire_request){.length = WIRE_LENGTH_MAX + 1}, 0);
        launcher = meet(&other);
        expect_uint(count_settled(launcher, &other), before);
        launcher_free(launcher);
        end_other(&other);
        close_room();
}

static void who_leaves_before_the_answer_leaves_nothing_behind(void) {
        const struct wire_request request = {.op = WIRE_SIGNAL, .n_fds = 9};
        struct launcher *launcher;
        struct other other;
        int fds[9], status;
        size_t before;

        open_room();
        start_other(&other, true);
        launcher = meet(&other);
        before = count_settled(launcher, &other);
        launcher_free(launcher);
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                fds[i] = room.null_fd;
        for (int i = 0; i < 5; i++) {
                int fd = call_as_broker();

                expect_int(kill(other.pid, SIGSTOP), 0);
                expect(waitpid(other.pid, &status, WUNTRACED) == other.pid && WIFSTOPPED(status));
                expect_int(wire_send(fd, &request, sizeof(request), NULL, 0, fds, 9), 0);
                fd_close(fd);
                expect_int(kill(other.pid, SIGCONT), 0);
        }
        launcher = meet(&other);
        expect_uint(count_settled(launcher, &other), before);
        launcher_free(launcher);
        end_other(&other);
        close_room();
}

/* ---- children ---- */

static void how_a_child_ended_is_told_once(void) {
        struct launcher *launcher;
        struct launched launched;
        siginfo_t status = {};
        struct other other;

        open_room();
        start_other(&other, false);
        launcher = meet(&other);
        start(launcher, &launched, sleeper, false);
        expect_int(launcher_wait(launcher, launched.pid, &status), EAGAIN);
        kill_launched(&launched);
        expect_int(await_end(launcher, launched.pid, &status), 0);
        expect(status.si_code == CLD_KILLED && status.si_status == SIGKILL);
        expect_int(launcher_wait(launcher, launched.pid, &status), ECHILD);
        launched_deinit(launcher, &launched);

        start(launcher, &launched, leaver, false);
        while (launcher_peek(launcher, launched.pid, &status) == EAGAIN)
                usleep(5000);
        expect_int(launcher_peek(launcher, launched.pid, &status), 0);
        expect(status.si_code == CLD_EXITED && status.si_status == 7);
        expect_int(launcher_wait(launcher, launched.pid, &status), 0);
        expect(status.si_code == CLD_EXITED && status.si_status == 7);
        expect_int(launcher_wait(launcher, launched.pid, &status), ECHILD);
        launched_deinit(launcher, &launched);
        launcher_free(launcher);
        expect(waitpid(other.pid, NULL, 0) == other.pid);
        close_room();
}

static void a_child_that_cannot_be_executed_is_no_zombie_for_ever(void) {
        char *nowhere[] = {(char *)"/nowhere", NULL};
        struct launcher *launcher;
        struct launched launched;
        siginfo_t status = {};
        struct other other;

        open_room();
        start_other(&other, false);
        launcher = meet(&other);
        fill(&launched, nowhere);
        launched.args.paths = nowhere;
        need_int(launcher_start(launcher, &launched, false, &why), 0);
        expect_int(await(launcher, &launched), SPAWN_E_EXEC);
        expect_in(why.text, "/nowhere");
        expect_int(await_end(launcher, launched.pid, &status), 0);
        expect(is_gone(launched.pid));
        launched_deinit(launcher, &launched);
        launcher_free(launcher);
        expect(waitpid(other.pid, NULL, 0) == other.pid);
        close_room();
}

static void those_nobody_will_ask_for_are_reaped(void) {
        struct launched kept, left, forgotten;
        struct launcher *launcher;
        size_t n_fds;
        siginfo_t status = {};
        struct other other;

        open_room();
        start_other(&other, true);
        launcher = meet(&other);
        start(launcher, &kept, sleeper, false);
        start(launcher, &left, sleeper, false);
        start(launcher, &forgotten, sleeper, true);
        launched_deinit(launcher, &left);
        kill_launched(&forgotten);
        expect(wait_gone(forgotten.pid));
        launched_deinit(launcher, &forgotten);
        /* Its broker leaves, and one child ends while none is there. */
        launcher_free(launcher);
        kill_launched(&kept);
        launcher = meet(&other);
        launcher_keep(launcher, &kept.pid, 1);
        /* Each broker says so; one that comes often does not make the launcher full of them. */
        expect_int(launcher_wait(launcher, left.pid, &status), EAGAIN);
        n_fds = count_fds(other.pid);
        for (int i = 0; i < 5; i++)
                launcher_keep(launcher, &kept.pid, 1);
        expect_int(launcher_wait(launcher, left.pid, &status), EAGAIN);
        expect_uint(count_fds(other.pid), n_fds);
        kill(left.pid, SIGKILL);
        expect(wait_gone(left.pid));
        expect_int(await_end(launcher, kept.pid, &status), 0);
        expect(status.si_code == CLD_KILLED && status.si_status == SIGKILL);
        expect(is_gone(kept.pid));
        fd_close(kept.pidfd);
        launcher_free(launcher);
        end_other(&other);
        close_room();
}

static void the_last_word_of_its_broker_ends_one_that_was_born_with_it(void) {
        struct launcher *launcher;
        struct launched launched;
        struct other other;
        int status = -1;

        open_room();
        start_other(&other, false);
        launcher = meet(&other);
        start(launcher, &launched, sleeper, false);
        launcher_free(launcher);
        expect(waitpid(other.pid, &status, 0) == other.pid && status == 0);
        expect_int(pidfd_send_signal(launched.pidfd, 0, NULL, 0), 0); /* it runs on */
        kill_launched(&launched);
        fd_close(launched.pidfd);
        close_room();
}

/* One that waits for a file on its way to execve, for ever: it has a copy of every descriptor. */
static void start_stuck(struct launcher *launcher, struct launched *launched,
                        struct child_open *open_files) {
        fill(launched, sleeper);
        unlink(FIFO);
        need_int(mkfifo(FIFO, 0600), 0);
        *open_files = (struct child_open){.n_files = 1};
        open_files->files[0] =
                (struct child_file){.fd = open(FIFO, O_PATH | O_CLOEXEC), .read_only = true};
        need(open_files->files[0].fd > 2);
        launched->args.open = open_files;
        need_that(launcher_start(launcher, launched, false, &why) == 0, "%s", why.text);
        fd_close(open_files->files[0].fd);
}

static void free_stuck(void) {
        int64_t until = now_ms() + WAIT_MS;
        int fd = -1;

        while (fd < 0 && now_ms() < until) {
                fd = open(FIFO, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
                if (fd < 0)
                        usleep(5000); /* it has not come there yet */
        }
        expect(fd >= 0);
        fd_close(fd);
        unlink(FIFO);
}

static void a_child_that_is_stuck_holds_nothing_up(void) {
        struct launched stuck, forgotten, after;
        struct child_open open_files;
        struct launcher *launcher;
        siginfo_t status = {};
        struct other other;
        long used;

        open_room();
        start_other(&other, true);
        launcher = meet(&other);
        start(launcher, &forgotten, sleeper, true);
        start_stuck(launcher, &stuck, &open_files);
        kill_launched(&forgotten);
        expect(wait_gone(forgotten.pid));
        launched_deinit(launcher, &forgotten);
        launched_deinit(launcher, &stuck);
        launcher_free(launcher);

        launcher = meet(&other);
        used = cpu_time(other.pid);
        usleep(1000000);
        used = cpu_time(other.pid) - used;
        expect_that(used < sysconf(_SC_CLK_TCK) / 3, "it does not spin: %ld ticks in a second",
                    used);
        start(launcher, &after, leaver, false);
        expect_int(await_end(launcher, after.pid, &status), 0);
        launched_deinit(launcher, &after);
        expect_int(launcher_renew(launcher), EBUSY);
        free_stuck();
        expect_int(launcher_wait(launcher, stuck.pid, &status), EAGAIN);
        kill(stuck.pid, SIGKILL);
        expect_int(await_end(launcher, stuck.pid, &status), 0);
        expect(status.si_code == CLD_KILLED);
        launcher_free(launcher);
        end_other(&other);
        close_room();
}

UNIT_MAIN(TEST(who_has_no_capability_is_turned_away),
          TEST(who_does_not_say_he_is_init_is_turned_away_with_all_he_brings),
          TEST(the_silent_hold_nobody_up), TEST(half_a_request_is_waited_for_no_longer_than_a_call),
          TEST(nonsense_is_answered_and_forgotten),
          TEST(as_many_descriptors_as_fit_arrive_from_a_caller_too),
          TEST(a_head_that_lies_ends_the_connection_and_nothing_else),
          TEST(who_leaves_before_the_answer_leaves_nothing_behind),
          TEST(how_a_child_ended_is_told_once),
          TEST(a_child_that_cannot_be_executed_is_no_zombie_for_ever),
          TEST(those_nobody_will_ask_for_are_reaped),
          TEST(the_last_word_of_its_broker_ends_one_that_was_born_with_it),
          TEST(a_child_that_is_stuck_holds_nothing_up))

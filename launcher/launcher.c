/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <launcher/launcher.h>
#include <launcher/proof.h>
#include <launcher/wire_spawn.h>

struct launcher {
        int fd; /* -1: nobody */
        const char *path;
        bool lost;
        pid_t pid;
        bool exempt;
        int n_filters;
        int pidfd; /* -1: none */
        int dev_fd, mountinfo_fd;
        char dev[32];
        struct child_note *notes;
        size_t n_notes;
        struct wire_buffer buffer;
};

/* ---- asking ---- */

/* Nothing more is said; whoever watches the connection hears that it has ended. */
static int lose(struct launcher *launcher) {
        launcher->lost = true;
        (void)shutdown(launcher->fd, SHUT_RDWR);
        return ESRCH;
}

static int say(struct launcher *launcher, const struct wire_request *request, const void *payload,
               const int *fds) {
        if (launcher->lost || launcher->fd < 0)
                return ESRCH;
        return wire_send(launcher->fd, request, sizeof(*request), payload, request->length, fds,
                         request->n_fds)
                       ? lose(launcher)
                       : 0;
}

static int hear(struct launcher *launcher, struct wire_answer *answer, int *fds) {
        int some[WIRE_ANSWER_FDS_MAX] = WIRE_NO_FDS;
        struct wire_answer own;
        size_t n = 0;

        if (!answer)
                answer = &own;
        if (!fds)
                fds = some;
        if (wire_receive(launcher->fd, answer, sizeof(*answer), fds, WIRE_ANSWER_FDS_MAX, &n))
                return lose(launcher);
        fd_close_many(some, WIRE_ANSWER_FDS_MAX);
        if (n != answer->n_fds) {
                fd_close_many(fds, n);
                return lose(launcher);
        }
        return answer->error;
}

int launcher_ask(struct launcher *launcher, struct wire_request *request, const void *payload,
                 const int *fds, struct wire_answer *answer, int *answer_fds) {
        int r = say(launcher, request, payload, fds);

        return r ?: hear(launcher, answer, answer_fds);
}

static int ask_number(struct launcher *launcher, uint32_t op, int64_t first, int64_t second,
                      struct wire_answer *answer) {
        struct wire_request request = {.op = op, .number = {first, second}};

        return launcher_ask(launcher, &request, NULL, NULL, answer, NULL);
}

/* ---- finding it ---- */

static int start_ours(struct launcher *launcher, const char *program, struct why *why) {
        char *const argv[] = {(char *)"provium-broker", (char *)"--launcher", NULL};
        char *const envp[] = {NULL};
        posix_spawn_file_actions_t files;
        posix_spawnattr_t attributes;
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return why_errno(why, SPAWN_E_HOST, errno, "cannot make a pair of sockets");
        /* A session of its own: a terminal's Ctrl-C is for the broker. */
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
        posix_spawn_file_actions_init(&files);
        r = posix_spawn_file_actions_adddup2(&files, pair[1], 3);
        if (!r)
                r = posix_spawn_file_actions_addclosefrom_np(&files, 4);
        if (!r)
                r = posix_spawn(&launcher->pid, program, &files, &attributes, argv, envp);
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&attributes);
        fd_close(pair[1]);
        launcher->fd = pair[0];
        if (r)
                return why_errno(why, SPAWN_E_HOST, r, "cannot start the launcher '%s'", program);
        return 0;
}

int launcher_new(struct launcher **launcherp, const struct launcher_place *place,
                 const char *program, struct why *why) {
        struct launcher *launcher = calloc(1, sizeof(*launcher));
        int r = 0;

        if (!launcher)
                return fault(-ENOMEM);
        launcher->fd = place->fd;
        launcher->path = place->path;
        launcher->pidfd = launcher->dev_fd = launcher->mountinfo_fd = -1;
        strcpy(launcher->dev, "/dev");
        if (launcher->fd >= 0)
                fcntl(launcher->fd, F_SETFD, FD_CLOEXEC);
        else if (!launcher->path)
                r = start_ours(launcher, program, why);
        if (r)
                launcher_free(launcher);
        else
                *launcherp = launcher;
        return r;
}

static int call_it(struct launcher *launcher, struct why *why) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        const struct timeval timeout = {.tv_sec = LAUNCHER_TIMEOUT_SEC};
        _cleanup_(fd_closep) int fd = -1;
        int r;

        if (strlen(launcher->path) >= sizeof(address.sun_path))
                return why_set(why, SPAWN_E_HOST, "the launcher's path '%s' is too long",
                               launcher->path);
        strcpy(address.sun_path, launcher->path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        /* A launcher that does not take calls must not hold us up for ever. */
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
            connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return why_errno(why, SPAWN_E_HOST, errno,
                                 "the launcher does not answer at '%s' (provium-launcher.socket)",
                                 launcher->path);
        r = proof_give(fd);
        if (r)
                return why_errno(why, SPAWN_E_HOST, r,
                                 "cannot show the launcher that we have CAP_SYS_ADMIN");
        launcher->fd = take_fd(fd);
        return 0;
}

static void drop_notes(struct launcher *launcher) {
        if (launcher->notes)
                munmap(launcher->notes, launcher->n_notes * sizeof(*launcher->notes));
        launcher->notes = NULL;
        launcher->n_notes = 0;
}

/* Under the number that it has had, for threads may be on their way by it. Takes @fd. */
static void replace(int *fdp, int fd) {
        if (*fdp < 0) {
                *fdp = fd;
                return;
        }
        (void)dup3(fd, *fdp, O_CLOEXEC); /* else what an earlier one lent will do: the same */
        fd_close(fd);
}

static int take_lent(struct launcher *launcher, const int *fds, struct why *why) {
        struct stat st;
        void *map;

        drop_notes(launcher);
        fd_close(launcher->pidfd);
        launcher->pidfd = fds[3];
        replace(&launcher->dev_fd, fds[1]);
        replace(&launcher->mountinfo_fd, fds[2]);
        snprintf(launcher->dev, sizeof(launcher->dev), "/proc/self/fd/%d", launcher->dev_fd);
        map = fstat(fds[0], &st) < 0
                      ? MAP_FAILED
                      : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fds[0], 0);
        fd_close(fds[0]);
        if (map == MAP_FAILED)
                return why_errno(why, SPAWN_E_HOST, errno, "cannot read what the launcher notes");
        launcher->notes = map;
        launcher->n_notes = (size_t)st.st_size / sizeof(*launcher->notes);
        return 0;
}

/* 0; SPAWN_E_AGAIN: it is of another release. */
static int greet(struct launcher *launcher, struct why *why) {
        struct wire_request request = {.op = WIRE_HELLO, .number = {WIRE_VERSION}};
        int fds[WIRE_ANSWER_FDS_MAX] = WIRE_NO_FDS, r;
        struct wire_answer answer;

        r = launcher_ask(launcher, &request, NULL, NULL, &answer, fds);
        if (r == 0 && answer.number[0] != WIRE_VERSION) {
                fd_close_many(fds, WIRE_ANSWER_FDS_MAX);
                return SPAWN_E_AGAIN;
        }
        if (r || answer.n_fds != WIRE_ANSWER_FDS_MAX) {
                fd_close_many(fds, WIRE_ANSWER_FDS_MAX);
                return why_errno(why, SPAWN_E_HOST, r ?: EBADMSG, "the launcher does not answer");
        }
        launcher->n_filters = (int)answer.number[1];
        launcher->exempt = answer.number[2];
        launcher->pid = (pid_t)answer.number[3];
        return take_lent(launcher, fds, why);
}

int launcher_meet(struct launcher *launcher, struct why *why) {
        const struct timeval timeout = {.tv_sec = LAUNCHER_TIMEOUT_SEC};
        int r = 0;

        if (launcher->fd < 0)
                r = launcher->path ? call_it(launcher, why)
                                   : why_set(why, SPAWN_E_HOST, "the launcher has ended");
        if (r)
                return r;
        launcher->lost = false;
        if (setsockopt(launcher->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
            setsockopt(launcher->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
                return why_errno(why, SPAWN_E_HOST, errno, "cannot talk to the launcher");
        r = greet(launcher, why);
        if (r == SPAWN_E_AGAIN) {
                r = launcher_renew(launcher);
                if (r)
                        return why_errno(why, SPAWN_E_HOST, r,
                                         "the launcher is of another release, and cannot execute "
                                         "itself anew");
                r = greet(launcher, why);
        }
        if (r == SPAWN_E_AGAIN)
                return why_set(why, SPAWN_E_HOST,
                               "the launcher is of another release than the broker");
        return r;
}

void launcher_forget(struct launcher *launcher) {
        launcher->fd = fd_close(launcher->fd);
        launcher->pidfd = fd_close(launcher->pidfd);
}

struct launcher *launcher_free(struct launcher *launcher) {
        if (!launcher)
                return NULL;
        launcher_forget(launcher);
        drop_notes(launcher);
        fd_close(launcher->dev_fd);
        fd_close(launcher->mountinfo_fd);
        wire_buffer_deinit(&launcher->buffer);
        free(launcher);
        return NULL;
}

bool launcher_is_ours(const struct launcher *launcher) {
        return !launcher->path;
}

bool launcher_is_lost(const struct launcher *launcher) {
        return launcher->lost || launcher->fd < 0;
}

int launcher_fd(const struct launcher *launcher) {
        return launcher->fd;
}

int launcher_pidfd(const struct launcher *launcher) {
        return launcher->pidfd;
}

pid_t launcher_pid(const struct launcher *launcher) {
        return launcher->pid;
}

int launcher_filters(const struct launcher *launcher) {
        return launcher->n_filters;
}

bool launcher_is_exempt(const struct launcher *launcher) {
        return launcher->exempt;
}

const char *launcher_dev(const struct launcher *launcher) {
        return launcher->dev;
}

int launcher_mountinfo_fd(const struct launcher *launcher) {
        return launcher->mountinfo_fd;
}

/* ---- what it is there for ---- */

int launcher_start(struct launcher *launcher, struct launched *launched, bool forget,
                   struct why *why) {
        struct wire_request request = {.op = WIRE_SPAWN, .number = {forget}};
        int answer_fds[WIRE_ANSWER_FDS_MAX] = WIRE_NO_FDS, r;
        struct wire_answer answer = {};
        struct wire_fds fds;

        r = wire_spawn_write(&launcher->buffer, &fds, &launched->args);
        if (r)
                return why_errno(why, SPAWN_E_HOST, r, "cannot tell the launcher what to start");
        request.length = (uint32_t)launcher->buffer.n;
        request.n_fds = (uint32_t)fds.n;
        r = launcher_ask(launcher, &request, launcher->buffer.bytes, fds.fd, &answer, answer_fds);
        if (r == 0 && (answer.n_fds != 1 || (uint64_t)answer.number[1] >= launcher->n_notes)) {
                fd_close_many(answer_fds, WIRE_ANSWER_FDS_MAX);
                r = lose(launcher);
        }
        if (r == ESRCH && launcher->lost)
                return why_set(why, SPAWN_E_HOST, "the launcher has ended");
        if (r)
                return why_errno(why, r == EAGAIN ? SPAWN_E_LIMIT : SPAWN_E_HOST, r,
                                 "cannot start a process in its group");
        launched->pid = (pid_t)answer.number[0];
        launched->pidfd = answer_fds[0];
        launched->slot = (uint32_t)answer.number[1];
        launched->note = &launcher->notes[launched->slot];
        return 0;
}

/* Takes what the note says, and gives it back. */
static void end_note(struct launcher *launcher, struct launched *launched) {
        const struct wire_request request = {.op = WIRE_RELEASE, .number = {launched->slot}};

        launched->told = *launched->note;
        launched->note = NULL;
        (void)say(launcher, &request, NULL, NULL); /* lost: whoever watches the connection hears */
}

int launcher_result(struct launcher *launcher, struct launched *launched, struct why *why) {
        if (launched->note && launched->note->shares_memory && !launcher_is_lost(launcher))
                return SPAWN_E_AGAIN;
        if (launched->note)
                end_note(launcher, launched);
        if (launched->told.shares_memory)
                return why_set(why, SPAWN_E_STEP, "the launcher ended while it was starting it");
        return spawn_explain(&launched->args, &launched->told, why);
}

void launched_deinit(struct launcher *launcher, struct launched *launched) {
        if (launched->note)
                end_note(launcher, launched);
        launched->pidfd = fd_close(launched->pidfd);
}

static int ask_end(struct launcher *launcher, pid_t pid, bool again, siginfo_t *status) {
        struct wire_answer answer;
        int r = ask_number(launcher, WIRE_WAIT, pid, again, &answer);

        if (r)
                return r;
        status->si_code = (int)answer.number[0];
        status->si_status = (int)answer.number[1];
        return 0;
}

int launcher_wait(struct launcher *launcher, pid_t pid, siginfo_t *status) {
        return ask_end(launcher, pid, false, status);
}

int launcher_peek(struct launcher *launcher, pid_t pid, siginfo_t *status) {
        return ask_end(launcher, pid, true, status);
}

void launcher_keep(struct launcher *launcher, const pid_t *pids, size_t n) {
        const struct wire_request request = {.op = WIRE_OURS,
                                             .length = (uint32_t)(n * sizeof(*pids))};

        (void)say(launcher, &request, pids, NULL);
}

int launcher_reset_oom(struct launcher *launcher, pid_t pid) {
        return ask_number(launcher, WIRE_RESET_OOM, pid, 0, NULL);
}

int launcher_renew(struct launcher *launcher) {
        return ask_number(launcher, WIRE_RENEW, 0, 0, NULL);
}

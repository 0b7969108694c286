/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <base/fd.h>
#include <launcher/errand_quota.h>
#include <launcher/launcher.h>
#include <launcher/launcher_errands.h>

/* For an errand that answers one descriptor. */
static int ask_for_fd(struct launcher *launcher, struct wire_request *request, const void *payload,
                      int *fdp) {
        int fds[WIRE_ANSWER_FDS_MAX] = WIRE_NO_FDS;
        struct wire_answer answer = {};
        int r;

        r = launcher_ask(launcher, request, payload, NULL, &answer, fds);
        if (r)
                return r;
        if (answer.n_fds != 1) {
                fd_close_many(fds, answer.n_fds);
                return EBADMSG;
        }
        *fdp = fds[0];
        return 0;
}

int launcher_signal(struct launcher *launcher, int pidfd, int signo) {
        struct wire_request request = {.op = WIRE_SIGNAL, .n_fds = 1, .number = {signo}};

        return launcher_ask(launcher, &request, NULL, &pidfd, NULL, NULL);
}

int launcher_chown(struct launcher *launcher, int fd, uid_t uid, gid_t gid) {
        struct wire_request request = {.op = WIRE_CHOWN, .n_fds = 1, .number = {uid, gid}};

        return launcher_ask(launcher, &request, NULL, &fd, NULL, NULL);
}

int launcher_namespaces(struct launcher *launcher, pid_t pid, uid_t uid, gid_t gid,
                        uint64_t *flagsp) {
        struct wire_request request = {.op = WIRE_NAMESPACES, .number = {pid, uid, gid}};
        struct wire_answer answer = {};
        int r;

        r = launcher_ask(launcher, &request, NULL, NULL, &answer, NULL);
        if (r == 0)
                *flagsp = (uint64_t)answer.number[0];
        return r;
}

int launcher_kmsg(struct launcher *launcher, int *fdp) {
        struct wire_request request = {.op = WIRE_KMSG};

        return ask_for_fd(launcher, &request, NULL, fdp);
}

int launcher_pressure(struct launcher *launcher, enum wire_pressure of, bool full,
                      uint64_t stall_usec, uint64_t window_usec, int *fdp) {
        struct wire_request request = {
                .op = WIRE_PRESSURE,
                .number = {of, full, (int64_t)stall_usec, (int64_t)window_usec}};

        return ask_for_fd(launcher, &request, NULL, fdp);
}

int launcher_forward(struct launcher *launcher, int family) {
        struct wire_request request = {.op = WIRE_FORWARD, .number = {family}};

        return launcher_ask(launcher, &request, NULL, NULL, NULL, NULL);
}

int launcher_listen(struct launcher *launcher, const struct sockaddr *address, socklen_t length,
                    int backlog, int *fdp) {
        struct wire_request request = {.op = WIRE_LISTEN, .length = length, .number = {backlog}};

        return ask_for_fd(launcher, &request, address, fdp);
}

int launcher_connect(struct launcher *launcher, const struct sockaddr *address, socklen_t length) {
        struct wire_request request = {.op = WIRE_CONNECT, .length = length};

        return launcher_ask(launcher, &request, address, NULL, NULL, NULL);
}

int launcher_unquota(struct launcher *launcher, int told_fd, const int *fds, size_t n_fds,
                     uint32_t project, dev_t dev) {
        struct wire_request request = {.op = WIRE_UNQUOTA,
                                       .n_fds = (uint32_t)n_fds + 1,
                                       .number = {project, major(dev), minor(dev)}};
        int passed[ERRAND_QUOTA_FILES_MAX + 1] = {told_fd};

        assert(n_fds <= ERRAND_QUOTA_FILES_MAX);
        memcpy(passed + 1, fds, n_fds * sizeof(*fds));
        return launcher_ask(launcher, &request, NULL, passed, NULL, NULL);
}

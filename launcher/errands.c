/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <launcher/errand_quota.h>
#include <launcher/errand_tcp.h>
#include <launcher/errands.h>

#define PRESSURE_USEC_MAX INT64_C(10000000) /* the kernel's longest window */

/* The last number of 32 bits means "as it is". */
static bool is_id(int64_t number) {
        return number >= 0 && number < UINT32_MAX;
}

static int send_signal(struct wire_message *message, struct wire_answer *answer, int *fdp) {
        int64_t signo = message->request.number[0];

        if (signo < 1 || signo > SIGRTMAX)
                return EINVAL;
        return pidfd_send_signal(message->fds[0], (int)signo, NULL, 0) < 0 ? errno : 0;
}

/* By descriptor, which may be O_PATH: there is no name that could be another file's by now. */
static int change_owner(struct wire_message *message, struct wire_answer *answer, int *fdp) {
        const int64_t *number = message->request.number;

        if (!is_id(number[0]) || !is_id(number[1]))
                return EINVAL;
        return fchownat(message->fds[0], "", (uid_t)number[0], (gid_t)number[1], AT_EMPTY_PATH) < 0
                       ? errno
                       : 0;
}

/* ---- namespaces ---- */

/* What it has of its own; 0 or an errno: it cannot be seen. */
static int compare_namespaces(int64_t pid, int64_t *flagsp) {
        static const struct {
                int64_t flag;
                const char *name;
        } kinds[] = {{CLONE_NEWNS, "mnt"},  {CLONE_NEWPID, "pid"},       {CLONE_NEWIPC, "ipc"},
                     {CLONE_NEWUTS, "uts"}, {CLONE_NEWCGROUP, "cgroup"}, {CLONE_NEWNET, "net"}};
        int64_t flags = 0;

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                struct stat its, ours;
                char path[64];

                snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kinds[i].name);
                if (stat(path, &its) < 0)
                        return errno;
                snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i].name);
                if (stat(path, &ours) == 0 && its.st_ino != ours.st_ino)
                        flags |= kinds[i].flag;
        }
        *flagsp = flags;
        return 0;
}

/* They are shown to whoever could trace it: its own user, or one with CAP_SYS_PTRACE, which would
 * be the memory of every process of the host. */
static int tell_namespaces(struct wire_message *message, struct wire_answer *answer, int *fdp) {
        const int64_t *number = message->request.number;
        int r;

        if (number[0] < 1 || number[0] > INT32_MAX || !is_id(number[1]) || !is_id(number[2]))
                return EINVAL;
        setfsgid((gid_t)number[2]);
        setfsuid((uid_t)number[1]);
        r = compare_namespaces(number[0], &answer->number[0]);
        setfsuid(geteuid());
        setfsgid(getegid());
        return r;
}

/* ---- files of the kernel ---- */

static int open_kmsg(struct wire_message *message, struct wire_answer *answer, int *fdp) {
        *fdp = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        return *fdp < 0 ? errno : 0;
}

/* Up to Linux 6.3 CAP_SYS_RESOURCE is needed for it, and since then for such windows as ours. */
static int open_pressure(struct wire_message *message, struct wire_answer *answer, int *fdp) {
        static const char *const paths[_WIRE_PRESSURE_N] = {
                [WIRE_PRESSURE_CPU] = "/proc/pressure/cpu",
                [WIRE_PRESSURE_MEMORY] = "/proc/pressure/memory",
                [WIRE_PRESSURE_IO] = "/proc/pressure/io",
        };
        const int64_t *number = message->request.number;
        _cleanup_(fd_closep) int fd = -1;
        char text[64];
        int n;

        if (number[0] < 0 || number[0] >= _WIRE_PRESSURE_N || (number[1] & ~INT64_C(1)) ||
            number[2] < 1 || number[2] > PRESSURE_USEC_MAX || number[3] < 1 ||
            number[3] > PRESSURE_USEC_MAX)
                return EINVAL;
        n = snprintf(text, sizeof(text), "%s %jd %jd", number[1] ? "full" : "some",
                     (intmax_t)number[2], (intmax_t)number[3]);
        fd = open(paths[number[0]], O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0 || write(fd, text, (size_t)n + 1) < 0)
                return errno;
        *fdp = take_fd(fd);
        return 0;
}

static int switch_forwarding(struct wire_message *message, struct wire_answer *answer, int *fdp) {
        switch (message->request.number[0]) {
        case AF_INET:
                return file_write_at(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", "1");
        case AF_INET6:
                return file_write_at(AT_FDCWD, "/proc/sys/net/ipv6/conf/all/forwarding", "1");
        }
        return EINVAL;
}

/* ---- the table ---- */

static const struct {
        uint32_t fds_min, fds_max;
        bool has_payload; /* its length is the errand's to judge */
        int (*run)(struct wire_message *message, struct wire_answer *answer, int *fdp);
} errands[_WIRE_OP_N] = {
        [WIRE_SIGNAL] = {1, 1, false, send_signal},
        [WIRE_CHOWN] = {1, 1, false, change_owner},
        [WIRE_NAMESPACES] = {0, 0, false, tell_namespaces},
        [WIRE_KMSG] = {0, 0, false, open_kmsg},
        [WIRE_PRESSURE] = {0, 0, false, open_pressure},
        [WIRE_FORWARD] = {0, 0, false, switch_forwarding},
        [WIRE_LISTEN] = {0, 0, true, errand_listen},
        [WIRE_CONNECT] = {0, 0, true, errand_connect},
        [WIRE_UNQUOTA] = {1, 1 + ERRAND_QUOTA_FILES_MAX, false, errand_unquota},
};

static bool is_asked_rightly(const struct wire_request *request) {
        return request->op < _WIRE_OP_N && errands[request->op].run &&
               request->n_fds >= errands[request->op].fds_min &&
               request->n_fds <= errands[request->op].fds_max &&
               (request->length == 0) == !errands[request->op].has_payload;
}

int errand_run(struct wire_message *message, struct wire_answer *answer, int *answer_fdp) {
        *answer = (struct wire_answer){};
        *answer_fdp = -1;
        if (is_asked_rightly(&message->request))
                answer->error = errands[message->request.op].run(message, answer, answer_fdp);
        else
                answer->error = EINVAL;
        answer->n_fds = *answer_fdp >= 0;
        return answer->error;
}

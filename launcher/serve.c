/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <launcher/errands.h>
#include <launcher/launches.h>
#include <launcher/proof.h>
#include <launcher/serve.h>

#define TIMEOUT_SEC 5 /* in the middle of a request; less than who calls meanwhile waits */
#define GUESTS_MAX 8  /* connected, but not shown to be allowed to */
#define COLLECT_MS 20

/* A child that nobody will ask for, and its pidfd. */
struct unwanted {
        pid_t pid;
        int pidfd;
};

struct server {
        const struct serve_options *options;
        struct launches launches;
        int listen_fd, connection_fd, epoll_fd;
        int guests[GUESTS_MAX];
        size_t next_guest;
        struct unwanted *unwanted; /* owned */
        size_t n_unwanted, unwanted_size;
        struct wire_message message;
};

static void tell(const struct server *server, const char *what, int error) {
        char text[WHY_TEXT_MAX + 100];

        snprintf(text, sizeof(text), "launcher: %s: %s", what, strerrordesc_np(error));
        server->options->log(text);
}

/* ---- what happens without anybody asking ---- */

/* What an event is about: a socket, or the end of a child that nobody will ask for. */
static uint64_t event_of(int fd, pid_t pid) {
        return (uint64_t)(uint32_t)fd << 32 | (uint32_t)pid;
}

static int listen_to(const struct server *server, int fd, pid_t pid) {
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = event_of(fd, pid)};

        return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? errno : 0;
}

/* A child on its way to execve has a copy of every descriptor, and epoll tells of what is behind
 * them as long as there is one: what is closed here must be taken out first. */
static int forget(const struct server *server, int fd) {
        if (fd >= 0)
                (void)epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return fd_close(fd);
}

static int add_unwanted(struct server *server, pid_t pid, int pidfd) {
        size_t size = server->unwanted_size;
        struct unwanted *list;

        if (server->n_unwanted == size) {
                size = size ? 2 * size : 64;
                list = realloc(server->unwanted, size * sizeof(*list));
                if (!list)
                        return ENOMEM;
                server->unwanted = list;
                server->unwanted_size = size;
        }
        server->unwanted[server->n_unwanted++] = (struct unwanted){pid, pidfd};
        return 0;
}

static bool is_unwanted(const struct server *server, pid_t pid) {
        for (size_t i = 0; i < server->n_unwanted; i++)
                if (server->unwanted[i].pid == pid)
                        return true;
        return false;
}

/* Its end is nobody's news: it is reaped when it comes. Takes @pidfd. */
static void reap_later(struct server *server, pid_t pid, int pidfd) {
        int r = pidfd < 0 ? errno : add_unwanted(server, pid, pidfd);

        if (r == 0) {
                r = listen_to(server, pidfd, pid);
                if (r)
                        server->n_unwanted--;
        }
        if (r == 0)
                return;
        tell(server, "a process will stay a zombie", r);
        fd_close(pidfd);
}

static void reap(struct server *server, int pidfd) {
        siginfo_t info;

        (void)waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
        for (size_t i = 0; i < server->n_unwanted; i++)
                if (server->unwanted[i].pidfd == pidfd) {
                        server->unwanted[i] = server->unwanted[--server->n_unwanted];
                        break;
                }
        forget(server, pidfd);
}

/* ---- requests ---- */

static int hello(struct server *server, struct wire_answer *answer, int *fds) {
        answer->number[0] = WIRE_VERSION;
        answer->number[1] = server->options->n_filters;
        answer->number[2] = server->launches.exempt;
        answer->number[3] = getpid();
        fds[0] = fcntl(server->launches.notes_fd, F_DUPFD_CLOEXEC, 3);
        fds[1] = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
        fds[2] = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
        fds[3] = pidfd_open(getpid(), 0);
        answer->n_fds = 4;
        for (size_t i = 0; i < 4; i++)
                if (fds[i] < 0) {
                        int error = errno;

                        fd_close_many(fds, 4);
                        answer->n_fds = 0;
                        return error;
                }
        return 0;
}

/* number[0] of the request: nobody will ask how it ended. */
static int start(struct server *server, struct wire_answer *answer, int *pidfdp) {
        size_t slot;
        pid_t pid;
        int r;

        r = launches_start(&server->launches, &server->message, &pid, &slot, pidfdp);
        if (r)
                return r;
        answer->number[0] = pid;
        answer->number[1] = (int64_t)slot;
        answer->n_fds = 1;
        if (server->message.request.number[0])
                reap_later(server, pid, fcntl(*pidfdp, F_DUPFD_CLOEXEC, 3));
        return 0;
}

/* number[1] of the request: it is only asked whether it has ended. */
static int how_it_ended(const struct wire_request *request, struct wire_answer *answer) {
        int flags = WEXITED | WNOHANG | (request->number[1] ? WNOWAIT : 0);
        siginfo_t info = {};

        if (request->number[0] <= 0 || request->number[0] > INT32_MAX)
                return EINVAL;
        if (waitid(P_PID, (id_t)request->number[0], &info, flags) < 0)
                return errno;
        if (info.si_pid == 0)
                return EAGAIN;
        answer->number[0] = info.si_code;
        answer->number[1] = info.si_status;
        return 0;
}

static bool is_among(const struct wire_message *message, pid_t pid) {
        const pid_t *pids = (const pid_t *)message->payload;

        for (size_t i = 0; i < message->request.length / sizeof(*pids); i++)
                if (pids[i] == pid)
                        return true;
        return false;
}

/* proc_pid_children(5). Of all our children those that no broker will ask for: an earlier one's. */
static void leave_others(struct server *server) {
        char path[48];
        FILE *file;
        pid_t pid;

        snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
        file = fopen(path, "re");
        if (!file) {
                tell(server, path, errno);
                return;
        }
        while (fscanf(file, "%d", &pid) == 1)
                if (!is_among(&server->message, pid) && !is_unwanted(server, pid) &&
                    !launches_has(&server->launches, pid))
                        reap_later(server, pid, pidfd_open(pid, 0));
        fclose(file);
}

static int renew(struct server *server) {
        struct rlimit raised;
        int r;

        if (server->launches.n > 0)
                return EBUSY;
        getrlimit(RLIMIT_NOFILE, &raised);
        (void)setrlimit(RLIMIT_NOFILE, &server->launches.nofile);
        r = server->options->renew(server->listen_fd, server->connection_fd);
        (void)setrlimit(RLIMIT_NOFILE, &raised);
        return r;
}

static int run(struct server *server, struct wire_answer *answer, int *fds) {
        struct wire_message *message = &server->message;
        const struct wire_request *request = &message->request;
        int r;

        switch (request->op) {
        case WIRE_HELLO:
                return hello(server, answer, fds);
        case WIRE_SPAWN:
                return start(server, answer, fds);
        case WIRE_WAIT:
                return how_it_ended(request, answer);
        case WIRE_RESET_OOM:
                if (request->number[0] <= 0 || request->number[0] > INT32_MAX)
                        return EINVAL;
                return spawn_reset_oom((pid_t)request->number[0]);
        case WIRE_RENEW:
                return renew(server);
        default:
                fds[0] = -1;
                r = errand_run(message, answer, &fds[0]);
                answer->n_fds = fds[0] >= 0;
                return r;
        }
}

/* *n_fdsp: what is to be closed, also after a failure; what the head says may be anything. */
static int receive(struct server *server, size_t *n_fdsp) {
        struct wire_message *message = &server->message;
        int r;

        r = wire_receive(server->connection_fd, &message->request, sizeof(message->request),
                         message->fds, WIRE_FDS_MAX, n_fdsp);
        if (r)
                return r;
        if (*n_fdsp != message->request.n_fds || message->request.length > WIRE_LENGTH_MAX)
                return EBADMSG;
        message->payload = malloc(message->request.length + 1);
        if (!message->payload)
                return ENOMEM;
        message->payload[message->request.length] = '\0';
        return wire_receive_payload(server->connection_fd, message->payload,
                                    message->request.length);
}

/* 0, or why the connection cannot go on. */
static int serve_one(struct server *server) {
        struct wire_message *message = &server->message;
        int fds[WIRE_ANSWER_FDS_MAX] = WIRE_NO_FDS, r;
        struct wire_answer answer = {};
        size_t n_fds = 0;

        *message = (struct wire_message){};
        r = receive(server, &n_fds);
        if (r == 0 && message->request.op == WIRE_RELEASE) {
                launches_release(&server->launches, (size_t)message->request.number[0]);
        } else if (r == 0 && message->request.op == WIRE_OURS) {
                leave_others(server);
        } else if (r == 0) {
                answer.error = run(server, &answer, fds);
                r = wire_send(server->connection_fd, &answer, sizeof(answer), NULL, 0, fds,
                              answer.n_fds);
                fd_close_many(fds, WIRE_ANSWER_FDS_MAX);
        }
        fd_close_many(message->fds, n_fds);
        free(take(message->payload));
        return r;
}

/* ---- who is there ---- */

static void hang_up(struct server *server) {
        server->connection_fd = forget(server, server->connection_fd);
        launches_release_all(&server->launches);
}

static int take_connection(struct server *server, int fd) {
        const struct timeval timeout = {.tv_sec = TIMEOUT_SEC};

        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
                return errno;
        server->connection_fd = fd;
        return 0;
}

static void on_guest(struct server *server, size_t place) {
        int fd = server->guests[place], r = proof_take(fd);

        if (r == EAGAIN)
                return;
        server->guests[place] = -1;
        if (r == 0) {
                hang_up(server); /* a broker that has died unnoticed */
                r = take_connection(server, fd);
        } else {
                tell(server, "somebody was turned away", r);
        }
        if (r)
                forget(server, fd);
}

static void on_listen(struct server *server) {
        int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC), r;
        int *place = &server->guests[server->next_guest++ % GUESTS_MAX];

        if (fd < 0)
                return;
        /* Whoever is silent for longest makes room. */
        *place = forget(server, *place);
        r = proof_expect(fd) ?: listen_to(server, fd, 0);
        if (r)
                fd_close(fd);
        else
                *place = fd;
}

static void on_event(struct server *server, const struct epoll_event *event) {
        int fd = (int)(event->data.u64 >> 32);

        if ((uint32_t)event->data.u64 != 0) {
                reap(server, fd);
        } else if (fd == server->listen_fd) {
                on_listen(server);
        } else if (fd == server->connection_fd) {
                int r = serve_one(server);

                if (r && r != EPIPE)
                        tell(server, "lost the broker", r);
                if (r)
                        hang_up(server);
        } else {
                for (size_t i = 0; i < GUESTS_MAX; i++)
                        if (server->guests[i] == fd)
                                on_guest(server, i);
        }
}

/* ---- beginning ---- */

static int begin(struct server *server) {
        struct rlimit limit;
        int r;

        for (size_t i = 0; i < GUESTS_MAX; i++)
                server->guests[i] = -1;
        r = launches_init(&server->launches, server->options->log);
        if (r)
                return r;
        /* What we were started with is what VMs get. */
        getrlimit(RLIMIT_NOFILE, &server->launches.nofile);
        limit = (struct rlimit){server->launches.nofile.rlim_max, server->launches.nofile.rlim_max};
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        r = server->epoll_fd < 0 ? errno : 0;
        if (r == 0 && server->listen_fd >= 0)
                r = fcntl(server->listen_fd, F_SETFL, O_NONBLOCK) < 0
                            ? errno
                            : listen_to(server, server->listen_fd, 0);
        if (r == 0 && server->connection_fd >= 0)
                r = take_connection(server, server->connection_fd)
                            ?: listen_to(server, server->connection_fd, 0);
        return r;
}

static int answer_renewed(struct server *server) {
        const struct wire_answer answer = {};

        return wire_send(server->connection_fd, &answer, sizeof(answer), NULL, 0, NULL, 0);
}

int serve(const struct serve_options *options) {
        static struct server server;
        struct epoll_event event;
        int r;

        server = (struct server){.options = options,
                                 .listen_fd = options->listen_fd,
                                 .connection_fd = options->connection_fd};
        r = begin(&server);
        if (r == 0 && options->renewed && server.connection_fd >= 0 && answer_renewed(&server))
                hang_up(&server);
        while (r == 0 && (server.listen_fd >= 0 || server.connection_fd >= 0)) {
                /* One at a time: what it is about may be gone after the one before. */
                int n = epoll_wait(server.epoll_fd, &event, 1,
                                   server.launches.n_released > 0 ? COLLECT_MS : -1);

                if (n < 0 && errno != EINTR)
                        r = errno;
                if (n == 1)
                        on_event(&server, &event);
                launches_collect(&server.launches);
        }
        return r;
}

/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <broker/console_keeper.h>
#include <broker/console_ring.h>

#define LINGER_MSEC 300 /* for watchers to read the end; less than the broker waits for us */

struct watcher {
        int fd;           /* -1: none */
        uint64_t at;      /* the next byte of the ring it gets */
        uint64_t live_at; /* from here on it is not the log any more */
        uint64_t lost;    /* passed over, and not told yet */
        bool live;        /* told so */
        size_t n_input, input_done;
        unsigned char input[CONSOLE_DATA_MAX]; /* from it, and not taken by the pty yet */
};

struct keeper {
        uid_t owner;
        bool ended; /* the pty has no other side any more */
        struct console_ring ring;
        struct watcher watchers[CONSOLE_WATCHERS_MAX];
};

static void drop(struct watcher *watcher) {
        *watcher = (struct watcher){.fd = fd_close(watcher->fd)};
}

/* False: not now, or it is gone. */
static bool send_packet(struct watcher *watcher, const void *packet, size_t size) {
        if (send(watcher->fd, packet, size, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
                return true;
        if (errno != EAGAIN && errno != EINTR)
                drop(watcher);
        return false;
}

static bool send_gap(struct watcher *watcher) {
        unsigned char packet[1 + sizeof(struct console_gap)] = {CONSOLE_GAP};
        const struct console_gap gap = {.bytes = watcher->lost};

        memcpy(packet + 1, &gap, sizeof(gap));
        if (!send_packet(watcher, packet, sizeof(packet)))
                return false;
        watcher->lost = 0;
        return true;
}

static bool is_behind(const struct keeper *keeper, const struct watcher *watcher) {
        return watcher->fd >= 0 &&
               (watcher->at < keeper->ring.end || watcher->lost > 0 || !watcher->live);
}

/* As much as its socket takes. What is lost is told before what comes after it. */
static void feed(struct keeper *keeper, struct watcher *watcher) {
        unsigned char packet[CONSOLE_PACKET_MAX] = {CONSOLE_DATA};

        while (is_behind(keeper, watcher)) {
                uint64_t at = watcher->at, lost, until;
                size_t n;

                if (!watcher->live && at >= watcher->live_at) {
                        if (!send_packet(watcher, (char[]){CONSOLE_LIVE}, 1))
                                return;
                        watcher->live = true;
                        continue;
                }
                until = watcher->live ? keeper->ring.end : watcher->live_at;
                n = min_u64(CONSOLE_DATA_MAX, until - at);
                n = console_ring_read(&keeper->ring, &at, packet + 1, n, &lost);
                if (lost > 0 || watcher->lost > 0) {
                        watcher->lost += lost;
                        watcher->at += lost;
                        if (!send_gap(watcher))
                                return;
                        continue;
                }
                if (!send_packet(watcher, packet, 1 + n))
                        return;
                watcher->at = at;
        }
}

static void feed_all(struct keeper *keeper) {
        for (size_t i = 0; i < CONSOLE_WATCHERS_MAX; i++)
                feed(keeper, &keeper->watchers[i]);
}

/* What the VM has printed. EIO: nobody has the other side open. */
static void read_master(struct keeper *keeper) {
        unsigned char bytes[CONSOLE_DATA_MAX];
        ssize_t n = read(KEEPER_MASTER_FD, bytes, sizeof(bytes));

        if (n > 0)
                console_ring_add(&keeper->ring, bytes, (size_t)n);
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
                keeper->ended = true;
}

/* What a watcher has for the VM goes on as far as the VM takes it; until then nothing more is read
 * of that watcher. */
static void push_input(struct watcher *watcher) {
        ssize_t n;

        if (watcher->fd < 0 || watcher->n_input == 0)
                return;
        n = write(KEEPER_MASTER_FD, watcher->input + watcher->input_done,
                  watcher->n_input - watcher->input_done);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
                watcher->n_input = 0;
        if (n > 0)
                watcher->input_done += (size_t)n;
        if (watcher->input_done >= watcher->n_input)
                watcher->n_input = watcher->input_done = 0;
}

static void set_size(const unsigned char *from, size_t n) {
        struct console_size size;
        struct winsize window = {};

        if (n != sizeof(size))
                return;
        memcpy(&size, from, n);
        window.ws_row = size.rows;
        window.ws_col = size.columns;
        (void)ioctl(KEEPER_MASTER_FD, TIOCSWINSZ, &window);
}

static void take_packet(struct watcher *watcher) {
        unsigned char packet[CONSOLE_PACKET_MAX];
        ssize_t n = recv(watcher->fd, packet, sizeof(packet), MSG_DONTWAIT);

        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
                drop(watcher);
        } else if (n > 1 && packet[0] == CONSOLE_DATA) {
                watcher->n_input = (size_t)n - 1;
                memcpy(watcher->input, packet + 1, watcher->n_input);
                push_input(watcher);
        } else if (n > 1 && packet[0] == CONSOLE_SIZE) {
                set_size(packet + 1, (size_t)n - 1);
        }
}

static bool may_watch(const struct keeper *keeper, int fd) {
        struct ucred peer;
        socklen_t size = sizeof(peer);

        return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
               (peer.uid == 0 || peer.uid == keeper->owner);
}

static void take_watcher(struct keeper *keeper) {
        _cleanup_(fd_closep) int fd = accept4(KEEPER_LISTEN_FD, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0 || !may_watch(keeper, fd))
                return;
        for (size_t i = 0; i < CONSOLE_WATCHERS_MAX; i++) {
                struct watcher *watcher = &keeper->watchers[i];

                if (watcher->fd >= 0)
                        continue;
                *watcher = (struct watcher){
                        .fd = take_fd(fd),
                        .at = console_ring_start(&keeper->ring),
                        .live_at = keeper->ring.end,
                };
                feed(keeper, watcher);
                return;
        }
        if (send(fd, (char[]){CONSOLE_FULL}, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return;
}

enum { POLL_MASTER, POLL_LISTEN, POLL_WATCHERS, _POLL_N = POLL_WATCHERS + CONSOLE_WATCHERS_MAX };

static void fill_poll(const struct keeper *keeper, struct pollfd fds[_POLL_N]) {
        fds[POLL_MASTER] = (struct pollfd){.fd = KEEPER_MASTER_FD, .events = POLLIN};
        fds[POLL_LISTEN] = (struct pollfd){.fd = KEEPER_LISTEN_FD, .events = POLLIN};
        for (size_t i = 0; i < CONSOLE_WATCHERS_MAX; i++) {
                const struct watcher *watcher = &keeper->watchers[i];
                struct pollfd *fd = &fds[POLL_WATCHERS + i];

                *fd = (struct pollfd){.fd = watcher->fd};
                if (watcher->n_input > 0)
                        fds[POLL_MASTER].events |= POLLOUT;
                else
                        fd->events |= POLLIN;
                if (is_behind(keeper, watcher))
                        fd->events |= POLLOUT;
        }
}

static void step(struct keeper *keeper) {
        struct pollfd fds[_POLL_N];

        fill_poll(keeper, fds);
        if (poll(fds, _POLL_N, -1) < 0)
                return;
        if (fds[POLL_MASTER].revents & POLLOUT)
                for (size_t i = 0; i < CONSOLE_WATCHERS_MAX; i++)
                        push_input(&keeper->watchers[i]);
        if (fds[POLL_MASTER].revents & (POLLIN | POLLHUP | POLLERR))
                read_master(keeper);
        for (size_t i = 0; i < CONSOLE_WATCHERS_MAX; i++) {
                short events = fds[POLL_WATCHERS + i].revents;

                if (events & POLLIN)
                        take_packet(&keeper->watchers[i]);
                else if (events & (POLLHUP | POLLERR))
                        drop(&keeper->watchers[i]);
        }
        feed_all(keeper);
        if (fds[POLL_LISTEN].revents & POLLIN)
                take_watcher(keeper);
}

static uint64_t now_msec(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The end, for those who are still reading it. Whoever connected in time is one of them. */
static void linger(struct keeper *keeper) {
        uint64_t until = now_msec() + LINGER_MSEC;

        for (;;) {
                struct pollfd fds[_POLL_N];
                bool behind = false;
                uint64_t now = now_msec();

                fill_poll(keeper, fds);
                fds[POLL_MASTER].fd = -1;
                for (size_t i = 0; i < CONSOLE_WATCHERS_MAX; i++) {
                        fds[POLL_WATCHERS + i].events &= POLLOUT;
                        behind = behind || is_behind(keeper, &keeper->watchers[i]);
                }
                if (now >= until || poll(fds, _POLL_N, behind ? (int)(until - now) : 0) <= 0)
                        return;
                for (size_t i = 0; i < CONSOLE_WATCHERS_MAX; i++)
                        if (fds[POLL_WATCHERS + i].revents & (POLLHUP | POLLERR))
                                drop(&keeper->watchers[i]);
                feed_all(keeper);
                if (fds[POLL_LISTEN].revents & POLLIN)
                        take_watcher(keeper);
        }
}

#define ALLOW(number)                                                                              \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1),                                       \
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* Nothing that opens, makes or executes. restart_syscall: after a freeze. */
static int confine(void) {
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                ALLOW(SYS_poll),
                ALLOW(SYS_read),
                ALLOW(SYS_write),
                ALLOW(SYS_sendto),
                ALLOW(SYS_recvfrom),
                ALLOW(SYS_accept4),
                ALLOW(SYS_getsockopt),
                ALLOW(SYS_ioctl),
                ALLOW(SYS_close),
                ALLOW(SYS_clock_gettime),
                ALLOW(SYS_restart_syscall),
                ALLOW(SYS_rt_sigreturn),
                ALLOW(SYS_exit_group),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        };
        const struct sock_fprog program = {.len = ARRAY_SIZE(filter), .filter = filter};

        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* In this order: afterwards /proc/self is not ours to write. */
static int prepare(void) {
        sigset_t all;
        int r;

        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        /* The broker's exemption, if it died before it took it back. */
        r = file_write_at(AT_FDCWD, "/proc/self/oom_score_adj", "0");
        if (r)
                return -r;
        prctl(PR_SET_NAME, "provium-console");
        /* Nobody traces it, whoever the VM runs as. */
        if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        return confine();
}

int console_keep(uid_t owner) {
        struct keeper *keeper = calloc(1, sizeof(*keeper));

        if (!keeper || prepare() < 0)
                return EXIT_FAILURE;
        keeper->owner = owner;
        for (size_t i = 0; i < CONSOLE_WATCHERS_MAX; i++)
                keeper->watchers[i].fd = -1;
        while (!keeper->ended)
                step(keeper);
        linger(keeper);
        _exit(EXIT_SUCCESS);
}

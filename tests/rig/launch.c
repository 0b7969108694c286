/* SPDX-License-Identifier: MIT */
/*
 * The host's side of the rig: starts virtiofsd and QEMU, relays the guest's output, and sees to
 * it that both processes end, whatever happens to the rig.
 *
 *   launch DIR SECONDS MODE -- VIRTIOFSD ARGS... -- QEMU ARGS...
 *   launch --tsc-khz        prints the rate of the processors' time stamp counter
 *
 * DIR is the run's own directory, made by `rig`; it is removed at the end. The guest's status
 * is read from DIR/status and becomes our exit status (see init.c); DIR/console is the kernel's
 * console. MODE is "plain", "stdin" (the guest's command reads what we would), "tty" (QEMU gets our
 * terminal) or "verbose" (the console is shown).
 *
 * The guest may not change a file of the host, and is not trusted to try: virtiofsd runs in a
 * mount namespace of its own in which every mount is read-only (mount_setattr on a recursive
 * bind of the root), without the host's /proc, /sys, /dev and /run. "-o ro" in the guest is a
 * courtesy; this is the wall. tests/kernel/test_rig.c tries to climb it.
 *
 * Nobody waits for a socket to appear: it is created and listening here, before either starts,
 * and virtiofsd inherits it. Both children die with us by PR_SET_PDEATHSIG, so that even
 * SIGKILL for this process leaves nothing but a directory, which the next rig sweeps away.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>
#include <linux/mount.h>

#define SOCKET_FD 3                     /* what "--fd=3" in virtiofsd's arguments means */
#define LOG_LINES 40                    /* shown when the guest dies */
#define LOG_LINES_TIMEOUT 10            /* when it only ran out of time */
#define STATUS_FAILED 125
#define STATUS_TIMEOUT 124
#define STATUS_STALLED 122
#define LOOK_MS 10000                   /* how often the console is looked at for a stall */
#define STALLS_MAX 2                    /* reports of it, a minute apart */
#define LOCKUPS_A_STALL 4               /* reports of the other kind: see count_stalls() */

struct run {
        const char *dir;
        pid_t virtiofsd, qemu;
        int output_fd;                  /* what the guest's command prints; -1 on a terminal */
        bool tty, tty_saved, input, verbose;
        struct termios terminal;
};

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        fputs("rig: ", stderr);
        vfprintf(stderr, format, ap);
        fputc('\n', stderr);
        va_end(ap);
}

static int64_t now_ms(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the children ------------------------------------------------------------------------- */

__attribute__((noreturn)) static void child_fail(const char *what) {
        complain("%s: %s", what, strerror(errno));
        _exit(STATUS_FAILED);
}

static void child_begin(const struct run *run, pid_t parent) {
        sigset_t none;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        /* Out of the terminal's group: an interrupt there is ours to handle, in our order. */
        if (!run->tty)
                setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
                _exit(STATUS_FAILED);
}

/* Leaves us in a mount namespace whose DIR/root is the host's root, all of it read-only. */
static void share_read_only(const char *dir) {
        static const char *const hidden[] = { "proc", "sys", "dev", "run" };
        struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID };
        char root[512], path[600];

        snprintf(root, sizeof(root), "%s/root", dir);
        if (unshare(CLONE_NEWNS) < 0)
                child_fail("cannot make a mount namespace (the rig needs root)");
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                child_fail("cannot make the mounts private");
        if (mkdir(root, 0755) < 0 || mount("/", root, NULL, MS_BIND | MS_REC, NULL) < 0)
                child_fail("cannot bind the root");
        for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
                snprintf(path, sizeof(path), "%s/%s", root, hidden[i]);
                while (umount2(path, MNT_DETACH) == 0)
                        ;
        }
        if (syscall(SYS_mount_setattr, AT_FDCWD, root, AT_RECURSIVE, &attr, sizeof(attr)) < 0)
                child_fail("cannot make the share read-only");
}

static pid_t start_virtiofsd(const struct run *run, int socket_fd, char **argv) {
        pid_t parent = getpid(), pid = fork();
        char path[512];
        int log_fd;

        if (pid != 0)
                return pid;
        child_begin(run, parent);
        share_read_only(run->dir);
        snprintf(path, sizeof(path), "%s/virtiofsd", run->dir);
        log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
        if (log_fd < 0 || dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0)
                child_fail("cannot open virtiofsd's log");
        /* dup2 would keep close-on-exec if source and target were the same descriptor. */
        if (socket_fd == SOCKET_FD)
                fcntl(socket_fd, F_SETFD, 0);
        else if (dup2(socket_fd, SOCKET_FD) < 0)
                child_fail("cannot pass the socket");
        execvp(argv[0], argv);
        child_fail(argv[0]);
}

static pid_t start_qemu(const struct run *run, int output_fd, char **argv) {
        pid_t parent = getpid(), pid = fork();

        if (pid != 0)
                return pid;
        child_begin(run, parent);
        if (!run->tty) {
                int in_fd = run->input ? STDIN_FILENO : open("/dev/null", O_RDONLY);

                if (dup2(in_fd, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0)
                        child_fail("cannot redirect QEMU");
        }
        execvp(argv[0], argv);
        child_fail(argv[0]);
}

static int listen_at(const char *dir) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int fd;

        if (snprintf(a.sun_path, sizeof(a.sun_path), "%s/fs", dir) >= (int)sizeof(a.sun_path)) {
                errno = ENAMETOOLONG;
                return -1;
        }
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0)
                return -1;
        return fd;
}

/* ---- what the guest says ------------------------------------------------------------------ */

static bool relay(int from_fd) {
        char buffer[65536];
        ssize_t n = read(from_fd, buffer, sizeof(buffer));

        if (n < 0)
                return errno == EINTR || errno == EAGAIN;
        for (char *p = buffer; n > 0;) {
                ssize_t w = write(STDOUT_FILENO, p, (size_t)n);

                if (w < 0 && errno == EINTR)
                        continue;
                if (w < 0)
                        return true;    /* nobody reads any more: keep the guest's pipe empty */
                p += w;
                n -= w;
                if (n == 0)
                        return true;
        }
        return false;
}

static void file_read(const struct run *run, const char *name, char *text, size_t size) {
        char path[512];
        ssize_t n = 0;
        int fd;

        text[0] = '\0';
        snprintf(path, sizeof(path), "%s/%s", run->dir, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return;
        if (lseek(fd, -(off_t)(size - 1), SEEK_END) < 0)
                lseek(fd, 0, SEEK_SET);
        n = read(fd, text, size - 1);
        text[n > 0 ? n : 0] = '\0';
        close(fd);
}

static void file_show(const struct run *run, const char *name, const char *title,
                      size_t lines_max) {
        static char text[262144];
        char *p;
        size_t lines = 0;

        file_read(run, name, text, sizeof(text));
        if (!text[0])
                return;
        for (p = text + strlen(text); p > text && lines <= lines_max; p--)
                lines += p[-1] == '\n';
        complain("%s", title);
        for (char *line = strtok(p, "\r\n"); line; line = strtok(NULL, "\r\n"))
                fprintf(stderr, "rig: | %s\n", line);
}

static unsigned count_stalls(const struct run *run);

static int status_of_guest(const struct run *run, bool timed_out, int qemu_status) {
        char text[1024];
        int n;

        file_read(run, "status", text, sizeof(text));
        text[strcspn(text, "\n")] = '\0';
        if (timed_out && !text[0] && count_stalls(run) > 0) {
                complain("an emulated processor has stopped, so nothing was found out");
                file_show(run, "console", "the kernel's last lines:", LOG_LINES_TIMEOUT);
                return STATUS_STALLED;
        }
        if (sscanf(text, "exit %d", &n) == 1)
                return n;
        if (sscanf(text, "signal %d", &n) == 1)
                return 128 + n;
        if (strncmp(text, "error ", 6) == 0) {
                complain("%s", text + 6);
                file_show(run, "console", "the kernel's last lines:", LOG_LINES);
                file_show(run, "virtiofsd", "virtiofsd says:", LOG_LINES);
                return STATUS_FAILED;
        }
        if (strcmp(text, "timeout") == 0 || timed_out) {
                complain(text[0] ? "time is up"
                                 : "time is up, and the guest did not answer: it hangs");
                file_show(run, "console", "the kernel's last lines:",
                          text[0] ? LOG_LINES_TIMEOUT : LOG_LINES);
                return STATUS_TIMEOUT;
        }
        if (WIFSIGNALED(qemu_status))
                complain("QEMU was killed by signal %d", WTERMSIG(qemu_status));
        else
                complain("the guest ended without a status: it panicked or was reset "
                         "(QEMU's status %d)", WEXITSTATUS(qemu_status));
        file_show(run, "console", "the kernel's last lines:", LOG_LINES);
        file_show(run, "virtiofsd", "virtiofsd says:", LOG_LINES);
        return STATUS_FAILED;
}

static unsigned count(const char *text, const char *what) {
        unsigned n = 0;

        for (const char *p = text; (p = strstr(p, what)); p++)
                n++;
        return n;
}

/*
 * How often the guest's kernel has said that one of its processors gets no timer interrupts any
 * more. An emulated processor that has gone to sleep and misses its wake-up does not come back:
 * seen once in some hundred boots of QEMU 7.2's TCG with two processors on a busy machine. Or that
 * both wait inside the kernel and for ever, as if each had missed what the other sent it: seen
 * once. A host that is too busy looks like that for a while, too, so four such reports, half a
 * minute apart on each processor, count as one.
 */
static unsigned count_stalls(const struct run *run) {
        static char text[262144];

        file_read(run, "console", text, sizeof(text));
        return count(text, "kthread timer wakeup didn't happen") +
               count(text, "BUG: soft lockup - CPU#") / LOCKUPS_A_STALL;
}

/* ---- the end ------------------------------------------------------------------------------- */

static void child_end(pid_t *pidp) {
        if (*pidp <= 0)
                return;
        kill(*pidp, SIGKILL);
        while (waitpid(*pidp, NULL, 0) < 0 && errno == EINTR)
                ;
        *pidp = 0;
}

static void dir_remove(const char *path) {
        DIR *d = opendir(path);
        struct dirent *e;

        if (!d)
                return;
        while ((e = readdir(d)))
                if (unlinkat(dirfd(d), e->d_name, 0) < 0 && errno == EISDIR)
                        unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
        closedir(d);
        rmdir(path);
}

static void terminal_raw(struct run *run) {
        struct termios t;

        if (!run->tty || tcgetattr(STDIN_FILENO, &run->terminal) < 0)
                return;
        run->tty_saved = true;
        t = run->terminal;
        cfmakeraw(&t);
        tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

static void run_end(struct run *run) {
        child_end(&run->qemu);
        child_end(&run->virtiofsd);
        if (run->tty_saved)
                tcsetattr(STDIN_FILENO, TCSANOW, &run->terminal);
        if (run->output_fd >= 0)
                close(run->output_fd);
        dir_remove(run->dir);
}

/*
 * Waits until QEMU ends, a signal asks us to end, or the time is up. Returns the signal, or 0.
 * virtiofsd's end is no event: QEMU or the guest notices, and its log tells.
 */
static int run_wait(struct run *run, int signal_fd, int64_t deadline_ms, int *qemu_statusp,
                    bool *timed_outp) {
        int64_t look_ms = now_ms() + LOOK_MS;

        for (;;) {
                struct pollfd fds[] = {
                        { .fd = signal_fd, .events = POLLIN },
                        { .fd = run->output_fd, .events = POLLIN },
                };
                int64_t left_ms = deadline_ms - now_ms();
                struct signalfd_siginfo si;

                if (left_ms <= 0 || (now_ms() >= look_ms && count_stalls(run) >= STALLS_MAX)) {
                        *timed_outp = true;
                        return 0;
                }
                if (now_ms() >= look_ms)
                        look_ms = now_ms() + LOOK_MS;
                if (poll(fds, 2, (int)(left_ms < LOOK_MS ? left_ms : LOOK_MS)) < 0 &&
                    errno != EINTR)
                        return SIGABRT;
                if (fds[1].revents && !relay(run->output_fd)) {
                        close(run->output_fd);
                        run->output_fd = -1;
                }
                if (fds[0].revents && read(signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
                        if (si.ssi_signo != SIGCHLD)
                                return (int)si.ssi_signo;
                        if (waitpid(run->qemu, qemu_statusp, WNOHANG) == run->qemu) {
                                run->qemu = 0;
                                while (run->output_fd >= 0 && relay(run->output_fd)) {
                                        struct pollfd p = { .fd = run->output_fd,
                                                            .events = POLLIN };

                                        if (poll(&p, 1, 0) <= 0 || !(p.revents & POLLIN))
                                                break;
                                }
                                return 0;
                        }
                }
        }
}

static int usage(void) {
        fputs("usage: launch DIR SECONDS MODE -- VIRTIOFSD ARGS... -- QEMU ARGS...\n", stderr);
        return STATUS_FAILED;
}

/* ---- how fast the processors' clock runs ---- */

struct moment {
        uint64_t ns, ticks, doubt_ns;
};

/* The two clocks at one moment: of many tries the one that took least, so that none counts in which
 * somebody else had the processor. */
static struct moment look_at_clocks(void) {
        struct moment best = { .doubt_ns = UINT64_MAX };

        for (int i = 0; i < 200; i++) {
                struct timespec before, after;
                uint64_t ticks, took;

                clock_gettime(CLOCK_MONOTONIC_RAW, &before);
                ticks = __rdtsc();
                clock_gettime(CLOCK_MONOTONIC_RAW, &after);
                took = (uint64_t)(after.tv_sec - before.tv_sec) * 1000000000 +
                       (uint64_t)after.tv_nsec - (uint64_t)before.tv_nsec;
                if (took < best.doubt_ns)
                        best = (struct moment){ (uint64_t)before.tv_sec * 1000000000 +
                                                (uint64_t)before.tv_nsec + took / 2, ticks, took };
        }
        return best;
}

/*
 * An emulated processor counts the host's ticks, and the guest's kernel measures at its start how
 * many there are in a second, against an emulated timer. On a busy host it can be wrong by
 * anything, and believes it ever after: a guest was seen in which ten seconds passed in one. So it
 * is told.
 */
static int print_tsc_khz(void) {
        struct timespec rest = { .tv_nsec = 20 * 1000 * 1000 };
        struct moment first = look_at_clocks(), last;

        nanosleep(&rest, NULL);
        last = look_at_clocks();
        printf("%llu\n", (unsigned long long)((last.ticks - first.ticks) * 1000000 /
                                              (last.ns - first.ns)));
        return 0;
}

int main(int argc, char **argv) {
        struct run run = { .output_fd = -1 };
        int socket_fd, signal_fd, output[2], split, qemu_status = 0, signo, status;
        bool timed_out = false;
        sigset_t mask;

        if (argc == 2 && strcmp(argv[1], "--tsc-khz") == 0)
                return print_tsc_khz();
        if (argc < 7 || strcmp(argv[4], "--") != 0)
                return usage();
        for (split = 5; split < argc && strcmp(argv[split], "--") != 0; split++)
                ;
        if (split + 1 >= argc)
                return usage();
        argv[split] = NULL;
        run.dir = argv[1];
        run.tty = strcmp(argv[3], "tty") == 0;
        run.input = strcmp(argv[3], "stdin") == 0;
        run.verbose = strcmp(argv[3], "verbose") == 0;

        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGHUP);
        sigaddset(&mask, SIGQUIT);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        signal(SIGPIPE, SIG_IGN);
        signal_fd = signalfd(-1, &mask, SFD_CLOEXEC);
        socket_fd = listen_at(run.dir);
        if (signal_fd < 0 || socket_fd < 0 || pipe2(output, O_CLOEXEC) < 0) {
                complain("cannot prepare the run in %s: %s", run.dir, strerror(errno));
                dir_remove(run.dir);
                return STATUS_FAILED;
        }
        if (!run.tty)
                run.output_fd = output[0];

        terminal_raw(&run);
        run.virtiofsd = start_virtiofsd(&run, socket_fd, argv + 5);
        run.qemu = start_qemu(&run, output[1], argv + split + 1);
        close(output[1]);
        close(socket_fd);
        if (run.virtiofsd < 0 || run.qemu < 0) {
                complain("cannot fork: %s", strerror(errno));
                run_end(&run);
                return STATUS_FAILED;
        }

        signo = run_wait(&run, signal_fd, now_ms() + atoll(argv[2]) * 1000, &qemu_status,
                         &timed_out);
        child_end(&run.qemu);
        if (run.tty_saved)
                tcsetattr(STDIN_FILENO, TCSANOW, &run.terminal);
        if (run.verbose)
                file_show(&run, "console", "the kernel's console:", SIZE_MAX);
        status = signo ? 128 + signo : status_of_guest(&run, timed_out, qemu_status);
        run_end(&run);
        return status;
}

/* SPDX-License-Identifier: MIT */
/*
 * Process 1 of the rig's guest.
 *
 * It is the only program of the initial RAM disk: static, so that it needs no library there. It
 * inserts the modules that the boot needs, mounts the host's root (read-only, virtiofs) below a
 * writable tmpfs (overlay), enters it, mounts what a Linux system expects, runs one command,
 * reaps whatever becomes an orphan, reports the command's fate and ends the machine.
 *
 * What the host gives it, in files of the RAM disk (see `rig`):
 *   /rig/options   KEY=VALUE lines (see struct options)
 *   /rig/early     "NAME.ko PARAMETERS" lines, inserted in this order before any mount
 *   /rig/late      the same, inserted by a second process while this one mounts
 *   /rig/disk      the same, for a guest with disks (disks=yes)
 *   /rig/argv, /rig/env   strings that end in NUL;  /rig/cwd   one path
 *
 * Serial ports: ttyS0 the kernel's console (a log file on the host), ttyS1 the command's output,
 * ttyS2 the status, one line: "exit N", "signal N", "timeout" or "error TEXT". A port is used
 * raw, so the output arrives byte for byte. The command itself writes into a pipe, for two
 * reasons: isatty() must say no, and a serial port is slow (it would block the command).
 *
 * With mode=systemd it does only the first half (an ext4 image as the root) and executes
 * /sbin/init there; a unit then runs this program again as `init --run`, which is the second
 * half. With mode=tty the command gets ttyS1 as its controlling terminal; with input=yes it only reads
 * from there, what the rig itself reads.
 *
 * The machine ends by one write to QEMU's isa-debug-exit port instead of an ACPI power-off:
 * measured 0.02 s against 0.25 s. Nothing is lost: both ports are drained before, and the disks
 * are scratch files.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define EXIT_PORT 0xf4              /* -device isa-debug-exit,iobase=0xf4 */
#define STRINGS_MAX 4096            /* arguments, environment variables */
#define KEPT_DIR "/run/rig"         /* where the RAM disk's files live after the switch of roots */

struct options {
        char mode[16];
        char hostname[64];
        char modules[4096];             /* host path of lib/modules/VERSION */
        char swap[64];
        char terminal[64];              /* "ROWS COLUMNS" */
        char binds[4096];               /* host directories, ':' between them (systemd) */
        long timeout_s;
        bool disks;
        bool network;                   /* eth0 is QEMU's user network */
        bool input;                     /* the command reads ttyS1 */
        bool trace;
};

/* What to run; see the list of files above. */
struct command {
        char **argv, **env, *cwd;
};

static struct options options;          /* one program, one guest: written once, before any fork */

/* ---- reports ------------------------------------------------------------------------------ */

static int serial_open(const char *path) {
        struct termios t;
        int fd;

        fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return -1;
        if (tcgetattr(fd, &t) == 0) {
                cfmakeraw(&t);
                cfsetspeed(&t, B115200);
                t.c_cflag |= CLOCAL;
                tcsetattr(fd, TCSANOW, &t);
        }
        return fd;
}

/* The opposite of raw, for an interactive shell. */
static void terminal_sane(int fd) {
        struct termios t;

        if (tcgetattr(fd, &t) < 0)
                return;
        t.c_iflag |= BRKINT | ICRNL | IXON;
        t.c_oflag |= OPOST | ONLCR;
        t.c_lflag |= ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
        tcsetattr(fd, TCSANOW, &t);
}

static void write_all(int fd, const char *buffer, size_t n) {
        while (n > 0) {
                ssize_t w = write(fd, buffer, n);

                if (w < 0 && errno == EINTR)
                        continue;
                if (w <= 0)
                        return;
                buffer += w;
                n -= (size_t)w;
        }
}

__attribute__((noreturn)) static void machine_exit(const char *status) {
        int fd = serial_open("/dev/ttyS2");

        if (fd >= 0) {
                write_all(fd, status, strlen(status));
                tcdrain(fd);
        }
        if (ioperm(EXIT_PORT, 4, 1) == 0)
                outb(0, EXIT_PORT);
        reboot(RB_POWER_OFF);
        for (;;)
                pause();
}

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...) {
        char text[512], status[600];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        snprintf(status, sizeof(status), "error %s\n", text);
        machine_exit(status);
}

/* Milestones with the kernel's clock, into the console log: `rig --verbose` shows them. */
static void trace(const char *what) {
        struct timespec now;
        char line[128];
        int fd, n;

        if (!options.trace)
                return;
        clock_gettime(CLOCK_BOOTTIME, &now);
        n = snprintf(line, sizeof(line), "<3>rig: %ld.%03ld %s\n", (long)now.tv_sec,
                     now.tv_nsec / 1000000, what);
        fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
        if (fd >= 0) {
                write_all(fd, line, (size_t)n);
                close(fd);
        }
}

/* ---- small files -------------------------------------------------------------------------- */

static char *slurp(const char *path, size_t *np) {
        char *buffer = NULL;
        size_t size = 0, n = 0;
        int fd;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return NULL;
        for (;;) {
                ssize_t r;

                if (size - n < 4096) {
                        size += 65536;
                        buffer = realloc(buffer, size);
                        if (!buffer)
                                fail("out of memory reading %s", path);
                }
                r = read(fd, buffer + n, size - n - 1);
                if (r <= 0)
                        break;
                n += (size_t)r;
        }
        close(fd);
        buffer[n] = '\0';
        if (np)
                *np = n;
        return buffer;
}

/* Splits a buffer of NUL-terminated strings in place. */
static char **strings_read(const char *path) {
        static char empty[1];
        char *buffer, **v;
        size_t n = 0, i, count = 0;

        v = calloc(STRINGS_MAX + 1, sizeof(*v));
        buffer = slurp(path, &n);
        if (!v)
                fail("out of memory");
        if (!buffer)
                buffer = empty;
        for (i = 0; i < n && count < STRINGS_MAX; i += strlen(buffer + i) + 1)
                v[count++] = buffer + i;
        return v;
}

static void options_read(const char *path) {
        char *text = slurp(path, NULL), *line, *save = NULL;

        if (!text)
                fail("the guest has no %s", path);
        for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char *value = strchr(line, '=');

                if (!value)
                        continue;
                *value++ = '\0';
#define TAKE(key) \
        if (strcmp(line, #key) == 0) \
                snprintf(options.key, sizeof(options.key), "%s", value)
                TAKE(mode);
                TAKE(hostname);
                TAKE(modules);
                TAKE(swap);
                TAKE(terminal);
                TAKE(binds);
#undef TAKE
                if (strcmp(line, "timeout") == 0)
                        options.timeout_s = atol(value);
                if (strcmp(line, "disks") == 0)
                        options.disks = strcmp(value, "yes") == 0;
                if (strcmp(line, "network") == 0)
                        options.network = strcmp(value, "yes") == 0;
                if (strcmp(line, "input") == 0)
                        options.input = strcmp(value, "yes") == 0;
                if (strcmp(line, "trace") == 0)
                        options.trace = atoi(value) != 0;
        }
        free(text);
}

static void copy_file(const char *from, const char *to, mode_t mode) {
        size_t n = 0;
        char *text = slurp(from, &n);
        int fd;

        if (!text)
                return;
        fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
        if (fd < 0)
                fail("cannot create %s: %s", to, strerror(errno));
        write_all(fd, text, n);
        close(fd);
        free(text);
}

/* ---- modules ------------------------------------------------------------------------------ */

static void modules_insert(const char *list) {
        char *text = slurp(list, NULL), *line, *save = NULL;

        if (!text)
                return;
        for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char path[256], *parameters = strchr(line, ' ');
                int fd;

                if (parameters)
                        *parameters++ = '\0';
                snprintf(path, sizeof(path), "/rig/modules/%s", line);
                fd = open(path, O_RDONLY | O_CLOEXEC);
                if (fd < 0)
                        fail("module %s is not in the RAM disk", line);
                if (syscall(SYS_finit_module, fd, parameters ? parameters : "", 0) < 0 &&
                    errno != EEXIST)
                        fail("cannot insert module %s: %s", line, strerror(errno));
                close(fd);
        }
        free(text);
}

static pid_t modules_insert_aside(const char *list) {
        pid_t pid = fork();

        if (pid < 0)
                fail("cannot fork: %s", strerror(errno));
        if (pid == 0) {
                modules_insert(list);
                trace("late modules inserted");
                _exit(0);
        }
        return pid;
}

/* ---- mounts ------------------------------------------------------------------------------- */

static void mount_at(const char *source, const char *target, const char *type, unsigned long flags,
                     const char *data) {
        mkdir(target, 0755);
        if (mount(source, target, type, flags, data) < 0)
                fail("cannot mount %s on %s: %s", type ? type : source, target, strerror(errno));
}

/* As above for what a kernel may lack and a test will miss by itself. */
static void mount_try(const char *type, const char *target, unsigned long flags, const char *data) {
        mkdir(target, 0755);
        (void)mount(type, target, type, flags, data);
}

/*
 * The root: the host's files below a tmpfs. The tmpfs also holds trusted.* attributes, which
 * overlayfs itself needs. The host enforces the read-only side a second time (see launch.c).
 */
static void root_overlay(void) {
        mount_at("tmpfs", "/w", "tmpfs", 0, "size=75%,mode=755");
        mkdir("/w/upper", 0755);
        mkdir("/w/work", 0755);
        mount_at("host", "/host", "virtiofs", MS_RDONLY, NULL);
        trace("host mounted");
        mount_at("overlay", "/root", "overlay", 0,
                 "lowerdir=/host,upperdir=/w/upper,workdir=/w/work,volatile");
}

static void directories_make(const char *path) {
        char part[PATH_MAX];

        for (const char *p = path; p; ) {
                p = strchr(p + 1, '/');
                snprintf(part, sizeof(part), "%.*s", p ? (int)(p - path) : (int)strlen(path), path);
                if (mkdir(part, 0755) < 0 && errno != EEXIST)
                        fail("cannot create %s: %s", part, strerror(errno));
        }
}

/* Directories of the host that appear under their own names, but never over one of the image. */
static void image_binds(void) {
        char from[PATH_MAX], to[PATH_MAX], *save = NULL;

        for (char *path = strtok_r(options.binds, ":", &save); path;
             path = strtok_r(NULL, ":", &save)) {
                snprintf(from, sizeof(from), "/root/host%s", path);
                snprintf(to, sizeof(to), "/root%s", path);
                if (access(to, F_OK) == 0)
                        continue;
                directories_make(to);
                if (mount(from, to, NULL, MS_BIND, NULL) < 0)
                        fail("cannot bind %s on %s: %s", from, to, strerror(errno));
        }
}

static void root_image(void) {
        mount_at("/dev/vda", "/root", "ext4", 0, "noinit_itable");
        mkdir("/root/host", 0755);
        mount_at("host", "/root/host", "virtiofs", MS_RDONLY, NULL);
        image_binds();
}

static void root_enter(void) {
        if (chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
            chdir("/") < 0)
                fail("cannot enter the new root: %s", strerror(errno));
}

/* /proc, /sys and /dev before any program runs; systemd finds them mounted and leaves them. */
static void system_mounts(void) {
        mount_at("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
        mount_at("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
        mount_at("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=755");
        mount_at("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                 "gid=5,mode=620,ptmxmode=666");
        mount_at("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
        mount_at("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=50%");
        /* The options systemd uses: memory.low of a slice must mean here what it means there. */
        mount_at("cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                 "nsdelegate,memory_recursiveprot");
}

/* Devices whose module comes when they are first opened, as kmod's static nodes. */
static void device_node(const char *path, unsigned major_number, unsigned minor_number) {
        (void)mknod(path, S_IFCHR | 0660, makedev(major_number, minor_number));
}

static void more_mounts(void) {
        mount_try("mqueue", "/dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
        mount_try("debugfs", "/sys/kernel/debug", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
        mount_try("tracefs", "/sys/kernel/tracing", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
        mount_try("configfs", "/sys/kernel/config", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
        /* Not bpf: its first mount asks modprobe for bpf_preload, 0.12 s that nobody needs. */
        mkdir("/run/lock", 0755);
        device_node("/dev/vhost-net", 10, 238);
        device_node("/dev/vhost-vsock", 10, 241);
        (void)symlink("/proc/self/fd", "/dev/fd");
        (void)symlink("/proc/self/fd/0", "/dev/stdin");
        (void)symlink("/proc/self/fd/1", "/dev/stdout");
        (void)symlink("/proc/self/fd/2", "/dev/stderr");
}

/*
 * With the module tree in its place the kernel's own modprobe works for everything that is not
 * in our lists: process 1 shares its root with the kernel's threads, so they find /sbin/modprobe.
 */
static void modules_tree(const char *host_prefix) {
        const char *version = strrchr(options.modules, '/');
        char from[sizeof(options.modules) + 16], to[256];

        if (!version)
                return;
        snprintf(from, sizeof(from), "%s%s", host_prefix, options.modules);
        snprintf(to, sizeof(to), "/lib/modules%s", version);
        mkdir("/lib/modules", 0755);
        mkdir(to, 0755);
        if (mount(from, to, NULL, MS_BIND, NULL) < 0)
                fail("cannot bind %s on %s: %s", from, to, strerror(errno));
}

static void loopback_up(void) {
        struct ifreq r = { .ifr_name = "lo" };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                fail("cannot open a socket: %s", strerror(errno));
        r.ifr_flags = IFF_UP | IFF_RUNNING;
        if (ioctl(fd, SIOCSIFFLAGS, &r) < 0)
                fail("cannot raise the loopback: %s", strerror(errno));
        close(fd);
}

static void address_set(int fd, unsigned long request, const char *address) {
        struct ifreq r = { .ifr_name = "eth0" };
        struct sockaddr_in in = { .sin_family = AF_INET };

        if (inet_pton(AF_INET, address, &in.sin_addr) != 1)
                fail("'%s' is not an address", address);
        memcpy(&r.ifr_addr, &in, sizeof(in));
        if (ioctl(fd, request, &r) < 0)
                fail("cannot give eth0 its address: %s", strerror(errno));
}

/* What QEMU's user network forwards to us; no route leads further. */
static void network_up(void) {
        struct ifreq r = { .ifr_name = "eth0", .ifr_flags = IFF_UP | IFF_RUNNING };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                fail("cannot open a socket: %s", strerror(errno));
        address_set(fd, SIOCSIFADDR, "10.0.2.15");
        address_set(fd, SIOCSIFNETMASK, "255.255.255.0");
        if (ioctl(fd, SIOCSIFFLAGS, &r) < 0)
                fail("cannot raise eth0: %s", strerror(errno));
        close(fd);
}

static void limits_set(void) {
        struct rlimit files = { .rlim_cur = 1024, .rlim_max = 524288 };     /* as systemd */

        setrlimit(RLIMIT_NOFILE, &files);
}

/* ---- the command -------------------------------------------------------------------------- */

static void command_read(struct command *command, const char *dir) {
        char path[64];

        snprintf(path, sizeof(path), "%s/argv", dir);
        command->argv = strings_read(path);
        snprintf(path, sizeof(path), "%s/env", dir);
        command->env = strings_read(path);
        snprintf(path, sizeof(path), "%s/cwd", dir);
        command->cwd = slurp(path, NULL);
        if (!command->argv[0])
                fail("no command was given");
}

__attribute__((noreturn)) static void command_exec(const struct command *command, int out_fd,
                                                   int report_fd) {
        sigset_t none;

        setsid();
        if (strcmp(options.mode, "tty") == 0) {
                int rows, columns;

                out_fd = open("/dev/ttyS1", O_RDWR);
                terminal_sane(out_fd);
                ioctl(out_fd, TIOCSCTTY, 1);
                if (sscanf(options.terminal, "%d %d", &rows, &columns) == 2) {
                        struct winsize w = { .ws_row = (unsigned short)rows,
                                             .ws_col = (unsigned short)columns };
                        ioctl(out_fd, TIOCSWINSZ, &w);
                }
                dup2(out_fd, STDIN_FILENO);
        } else {
                int in_fd = options.input ? serial_open("/dev/ttyS1") : open("/dev/null", O_RDWR);

                dup2(in_fd, STDIN_FILENO);
                if (in_fd > STDERR_FILENO)
                        close(in_fd);
        }
        dup2(out_fd, STDOUT_FILENO);
        dup2(out_fd, STDERR_FILENO);
        if (out_fd > STDERR_FILENO)
                close(out_fd);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (command->cwd && chdir(command->cwd) < 0) {
                dprintf(report_fd, "the guest has no directory '%s': %s", command->cwd,
                        strerror(errno));
                _exit(125);
        }
        execvp(command->argv[0], command->argv);
        dprintf(STDERR_FILENO, "rig: cannot execute '%s': %s\n", command->argv[0],
                strerror(errno));
        _exit(errno == ENOENT ? 127 : 126);
}

static void text_of_process(int fd, const char *pid, const char *name) {
        char path[64], text[1024];
        int in;
        ssize_t n;

        snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
        in = open(path, O_RDONLY | O_CLOEXEC);
        if (in < 0)
                return;
        n = read(in, text, sizeof(text));
        close(in);
        for (ssize_t i = 0; i < n; i++)
                if (text[i] == '\0' || text[i] == '\n')
                        text[i] = ' ';
        if (n > 0)
                write_all(fd, text, (size_t)n);
}

/* What a person wants to know first about a hang: who is there, and where it waits. */
static void report_processes(int fd) {
        struct dirent *e;
        DIR *d = opendir("/proc");

        if (!d)
                return;
        dprintf(fd, "\nrig: the command ran out of time; the guest's processes:\n");
        while ((e = readdir(d))) {
                char path[64], link[8];

                if (e->d_name[0] < '0' || e->d_name[0] > '9')
                        continue;
                snprintf(path, sizeof(path), "/proc/%.16s/exe", e->d_name);
                if (readlink(path, link, sizeof(link)) < 0)
                        continue;                       /* a kernel thread, or dead */
                dprintf(fd, "rig: %6s ", e->d_name);
                text_of_process(fd, e->d_name, "cmdline");
                dprintf(fd, "| wchan ");
                text_of_process(fd, e->d_name, "wchan");
                dprintf(fd, "| syscall ");
                text_of_process(fd, e->d_name, "syscall");
                dprintf(fd, "\n");
        }
        closedir(d);
}

/* The kernel's last lines, which `quiet` keeps from the console, into the console's log. */
static void report_kernel_log(void) {
        static char text[16384];
        int fd, n;

        n = klogctl(3 /* SYSLOG_ACTION_READ_ALL: the end of the buffer */, text, sizeof(text));
        fd = serial_open("/dev/ttyS0");
        if (fd >= 0 && n > 0) {
                write_all(fd, text, (size_t)n);
                tcdrain(fd);
        }
}

static int64_t now_ms(void) {
        struct timespec t;

        clock_gettime(CLOCK_BOOTTIME, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Moves what is in the pipe to the port. Returns whether the pipe may still bring more. */
static bool relay(int from_fd, int to_fd) {
        char buffer[16384];

        for (;;) {
                ssize_t n = read(from_fd, buffer, sizeof(buffer));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN;
                if (n == 0)
                        return false;
                write_all(to_fd, buffer, (size_t)n);
        }
}

static bool reap(pid_t command, int *statusp) {
        bool found = false;
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
                if (pid == command) {
                        *statusp = status;
                        found = true;
                }
        return found;
}

__attribute__((noreturn)) static void command_run(const struct command *command) {
        char **env = command->env;
        int out[2], report[2], port, signals, status = 0;
        char text[512];
        bool tty = strcmp(options.mode, "tty") == 0, done = false, open_out = true;
        int64_t deadline = options.timeout_s * 1000;
        sigset_t mask;
        pid_t pid;

        clearenv();
        for (; *env; env++)
                putenv(*env);
        port = serial_open("/dev/ttyS1");
        if (port < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(report, O_CLOEXEC) < 0)
                fail("cannot open the command's output: %s", strerror(errno));
        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);

        trace("command starts");
        pid = fork();
        if (pid < 0)
                fail("cannot fork: %s", strerror(errno));
        if (pid == 0)
                command_exec(command, out[1], report[1]);
        close(out[1]);
        close(report[1]);
        fcntl(out[0], F_SETFL, O_NONBLOCK);
        if (tty)
                close(port);

        while (!done) {
                struct pollfd fds[] = {
                        { .fd = signals, .events = POLLIN },
                        { .fd = open_out ? out[0] : -1, .events = POLLIN },
                };
                int64_t left = deadline - now_ms();

                if (options.timeout_s > 0 && left <= 0)
                        break;
                if (poll(fds, 2, options.timeout_s > 0 ? (int)left : -1) < 0 && errno != EINTR)
                        fail("cannot poll: %s", strerror(errno));
                if (fds[0].revents) {
                        struct signalfd_siginfo si[16];

                        (void)!read(signals, si, sizeof(si));
                        done = reap(pid, &status);
                }
                if (open_out && fds[1].revents)
                        open_out = relay(out[0], port);
        }
        trace("command ended");
        if (open_out)
                relay(out[0], port);
        if (!done) {
                report_processes(tty ? STDERR_FILENO : port);
                report_kernel_log();
        }
        if (!tty)
                tcdrain(port);
        if (!done)
                machine_exit("timeout\n");
        ssize_t n = read(report[0], text, sizeof(text) - 1);
        if (n > 0) {
                text[n] = '\0';
                fail("%s", text);
        }
        if (WIFSIGNALED(status))
                snprintf(text, sizeof(text), "signal %d\n", WTERMSIG(status));
        else
                snprintf(text, sizeof(text), "exit %d\n", WEXITSTATUS(status));
        machine_exit(text);
}

/* ---- the order of things ------------------------------------------------------------------- */

/* Into the tmpfs that becomes /run: what the second half of a systemd boot needs. */
static void files_keep(const char *to_dir) {
        static const struct {
                const char *from, *name;
                mode_t mode;
        } files[] = {
                { "/rig/argv", "argv", 0644 }, { "/rig/env", "env", 0644 },
                { "/rig/cwd", "cwd", 0644 },   { "/rig/options", "options", 0644 },
                { "/init", "init", 0755 },
        };

        mkdir(to_dir, 0755);
        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
                char to[64];

                snprintf(to, sizeof(to), "%s/%s", to_dir, files[i].name);
                copy_file(files[i].from, to, files[i].mode);
        }
}

__attribute__((noreturn)) static void systemd_exec(void) {
        char *const argv[] = { "/sbin/init", NULL };
        char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };

        execve(argv[0], argv, env);
        fail("cannot execute /sbin/init: %s", strerror(errno));
}

int main(int argc, char **argv) {
        struct command command;
        int status = 0;
        pid_t late;

        if (argc > 1 && strcmp(argv[1], "--run") == 0) {
                options_read(KEPT_DIR "/options");
                command_read(&command, KEPT_DIR);
                command_run(&command);
        }

        mkdir("/dev", 0755);
        if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) < 0 && errno != EBUSY)
                fail("cannot mount devtmpfs: %s", strerror(errno));
        options_read("/rig/options");
        command_read(&command, "/rig");
        trace("init starts");
        modules_insert("/rig/early");
        if (options.disks)
                modules_insert("/rig/disk");
        trace("early modules inserted");
        late = modules_insert_aside("/rig/late");

        if (strcmp(options.mode, "systemd") == 0) {
                root_image();
                mount_at("tmpfs", "/root/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=50%");
                files_keep("/root/run/rig");
                trace("root mounted");
                waitpid(late, &status, 0);
                root_enter();
                modules_tree("/host");
                systemd_exec();
        }

        root_overlay();
        trace("root mounted");
        root_enter();
        system_mounts();
        modules_tree("");
        sethostname(options.hostname, strlen(options.hostname));
        loopback_up();
        limits_set();
        waitpid(late, &status, 0);
        if (options.network)
                network_up();
        more_mounts();
        if (options.swap[0] && swapon(options.swap, 0) < 0)
                fail("cannot swap on %s: %s", options.swap, strerror(errno));
        trace("system ready");
        command_run(&command);
}

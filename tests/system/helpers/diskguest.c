/* SPDX-License-Identifier: MIT */
/*
 * Process 1 of a Linux guest that does nothing but direct I/O on its disks, and the only file of
 * its initramfs beside the modules of its disks (/m/00, /m/01, ... in the order of need).
 *
 * It takes orders on its second serial line and answers there, a line each:
 *
 *     ready                                   said once, when the disks named are there
 *     SECONDS WAY:DISK [WAY:DISK]...          an order, for example "4 read:vda write:vdb"
 *     at MS BYTES [BYTES]...                  each second: what each has moved until now
 *     done MS BYTES [BYTES]...                when the last of them has ended
 *     error TEXT                              instead of that
 *     off                                     an order: switches the machine off
 *
 * "guest.disks=vda,vdb" on the kernel's command line names the disks to wait for. What the disks do
 * not answer at once waits in a process of its own, so that none has to wait for another.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define MODULES_MAX 32
#define TASKS_MAX 4
#define BLOCK (64 * 1024)
#define SPAN (16 << 20) /* of each disk is used */
#define DISK_WAIT_MS 30000

struct task {
        char disk[32];
        bool writes;
        pid_t pid;
        atomic_uint_least64_t *bytesp;
};

static int line_fd = -1;

static uint64_t now_ms(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void sleep_ms(uint64_t ms) {
        struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

        nanosleep(&time, NULL);
}

static _Noreturn void leave(void) {
        sync();
        reboot(RB_POWER_OFF);
        _exit(1); /* the kernel panics, and the hypervisor leaves with an error */
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        vdprintf(line_fd, format, arguments);
        va_end(arguments);
}

static void insert_modules(void) {
        for (int i = 0; i < MODULES_MAX; i++) {
                char path[32];
                int fd;

                snprintf(path, sizeof(path), "/m/%02d", i);
                fd = open(path, O_RDONLY | O_CLOEXEC);
                if (fd < 0)
                        break;
                if (syscall(SYS_finit_module, fd, "", 0) < 0)
                        printf("guest: %s: %m\n", path);
                close(fd);
        }
}

static void open_line(void) {
        struct termios raw;

        line_fd = open("/dev/ttyS1", O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (line_fd < 0 || tcgetattr(line_fd, &raw) < 0) {
                printf("guest: /dev/ttyS1: %m\n");
                leave();
        }
        cfmakeraw(&raw);
        tcsetattr(line_fd, TCSANOW, &raw);
}

static void wait_disks(void) {
        char text[2048] = "", *disks, *save = NULL;
        uint64_t until = now_ms() + DISK_WAIT_MS;
        int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
        ssize_t n = read(fd, text, sizeof(text) - 1);

        close(fd);
        disks = n > 0 ? strstr(text, "guest.disks=") : NULL;
        if (!disks)
                return;
        disks += strlen("guest.disks=");
        disks[strcspn(disks, " \n")] = '\0';
        for (char *disk = strtok_r(disks, ",", &save); disk; disk = strtok_r(NULL, ",", &save)) {
                char path[64];

                snprintf(path, sizeof(path), "/dev/%s", disk);
                while (access(path, F_OK) < 0) {
                        if (now_ms() > until) {
                                say("error %s: %s\n", path, strerror(errno));
                                leave();
                        }
                        sleep_ms(5);
                }
        }
}

/* A process of its own, until the time is up. */
static _Noreturn void work(const struct task *task, uint64_t end_ms) {
        char path[64];
        void *block;
        int fd;

        snprintf(path, sizeof(path), "/dev/%s", task->disk);
        fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
        if (fd < 0 || posix_memalign(&block, 4096, BLOCK))
                _exit(1);
        memset(block, 'x', BLOCK);
        for (off_t at = 0; now_ms() < end_ms; at = (at + BLOCK) % SPAN) {
                ssize_t n =
                        task->writes ? pwrite(fd, block, BLOCK, at) : pread(fd, block, BLOCK, at);

                if (n != BLOCK)
                        _exit(1);
                atomic_fetch_add(task->bytesp, BLOCK);
        }
        _exit(0);
}

static void tell(const char *word, uint64_t begin, const struct task *tasks, unsigned n) {
        char text[256];
        size_t used;

        used = (size_t)snprintf(text, sizeof(text), "%s %llu", word,
                                (unsigned long long)(now_ms() - begin));
        for (unsigned i = 0; i < n; i++)
                used += (size_t)snprintf(text + used, sizeof(text) - used, " %llu",
                                         (unsigned long long)atomic_load(tasks[i].bytesp));
        say("%s\n", text);
}

static unsigned parse(char *order, struct task *tasks, unsigned *secondsp) {
        char *save = NULL, *word = strtok_r(order, " ", &save);
        unsigned n = 0;

        *secondsp = word ? (unsigned)atoi(word) : 0;
        while ((word = strtok_r(NULL, " ", &save)) && n < TASKS_MAX) {
                char *disk = strchr(word, ':');

                if (!disk)
                        return 0;
                tasks[n].writes = word[0] == 'w';
                snprintf(tasks[n].disk, sizeof(tasks[n].disk), "%s", disk + 1);
                n++;
        }
        return *secondsp ? n : 0;
}

static void carry_out(char *order, atomic_uint_least64_t *bytes) {
        struct task tasks[TASKS_MAX] = {};
        unsigned seconds, n = parse(order, tasks, &seconds);
        uint64_t begin = now_ms();
        bool good = n > 0;

        for (unsigned i = 0; i < n; i++) {
                tasks[i].bytesp = &bytes[i];
                atomic_store(tasks[i].bytesp, 0);
                tasks[i].pid = fork();
                if (tasks[i].pid == 0)
                        work(&tasks[i], begin + seconds * UINT64_C(1000));
        }
        for (unsigned tick = 1; n > 0 && tick <= seconds; tick++) {
                uint64_t now = now_ms(), at = begin + tick * UINT64_C(1000);

                if (now < at)
                        sleep_ms(at - now);
                tell("at", begin, tasks, n);
        }
        for (unsigned i = 0; i < n; i++) {
                int status = -1;

                good &= waitpid(tasks[i].pid, &status, 0) > 0 && status == 0;
        }
        if (good)
                tell("done", begin, tasks, n);
        else
                say("error in '%s'\n", order);
}

static void take_orders(void) {
        atomic_uint_least64_t *bytes =
                mmap(NULL, TASKS_MAX * sizeof(*bytes), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        char order[256];
        size_t n = 0;

        while (bytes != MAP_FAILED && read(line_fd, order + n, 1) == 1) {
                if (order[n] != '\n') {
                        n += n < sizeof(order) - 1;
                        continue;
                }
                order[n] = '\0';
                n = 0;
                if (strcmp(order, "off") == 0)
                        return;
                carry_out(order, bytes);
        }
}

int main(void) {
        int fd = open("/dev/console", O_RDWR);

        for (int to = 0; fd >= 0 && to < 3; to++)
                dup2(fd, to);
        setvbuf(stdout, NULL, _IOLBF, 0);
        mkdir("/proc", 0755);
        mount("proc", "/proc", "proc", 0, NULL);
        mount("dev", "/dev", "devtmpfs", 0, NULL);
        open_line();
        insert_modules();
        wait_disks();
        printf("guest: up after %llu ms\n", (unsigned long long)now_ms());
        say("ready\n");
        take_orders();
        leave();
}

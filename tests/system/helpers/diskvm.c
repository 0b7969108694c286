/* SPDX-License-Identifier: MIT */
/*
 * A hypervisor that does nothing but direct I/O of one file, block after block, and tells how long
 * it had to wait for the slowest.
 *
 *     diskvm write PATH BLOCK_KIB [COUNT]     or read; after COUNT blocks it rests
 *     diskvm look PATH                        prints the device and inode that it opens, and ends
 *
 * SIGUSR1: prints "bytes N gap_us N" of the time since the last such line. SIGUSR2: pauses, or goes
 * on. It says "ready" before its first block, "rest" when it rests.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES (16 << 20) /* of it is used */

static volatile sig_atomic_t asked, paused;

static void on_signal(int signo) {
        if (signo == SIGUSR1)
                asked = 1;
        else
                paused = !paused;
}

static uint64_t now_us(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void say(const char *text) {
        ssize_t n = write(STDOUT_FILENO, text, strlen(text));

        (void)n;
}

static int look(const char *path) {
        struct stat st;
        int fd = open(path, O_RDWR | O_CLOEXEC);

        if (fd < 0 || fstat(fd, &st) < 0) {
                perror(path);
                return 1;
        }
        printf("%ju %ju\n", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
        return 0;
}

static void work(int fd, int writes, char *block, size_t size, uint64_t count) {
        uint64_t bytes = 0, gap = 0, last = now_us();
        char text[64];

        for (uint64_t i = 0;;) {
                off_t at = (off_t)(i * size % FILE_BYTES);
                ssize_t n;

                if (asked) {
                        asked = 0;
                        snprintf(text, sizeof(text), "bytes %ju gap_us %ju\n", (uintmax_t)bytes,
                                 (uintmax_t)gap);
                        say(text);
                        bytes = gap = 0;
                }
                if (paused || i == count) {
                        if (i == count)
                                say("rest\n");
                        pause();
                        last = now_us();
                        continue;
                }
                n = writes ? pwrite(fd, block, size, at) : pread(fd, block, size, at);
                if (n != (ssize_t)size) {
                        perror("diskvm");
                        exit(1);
                }
                i++;
                bytes += size;
                if (now_us() - last > gap)
                        gap = now_us() - last;
                last = now_us();
        }
}

int main(int argc, char **argv) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
        size_t size;
        void *block;
        int fd;

        if (argc == 3 && strcmp(argv[1], "look") == 0)
                return look(argv[2]);
        if (argc < 4)
                return 64;
        sigaction(SIGUSR1, &action, NULL);
        sigaction(SIGUSR2, &action, NULL);
        signal(SIGPIPE, SIG_IGN);
        size = (size_t)atoi(argv[3]) << 10;
        fd = open(argv[2], O_RDWR | O_DIRECT | O_CLOEXEC);
        if (fd < 0 || posix_memalign(&block, 4096, size)) {
                perror(argv[2]);
                return 1;
        }
        memset(block, 'x', size);
        say("ready\n");
        work(fd, strcmp(argv[1], "write") == 0, block, size,
             argc > 4 ? strtoull(argv[4], NULL, 10) : UINT64_MAX);
}

/* SPDX-License-Identifier: MIT */
/*
 * A hypervisor that does what a test wants: leaves, hangs, eats, spins, forks, hides in the
 * background, refuses to die. Static, so that it starts in a few milliseconds and fits into the
 * smallest claim. It says "ready" when it is in the state its mode is named after.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void say(const char *text) {
        ssize_t n = write(STDOUT_FILENO, text, strlen(text));

        (void)n;
}

static void rest(void) {
        for (;;)
                pause();
}

static void on_signal(int signo) {
        char text[16];

        snprintf(text, sizeof(text), "got %d\n", signo);
        say(text);
        if (signo == SIGTERM)
                _exit(7);
}

static unsigned long long number(const char *text) {
        return strtoull(text, NULL, 10);
}

/* Touches @mib MiB, one page after the other, and keeps them. */
static void eat(unsigned long long mib) {
        size_t size = (size_t)mib << 20;
        char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (memory == MAP_FAILED)
                _exit(99);
        for (size_t i = 0; i < size; i += 4096)
                memory[i] = 1;
}

static void spin(void) {
        for (volatile unsigned long i = 0;; i++)
                ;
}

/* Forks until the kernel says no, then says how often it could. */
static void bomb(void) {
        char text[64];
        int n = 0;

        while (n < 100000) {
                pid_t pid = fork();

                if (pid == 0)
                        rest();
                if (pid < 0)
                        break;
                n++;
        }
        snprintf(text, sizeof(text), "ready %d %s\n", n, strerrorname_np(errno));
        say(text);
        rest();
}

/* Writes @mib MiB to @path and reads them back: all of it page cache, as long as the file is there.
 */
static void cache(const char *path, unsigned long long mib, bool keep) {
        static char block[1 << 16];
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (fd < 0)
                _exit(98);
        for (unsigned long long i = 0; i < mib << 4; i++)
                if (write(fd, block, sizeof(block)) != sizeof(block))
                        _exit(97);
        fsync(fd);
        lseek(fd, 0, SEEK_SET);
        while (read(fd, block, sizeof(block)) > 0)
                ;
        close(fd);
        if (!keep)
                unlink(path);
}

/* Two forks and a session of its own, as hypervisors with -daemonize do it. */
static void daemonise(void) {
        int fds[2];
        char byte;

        if (pipe(fds) < 0 || fork() == 0) {
                setsid();
                if (fork() > 0)
                        _exit(0);
                close(fds[0]);
                say("ready\n");
                close(fds[1]);
                signal(SIGTERM, SIG_DFL);
                rest();
        }
        close(fds[1]);
        /* The pipe ends when the grandchild is there. */
        while (read(fds[0], &byte, 1) > 0)
                ;
}

/* What a process can say about itself: one NAME=VALUE per line. */
static void report(void) {
        static const char *const lines[] = {
                "SigBlk:", "SigIgn:", "SigCgt:", "NoNewPrivs:", "CapEff:",
                "CapPrm:", "CapBnd:", "Groups:", "Uid:",        "Gid:"};
        char line[1024], cwd[1024] = "?";
        FILE *file = fopen("/proc/self/status", "re");

        while (file && fgets(line, sizeof(line), file))
                for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
                        if (strncmp(line, lines[i], strlen(lines[i])) == 0)
                                say(line);
        if (file)
                fclose(file);
        file = fopen("/proc/self/oom_score_adj", "re");
        if (file && fgets(line, sizeof(line), file)) {
                printf("oom_score_adj=%s", line);
                fclose(file);
        }
        file = fopen("/proc/self/cgroup", "re");
        if (file && fgets(line, sizeof(line), file)) {
                printf("cgroup=%s", line);
                fclose(file);
        }
        printf("cwd=%s\n", getcwd(cwd, sizeof(cwd)) ? cwd : "?");
        printf("session=%d\n", getsid(0) == getpid());
        printf("fds=");
        for (int fd = 0; fd < 4096; fd++)
                if (fcntl(fd, F_GETFD) >= 0)
                        printf("%d ", fd);
        printf("\n");
        fflush(stdout);
}

int main(int argc, char **argv) {
        const char *mode = argc > 1 ? argv[1] : "rest";
        const char *first = argc > 2 ? argv[2] : "0";

        if (strcmp(mode, "report") == 0) {
                report();
                return 0;
        }
        /* Whoever listened to a detached VM may have left. */
        signal(SIGPIPE, SIG_IGN);
        if (strcmp(mode, "exit") == 0)
                return (int)number(first);
        if (strcmp(mode, "die") == 0) {
                kill(getpid(), (int)number(first));
                rest();
        }
        if (strcmp(mode, "rest") == 0) {
                say("ready\n");
                rest();
        }
        if (strcmp(mode, "deaf") == 0) {
                signal(SIGTERM, SIG_IGN);
                signal(SIGINT, SIG_IGN);
                signal(SIGHUP, SIG_IGN);
                say("ready\n");
                rest();
        }
        if (strcmp(mode, "listen") == 0) {
                for (int i = 1; i <= 31; i++)
                        if (i != SIGKILL && i != SIGSTOP && i != SIGSEGV && i != SIGCHLD)
                                signal(i, on_signal);
                say("ready\n");
                rest();
        }
        if (strcmp(mode, "eat") == 0) {
                eat(number(first));
                say("ready\n");
                rest();
        }
        if (strcmp(mode, "spin") == 0) {
                for (unsigned long long i = 1; i < number(first); i++)
                        if (fork() == 0)
                                spin();
                say("ready\n");
                spin();
        }
        if (strcmp(mode, "bomb") == 0)
                bomb();
        if (strcmp(mode, "cache") == 0) {
                cache(first, number(argc > 3 ? argv[3] : "0"), false);
                say("ready\n");
                return 0;
        }
        /* And of its own as much as the fifth word says. */
        if (strcmp(mode, "keep") == 0) {
                cache(first, number(argc > 3 ? argv[3] : "0"), true);
                eat(number(argc > 4 ? argv[4] : "0"));
                say("ready\n");
                rest();
        }
        if (strcmp(mode, "daemon") == 0) {
                daemonise();
                return (int)number(first);
        }
        if (strcmp(mode, "children") == 0) {
                for (unsigned long long i = 0; i < number(first); i++)
                        if (fork() == 0)
                                rest();
                say("ready\n");
                rest();
        }
        /* Lives for so many milliseconds. */
        if (strcmp(mode, "live") == 0) {
                unsigned long long ms = number(first);
                struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

                nanosleep(&time, NULL);
                return 0;
        }
        fprintf(stderr, "vm: unknown mode '%s'\n", mode);
        return 64;
}

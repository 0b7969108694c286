/* SPDX-License-Identifier: MIT */
/*
 * learnt NAME...: makes system calls of some kind for each NAME, and prints "NAME: ERRNO", or
 * "NAME: done". `rest` stays until it is killed, `busy` calls until then.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define THREADS 4
#define CALLS 200

static void *call_often(void *nothing) {
        for (int i = 0; i < CALLS; i++)
                (void)getppid();
        return NULL;
}

static int threads(void) {
        pthread_t thread[THREADS];

        for (int i = 0; i < THREADS; i++) {
                errno = pthread_create(&thread[i], NULL, call_often, NULL);
                if (errno)
                        return -1;
        }
        for (int i = 0; i < THREADS; i++)
                pthread_join(thread[i], NULL);
        return 0;
}

/* A helper that calls what its parent does not. */
static int helper(void) {
        int status;
        pid_t pid = fork();

        if (pid < 0)
                return -1;
        if (pid == 0) {
                int fds[2];

                _exit(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 ? errno : 0);
        }
        if (waitpid(pid, &status, 0) < 0)
                return -1;
        errno = WEXITSTATUS(status);
        return errno ? -1 : 0;
}

static int open_socket(int family) {
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return fd < 0 ? -1 : close(fd);
}

static int unix_socket(void) {
        return open_socket(AF_UNIX);
}

static int inet_socket(void) {
        return open_socket(AF_INET);
}

/* /dev/null knows neither, but another errno than ENOTTY is another's. */
static int request(unsigned long number) {
        char room[64];

        return ioctl(STDIN_FILENO, number, room) < 0 && errno != ENOTTY ? -1 : 0;
}

static int one_request(void) {
        return request(TCGETS);
}

static int other_request(void) {
        return request(TIOCGWINSZ);
}

static int name_thread(void) {
        return prctl(PR_SET_NAME, "learnt");
}

/* Fails in any case; ENOENT is the kernel's own word. */
static int make_directory(void) {
        return mkdir("/nowhere/at/all", 0700) < 0 && errno != ENOENT ? -1 : 0;
}

/* getpid as i386 has it. */
static int old_call(void) {
        long result;

        __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
        return result > 0 ? 0 : -1;
}

static void count(int signo) {
}

/* A signal that comes while others of its calls wait must not be seen in them. */
static int signals(void) {
        struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
        int status;
        pid_t pid;

        if (sigaction(SIGUSR1, &action, NULL) < 0)
                return -1;
        pid = fork();
        if (pid == 0) {
                for (int i = 0; i < CALLS; i++)
                        kill(getppid(), SIGUSR1);
                _exit(0);
        }
        for (int i = 0; i < CALLS; i++)
                if (prctl(PR_GET_DUMPABLE) < 0)
                        return -1;
        return waitpid(pid, &status, 0) < 0 ? -1 : 0;
}

static _Noreturn int rest(void) {
        printf("ready\n");
        fflush(stdout);
        for (;;)
                pause();
}

static _Noreturn int busy(void) {
        printf("ready\n");
        fflush(stdout);
        for (;;)
                (void)getppid();
}

static const struct {
        const char *name;
        int (*call)(void);
} kinds[] = {
        {"threads", threads},     {"helper", helper},
        {"unix", unix_socket},    {"inet", inet_socket},
        {"request", one_request}, {"other_request", other_request},
        {"name", name_thread},    {"mkdir", make_directory},
        {"i386", old_call},       {"signals", signals},
        {"rest", rest},           {"busy", busy},
};

int main(int argc, char **argv) {
        for (int i = 1; i < argc; i++)
                for (size_t j = 0; j < sizeof(kinds) / sizeof(kinds[0]); j++)
                        if (strcmp(argv[i], kinds[j].name) == 0)
                                printf("%s: %s\n", argv[i],
                                       kinds[j].call() < 0 ? strerrorname_np(errno) : "done");
        return 0;
}

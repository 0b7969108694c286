/* SPDX-License-Identifier: MIT */
/*
 * How long a thin flow waits: small datagrams to an echo and back, one at a time.
 *
 *     probe echo PORT                             prints "ready", then answers until it is killed
 *     probe ask ADDRESS PORT COUNT INTERVAL_MS    prints "p50 US p90 US p99 US max US lost N"
 *
 * ADDRESS is IPv4 or IPv6. What has no answer within a second is lost, and counts as a second.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define COUNT_MAX 10000
#define PATIENCE_MS 1000

static uint64_t now_us(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void need(bool ok, const char *what) {
        if (ok)
                return;
        perror(what);
        exit(1);
}

static void echo(uint16_t port) {
        struct sockaddr_in6 here = {.sin6_family = AF_INET6, .sin6_port = htons(port)}, from;
        int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        char data[256];

        need(fd >= 0 && bind(fd, (struct sockaddr *)&here, sizeof(here)) == 0, "bind");
        printf("ready\n");
        fflush(stdout);
        for (;;) {
                socklen_t length = sizeof(from);
                ssize_t n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &length);

                if (n > 0)
                        sendto(fd, data, (size_t)n, 0, (struct sockaddr *)&from, length);
        }
}

static int connect_to(const char *address, uint16_t port) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
        bool six = strchr(address, ':');
        int fd = socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        need(inet_pton(six ? AF_INET6 : AF_INET, address,
                       six ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr) == 1,
             address);
        need(fd >= 0 && connect(fd, six ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4,
                                six ? sizeof(v6) : sizeof(v4)) == 0,
             "connect");
        return fd;
}

/* One there and back; an answer that comes late is not taken for that of the next. */
static uint64_t ask_once(int fd, uint32_t number) {
        uint64_t begin = now_us(), passed;
        uint32_t data[16] = {number};

        if (send(fd, data, sizeof(data), 0) < 0)
                return PATIENCE_MS * 1000;
        while ((passed = now_us() - begin) < PATIENCE_MS * 1000) {
                struct pollfd in = {fd, POLLIN, 0};

                if (poll(&in, 1, PATIENCE_MS - (int)(passed / 1000)) > 0 &&
                    recv(fd, data, sizeof(data), 0) == sizeof(data) && data[0] == number)
                        return now_us() - begin;
        }
        return PATIENCE_MS * 1000;
}

static int compare(const void *a, const void *b) {
        uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

        return left < right ? -1 : left > right;
}

static void ask(const char *address, uint16_t port, unsigned count, unsigned interval_ms) {
        static uint64_t times[COUNT_MAX];
        int fd = connect_to(address, port);
        unsigned lost = 0;

        count = count < 1 ? 1 : count > COUNT_MAX ? COUNT_MAX : count;
        for (unsigned i = 0; i < count; i++) {
                times[i] = ask_once(fd, i);
                lost += times[i] >= PATIENCE_MS * 1000;
                poll(NULL, 0, (int)interval_ms);
        }
        qsort(times, count, sizeof(times[0]), compare);
        printf("p50 %llu p90 %llu p99 %llu max %llu lost %u\n",
               (unsigned long long)times[count / 2], (unsigned long long)times[count * 90 / 100],
               (unsigned long long)times[count * 99 / 100], (unsigned long long)times[count - 1],
               lost);
}

int main(int argc, char **argv) {
        if (argc == 3 && strcmp(argv[1], "echo") == 0) {
                echo((uint16_t)atoi(argv[2]));
        } else if (argc == 6 && strcmp(argv[1], "ask") == 0) {
                ask(argv[2], (uint16_t)atoi(argv[3]), (unsigned)atoi(argv[4]),
                    (unsigned)atoi(argv[5]));
        } else {
                fprintf(stderr, "usage: probe echo PORT | ask ADDRESS PORT COUNT INTERVAL_MS\n");
                return 64;
        }
        return 0;
}

/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --timeout 250 */
/*
 * Two users of one host: what the one does to the broker's socket, the other hardly feels.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tenants.h"

#define HOSTILE_CONNECTIONS 10000
#define HOSTILE_HELD 256
#define HOSTILE_FDS 64
#define PHASES 3
#define PHASE_MS 7000
#define PHASE_LAUNCHES 100 /* at least */
#define LAUNCHES_MAX 4096

static const char half[] = "{\"method\":\"dev.provium.Br";
static const char describe[] = "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
                               "\"parameters\":{\"interface\":\"dev.provium.Broker\"}}";

static unsigned calm_fds; /* of the broker, with nobody there */

static void send_descriptors(int fd, int null_fd) {
        int fds[HOSTILE_FDS];
        char control[CMSG_SPACE(sizeof(fds))] = {};
        struct iovec iov = {(void *)"{", 1};
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

        for (size_t i = 0; i < HOSTILE_FDS; i++)
                fds[i] = null_fd;
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(fds));
        memcpy(CMSG_DATA(cmsg), fds, sizeof(fds));
        (void)!sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* One connection after the other, each bad in its way, the last ones kept; counts them. */
static void be_hostile(volatile uint32_t *n_connections) {
        static struct line held[HOSTILE_HELD];
        int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        char garbage[4096];

        for (size_t i = 0; i < sizeof(garbage); i++)
                garbage[i] = (char)(i * 7919 >> 3);
        for (unsigned i = 0;; i++) {
                struct line *line = &held[i % HOSTILE_HELD];

                if (i >= HOSTILE_HELD)
                        line_close(line);
                if (!line_open(line))
                        _exit(1);
                switch (i % 4) {
                case 0:
                        line_raw(line, half, sizeof(half) - 1);
                        break;
                case 1:
                        send_descriptors(line->stream.fd, null_fd);
                        break;
                case 2: /* asks for much and reads none of it */
                        for (int j = 0; j < 4 && line_raw(line, describe, sizeof(describe)); j++)
                                ;
                        break;
                case 3:
                        line_raw(line, garbage, sizeof(garbage));
                        break;
                }
                ++*n_connections;
        }
}

/* The broker has taken down what a hostile one has left. */
static bool is_calm(void *house) {
        return count_fds(((struct house *)house)->broker) <= calm_fds;
}

/* From before connect(2) to the reply that the VM was executed. */
static unsigned time_launch(uid_t uid) {
        uint64_t begin = now_us(), end;
        struct line line;

        json_decref(run_by(&line, uid, claim("a", NULL, 100, "exit", NULL), "started"));
        end = now_us();
        json_decref(line_wait(&line, "exited"));
        line_close(&line);
        return (unsigned)(end - begin);
}

static int compare(const void *a, const void *b) {
        return *(const unsigned *)a < *(const unsigned *)b ? -1 : 1;
}

struct latency {
        unsigned values[LAUNCHES_MAX];
        size_t n;
};

static unsigned quantile(struct latency *latency, double q) {
        qsort(latency->values, latency->n, sizeof(unsigned), compare);
        return latency->values[(size_t)(q * (double)(latency->n - 1) + 0.5)];
}

/* Until as many launches were timed and as many connections made as wanted, or the time is up. */
static void time_launches(struct latency *latency, const volatile uint32_t *n_connections) {
        uint32_t wanted = HOSTILE_CONNECTIONS / PHASES + 1;
        uint64_t until = now_ms() + PHASE_MS;

        latency->n = 0;
        while (latency->n < LAUNCHES_MAX && now_ms() < until &&
               (latency->n < PHASE_LAUNCHES || (n_connections && *n_connections < wanted)))
                latency->values[latency->n++] = time_launch(OWNER);
        need(latency->n >= 2);
}

static uint32_t time_beside_hostility(struct latency *latency) {
        volatile uint32_t *n_connections;
        uint32_t n;
        int status;
        pid_t pid;

        n_connections = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        need(n_connections != MAP_FAILED);
        pid = fork();
        if (pid == 0) {
                if (setresgid(NEIGHBOUR, NEIGHBOUR, NEIGHBOUR) < 0 ||
                    setresuid(NEIGHBOUR, NEIGHBOUR, NEIGHBOUR) < 0)
                        _exit(2);
                be_hostile(n_connections);
        }
        time_launches(latency, n_connections);
        n = *n_connections;
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        expect_that(WIFSIGNALED(status), "the hostile one could go on (%d)", WEXITSTATUS(status));
        munmap((void *)n_connections, 4096);
        return n;
}

static void nobody_is_starved_by_ten_thousand_hostile_connections(void) {
        static struct latency quiet, loud;
        double best = 1e9;
        uint32_t n = 0;
        struct house house;

        tenants_open(&house);
        for (int i = 0; i < 10; i++)
                time_launch(OWNER);
        calm_fds = count_fds(house.broker) + 1;
        for (int phase = 0; phase < PHASES; phase++) {
                uint32_t connections;
                double ratio;

                time_launches(&quiet, NULL);
                connections = time_beside_hostility(&loud);
                n += connections;
                expect(wait_until(is_calm, &house, HOUSE_WAIT_MS));
                ratio = (double)quantile(&loud, 0.5) / quantile(&quiet, 0.5);
                best = ratio < best ? ratio : best;
                unit_note("p50 %u us, beside %u hostile connections %u: %.2f times; p99 %u, %u; "
                          "%zu and %zu launches",
                          quantile(&quiet, 0.5), connections, quantile(&loud, 0.5), ratio,
                          quantile(&quiet, 0.99), quantile(&loud, 0.99), quiet.n, loud.n);
        }
        /* 60 times where every connection has its own turn. A hundred launches say little of p99.
         */
        expect_that(best <= 3, "p50 beside %u hostile connections is at best %.2f times that alone",
                    n, best);
        house_close(&house);
}

UNIT_MAIN(TEST(nobody_is_starved_by_ten_thousand_hostile_connections), )

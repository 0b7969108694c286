/* SPDX-License-Identifier: MIT */
/*
 * What a look at all VMs costs: /metrics, /stats and /resources of the broker, beside a program
 * that only opens, reads and closes the same kernel files, and commands that people would take.
 *
 *     bench-scrape HTTP-SOCKET BROKER-PID GROUP ROUNDS [--peer NAME=COMMAND...]...
 *
 * GROUP is the broker's, with all VMs below it. Everybody in turn, ROUNDS times, with a pause
 * before each that is longer than a survey is told again.
 *
 *   cpu_p50_us           processor time of the broker, all its threads, for one answer; of the bare
 *                        program and the commands likewise, their own
 *   wall_p50_us          from connect(2) to the last byte in the client's hands
 *   longest_turn_us      the bucket (its upper bound) of the longest turn of the broker's loop
 *                        meanwhile, of its own histogram
 *   bytes                of the answer
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <bench/peer.h>
#include <bench/sample.h>

#define BODY_MAX ((size_t)64 << 20)
#define GROUPS_MAX 20000
#define PEERS_MAX 4
#define AGAIN_MSEC 1200

static const char *socket_path;
static clockid_t broker_clock;
static char body[BODY_MAX]; /* of the last answer */
static size_t n_body;

static char *groups[GROUPS_MAX];
static size_t n_groups;

static double usec_of(clockid_t clock) {
        struct timespec now;

        if (clock_gettime(clock, &now) < 0)
                err(1, "the broker's clock");
        return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void pause_msec(unsigned msec) {
        struct timespec time = {msec / 1000, (long)(msec % 1000) * 1000000};

        nanosleep(&time, NULL);
}

/* ---- ours ---- */

static void get(const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char request[128];
        ssize_t n;
        int length;

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                err(1, "%s", socket_path);
        length = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                          path);
        if (write(fd, request, (size_t)length) != length)
                err(1, "write");
        n_body = 0;
        while ((n = read(fd, body + n_body, sizeof(body) - n_body - 1)) > 0)
                n_body += (size_t)n;
        if (n < 0)
                err(1, "read");
        body[n_body] = '\0';
        close(fd);
        if (strncmp(body, "HTTP/1.1 200", strlen("HTTP/1.1 200")) != 0)
                errx(1, "%s: %.60s", path, body);
}

struct way {
        const char *path;
        struct sample cpu, wall;
        size_t bytes;
        double longest_turn_us;
};

#define BOUNDS_MAX 64

/* The cumulative buckets of the loop's turns in the last answer. */
static size_t read_turns(double bounds[BOUNDS_MAX], double counts[BOUNDS_MAX]) {
        static const char name[] = "\nprovium_loop_turn_seconds_bucket{le=\"";
        const char *at = body;
        size_t n = 0;

        while (n < BOUNDS_MAX && (at = strstr(at, name))) {
                char *end;

                at += strlen(name);
                bounds[n] = strncmp(at, "+Inf", 4) == 0 ? 1e9 : strtod(at, NULL);
                at = strchr(at, '}') + 1;
                counts[n++] = strtod(at, &end);
                at = end;
        }
        if (n == 0)
                errx(1, "/metrics tells of no turns");
        return n;
}

static void ask_ours(struct way *way, bool count) {
        double cpu, wall;

        pause_msec(AGAIN_MSEC);
        cpu = usec_of(broker_clock);
        wall = usec_of(CLOCK_MONOTONIC);
        get(way->path);
        wall = usec_of(CLOCK_MONOTONIC) - wall;
        /* What is freed after the answer belongs to it, too. */
        pause_msec(50);
        cpu = usec_of(broker_clock) - cpu;
        way->bytes = n_body;
        if (!count)
                return;
        sample_add(&way->cpu, cpu);
        sample_add(&way->wall, wall);
}

/* By itself, between two looks at the histogram. */
static void find_longest_turn(struct way *way, unsigned rounds) {
        double bounds[BOUNDS_MAX], before[BOUNDS_MAX], after[BOUNDS_MAX];
        size_t n;

        get("/metrics");
        n = read_turns(bounds, before);
        for (unsigned i = 0; i < rounds; i++) {
                pause_msec(AGAIN_MSEC);
                get(way->path);
        }
        pause_msec(AGAIN_MSEC);
        get("/metrics");
        if (read_turns(bounds, after) != n)
                errx(1, "the histogram has changed");
        for (size_t i = 0; i < n; i++) {
                double inside = after[i] - before[i] - (i ? after[i - 1] - before[i - 1] : 0);

                if (inside > 0)
                        way->longest_turn_us = bounds[i] * 1e6;
        }
}

/* ---- the bare program ---- */

static int note_group(const char *path, const struct stat *stat, int flag, struct FTW *ftw) {
        size_t length = strlen(path);

        if (flag == FTW_D && length > 3 && strcmp(path + length - 3, ".vm") == 0 &&
            n_groups < GROUPS_MAX)
                groups[n_groups++] = strdup(path);
        return 0;
}

static void ask_bare(struct sample *cpu, struct sample *wall, bool count) {
        static const char *const files[] = {
                "cpu.stat", "memory.current", "memory.peak",     "pids.current", "memory.events",
                "io.stat",  "cpu.pressure",   "memory.pressure", "io.pressure",
        };
        double cpu_us = usec_of(CLOCK_PROCESS_CPUTIME_ID), wall_us = usec_of(CLOCK_MONOTONIC);
        char path[512], text[8192];

        for (size_t i = 0; i < n_groups; i++)
                for (size_t j = 0; j < ARRAY_SIZE(files); j++) {
                        int fd;

                        snprintf(path, sizeof(path), "%s/%s", groups[i], files[j]);
                        fd = open(path, O_RDONLY | O_CLOEXEC);
                        if (fd < 0 || (read(fd, text, sizeof(text)) < 0 && errno != EOPNOTSUPP))
                                err(1, "%s", path);
                        close(fd);
                }
        if (!count)
                return;
        sample_add(cpu, usec_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_us);
        sample_add(wall, usec_of(CLOCK_MONOTONIC) - wall_us);
}

/* ---- commands ---- */

struct other {
        struct peer peer;
        struct sample cpu;
};

static double children_usec(void) {
        struct rusage usage;

        getrusage(RUSAGE_CHILDREN, &usage);
        return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void ask_other(struct other *other, bool count) {
        double cpu = children_usec();

        peer_launch(&other->peer, count);
        if (count)
                sample_add(&other->cpu, children_usec() - cpu);
}

/* ---- ---- */

static void report(struct way *way, const char *against, struct sample *cpu, struct sample *wall) {
        char context[96];

        snprintf(context, sizeof(context), "\"path\":\"%s\",\"vms\":%zu", way->path, n_groups);
        sample_report("scrape", "cpu_p50_us", 0.5, &way->cpu, against, cpu, context);
        sample_report("scrape", "wall_p50_us", 0.5, &way->wall, against, wall, context);
}

static void report_one(const struct way *way, const char *metric, double ours, double aim) {
        printf("{\"bench\":\"scrape\",\"metric\":\"%s\",\"path\":\"%s\",\"vms\":%zu,\"ours\":%.0f,"
               "\"against\":\"aim\",\"other\":%.0f,\"ratio\":%.3f,\"n\":1}\n",
               metric, way->path, n_groups, ours, aim, aim > 0 ? ours / aim : 0);
        fflush(stdout);
}

int main(int argc, char **argv) {
        /* The last looks at nothing: what asking itself costs. */
        static struct way ways[] = {{.path = "/metrics"},
                                    {.path = "/stats"},
                                    {.path = "/resources"},
                                    {.path = "/healthz"}};
        static struct sample bare_cpu, bare_wall;
        static struct other others[PEERS_MAX];
        size_t n_others = 0;
        unsigned rounds;

        if (argc < 5)
                errx(64, "usage: bench-scrape HTTP-SOCKET BROKER-PID GROUP ROUNDS [--peer ...]...");
        socket_path = argv[1];
        if (clock_getcpuclockid(atoi(argv[2]), &broker_clock))
                errx(1, "there is no process %s", argv[2]);
        if (nftw(argv[3], note_group, 16, FTW_PHYS) < 0)
                err(1, "%s", argv[3]);
        rounds = (unsigned)atoi(argv[4]);
        for (int i = 5; i + 1 < argc && n_others < PEERS_MAX; i += 2)
                peer_init(&others[n_others++].peer, argv[i + 1]);
        for (unsigned round = 0; round <= rounds; round++) {
                for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
                        ask_ours(&ways[i], round > 0);
                ask_bare(&bare_cpu, &bare_wall, round > 0);
                for (size_t i = 0; i < n_others; i++)
                        ask_other(&others[i], round > 0);
        }
        for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
                find_longest_turn(&ways[i], rounds);
        for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
                report(&ways[i], "bare", &bare_cpu, &bare_wall);
                report_one(&ways[i], "cpu_aim_us", sample_quantile(&ways[i].cpu, 0.5), 20000);
                report_one(&ways[i], "longest_turn_us", ways[i].longest_turn_us, 2000);
                report_one(&ways[i], "bytes", (double)ways[i].bytes, 0);
        }
        for (size_t i = 0; i < n_others; i++)
                report(&ways[0], others[i].peer.name, &others[i].cpu, &others[i].peer.whole);
        return 0;
}

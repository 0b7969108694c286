/* SPDX-License-Identifier: MIT */
/*
 * provium simulate: seconds for a million claims on 1,000 hosts (100,000 with --quick), which is
 * the admission alone, and for reading such a trace, as CSV, and making figures of it.
 *
 *   idle   75 % of what the hosts can sell is asked for: nearly every claim starts at once
 *   full   120 %: queues grow, and nearly every claim waits
 *
 * First come, first served, with each way to choose a host; then the other orders, first-fit.
 * Claims are of 1 to 8 CPUs with 1 to 4 GiB each, and are held for 100 s in the mean.
 */
#include <err.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <base/why.h>
#include <bench/sample.h>
#include <cli/sim_stats.h>
#include <cli/trace_read.h>
#include <policies/policy.h>

#define HOSTS 1000
#define HOST_CPUS 64
#define HOLD_S 100.0
#define MEAN_CPUS 3.0 /* of the sizes below */
#define ROUNDS 3

static const unsigned sizes[] = {1, 1, 2, 2, 4, 8};

struct load {
        const char *name;
        double asked; /* share of the CPUs */
};

static uint64_t random_state = 1;

static double any(void) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        return (double)(random_state >> 11) / 9007199254740992.0;
}

static double now_s(clockid_t clock) {
        struct timespec now;

        clock_gettime(clock, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void write_trace(FILE *file, size_t n, double asked) {
        double gap_s = MEAN_CPUS * HOLD_S / (HOSTS * HOST_CPUS * asked), at_s = 0;

        fputs("arrival_s,duration_s,cpus,memory,priority\n", file);
        for (size_t i = 0; i < n; i++) {
                unsigned cpus = sizes[(size_t)(any() * ARRAY_SIZE(sizes))];
                unsigned gib = cpus << (unsigned)(any() * 3);

                at_s -= log(1 - any()) * gap_s;
                fprintf(file, "%.6f,%.6f,%u,%uG,%d\n", at_s, -log(1 - any()) * HOLD_S, cpus, gib,
                        any() < 0.25 ? 10 : 0);
        }
}

static struct policy *make_host(void) {
        static const char text[] = "[Capacity]\nCPU=64\nMemory=256G\n[Ratio]\nCPU=1\n"
                                   "[Enforce]\nMemoryOverhead=0\n";
        static struct policy_errors errors;
        struct policy *policy;

        if (policy_load_text(&policy, "host", text, strlen(text), &errors))
                errx(1, "the host: %s", errors.list[0].text);
        return policy;
}

static void report(const char *metric, const struct load *load, size_t n, struct sample *seconds,
                   const char *more) {
        double median = sample_quantile(seconds, 0.5), per_million = median * 1e6 / (double)n;

        printf("{\"bench\":\"simulate\",\"metric\":\"%s\",\"load\":\"%s\",\"claims\":%zu,"
               "\"hosts\":%d,\"ours\":%.3f,\"against\":\"aim\",\"other\":10.0,\"ratio\":%.3f,"
               "\"n\":%zu,\"ours_p10\":%.3f,\"ours_p90\":%.3f%s}\n",
               metric, load->name, n, HOSTS, median, per_million / 10, seconds->n,
               sample_quantile(seconds, 0.1), sample_quantile(seconds, 0.9), more);
        fflush(stdout);
}

static void measure_run(const struct load *load, const struct policy *policy,
                        const struct trace *trace, enum sim_order order, enum place_policy place,
                        int rounds) {
        const struct sim_setup setup = {
                .policy = policy,
                .trace = trace,
                .hosts = HOSTS,
                .order = order,
                .place = place,
        };
        static struct sim_stats stats;
        struct sample seconds = {}, busy = {}; /* by the clock, and on a processor */
        struct sim_result result;
        struct why why = {};
        char more[200];

        for (int i = 0; i < rounds; i++) {
                double began = now_s(CLOCK_MONOTONIC), began_busy = now_s(CLOCK_THREAD_CPUTIME_ID);

                if (sim_run(&result, &setup, &why))
                        errx(1, "the simulation: %s", why.text);
                sample_add(&seconds, now_s(CLOCK_MONOTONIC) - began);
                sample_add(&busy, now_s(CLOCK_THREAD_CPUTIME_ID) - began_busy);
                if (i + 1 < rounds)
                        sim_result_deinit(&result);
        }
        if (sim_stats_make(&stats, &setup, &result))
                errx(1, "out of memory");
        snprintf(more, sizeof(more),
                 ",\"order\":\"%s\",\"place\":\"%s\",\"cpu_s\":%.3f,\"waited\":%" PRIu64
                 ",\"wait_p99_s\":%.1f,\"cpu_used\":%.3f",
                 sim_order_name(order), place_policy_name(place), sample_quantile(&busy, 0.5),
                 stats.all.waited, (double)stats.all.p99_usec / 1e6, stats.used[RESOURCE_CPU]);
        report("run_s", load, trace->n, &seconds, more);
        sim_stats_deinit(&stats);
        sim_result_deinit(&result);
}

static void measure(const struct load *load, const struct policy *policy, size_t n, int rounds) {
        struct sample seconds = {};
        struct trace trace = {};
        struct why why = {};
        FILE *file;
        int fd;

        fd = memfd_create("trace", MFD_CLOEXEC);
        file = fd < 0 ? NULL : fdopen(fd, "w");
        if (!file)
                err(1, "memfd");
        write_trace(file, n, load->asked);
        fflush(file);
        for (int i = 0; i < rounds; i++) {
                double began = now_s(CLOCK_MONOTONIC);

                trace_deinit(&trace);
                if (lseek(fd, 0, SEEK_SET) < 0 || trace_read(&trace, fd, NULL, NULL, &why))
                        errx(1, "the trace: %s", why.text);
                sample_add(&seconds, now_s(CLOCK_MONOTONIC) - began);
        }
        fclose(file);
        report("read_s", load, n, &seconds, "");
        for (enum place_policy place = 0; place < _PLACE_POLICY_N; place++)
                measure_run(load, policy, &trace, SIM_FIFO, place, rounds);
        for (enum sim_order order = SIM_FIFO + 1; order < _SIM_ORDER_N; order++)
                measure_run(load, policy, &trace, order, PLACE_FIRST_FIT, rounds);
        trace_deinit(&trace);
}

int main(void) {
        static const struct load loads[] = {{"idle", 0.75}, {"full", 1.2}};
        const char *quick = getenv("BENCH_QUICK");
        bool is_quick = quick && *quick;
        struct policy *policy = make_host();

        for (size_t i = 0; i < ARRAY_SIZE(loads); i++)
                measure(&loads[i], policy, is_quick ? 100000 : 1000000, is_quick ? 1 : ROUNDS);
        policy_free(policy);
        return 0;
}

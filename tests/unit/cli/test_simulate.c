/* SPDX-License-Identifier: MIT */
/*
 * Simulations whose outcome can be worked out by hand, or by something simple enough to be right.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cli/cli.h>

#include "traces.h"
#include "unit.h"

#define HEAD "arrival_s,duration_s,cpus,memory,priority\n"
#define HOST "[Capacity]\nCPU=4\nMemory=4G\n[Ratio]\nCPU=1\n"
#define S UINT64_C(1000000)

static uint64_t random_state;

static uint64_t any(uint64_t below) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        return (random_state >> 24) % below;
}

/* A trace on @hosts of HOST with @more in its broker.conf. */
static void simulate(struct trace *trace, struct sim_result *result, struct sim_stats *stats,
                     const char *text, const char *more, uint64_t hosts, enum place_policy place) {
        struct sim_setup setup = {.trace = trace, .hosts = hosts, .place = place};
        struct policy *policy;
        struct why why = {};
        char host[1024];

        snprintf(host, sizeof(host), HOST "%s", more);
        policy = traces_host(host);
        need_that(traces_read(trace, text, &why) == 0, "%s", why.text);
        traces_simulate(result, policy, trace, hosts, SIM_FIFO, place);
        setup.policy = policy;
        if (stats)
                need_int(sim_stats_make(stats, &setup, result), 0);
        policy_free(policy);
}

static void expect_waits(const char *text, const char *more, uint64_t hosts,
                         enum place_policy place, const double *seconds) {
        struct trace trace;
        struct sim_result result;

        simulate(&trace, &result, NULL, text, more, hosts, place);
        for (size_t i = 0; i < trace.n; i++) {
                uint64_t wanted =
                        seconds[i] < 0 ? SIM_REJECTED : (uint64_t)(seconds[i] * (double)S + 0.5);

                expect_that(result.waits_usec[i] == wanted, "claim %zu: %f s, not %f", i,
                            (double)result.waits_usec[i] / (double)S, seconds[i]);
        }
        trace_deinit(&trace);
        sim_result_deinit(&result);
}

static void claims_wait_for_those_before_them(void) {
        /* 3 CPUs until 10; 2 wait for that, 1 does not pass them, though it would fit. */
        expect_waits(HEAD "0,10,3,1G,0\n1,5,2,1G,0\n2,5,1,1G,0\n20,1,4,4G,0\n", "", 1, 0,
                     (const double[]){0, 9, 8, 0});
        /* What ends at an instant is there for what arrives then; no time at all is fine. */
        expect_waits(HEAD "0,10,4,1G,0\n10,0,4,1G,0\n10,0,4,1G,0\n10,1,4,1G,0\n", "", 1, 0,
                     (const double[]){0, 0, 0, 0});
        /* Memory, too. */
        expect_waits(HEAD "0,10,1,3G,0\n1,5,1,2G,0\n", "", 1, 0, (const double[]){0, 9});
}

/* One host of HOST, in an order. */
static void expect_order(const char *text, enum sim_order order, const double *seconds) {
        struct policy *policy = traces_host(HOST);
        struct sim_result result;
        struct trace trace;
        struct why why = {};

        need_that(traces_read(&trace, text, &why) == 0, "%s", why.text);
        traces_simulate(&result, policy, &trace, 1, order, PLACE_FIRST_FIT);
        for (size_t i = 0; i < trace.n; i++)
                expect_that(result.waits_usec[i] == (uint64_t)(seconds[i] * (double)S + 0.5),
                            "%s: claim %zu: %f s, not %f", sim_order_name(order), i,
                            (double)result.waits_usec[i] / (double)S, seconds[i]);
        trace_deinit(&trace);
        sim_result_deinit(&result);
        policy_free(policy);
}

static void a_priority_more_is_worth_a_second_of_waiting(void) {
        static const char early[] = HEAD "0,10,4,1G,0\n1,5,4,1G,0\n2,5,4,1G,10\n";
        static const char late[] = HEAD "0,20,4,1G,0\n1,5,4,1G,0\n12,5,4,1G,10\n";

        expect_order(early, SIM_FIFO, (const double[]){0, 9, 13});
        expect_order(early, SIM_PRIORITY, (const double[]){0, 14, 8});
        expect_order(late, SIM_FIFO, (const double[]){0, 19, 13});
        expect_order(late, SIM_PRIORITY, (const double[]){0, 19, 13});
}

static void backfill_lets_pass_who_does_not_delay_the_first(void) {
        /* The second waits until 10 for the first. The third is over by then; the last is not, and
         * what is left beside the second is nothing, or enough for it. */
        static const char nothing[] = HEAD "0,10,3,1G,0\n1,5,4,1G,0\n2,5,1,1G,0\n3,20,1,1G,0\n";
        static const char enough[] = HEAD "0,10,3,1G,0\n1,5,3,1G,0\n2,5,1,1G,0\n3,20,1,1G,0\n";

        expect_order(nothing, SIM_FIFO, (const double[]){0, 9, 13, 12});
        expect_order(nothing, SIM_BACKFILL, (const double[]){0, 9, 0, 12});
        expect_order(enough, SIM_FIFO, (const double[]){0, 9, 8, 12});
        expect_order(enough, SIM_BACKFILL, (const double[]){0, 9, 0, 4});
}

static void what_can_never_fit_is_rejected_and_holds_up_nobody(void) {
        struct trace trace;
        struct sim_result result;
        char name[64];

        simulate(&trace, &result, NULL,
                 HEAD "0,10,4,1G,0\n1,5,5,1G,0\n1,5,1,1G,0\n2,5,1,64G,0\n2,5,1,65G,0\n", "", 1, 0);
        expect_uint(result.waits_usec[1], SIM_REJECTED);
        expect_uint(result.waits_usec[2], 9 * S);
        expect_uint(result.rejected[SIM_HOST + RESOURCE_CPU].n, 1);
        expect_uint(result.rejected[SIM_HOST + RESOURCE_CPU].line, 3);
        expect_uint(result.rejected[SIM_HOST + RESOURCE_CPU].asked, 5000);
        expect_uint(result.rejected[SIM_HOST + RESOURCE_CPU].possible, 4000);
        expect_uint(result.rejected[SIM_HOST + RESOURCE_MEMORY].n, 2);
        expect_uint(result.rejected[SIM_HOST + RESOURCE_MEMORY].asked, UINT64_C(65) << 30);
        expect_str(sim_rejection_name(SIM_HOST + RESOURCE_MEMORY, name, sizeof(name)),
                   "memory of the host");
        trace_deinit(&trace);
        sim_result_deinit(&result);
}

static void the_hosts_own_bounds_hold(void) {
        expect_waits(HEAD "0,10,1,1G,0\n1,5,1,1G,0\n", "[Broker]\nMaxVMs=1\n", 1, 0,
                     (const double[]){0, 9});
        expect_waits(HEAD "0,10,4,1G,0\n1,5,1,1G,0\n1,5,1,1G,0\n", "[Broker]\nMaxQueued=1\n", 1, 0,
                     (const double[]){0, 9, -1});
        expect_waits(HEAD "0,10,4,1G,0\n1,5,4,1G,0\n", "[Ratio]\nCPU=2\n", 1, 0,
                     (const double[]){0, 0});
        expect_waits(HEAD "0,10,2,1G,0\n1,5,2,1G,0\n", "[Reserve]\nCPU=1\n", 1, 0,
                     (const double[]){0, 9});
        /* The pool's own terms: 2 CPUs, each once; half of them at a time, and 80 % of memory. */
        expect_waits(HEAD "0,10,2,1G,0\n1,5,1,1G,0\n2,5,3,1G,0\n",
                     "[Pool]\nMode=fixed\nCpus=2\nMemory=2G\n", 1, 0, (const double[]){0, 9, -1});
        expect_waits(HEAD "0,10,2,1G,0\n1,5,2,1G,0\n2,5,1,3355440K,0\n", "[Pool]\nMode=auto\n", 1,
                     0, (const double[]){0, 9, 13});
        expect_waits(HEAD "0,10,2,1G,0\n1,5,2,1G,0\n2,5,3,1G,0\n", "[Gates]\nMaxCpus=2\n", 2, 0,
                     (const double[]){0, 0, -1});
        /* What is added to a claim, as the broker does. */
        expect_waits(HEAD "0,10,1,4G,0\n0,5,1,3G,0\n", "[Enforce]\nMemoryOverhead=1M\n", 1, 0,
                     (const double[]){-1, 0});
}

/* Slice "a" has two CPUs, "a/b" in it and "c" beside it have no limit of their own. */
static void what_a_slice_holds_counts_in_the_slice_around_it(void) {
        static const char *const names[] = {"a", "a/b", "c"};
        struct policy *policy = traces_host(HOST);
        struct sim_result result;
        struct trace trace;
        struct why why = {};

        policy->slices = calloc(ARRAY_SIZE(names), sizeof(*policy->slices));
        need(policy->slices != NULL);
        policy->n_slices = ARRAY_SIZE(names);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct slice_policy *slice = &policy->slices[i];

                snprintf(slice->name, sizeof(slice->name), "%s", names[i]);
                slice->vms_max = POLICY_NONE;
                for (unsigned axis = 0; axis < _RESOURCE_N; axis++) {
                        slice->limit.amount[axis] = slice->vm_max.amount[axis] = POLICY_NONE;
                        slice->ratio_milli.amount[axis] = 1000;
                }
        }
        policy->slices[0].limit.amount[RESOURCE_CPU] = 2000;
        need_that(traces_read(&trace,
                              "arrival_s,duration_s,cpus,memory,priority,slice\n"
                              "0,10,2,1G,0,a/b\n1,5,1,1G,0,a\n2,5,1,1G,0,a/b\n3,5,2,1G,0,c\n"
                              "4,5,3,1G,0,a/b\n",
                              &why) == 0,
                  "%s", why.text);
        traces_simulate(&result, policy, &trace, 1, SIM_FIFO, 0);
        expect_uint(result.waits_usec[0], 0);
        expect_uint(result.waits_usec[1], 9 * S);
        expect_uint(result.waits_usec[2], 8 * S);
        expect_uint(result.waits_usec[3], 0);
        expect_uint(result.waits_usec[4], SIM_REJECTED);
        trace_deinit(&trace);
        sim_result_deinit(&result);
        policy_free(policy);
}

static void the_larger_direction_of_the_network_counts_or_each_by_itself(void) {
        static const char text[] = "arrival_s,duration_s,cpus,memory,download,upload\n"
                                   "0,10,1,1G,600Mbps,100Mbps\n"
                                   "1,10,1,1G,100Mbps,600Mbps\n";

        expect_waits(text, "[Ratio]\nNetwork=1\n[Capacity]\nNetwork=1Gbps\n", 1, 0,
                     (const double[]){0, 9});
        expect_waits(text,
                     "[Ratio]\nNetwork=1\n[Capacity]\nNetwork=1Gbps\n[Network]\nFullDuplex=yes\n",
                     1, 0, (const double[]){0, 0});
        /* Nothing is known of it: nothing limits it. */
        expect_waits(text, "", 1, 0, (const double[]){0, 0});
}

static void a_fleet_puts_a_claim_where_it_starts_at_once(void) {
        /* Two hosts: 3 and 1 CPUs taken. First-fit and best-fit fill up the first. */
        static const char text[] = HEAD "0,100,3,1G,0\n"
                                        "0,100,2,1G,0\n"
                                        "1,100,1,1G,0\n"
                                        "2,100,2,1G,0\n";

        expect_waits(text, "", 2, PLACE_FIRST_FIT, (const double[]){0, 0, 0, 0});
        expect_waits(text, "", 2, PLACE_BEST_FIT, (const double[]){0, 0, 0, 0});
        /* Spread puts the third on the second host, and the last has to wait. */
        expect_waits(text, "", 2, PLACE_SPREAD, (const double[]){0, 0, 0, 98});
}

static void without_room_a_claim_queues_where_the_fewest_wait(void) {
        /* Both full until 100 and 50; the third waits at the first host, the fourth at the second,
         * the fifth at the first again. */
        expect_waits(HEAD "0,100,4,1G,0\n0,50,4,1G,0\n1,10,4,1G,0\n2,10,4,1G,0\n3,10,4,1G,0\n", "",
                     2, PLACE_FIRST_FIT, (const double[]){0, 0, 99, 48, 107});
}

static void the_figures_are_those_of_the_waits(void) {
        struct trace trace;
        struct sim_result result;
        struct sim_stats stats;
        double sold = 0, waited = 0;

        /* One after the other, waits of 0, 9, 18, 27 s; then nothing for a while. */
        simulate(&trace, &result, &stats,
                 HEAD
                 "0,10,4,1G,1\n1,10,4,1G,1\n2,10,2,2G,0\n2,10,3,1G,0\n90,10,4,1G,1\n0,1,9,1G,0\n",
                 "", 1, 0);
        expect_uint(stats.all.n, 5);
        expect_uint(stats.n_rejected, 1);
        expect_uint(stats.all.waited, 3);
        expect_uint(stats.all.mean_usec, (9 + 18 + 28) * S / 5);
        expect_uint(stats.all.p50_usec, 9 * S);
        expect_uint(stats.all.p90_usec, 28 * S);
        expect_uint(stats.all.max_usec, 28 * S);
        expect_uint(result.begin_usec, 0);
        expect_uint(result.end_usec, 100 * S);
        expect_uint(result.waiting_max, 3);
        expect_within(stats.used[RESOURCE_CPU], 0.4249, 0.4251);
        expect_within(stats.used[RESOURCE_MEMORY], 0.1499, 0.1501);
        expect(stats.used[RESOURCE_GPU] < 0);
        /* The curves add up to the same. */
        for (size_t i = 0; i < SIM_SERIES_N; i++) {
                sold += stats.used_series[0][i] / SIM_SERIES_N;
                waited += stats.waiting_series[i] / SIM_SERIES_N * 100;
        }
        expect_within(sold, 0.4249, 0.4251);
        expect_within(waited, 54.99, 55.01);
        need_uint(stats.n_priorities, 2);
        expect_int(stats.priorities[0].priority, 1);
        expect_uint(stats.priorities[0].n, 3);
        expect_uint(stats.priorities[0].max_usec, 9 * S);
        expect_int(stats.priorities[1].priority, 0);
        expect_uint(stats.priorities[1].mean_usec, 23 * S);
        trace_deinit(&trace);
        sim_result_deinit(&result);
        sim_stats_deinit(&stats);
}

#define CLAIMS 14

/* One host by looking at everything at each instant there is: a simulation that is simple enough to
 * be right. */
struct slow {
        const struct trace *trace;
        enum sim_order order;
        enum { TO_COME, WAITS, RUNS, OVER } state[CLAIMS];
        uint64_t ends[CLAIMS], started[CLAIMS], waits[CLAIMS];
        uint64_t cpu, memory, n_started; /* free */
};

static void slow_start(struct slow *slow, size_t i, uint64_t now) {
        const struct row *row = &slow->trace->rows[i];

        slow->state[i] = RUNS;
        slow->started[i] = slow->n_started++;
        slow->waits[i] = now - row->arrival_usec;
        slow->ends[i] = now + row->duration_usec;
        slow->cpu -= row->cpu_milli;
        slow->memory -= row->memory_bytes;
}

static bool slow_fits(const struct row *row, uint64_t cpu, uint64_t memory) {
        return row->cpu_milli <= cpu && row->memory_bytes <= memory;
}

/* Who is first of those that wait; CLAIMS: nobody. */
static size_t slow_first(const struct slow *slow) {
        int64_t least = 0, came = 0; /* nanoseconds: of those of one time the first came first */
        size_t first = CLAIMS;

        for (size_t i = 0; i < CLAIMS; i++) {
                const struct row *row = &slow->trace->rows[i];
                int64_t key, arrival = (int64_t)row->arrival_usec * 1000;

                came = arrival > came ? arrival : came + 1;
                key = came;
                if (slow->order == SIM_PRIORITY)
                        key -= row->priority * (int64_t)S * 1000;
                if (slow->state[i] == WAITS && (first == CLAIMS || key < least)) {
                        first = i;
                        least = key;
                }
        }
        return first;
}

/* The next that may pass @first, which does not fit: CLAIMS: nobody. */
static size_t slow_passes(const struct slow *slow, size_t first, uint64_t now) {
        const struct row *rows = slow->trace->rows;
        uint64_t cpu = slow->cpu, memory = slow->memory, at = now;
        bool counted[CLAIMS] = {};

        /* When it will fit: after the first ends that are enough. (Of several at one instant not
         * all need be counted on.) */
        while (!slow_fits(&rows[first], cpu, memory)) {
                size_t next = CLAIMS;

                for (size_t i = 0; i < CLAIMS; i++)
                        if (slow->state[i] == RUNS && !counted[i] &&
                            (next == CLAIMS || slow->ends[i] < slow->ends[next]))
                                next = i;
                need(next < CLAIMS);
                counted[next] = true;
                at = slow->ends[next];
                cpu += rows[next].cpu_milli;
                memory += rows[next].memory_bytes;
        }
        for (size_t i = 0; i < CLAIMS; i++)
                if (slow->state[i] == WAITS && i != first &&
                    slow_fits(&rows[i], slow->cpu, slow->memory) &&
                    (now + rows[i].duration_usec <= at ||
                     slow_fits(&rows[i], cpu - rows[first].cpu_milli,
                               memory - rows[first].memory_bytes)))
                        return i;
        return CLAIMS;
}

static void slow_settle(struct slow *slow, uint64_t now) {
        size_t first;

        while ((first = slow_first(slow)) < CLAIMS) {
                if (!slow_fits(&slow->trace->rows[first], slow->cpu, slow->memory)) {
                        if (slow->order != SIM_BACKFILL)
                                return;
                        first = slow_passes(slow, first, now);
                        if (first == CLAIMS)
                                return;
                }
                slow_start(slow, first, now);
        }
}

/* One event; false: there is none. */
static bool slow_step(struct slow *slow) {
        uint64_t at = UINT64_MAX;
        size_t next = CLAIMS;

        for (size_t i = 0; i < CLAIMS; i++)
                if (slow->state[i] == RUNS &&
                    (next == CLAIMS || slow->ends[i] < at ||
                     (slow->ends[i] == at && slow->started[i] < slow->started[next]))) {
                        at = slow->ends[i];
                        next = i;
                }
        for (size_t i = 0; i < CLAIMS; i++)
                if (slow->state[i] == TO_COME && slow->trace->rows[i].arrival_usec < at) {
                        at = slow->trace->rows[i].arrival_usec;
                        next = i;
                }
        if (next == CLAIMS)
                return false;
        if (slow->state[next] == RUNS) {
                slow->state[next] = OVER;
                slow->cpu += slow->trace->rows[next].cpu_milli;
                slow->memory += slow->trace->rows[next].memory_bytes;
        } else {
                slow->state[next] = WAITS;
        }
        slow_settle(slow, at);
        return true;
}

static void compare(const struct policy *policy, const struct trace *trace, enum sim_order order,
                    unsigned *waitedp) {
        struct slow slow = {
                .trace = trace,
                .order = order,
                .cpu = 4000,
                .memory = UINT64_C(4) << 30,
        };
        struct sim_result result;

        while (slow_step(&slow))
                ;
        traces_simulate(&result, policy, trace, 1, order, PLACE_FIRST_FIT);
        for (size_t i = 0; i < CLAIMS; i++) {
                need_that(result.waits_usec[i] == slow.waits[i], "%s: claim %zu: %llu, not %llu us",
                          sim_order_name(order), i, (unsigned long long)result.waits_usec[i],
                          (unsigned long long)slow.waits[i]);
                *waitedp += slow.waits[i] > 0;
        }
        sim_result_deinit(&result);
}

static void one_host_does_what_a_simple_simulation_does(void) {
        struct policy *policy = traces_host(HOST);
        unsigned waited[_SIM_ORDER_N] = {};

        random_state = 11;
        for (unsigned round = 0; round < 2000; round++) {
                struct row rows[CLAIMS] = {};
                struct trace trace = {.rows = rows, .n = CLAIMS};
                char empty[] = "", *names[1] = {empty};
                uint64_t now = 0;

                trace.slices = (struct names){.list = names, .n = 1};
                for (size_t i = 0; i < CLAIMS; i++) {
                        now += any(4) * S;
                        rows[i] = (struct row){
                                .arrival_usec = now,
                                .duration_usec = (1 + any(12)) * S,
                                .cpu_milli = 500 * (1 + any(8)),
                                .memory_bytes = (1 + any(4)) << 30,
                                .priority = (int32_t)any(20),
                                .line = (uint32_t)i + 2,
                        };
                }
                for (enum sim_order order = 0; order < _SIM_ORDER_N; order++)
                        compare(policy, &trace, order, &waited[order]);
        }
        unit_note("of %u claims waited %u (fifo), %u (priority), %u (backfill)", 2000 * CLAIMS,
                  waited[SIM_FIFO], waited[SIM_PRIORITY], waited[SIM_BACKFILL]);
        expect(waited[SIM_BACKFILL] < waited[SIM_FIFO]);
        policy_free(policy);
}

/* ---- the command */

struct files {
        char dir[64], trace[96], host[96], svg[96];
};

static void put(const char *path, const char *text) {
        FILE *file = fopen(path, "we");

        need(file != NULL);
        fputs(text, file);
        need_int(fclose(file), 0);
}

static void files_init(struct files *files, const char *trace) {
        strcpy(files->dir, "/tmp/provium-simulate-XXXXXX");
        need(mkdtemp(files->dir) != NULL);
        snprintf(files->trace, sizeof(files->trace), "%s/trace.csv", files->dir);
        snprintf(files->host, sizeof(files->host), "%s/host.conf", files->dir);
        snprintf(files->svg, sizeof(files->svg), "%s/plot.svg", files->dir);
        put(files->trace, trace);
        put(files->host, HOST);
}

static void files_deinit(struct files *files) {
        unlink(files->trace);
        unlink(files->host);
        unlink(files->svg);
        expect_int(rmdir(files->dir), 0);
}

/* Runs `provium simulate` with the words, up to a NULL; the caller frees the output. */
static int provium(char **outputp, char **errorsp, const char *word, ...) {
        char *argv[32] = {(char *)"provium", (char *)"simulate"};
        size_t n_output, n_errors;
        int argc = 2, status;
        FILE *out, *err;
        va_list words;

        va_start(words, word);
        for (; word; word = va_arg(words, const char *))
                argv[argc++] = (char *)word;
        va_end(words);
        out = open_memstream(outputp, &n_output);
        err = open_memstream(errorsp, &n_errors);
        need(out && err);
        status = cli_main(argc, argv, out, err);
        fclose(out);
        fclose(err);
        return status;
}

static void the_command_prints_tables_objects_and_a_picture(void) {
        char *first = NULL, *output = NULL, *errors = NULL, picture[100] = "";
        struct files files;
        json_t *object;
        FILE *file;

        files_init(&files, HEAD "0,10,3,1G,5\n1,5,2,1G,0\n1,1,9,1G,0\n");
        expect_int(provium(&output, &errors, "--host", files.host, files.trace, "--svg", files.svg,
                           NULL),
                   STATUS_OK);
        expect_str(errors, "");
        expect_in(output, "3 claims on 1 host, 15s from the first arrival");
        expect_in(output, "fifo         2       1  4.5s   0s   9s   9s   9s         1");
        expect_in(output, "rejected: 1, from line 4 on: cpu of the host (up to 9 asked, at most 4");
        file = fopen(files.svg, "re");
        need(file != NULL);
        expect(fgets(picture, sizeof(picture), file) != NULL);
        expect_in(picture, "<svg xmlns=");
        fclose(file);
        free(output);
        free(errors);

        for (unsigned i = 0; i < 2; i++) {
                expect_int(provium(&output, &errors, "--json", "--host", files.host, "--hosts", "3",
                                   "--place", "spread,best-fit", files.trace, NULL),
                           STATUS_OK);
                free(errors);
                if (first) {
                        expect_str(output, first);
                        free(output);
                } else {
                        first = output;
                }
        }
        object = json_loads(first, JSON_DISABLE_EOF_CHECK, NULL);
        need(object != NULL);
        expect_str(json_string_value(json_object_get(object, "place")), "best-fit");
        expect_int(json_integer_value(json_object_get(object, "rejected")), 1);
        json_decref(object);
        expect_in(first, "\"place\":\"spread\"");
        free(first);
        files_deinit(&files);
}

static void mistakes_are_told_and_have_their_status(void) {
        static const struct {
                const char *words[5];
                int status;
                const char *sentence;
        } bad[] = {
                {{NULL}, STATUS_USAGE, "give TRACE"},
                {{"TRACE", "--hosts", "0"}, STATUS_USAGE, "from 1 to 100000"},
                {{"TRACE", "--hosts", "-3"}, STATUS_USAGE, "--hosts: "},
                {{"TRACE", "--place", "worst-fit"}, STATUS_USAGE, "none of first-fit"},
                {{"TRACE", "--order", "lifo"}, STATUS_USAGE, "'lifo'"},
                {{"/nonexistent/trace"}, STATUS_NOT_FOUND, "cannot read /nonexistent/trace"},
                {{"TRACE", "--host", "/nonexistent"}, STATUS_NOT_FOUND, "cannot read /nonexistent"},
                {{"TRACE", "--host", "TRACE"}, STATUS_BAD_POLICY, "trace.csv:1: "},
                {{"TRACE", "--host", "/dev/null"}, STATUS_BAD_POLICY, "CPU= and Memory="},
                {{"HOST"}, STATUS_BAD_DATA, "host.conf:1: unknown column '[Capacity]'"},
                {{"/tmp"}, STATUS_NOT_FOUND, "/tmp: cannot be read"},
                {{"TRACE", "--svg", "/nonexistent/x.svg"}, STATUS_OUTPUT, "cannot write"},
        };
        struct files files;

        files_init(&files, HEAD "0,10,3,1G,5\n");
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                const char *words[7] = {"--host", files.host};
                char *output = NULL, *errors = NULL;
                int status;

                for (size_t j = 0; j < ARRAY_SIZE(bad[i].words) && bad[i].words[j]; j++)
                        words[j + 2] = strcmp(bad[i].words[j], "TRACE") == 0  ? files.trace
                                       : strcmp(bad[i].words[j], "HOST") == 0 ? files.host
                                                                              : bad[i].words[j];
                status = provium(&output, &errors, words[0], words[1], words[2], words[3], words[4],
                                 words[5], words[6], NULL);
                expect_that(status == bad[i].status, "%zu: %d: %s", i, status, errors);
                expect_in(errors, bad[i].sentence);
                free(output);
                free(errors);
        }
        files_deinit(&files);
}

UNIT_MAIN(TEST(claims_wait_for_those_before_them),
          TEST(a_priority_more_is_worth_a_second_of_waiting),
          TEST(backfill_lets_pass_who_does_not_delay_the_first),
          TEST(what_can_never_fit_is_rejected_and_holds_up_nobody), TEST(the_hosts_own_bounds_hold),
          TEST(what_a_slice_holds_counts_in_the_slice_around_it),
          TEST(the_larger_direction_of_the_network_counts_or_each_by_itself),
          TEST(a_fleet_puts_a_claim_where_it_starts_at_once),
          TEST(without_room_a_claim_queues_where_the_fewest_wait),
          TEST(the_figures_are_those_of_the_waits),
          TEST(one_host_does_what_a_simple_simulation_does),
          TEST(the_command_prints_tables_objects_and_a_picture),
          TEST(mistakes_are_told_and_have_their_status), )

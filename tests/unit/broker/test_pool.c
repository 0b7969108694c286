/* SPDX-License-Identifier: MIT */
#include <broker/host.h>
#include <broker/options.h>
#include <cgroup/root.h>
#include <policies/policy.h>
#include <policies/pool.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#define GIB (UINT64_C(1) << 30)

/* A host of 10,000,000 KiB and however many CPUs there are. */
struct place {
        char proc[32];
        struct broker_policy policy;
        struct host host;
        struct demand reserve, ratio_milli;
        uint64_t online; /* thousandths */
};

static void discover(struct place *place) {
        const struct options options = {.proc_dir = place->proc, .sys_dir = "/nonexistent"};
        const struct cgroup_root root = {.path = "/nonexistent", .mount = "/nonexistent"};

        host_discover(&place->host, &options, "/dev", &place->policy, &root);
        place->reserve = place->policy.reserve;
        place->ratio_milli = place->policy.ratio_milli;
        pool_apply_terms(&place->policy, &place->reserve, &place->ratio_milli);
}

static void place_init(struct place *place) {
        char path[64];
        FILE *file;

        memset(place, 0, sizeof(*place));
        strcpy(place->proc, "/tmp/provium-test-pool-XXXXXX");
        need(mkdtemp(place->proc) != NULL);
        snprintf(path, sizeof(path), "%s/meminfo", place->proc);
        file = fopen(path, "w");
        need(file != NULL);
        fputs("MemTotal:       10000000 kB\nMemAvailable:    1000000 kB\n", file);
        fclose(file);
        strcpy(place->policy.data_directory, "/");
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                place->policy.capacity.amount[i] = POLICY_AUTO;
                place->policy.ratio_milli.amount[i] = 4000;
                place->policy.reserve.amount[i] = 7;
        }
        place->policy.pool.memory_bytes = place->policy.pool.cpu_milli = POLICY_AUTO;
        place->policy.gates.cpu_milli_max = POLICY_AUTO;
        discover(place);
        place->online = place->host.capacity.amount[RESOURCE_CPU];
}

static void place_deinit(struct place *place) {
        char path[64];

        snprintf(path, sizeof(path), "%s/meminfo", place->proc);
        expect(unlink(path) == 0 && rmdir(place->proc) == 0);
}

static void an_oversubscribed_pool_is_what_capacity_reserve_and_ratio_say(void) {
        struct place place;

        place_init(&place);
        expect_uint(place.host.capacity.amount[RESOURCE_MEMORY], 10000000 * UINT64_C(1024));
        expect_uint(place.reserve.amount[RESOURCE_MEMORY], 7);
        expect_uint(place.ratio_milli.amount[RESOURCE_CPU], 4000);
        expect_uint(host_cpus_at_a_time(&place.host, &place.policy), UINT64_MAX);
        place_deinit(&place);
}

static void a_fixed_pool_is_its_budget_whatever_the_host_has(void) {
        struct place place;

        place_init(&place);
        place.policy.pool = (struct pool_policy){.mode = POOL_FIXED,
                                                 .memory_bytes = 4 * GIB,
                                                 .cpu_milli = 12345,
                                                 .overcommit_milli = 1500};
        place.policy.capacity.amount[RESOURCE_CPU] = 1;
        discover(&place);
        expect_uint(place.host.capacity.amount[RESOURCE_CPU], 12345);
        expect_uint(place.host.capacity.amount[RESOURCE_MEMORY], 4 * GIB);
        expect_int(place.host.source[RESOURCE_CPU], SOURCE_CONFIGURED);
        expect_uint(place.ratio_milli.amount[RESOURCE_CPU], 1500);
        expect_uint(place.ratio_milli.amount[RESOURCE_MEMORY], 1000);
        expect_uint(place.reserve.amount[RESOURCE_CPU], 0);
        expect_uint(place.reserve.amount[RESOURCE_MEMORY], 0);
        /* What is not CPU or memory is as ever. */
        expect_uint(place.reserve.amount[RESOURCE_DISK], 7);
        expect_uint(place.ratio_milli.amount[RESOURCE_DISK_IO], 4000);
        place_deinit(&place);
}

static void an_auto_pool_is_most_of_the_memory_and_runs_half_of_the_cpus_at_a_time(void) {
        struct place place;
        uint64_t half;

        place_init(&place);
        place.policy.pool.mode = POOL_AUTO;
        discover(&place);
        expect_uint(place.host.capacity.amount[RESOURCE_MEMORY], 8000000 * UINT64_C(1024));
        expect_str(place.host.detail[RESOURCE_MEMORY], "80 % of MemTotal");
        expect_uint(place.host.capacity.amount[RESOURCE_CPU], place.online);
        expect_uint(place.ratio_milli.amount[RESOURCE_CPU], 1000);
        expect_uint(place.reserve.amount[RESOURCE_MEMORY], 0);

        half = place.online / 1000 / 2;
        expect_uint(host_cpus_at_a_time(&place.host, &place.policy), (half < 2 ? 2 : half) * 1000);
        place.host.capacity.amount[RESOURCE_CPU] = 1000;
        expect_uint(host_cpus_at_a_time(&place.host, &place.policy), 2000);
        place.host.capacity.amount[RESOURCE_CPU] = 9000;
        expect_uint(host_cpus_at_a_time(&place.host, &place.policy), 4000);
        place.policy.gates.cpu_milli_max = 500;
        expect_uint(host_cpus_at_a_time(&place.host, &place.policy), 500);
        place.policy.gates.cpu_milli_max = POLICY_NONE;
        expect_uint(host_cpus_at_a_time(&place.host, &place.policy), UINT64_MAX);
        place_deinit(&place);
}

static int parse(struct options *options, const char *const *words) {
        char *argv[16] = {(char *)"provium-broker"};
        int argc = 1;

        while (words[argc - 1]) {
                argv[argc] = (char *)words[argc - 1];
                argc++;
        }
        optind = 0;
        return options_parse(options, argc, argv);
}
#define PARSE(options, ...) parse(options, (const char *const[]){__VA_ARGS__, NULL})

static void the_command_line_states_a_fixed_pool_whole_or_not_at_all(void) {
        struct options options;

        expect_int(PARSE(&options, "--mem", "4G", "--cpus", "8"), OPTIONS_RUN);
        expect_uint(options.pool_memory_bytes, 4 * GIB);
        expect_uint(options.pool_cpu_milli, 8000);
        expect_uint(options.pool_overcommit_milli, 0);
        expect_int(PARSE(&options, "--mem=4G", "--cpus=8", "--cpu-overcommit=1.5", "--no-ksm"),
                   OPTIONS_RUN);
        expect_uint(options.pool_overcommit_milli, 1500);
        expect(options.no_ksm);
        expect_int(PARSE(&options, "--mem", "4G"), OPTIONS_USAGE);
        expect_int(PARSE(&options, "--cpus", "4"), OPTIONS_USAGE);
        expect_int(PARSE(&options, "--cpu-overcommit", "2"), OPTIONS_USAGE);
        expect_int(PARSE(&options, "--mem", "4X", "--cpus", "4"), OPTIONS_USAGE);
        expect_int(PARSE(&options, "--mem", "-4G", "--cpus", "4"), OPTIONS_USAGE);
        expect_int(PARSE(&options, "--mem", "0", "--cpus", "4"), OPTIONS_USAGE);
        expect_int(PARSE(&options, "--mem", "4G", "--cpus", "0"), OPTIONS_USAGE);
        expect_int(PARSE(&options, "--mem", "99999999999999999999G", "--cpus", "4"), OPTIONS_USAGE);
        expect_int(PARSE(&options, "--mem", "4G", "--cpus", "4", "--cpu-overcommit", "nan"),
                   OPTIONS_USAGE);
}

static void an_overcommit_out_of_range_is_moved_and_that_is_told(void) {
        bool clamped;

        expect_uint(policy_clamp_overcommit(1500, &clamped), 1500);
        expect(!clamped);
        expect_uint(policy_clamp_overcommit(9000, &clamped), 8000);
        expect(clamped);
        expect_uint(policy_clamp_overcommit(1, &clamped), 500);
        expect(clamped);
}

UNIT_MAIN(TEST(an_oversubscribed_pool_is_what_capacity_reserve_and_ratio_say),
          TEST(a_fixed_pool_is_its_budget_whatever_the_host_has),
          TEST(an_auto_pool_is_most_of_the_memory_and_runs_half_of_the_cpus_at_a_time),
          TEST(the_command_line_states_a_fixed_pool_whole_or_not_at_all),
          TEST(an_overcommit_out_of_range_is_moved_and_that_is_told), )

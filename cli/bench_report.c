/* SPDX-License-Identifier: MIT */
/*
 * What `provium bench disk` has found: as a table, as JSON, and as a drop-in of the policy.
 */
#include <jansson.h>
#include <stdio.h>

#include <base/units.h>
#include <base/why.h>
#include <cli/bench.h>
#include <cli/cli.h>
#include <cli/dropin.h>
#include <cli/human.h>
#include <cli/table.h>
#include <policies/policy.h>

#define DROPIN_NAME "50-disk-io.conf"

static const struct {
        const char *title, *key;
} phases[_FIO_N] = {
        [FIO_SEQUENTIAL_WRITE] = {"sequential write, 1M", "sequential_write"},
        [FIO_SEQUENTIAL_READ] = {"sequential read, 1M", "sequential_read"},
        [FIO_RANDOM_WRITE] = {"random write, 4k", "random_write"},
        [FIO_RANDOM_READ] = {"random read, 4k", "random_read"},
};

const char *bench_phase_title(enum fio_way way) {
        return phases[way].title;
}

int bench_load_policy(const struct bench *bench, struct policy **policyp) {
        _cleanup_(freep) struct policy_errors *errors = calloc(1, sizeof(*errors));
        int r;

        if (!errors)
                return fault(-ENOMEM);
        r = policy_load(policyp, bench->config_dir, bench->vendor_dir, errors);
        return r < 0 ? r : 0;
}

/* ---- the result ---- */

/* "350MB/s", however large: what a person compares with the table above it. */
static void config_text(const struct bench *bench, char text[64]) {
        char rate[UNITS_TEXT_MAX];

        if (bench->disk_io_bytes_per_s % 1000000 == 0)
                snprintf(rate, sizeof(rate), "%juMB/s",
                         (uintmax_t)(bench->disk_io_bytes_per_s / 1000000));
        else
                units_exact_rate(bench->disk_io_bytes_per_s, rate, sizeof(rate));
        snprintf(text, 64, "[Capacity]\nDiskIO=%s\n", rate);
}

static void add_latency(struct table *table, uint64_t ns) {
        char text[UNITS_TEXT_MAX];

        table_add(table, units_format_duration(ns / 1000, text, sizeof(text)));
}

static int print_table(const struct bench *bench) {
        static const struct column columns[] = {{"PHASE", false, false},
                                                {"MB/S", true, false},
                                                {"IOPS", true, false},
                                                {"MEDIAN", true, false},
                                                {"P99", true, false}};
        struct table table;
        char text[64];
        int r;

        table_init(&table, columns, ARRAY_SIZE(columns));
        for (int i = 0; i < _FIO_N; i++) {
                const struct fio_result *result = &bench->results[i];

                table_add(&table, phases[i].title);
                snprintf(text, sizeof(text), "%.1f", (double)result->bytes_per_s / 1e6);
                table_add(&table, text);
                snprintf(text, sizeof(text), "%ju", (uintmax_t)result->iops);
                table_add(&table, text);
                add_latency(&table, result->median_ns);
                add_latency(&table, result->p99_ns);
        }
        r = table_print(&table, bench->cli->out, table_terminal_width(bench->cli->out));
        table_deinit(&table);
        return r;
}

static int print_text(const struct bench *bench) {
        char config[64];
        char safe[HUMAN_TEXT_MAX];
        int r;

        r = print_table(bench);
        if (r)
                return cli_fault(bench->cli, r);
        config_text(bench, config);
        fprintf(bench->cli->out, "\n%s", config);
        if (bench->save)
                fprintf(bench->cli->out,
                        "\nsaved as %s/" DROPIN_DIR "/" DROPIN_NAME
                        "; 'provium policy reload' puts it in force\n",
                        human_safe(bench->config_dir, safe));
        return 0;
}

static json_t *phase_object(const struct fio_result *result) {
        return json_pack("{sI sI sI sI}", "bytes_per_s", (json_int_t)result->bytes_per_s, "iops",
                         (json_int_t)result->iops, "latency_median_ns",
                         (json_int_t)result->median_ns, "latency_p99_ns",
                         (json_int_t)result->p99_ns);
}

static int print_json(const struct bench *bench) {
        char safe[HUMAN_TEXT_MAX];
        json_t *object;

        /* Escaped only if it must be: JSON wants UTF-8. */
        object = json_pack("{ss ss ss si sI si sI sb}", "path", human_safe(bench->path, safe),
                           "fio", bench->version, "engine", fio_engine_name(bench->engine), "depth",
                           bench->engine == FIO_PSYNC ? 1 : FIO_DEPTH, "size_bytes",
                           (json_int_t)bench->size_bytes, "seconds", (int)bench->seconds,
                           "disk_io_bytes_per_s", (json_int_t)bench->disk_io_bytes_per_s, "saved",
                           bench->save);
        for (int i = 0; i < _FIO_N && object; i++)
                json_object_set_new(object, phases[i].key, phase_object(&bench->results[i]));
        if (!object)
                return cli_fault(bench->cli, -ENOMEM);
        cli_print_json(bench->cli, object);
        json_decref(object);
        return 0;
}

/* ---- the drop-in ---- */

static int tell_dropin(const struct bench *bench, int r, const struct why *why) {
        static const int status[] = {
                [DROPIN_E_ABSENT] = STATUS_NOT_FOUND,
                [DROPIN_E_DENIED] = STATUS_DENIED,
                [DROPIN_E_HOST] = STATUS_PROBLEM,
        };

        return r ? cli_fail(bench->cli, status[r], "--save: %s", why->text) : 0;
}

/* A drop-in with a later name may say otherwise, and then counts. */
static int check_saved(const struct bench *bench) {
        _cleanup_(policy_freep) struct policy *policy = NULL;
        uint64_t in_files;
        int r;

        r = bench_load_policy(bench, &policy);
        if (r)
                return cli_fault(bench->cli, r);
        if (!policy) {
                cli_say(bench->cli, "the policy has errors; 'provium policy check' lists them");
                return 0;
        }
        in_files = policy->broker.capacity.amount[RESOURCE_DISK_IO];
        if (in_files != bench->disk_io_bytes_per_s)
                cli_say(bench->cli, "another drop-in sets DiskIO= too, and counts");
        return 0;
}

int bench_save(const struct bench *bench) {
        char text[256], config[64];
        struct why why = {};
        int status;

        config_text(bench, config);
        snprintf(text, sizeof(text),
                 "# Measured by 'provium bench disk --save', which writes this file anew.\n%s",
                 config);
        status = tell_dropin(bench, dropin_write(bench->config_dir, DROPIN_NAME, text, &why), &why);
        return status ?: check_saved(bench);
}

int bench_check_save(const struct bench *bench) {
        struct why why = {};

        return tell_dropin(bench, dropin_check(bench->config_dir, &why), &why);
}

int bench_print(const struct bench *bench) {
        return bench->cli->json ? print_json(bench) : print_text(bench);
}

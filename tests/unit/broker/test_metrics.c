/* SPDX-License-Identifier: MIT */

/*
 * What /metrics says: the format, the names, and that the table in docs/metrics.md is of them. The
 * survey is made up; that its numbers are the kernel's is shown in the rig.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <admission/ledger.h>
#include <base/macro.h>
#include <broker/metrics.h>

#include "unit.h"

#define NASTY "a\\b\"c\nd"

/* Two VMs, of which one says nothing but its CPU time and one everything; a slice; a disk. */
static struct survey *make_survey(void) {
        struct survey *survey = calloc(1, sizeof(*survey));
        struct survey_vm *vm;

        survey->n_refs = 1;
        survey->vms = calloc(3, sizeof(*survey->vms));
        survey->slices = calloc(1, sizeof(*survey->slices));
        survey->devices = calloc(1, sizeof(*survey->devices));
        survey->disks.list = calloc(1, sizeof(*survey->disks.list));
        survey->n_vms = 3;
        survey->n_slices = survey->n_devices = survey->disks.n = 1;
        survey->took_usec = 1500;
        strcpy(survey->slices[0].name, "ci/nightly");
        survey->slices[0].present = true;
        survey->slices[0].usage.known = UINT32_MAX;
        survey->slices[0].usage.cpu_usec = 7000001;
        survey->slices[0].usage.n_disks = 1;
        survey->devices[0].dev = survey->disks.list[0].dev = makedev(8, 0);
        strcpy(survey->devices[0].name, "sda");
        survey->disks.list[0].read_bytes = 4096;

        vm = &survey->vms[0];
        strcpy(vm->id, "98s3ac2pqvkui41j");
        strcpy(vm->name, "web");
        vm->present = vm->has_traffic = vm->has_shaping = true;
        vm->state = LEASE_RUNNING;
        vm->uid = 1000;
        vm->charge[RESOURCE_CPU] = 1500;
        vm->memory_limit_bytes = 1 << 20;
        vm->usage.known = UINT32_MAX;
        vm->usage.cpu_usec = 2500000;
        vm->usage.n_disks = 1;
        vm->upload.bytes = 11;
        vm->download.shaping_drops = 12;
        vm = &survey->vms[1];
        strcpy(vm->name, NASTY);
        vm->present = true;
        vm->state = LEASE_RUNNING;
        vm->memory_limit_bytes = UINT64_MAX;
        vm->usage.known = USAGE_CPU;
        vm->usage.cpu_usec = 1;
        strcpy(survey->vms[2].name, "ended");
        survey->vms[2].state = LEASE_KILLING;
        return survey;
}

static struct metrics *make(uid_t uid) {
        struct metrics *metrics = calloc(1, sizeof(*metrics));

        metrics->survey = make_survey();
        metrics->uid = uid;
        metrics->n_slices = 1;
        metrics->slices = calloc(1, sizeof(*metrics->slices));
        strcpy(metrics->proc_dir, "/proc");
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                metrics->shown[i] = true;
        metrics->slices[0].limit[RESOURCE_MEMORY] = LEDGER_NO_LIMIT;
        metrics->amounts[RESOURCE_CPU][METRICS_CAPACITY] = 4250;
        metrics->waiting[WAIT_POOL_FULL] = 3;
        metrics->started_ns = UINT64_C(1700000000123456789);
        reason_note(&metrics->meter.refused, "too_large");
        reason_note(&metrics->meter.released, "exit");
        histogram_note(&metrics->meter.admission, 3000000);
        histogram_note(&metrics->meter.admission, UINT64_C(400000000000));
        metrics_render(metrics);
        need(!metrics->text.failed);
        return metrics;
}

static char *render(uid_t uid) {
        struct metrics *metrics = make(uid);
        char *text = strndup(metrics->text.body, metrics->text.n);

        metrics_free(metrics);
        return text;
}

static void values_have_their_units_and_labels_are_escaped(void) {
        char *text = render(0);

        expect_in(text, "\nprovium_cpu_capacity_cores 4.250\n");
        expect_in(text,
                  "\nprovium_vm_cpu_seconds_total{vm=\"web\",slice=\"ci/nightly\"} 2.500000\n");
        expect_in(text,
                  "\nprovium_vm_cpu_seconds_total{vm=\"a\\\\b\\\"c\\nd\",slice=\"ci/nightly\"} "
                  "0.000001\n");
        expect_in(text, "\nprovium_slice_cpu_seconds_total{slice=\"ci/nightly\"} 7.000001\n");
        expect_in(text,
                  "\nprovium_vm_io_bytes_total{vm=\"web\",slice=\"ci/nightly\",device=\"sda\","
                  "direction=\"read\"} 4096\n");
        expect_in(text, "\nprovium_vm_network_bytes_total{vm=\"web\",slice=\"ci/nightly\","
                        "direction=\"upload\"} 11\n");
        expect_in(text, "\nprovium_claims_waiting{reason=\"pool_full\"} 3\n");
        expect_in(text, "\nprovium_claims_refused_total{reason=\"too_large\"} 1\n");
        expect_in(text, "\nprocess_start_time_seconds 1700000000.123456789\n");
        free(text);
}

static void histograms_are_cumulative(void) {
        char *text = render(0);

        expect_in(text, "\nprovium_admission_seconds_bucket{le=\"0.0025\"} 0\n");
        expect_in(text, "\nprovium_admission_seconds_bucket{le=\"0.005\"} 1\n");
        expect_in(text, "\nprovium_admission_seconds_bucket{le=\"300\"} 1\n");
        expect_in(text, "\nprovium_admission_seconds_bucket{le=\"+Inf\"} 2\n");
        expect_in(text, "\nprovium_admission_seconds_sum 400.003000000\n");
        expect_in(text, "\nprovium_admission_seconds_count 2\n");
        free(text);
}

static void what_is_not_known_is_left_out(void) {
        char *text = render(0);

        expect(!strstr(text, "provium_vm_memory_bytes{vm=\"a"));
        expect(!strstr(text, "provium_vm_memory_limit_bytes{vm=\"a"));
        expect(!strstr(text, "provium_vm_network_bytes_total{vm=\"a"));
        expect(!strstr(text, "ended"));
        expect(!strstr(text, "provium_slice_memory_limit_bytes{"));
        expect_in(text, "\nprovium_slice_disk_limit_bytes{slice=\"ci/nightly\"} 0\n");
        free(text);
}

static void others_see_no_vms_but_their_own(void) {
        char *text = render(1000);

        expect_in(text, "vm=\"web\"");
        expect(!strstr(text, "vm=\"a"));
        free(text);
        text = render((uid_t)-1);
        expect(!strstr(text, "vm=\""));
        expect_in(text, "\nprovium_slice_cpu_seconds_total{slice=\"ci/nightly\"} 7.000001\n");
        free(text);
}

static void reasons_are_bounded(void) {
        struct reason_counts counts = {};
        char reason[80];

        for (unsigned i = 0; i < 1000; i++) {
                snprintf(reason, sizeof(reason), "reason%u", i % 50);
                reason_note(&counts, reason);
        }
        memset(reason, 'x', sizeof(reason) - 1);
        reason[sizeof(reason) - 1] = '\0';
        reason_note(&counts, reason);
        expect_uint(counts.n, METER_REASONS);
        expect_uint(counts.list[0].n, 20);
        expect_uint(counts.n_other, (50 - METER_REASONS) * 20 + 1);
}

/* ---- the table ---- */

struct table {
        char *text;
        size_t n;
        const char *output;
};

static void add_row(void *userdata, const struct metrics_family *family) {
        struct table *table = userdata;
        char line[600], labels[100] = "", *at = labels;

        for (const char *c = family->labels; *c; c++)
                at += sprintf(at, *c == ' ' ? ", " : "%c", *c);
        table->n += (size_t)snprintf(line, sizeof(line), "| `%s` | %s | %s | %s |\n", family->name,
                                     metrics_type_name(family->type), labels, family->help);
        table->text = realloc(table->text, table->n + 1);
        strcpy(table->text + table->n - strlen(line), line);
        snprintf(line, sizeof(line), "\n# TYPE %s %s\n", family->name,
                 metrics_type_name(family->type));
        expect_that(!table->output || strstr(table->output, line), "%s is in the output",
                    family->name);
}

static char *read_all(const char *path) {
        char *text = calloc(1, 1 << 20);
        FILE *file = fopen(path, "r");

        need(file != NULL);
        need(fread(text, 1, (1 << 20) - 1, file) > 0);
        fclose(file);
        return text;
}

static void the_documents_table_is_of_these_families(void) {
        struct table table = {.text = calloc(1, 1)};
        char path[512], *text;

        snprintf(path, sizeof(path), "%s/docs/metrics.md", getenv("PROVIUM_SOURCE") ?: ".");
        metrics_each_family(add_row, &table);
        text = read_all(path);
        if (!strstr(text, table.text))
                unit_note("docs/metrics.md should have this table:\n%s", table.text);
        expect(strstr(text, table.text) != NULL);
        free(text);
        free(table.text);
}

static void every_family_is_told_and_no_other(void) {
        char *text = render(0);
        struct table table = {.text = calloc(1, 1), .output = text};
        unsigned rows = 0, told = 0;

        metrics_each_family(add_row, &table);
        for (const char *c = table.text; *c; c++)
                rows += *c == '\n';
        for (const char *c = text; (c = strstr(c, "# TYPE ")); c++)
                told++;
        expect_uint(told, rows);
        free(table.text);
        free(text);
}

static void promtool_finds_nothing_wrong(void) {
        char *text = render(0), path[] = "/tmp/provium-test-metrics-XXXXXX", command[128];
        int fd = mkstemp(path), status;
        FILE *file = fdopen(fd, "w");

        need(file != NULL);
        fputs(text, file);
        fclose(file);
        free(text);
        if (system("command -v promtool >/dev/null") != 0) {
                remove(path);
                unit_skip("promtool is not installed: tools/install-deps --test");
        }
        snprintf(command, sizeof(command), "promtool check metrics <%s 2>&1", path);
        status = system(command);
        remove(path);
        expect_int(WEXITSTATUS(status), 0);
}

UNIT_MAIN(TEST(values_have_their_units_and_labels_are_escaped), TEST(histograms_are_cumulative),
          TEST(what_is_not_known_is_left_out), TEST(others_see_no_vms_but_their_own),
          TEST(reasons_are_bounded), TEST(the_documents_table_is_of_these_families),
          TEST(every_family_is_told_and_no_other), TEST(promtool_finds_nothing_wrong), )

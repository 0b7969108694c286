/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 280 */
/*
 * /metrics of a real broker: read by promtool and by a real Prometheus, and beside the kernel's own
 * files. (What is said of taps and disks is test_stats': the numbers are the same survey's.)
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <base/macro.h>

#include "house.h"
#include "links.h"

#define CONF HOUSE_CONF "[HTTP]\nListen=127.0.0.1:9787\nShow=all\n"
#define GET "curl -sf --max-time 20 --unix-socket " HOUSE_DIR "/run/http http://localhost"
#define SPINNER "provium_vm_cpu_seconds_total{vm=\"spinner\",slice=\"t\"}"
#define PROMETHEUS "/run/prometheus"

static void start(const char *const *words) {
        struct job job;

        expect_int(job_run(&job, words), 0);
}
#define START(...)                                                                                 \
        start((const char *const[]){"provium", "run", "--slice", "t", "--detach", __VA_ARGS__,     \
                                    NULL})

/* The value of the sample that begins so, in thousandths; -1: there is none. */
static int64_t sample(const char *text, const char *series) {
        char line[256];
        const char *at;

        snprintf(line, sizeof(line), "\n%s ", series);
        at = strstr(text, line);
        return at ? (int64_t)(strtod(at + strlen(line), NULL) * 1000 + 0.5) : -1;
}

static char *metrics(void) {
        return sh_text(GET "/metrics");
}

/* One in which @series is at least @least, in thousandths: what is told is told again for a second.
 */
static char *metrics_with(const char *series, int64_t least) {
        uint64_t until = now_ms() + HOUSE_WAIT_MS;

        for (;;) {
                char *text = metrics();

                if (sample(text, series) >= least)
                        return text;
                need_that(now_ms() < until, "%s comes to %lld", series, (long long)least);
                free(text);
                usleep(100000); /* until it is told anew, nothing tells us */
        }
}

static void what_is_told_is_what_the_kernel_says(void) {
        json_int_t before, after;
        char path[1100], *group, *text;
        struct house house;
        int64_t told;

        house_open(&house, CONF, NULL);
        START("--name", "spinner", "--cpus", "0.5", "--", "vm", "spin");
        START("--name", "rest", "--", "vm", "rest");
        group = vm_path("spinner");
        snprintf(path, sizeof(path), "%s/cpu.stat", group);
        before = file_key(path, "usage_usec");
        text = metrics_with(SPINNER, before / 1000);
        after = file_key(path, "usage_usec");
        told = sample(text, SPINNER);
        expect_that(told >= before / 1000 && told <= after / 1000 + 1,
                    "%lld ms, which the kernel said was %lld us before and %lld us after",
                    (long long)told, (long long)before, (long long)after);
        expect_int(sample(text, "provium_vm_memory_limit_bytes{vm=\"rest\",slice=\"t\"}") / 1000,
                   16 << 20);
        expect_int(sample(text, "provium_vms{state=\"running\"}"), 2000);
        expect_int(sample(text, "provium_cpu_allocated_cores"), 600);
        expect_int(sample(text, "provium_cpu_capacity_cores"), 4000);
        expect_int(sample(text, "provium_memory_allocated_bytes") / 1000, 2 * (16 << 20));
        expect_int(sample(text, "provium_slice_vms{slice=\"t\"}"), 2000);
        expect_int(sample(text, "provium_claims_granted_total"), 2000);
        expect_int(sample(text, "provium_exec_seconds_count"), 2000);
        expect_int(sample(text, "provium_events_total{kind=\"vm_spawned\"}"), 2000);
        expect_within((double)sample(text, "process_open_fds") / 1000, 5,
                      count_fds(house.broker) + 8);
        expect(sample(text, "process_resident_memory_bytes") > 0);
        expect(sample(text, "provium_loop_turn_seconds_count") > 0);
        free(text);
        free(group);
        house_close(&house);
}

static void refusals_ends_and_waits_are_counted(void) {
        struct house house;
        struct news news;
        struct job waits, job;
        char *text;

        house_open(&house, CONF, NULL);
        news_open(&news);
        START("--name", "big", "--mem", "390M", "--", "vm", "rest");
        JOB_RUN(&waits, "--name", "waits", "--mem", "100M", "--", "vm", "rest");
        news_wait(&news, "claim_queued", "waits");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--mem", "4G", "--", "vm", "rest"),
                   75);
        text = metrics_with("provium_claims_refused_total{reason=\"too_large\"}", 1000);
        expect_int(sample(text, "provium_claims_waiting{reason=\"pool_full\"}"), 1000);
        expect(sample(text, "provium_claims_longest_wait_seconds{reason=\"pool_full\"}") > 0);
        expect_int(sample(text, "provium_claims_refused_total{reason=\"too_large\"}"), 1000);
        free(text);
        expect_int(SHELL(&job, "provium", "kill", "big", "--grace", "0s"), 0);
        news_wait(&news, "vm_spawned", "waits");
        expect_int(SHELL(&job, "provium", "kill", "waits", "--grace", "0s"), 0);
        text = metrics_with("provium_claims_released_total{reason=\"kill\"}", 2000);
        expect_int(sample(text, "provium_claims_released_total{reason=\"kill\"}"), 2000);
        expect_int(sample(text, "provium_claims_granted_total"), 2000);
        free(text);
        job_wait(&waits, HOUSE_WAIT_MS);
        news_close(&news);
        house_close(&house);
}

static void promtool_finds_nothing_wrong(void) {
        struct house house;

        if (system("command -v promtool >/dev/null") != 0)
                unit_skip("promtool is not installed: tools/install-deps --test");
        house_open(&house, CONF, NULL);
        START("--name", "one", "--", "vm", "rest");
        sh("set -e; exec 2>&1; " GET
           "/metrics >/tmp/metrics; promtool check metrics </tmp/metrics");
        sh("set -e; exec 2>&1; " GET "/stats | jq -e '.vms[0].name == \"one\"'");
        house_close(&house);
}

static bool has_scraped(void *userdata) {
        char **textp = userdata;

        free(*textp);
        *textp = sh_text("curl -s --max-time 5 'http://127.0.0.1:9090/api/v1/query?query=%s'",
                         "provium_vm_claimed_cores");
        return strstr(*textp, "\"0.1\"") != NULL;
}

static void a_real_prometheus_scrapes_it(void) {
        struct house house;
        struct job server;
        char *text = NULL;

        if (system("command -v prometheus >/dev/null") != 0)
                unit_skip("prometheus is not installed: tools/install-deps --test");
        sh("ip link set lo up; mkdir -p " PROMETHEUS);
        house_open(&house, CONF, NULL);
        START("--name", "one", "--", "vm", "rest");
        sh("printf 'global: {scrape_interval: 1s}\\nscrape_configs:\\n- job_name: provium\\n"
           "  static_configs: [{targets: [\"127.0.0.1:9787\"]}]\\n' >" PROMETHEUS "/conf");
        JOB(&server, "prometheus", "--config.file=" PROMETHEUS "/conf",
            "--storage.tsdb.path=" PROMETHEUS "/data", "--web.listen-address=127.0.0.1:9090");
        expect_that(wait_until(has_scraped, &text, 150000), "the last answer is %s", text);
        free(text);
        text = sh_text("curl -s 'http://127.0.0.1:9090/api/v1/targets' | jq -r "
                       "'.data.activeTargets[0] | .health + \" \" + .lastError'");
        expect_str(text, "up \n");
        free(text);
        job_kill(&server, SIGKILL);
        job_wait(&server, HOUSE_WAIT_MS);
        house_close(&house);
}

UNIT_MAIN(TEST(what_is_told_is_what_the_kernel_says), TEST(refusals_ends_and_waits_are_counted),
          TEST(promtool_finds_nothing_wrong), TEST(a_real_prometheus_scrapes_it), )

/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --smp 2 --timeout 280 */
/*
 * What holds back a start besides the books: pressure that is real, made by processes that burn
 * CPUs; memory that others have. Averages of ten seconds rise and fall slowly, and so do these
 * tests.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "house.h"

#define GATES_ON "[Broker]\nKSM=no\n[Gates]\nPSI=yes\n"
#define BURN "/sys/fs/cgroup/burn"
#define BURNERS 8
#define SLOW_MS 90000

static pid_t burners[BURNERS];

/* More tasks than CPUs, in a group that is none of ours. */
static void burn(void) {
        char pid[16];

        mkdir(BURN, 0755);
        for (size_t i = 0; i < BURNERS; i++) {
                burners[i] = fork();
                if (burners[i] == 0)
                        for (;;)
                                ;
                snprintf(pid, sizeof(pid), "%d", burners[i]);
                need_int(file_put(BURN "/cgroup.procs", pid), 0);
        }
}

static void quench(void) {
        for (size_t i = 0; i < BURNERS; i++) {
                if (burners[i] > 0) {
                        kill(burners[i], SIGKILL);
                        waitpid(burners[i], NULL, 0);
                }
                burners[i] = 0;
        }
}

static const json_t *next_pressure(struct news *news, const char *state) {
        uint64_t until = now_ms() + SLOW_MS;
        const json_t *event;

        while (now_ms() < until && (event = news_next(news, SLOW_MS))) {
                const char *kind = json_string_value(json_object_get(event, "kind"));
                const char *is = json_string_value(json_object_get(event, "state"));

                if (strcmp(kind, "pressure") == 0 && strcmp(is, state) == 0)
                        return event;
        }
        need_that(false, "the pressure is never '%s'", state);
        return NULL;
}

static void gates_open(struct house *house) {
        house_open(house, NULL, NULL);
        house_gates(GATES_ON);
        house_reload(house);
}

/* The state of the gate for pressure. */
static const char *gate_state(char text[32]) {
        json_t *reply = ask("Resources", NULL);
        const json_t *resources =
                json_object_get(json_object_get(reply, "parameters"), "resources");

        snprintf(text, 32, "%s",
                 json_string_value(json_object_get(json_object_get(resources, "gates"), "pressure"))
                         ?: "?");
        json_decref(reply);
        return text;
}

/* "some avg10" of all CPUs, in per cent. */
static double cpu_pressure(const char *path) {
        char text[512], *at;

        file_get(path, text, sizeof(text));
        at = strstr(text, "some avg10=");
        return at ? strtod(at + strlen("some avg10="), NULL) : -1;
}

static bool is_pressed(void *userdata) {
        return cpu_pressure("/proc/pressure/cpu") > 65;
}

static bool are_back(void *userdata) {
        return count_waiting() == 3;
}

static void a_short_host_pauses_starts_and_goes_on_one_by_one(void) {
        uint64_t last_ns = 0, started_ns[3] = {};
        struct job first, waiting[3], job;
        struct house house;
        struct news news;
        const json_t *event;
        char state[32], log[64];

        gates_open(&house);
        JOB_RUN(&first, "--name", "first", "--", "vm", "listen");
        job_wait_out(&first, "ready");
        news_open(&news);
        burn();
        event = next_pressure(&news, "paused");
        expect_str(json_string_value(json_object_get(event, "resource")), "cpu");

        expect_int(
                SHELL(&job, "provium", "run", "--slice", "t", "--no-wait", "--", "vm", "exit", "0"),
                75);
        expect_in(job.err, "psi_pressure: some task waits for a CPU ");
        expect_in(job.err, "after more than 50.00 % nothing is started until it is below 30.00 %");
        for (unsigned i = 0; i < 3; i++) {
                char name[16];

                snprintf(name, sizeof(name), "w%u", i);
                JOB_RUN(&waiting[i], "--name", name, "--", "vm", "listen");
                job_wait_err(&waiting[i], "waiting: psi_pressure");
        }
        expect_int(SHELL(&job, "provium", "explain", "w2"), 0);
        expect_in(job.out, "psi_pressure");
        expect_str(gate_state(state), "paused");
        /* Who runs is not held up: it answers. */
        job_kill(&first, SIGUSR1);
        job_wait_out(&first, "got 10");

        /* A broker that was killed does not begin with letting them all go. */
        news_close(&news);
        house_kill(&house);
        house_start(&house);
        expect_str(gate_state(state), "paused");
        need(wait_until(are_back, NULL, SLOW_MS));
        expect_int(count_vms(), 1);
        news_open(&news);

        quench();
        next_pressure(&news, "one_by_one");
        for (unsigned i = 0; i < 3; i++) {
                char name[16];

                snprintf(name, sizeof(name), "w%u", i);
                event = news_wait(&news, "claim_acquired", name);
                started_ns[i] = (uint64_t)json_integer_value(json_object_get(event, "ts_ns"));
                expect_that(i == 0 || started_ns[i] - last_ns >= 1900000000,
                            "%s starts %ju ms after the one before it", name,
                            (uintmax_t)(started_ns[i] - last_ns) / 1000000);
                last_ns = started_ns[i];
                snprintf(log, sizeof(log), "%u ms",
                         (unsigned)((last_ns - started_ns[0]) / 1000000));
                unit_note("%s %s after the first", name, log);
        }
        next_pressure(&news, "open");
        expect_int(
                SHELL(&job, "provium", "run", "--slice", "t", "--no-wait", "--", "vm", "exit", "0"),
                0);
        news_close(&news);
        house_end_all(&house);
        for (unsigned i = 0; i < 3; i++)
                job_wait(&waiting[i], HOUSE_WAIT_MS);
        job_wait(&first, HOUSE_WAIT_MS);
        house_close(&house);
}

static void a_vm_that_its_own_limit_holds_back_pauses_nobody_but_want_of_cpus_does(void) {
        struct house house;
        struct job vm, job;
        struct news news;
        char state[32], *path, file[1200];
        uint64_t until;

        gates_open(&house);
        news_open(&news);
        JOB_RUN(&vm, "--name", "held", "--cpus", "0.2", "--", "vm", "spin", "4");
        job_wait_out(&vm, "ready");
        /* The host's pressure says that there is a shortage... */
        need(wait_until(is_pressed, NULL, SLOW_MS));
        /* ... for as long as it would take to be believed: the triggers come every two seconds. */
        until = now_ms() + 6000;
        while (now_ms() < until) {
                expect_str(gate_state(state), "open");
                poll(NULL, 0, 500);
        }
        path = vm_path("held");
        snprintf(file, sizeof(file), "%s/cpu.pressure", path);
        free(path);
        unit_note("cpu some avg10: host %.2f, the VM %.2f", cpu_pressure("/proc/pressure/cpu"),
                  cpu_pressure(file));
        expect(is_pressed(NULL));
        expect_int(
                SHELL(&job, "provium", "run", "--slice", "t", "--no-wait", "--", "vm", "exit", "0"),
                0);
        expect_int(SHELL(&job, "provium", "show", "held"), 0);
        expect_in(job.out, "../cpu.pressure");

        burn();
        next_pressure(&news, "paused");
        quench();
        news_close(&news);
        house_end_all(&house);
        job_wait(&vm, HOUSE_WAIT_MS);
        house_close(&house);
}

static unsigned long switches(pid_t pid) {
        char path[64], text[4096], *at;

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        file_get(path, text, sizeof(text));
        at = strstr(text, "\nvoluntary_ctxt_switches:");
        need(at != NULL);
        return strtoul(at + strlen("\nvoluntary_ctxt_switches:"), NULL, 10);
}

static bool is_quiet(void *broker) {
        unsigned long before = switches(*(pid_t *)broker);

        poll(NULL, 0, 2000);
        return switches(*(pid_t *)broker) == before;
}

static void an_idle_broker_that_heeds_pressure_is_not_woken(void) {
        unsigned long before, after;
        struct house house;
        struct job vm;

        gates_open(&house);
        JOB_RUN(&vm, "--name", "rests", "--", "vm", "rest");
        job_wait_out(&vm, "ready");
        /* What the start has left for later is done. */
        need(wait_until(is_quiet, &house.broker, SLOW_MS));
        before = switches(house.broker);
        poll(NULL, 0, 5000); /* this is what is measured */
        after = switches(house.broker);
        expect_uint(after - before, 0);
        house_end_all(&house);
        job_wait(&vm, HOUSE_WAIT_MS);
        house_close(&house);
}

UNIT_MAIN(TEST(a_short_host_pauses_starts_and_goes_on_one_by_one),
          TEST(a_vm_that_its_own_limit_holds_back_pauses_nobody_but_want_of_cpus_does),
          TEST(an_idle_broker_that_heeds_pressure_is_not_woken), )

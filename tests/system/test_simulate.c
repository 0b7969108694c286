/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --beside */
/*
 * What a broker really did, told by its own events, is what the simulation of those says.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "house.h"

#define EVENTS HOUSE_DIR "/events.json"

static void start(struct job *job, const char *name, const char *cpus) {
        JOB_RUN(job, "--name", name, "--cpus", cpus, "--mem", "16M", "--", "sleep", "1000");
}

/* How long it waited, in microseconds, once it is admitted. */
static json_int_t wait_admitted(struct news *news, const char *name) {
        const json_t *event = news_wait(news, "claim_acquired", name);

        return json_integer_value(json_object_get(event, "admission_us"));
}

static void end(struct news *news, struct job *job, const char *name) {
        job_kill(job, SIGTERM);
        news_wait(news, "claim_released", name);
}

static void save_events(void) {
        struct job job;

        need_int(SHELL(&job, "sh", "-c", "exec provium events --json > " EVENTS), 0);
}

static json_int_t member(const json_t *object, const char *key) {
        return json_integer_value(json_object_get(object, key));
}

static void a_brokers_events_simulated_on_its_policy_wait_as_they_did(void) {
        struct job first, second, third, simulation;
        json_int_t second_us, third_us;
        struct house house;
        struct news news;
        json_t *outcome, *waits;

        /* 4 CPUs: the second waits for the first, and the third, which would fit, behind it. */
        house_open(&house, NULL, NULL);
        news_open(&news);
        start(&first, "first", "3");
        expect_int(wait_admitted(&news, "first") / 1000000, 0);
        start(&second, "second", "2");
        news_wait(&news, "claim_queued", "second");
        start(&third, "third", "1");
        news_wait(&news, "claim_queued", "third");
        end(&news, &first, "first");
        second_us = wait_admitted(&news, "second");
        third_us = wait_admitted(&news, "third");
        end(&news, &second, "second");
        end(&news, &third, "third");
        job_wait(&first, HOUSE_WAIT_MS);
        job_wait(&second, HOUSE_WAIT_MS);
        job_wait(&third, HOUSE_WAIT_MS);

        save_events();
        need_int(SHELL(&simulation, "provium", "--json", "simulate", "--host", HOUSE_ETC, EVENTS),
                 0);
        expect_str(simulation.err, "");
        outcome = json_loads(simulation.out, JSON_DISABLE_EOF_CHECK, NULL);
        need(outcome != NULL);
        waits = json_object_get(outcome, "wait_us");
        unit_note("waited %lld and %lld us, simulated at most %lld", (long long)second_us,
                  (long long)third_us, (long long)member(waits, "max"));
        expect_int(member(outcome, "started"), 3);
        expect_int(member(outcome, "rejected"), 0);
        expect_int(member(outcome, "waited"), 2);
        /* The broker is no quicker than the books allow, and the simulation knows nothing slower: a
         * microsecond for each rounding, and what the two clocks drift apart. */
        expect(member(waits, "max") <= second_us + 2000);
        expect(member(waits, "p50") <= third_us + 2000);
        expect(member(waits, "p50") > 0);
        json_decref(outcome);
        news_close(&news);
        house_close(&house);
}

UNIT_MAIN(TEST(a_brokers_events_simulated_on_its_policy_wait_as_they_did), )

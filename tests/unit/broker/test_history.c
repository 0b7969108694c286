/* SPDX-License-Identifier: MIT */
#include <broker/broker.h>
#include <broker/history.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#define STEP HISTORY_STEP_USEC
#define START (UINT64_C(1000000) * STEP)

/* A broker with books, and a directory in the kernel's place. */
struct world {
        struct broker broker;
        struct history *history;
        char dir[64];
};

static void kernel_says(struct world *world, unsigned long long cpu_usec,
                        unsigned long long memory) {
        FILE *file;
        char path[128];

        snprintf(path, sizeof(path), "%s/cpu.stat", world->dir);
        need((file = fopen(path, "w")));
        fprintf(file, "usage_usec %llu\nuser_usec 1\n", cpu_usec);
        fclose(file);
        snprintf(path, sizeof(path), "%s/memory.current", world->dir);
        need((file = fopen(path, "w")));
        fprintf(file, "%llu\n", memory);
        fclose(file);
}

static struct world *world_new(void) {
        struct world *world = calloc(1, sizeof(*world));

        need(world);
        strcpy(world->dir, "/tmp/provium-history.XXXXXX");
        need(mkdtemp(world->dir));
        need_int(sd_event_new(&world->broker.event), 0);
        world->broker.root.dir_fd = open(world->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        kernel_says(world, 0, 0);
        world->history = history_new(&world->broker, START);
        need(world->history);
        return world;
}

static void world_free(struct world *world) {
        char path[128];

        history_free(world->history);
        sd_event_unref(world->broker.event);
        close(world->broker.root.dir_fd);
        snprintf(path, sizeof(path), "%s/cpu.stat", world->dir);
        unlink(path);
        snprintf(path, sizeof(path), "%s/memory.current", world->dir);
        unlink(path);
        rmdir(world->dir);
        free(world);
}

static void sold(struct world *world, uint64_t cpu_milli) {
        world->broker.ledger.allocated.amount[RESOURCE_CPU] = cpu_milli;
}

/* The step @back before the last: -1 is null, -2 that there is none. */
static json_int_t at(const json_t *report, const char *group, const char *name, size_t back) {
        const json_t *row = group ? json_object_get(json_object_get(report, group), name)
                                  : json_object_get(report, name);
        size_t n = json_array_size(row);
        const json_t *value = back < n ? json_array_get(row, n - 1 - back) : NULL;

        return !value ? -2 : json_is_null(value) ? -1 : json_integer_value(value);
}

static void a_step_in_which_nothing_happened_is_as_the_one_before(void) {
        struct world *world = world_new();
        json_t *report;

        sold(world, 3000);
        history_note(world->history, START + STEP);
        report = history_report(world->history, START + 5 * STEP);
        expect_int(at(report, "sold", "cpu", 0), 3000);
        expect_int(at(report, "sold", "cpu", 3), 3000);
        expect_int(at(report, "sold", "cpu", 4), 3000);
        expect_int(at(report, "sold", "cpu", 5), 0);
        expect_int(at(report, "sold", "cpu", 6), -1);
        json_decref(report);
        world_free(world);
}

static void what_was_sold_for_a_moment_is_seen(void) {
        struct world *world = world_new();
        json_t *report;

        sold(world, 3000);
        world->broker.queue.n = 7;
        world->broker.ledger.vms = 2;
        history_note(world->history, START + STEP);
        sold(world, 0);
        world->broker.queue.n = 0;
        world->broker.ledger.vms = 0;
        history_note(world->history, START + STEP + 1);
        report = history_report(world->history, START + 2 * STEP);
        expect_int(at(report, "sold", "cpu", 1), 3000);
        expect_int(at(report, NULL, "waiting", 1), 7);
        expect_int(at(report, NULL, "vms", 1), 2);
        expect_int(at(report, "sold", "cpu", 0), 0);
        expect_int(at(report, NULL, "waiting", 0), 0);
        json_decref(report);
        world_free(world);
}

static void cpu_time_that_nobody_looked_at_is_a_mean_and_memory_is_unknown(void) {
        struct world *world = world_new();
        json_t *report;

        /* Half a CPU for ten steps. */
        kernel_says(world, 10 * STEP / 2, 4096);
        report = history_report(world->history, START + 10 * STEP);
        expect_int(at(report, "used", "cpu", 0), 500);
        expect_int(at(report, "used", "cpu", 9), 500);
        expect_int(at(report, "used", "memory", 0), 4096);
        expect_int(at(report, "used", "memory", 5), -1);
        json_decref(report);
        world_free(world);
}

static void a_counter_that_went_back_says_nothing(void) {
        struct world *world = world_new();
        json_t *report;

        kernel_says(world, 5 * STEP, 4096);
        json_decref(history_report(world->history, START + STEP));
        kernel_says(world, 1, 4096);
        report = history_report(world->history, START + 2 * STEP);
        expect_int(at(report, "used", "cpu", 0), -1);
        json_decref(report);
        world_free(world);
}

static void the_ring_holds_an_hour_and_no_more(void) {
        struct world *world = world_new();
        json_t *report;

        sold(world, 1000);
        history_note(world->history, START + STEP);
        sold(world, 2000);
        history_note(world->history, START + 2 * STEP);
        report = history_report(world->history, START + (HISTORY_STEPS + 1) * STEP);
        expect_int(at(report, "sold", "cpu", HISTORY_STEPS - 1), 2000);
        expect_int(at(report, "sold", "cpu", HISTORY_STEPS), -2);
        json_decref(report);
        /* However long nobody came. */
        report = history_report(world->history, START + 1000 * HISTORY_STEPS * STEP);
        expect_int(at(report, "sold", "cpu", HISTORY_STEPS - 1), 2000);
        expect_int(at(report, "used", "cpu", HISTORY_STEPS - 1), 0);
        json_decref(report);
        world_free(world);
}

static void a_host_that_is_up_for_a_minute_has_no_hour(void) {
        struct world *world = world_new();
        json_t *report;

        world->history = history_free(world->history);
        world->history = history_new(&world->broker, STEP / 2);
        need(world->history);
        report = history_report(world->history, 6 * STEP);
        expect_int(at(report, "sold", "cpu", 6), 0);
        expect_int(at(report, "sold", "cpu", 7), -2);
        json_decref(report);
        world_free(world);
}

static void nobody_is_woken_until_somebody_asked(void) {
        struct world *world = world_new();

        history_note(world->history, broker_now_usec());
        expect_int(sd_event_prepare(world->broker.event), 0);
        expect_int(sd_event_wait(world->broker.event, 0), 0);
        json_decref(history_report(world->history, broker_now_usec() - 3 * STEP));
        expect_int(sd_event_prepare(world->broker.event), 0);
        expect_int(sd_event_wait(world->broker.event, 5000000), 1);
        expect(sd_event_dispatch(world->broker.event) > 0);
        world_free(world);
}

UNIT_MAIN(TEST(a_step_in_which_nothing_happened_is_as_the_one_before),
          TEST(what_was_sold_for_a_moment_is_seen),
          TEST(cpu_time_that_nobody_looked_at_is_a_mean_and_memory_is_unknown),
          TEST(a_counter_that_went_back_says_nothing), TEST(the_ring_holds_an_hour_and_no_more),
          TEST(a_host_that_is_up_for_a_minute_has_no_hour),
          TEST(nobody_is_woken_until_somebody_asked), )

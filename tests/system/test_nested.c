/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --timeout 300 */
/*
 * Slices that lie in each other: what is sold inside is sold of both, and held by both.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "house.h"

#define RUN(job, slice, name, ...)                                                                 \
        JOB(job, "provium", "run", "--slice", slice, "--name", name, __VA_ARGS__)
#define OUTER HOUSE_ROOT "/t.slice"
#define INNER OUTER "/in.slice"

static void open_nested(struct house *house, const char *outer, const char *inner) {
        need(mkdir(HOUSE_DIR, 0755) == 0 || access(HOUSE_DIR, F_OK) == 0);
        need(mkdir(HOUSE_ETC, 0755) == 0 || access(HOUSE_ETC, F_OK) == 0);
        need(mkdir(HOUSE_ETC "/slices", 0755) == 0 || access(HOUSE_ETC "/slices", F_OK) == 0);
        need(mkdir(HOUSE_ETC "/slices/t", 0755) == 0 || access(HOUSE_ETC "/slices/t", F_OK) == 0);
        house_slice("t/in", inner);
        house_open(house, NULL, outer);
}

static void close_nested(struct house *house) {
        house_close(house);
        unlink(HOUSE_ETC "/slices/t/in.slice");
        expect_int(rmdir(HOUSE_ETC "/slices/t"), 0);
}

static json_int_t slice_number(const char *name, const char *member, const char *resource) {
        json_t *reply = ask("Resources", NULL);
        json_int_t number = -1;
        json_t *slice;
        size_t i;

        json_array_foreach(
                json_object_get(json_object_get(json_object_get(reply, "parameters"), "resources"),
                                "slices"),
                i, slice) {
                const json_t *value = json_object_get(slice, member);

                if (strcmp(json_string_value(json_object_get(slice, "name")), name) == 0)
                        number = json_integer_value(resource ? json_object_get(value, resource)
                                                             : value);
        }
        json_decref(reply);
        return number;
}

static json_int_t number_in(const char *path) {
        char text[64];

        file_get(path, text, sizeof(text));
        return strtoll(text, NULL, 10);
}

static void what_is_sold_inside_is_sold_of_both(void) {
        struct house house;
        struct job a, b, c;
        char *path;

        open_nested(&house, HOUSE_SLICE "[Slice]\nCPU=1\n", HOUSE_SLICE "[Slice]\nCPU=0.5\n");
        RUN(&a, "t/in", "a", "--cpus", "0.4", "--", "vm", "rest");
        job_wait_out(&a, "ready");
        path = vm_path("a");
        expect_in(path, "/t.slice/in.slice/");
        expect_int(access(path, F_OK), 0);
        free(path);
        RUN(&b, "t", "b", "--cpus", "0.2", "--", "vm", "rest");
        job_wait_out(&b, "ready");
        expect_int(slice_number("t", "allocated", "cpu"), 600);
        expect_int(slice_number("t/in", "allocated", "cpu"), 400);
        expect_int(slice_number("t", "vms", NULL), 2);
        expect_int(slice_number("t/in", "vms", NULL), 1);
        /* Of 10,000 for the four CPUs of the host. */
        expect_int(number_in(OUTER "/cpu.weight"), 1500);
        expect_int(number_in(INNER "/cpu.weight"), 1000);
        expect_int(number_in(OUTER "/memory.low"), 32 << 20);
        expect_int(number_in(INNER "/memory.low"), 16 << 20);

        expect_int(SHELL(&c, "provium", "run", "--slice", "t/in", "--no-wait", "--cpus", "0.2",
                         "--", "true"),
                   75);
        expect_in(c.err, "slice");
        expect_int(SHELL(&c, "provium", "run", "--slice", "t", "--no-wait", "--cpus", "0.5", "--",
                         "true"),
                   75);
        expect_int(SHELL(&c, "provium", "run", "--slice", "t/in", "--no-wait", "--cpus", "0.1",
                         "--", "true"),
                   0);
        /* Larger than the slice could ever give. */
        expect_int(SHELL(&c, "provium", "run", "--slice", "t/in", "--cpus", "0.6", "--", "true"),
                   75);
        close_nested(&house);
        expect_int(access(OUTER, F_OK), -1);
}

static void a_claim_inside_waits_for_the_slice_around_it(void) {
        struct house house;
        struct job a, b;

        open_nested(&house, HOUSE_SLICE "[Slice]\nCPU=0.5\n", HOUSE_SLICE);
        RUN(&a, "t", "a", "--cpus", "0.4", "--", "vm", "rest");
        job_wait_out(&a, "ready");
        RUN(&b, "t/in", "b", "--cpus", "0.2", "--", "vm", "rest");
        job_wait_err(&b, "slice");
        expect_int(count_waiting(), 1);
        job_kill(&a, SIGTERM);
        expect_int(job_wait(&a, HOUSE_WAIT_MS), 128 + 15);
        job_wait_out(&b, "ready");
        close_nested(&house);
}

/* The kernel holds what is inside to what is around it: 0.4 CPUs, though one CPU was sold. */
static void the_slice_around_holds_what_is_inside(void) {
        struct house house;
        struct job a;
        uint64_t begin, end;
        json_int_t from, to;

        open_nested(&house, HOUSE_SLICE "[Slice]\nCPU=0.4\n[Ratio]\nCPU=4\n", HOUSE_SLICE);
        RUN(&a, "t/in", "a", "--cpus", "1", "--", "vm", "spin", "2");
        job_wait_out(&a, "ready");
        begin = now_us();
        from = file_key(INNER "/cpu.stat", "usage_usec");
        poll(NULL, 0, 8000); /* this is the measurement */
        /* The time around the use, however long it takes us to read it. */
        to = file_key(INNER "/cpu.stat", "usage_usec");
        end = now_us();
        unit_note("%.3f CPUs of 0.4 and 4 %%", (double)(to - from) / (double)(end - begin));
        expect_within((double)(to - from) / (double)(end - begin), 0.1, 0.44);
        close_nested(&house);
}

static void a_killed_broker_finds_what_is_inside_again(void) {
        struct house house;
        struct job a, b;
        char *before, *after;

        open_nested(&house, HOUSE_SLICE, HOUSE_SLICE);
        RUN(&a, "t/in", "a", "--cpus", "0.4", "--detach", "--", "vm", "rest");
        expect_int(job_wait(&a, HOUSE_WAIT_MS), 0);
        RUN(&b, "t", "b", "--detach", "--", "vm", "rest");
        expect_int(job_wait(&b, HOUSE_WAIT_MS), 0);
        before = ledger_text();
        house_kill(&house);
        house_start(&house);
        after = ledger_text();
        expect_str(after, before);
        expect_int(slice_number("t", "allocated", "cpu"), 500);
        expect_int(slice_number("t/in", "allocated", "cpu"), 400);
        expect_int(number_in(OUTER "/cpu.weight"), 1250);
        free(before);
        free(after);
        close_nested(&house);
}

static bool inner_gone(void *userdata) {
        return access(INNER, F_OK) < 0 && slice_number("t/in", "vms", NULL) == -1;
}

static void a_slice_whose_file_goes_stays_until_its_last_vm(void) {
        struct house house;
        struct job a, c;

        open_nested(&house, HOUSE_SLICE, HOUSE_SLICE);
        RUN(&a, "t/in", "a", "--", "vm", "rest");
        job_wait_out(&a, "ready");
        need_int(unlink(HOUSE_ETC "/slices/t/in.slice"), 0);
        house_reload(&house);
        expect_int(slice_number("t/in", "vms", NULL), 1);
        expect_int(SHELL(&c, "provium", "run", "--slice", "t/in", "--", "true"), 66);
        expect_in(c.err, "slices/t/in.slice");
        job_kill(&a, SIGTERM);
        expect_int(job_wait(&a, HOUSE_WAIT_MS), 128 + 15);
        expect(wait_until(inner_gone, NULL, HOUSE_WAIT_MS));
        close_nested(&house);
}

UNIT_MAIN(TEST(what_is_sold_inside_is_sold_of_both),
          TEST(a_claim_inside_waits_for_the_slice_around_it),
          TEST(the_slice_around_holds_what_is_inside),
          TEST(a_killed_broker_finds_what_is_inside_again),
          TEST(a_slice_whose_file_goes_stays_until_its_last_vm), )

/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --timeout 400 --beside */
/*
 * Reservations: what an owner has reserved it has at once, whoever waits outside, and no more; and
 * nothing of it is left, whoever ends it and whatever ends in between.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "house.h"

#define FULL 75
#define EXISTS 73
#define NOT_FOUND 66

/* `provium claim` with these options, in slice t for owner "o". */
#define CLAIM(job, ...) JOB(job, "provium", "claim", "--slice", "t", "--owner", "o", __VA_ARGS__)
#define CLAIM_NOW(job, ...)                                                                        \
        SHELL(job, "provium", "claim", "--slice", "t", "--owner", "o", __VA_ARGS__)
#define INSIDE(job, ...) SHELL(job, "provium", "run", "--owner", "o", "--detach", __VA_ARGS__)

static bool nothing_is_left(void *userdata) {
        struct tree tree;

        (void)userdata;
        tree_walk(&tree);
        return tree.vms == 0 && count_vms() == 0 && allocated("cpu") == 0 &&
               allocated("memory") == 0;
}

static void expect_nothing_left(void) {
        expect(wait_until(nothing_is_left, NULL, HOUSE_WAIT_MS));
}

/* A text of what List says of the VM or reservation @name; malloc'd. */
static char *shown(const char *name, const char *member) {
        json_t *reply = ask("Show", json_pack("{s:s}", "vm", name));
        const json_t *vm = json_object_get(json_object_get(reply, "parameters"), "vm");
        char *text = json_dumps(json_object_get(vm, member), JSON_COMPACT | JSON_ENCODE_ANY);

        json_decref(reply);
        return text ?: strdup("");
}

static void expect_shown(const char *name, const char *member, const char *wanted) {
        char *text = shown(name, member);

        expect_that(strcmp(text, wanted) == 0, "%s of '%s' is %s, not %s", member, name, text,
                    wanted);
        free(text);
}

static void open_house(struct house *house, const char *conf) {
        house_open(house, conf, NULL);
}

static void vms_inside_start_at_once_while_others_wait(void) {
        struct house house;
        struct job claim, waiting, job;

        open_house(&house, NULL);
        CLAIM(&claim, "--name", "r", "--cpus", "2", "--mem", "200M", "--", "sh", "-c",
              "echo stands; exec sleep 1000");
        job_wait_out(&claim, "stands");
        expect_int(allocated("cpu"), 2000);
        expect_int(allocated("memory"), 200 << 20);
        /* The queue is full of one who wants what is not there. */
        JOB_RUN(&waiting, "--name", "w", "--mem", "300M", "--", "vm", "rest");
        job_wait_err(&waiting, "pool_full");
        expect_int(INSIDE(&job, "--name", "a", "--cpus", "1", "--mem", "120M", "--", "vm", "rest"),
                   0);
        expect_int(INSIDE(&job, "--name", "b", "--slice", "t", "--cpus", "0.5", "--mem", "50M",
                          "--", "vm", "rest"),
                   0);
        /* The pool is charged once. */
        expect_int(allocated("cpu"), 2000);
        expect_int(allocated("memory"), 200 << 20);
        expect_shown("r", "state", "\"reserved\"");
        /* The third is told what is left, and who has the rest. */
        expect_int(INSIDE(&job, "--name", "c", "--cpus", "0.1", "--mem", "40M", "--", "vm", "rest"),
                   FULL);
        unit_note("%s", job.err);
        expect_in(job.err, "memory: 40M asked, the reservation 'o' has 30M of 200M left: a claim "
                           "for no more than that would fit now; in use: 'a' 120M, 'b' 50M");
        expect_int(SHELL(&job, "provium", "run", "--owner", "o", "--dry-run", "--cpus", "3", "--",
                         "vm", "rest"),
                   FULL);
        expect_in(job.out, "cpu: 3 asked, but the reservation 'o' is of 2 in all, 0.5 of it left");
        expect_int(SHELL(&job, "provium", "explain", "a"), 0);
        expect_in(job.out, "memory         120M        30M       170M   200M");
        /* What grows inside is held to it, too, whoever waits outside. */
        expect_int(SHELL(&job, "provium", "resize", "b", "--cpus", "1"), 0);
        expect_int(SHELL(&job, "provium", "resize", "b", "--cpus", "1.5"), FULL);
        expect_in(job.err, "the reservation 'o' has");
        expect_int(SHELL(&job, "provium", "resize", "r", "--cpus", "1"), 64);
        /* Its end is that of the VMs inside, and then the one outside starts. */
        job_kill(&claim, SIGTERM);
        expect_int(job_wait(&claim, HOUSE_WAIT_MS), 128 + SIGTERM);
        job_wait_out(&waiting, "ready");
        expect_int(count_vms(), 1);
        house_end_all(&house);
        job_wait(&waiting, HOUSE_WAIT_MS);
        expect_nothing_left();
        house_close(&house);
}

static void the_command_decides_how_it_ends(void) {
        struct house house;
        struct job job;

        open_house(&house, NULL);
        expect_int(CLAIM_NOW(&job, "--cpus", "1", "--mem", "100M", "--", "sh", "-c",
                             "provium run --owner o --name a -- vm exit 4; test $? = 4 && exit 7"),
                   7);
        expect_nothing_left();
        expect_int(CLAIM_NOW(&job, "--cpus", "1", "--", "/no/such/program"), 127);
        expect_nothing_left();
        /* Nothing is reserved: that is possible, and nothing fits. */
        expect_int(CLAIM_NOW(&job, "--", "provium", "run", "--owner", "o", "--", "vm", "rest"),
                   FULL);
        expect_in(job.err, "the reservation 'o' is of 0");
        expect_int(CLAIM_NOW(&job, "--cpus", "9", "--", "true"), FULL);
        expect_in(job.err, "can never give more than");
        expect_int(SHELL(&job, "provium", "claim", "--slice", "t", "--", "true"), 64);
        expect_int(CLAIM_NOW(&job, "--dry-run", "--json", "--cpus", "1"), 0);
        expect_in(job.out, ".claim");
        expect_nothing_left();
        house_close(&house);
}

static void an_owner_has_one_reservation_and_is_its_users(void) {
        struct house house;
        struct job job;
        json_t *reply;

        open_house(&house, NULL);
        expect_int(CLAIM_NOW(&job, "--name", "r", "--cpus", "1", "--mem", "100M", "--detach"), 0);
        expect_in(job.out, "r\n");
        expect_int(CLAIM_NOW(&job, "--cpus", "1", "--detach"), EXISTS);
        unit_note("%s", job.err);
        expect_in(job.err, "owner 'o' has a reservation already, 'r' (cpu 1, memory 100M) in slice "
                           "'t', which stands");
        /* The same word from somebody else is another owner. */
        reply = ask_as(1000, "Reserve",
                       json_pack("{s:s s:s s:b s:{s:i}}", "slice", "t", "owner", "o", "detach",
                                 true, "claim", "cpu", 500));
        expect_str(reply_word(reply), "started");
        json_decref(reply);
        expect_int(allocated("cpu"), 1500);
        reply = ask_as(1000, "Release", json_pack("{s:s}", "owner", "r"));
        expect_str(reply_word(reply), "NotFound");
        json_decref(reply);
        reply = ask_as(1000, "Release", json_pack("{s:s}", "owner", "o"));
        expect(json_object_get(json_object_get(reply, "parameters"), "id"));
        json_decref(reply);
        expect_int(allocated("cpu"), 1000);
        expect_int(INSIDE(&job, "--name", "a", "--mem", "60M", "--", "vm", "rest"), 0);
        /* Another slice is outside. */
        expect_int(SHELL(&job, "provium", "release", "nobody"), NOT_FOUND);
        expect_int(SHELL(&job, "provium", "release", "o"), 0);
        expect_nothing_left();
        house_close(&house);
}

static const char *of(const char *path, const char *file, char buffer[600]) {
        snprintf(buffer, 600, "%s/%s", path, file);
        return buffer;
}

static json_int_t used_usec(const char *path) {
        char buffer[600];

        return file_key(of(path, "cpu.stat", buffer), "usage_usec");
}

/* What is used in it is told of the VMs inside, each once. */
static void expect_use_is_told(size_t n, json_int_t least_usec) {
        json_t *reply = ask("Stats", NULL), *vm;
        json_t *vms = json_object_get(json_object_get(reply, "parameters"), "vms");
        size_t i;

        expect_uint(json_array_size(vms), n);
        json_array_foreach(vms, i, vm)
                expect(json_integer_value(json_object_get(vm, "cpu_usec")) >= least_usec);
        json_decref(reply);
}

/* The reservation's own wall: those of the VMs are taken away, while nobody is there to see it. */
static void the_kernel_holds_the_sum(void) {
        static const char *const names[] = {"r", "a", "b"};
        json_int_t used[3];
        struct house house;
        uint64_t begin, all;
        char text[64], buffer[600], *paths[3];
        struct job job;

        open_house(&house, NULL);
        expect_int(CLAIM_NOW(&job, "--name", "r", "--cpus", "0.5", "--mem", "100M", "--detach"), 0);
        for (size_t i = 1; i < 3; i++)
                expect_int(INSIDE(&job, "--name", names[i], "--cpus", "0.25", "--mem", "40M", "--",
                                  "vm", "spin"),
                           0);
        vm_file("r", "cpu.max", text, sizeof(text));
        expect_str(text, "52000 100000");
        vm_file("r", "memory.max", text, sizeof(text));
        expect_str(text, "104857600");
        for (size_t i = 0; i < 3; i++)
                paths[i] = vm_path(names[i]);
        house_stop(&house);
        for (size_t i = 1; i < 3; i++)
                expect_int(file_put(of(paths[i], "cpu.max", buffer), "max"), 0);
        begin = now_us();
        for (size_t i = 0; i < 3; i++)
                used[i] = used_usec(paths[i]);
        poll(NULL, 0, 4000);
        for (size_t i = 0; i < 3; i++)
                used[i] = used_usec(paths[i]) - used[i];
        all = now_us() - begin;
        unit_note("of %.2f s: %.1f %% in the reservation, %.1f and %.1f %% in its VMs",
                  (double)all / 1e6, 100.0 * (double)used[0] / (double)all,
                  100.0 * (double)used[1] / (double)all, 100.0 * (double)used[2] / (double)all);
        expect(used[0] <= (json_int_t)(all * 57 / 100));
        expect(used[1] > 0 && used[2] > 0);
        house_start(&house);
        vm_file("a", "cpu.max", text, sizeof(text));
        expect_str(text, "26000 100000");
        expect_use_is_told(2, used[1] < used[2] ? used[1] : used[2]);
        expect_int(SHELL(&job, "provium", "release", "o", "--grace", "0"), 0);
        expect_nothing_left();
        for (size_t i = 0; i < 3; i++)
                free(paths[i]);
        house_close(&house);
}

static bool limit_is_back(void *userdata) {
        char text[64];

        vm_file(userdata, "cpu.max", text, sizeof(text));
        return strcmp(text, "104000 100000") == 0;
}

static void what_others_change_is_put_back(void) {
        struct house house;
        struct job job;
        char path[600], *group;

        open_house(&house, NULL);
        expect_int(CLAIM_NOW(&job, "--name", "r", "--cpus", "1", "--mem", "100M", "--detach"), 0);
        group = vm_path("r");
        snprintf(path, sizeof(path), "%s/cpu.max", group);
        expect_int(file_put(path, "max"), 0);
        expect(wait_until(limit_is_back, (void *)"r", HOUSE_WAIT_MS));
        /* And the group itself, by the next that needs it. */
        expect_int(rmdir(group), 0);
        expect_int(INSIDE(&job, "--name", "a", "--mem", "40M", "--", "vm", "rest"), 0);
        expect(limit_is_back((void *)"r"));
        free(group);
        expect_int(SHELL(&job, "provium", "release", "o"), 0);
        expect_nothing_left();
        house_close(&house);
}

static void a_broker_killed_and_one_upgraded_find_all_of_it(void) {
        struct house house;
        struct job claim, job;
        char *before, *after;
        json_t *reply;

        open_house(&house, HOUSE_CONF "[Broker]\nReconnectGrace=20s\n");
        CLAIM(&claim, "--name", "r", "--cpus", "2", "--mem", "200M", "--", "sh", "-c",
              "echo stands; exec sleep 1000");
        job_wait_out(&claim, "stands");
        expect_int(INSIDE(&job, "--name", "a", "--cpus", "1", "--mem", "120M", "--", "vm", "rest"),
                   0);
        before = ledger_text();
        house_kill(&house);
        house_start(&house);
        after = ledger_text();
        expect_str(after, before);
        free(after);
        expect_shown("r", "state", "\"reserved\"");
        expect_int(INSIDE(&job, "--cpus", "2", "--mem", "16M", "--", "vm", "rest"), FULL);
        expect_in(job.err, "has 1 of 2 left");
        reply = ask("Upgrade", NULL);
        json_decref(reply);
        expect_int(INSIDE(&job, "--name", "b", "--mem", "40M", "--", "vm", "rest"), 0);
        expect_int(SHELL(&job, "provium", "kill", "b"), 0);
        after = ledger_text();
        expect_str(after, before);
        free(after);
        free(before);
        /* The client has come back to both: its end is the end. */
        job_kill(&claim, SIGKILL);
        job_wait(&claim, HOUSE_WAIT_MS);
        expect_nothing_left();
        house_close(&house);
}

static bool is_stopping(void *userdata) {
        char *state = shown(userdata, "state");
        bool stopping = strcmp(state, "\"stopping\"") == 0;

        free(state);
        return stopping;
}

/* It ignores TERM by now: before, it would end by it. */
static bool is_deaf(void *userdata) {
        char *pid = shown(userdata, "pid"), path[64], line[256];
        unsigned long long ignored = 0;
        FILE *status;

        snprintf(path, sizeof(path), "/proc/%s/status", pid);
        free(pid);
        status = fopen(path, "re");
        while (status && fgets(line, sizeof(line), status))
                if (sscanf(line, "SigIgn: %llx", &ignored) == 1)
                        break;
        if (status)
                fclose(status);
        return ignored >> (SIGTERM - 1) & 1;
}

static void a_release_that_was_begun_is_ended_by_the_next_broker(void) {
        struct house house;
        struct job job, release;

        open_house(&house, NULL);
        expect_int(CLAIM_NOW(&job, "--name", "r", "--cpus", "1", "--mem", "100M", "--detach"), 0);
        expect_int(INSIDE(&job, "--name", "a", "--mem", "40M", "--", "vm", "deaf"), 0);
        need(wait_until(is_deaf, (void *)"a", HOUSE_WAIT_MS));
        JOB(&release, "provium", "release", "o");
        expect(wait_until(is_stopping, (void *)"r", HOUSE_WAIT_MS));
        house_kill(&house);
        job_wait(&release, HOUSE_WAIT_MS);
        house_start(&house);
        expect_int(INSIDE(&job, "--mem", "16M", "--", "vm", "rest"), FULL);
        expect_in(job.err, "is being ended");
        expect_int(SHELL(&job, "provium", "release", "o", "--grace", "0"), 0);
        expect_nothing_left();
        house_close(&house);
}

/* The broker has said so (NULL: whatever it said), and the claim is in its queue. */
static bool waits_again(void *userdata) {
        return (!userdata || house_log_has(userdata)) && count_waiting() == 1;
}

static void a_reservation_waits_as_any_claim_and_has_its_time(void) {
        struct house house;
        struct job claim, job;

        open_house(&house, NULL);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", "--name", "x", "--mem",
                         "300M", "--", "vm", "rest"),
                   0);
        expect_int(CLAIM_NOW(&job, "--mem", "200M", "--no-wait", "--", "true"), FULL);
        expect_int(CLAIM_NOW(&job, "--mem", "200M", "--wait", "1s", "--", "true"), FULL);
        expect_in(job.err, ": waited ");
        CLAIM(&claim, "--name", "r", "--mem", "200M", "--max-time", "1s", "--", "sh", "-c",
              "trap 'exit 5' TERM; echo stands; while :; do sleep 0.1; done");
        job_wait_err(&claim, "pool_full");
        expect_int(SHELL(&job, "provium", "explain", "r"), 0);
        expect_in(job.out, "pool_full");
        expect_int(CLAIM_NOW(&job, "--", "true"), EXISTS);
        expect_in(job.err, "which waits");
        /* Its place is kept over an upgrade and a crash. */
        json_decref(ask("Upgrade", NULL));
        need(wait_until(waits_again, (void *)"went on as a new program", HOUSE_WAIT_MS));
        expect_int(CLAIM_NOW(&job, "--", "true"), EXISTS);
        house_kill(&house);
        house_start(&house);
        need(wait_until(waits_again, NULL, HOUSE_WAIT_MS));
        expect_int(SHELL(&job, "provium", "kill", "x"), 0);
        job_wait_out(&claim, "stands");
        expect_int(job_wait(&claim, HOUSE_WAIT_MS), 5);
        expect_in(claim.err, "time_over");
        expect_nothing_left();
        house_close(&house);
}

UNIT_MAIN(TEST(vms_inside_start_at_once_while_others_wait), TEST(the_command_decides_how_it_ends),
          TEST(an_owner_has_one_reservation_and_is_its_users), TEST(the_kernel_holds_the_sum),
          TEST(what_others_change_is_put_back),
          TEST(a_broker_killed_and_one_upgraded_find_all_of_it),
          TEST(a_release_that_was_begun_is_ended_by_the_next_broker),
          TEST(a_reservation_waits_as_any_claim_and_has_its_time))

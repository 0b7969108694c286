/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --disk 256M --timeout 300 */
/*
 * CPU and memory of a VM that runs, more and less: what is in force, in the books and in the record
 * is the same before and after, also when the broker is killed in between, and nobody is killed for
 * it.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "house.h"

#define MIB ((json_int_t)1 << 20)
#define DISK "/run/disk"

static json_t *resize(const char *vm, const char *axis, json_int_t amount) {
        return ask("Resize", json_pack("{s:s s:{s:I}}", "vm", vm, "claim", axis, amount));
}

/* The error's name, or "" for a success. */
static const char *answer_of(const json_t *reply) {
        return json_object_get(reply, "error") ? reply_word(reply) : "";
}

static json_int_t charge_of(const char *vm, const char *axis) {
        json_t *show = ask("Show", json_pack("{s:s}", "vm", vm));
        json_t *object = json_object_get(json_object_get(show, "parameters"), "vm");
        json_int_t amount =
                json_integer_value(json_object_get(json_object_get(object, "charge"), axis));

        json_decref(show);
        return amount;
}

/* The kernel, the books and what the broker says of the VM are one. */
static void expect_sold(const char *vm, json_int_t cpu_milli, json_int_t memory) {
        char text[64], wanted[64];
        struct tree tree;

        expect_int(charge_of(vm, "cpu"), cpu_milli);
        expect_int(charge_of(vm, "memory"), memory);
        snprintf(wanted, sizeof(wanted), "%lld", (long long)memory);
        vm_file(vm, "memory.max", text, sizeof(text));
        expect_str(text, wanted);
        vm_file(vm, "memory.high", text, sizeof(text));
        expect_str(text, "max");
        snprintf(wanted, sizeof(wanted), "%lld 100000", (long long)(cpu_milli * 104));
        vm_file(vm, "cpu.max", text, sizeof(text));
        expect_str(text, wanted);
        vm_file(vm, "cgroup.freeze", text, sizeof(text));
        expect_str(text, "0");
        tree_walk(&tree);
        expect_int((json_int_t)tree.memory_max, allocated("memory"));
}

static void open_disk(struct house *house) {
        const char *disk = getenv("RIG_DISKS");

        if (!disk || !*disk)
                unit_skip("the rig has no disk");
        need_int(system("mkfs.ext4 -q -F $RIG_DISKS"), 0);
        mkdir(DISK, 0755);
        need_int(mount(disk, DISK, "ext4", 0, NULL), 0);
        house_open(house, NULL, NULL);
}

static void close_disk(struct house *house) {
        house_close(house);
        umount(DISK);
}

static void end(struct job *job) {
        job_kill(job, SIGKILL);
        expect_int(job_wait(job, HOUSE_WAIT_MS), 128 + 9);
}

/* CPUs used over the next @ms: this is the measurement, not a wait for anything. */
static double cpus_used(const char *path, int ms) {
        uint64_t begin = now_us(), end;
        char file[1200];
        json_int_t used;

        snprintf(file, sizeof(file), "%s/cpu.stat", path);
        used = file_key(file, "usage_usec");
        poll(NULL, 0, ms);
        end = now_us();
        return (double)(file_key(file, "usage_usec") - used) / (double)(end - begin);
}

static void a_vm_that_spins_uses_what_it_is_sold_then(void) {
        struct house house;
        struct job job, command;
        char *path, text[32];
        double before, after;

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--name", "spin", "--cpus", "0.5", "--", "vm", "spin", "2");
        job_wait_out(&job, "ready");
        path = vm_path("spin");
        before = cpus_used(path, 6000);
        expect_int(SHELL(&command, "provium", "resize", "spin", "--cpus", "1"), 0);
        expect_in(command.out, "spin: cpu 1, memory 16M");
        after = cpus_used(path, 6000);
        unit_note("%.3f of a CPU at 0.5, %.3f at 1", before, after);
        expect_within(before, 0.49, 0.54);
        expect_within(after, 0.97, 1.07);
        expect_sold("spin", 1000, 16 * MIB);
        /* cpu.weight is claim of all that can be sold, of 10,000; the slice's is the sum. */
        vm_file("spin", "cpu.weight", text, sizeof(text));
        expect_str(text, "2500");
        vm_file("spin", "../cpu.weight", text, sizeof(text));
        expect_str(text, "2500");
        expect_int(SHELL(&command, "provium", "resize", "spin", "--cpus", "0.25"), 0);
        expect_sold("spin", 250, 16 * MIB);
        free(path);
        end(&job);
        house_close(&house);
}

static void more_is_refused_when_the_pool_is_full_and_changes_nothing(void) {
        struct house house;
        struct job job, other, command;

        house_open(&house, NULL, HOUSE_SLICE "[VM]\nMaxMemory=300M\n");
        JOB_RUN(&job, "--name", "a", "--mem", "100M", "--", "vm", "rest");
        job_wait_out(&job, "ready");
        JOB_RUN(&other, "--name", "b", "--mem", "200M", "--", "vm", "rest");
        job_wait_out(&other, "ready");
        expect_int(SHELL(&command, "provium", "resize", "a", "--mem", "201M"), 75);
        expect_in(command.err, "memory: 201M asked, the host has 200M left");
        expect_int(SHELL(&command, "provium", "resize", "a", "--mem", "301M"), 77);
        expect_in(command.err, "allows one VM at most 300M");
        expect_int(SHELL(&command, "provium", "resize", "a", "--cpus", "5"), 75);
        expect_int(SHELL(&command, "provium", "resize", "a", "--cpus", "0"), 64);
        expect_int(SHELL(&command, "provium", "resize", "a", "--mem", "0"), 64);
        expect_sold("a", 100, 100 * MIB);
        expect_int(SHELL(&command, "provium", "resize", "a", "--mem", "200M"), 0);
        expect_sold("a", 100, 200 * MIB);
        expect_int(allocated("memory"), 400 * MIB);
        end(&job);
        end(&other);
        house_close(&house);
}

static void what_a_vm_gives_up_starts_the_next(void) {
        struct house house;
        struct job job, next, command;

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--name", "a", "--mem", "300M", "--", "vm", "rest");
        job_wait_out(&job, "ready");
        JOB_RUN(&next, "--name", "b", "--mem", "200M", "--", "vm", "rest");
        job_wait_err(&next, "pool_full");
        /* Whoever waits is not passed. */
        expect_int(SHELL(&command, "provium", "resize", "a", "--mem", "301M"), 75);
        expect_in(command.err, "claims wait");
        expect_int(SHELL(&command, "provium", "resize", "a", "--mem", "200M"), 0);
        job_wait_out(&next, "ready");
        expect_sold("a", 100, 200 * MIB);
        expect_sold("b", 100, 200 * MIB);
        end(&job);
        end(&next);
        house_close(&house);
}

struct eaten {
        const char *vm;
        json_int_t mib;
};

static bool has_eaten(void *userdata) {
        const struct eaten *eaten = userdata;
        char text[64];

        vm_file(eaten->vm, "memory.current", text, sizeof(text));
        return atoll(text) >= eaten->mib * MIB;
}

static void page_cache_is_taken_from_a_vm_that_shrinks(void) {
        struct house house;
        struct job job, command;
        char text[64];
        json_t *reply;

        open_disk(&house);
        JOB_RUN(&job, "--name", "hog", "--cpus", "1", "--mem", "80M", "--", "vm", "keep",
                DISK "/file", "40", "10");
        job_wait_out(&job, "ready");
        vm_file("hog", "memory.current", text, sizeof(text));
        unit_note("%s bytes in use before", text);
        expect_int(SHELL(&command, "provium", "resize", "hog", "--mem", "24M"), 0);
        expect_in(command.out, "memory 24M");
        expect_sold("hog", 1000, 24 * MIB);
        vm_file("hog", "memory.current", text, sizeof(text));
        unit_note("%s bytes in use after", text);
        expect(atoll(text) <= 24 * MIB);
        vm_file("hog", "memory.events", text, sizeof(text));
        expect_in(text, "oom_kill 0");
        expect_int(allocated("memory"), 24 * MIB);
        /* And up again, past what it had. */
        reply = resize("hog", "memory", 300 * MIB);
        expect_str(answer_of(reply), "");
        json_decref(reply);
        expect_sold("hog", 1000, 300 * MIB);
        end(&job);
        close_disk(&house);
}

static void memory_that_cannot_be_taken_is_left_with_its_vm(void) {
        struct house house;
        struct job job, command;
        char path[1200], *group;

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--name", "hog", "--cpus", "1", "--mem", "128M", "--", "vm", "eat", "100");
        job_wait_out(&job, "ready");
        expect_int(SHELL(&command, "provium", "resize", "hog", "--mem", "64M"), 75);
        unit_note("%s", command.err);
        expect_in(command.err, "memory: 64M asked, but the VM holds 10");
        expect_in(command.err, "it could go down to 10");
        expect_sold("hog", 1000, 128 * MIB);
        group = vm_path("hog");
        snprintf(path, sizeof(path), "%s/memory.events", group);
        expect_int(file_key(path, "oom_kill"), 0);
        free(group);
        /* What it was told is possible is. */
        expect_int(SHELL(&command, "provium", "resize", "hog", "--mem", "108M"), 0);
        expect_sold("hog", 1000, 108 * MIB);
        expect_int(job_wait(&job, 0), -1);
        end(&job);
        house_close(&house);
}

static bool is_held_back(void *userdata) {
        char text[64];

        vm_file(userdata, "memory.high", text, sizeof(text));
        return strcmp(text, "max") != 0;
}

static void a_broker_killed_while_memory_comes_down_leaves_the_vm_what_it_had(void) {
        char name[] = "hog";
        struct house house;
        struct line line;
        struct job job;
        json_t *reply;

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--name", "hog", "--cpus", "1", "--mem", "128M", "--detach", "--", "vm",
                "eat", "100");
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 0);
        expect(wait_until(has_eaten, &(struct eaten){"hog", 100}, HOUSE_WAIT_MS));
        need(line_open(&line));
        line_call(&line, "Resize",
                  json_pack("{s:s s:{s:I}}", "vm", "hog", "claim", "memory", 64 * MIB), true, NULL,
                  0);
        expect(wait_until(is_held_back, name, HOUSE_WAIT_MS));
        reply = line_reply(&line, HOUSE_WAIT_MS, NULL);
        expect_int(json_integer_value(json_object_get(
                           json_object_get(json_object_get(reply, "parameters"), "reclaiming"),
                           "target")),
                   62 * MIB);
        json_decref(reply);
        /* One at a time. */
        reply = resize("hog", "cpu", 200);
        expect_str(answer_of(reply), "Refused");
        json_decref(reply);
        house_kill(&house);
        line_close(&line);
        house_start(&house);
        expect_sold("hog", 1000, 128 * MIB);
        /* The same for one that is asked to leave. */
        need(line_open(&line));
        line_call(&line, "Resize",
                  json_pack("{s:s s:{s:I}}", "vm", "hog", "claim", "memory", 64 * MIB), true, NULL,
                  0);
        expect(wait_until(is_held_back, name, HOUSE_WAIT_MS));
        house_stop(&house);
        line_close(&line);
        house_start(&house);
        expect_sold("hog", 1000, 128 * MIB);
        house_close(&house);
}

/* Said twice: before it, and by the program after it. */
static bool has_executed(void *userdata) {
        char *log = house_log();
        char *at = strstr(log, "executing '");
        bool has = at && strstr(at, "may be sold");

        free(log);
        return has;
}

static void an_upgrade_ends_what_has_been_begun_and_puts_it_back(void) {
        char name[] = "hog";
        struct house house;
        struct line line;
        struct job job;
        json_t *reply;

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--name", "hog", "--cpus", "1", "--mem", "128M", "--", "vm", "eat", "100");
        job_wait_out(&job, "ready");
        need(line_open(&line));
        line_call(&line, "Resize",
                  json_pack("{s:s s:{s:I}}", "vm", "hog", "claim", "memory", 64 * MIB), false, NULL,
                  0);
        expect(wait_until(is_held_back, name, HOUSE_WAIT_MS));
        json_decref(ask("Upgrade", NULL));
        reply = line_reply(&line, HOUSE_WAIT_MS, NULL);
        expect_str(answer_of(reply), "Refused");
        json_decref(reply);
        line_close(&line);
        /* By whichever of the two programs it is answered. */
        expect_sold("hog", 1000, 128 * MIB);
        expect(wait_until(has_executed, NULL, HOUSE_WAIT_MS));
        reply = resize("hog", "cpu", 500);
        expect_str(answer_of(reply), "");
        json_decref(reply);
        expect_sold("hog", 500, 128 * MIB);
        end(&job);
        house_close(&house);
}

/* Wherever in a resize the broker dies, its successor's books are the tree's. */
static void killed_at_any_moment_books_and_tree_are_one(void) {
        static const json_int_t sizes[] = {100, 40, 120, 60, 90, 30, 110, 50};
        struct house house;
        struct job job;
        unsigned done = 0;

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--name", "a", "--mem", "64M", "--detach", "--", "vm", "eat", "20");
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 0);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                json_int_t cpu, memory;
                struct line line;

                need(line_open(&line));
                line_call(&line, "Resize",
                          json_pack("{s:s s:{s:I s:I}}", "vm", "a", "claim", "memory",
                                    sizes[i] * MIB, "cpu", 100 + sizes[i]),
                          false, NULL, 0);
                /* Sooner or later, not after anything: that is the point. */
                poll(NULL, 0, (int)(i * 5));
                house_kill(&house);
                line_close(&line);
                house_start(&house);
                cpu = charge_of("a", "cpu");
                memory = charge_of("a", "memory");
                done += memory == sizes[i] * MIB;
                expect_sold("a", cpu, memory);
                expect_int(allocated("cpu"), cpu);
        }
        unit_note("%u of %zu were done before the end", done, sizeof(sizes) / sizeof(sizes[0]));
        house_close(&house);
}

static void a_vm_that_ends_while_its_memory_comes_down_leaves_nothing(void) {
        char name[] = "hog";
        struct house house;
        struct line line;
        struct job job, command;
        json_t *reply;

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--name", "hog", "--cpus", "1", "--mem", "128M", "--", "vm", "eat", "100");
        job_wait_out(&job, "ready");
        need(line_open(&line));
        line_call(&line, "Resize",
                  json_pack("{s:s s:{s:I}}", "vm", "hog", "claim", "memory", 64 * MIB), false, NULL,
                  0);
        expect(wait_until(is_held_back, name, HOUSE_WAIT_MS));
        expect_int(SHELL(&command, "provium", "kill", "hog", "--grace", "0s"), 0);
        reply = line_wait(&line, "Failed");
        expect_in(
                json_string_value(json_object_get(json_object_get(reply, "parameters"), "message")),
                "the VM has ended");
        json_decref(reply);
        line_close(&line);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 128 + 9);
        expect_int(allocated("memory"), 0);
        house_close(&house);
}

UNIT_MAIN(TEST(a_vm_that_spins_uses_what_it_is_sold_then),
          TEST(more_is_refused_when_the_pool_is_full_and_changes_nothing),
          TEST(what_a_vm_gives_up_starts_the_next),
          TEST(page_cache_is_taken_from_a_vm_that_shrinks),
          TEST(memory_that_cannot_be_taken_is_left_with_its_vm),
          TEST(a_broker_killed_while_memory_comes_down_leaves_the_vm_what_it_had),
          TEST(an_upgrade_ends_what_has_been_begun_and_puts_it_back),
          TEST(killed_at_any_moment_books_and_tree_are_one),
          TEST(a_vm_that_ends_while_its_memory_comes_down_leaves_nothing), )

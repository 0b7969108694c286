/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 500 */
/*
 * The broker is killed at random moments while VMs start, run, end and wait: no VM notices, nothing
 * is left over, the books are the same, nobody loses a place. And what it does not own it does not
 * touch.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "house.h"

#define KILLS 200
#define ATTACHED 8
#define DETACHED 6
#define QUICK 5
#define MOMENTS 4 /* the broker lives for up to so many lives of a short VM */
#define SEED 20240229

static uint64_t random_state;
static unsigned n_seen[2]; /* replies "started" and "exited" to the quick ones */

static uint32_t any(uint32_t below) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        return (uint32_t)(random_state >> 33) % below;
}

/* Main processes of what must live through it all, by pidfd. */
struct steady {
        struct job job; /* attached ones: their client */
        char name[32];
        int pid, pidfd;
};

static int main_pid(const char *name) {
        json_t *reply = ask("Show", json_pack("{s:s}", "vm", name));
        const json_t *vm = json_object_get(json_object_get(reply, "parameters"), "vm");
        int pid = (int)json_integer_value(json_object_get(vm, "pid"));

        json_decref(reply);
        return pid;
}

static bool lives(int pidfd) {
        return !pidfd_wait(pidfd, 0);
}

static void start_steady(struct steady *vm, int i, bool attached) {
        struct job job;

        snprintf(vm->name, sizeof(vm->name), "%s%d", attached ? "attached" : "detached", i);
        if (attached) {
                JOB_RUN(&vm->job, "--json", "--name", vm->name, "--reconnect", "300s", "--", "vm",
                        "rest");
                job_wait_out(&vm->job, "\"started\"");
        } else {
                expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--name", vm->name,
                                 "--detach", "--", "vm", "rest"),
                           0);
        }
        vm->pid = main_pid(vm->name);
        vm->pidfd = pidfd_open(vm->pid, 0);
}

/* Short VMs without the 50 ms that a client's start takes in the rig: for these the broker dies at
 * every step of a launch. Nobody comes back for them. */
static void start_quick(struct line *quick, unsigned n) {
        char path[1024], live[16];

        snprintf(path, sizeof(path), "PATH=%s", getenv("PATH"));
        for (unsigned i = 0; i < QUICK; i++) {
                quick[i] = (struct line){.stream = STREAM_NULL};
                if (i >= n || !line_open(&quick[i]))
                        continue;
                snprintf(live, sizeof(live), "%u", any(10));
                line_run(&quick[i], json_pack("{s:s s:[s,s,s] s:[s]}", "slice", "t", "command",
                                              "vm", "live", live, "environment", path));
        }
}

static json_t *size_of(const char *vm, json_int_t cpu, json_int_t memory) {
        return json_pack("{s:s s:{s:I s:I}}", "vm", vm, "claim", "cpu", cpu, "memory", memory);
}

/* From the request to the end of a short VM, in ms: what this machine takes for it. */
static uint32_t life_of_one(void) {
        enum { N = 5 };
        uint64_t begin = now_ms();
        char path[1024];

        snprintf(path, sizeof(path), "PATH=%s", getenv("PATH"));
        for (unsigned i = 0; i < N; i++) {
                struct line line;

                need(line_open(&line));
                line_run(&line, json_pack("{s:s s:[s,s,s] s:[s]}", "slice", "t", "command", "vm",
                                          "live", "5", "environment", path));
                json_decref(line_wait(&line, "exited"));
                line_close(&line);
        }
        return (uint32_t)(now_ms() - begin) / N;
}

/* One of the steady ones becomes larger or smaller, or is about to when the broker dies. */
static void start_resize(struct line *line, const struct steady *vm) {
        *line = (struct line){.stream = STREAM_NULL};
        if (line_open(line))
                line_call(line, "Resize", size_of(vm->name, 50 + any(150), (16 + any(8)) << 20),
                          false, NULL, 0);
}

/* Was it done before the kill? */
static bool end_resize(struct line *line) {
        json_t *reply;
        bool done;

        if (line->stream.fd < 0)
                return false;
        reply = line_reply(line, 0, NULL);
        done = reply && !json_object_get(reply, "error");
        json_decref(reply);
        line_close(line);
        return done;
}

static void end_quick(struct line *quick) {
        for (unsigned i = 0; i < QUICK; i++) {
                json_t *reply;

                if (quick[i].stream.fd < 0)
                        continue;
                while ((reply = line_reply(&quick[i], 0, NULL))) {
                        n_seen[strcmp(reply_word(reply), "exited") == 0 ? 1 : 0]++;
                        json_decref(reply);
                }
                line_close(&quick[i]);
        }
}

/*
 * The storm: between two kills short VMs come and go, so that the broker dies in the middle of
 * everything it ever does. Their clients may be told anything but "started" twice or a wrong
 * status.
 */
static void nothing_is_lost_when_the_broker_is_killed_two_hundred_times(void) {
        static struct steady vms[ATTACHED + DETACHED];
        static struct job shorts[64];
        static unsigned n_shorts;
        struct line quick[QUICK], resize;
        struct house house;
        char *before, *after;
        uint64_t slowest_ms = 0, total_ms = 0;
        unsigned ended = 0, wrong = 0, resized = 0;
        uint32_t life_ms;

        random_state = SEED;
        n_shorts = 0;
        house_open(&house, HOUSE_CONF "[Broker]\nReconnectGrace=5s\n", NULL);
        life_ms = life_of_one();
        for (int i = 0; i < ATTACHED + DETACHED; i++)
                start_steady(&vms[i], i, i < ATTACHED);
        before = ledger_text();

        for (int kills = 0; kills < KILLS; kills++) {
                uint64_t begin;

                while (n_shorts < 2) {
                        char live[16];

                        snprintf(live, sizeof(live), "%u", any(40));
                        JOB_RUN(&shorts[n_shorts], "--reconnect", "300s", "--", "vm", "live", live);
                        n_shorts++;
                }
                start_quick(quick, any(QUICK + 1));
                start_resize(&resize, &vms[any(ATTACHED + DETACHED)]);
                /* A random moment is a moment in time: the one sleep that is meant. Several are on
                 * their way; some have ended. */
                poll(NULL, 0, (int)any(MOMENTS * life_ms));
                house_kill(&house);
                end_quick(quick);
                resized += end_resize(&resize);
                begin = now_ms();
                house_start(&house);
                begin = now_ms() - begin;
                total_ms += begin;
                slowest_ms = begin > slowest_ms ? begin : slowest_ms;

                for (unsigned i = 0; i < n_shorts;) {
                        int status = job_wait(&shorts[i], 0);

                        if (status < 0) {
                                i++;
                                continue;
                        }
                        ended++;
                        /* 0; 125: it ended while the broker was away, and nobody could say how; 69:
                         * the broker was away when its client first asked. */
                        if (status != 0 && status != 125 && status != 69) {
                                wrong++;
                                printf("          status %d: %s\n", status, shorts[i].err);
                        }
                        shorts[i] = shorts[--n_shorts];
                }
                for (int i = 0; i < ATTACHED + DETACHED; i++)
                        need_that(lives(vms[i].pidfd), "%s lives after %d kills", vms[i].name,
                                  kills + 1);
        }
        unit_note("a short VM takes %u ms, alone", life_ms);
        unit_note("%u short VMs ended meanwhile, %u more started and %u ended just before a kill",
                  ended, n_seen[0], n_seen[1]);
        unit_note("%u of %d resizes were done before the kill", resized, KILLS);
        unit_note("a start took %.0f ms, %ju at most", (double)total_ms / KILLS,
                  (uintmax_t)slowest_ms);
        expect(n_seen[0] > 0 && n_seen[1] > 0);
        expect_int(wrong, 0);
        for (unsigned i = 0; i < n_shorts; i++)
                expect(job_wait(&shorts[i], HOUSE_WAIT_MS) >= 0);

        /* What is not followed any more is ended after ReconnectGrace; then the books are as
         * before. */
        for (uint64_t until = now_ms() + HOUSE_WAIT_MS;
             now_ms() < until && count_vms() > ATTACHED + DETACHED;)
                poll(NULL, 0, 50);
        for (int i = 0; i < ATTACHED + DETACHED; i++) {
                json_t *reply = ask("Resize", size_of(vms[i].name, 100, 16 << 20));

                expect_that(!json_object_get(reply, "error"), "%s has its size again", vms[i].name);
                json_decref(reply);
        }
        after = ledger_text();
        expect_str(after, before);
        free(before);
        free(after);

        for (int i = 0; i < ATTACHED + DETACHED; i++) {
                char text[64];

                expect(lives(vms[i].pidfd));
                expect_int(main_pid(vms[i].name), vms[i].pid);
                vm_file(vms[i].name, "memory.max", text, sizeof(text));
                expect_str(text, "16777216");
        }
        /* Their clients still follow them, with signals and exit status. */
        for (int i = 0; i < ATTACHED; i++)
                job_kill(&vms[i].job, SIGTERM);
        for (int i = 0; i < ATTACHED; i++)
                expect(job_wait(&vms[i].job, HOUSE_WAIT_MS) >= 0);
        for (int i = 0; i < ATTACHED + DETACHED; i++)
                close(vms[i].pidfd);
        house_close(&house);
}

static void waiting_claims_keep_their_order_when_the_broker_is_killed(void) {
        enum { WAITING = 12 };
        struct job jobs[WAITING], first;
        struct house house;
        struct news news;
        int killed = 0;

        random_state = SEED;
        house_open(&house, HOUSE_CONF, NULL);
        JOB_RUN(&first, "--json", "--name", "first", "--cpus", "4", "--reconnect", "300s", "--",
                "vm", "rest");
        job_wait_out(&first, "\"started\"");
        for (int i = 0; i < WAITING; i++) {
                char name[16];

                news_open(&news);
                snprintf(name, sizeof(name), "w%d", i);
                JOB_RUN(&jobs[i], "--json", "--name", name, "--cpus", "3", "--reconnect", "300s",
                        "--", "vm", "exit", "0");
                job_wait_out(&jobs[i], "\"queued\"");
                news_close(&news);
                /* One in three arrives before, one after a kill. */
                if (i % 3 == 2) {
                        house_kill(&house);
                        house_start(&house);
                        killed++;
                }
        }
        for (uint64_t until = now_ms() + HOUSE_WAIT_MS;
             now_ms() < until && count_waiting() < WAITING;)
                poll(NULL, 0, 20);
        expect_int(count_waiting(), WAITING);
        news_open(&news);
        job_kill(&first, SIGTERM);
        for (int i = 0; i < WAITING; i++) {
                char name[16];

                snprintf(name, sizeof(name), "w%d", i);
                expect_str(json_string_value(json_object_get(
                                   news_wait(&news, "claim_acquired", NULL), "name")),
                           name);
                expect_int(job_wait(&jobs[i], HOUSE_WAIT_MS), 0);
        }
        expect(job_wait(&first, HOUSE_WAIT_MS) >= 0);
        news_close(&news);
        house_close(&house);
}

static void a_broker_that_was_stopped_is_followed_by_one_with_the_same_books(void) {
        struct house house;
        struct job job, other;
        char *before, *after;

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--json", "--name", "stays", "--cpus", "0.3", "--mem", "20M", "--", "vm",
                "listen");
        job_wait_out(&job, "\"started\"");
        job_wait_out(&job, "ready");
        expect_int(SHELL(&other, "provium", "run", "--slice", "t", "--detach", "--", "vm", "rest"),
                   0);
        before = ledger_text();
        house_stop(&house);
        house_start(&house);
        after = ledger_text();
        expect_str(after, before);
        job_kill(&job, SIGUSR2);
        job_wait_out(&job, "got 12");
        job_kill(&job, SIGTERM);
        job_wait_out(&job, "got 15");
        job_wait(&job, HOUSE_WAIT_MS);
        free(before);
        free(after);
        house_close(&house);
}

/* From a kill to READY, the least of three: what else the machine does only adds to it. */
static uint64_t restart_us(struct house *house) {
        uint64_t least = UINT64_MAX;

        for (unsigned i = 0; i < 3; i++) {
                uint64_t begin;

                house_kill(house);
                begin = now_us();
                house_start(house);
                begin = now_us() - begin;
                least = begin < least ? begin : least;
        }
        return least;
}

/* The aim is 200 ms on a processor of its own. Emulated, all takes longer, and by how much the
 * machine of the day decides: so the start of an empty broker is the measure. */
static void fifty_vms_are_adopted_in_less_than_the_start_of_an_empty_broker(void) {
        enum { VMS = 50 };
        static struct line lines[VMS];
        struct house house;
        uint64_t empty_us, full_us;
        char *before, *after, path[1024];

        house_open(&house,
                   "[Capacity]\nCPU=50\nMemory=900M\n[Ratio]\nCPU=1\n[Claim]\nCPU=0.5\nMemory="
                   "16M\nDiskIO=0\n"
                   "[Enforce]\nMemoryOverhead=0\n",
                   NULL);
        empty_us = restart_us(&house);
        snprintf(path, sizeof(path), "PATH=%s", getenv("PATH"));
        for (int i = 0; i < VMS; i++) {
                need(line_open(&lines[i]));
                line_run(&lines[i], json_pack("{s:s s:b s:[s,s] s:[s]}", "slice", "t", "detach", 1,
                                              "command", "vm", "rest", "environment", path));
        }
        for (int i = 0; i < VMS; i++) {
                json_decref(line_wait(&lines[i], "started"));
                line_close(&lines[i]);
        }
        need_int(count_vms(), VMS);
        before = ledger_text();
        full_us = restart_us(&house);
        unit_note("%.1f ms to READY with %d VMs, %.1f ms without", (double)full_us / 1e3,
                  (int)count_vms(), (double)empty_us / 1e3);
        expect(full_us < 2 * empty_us);
        after = ledger_text();
        expect_str(after, before);
        free(before);
        free(after);
        house_close(&house);
}

static void a_second_broker_on_the_same_root_leaves_with_a_clear_message(void) {
        struct house house, second;
        struct job job;
        char text[128];

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--json", "--name", "mine", "--", "vm", "rest");
        job_wait_out(&job, "\"started\"");
        second = house;
        expect_int(house_try_start(&second, NULL), 1);
        snprintf(text, sizeof(text),
                 "another provium-broker, process %d, already owns '" HOUSE_ROOT "'", house.broker);
        expect(house_log_has(text));
        /* The first one was not disturbed, its socket least of all. */
        expect_int(count_vms(), 1);
        job_kill(&job, SIGTERM);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 128 + 15);
        house_close(&house);
}

/* A process in a group of its own, as somebody else would have it. */
static pid_t put_stranger(const char *path) {
        char file[512], text[16];
        pid_t pid;

        need_int(mkdir(path, 0755), 0);
        pid = fork();
        if (pid == 0) {
                for (;;)
                        pause();
        }
        snprintf(file, sizeof(file), "%s/cgroup.procs", path);
        snprintf(text, sizeof(text), "%d", pid);
        need_int(file_put(file, text), 0);
        return pid;
}

static void groups_of_strangers_are_never_touched(void) {
        static const char *const paths[] = {
                "/sys/fs/cgroup/bystander",
                HOUSE_ROOT "/bystander",
                HOUSE_ROOT "/t.slice/bystander",
                HOUSE_ROOT "/t.slice/other.vm",
        };
        struct house house;
        struct job job;
        pid_t pids[4];

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--json", "--name", "mine", "--", "vm", "rest");
        job_wait_out(&job, "\"started\"");
        for (int i = 0; i < 4; i++)
                pids[i] = put_stranger(paths[i]);
        need_int(mkdir(HOUSE_ROOT "/t.slice/empty.vm", 0755), 0);
        for (int i = 0; i < 3; i++) {
                house_kill(&house);
                house_start(&house);
        }
        house_stop(&house);
        house_start(&house);
        for (int i = 0; i < 4; i++) {
                char file[512], text[64], wanted[16];

                snprintf(file, sizeof(file), "%s/cgroup.procs", paths[i]);
                snprintf(wanted, sizeof(wanted), "%d", pids[i]);
                file_get(file, text, sizeof(text));
                expect_str(text, wanted);
                expect_int(kill(pids[i], 0), 0);
        }
        expect_int(access(HOUSE_ROOT "/t.slice/empty.vm", F_OK), 0);
        expect_int(count_vms(), 1);
        job_kill(&job, SIGTERM);
        expect(job_wait(&job, HOUSE_WAIT_MS) >= 0);
        for (int i = 0; i < 4; i++) {
                expect_int(kill(pids[i], SIGKILL), 0);
                waitpid(pids[i], NULL, 0);
        }
        rmdir(HOUSE_ROOT "/t.slice/empty.vm");
        for (int i = 0; i < 4; i++)
                while (rmdir(paths[i]) < 0 && access(paths[i], F_OK) == 0)
                        poll(NULL, 0, 5);
        house_close(&house);
}

/* Writes over the record of a running VM, as a crash or another version would have left it. */
static void set_record(const char *name, const char *text) {
        char *path = vm_path(name);

        need_int(setxattr(path, "trusted.provium.lease", text, strlen(text), 0), 0);
        free(path);
}

static json_int_t charge_of(const char *id, const char *resource) {
        json_t *reply = ask("Show", json_pack("{s:s}", "vm", id));
        const json_t *vm = json_object_get(json_object_get(reply, "parameters"), "vm");
        json_int_t amount =
                json_integer_value(json_object_get(json_object_get(vm, "charge"), resource));

        expect_str(json_string_value(json_object_get(vm, "state")), "unknown");
        json_decref(reply);
        return amount;
}

static void a_record_that_is_torn_or_newer_keeps_its_charge_and_is_shown_as_unknown(void) {
        static const char newer[] =
                "charge cpu=700 memory=50331648 disk=5 disk_io=6 network=7 gpu=0 quantum=9\n"
                "{\"version\":2,\"id\":{}}";
        static const char torn[] = "charge cpu=300 memory=33554432 disk=0 disk_io=0 network=0 "
                                   "gpu=0\n{\"version\":1,\"i";
        static const char garbage[] = "\x01\x02nothing of the kind";
        struct house house;
        struct job jobs[3];
        char ids[3][64];

        house_open(&house, NULL, NULL);
        for (int i = 0; i < 3; i++) {
                char name[8] = {(char)('a' + i)}, *path;

                JOB_RUN(&jobs[i], "--json", "--name", name, "--cpus", "0.7", "--mem", "48M", "--",
                        "vm", "rest");
                job_wait_out(&jobs[i], "\"started\"");
                path = vm_path(name);
                snprintf(ids[i], sizeof(ids[i]), "%.16s", strrchr(path, '/') + 1);
                free(path);
        }
        set_record("a", newer);
        set_record("b", torn);
        set_record("c", garbage);
        house_kill(&house);
        house_start(&house);
        expect_int(count_vms(), 3);
        expect_int(charge_of(ids[0], "cpu"), 700);
        expect_int(charge_of(ids[0], "memory"), 48 << 20);
        expect_int(charge_of(ids[0], "disk"), 5);
        /* The first line is what was sold, whatever the rest looks like. */
        expect_int(charge_of(ids[1], "cpu"), 300);
        expect_int(charge_of(ids[1], "memory"), 32 << 20);
        /* Nothing is known: what the kernel enforces, and never less. */
        expect(charge_of(ids[2], "cpu") >= 700);
        expect_int(charge_of(ids[2], "memory"), 48 << 20);
        expect(allocated("memory") >= (48 + 32 + 48) << 20);
        expect(house_log_has("version 2"));
        for (int i = 0; i < 3; i++) {
                json_t *reply =
                        ask("Kill", json_pack("{s:s s:i}", "vm", ids[i], "grace_usec", 1000000));

                expect(!json_object_get(reply, "error"));
                json_decref(reply);
        }
        expect_int(count_vms(), 0);
        expect_int(allocated("memory"), 0);
        for (int i = 0; i < 3; i++)
                expect(job_wait(&jobs[i], HOUSE_WAIT_MS) >= 0);
        house_close(&house);
}

/* A pid in the record that is not in the group belongs to somebody else by now. */
static void a_reused_pid_is_not_mistaken_for_the_vm(void) {
        struct house house;
        struct job job;
        char *path, text[16];
        pid_t innocent;

        house_open(&house, NULL, NULL);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--name", "d", "--detach", "--",
                         "vm", "children", "2"),
                   0);
        innocent = fork();
        if (innocent == 0)
                for (;;)
                        pause();
        path = vm_path("d");
        snprintf(text, sizeof(text), "%d", innocent);
        need_int(setxattr(path, "trusted.provium.main", text, strlen(text), 0), 0);
        free(path);
        house_kill(&house);
        house_start(&house);
        json_decref(ask("Kill", json_pack("{s:s s:i}", "vm", "d", "grace_usec", 500000)));
        expect_int(count_vms(), 0);
        expect_int(waitpid(innocent, NULL, WNOHANG), 0);
        kill(innocent, SIGKILL);
        waitpid(innocent, NULL, 0);
        house_close(&house);
}

/* What "started" says of the VM that a Run with these words, and with @ticket if not NULL, leads
 * to. */
static json_t *run_vm(struct line *line, int cpu_milli, const char *mode, const char *ticket,
                      const char *word) {
        json_t *parameters;

        parameters = json_pack("{s:s s:{s:i} s:[s,s] s:[o]}", "slice", "t", "claim", "cpu",
                               cpu_milli, "command", "vm", mode, "environment",
                               json_sprintf("PATH=%s", getenv("PATH")));
        if (ticket)
                json_object_set_new(parameters, "ticket", json_string(ticket));
        need(line_open(line));
        line_run(line, parameters);
        return line_wait(line, word);
}

static void the_ticket_of_a_vm_that_runs_leads_to_it(void) {
        struct line before, after;
        json_t *first, *again;
        struct house house;

        house_open(&house, HOUSE_CONF, NULL);
        first = run_vm(&before, 1000, "rest", NULL, "started");
        house_kill(&house);
        house_start(&house);
        line_close(&before);
        again = run_vm(&after, 1000, "rest", reply_text(first, "ticket"), "started");
        expect_str(reply_text(again, "id"), reply_text(first, "id"));
        expect_int(reply_number(again, "pid"), reply_number(first, "pid"));
        expect_int(count_vms(), 1);
        json_decref(first);
        json_decref(again);
        /* And it is its client's again: it ends with it. */
        line_close(&after);
        house_close(&house);
}

static void a_ticket_that_was_used_is_no_place_in_the_queue(void) {
        struct line used, big, waits, late;
        json_t *first, *reply;
        struct house house;

        house_open(&house, HOUSE_CONF, NULL);
        first = run_vm(&used, 1000, "exit", NULL, "started");
        json_decref(line_wait(&used, "exited"));
        line_close(&used);
        json_decref(run_vm(&big, 4000, "rest", NULL, "started"));
        json_decref(run_vm(&waits, 3000, "rest", NULL, "queued"));
        reply = run_vm(&late, 3000, "rest", reply_text(first, "ticket"), "queued");
        expect_int(reply_number(reply, "position"), 1);
        json_decref(reply);
        json_decref(first);
        line_close(&late);
        line_close(&waits);
        line_close(&big);
        house_close(&house);
}

UNIT_MAIN(TEST(nothing_is_lost_when_the_broker_is_killed_two_hundred_times),
          TEST(waiting_claims_keep_their_order_when_the_broker_is_killed),
          TEST(a_broker_that_was_stopped_is_followed_by_one_with_the_same_books),
          TEST(fifty_vms_are_adopted_in_less_than_the_start_of_an_empty_broker),
          TEST(a_second_broker_on_the_same_root_leaves_with_a_clear_message),
          TEST(groups_of_strangers_are_never_touched),
          TEST(a_record_that_is_torn_or_newer_keeps_its_charge_and_is_shown_as_unknown),
          TEST(a_reused_pid_is_not_mistaken_for_the_vm),
          TEST(the_ticket_of_a_vm_that_runs_leads_to_it),
          TEST(a_ticket_that_was_used_is_no_place_in_the_queue), )

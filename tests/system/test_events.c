/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --beside */
/*
 * Events of a real broker: which come, in which order and with what; what a reader is told when the
 * broker leaves; what is saved of them; and what the journal gets.
 */
#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <proto/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "house.h"

#define JOURNAL HOUSE_DIR "/journal"

static const char *text_of(const json_t *event, const char *key) {
        return json_string_value(json_object_get(event, key)) ?: "";
}

static json_int_t number_of(const json_t *event, const char *key) {
        return json_integer_value(json_object_get(event, key));
}

static bool is_of(const json_t *value, enum event_type type) {
        switch (type) {
        case EVENT_NUMBER:
                return json_is_integer(value);
        case EVENT_BOOL:
                return json_is_boolean(value);
        case EVENT_TEXT:
                return json_is_string(value);
        case EVENT_DEMAND:
                return json_is_integer(json_object_get(value, "cpu")) &&
                       json_is_integer(json_object_get(value, "memory"));
        case EVENT_END:
                break;
        }
        return false;
}

/* As the table has it: nothing is missing, of another type, or too much. */
static void expect_conforms(const json_t *event) {
        const struct event_kind *kind = event_kind_find(text_of(event, "kind"));
        size_t n = 3;

        need_that(kind != NULL, "'%s' is in the table", text_of(event, "kind"));
        expect(number_of(event, "seq") > 0 && number_of(event, "ts_ns") > 0);
        if (kind->about_vm) {
                n += 4;
                expect(*text_of(event, "id") && *text_of(event, "name"));
                expect_str(text_of(event, "slice"), "t");
                expect(json_is_integer(json_object_get(event, "uid")));
        }
        for (const struct event_member *member = kind->members; member->name; member++) {
                const json_t *value = json_object_get(event, member->name);

                n += value != NULL;
                expect_that(value ? is_of(value, member->type) : member->optional,
                            "%s of a %s is as in the table", member->name, kind->name);
        }
        expect_uint(json_object_size(event), n);
}

/* What Events answers, a new reference; takes over @parameters. */
static json_t *events_of(json_t *parameters) {
        json_t *reply = ask("Events", parameters);
        json_t *answer = json_incref(json_object_get(reply, "parameters"));

        json_decref(reply);
        return answer;
}

/* All that was told of the VM @name so far, kind by kind. */
static void kinds_of(const char *name, char *text, size_t size) {
        json_t *reply = events_of(NULL), *event;
        size_t i, used = 0;

        *text = '\0';
        json_array_foreach(json_object_get(reply, "events"), i, event) {
                expect_conforms(event);
                if (strcmp(text_of(event, "name"), name) == 0 && used < size)
                        used += (size_t)snprintf(text + used, size - used, "%s ",
                                                 text_of(event, "kind"));
        }
        json_decref(reply);
}

static void each_thing_that_happens_is_told_in_its_order(void) {
        char kinds[1024], path[600];
        struct job full, second, oom;
        const json_t *event;
        struct house house;
        struct news news;
        char *group;

        house_open(&house, NULL, NULL);
        news_open(&news);
        JOB_RUN(&full, "--name", "full", "--cpus", "4", "--", "sleep", "1000");
        event = news_wait(&news, "vm_spawned", "full");
        expect(number_of(event, "admission_us") >= 0 && number_of(event, "setup_us") > 0 &&
               number_of(event, "exec_us") > 0);
        JOB_RUN(&second, "--name", "second", "--cpus", "1", "--", "sh", "-c", "exit 3");
        event = news_wait(&news, "claim_queued", "second");
        expect_str(text_of(event, "reason"), "pool_full");
        json_decref(ask("Drain", NULL));
        event = news_wait(&news, "drain", NULL);
        expect(json_is_true(json_object_get(event, "draining")));
        group = vm_path("full");
        snprintf(path, sizeof(path), "%s/memory.max", group);
        need_int(file_put(path, "max"), 0);
        event = news_wait(&news, "drift", NULL);
        expect_str(text_of(event, "vm"), "full");
        expect(json_is_true(json_object_get(event, "repaired")));
        free(group);
        house_reload(&house);
        event = news_wait(&news, "policy_reloaded", NULL);
        expect(json_is_true(json_object_get(event, "ok")));

        /* What it lacked is there now, and still it waits. */
        job_kill(&full, SIGTERM);
        event = news_wait(&news, "claim_blocked", "second");
        expect_str(text_of(event, "reason"), "draining");
        json_decref(ask("Drain", json_pack("{sb}", "undo", 1)));
        event = news_wait(&news, "claim_acquired", "second");
        expect(number_of(event, "admission_us") > 0);
        news_wait(&news, "claim_released", "second");
        expect_int(job_wait(&second, HOUSE_WAIT_MS), 3);
        expect(job_wait(&full, HOUSE_WAIT_MS) >= 0);
        JOB_RUN(&oom, "--name", "oom", "--mem", "16M", "--", "vm", "eat", "64");
        news_wait(&news, "claim_released", "oom");
        expect_int(job_wait(&oom, HOUSE_WAIT_MS), 137);

        kinds_of("full", kinds, sizeof(kinds));
        expect_str(kinds, "claim_acquired vm_spawned vm_shutdown claim_released ");
        kinds_of("second", kinds, sizeof(kinds));
        expect_str(kinds, "claim_queued claim_blocked claim_acquired vm_spawned vm_shutdown "
                          "claim_released ");
        kinds_of("oom", kinds, sizeof(kinds));
        expect_str(kinds, "claim_acquired vm_spawned vm_oom vm_shutdown claim_released ");
        news_close(&news);
        house_close(&house);
}

static const json_t *next_sample(struct line *line, json_t **replyp) {
        json_decref(*replyp);
        *replyp = line_reply(line, HOUSE_WAIT_MS, NULL);
        need(*replyp != NULL);
        return json_array_get(json_object_get(json_object_get(*replyp, "parameters"), "events"), 0);
}

static void what_is_sold_is_told_every_second_while_somebody_listens(void) {
        struct house house;
        struct line line;
        struct job job;
        json_t *reply = NULL;
        const json_t *sample;
        uint64_t begin;

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--json", "--cpus", "1.5", "--", "sleep", "1000");
        job_wait_out(&job, "\"started\"");
        need(line_open(&line));
        line_call(&line, "Events", json_pack("{s[s]}", "kinds", "pool_state"), true, NULL, 0);
        expect(next_sample(&line, &reply) == NULL); /* we are in place */
        sample = next_sample(&line, &reply);
        expect_conforms(sample);
        expect_int(number_of(json_object_get(sample, "used"), "cpu"), 1500);
        expect_int(number_of(json_object_get(sample, "available"), "cpu"), 2500);
        expect_int(number_of(sample, "vms"), 1);
        begin = now_ms();
        for (int i = 0; i < 3; i++)
                expect_conforms(next_sample(&line, &reply));
        /* Never sooner than said; a loaded machine may be late. */
        expect(now_ms() - begin >= 2900);
        job_kill(&job, SIGTERM);
        expect(job_wait(&job, HOUSE_WAIT_MS) >= 0);
        do
                sample = next_sample(&line, &reply);
        while (number_of(sample, "vms") > 0);
        expect_int(number_of(json_object_get(sample, "available"), "cpu"), 4000);
        json_decref(reply);
        line_close(&line);
        /* It is not kept, and takes no number. */
        reply = events_of(json_pack("{s[s]}", "kinds", "pool_state"));
        expect_uint(json_array_size(json_object_get(reply, "events")), 0);
        json_decref(reply);
        house_close(&house);
}

static void run_one(const char *name) {
        struct job job;

        JOB_RUN(&job, "--name", name, "--", "vm", "exit", "0");
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 0);
}

static void whoever_follows_does_so_over_restart_upgrade_and_crash(void) {
        struct house house;
        struct job follower;
        const char *gap;

        house_open(&house, NULL, NULL);
        JOB(&follower, "provium", "events", "--follow", "--since", "0", "--kind",
            "vm_spawned,claim_released");
        job_wait_out(&follower, " restarted=true\n"); /* from 0 on: there was another broker */
        run_one("first");
        job_wait_out(&follower, "claim_released   first ");

        /* An upgrade is not seen. */
        {
                struct job upgrade;

                need_int(SHELL(&upgrade, "provium", "upgrade"), 0);
        }
        run_one("upgraded");
        job_wait_out(&follower, "claim_released   upgraded ");
        expect_str(follower.err, "");
        gap = strstr(follower.out, " gap ");
        need(gap != NULL);
        expect(strstr(gap + 1, " gap ") == NULL);

        house_stop(&house);
        job_wait_err(&follower, "the broker has left (");
        house_start(&house);
        run_one("restarted");
        job_wait_out(&follower, "claim_released   restarted ");
        job_wait_err(&follower, "the broker is there again; going on with event ");
        gap = strstr(gap + 1, " gap ");
        need(gap != NULL);

        house_kill(&house);
        house_start(&house);
        run_one("crashed");
        job_wait_out(&follower, "claim_released   crashed ");
        gap = strstr(gap + 1, " gap ");
        need(gap != NULL);
        expect_in(gap, "restarted=true");

        job_kill(&follower, SIGTERM);
        expect_int(job_wait(&follower, HOUSE_WAIT_MS), 128 + SIGTERM);
        house_close(&house);
}

static void numbers_go_up_over_brokers_and_what_is_valid_is_told(void) {
        json_int_t last, first;
        struct house house;
        struct job job;
        json_t *reply;

        house_open(&house, NULL, NULL);
        run_one("a");
        reply = events_of(NULL);
        last = number_of(reply, "next") - 1;
        json_decref(reply);
        {
                char since[32];

                snprintf(since, sizeof(since), "%" PRId64, (int64_t)last + 2);
                expect_int(SHELL(&job, "provium", "events", "--since", since), 64);
                expect_in(job.err, "there is no such event yet: the next one will be ");
        }
        need_int(SHELL(&job, "provium", "upgrade"), 0);
        reply = events_of(json_pack("{sI}", "since", last));
        first = number_of(json_array_get(json_object_get(reply, "events"), 0), "seq");
        expect_int(first, last); /* the ring went along */
        json_decref(reply);
        house_kill(&house);
        house_start(&house);
        reply = events_of(json_pack("{sI}", "since", last + 1));
        expect_str(text_of(json_array_get(json_object_get(reply, "events"), 0), "kind"), "gap");
        expect(json_is_true(
                json_object_get(json_array_get(json_object_get(reply, "events"), 0), "restarted")));
        expect(number_of(reply, "next") > last + 1);
        json_decref(reply);
        house_close(&house);
}

static void several_save_to_one_file_and_one_is_killed(void) {
        static const char *const files[] = {HOUSE_DIR "/saved.json", HOUSE_DIR "/saved.msgpack"};
        struct job savers[3], job;
        struct house house;
        struct news news;

        house_open(&house, NULL, NULL);
        for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
                unlink(files[f]);
                for (size_t i = 0; i < ARRAY_SIZE(savers); i++) {
                        JOB(&savers[i], "provium", "events", "--follow", "--json", "--kind",
                            "claim_acquired,claim_released", "--save-events", files[f]);
                }
                news_open(&news);
                /* Whoever has told of one is in place. */
                run_one("early");
                for (size_t i = 0; i < ARRAY_SIZE(savers); i++)
                        while (!strstr(savers[i].out, "claim_released")) {
                                run_one("early");
                                job_drain(&savers[i]);
                        }
                job_kill(&savers[0], SIGKILL);
                expect_int(job_wait(&savers[0], HOUSE_WAIT_MS), 128 + SIGKILL);
                run_one("late");
                for (size_t i = 1; i < ARRAY_SIZE(savers); i++) {
                        job_wait_out(&savers[i], "\"late\"");
                        job_wait_out(&savers[i], "\"claim_released\"");
                        job_kill(&savers[i], SIGTERM);
                        expect_int(job_wait(&savers[i], HOUSE_WAIT_MS), 128 + SIGTERM);
                }
                news_close(&news);
        }
        expect_int(SHELL(&job, "jq", "-es", "[.[] | select(.name == \"early\")] | length >= 4",
                         files[0]),
                   0);
        for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
                /* Each claim is there once for each who saved it: which a trace does not allow. */
                expect_int(SHELL(&job, "provium", "simulate", "--host", HOUSE_ETC, files[f]), 65);
                expect_in(job.err, "this id was acquired before");
        }
        /* One alone is a trace. */
        unlink(files[1]);
        expect_int(SHELL(&job, "provium", "events", "--save-events", files[1]), 0);
        expect_str(job.out, "");
        expect_int(SHELL(&job, "provium", "--json", "simulate", "--host", HOUSE_ETC, files[1]), 0);
        expect_in(job.out, "\"started\":");
        house_close(&house);
}

static int open_journal(void) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        unlink(JOURNAL);
        strcpy(address.sun_path, JOURNAL);
        need(fd >= 0);
        need_int(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        return fd;
}

/* The number of the next entry, or 0 if none comes for @timeout_ms; *gapp: of those not written. */
static uint64_t read_entry(int fd, int timeout_ms, bool *gapp) {
        static const char name[] = "\nPROVIUM_SEQ\n";
        struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
        char entry[20000], text[32] = "";
        const char *at;
        uint64_t size;
        ssize_t n;

        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
        n = recv(fd, entry, sizeof(entry), 0);
        if (n < 0)
                return 0;
        /* The message comes first, with its length in 8 bytes. A VM may be called "...gap". */
        need(n > 20 && memcmp(entry, "MESSAGE\n", 8) == 0);
        *gapp = memcmp(entry + 8 + 8, "gap:", 4) == 0;
        at = memmem(entry, (size_t)n, name, strlen(name));
        need(at != NULL);
        at += strlen(name);
        memcpy(&size, at, sizeof(size));
        size = le64toh(size);
        need(size < sizeof(text));
        memcpy(text, at + sizeof(size), size);
        return strtoull(text, NULL, 10);
}

static void queue_and_leave(unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                struct line line;

                need(line_open(&line));
                line_run(&line, json_pack("{s:s s:{s:i} s:[s] s:[]}", "slice", "t", "claim", "cpu",
                                          4000, "command", "vm", "environment"));
                json_decref(line_reply(&line, HOUSE_WAIT_MS, NULL));
                line_close(&line);
        }
}

/* A journald that takes nothing for a while: nobody waits for it, nothing is lost that the ring
 * still has, and what is lost is told. */
static void a_stuck_journal_holds_nobody_up_and_gets_all_later(void) {
        const char *const wrapper[] = {"sh", "-c", "exec \"$@\" --journal " JOURNAL, "sh", NULL};
        uint64_t seq, last = 0, next, seen = 0;
        struct house house;
        struct job full;
        json_t *reply;
        bool gap;
        int fd;

        house_open(&house, NULL, NULL);
        house_stop(&house);
        fd = open_journal();
        house_start_with(&house, wrapper);
        JOB_RUN(&full, "--json", "--name", "no.gap", "--cpus", "4", "--", "vm", "rest");
        job_wait_out(&full, "\"started\"");
        /* Far more than its socket takes. */
        queue_and_leave(400);
        job_kill(&full, SIGTERM);
        expect(job_wait(&full, HOUSE_WAIT_MS) >= 0);
        reply = events_of(NULL);
        next = (uint64_t)number_of(reply, "next");
        json_decref(reply);
        do {
                seq = read_entry(fd, HOUSE_WAIT_MS, &gap);
                need(seq > 0);
                expect_that(!gap && (last == 0 || seq == last + 1), "%ju follows %ju%s",
                            (uintmax_t)seq, (uintmax_t)last, gap ? ", a gap" : "");
                last = seq;
                seen++;
        } while (seq + 1 < next);
        expect(seen >= 800);

        /* Over an upgrade it goes on where it was. */
        {
                struct job upgrade;

                queue_and_leave(20);
                need_int(SHELL(&upgrade, "provium", "upgrade"), 0);
                run_one("upgraded");
        }
        reply = events_of(NULL);
        next = (uint64_t)number_of(reply, "next");
        json_decref(reply);
        do {
                seq = read_entry(fd, HOUSE_WAIT_MS, &gap);
                need(seq > 0);
                expect_that(!gap && seq == last + 1, "%ju follows %ju%s", (uintmax_t)seq,
                            (uintmax_t)last, gap ? ", a gap" : "");
                last = seq;
        } while (seq + 1 < next);

        /* Switched off, and nobody there at all. */
        house_conf(HOUSE_CONF "[Broker]\nJournal=no\n");
        house_reload(&house);
        run_one("silent");
        house_conf(HOUSE_CONF);
        close(fd);
        unlink(JOURNAL);
        house_reload(&house);
        run_one("nobody");
        expect(house_log_has("events do not get to the journal at " JOURNAL));
        fd = open_journal();
        seq = read_entry(fd, HOUSE_WAIT_MS, &gap);
        expect(seq > last + 1); /* those while it was off are not there */
        close(fd);
        house_close(&house);
}

UNIT_MAIN(TEST(each_thing_that_happens_is_told_in_its_order),
          TEST(what_is_sold_is_told_every_second_while_somebody_listens),
          TEST(whoever_follows_does_so_over_restart_upgrade_and_crash),
          TEST(numbers_go_up_over_brokers_and_what_is_valid_is_told),
          TEST(several_save_to_one_file_and_one_is_killed),
          TEST(a_stuck_journal_holds_nobody_up_and_gets_all_later), )

/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --timeout 300 */
/*
 * A thousand claims from fifty clients at a pool that fits a few of them: never more is sold than
 * there is, by the order of events and by the tree itself; everybody is served, in the order of
 * arrival.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "house.h"

#define CLIENTS 50
#define CLAIMS 20 /* of each, one after the other */
#define CPU_MILLI 3000
#define MEMORY (200 << 20)
#define CONF                                                                                       \
        "[Capacity]\nCPU=3\nMemory=200M\n[Ratio]\nCPU=1\nMemory=1\n[Enforce]\nMemoryOverhead=0\n"  \
        "[Claim]\nDiskIO=0\n"

static uint64_t random_state = 7;

static uint32_t any(uint32_t below) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        return (uint32_t)(random_state >> 33) % below;
}

/* What a process beside us found in the tree, in memory shared with it. */
struct seen {
        volatile unsigned walks, most_vms;
        volatile uint64_t most_memory, most_cpu;
        volatile bool stop;
};

static pid_t start_walker(struct seen *seen) {
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        while (!seen->stop) {
                struct tree tree;

                tree_walk(&tree);
                seen->walks++;
                if (tree.vms > seen->most_vms)
                        seen->most_vms = tree.vms;
                if (tree.memory_max > seen->most_memory)
                        seen->most_memory = tree.memory_max;
                if (tree.cpu_usec > seen->most_cpu)
                        seen->most_cpu = tree.cpu_usec;
        }
        _exit(0);
}

/* The books as the events tell them. */
struct waiting_claim {
        char id[24];
        json_int_t order;
};

struct books {
        json_int_t cpu, memory, most_cpu, most_memory;
        unsigned acquired, released, queued, over, unfair, gaps;
        struct waiting_claim waiting[CLIENTS + 1];
        unsigned n_waiting;
};

static int find_waiting(const struct books *books, const char *id) {
        for (unsigned i = 0; i < books->n_waiting; i++)
                if (strcmp(books->waiting[i].id, id) == 0)
                        return (int)i;
        return -1;
}

static json_int_t part(const json_t *event, const char *resource) {
        return json_integer_value(json_object_get(json_object_get(event, "charge"), resource));
}

static void on_acquired(struct books *books, const json_t *event, const char *id) {
        int at = find_waiting(books, id);

        /* Whoever starts was the first of those who wait; who never waited may pass nobody. */
        for (unsigned i = 0; i < books->n_waiting; i++)
                if (at < 0 || books->waiting[i].order < books->waiting[at].order)
                        books->unfair++;
        if (at >= 0)
                books->waiting[at] = books->waiting[--books->n_waiting];
        books->acquired++;
        books->cpu += part(event, "cpu");
        books->memory += part(event, "memory");
        if (books->cpu > books->most_cpu)
                books->most_cpu = books->cpu;
        if (books->memory > books->most_memory)
                books->most_memory = books->memory;
        books->over += books->cpu > CPU_MILLI || books->memory > MEMORY;
}

static void enter(struct books *books, const json_t *event) {
        const char *kind = json_string_value(json_object_get(event, "kind"));
        const char *id = json_string_value(json_object_get(event, "id"));

        if (strcmp(kind, "claim_queued") == 0) {
                struct waiting_claim *claim = &books->waiting[books->n_waiting++];

                need(books->n_waiting <= CLIENTS);
                snprintf(claim->id, sizeof(claim->id), "%s", id);
                claim->order = json_integer_value(json_object_get(event, "order"));
                books->queued++;
        } else if (strcmp(kind, "claim_acquired") == 0) {
                on_acquired(books, event, id);
        } else if (strcmp(kind, "claim_released") == 0) {
                books->released++;
                books->cpu -= part(event, "cpu");
                books->memory -= part(event, "memory");
        } else if (strcmp(kind, "gap") == 0) {
                books->gaps++;
        }
}

static void ask_for_one(struct line *line) {
        char path[1024], live[16];

        snprintf(path, sizeof(path), "PATH=%s", getenv("PATH"));
        snprintf(live, sizeof(live), "%u", any(20));
        /* One in ten wants most of the pool: small ones must not starve it. */
        line_run(line, json_pack("{s:s s:{s:I s:I} s:[s,s,s] s:[s]}", "slice", "t", "claim", "cpu",
                                 (json_int_t)(any(10) ? 100 + any(1000) : 2500), "memory",
                                 (json_int_t)(16 + any(40)) << 20, "command", "vm", "live", live,
                                 "environment", path));
}

static void a_thousand_claims_of_fifty_clients_are_served_in_order_and_never_over_the_limit(void) {
        static struct line lines[CLIENTS];
        static struct books books;
        unsigned asked[CLIENTS] = {}, served = 0, failed = 0;
        struct seen *seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        struct house house;
        struct news news;
        const json_t *event;
        uint64_t begin, until;
        pid_t walker;

        house_open(&house, CONF, NULL);
        news_open(&news);
        walker = start_walker(seen);
        begin = now_ms();
        for (int i = 0; i < CLIENTS; i++) {
                need(line_open(&lines[i]));
                ask_for_one(&lines[i]);
                asked[i] = 1;
        }
        until = now_ms() + 200000;
        while (served + failed < CLIENTS * CLAIMS && now_ms() < until) {
                struct pollfd fds[CLIENTS + 1];

                for (int i = 0; i < CLIENTS; i++)
                        fds[i] = (struct pollfd){asked[i] <= CLAIMS ? lines[i].stream.fd : -1,
                                                 POLLIN, 0};
                fds[CLIENTS] = (struct pollfd){news.line.stream.fd, POLLIN, 0};
                need(poll(fds, CLIENTS + 1, HOUSE_WAIT_MS) > 0);
                while ((event = news_next(&news, 0)))
                        enter(&books, event);
                for (int i = 0; i < CLIENTS; i++) {
                        json_t *reply;

                        if (!fds[i].revents)
                                continue;
                        while ((reply = line_reply(&lines[i], 0, NULL))) {
                                const char *word = reply_word(reply);
                                bool over =
                                        strcmp(word, "queued") != 0 && strcmp(word, "started") != 0;

                                if (over) {
                                        bool good = strcmp(word, "exited") == 0 &&
                                                    reply_number(reply, "exit_code") == 0;

                                        served += good;
                                        failed += !good;
                                        asked[i]++;
                                }
                                json_decref(reply);
                                if (over && asked[i] <= CLAIMS)
                                        ask_for_one(&lines[i]);
                        }
                }
        }
        begin = now_ms() - begin;
        while (books.released < CLIENTS * CLAIMS && (event = news_next(&news, HOUSE_WAIT_MS)))
                enter(&books, event);
        seen->stop = true;
        waitpid(walker, NULL, 0);
        for (int i = 0; i < CLIENTS; i++)
                line_close(&lines[i]);

        unit_note("%u served, %u of them waited, %.0f a second", served, books.queued,
                  served * 1e3 / (double)begin);
        unit_note("at most %.3f CPUs and %jd MiB sold, by %u walks of the tree %.3f and %ju in %u "
                  "VMs",
                  (double)books.most_cpu / 1e3, (intmax_t)books.most_memory >> 20, seen->walks,
                  (double)seen->most_cpu / 104e3, (uintmax_t)seen->most_memory >> 20,
                  seen->most_vms);
        expect_int(served, CLIENTS * CLAIMS);
        expect_int(failed, 0);
        expect_int(books.acquired, CLIENTS * CLAIMS);
        expect_int(books.released, CLIENTS * CLAIMS);
        expect_int(books.gaps, 0);
        expect_int(books.over, 0);
        expect_int(books.unfair, 0);
        expect_int(books.cpu, 0);
        expect_int(books.memory, 0);
        /* It was really full, and really looked at. */
        expect(books.queued > CLIENTS * CLAIMS / 2);
        expect(books.most_cpu > CPU_MILLI * 8 / 10);
        expect(seen->walks > 100);
        expect(seen->most_memory <= MEMORY);
        /* 4 % headroom, of 100 ms. */
        expect(seen->most_cpu <= CPU_MILLI * 104);
        munmap(seen, sizeof(*seen));
        news_close(&news);
        house_close(&house);
}

UNIT_MAIN(TEST(a_thousand_claims_of_fifty_clients_are_served_in_order_and_never_over_the_limit), )

/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --smp 1 --timeout 280 */
/*
 * Readers who never read, and scrapes as fast as they can be asked for, beside somebody whose
 * claims are admitted: his wait is compared with that of quiet moments, in turns of the same run,
 * so that a machine that is slow for a while is slow for both.
 *
 * What the broker does is measured, not what its clients take of the processor. So those who scrape
 * run only when nobody else would (SCHED_IDLE), and he pauses between his claims: in the pauses
 * they ask, and what the broker still does for them when he comes is what he waits for.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "house.h"
#include "web.h"

#define READERS 200
#define SCRAPERS 4
#define ASKERS 12
#define ROUNDS 12
#define CALLS 30 /* of a round, each way */
#define PAUSE_MS 8
#define ASKED (ROUNDS * CALLS)
#define MEASURES 5
#define GROWS_MAX 1.5
/* Scrapes are as many as the server has time for, a fifth of the loop's. */
#define CONF HOUSE_CONF "[HTTP]\nMaxConnections=512\nMaxConnectionsPerPeer=512\n"

static int compare(const void *a, const void *b) {
        const uint64_t *left = a, *right = b;

        return (*left > *right) - (*left < *right);
}

static uint64_t percentile(uint64_t *values, size_t n, unsigned percent) {
        qsort(values, n, sizeof(*values), compare);
        return values[(n - 1) * percent / 100];
}

static atomic_uint *n_scraped; /* answers in whole, with 200 */

/* All of an admission but the launch: parsed, allowed, sized, planned on the books, answered. */
static uint64_t admit(struct line *line, int pause_ms) {
        char path[1024];
        json_t *reply;
        uint64_t since;

        snprintf(path, sizeof(path), "PATH=%s", getenv("PATH"));
        poll(NULL, 0, pause_ms);
        since = now_us();
        line_run(line, json_pack("{s:s s:b s:[s,s] s:[s]}", "slice", "t", "dry_run", true,
                                 "command", "vm", "rest", "environment", path));
        reply = line_reply(line, HOUSE_WAIT_MS, NULL);
        need_that(reply && !json_object_get(reply, "error"), "refused: %s",
                  reply ? json_dumps(reply, 0) : "no answer");
        json_decref(reply);
        return now_us() - since;
}

/* Half of them stream, half ask for an answer; none reads a byte. */
static void open_readers(struct web *readers) {
        for (int i = 0; i < READERS; i++) {
                need(web_open(&readers[i]));
                web_get(&readers[i], i % 2 ? "/resources" : "/events?since=1", "");
        }
}

/* A process of its own that scrapes until it is killed, from as soon as it is let go. */
static pid_t start_scraper(void) {
        const struct sched_param none = {};
        pid_t pid = fork();

        need(pid >= 0);
        if (pid == 0 && sched_setscheduler(0, SCHED_IDLE, &none) < 0)
                _exit(1);
        while (pid == 0) {
                struct web web;

                if (!web_open(&web))
                        continue;
                web_get(&web, "/resources", "");
                web_finish(&web);
                if (web_status(&web) == 200)
                        atomic_fetch_add(n_scraped, 1);
                web_close(&web);
        }
        return pid;
}

static void signal_all(const pid_t *pids, int signo) {
        for (int i = 0; i < SCRAPERS; i++)
                kill(pids[i], signo);
        for (int i = 0; signo == SIGKILL && i < SCRAPERS; i++)
                waitpid(pids[i], NULL, 0);
}

/* By how much the 99th percentile of quiet moments grows in the storm, of all rounds. */
static double measure(struct line *line, const pid_t *scrapers) {
        static uint64_t quiet[ASKED], loud[ASKED];
        uint64_t quiet_p99, loud_p99;
        unsigned before = atomic_load(n_scraped), n;
        double grows;

        for (int round = 0; round < ROUNDS; round++) {
                for (int i = 0; i < CALLS; i++)
                        quiet[round * CALLS + i] = admit(line, PAUSE_MS);
                signal_all(scrapers, SIGCONT);
                for (int i = 0; i < CALLS; i++)
                        loud[round * CALLS + i] = admit(line, PAUSE_MS);
                signal_all(scrapers, SIGSTOP);
        }
        quiet_p99 = percentile(quiet, ASKED, 99);
        loud_p99 = percentile(loud, ASKED, 99);
        grows = (double)loud_p99 / (double)quiet_p99;
        n = atomic_load(n_scraped) - before;
        unit_note("admission: p50 %lu us quiet, %lu us in the storm; p99 %lu and %lu us: %.2f "
                  "times, beside %u scrapes",
                  percentile(quiet, ASKED, 50), percentile(loud, ASKED, 50), quiet_p99, loud_p99,
                  grows, n);
        expect(n > ASKED / 2);
        return grows;
}

static int compare_ratios(const void *a, const void *b) {
        const double *left = a, *right = b;

        return (*left > *right) - (*left < *right);
}

/* The median: the slowest five of 480 are also those in which the machine did something else, in
 * the storm or in the quiet, so one ratio can be far off to either side. */
static double median(double *values) {
        qsort(values, MEASURES, sizeof(*values), compare_ratios);
        return values[MEASURES / 2];
}

static void readers_and_scrapes_leave_admission_as_quick_as_it_was(void) {
        static struct web readers[READERS];
        pid_t scrapers[SCRAPERS];
        struct house house;
        struct line line;
        double grows[MEASURES];

        n_scraped = mmap(NULL, sizeof(*n_scraped), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        need(n_scraped != MAP_FAILED);
        house_open(&house, CONF, NULL);
        need(line_open(&line));
        for (int i = 0; i < CALLS; i++)
                (void)admit(&line, PAUSE_MS);
        open_readers(readers);
        for (int i = 0; i < SCRAPERS; i++)
                scrapers[i] = start_scraper();
        signal_all(scrapers, SIGSTOP);
        for (size_t i = 0; i < MEASURES; i++)
                grows[i] = measure(&line, scrapers);
        signal_all(scrapers, SIGKILL);
        expect_within(median(grows), 0, GROWS_MAX);
        line_close(&line);
        for (int i = 0; i < READERS; i++)
                web_close(&readers[i]);
        free(web_fetch("/healthz", 200));
        house_close(&house);
}

/* A process that asks for admissions without a pause, until it is killed. */
static pid_t start_asker(void) {
        pid_t pid = fork();
        struct line line;

        need(pid >= 0);
        if (pid == 0) {
                need(line_open(&line));
                for (;;)
                        (void)admit(&line, 0);
        }
        return pid;
}

/* With so many who ask, the broker has the next request before it has answered the last. */
static void health_is_told_while_the_broker_has_no_moment_to_itself(void) {
        pid_t askers[ASKERS];
        struct house house;

        house_open(&house, CONF, NULL);
        for (int i = 0; i < ASKERS; i++)
                askers[i] = start_asker();
        for (int i = 0; i < 10; i++) {
                uint64_t begin = now_ms();

                free(web_fetch("/healthz", 200));
                unit_note("/healthz after %lu ms", now_ms() - begin);
        }
        for (int i = 0; i < ASKERS; i++) {
                kill(askers[i], SIGKILL);
                waitpid(askers[i], NULL, 0);
        }
        house_close(&house);
}

UNIT_MAIN(TEST(readers_and_scrapes_leave_admission_as_quick_as_it_was),
          TEST(health_is_told_while_the_broker_has_no_moment_to_itself), )

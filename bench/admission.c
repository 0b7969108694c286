/* SPDX-License-Identifier: MIT */
/*
 * What one decision costs by each order, with 10 to 100,000 claims waiting in 128 lanes: 16 slices
 * in 4 others, 8 users with ceilings in each slice; so a claim is charged to a lane, a slice, the
 * slice around it, a user and the pool. Every decision is timed by itself.
 *
 * A decision is a VM's end and what follows: its charge is given back, a new claim comes, the next
 * is found, checked on every axis of every account, charged and taken out.
 *
 *   fifo      strict
 *   priority  any of 2,001 priorities each
 *   backfill  the first wants the whole host, and waits. All others say how long they take, half of
 *             them too long: whoever may pass it is looked for
 *   release   as fifo, without the new claim
 *   nobody    a release after which nobody may start, since the first wants the whole host
 *   crowded   the slices around are full by themselves, each with lanes that wait for it; the
 *             release is in one of them
 *
 * The other side ("bare") is what no queue does without: glibc's red-black tree (tsearch) with as
 * many keys, into which one is put and the least taken out (with priorities: any).
 */
#include <err.h>
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <admission/queue.h>
#include <bench/sample.h>

#define RUNNING 64
#define OUTER 4
#define SLICES 16
#define USERS 8
#define LANES (SLICES * USERS)

enum load { FIFO, PRIORITY, BACKFILL, RELEASE, NOBODY, CROWDED, _LOAD_N };

static const char *const load_names[_LOAD_N] = {"fifo",    "priority", "backfill",
                                                "release", "nobody",   "crowded"};

struct member {
        struct claim claim;
        unsigned lane;
};

struct world {
        enum load load;
        struct ledger ledger;
        struct queue queue;
        struct account outer[OUTER], slices[SLICES], users[USERS], leaves[LANES];
        struct lane lanes[LANES];
        struct member *members, *running[RUNNING];
        struct claim whole;
        size_t n_running;
        uint64_t order, random;
};

static const struct demand one = {
        {1000, UINT64_C(1) << 30, UINT64_C(1) << 30, 1000000, 1000000, 1000000, 0}};

static uint64_t any(struct world *world, uint64_t below) {
        world->random = world->random * 6364136223846793005u + 1442695040888963407u;
        return (world->random >> 33) % below;
}

static double now_usec(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void no_limits(struct account *account, enum account_kind kind) {
        *account = (struct account){
                .kind = kind, .vms_max = LEDGER_NO_LIMIT, .queued_max = LEDGER_NO_LIMIT};
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                /* A limit that is asked, and not reached. */
                account->limit.amount[i] = UINT64_MAX / 2;
                account->ratio_milli.amount[i] = 1000;
        }
}

static void set_up_accounts(struct world *world) {
        struct demand capacity, ratio, none = {};
        bool enforced[_RESOURCE_N];

        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                capacity.amount[i] = one.amount[i] * RUNNING * (world->load == CROWDED ? 2 : 1);
                ratio.amount[i] = 1000;
                enforced[i] = true;
        }
        ledger_configure(&world->ledger, &capacity, &none, &ratio, enforced, LEDGER_NO_LIMIT);
        for (unsigned i = 0; i < OUTER; i++) {
                no_limits(&world->outer[i], ACCOUNT_SLICE);
                if (world->load == CROWDED)
                        world->outer[i].vms_max = RUNNING / OUTER;
        }
        for (unsigned i = 0; i < USERS; i++)
                no_limits(&world->users[i], ACCOUNT_USER);
        for (unsigned i = 0; i < SLICES; i++) {
                no_limits(&world->slices[i], ACCOUNT_SLICE);
                if (!account_place(&world->slices[i], &world->outer[i % OUTER]))
                        errx(1, "too deep");
        }
        for (unsigned i = 0; i < LANES; i++) {
                no_limits(&world->leaves[i], ACCOUNT_SLICE);
                if (!account_place(&world->leaves[i], &world->slices[i / USERS]) ||
                    !account_add_ceiling(&world->leaves[i], &world->users[i % USERS]))
                        errx(1, "too deep");
                lane_init(&world->lanes[i], &world->leaves[i]);
        }
}

static void enter(struct world *world, struct member *member) {
        struct claim *claim = &member->claim;

        claim->order = ++world->order;
        claim->demand = one;
        if (world->load == PRIORITY)
                claim->priority = (int64_t)any(world, 2001) - CLAIM_PRIORITY_MAX;
        if (world->load == BACKFILL && claim->time_usec == 0)
                claim->time_usec = any(world, 2) ? 1000 + any(world, 1000) : 2000000;
        queue_insert(&world->queue, &world->lanes[member->lane], claim);
}

static struct member *start_next(struct world *world) {
        bool never;
        struct claim *claim = queue_next(&world->queue, &world->ledger, &never);

        if (never)
                errx(1, "a claim was found to be too large");
        return claim ? container_of(claim, struct member, claim) : NULL;
}

static void end(struct world *world, const struct member *member) {
        queue_release(&world->queue, (struct claim *)&member->claim);
        ledger_return(&world->ledger, &world->leaves[member->lane], &one);
}

static void world_init(struct world *world, enum load load, size_t waiting) {
        struct order_rules rules = {.age_step_ns = load == PRIORITY ? 1000 : 0,
                                    .backfill = load == BACKFILL};
        struct member *member;

        memset(world, 0, sizeof(*world));
        world->load = load;
        world->random = 1;
        world->members = calloc(waiting + RUNNING, sizeof(*world->members));
        if (!world->members)
                err(1, "calloc");
        set_up_accounts(world);
        queue_init(&world->queue);
        queue_set_rules(&world->queue, &rules);
        for (size_t i = 0; i < waiting + RUNNING; i++) {
                world->members[i].lane = (unsigned)(i * 37 % LANES);
                if (i < RUNNING) {
                        /* The first goes on until all is measured: until then the whole host is not
                         * to be had. */
                        if (load == BACKFILL)
                                world->members[i].claim.time_usec = i == 0 ? 1000000 : 1000;
                        enter(world, &world->members[i]);
                        continue;
                }
                if (i == RUNNING) {
                        while (world->n_running < RUNNING && (member = start_next(world)))
                                world->running[world->n_running++] = member;
                        if (world->n_running < RUNNING)
                                errx(1, "not all could start");
                        if (load == BACKFILL || load == NOBODY) {
                                world->whole.order = 1;
                                for (unsigned r = 0; r < _RESOURCE_N; r++)
                                        world->whole.demand.amount[r] = one.amount[r] * RUNNING;
                                queue_insert(&world->queue, &world->lanes[0], &world->whole);
                        }
                }
                enter(world, &world->members[i]);
        }
        if (start_next(world))
                errx(1, "one could start");
}

/* One decision, of which what is timed is in the middle. */
static double decide(struct world *world, size_t at) {
        struct member *ended = world->running[at], *started;
        bool arrives = world->load != RELEASE && world->load != NOBODY;
        double began = now_usec();

        end(world, ended);
        if (arrives)
                enter(world, ended);
        started = start_next(world);
        began = now_usec() - began;

        if (world->load == NOBODY) {
                if (started || !ledger_restore(&world->ledger, &world->leaves[ended->lane], &one))
                        errx(1, "one could start");
                return began;
        }
        if (!started)
                errx(1, "%s: nothing could start", load_names[world->load]);
        if (!arrives)
                enter(world, ended);
        world->running[at] = started;
        return began;
}

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

/* @n times one in, the least out, of a tree of @waiting keys. */
static void measure_bare(struct sample *usec, enum load load, size_t waiting, size_t n) {
        uint64_t *keys = calloc(waiting + n, sizeof(*keys));
        void *root = NULL;

        if (!keys)
                err(1, "calloc");
        for (size_t i = 0; i < waiting + n; i++) {
                double began = now_usec();

                keys[i] = load == PRIORITY ? i * UINT64_C(0x9e3779b97f4a7c15) : i;
                if (!tsearch(&keys[i], &root, compare))
                        err(1, "tsearch");
                if (i < waiting)
                        continue;
                tdelete(&keys[i - waiting], &root, compare);
                sample_add(usec, now_usec() - began);
        }
        while (root)
                tdelete(*(uint64_t **)root, &root, compare);
        free(keys);
}

static void measure(enum load load, size_t waiting) {
        static struct sample ours, bare;
        static struct world world;
        char context[200];
        size_t n = getenv("BENCH_QUICK") ? 200 : SAMPLE_MAX;
        double sum = 0;

        ours.n = bare.n = 0;
        world_init(&world, load, waiting);
        for (size_t i = 0; i < n; i++)
                (void)decide(&world, 1 + i % (RUNNING - 1));
        for (size_t i = 0; i < n; i++) {
                double each = decide(&world, 1 + i * 5 % (RUNNING - 1));

                sum += each;
                sample_add(&ours, each);
        }
        measure_bare(&bare, load, waiting, n);
        snprintf(context, sizeof(context),
                 "\"load\":\"%s\",\"waiting\":%zu,\"per_second\":%.0f,\"ours_p99\":%.3f",
                 load_names[load], waiting, 1e6 * (double)n / sum, sample_quantile(&ours, 0.99));
        sample_report("admission", "decision_us", 0.5, &ours, "bare", &bare, context);
        free(world.members);
}

int main(void) {
        static const size_t waiting[] = {10, 1000, 100000};

        for (enum load load = 0; load < _LOAD_N; load++)
                for (size_t i = 0; i < ARRAY_SIZE(waiting); i++)
                        measure(load, waiting[i]);
        return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Decisions per second: the pure part of admission (admission/ledger.h, admission/queue.h) with 10
 * to 100,000 claims waiting.
 *
 * One decision is a VM's end and what follows from it: its charge is returned, a new claim comes to
 * the queue's end, the next claim in order is found, checked against its slice and the pool on
 * every axis, charged and taken out. Two loads:
 *
 *   pool   the pool is full, and all claims wait for it
 *   own    all slices but one are full by themselves, each with claims that wait for it: whoever
 * can start is found by passing over all of their heads
 */
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <admission/queue.h>
#include <bench/sample.h>

#define RUNNING 64 /* charged at any time */
#define BATCHES 21
#define BATCH_USEC 4000.0 /* about how long one may take */

struct member {
        struct claim claim;
        struct lane *home; /* the queue forgets it when the claim starts */
};

struct world {
        struct ledger ledger;
        struct queue queue;
        struct account *accounts;
        struct lane *lanes;
        struct member *members, *running[RUNNING];
        size_t n_slices, n_running;
        uint64_t order;
};

/* No GPUs, as with nearly every claim; a full-duplex link, so that as many axes count as can. */
static const struct demand one = {
        {1000, UINT64_C(1) << 30, UINT64_C(1) << 30, 1000000, 1000000, 1000000, 0}};

static double now_usec(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void enter(struct world *world, struct member *member) {
        member->claim.order = ++world->order;
        member->claim.demand = one;
        queue_insert(&world->queue, member->home, &member->claim);
}

static struct member *start_next(struct world *world) {
        bool never;
        struct claim *claim = queue_next(&world->queue, &world->ledger, &never);

        if (never)
                errx(1, "a claim was found to be too large");
        return claim ? container_of(claim, struct member, claim) : NULL;
}

static void set_up_slices(struct world *world, bool own) {
        struct demand capacity, ratio, none = {};
        bool enforced[_RESOURCE_N];

        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                capacity.amount[i] = one.amount[i] * (own ? 1000000 : RUNNING);
                ratio.amount[i] = 1000;
                enforced[i] = true;
        }
        ledger_configure(&world->ledger, &capacity, &none, &ratio, enforced, LEDGER_NO_LIMIT);
        for (size_t i = 0; i < world->n_slices; i++) {
                struct account *account = &world->accounts[i];
                bool full = own && i + 1 < world->n_slices;

                for (unsigned j = 0; j < _RESOURCE_N; j++) {
                        account->limit.amount[j] = LEDGER_NO_LIMIT;
                        account->ratio_milli.amount[j] = 1000;
                }
                account->vms_max = full ? 1 : own ? RUNNING : LEDGER_NO_LIMIT;
                lane_init(&world->lanes[i], account);
                if (full && !ledger_restore(&world->ledger, account, &one))
                        errx(1, "the books overflow");
        }
}

static void world_init(struct world *world, size_t waiting, size_t slices, bool own) {
        size_t n = waiting + RUNNING;
        struct member *member;

        *world = (struct world){.n_slices = slices};
        world->accounts = calloc(slices, sizeof(*world->accounts));
        world->lanes = calloc(slices, sizeof(*world->lanes));
        world->members = calloc(n, sizeof(*world->members));
        if (!world->accounts || !world->lanes || !world->members)
                err(1, "calloc");
        queue_init(&world->queue);
        set_up_slices(world, own);

        for (size_t i = 0; i < n; i++) {
                /* With full slices: RUNNING and half of the others may start, the rest waits in
                 * them. */
                bool last = own && (i < RUNNING || i % 2);

                world->members[i].home =
                        &world->lanes[last ? slices - 1 : i / (own ? 2 : 1) % slices];
                enter(world, &world->members[i]);
        }
        while (world->n_running < RUNNING && (member = start_next(world)))
                world->running[world->n_running++] = member;
        if (world->n_running == 0)
                errx(1, "nothing could start");
}

static void world_deinit(struct world *world) {
        free(world->accounts);
        free(world->lanes);
        free(world->members);
}

static void decide(struct world *world, size_t at) {
        struct member *ended = world->running[at];

        ledger_return(&world->ledger, ended->home->account, &one);
        enter(world, ended);
        world->running[at] = start_next(world);
        if (!world->running[at])
                errx(1, "nothing could start");
}

static double time_batch(struct world *world, size_t n) {
        double began = now_usec();

        for (size_t i = 0; i < n; i++)
                decide(world, i % world->n_running);
        return (now_usec() - began) / (double)n;
}

static void measure(size_t waiting, size_t slices, bool own) {
        static struct sample usec;
        struct world world;
        double each;
        size_t n;

        usec.n = 0;
        world_init(&world, waiting, slices, own);
        each = time_batch(&world, 20);
        n = (size_t)(BATCH_USEC / each) + 20;
        for (int i = 0; i < BATCHES; i++)
                sample_add(&usec, time_batch(&world, n));
        each = sample_quantile(&usec, 0.5);
        printf("{\"bench\":\"ledger\",\"metric\":\"decision_p50_us\",\"load\":\"%s\",\"waiting\":%"
               "zu,"
               "\"slices\":%zu,\"ours\":%.3f,\"against\":\"aim\",\"other\":5.0,\"ratio\":%.3f,"
               "\"n\":%zu,"
               "\"ours_p10\":%.3f,\"ours_p90\":%.3f,\"per_second\":%.0f}\n",
               own ? "own" : "pool", waiting, slices, each, each / 5, BATCHES * n,
               sample_quantile(&usec, 0.1), sample_quantile(&usec, 0.9), 1e6 / each);
        fflush(stdout);
        world_deinit(&world);
}

int main(void) {
        static const size_t waiting[] = {10, 100, 1000, 10000, 100000};
        static const size_t slices[] = {1, 16, 100, 1000};

        for (size_t i = 0; i < ARRAY_SIZE(waiting); i++)
                for (size_t j = 0; j < ARRAY_SIZE(slices); j++)
                        if (slices[j] <= waiting[i])
                                measure(waiting[i], slices[j], false);
        for (size_t j = 1; j < ARRAY_SIZE(slices); j++)
                measure(10000, slices[j], true);
        return 0;
}

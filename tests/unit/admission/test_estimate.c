/* SPDX-License-Identifier: MIT */
/*
 * The estimate against what really happens: worlds in which everybody keeps his promise, played by
 * the queue itself.
 */
#include <admission/estimate.h>
#include <admission/queue.h>
#include <string.h>

#include "unit.h"

#define SLICES 3
#define HOLDERS 12
#define CLAIMS 12
#define WORLDS 20000

static uint64_t random_state = 7;

static uint64_t any(uint64_t below) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        return (random_state >> 24) % below;
}

struct world {
        struct ledger ledger;
        struct queue queue;
        struct account accounts[SLICES];
        struct lane lanes[SLICES];
        struct estimate_holder holders[HOLDERS];
        struct estimate_claim waiting[CLAIMS];
        struct claim claims[CLAIMS];
        uint64_t ends[CLAIMS]; /* when a claim that started leaves; 0: it does not */
        size_t n_holders, n_claims;
};

static struct demand some(uint64_t cpu, uint64_t memory) {
        struct demand demand = {};

        demand.amount[RESOURCE_CPU] = cpu;
        demand.amount[RESOURCE_MEMORY] = memory;
        return demand;
}

/* 10 CPUs and 10 of memory; the first slice has at most half of both, the second is guaranteed
 * some. */
static void world_init(struct world *world) {
        struct demand capacity = some(10000, 10), none = {}, ratio = {};
        const struct demand guarantee = some(2000, 2);
        bool enforced[_RESOURCE_N] = {[RESOURCE_CPU] = true, [RESOURCE_MEMORY] = true};

        memset(world, 0, sizeof(*world));
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                ratio.amount[i] = 1000;
        ledger_configure(&world->ledger, &capacity, &none, &ratio, enforced, 1000);
        queue_init(&world->queue);
        for (unsigned i = 0; i < SLICES; i++) {
                struct account *account = &world->accounts[i];

                for (unsigned r = 0; r < _RESOURCE_N; r++)
                        account->limit.amount[r] = LEDGER_NO_LIMIT;
                account->vms_max = LEDGER_NO_LIMIT;
                lane_init(&world->lanes[i], account);
        }
        world->accounts[0].limit = some(5000, 5);
        for (unsigned r = RESOURCE_DISK; r < _RESOURCE_N; r++)
                world->accounts[0].limit.amount[r] = LEDGER_NO_LIMIT;
        ledger_set_guarantee(&world->ledger, &world->accounts[1], &guarantee);
}

static void hold(struct world *world, unsigned slice, struct demand demand, uint64_t until) {
        struct estimate_holder *holder = &world->holders[world->n_holders];

        if (ledger_charge(&world->ledger, &world->accounts[slice], &demand, NULL))
                return;
        *holder = (struct estimate_holder){&world->accounts[slice], demand, until};
        world->n_holders++;
}

static void wait_for(struct world *world, unsigned slice, struct demand demand, uint64_t time) {
        size_t n = world->n_claims++;

        world->waiting[n] = (struct estimate_claim){&world->accounts[slice], demand, time, 0, 0};
        world->claims[n] = (struct claim){.order = n + 1, .demand = demand};
        queue_insert(&world->queue, &world->lanes[slice], &world->claims[n]);
}

static int estimate(struct world *world, uint64_t now, uint64_t *startp) {
        struct estimate_holder holders[HOLDERS];
        struct estimate_claim waiting[CLAIMS];

        memcpy(holders, world->holders, sizeof(holders));
        memcpy(waiting, world->waiting, sizeof(waiting));
        return estimate_start(&world->ledger, holders, world->n_holders, waiting, world->n_claims,
                              now, startp);
}

static void a_claim_starts_when_enough_of_those_before_it_have_left(void) {
        struct world world;
        uint64_t start = 0;

        world_init(&world);
        hold(&world, 2, some(4000, 1), 500);
        hold(&world, 2, some(4000, 1), 900);
        wait_for(&world, 2, some(3000, 1), 100);
        expect_int(estimate(&world, 10, &start), 0);
        expect_uint(start, 500);
        /* The next one has to wait for that one, too: after 500 there is 1, after 600 4. */
        wait_for(&world, 2, some(4000, 1), 0);
        expect_int(estimate(&world, 10, &start), 0);
        expect_uint(start, 600);
        /* And behind who does not say when he leaves nobody knows. */
        wait_for(&world, 2, some(8000, 1), 0);
        expect_int(estimate(&world, 10, &start), ESTIMATE_E_OPEN);
}

static void who_is_late_is_not_counted_on(void) {
        struct world world;
        uint64_t start = 0;

        world_init(&world);
        hold(&world, 2, some(8000, 1), 500);
        wait_for(&world, 2, some(3000, 1), 0);
        expect_int(estimate(&world, 499, &start), 0);
        expect_uint(start, 500);
        expect_int(estimate(&world, 500, &start), ESTIMATE_E_OPEN);
        expect_int(estimate(&world, 5000, &start), ESTIMATE_E_OPEN);
}

static void what_never_fits_has_no_time(void) {
        struct world world;
        uint64_t start = 77;

        world_init(&world);
        wait_for(&world, 0, some(5001, 1), 0);
        expect_int(estimate(&world, 1, &start), ESTIMATE_E_NEVER);
        expect_uint(start, 77);
}

static void too_much_to_play_is_given_up_and_taken_back(void) {
        static struct estimate_claim waiting[4096];
        static struct estimate_holder holders[4096];
        const size_t n = ARRAY_SIZE(waiting);
        struct world world;
        struct demand before;
        uint64_t start = 0;

        world_init(&world);
        for (size_t i = 0; i < n; i++) {
                holders[i] = (struct estimate_holder){&world.accounts[2], some(1, 0), 1000 + i};
                need(ledger_restore(&world.ledger, &world.accounts[2], &holders[i].demand));
                waiting[i] = (struct estimate_claim){&world.accounts[2], some(7900, 0), 1, 0, 0};
        }
        before = world.ledger.allocated;
        expect_int(estimate_start(&world.ledger, holders, n, waiting, n, 1, &start),
                   ESTIMATE_E_LONG);
        expect(demand_equal(&before, &world.ledger.allocated));
        expect_uint(world.ledger.vms, n);
}

/* Serves the queue at @now; the time at which the last claim started, or 0. */
static uint64_t serve(struct world *world, uint64_t now) {
        struct claim *claim;
        uint64_t started = 0;
        bool never;

        while ((claim = queue_next(&world->queue, &world->ledger, &never))) {
                size_t i = (size_t)(claim - world->claims);

                if (never)
                        continue;
                world->ends[i] = world->waiting[i].time_usec ? now + world->waiting[i].time_usec
                                                             : UINT64_MAX;
                if (i == world->n_claims - 1)
                        started = now;
        }
        return started;
}

/* What really happens. 0: nobody leaves any more, and it has not started. */
static uint64_t happens(struct world *world, uint64_t now) {
        for (;;) {
                uint64_t started = serve(world, now), next = UINT64_MAX;

                if (started)
                        return started;
                for (size_t i = 0; i < world->n_holders; i++)
                        if (world->holders[i].until_usec > now)
                                next = min_u64(next, world->holders[i].until_usec);
                for (size_t i = 0; i < world->n_claims; i++)
                        if (world->ends[i] > now)
                                next = min_u64(next, world->ends[i]);
                if (next == UINT64_MAX)
                        return 0;
                now = next;
                for (size_t i = 0; i < world->n_holders; i++)
                        if (world->holders[i].until_usec == now)
                                ledger_return(&world->ledger, world->holders[i].account,
                                              &world->holders[i].demand);
                for (size_t i = 0; i < world->n_claims; i++)
                        if (world->ends[i] == now)
                                ledger_return(&world->ledger, world->waiting[i].account,
                                              &world->waiting[i].demand);
        }
}

static void where_promises_are_kept_the_estimate_is_what_happens(void) {
        unsigned known = 0, now_at_once = 0, open = 0;

        for (unsigned w = 0; w < WORLDS; w++) {
                size_t holders = any(HOLDERS + 1), claims = 1 + any(CLAIMS);
                uint64_t estimated = 0, real, vms;
                struct demand before, slices[SLICES];
                struct world world;
                int r;

                world_init(&world);
                for (size_t i = 0; i < holders; i++)
                        hold(&world, (unsigned)any(SLICES), some(1 + any(4000), any(4)),
                             any(8) ? 2 + any(50) : 0);
                for (size_t i = 0; i < claims; i++)
                        wait_for(&world, (unsigned)any(SLICES), some(1 + any(5000), any(5)),
                                 any(8) ? 1 + any(50) : 0);
                before = world.ledger.allocated;
                vms = world.ledger.vms;
                for (unsigned i = 0; i < SLICES; i++)
                        slices[i] = world.accounts[i].allocated;
                r = estimate(&world, 1, &estimated);
                need(demand_equal(&before, &world.ledger.allocated) && vms == world.ledger.vms);
                for (unsigned i = 0; i < SLICES; i++)
                        need(demand_equal(&slices[i], &world.accounts[i].allocated));
                real = happens(&world, 1);
                known += r == 0 && estimated > 1;
                now_at_once += r == 0 && estimated == 1;
                open += r == ESTIMATE_E_OPEN;
                need_that(r == 0 ? real == estimated : r == ESTIMATE_E_OPEN && real == 0,
                          "world %u: estimated %lu (%d), and it was %lu", w, estimated, r, real);
        }
        unit_note("%u at once, %u later, %u unknown", now_at_once, known, open);
        expect(known > WORLDS / 10 && open > WORLDS / 10 && now_at_once > WORLDS / 100);
}

UNIT_MAIN(TEST(a_claim_starts_when_enough_of_those_before_it_have_left),
          TEST(who_is_late_is_not_counted_on), TEST(what_never_fits_has_no_time),
          TEST(too_much_to_play_is_given_up_and_taken_back),
          TEST(where_promises_are_kept_the_estimate_is_what_happens), )

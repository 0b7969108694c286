/* SPDX-License-Identifier: MIT */
#include <admission/queue.h>
#include <string.h>

#include "unit.h"

#define SLICES 4
#define CLAIMS 400

static uint64_t random_state;

static uint64_t any(uint64_t below) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        return (random_state >> 24) % below;
}

static struct demand cpu(uint64_t milli) {
        struct demand demand = {};

        demand.amount[RESOURCE_CPU] = milli;
        return demand;
}

struct place {
        struct ledger ledger;
        struct queue queue;
        struct account accounts[SLICES];
        struct lane lanes[SLICES];
};

/* 10 CPUs; slice 1 has at most 4 of them. */
static void place_init(struct place *place) {
        struct demand capacity = cpu(10000), none = {}, ratio = cpu(1000);
        bool enforced[_RESOURCE_N] = {[RESOURCE_CPU] = true};

        memset(place, 0, sizeof(*place));
        ledger_configure(&place->ledger, &capacity, &none, &ratio, enforced, 1000);
        queue_init(&place->queue);
        for (unsigned i = 0; i < SLICES; i++) {
                for (unsigned r = 0; r < _RESOURCE_N; r++)
                        place->accounts[i].limit.amount[r] = LEDGER_NO_LIMIT;
                place->accounts[i].vms_max = LEDGER_NO_LIMIT;
                lane_init(&place->lanes[i], &place->accounts[i]);
        }
        place->accounts[1].limit.amount[RESOURCE_CPU] = 4000;
}

static void add(struct place *place, struct claim *claim, unsigned slice, uint64_t order,
                uint64_t milli) {
        *claim = (struct claim){.order = order, .demand = cpu(milli)};
        queue_insert(&place->queue, &place->lanes[slice], claim);
}

static void claims_are_served_in_the_order_of_arrival(void) {
        struct place place;
        struct claim claims[5];
        bool never;

        place_init(&place);
        /* One that came back late has its old number. */
        add(&place, &claims[0], 0, 10, 1000);
        add(&place, &claims[1], 2, 20, 1000);
        add(&place, &claims[2], 3, 15, 1000);
        add(&place, &claims[3], 0, 5, 1000);
        expect_uint(queue_position(&place.queue, &claims[3]), 0);
        expect_uint(queue_position(&place.queue, &claims[1]), 3);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[3]);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[0]);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[2]);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[1]);
        expect(queue_next(&place.queue, &place.ledger, &never) == NULL);
        expect_uint(place.queue.n, 0);
        expect(!place.queue.ready && TAILQ_EMPTY(&place.queue.parked));
}

static void a_full_slice_holds_back_its_own_claims_only(void) {
        struct place place;
        struct claim claims[4];
        struct shortage shortage;
        struct demand one = cpu(1000);
        bool never;

        place_init(&place);
        add(&place, &claims[0], 1, 1, 3000);
        add(&place, &claims[1], 1, 2, 2000);
        add(&place, &claims[2], 1, 3, 500);
        add(&place, &claims[3], 0, 4, 1000);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[0]);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[3]);
        expect(queue_next(&place.queue, &place.ledger, &never) == NULL);
        expect_int(claims[1].reason, WAIT_SLICE_FULL);
        expect_int(claims[2].reason, WAIT_QUEUED);
        /* A newcomer elsewhere starts at once, one in the full slice does not pass its elders. */
        expect_int(queue_check(&place.queue, &place.ledger, &place.lanes[0], &one, &shortage), 0);
        expect_int(queue_check(&place.queue, &place.ledger, &place.lanes[1], &one, &shortage),
                   QUEUE_E_BEHIND);
        queue_remove(&place.queue, &claims[1]);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[2]);
}

static void a_claim_that_waits_for_the_pool_is_passed_by_nobody(void) {
        struct place place;
        struct claim claims[4];
        struct shortage shortage;
        struct demand one = cpu(1);
        bool never;

        place_init(&place);
        add(&place, &claims[0], 0, 1, 6000);
        add(&place, &claims[1], 2, 2, 9000);
        add(&place, &claims[2], 3, 3, 1);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[0]);
        expect(queue_next(&place.queue, &place.ledger, &never) == NULL);
        expect_int(claims[1].reason, WAIT_POOL_FULL);
        expect_uint(claims[1].shortage.available, 4000);
        expect_int(queue_check(&place.queue, &place.ledger, &place.lanes[0], &one, &shortage),
                   QUEUE_E_BEHIND);
        ledger_return(&place.ledger, &place.accounts[0], &claims[0].demand);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[1]);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[2]);
}

static void a_claim_with_a_share_of_its_own_waits_for_nobody_who_cannot_have_it(void) {
        const struct demand guarantee = cpu(3000), one = cpu(1000), two = cpu(2000);
        struct shortage shortage;
        struct claim claims[6];
        struct place place;
        bool never;

        place_init(&place);
        ledger_set_guarantee(&place.ledger, &place.accounts[2], &guarantee);
        add(&place, &claims[0], 0, 1, 6000);
        add(&place, &claims[1], 3, 2, 5000);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[0]);
        expect(queue_next(&place.queue, &place.ledger, &never) == NULL);
        expect_int(claims[1].reason, WAIT_POOL_FULL);
        expect_uint(claims[1].shortage.available, 1000);
        /* Of 4 that are free 3 are kept for slice 2. Slice 0 has to wait, though it would fit. */
        expect_int(queue_check(&place.queue, &place.ledger, &place.lanes[0], &one, &shortage),
                   QUEUE_E_BEHIND);
        expect_int(queue_check(&place.queue, &place.ledger, &place.lanes[2], &two, &shortage), 0);
        add(&place, &claims[2], 0, 3, 1000);
        add(&place, &claims[3], 2, 4, 2000);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[3]);
        expect(queue_next(&place.queue, &place.ledger, &never) == NULL);
        expect_uint(claims[1].shortage.available, 1000);
        /* More than is left of the share is not: it takes what the first waits for. */
        add(&place, &claims[4], 2, 5, 2000);
        add(&place, &claims[5], 2, 6, 1000);
        expect(queue_next(&place.queue, &place.ledger, &never) == NULL);
        /* And who is before it in its slice is before it. */
        queue_remove(&place.queue, &claims[4]);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[5]);
        ledger_return(&place.ledger, &place.accounts[0], &claims[0].demand);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[1]);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[2]);
}

static void a_claim_that_can_never_fit_any_more_is_taken_out(void) {
        struct place place;
        struct claim claims[2];
        bool never;

        place_init(&place);
        add(&place, &claims[0], 0, 1, 20000);
        add(&place, &claims[1], 0, 2, 1000);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[0]);
        expect(never);
        expect_uint(place.ledger.vms, 0);
        expect(queue_next(&place.queue, &place.ledger, &never) == &claims[1]);
        expect(!never);
}

/*
 * Any schedule of arrivals, departures, ends and returns with old numbers. After each pass over the
 * queue: nobody who could start still waits; nobody was passed whom the rules protect; the lists
 * agree.
 */
static void no_schedule_loses_starves_or_reorders_a_claim(void) {
        static struct claim claims[CLAIMS];
        static enum { OUT, WAITS, RUNS } state[CLAIMS];
        static unsigned slice_of[CLAIMS];
        struct place place;
        uint64_t order = 1, longest = 0, since[CLAIMS] = {};
        unsigned granted = 0, large = 0;

        random_state = 3;
        place_init(&place);
        memset(state, 0, sizeof(state));
        for (uint64_t step = 0; step < 400000; step++) {
                unsigned i = (unsigned)any(CLAIMS);
                struct claim *next;
                bool never;
                uint64_t n = 0;

                if (state[i] == OUT && place.queue.n < 100) {
                        slice_of[i] = (unsigned)any(SLICES);
                        /* In slice 1 none is larger than the slice. One in ten is huge. */
                        add(&place, &claims[i], slice_of[i], order++,
                            slice_of[i] == 1 ? 1 + any(4000)
                            : any(10)        ? 1 + any(3000)
                                             : 9000 + any(1001));
                        state[i] = WAITS;
                        since[i] = step;
                } else if (state[i] == WAITS && any(20) == 0) {
                        queue_remove(&place.queue, &claims[i]);
                        state[i] = OUT;
                } else if (state[i] == RUNS) {
                        ledger_return(&place.ledger, &place.accounts[slice_of[i]],
                                      &claims[i].demand);
                        state[i] = OUT;
                }
                while ((next = queue_next(&place.queue, &place.ledger, &never))) {
                        unsigned k = (unsigned)(next - claims);

                        need(!never && state[k] == WAITS);
                        /* FIFO in its slice; and in the pool, but for those that wait for their
                         * slice. */
                        for (unsigned o = 0; o < CLAIMS; o++) {
                                if (state[o] != WAITS || o == k || claims[o].order > next->order)
                                        continue;
                                need(slice_of[o] != slice_of[k]);
                                need(slice_of[o] == 1);
                        }
                        state[k] = RUNS;
                        granted++;
                        large += next->demand.amount[RESOURCE_CPU] >= 9000;
                        if (step - since[k] > longest)
                                longest = step - since[k];
                }
                for (unsigned o = 0; o < CLAIMS; o++)
                        n += state[o] == WAITS;
                need_uint(n, place.queue.n);
                need(place.ledger.allocated.amount[RESOURCE_CPU] <= 10000);
                need(place.accounts[1].allocated.amount[RESOURCE_CPU] <= 4000);
        }
        unit_note("%u granted, %u of them large; the longest wait took %ju steps", granted, large,
                  (uintmax_t)longest);
        expect(granted > 1000);
        expect(large > 20);
        /* Bounded: a hundred before it, each a life of some hundred steps. */
        expect(longest < 60000);
}

UNIT_MAIN(TEST(claims_are_served_in_the_order_of_arrival),
          TEST(a_full_slice_holds_back_its_own_claims_only),
          TEST(a_claim_that_waits_for_the_pool_is_passed_by_nobody),
          TEST(a_claim_with_a_share_of_its_own_waits_for_nobody_who_cannot_have_it),
          TEST(a_claim_that_can_never_fit_any_more_is_taken_out),
          TEST(no_schedule_loses_starves_or_reorders_a_claim), )

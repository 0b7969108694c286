/* SPDX-License-Identifier: MIT */
/*
 * The estimate against what then happens: worlds (world.h) with any limits, shares, priorities and
 * backfill, in which everybody keeps his promise and nobody comes.
 */
#include <admission/estimate.h>
#include <string.h>

#include "unit.h"
#include "world.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WORLDS 3000
#endif
#endif
#ifndef WORLDS
#define WORLDS 30000
#endif
#define EVENTS 16
#define MANY (ESTIMATE_CLAIMS_MAX + 1)

static struct estimate estimate;

/* Who of those that run said until when. */
static size_t collect(const struct world *world, struct estimate_holder holders[CLAIMS]) {
        size_t n = 0;

        for (unsigned i = 0; i < CLAIMS; i++) {
                const struct member *member = &world->members[i];

                if (member->state == RUNS && member->claim.held)
                        holders[n++] = (struct estimate_holder){
                                .account = &world->accounts[LEAVES + member->lane],
                                .demand = &member->charged,
                                .order = member->claim.order,
                                .until_usec = member->claim.end.key,
                        };
        }
        return n;
}

static int ask(struct world *world, const struct member *member, uint64_t *startp) {
        struct estimate_holder holders[CLAIMS];
        size_t n = collect(world, holders);

        return estimate_start(&estimate, &world->queue, &world->ledger, &world->lanes[member->lane],
                              &member->claim, holders, n, startp);
}

/* Whoever promised ends at that very time, one after the other; the answer that @wanted, which is
 * queued, should have had. */
static int happens(struct world *world, const struct member *wanted, uint64_t *startp) {
        const struct tree_node began = {.key = world->now_usec, .order = UINT64_MAX};

        for (;;) {
                const char *wrong = world_settle(world);
                struct claim *claim;

                need_that(!wrong, "%s", wrong);
                *startp = world->now_usec;
                if (wanted->state == RUNS)
                        return 0;
                if (wanted->state == OUT)
                        return ESTIMATE_E_NEVER;
                claim = claim_ending(tree_next(world->queue.ends, &began));
                if (!claim)
                        return ESTIMATE_E_OPEN;
                world->now_usec = claim->end.key;
                world_end(world, container_of(claim, struct member, claim));
        }
}

static struct member *outside(struct world *world) {
        for (unsigned i = 0; i < CLAIMS; i++)
                if (world->members[i].state == OUT)
                        return &world->members[i];
        return NULL;
}

/* Sets what @member wants. It is not queued. */
static void want(struct world *world, struct member *member, unsigned lane, uint64_t cpu,
                 uint64_t time_usec) {
        member->claim = (struct claim){.time_usec = time_usec};
        member->claim.order = max_u64(world->order + 1, world->now_usec * 1000);
        member->claim.demand.amount[RESOURCE_CPU] = cpu;
        member->lane = lane;
}

static void come(struct world *world, struct member *member) {
        const struct demand *demand = &member->claim.demand;

        world_arrive(world, member, member->lane, demand->amount[RESOURCE_CPU],
                     demand->amount[RESOURCE_MEMORY], demand->amount[RESOURCE_DISK]);
}

static void want_anything(struct world *world, struct member *member) {
        uint64_t time_usec = world_any(world, 8) ? 1 + world_any(world, LIFE_MAX) : 0;
        struct claim *claim = &member->claim;

        want(world, member, (unsigned)world_any(world, LANES),
             world_any(world, 5) ? world_any(world, 4) : world_any(world, 11), time_usec);
        claim->demand.amount[RESOURCE_MEMORY] = world_any(world, 4);
        claim->demand.amount[RESOURCE_DISK] = world_any(world, 3);
        claim->priority =
                world_any(world, 3) ? 0 : (int64_t)world_any(world, 2001) - CLAIM_PRIORITY_MAX;
        claim->ends = world_any(world, 2);
}

struct tally {
        uint64_t asked, later, open;
};

/* What is said of @member, which waits, or comes now, against what happens. The world is as before
 * then. */
static void compare(struct world *world, struct member *member, uint64_t seed,
                    struct tally *tally) {
        static struct world saved;
        uint64_t said_usec = 0, happened_usec = 0;
        int said, happened;

        said = ask(world, member, &said_usec);
        saved = *world;
        if (member->state == OUT)
                come(world, member);
        happened = happens(world, member, &happened_usec);
        tally->asked++;
        tally->open += said == ESTIMATE_E_OPEN;
        tally->later += said == 0 && said_usec > saved.now_usec;
        /* Who can never have it is refused when he is looked at, perhaps never. */
        if (said == ESTIMATE_E_NEVER && happened == ESTIMATE_E_OPEN)
                happened = ESTIMATE_E_NEVER;
        need_that(said == happened && (said != 0 || said_usec == happened_usec),
                  "world %ju: said %d at %ju, happened %d at %ju", (uintmax_t)seed, said,
                  (uintmax_t)said_usec, happened, (uintmax_t)happened_usec);
        *world = saved;
}

static void if_all_keep_their_promise_the_estimate_is_what_happens(void) {
        struct world *world = malloc(sizeof(*world));
        struct tally tally = {};

        need(world != NULL);
        for (uint64_t seed = 1; seed <= WORLDS; seed++) {
                world_init(world, seed);
                for (unsigned event = 0; event < EVENTS; event++) {
                        struct member *member = outside(world);
                        const char *wrong;

                        if (member && world_any(world, 3)) {
                                want_anything(world, member);
                                come(world, member);
                        } else {
                                world->now_usec += world_any(world, 8);
                        }
                        wrong = world_settle(world);
                        need_that(!wrong, "%s", wrong);
                }
                for (unsigned i = 0; i < CLAIMS; i++)
                        if (world->members[i].state == WAITS)
                                compare(world, &world->members[i], seed, &tally);
                if (outside(world)) {
                        want_anything(world, outside(world));
                        compare(world, outside(world), seed, &tally);
                }
        }
        unit_note("%ju estimates: %ju of a later time, %ju that nobody can say",
                  (uintmax_t)tally.asked, (uintmax_t)tally.later, (uintmax_t)tally.open);
        expect(tally.later > WORLDS && tally.open > WORLDS / 10);
        free(world);
}

static void asking_leaves_books_and_queue_untouched(void) {
        static struct world world, saved;
        uint64_t start = 0;

        world_init(&world, 0);
        for (unsigned i = 0; i < CLAIMS; i++) {
                want(&world, &world.members[i], i % LANES, 4, 10 + i);
                come(&world, &world.members[i]);
        }
        need(world_settle(&world) == NULL);
        need(world.members[CLAIMS - 1].state == WAITS);
        saved = world;
        expect_int(ask(&world, &world.members[CLAIMS - 1], &start), 0);
        expect(memcmp(&saved, &world, sizeof(world)) == 0);
}

static void a_claim_starts_when_enough_of_those_before_it_have_left(void) {
        static struct world world;
        uint64_t start = 0;

        world_init(&world, 0);
        want(&world, &world.members[0], 0, 4, 500);
        come(&world, &world.members[0]);
        want(&world, &world.members[1], 1, 4, 900);
        come(&world, &world.members[1]);
        need(world_settle(&world) == NULL);
        want(&world, &world.members[2], 2, 3, 100);
        expect_int(ask(&world, &world.members[2], &start), 0);
        expect_uint(start, 1500);
        come(&world, &world.members[2]);
        need(world_settle(&world) == NULL);
        /* The next has to wait for that one, too: after 500 there are 3 left, after
         * 600 there are 6. */
        want(&world, &world.members[3], 3, 4, 0);
        expect_int(ask(&world, &world.members[3], &start), 0);
        expect_uint(start, 1600);
        come(&world, &world.members[3]);
        need(world_settle(&world) == NULL);
        /* And behind who does not say when he leaves nobody knows. */
        want(&world, &world.members[4], 4, 8, 0);
        expect_int(ask(&world, &world.members[4], &start), ESTIMATE_E_OPEN);
        /* The one who should have left is not counted on. */
        world.now_usec = 1500;
        queue_tell_time(&world.queue, 1500);
        expect_int(ask(&world, &world.members[2], &start), 0);
        expect_uint(start, 1900);
}

static void a_higher_priority_starts_first(void) {
        const struct order_rules rules = {.age_step_ns = 1000000};
        static struct world world;
        uint64_t start = 0;

        world_init(&world, 0);
        queue_set_rules(&world.queue, &rules);
        for (unsigned i = 0; i < 3; i++) {
                want(&world, &world.members[i], i, POOL_CPU, 100);
                come(&world, &world.members[i]);
        }
        need(world_settle(&world) == NULL);
        want(&world, &world.members[3], 3, POOL_CPU, 100);
        expect_int(ask(&world, &world.members[3], &start), 0);
        expect_uint(start, 1300);
        world.members[3].claim.priority = 10;
        expect_int(ask(&world, &world.members[3], &start), 0);
        expect_uint(start, 1100);
}

static void what_never_fits_has_no_time(void) {
        static struct world world;
        uint64_t start = 77;

        world_init(&world, 0);
        want(&world, &world.members[0], 0, POOL_CPU + 1, 0);
        expect_int(ask(&world, &world.members[0], &start), ESTIMATE_E_NEVER);
        expect_uint(start, 77);
}

static void a_long_play_says_what_is_sure_and_too_much_to_copy_nothing(void) {
        static struct claim claims[MANY];
        static struct world world;
        uint64_t start = 0;

        world_init(&world, 0);
        for (unsigned i = 0; i < MANY; i++) {
                claims[i].order = ++world.order;
                claims[i].demand.amount[RESOURCE_CPU] = POOL_CPU;
                claims[i].time_usec = 10;
                queue_insert(&world.queue, &world.lanes[0], &claims[i]);
        }
        /* Two steps each, the first but one. */
        expect_int(estimate_start(&estimate, &world.queue, &world.ledger, &world.lanes[0],
                                  &claims[300], NULL, 0, &start),
                   0);
        expect_uint(start, 3000);
        expect_int(estimate_start(&estimate, &world.queue, &world.ledger, &world.lanes[0],
                                  &claims[900], NULL, 0, &start),
                   ESTIMATE_E_LATER);
        expect(start > 7000 && start < 8000);
        expect_int(estimate_start(&estimate, &world.queue, &world.ledger, &world.lanes[0],
                                  &claims[MANY - 1], NULL, 0, &start),
                   ESTIMATE_E_LONG);
}

UNIT_MAIN(TEST(a_claim_starts_when_enough_of_those_before_it_have_left),
          TEST(a_higher_priority_starts_first), TEST(what_never_fits_has_no_time),
          TEST(asking_leaves_books_and_queue_untouched),
          TEST(a_long_play_says_what_is_sure_and_too_much_to_copy_nothing),
          TEST(if_all_keep_their_promise_the_estimate_is_what_happens), )

/* SPDX-License-Identifier: MIT */
/*
 * Everything that can happen with a few claims: each comes, is granted or waits, gives up or ends,
 * in every order, and at every step the broker may die and come back, with or without one of those
 * who waited. Each state is checked (world.h), and after each crash that all who wait are granted
 * in the end. Three claims; as many as PROVIUM_CLAIMS says (tests/sweep/schedules.sh: four).
 */
#include <string.h>

#include "unit.h"
#include "world.h"

#define CLAIMS_MAX 4
#define KINDS 5

struct walk {
        struct world world;
        struct world saved[2 * CLAIMS_MAX + 2]; /* the states on the way here */
        bool came[CLAIMS_MAX];
        unsigned kind[CLAIMS_MAX], n;
        uint64_t states;
};

/* Alone: all CPUs; one of each; most of all; little but disk; no CPU. */
static const uint64_t wants[KINDS][AXES] = {
        {POOL_CPU, 0, 0}, {3, 4, 2}, {7, 8, 3}, {1, 1, 4}, {0, 6, 2}};
static const unsigned lane_of[2][CLAIMS_MAX] = {{0, 0, 1, 2}, {0, 3, 4, 1}};

static void step(struct walk *walk, unsigned depth, bool crashed, unsigned lanes);

static void go_on(struct walk *walk, unsigned depth, bool crashed, unsigned lanes) {
        const char *wrong = world_settle(&walk->world);

        need_that(!wrong, "kinds %u %u %u %u, depth %u: %s", walk->kind[0], walk->kind[1],
                  walk->kind[2], walk->kind[3], depth, wrong);
        walk->states++;
        step(walk, depth + 1, crashed, lanes);
        walk->world = walk->saved[depth];
}

/* It dies with @lost; the walk goes on from there, and apart from that everything ends. */
static void crash(struct walk *walk, unsigned depth, unsigned lost, unsigned lanes) {
        const char *wrong;

        world_crash(&walk->world, lost);
        wrong = world_drain(&walk->world);
        need_that(!wrong, "after a crash, depth %u: %s", depth, wrong);
        walk->world = walk->saved[depth];
        world_crash(&walk->world, lost);
        go_on(walk, depth, true, lanes);
}

/* All that can happen next. */
static void step(struct walk *walk, unsigned depth, bool crashed, unsigned lanes) {
        walk->saved[depth] = walk->world;
        for (unsigned i = 0; i < walk->n; i++) {
                struct member *member = &walk->world.members[i];
                const uint64_t *want = wants[walk->kind[i]];

                if (member->state == RUNS) {
                        world_end(&walk->world, member);
                } else if (member->state == WAITS) {
                        world_cancel(&walk->world, member);
                } else if (!walk->came[i]) {
                        walk->came[i] = true;
                        world_arrive(&walk->world, member, lane_of[lanes][i], want[0], want[1],
                                     want[2]);
                        go_on(walk, depth, crashed, lanes);
                        walk->came[i] = false;
                        continue;
                } else {
                        continue;
                }
                go_on(walk, depth, crashed, lanes);
        }
        if (crashed)
                return;
        crash(walk, depth, 0, lanes);
        for (unsigned i = 0; i < walk->n; i++)
                if (walk->world.members[i].state == WAITS)
                        crash(walk, depth, 1u << i, lanes);
}

static void walk_world(struct walk *walk, unsigned lanes, bool rules) {
        const struct order_rules backfill = {.age_step_ns = 1, .backfill = true};

        world_init(&walk->world, 0);
        memset(walk->came, 0, sizeof(walk->came));
        /* A slice with a limit, one with a share that it lends, and a user with a ceiling. */
        walk->world.accounts[INNER_A].limit.amount[RESOURCE_CPU] = POOL_CPU;
        walk->world.accounts[INNER_A].vms_max = 2;
        walk->world.accounts[USER_2].limit.amount[RESOURCE_MEMORY] = 8;
        walk->world.ledger.lend_usec = 5;
        ledger_set_share(&walk->world.ledger, &walk->world.accounts[INNER_B],
                         &(struct demand){.amount = {[RESOURCE_MEMORY] = 3}}, true);
        if (rules)
                queue_set_rules(&walk->world.queue, &backfill);
        for (unsigned i = 0; i < walk->n; i++) {
                walk->world.members[i].claim.time_usec = rules && i % 2 ? 4 + i : 0;
                walk->world.members[i].claim.ends = true;
                walk->world.members[i].claim.priority = rules ? (int64_t)(i * 300 % 500) : 0;
        }
        step(walk, 0, false, lanes);
}

static void no_order_of_events_loses_or_oversells_anything(void) {
        const char *wanted = getenv("PROVIUM_CLAIMS");
        struct walk *walk = calloc(1, sizeof(*walk));
        unsigned worlds = 0;

        need(walk != NULL);
        walk->n = wanted ? (unsigned)strtoul(wanted, NULL, 10) : 3;
        need(walk->n > 0 && walk->n <= CLAIMS_MAX);
        for (unsigned code = 0; code < KINDS * KINDS * KINDS * KINDS; code++) {
                unsigned rest = code, sum = 0;

                for (unsigned i = 0; i < CLAIMS_MAX; i++, rest /= KINDS) {
                        walk->kind[i] = rest % KINDS;
                        sum += walk->kind[i];
                }
                /* Of four, what the first three want decides what the fourth does. */
                if (walk->n < CLAIMS_MAX ? walk->kind[CLAIMS_MAX - 1] > 0 : sum % KINDS != 2)
                        continue;
                walk_world(walk, code / 3 % 2, code % 2);
                worlds++;
        }
        unit_note("%u worlds, %ju states", worlds, (uintmax_t)walk->states);
        free(walk);
}

UNIT_MAIN(TEST(no_order_of_events_loses_or_oversells_anything), )

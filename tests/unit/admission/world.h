/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A small host: two slices inside a third and one beside it, two users, the lanes of who may use
 * what, and a few claims that come, wait, run and end. Everything lies in one piece of memory, so
 * that a state can be kept and gone back to with memcpy().
 */

#include <admission/queue.h>

#define CLAIMS 8
#define LANES 6
#define LIFE_MAX 40 /* microseconds: nothing runs longer */
#define POOL_CPU 10
#define POOL_MEMORY 12
#define POOL_DISK 6
#define AXES 3 /* RESOURCE_CPU, RESOURCE_MEMORY, RESOURCE_DISK */

enum { OUTER, INNER_A, INNER_B, BESIDE, USER_1, USER_2, LEAVES, ACCOUNTS = LEAVES + LANES };

enum state { OUT, WAITS, RUNS };

struct member {
        struct claim claim;
        enum state state;
        unsigned lane;
        uint64_t ends_usec;    /* when it really does */
        uint64_t came_usec;    /* into the queue */
        uint64_t before;       /* claims that were before it while it waited */
        struct demand charged; /* what the books have of it */
};

struct world {
        struct ledger ledger;
        struct queue queue;
        struct account accounts[ACCOUNTS];
        struct lane lanes[LANES];
        struct member members[CLAIMS];
        uint64_t now_usec, order, random;
        bool calm; /* nobody changes policy or sizes: the theorem holds */
        uint64_t granted, passed;
        uint64_t entitled; /* of those that passed: by a share of their own, nothing else */
        const char *(*on_grant)(struct world *world, const struct member *member); /* or NULL */
};

uint64_t world_any(struct world *world, uint64_t below);

/* The books and the empty queue, with limits and rules from @seed; 0: no limits and strict FIFO. */
void world_init(struct world *world, uint64_t seed);

void world_arrive(struct world *world, struct member *member, unsigned lane, uint64_t cpu,
                  uint64_t memory, uint64_t disk);
void world_end(struct world *world, struct member *member);
void world_cancel(struct world *world, struct member *member);

/* The broker dies and comes back: charges are restored from what runs, who waited asks again with
 * the old order, but for those in @lost (a bit each). */
void world_crash(struct world *world, unsigned lost);

/*
 * Lets everybody start who may, and checks each grant and what is left afterwards: the books are
 * the sums of what runs, no limit is exceeded by a grant, nobody passed whom the rules protect (by
 * a share of its own only if that takes nothing from the first), and nobody waits who surely may
 * start. NULL, or what is wrong.
 */
const char *world_settle(struct world *world);

/* Lets everything end, without new arrivals: all that waits has to be granted. NULL, or what is
 * wrong. */
const char *world_drain(struct world *world);

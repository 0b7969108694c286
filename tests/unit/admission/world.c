/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "world.h"

uint64_t world_any(struct world *world, uint64_t below) {
        world->random = world->random * 6364136223846793005u + 1442695040888963407u;
        return (world->random >> 33) % below;
}

static struct demand of(uint64_t cpu, uint64_t memory, uint64_t disk) {
        struct demand demand = {};

        demand.amount[RESOURCE_CPU] = cpu;
        demand.amount[RESOURCE_MEMORY] = memory;
        demand.amount[RESOURCE_DISK] = disk;
        return demand;
}

static const unsigned slice_of[LANES] = {INNER_A, INNER_A, INNER_B, INNER_B, BESIDE, BESIDE};

static void configure(struct world *world) {
        struct demand capacity = of(POOL_CPU, POOL_MEMORY, POOL_DISK), none = {},
                      ratio = of(1000, 1000, 1000);
        bool enforced[_RESOURCE_N] = {
                [RESOURCE_CPU] = true, [RESOURCE_MEMORY] = true, [RESOURCE_DISK] = true};

        ledger_configure(&world->ledger, &capacity, &none, &ratio, enforced, LEDGER_NO_LIMIT);
}

static void place_accounts(struct world *world) {
        for (unsigned i = 0; i < ACCOUNTS; i++) {
                struct account *account = &world->accounts[i];

                account->kind = i == USER_1 || i == USER_2 ? ACCOUNT_USER : ACCOUNT_SLICE;
                account->vms_max = account->queued_max = LEDGER_NO_LIMIT;
                for (unsigned r = 0; r < _RESOURCE_N; r++)
                        account->limit.amount[r] = LEDGER_NO_LIMIT;
        }
        if (!account_place(&world->accounts[INNER_A], &world->accounts[OUTER]) ||
            !account_place(&world->accounts[INNER_B], &world->accounts[OUTER]))
                abort();
        for (unsigned i = 0; i < LANES; i++) {
                struct account *leaf = &world->accounts[LEAVES + i];

                if (!account_place(leaf, &world->accounts[slice_of[i]]) ||
                    !account_add_ceiling(leaf, &world->accounts[i % 2 ? USER_2 : USER_1]))
                        abort();
                lane_init(&world->lanes[i], leaf);
        }
}

void world_init(struct world *world, uint64_t seed) {
        memset(world, 0, sizeof(*world));
        world->random = seed * 0x9e3779b97f4a7c15u;
        world->order = 1000000;
        world->now_usec = 1000;
        configure(world);
        queue_init(&world->queue);
        place_accounts(world);
        world->calm = true;
        if (seed == 0)
                return;

        for (unsigned i = 0; i < LEAVES; i++) {
                if (world_any(world, 2))
                        world->accounts[i].limit.amount[RESOURCE_CPU] = 2 + world_any(world, 8);
                if (world_any(world, 4) == 0)
                        world->accounts[i].limit.amount[RESOURCE_MEMORY] = 2 + world_any(world, 8);
                if (world_any(world, 4) == 0)
                        world->accounts[i].vms_max = 1 + world_any(world, 3);
        }
        if (world_any(world, 2)) {
                world->ledger.lend_usec = world_any(world, 20);
                for (unsigned i = OUTER; i <= BESIDE; i++) {
                        struct demand share = of(world_any(world, 3), world_any(world, 3), 0);

                        ledger_set_share(&world->ledger, &world->accounts[i], &share,
                                         world_any(world, 2));
                }
        }
        if (world_any(world, 2)) {
                struct order_rules rules = {
                        .age_step_ns = world_any(world, 2) ? 5 : 0,
                        .backfill = world_any(world, 2),
                        .pass_for_usec = world_any(world, 3) ? 0 : 1 + world_any(world, 60),
                };

                queue_set_rules(&world->queue, &rules);
        }
        world->calm = world_any(world, 2);
}

void world_arrive(struct world *world, struct member *member, unsigned lane, uint64_t cpu,
                  uint64_t memory, uint64_t disk) {
        world->order = max_u64(world->order + 1, world->now_usec * 1000);
        member->claim.order = world->order;
        member->claim.demand = of(cpu, memory, disk);
        member->lane = lane;
        member->state = WAITS;
        member->came_usec = world->now_usec;
        member->before = 0;
        queue_insert(&world->queue, &world->lanes[lane], &member->claim);
        for (unsigned i = 0; i < CLAIMS; i++) {
                struct member *other = &world->members[i];

                if (other == member || other->state != WAITS)
                        continue;
                if (tree_before(&other->claim.place, &member->claim.place))
                        member->before++;
                else
                        other->before++;
        }
}

void world_end(struct world *world, struct member *member) {
        queue_release(&world->queue, &member->claim);
        ledger_return(&world->ledger, &world->accounts[LEAVES + member->lane], &member->charged);
        member->state = OUT;
}

void world_cancel(struct world *world, struct member *member) {
        queue_remove(&world->queue, &member->claim);
        member->state = OUT;
}

void world_crash(struct world *world, unsigned lost) {
        struct world *old = malloc(sizeof(*old));

        if (!old)
                abort();
        *old = *world;
        memset(&world->ledger, 0, sizeof(world->ledger));
        memset(world->accounts, 0, sizeof(world->accounts));
        world->ledger.lend_usec = old->ledger.lend_usec;
        configure(world);
        place_accounts(world);
        for (unsigned i = 0; i < ACCOUNTS; i++) {
                world->accounts[i].limit = old->accounts[i].limit;
                world->accounts[i].vms_max = old->accounts[i].vms_max;
                ledger_set_share(&world->ledger, &world->accounts[i], &old->accounts[i].guarantee,
                                 old->accounts[i].lends);
        }
        queue_init(&world->queue);
        queue_set_rules(&world->queue, &old->queue.rules);
        queue_tell_time(&world->queue, world->now_usec);
        for (unsigned i = 0; i < CLAIMS; i++) {
                struct member *member = &world->members[i];
                const struct claim was = member->claim;

                member->claim = (struct claim){.order = was.order,
                                               .priority = was.priority,
                                               .time_usec = was.time_usec,
                                               .ends = was.ends,
                                               .demand = was.demand};
                if (member->state == RUNS) {
                        if (!ledger_restore(&world->ledger, &world->accounts[LEAVES + member->lane],
                                            &member->charged))
                                abort();
                        if (was.held)
                                queue_hold(&world->queue, &member->claim, was.end.key);
                } else if (member->state == WAITS && (lost & (1u << i))) {
                        member->state = OUT;
                } else if (member->state == WAITS) {
                        queue_insert(&world->queue, &world->lanes[member->lane], &member->claim);
                }
        }
        free(old);
}

static bool shares(const struct account *a, const struct account *b) {
        for (const struct account *x = a; x; x = x->parent)
                for (const struct account *y = b; y; y = y->parent)
                        if (x == y)
                                return true;
        return a->ceilings[0] == b->ceilings[0];
}

static bool is_around(const struct account *around, const struct account *leaf) {
        for (const struct account *at = leaf; at; at = at->parent)
                if (at == around)
                        return true;
        return leaf->ceilings[0] == around;
}

/* How much of each axis that it wants @member could have, by asking; 0 is none at all. */
static void could_have(const struct world *world, const struct member *member,
                       uint64_t amounts[AXES]) {
        const struct claim *claim = &member->claim;

        for (unsigned i = 0; i < AXES; i++) {
                struct demand demand = {};

                amounts[i] = 0;
                for (uint64_t x = 0; x <= claim->demand.amount[i]; x++) {
                        demand.amount[i] = x;
                        if (ledger_check_for(&world->ledger,
                                             &world->accounts[LEAVES + member->lane], &demand,
                                             claim_borrows_usec(claim), NULL) == 0)
                                amounts[i] = x + 1;
                }
        }
}

/* @granted, which is charged, has a guarantee, took nothing from @first, and was the first in its
 * slice. */
static bool had_a_share(struct world *world, const struct member *granted,
                        const struct member *first) {
        const struct account *slice = world->accounts[LEAVES + granted->lane].parent;
        uint64_t with[AXES], without[AXES];
        struct world *saved = malloc(sizeof(*saved));
        bool guaranteed = false;

        if (!saved)
                abort();
        *saved = *world;
        could_have(world, first, with);
        ledger_return(&world->ledger, &world->accounts[LEAVES + granted->lane],
                      &granted->claim.demand);
        could_have(world, first, without);
        *world = *saved;
        free(saved);
        for (const struct account *at = slice; at; at = at->parent)
                guaranteed |= !demand_is_zero(&at->guarantee);
        for (unsigned i = 0; i < CLAIMS; i++) {
                const struct member *other = &world->members[i];

                if (other->state == WAITS && other != granted &&
                    !world->lanes[other->lane].parked &&
                    is_around(slice, &world->accounts[LEAVES + other->lane]) &&
                    tree_before(&other->claim.place, &granted->claim.place))
                        return false;
        }
        return guaranteed && memcmp(with, without, sizeof(with)) == 0;
}

/* The first of those who wait for the pool. */
static const struct member *first_for_pool(const struct world *world) {
        const struct claim *claim;

        TAILQ_FOREACH(claim, &world->queue.claims, all)
                if (!claim->lane->parked)
                        return container_of(claim, const struct member, claim);
        return NULL;
}

/* Nobody was passed but who waits for an account that is no matter to the one that passed, or, by
 * policy, for the pool. */
static const char *check_passed(struct world *world, const struct member *granted) {
        const struct order_rules *rules = &world->queue.rules;
        bool passed = false, passed_pool = false;

        for (unsigned i = 0; i < CLAIMS; i++) {
                const struct member *other = &world->members[i];
                const struct account *parked;

                if (other->state != WAITS || other == granted ||
                    !tree_before(&other->claim.place, &granted->claim.place))
                        continue;
                parked = world->lanes[other->lane].parked;
                if (parked && is_around(parked, &world->accounts[LEAVES + granted->lane]))
                        return "one that waits for an account was passed in it";
                if (parked)
                        continue;
                passed_pool |= !rules->backfill && rules->pass_for_usec == 0;
                passed = true;
        }
        if (passed_pool && !had_a_share(world, granted, first_for_pool(world)))
                return "one that waits for the pool was passed";
        world->passed += passed;
        world->entitled += passed_pool;
        return NULL;
}

static const char *check_grant(struct world *world, struct member *member) {
        uint64_t bound =
                (member->before + 1) * (2 * LIFE_MAX + world->queue.rules.pass_for_usec + 2);

        for (unsigned i = 0; i < AXES; i++) {
                if (member->claim.demand.amount[i] == 0)
                        continue;
                if (world->ledger.allocated.amount[i] > world->ledger.effective.amount[i])
                        return "more was sold than there is";
                for (unsigned a = 0; a < LEAVES; a++)
                        if (is_around(&world->accounts[a],
                                      &world->accounts[LEAVES + member->lane]) &&
                            (world->accounts[a].allocated.amount[i] >
                                     world->accounts[a].limit.amount[i] ||
                             world->accounts[a].vms > world->accounts[a].vms_max))
                                return "an account has more than its limit";
        }
        if (world->calm && world->now_usec - member->came_usec > bound)
                return "one waited longer than the theorem says";
        return check_passed(world, member);
}

static const char *check_books(const struct world *world) {
        struct demand sum = {}, sums[ACCOUNTS] = {};
        uint64_t waiting = 0, running = 0, queued = 0;
        const struct claim *claim, *last = NULL;

        for (unsigned i = 0; i < CLAIMS; i++) {
                const struct member *member = &world->members[i];

                waiting += member->state == WAITS;
                running += member->state == RUNS;
                if (member->state != RUNS)
                        continue;
                for (unsigned r = 0; r < AXES; r++) {
                        sum.amount[r] += member->charged.amount[r];
                        for (unsigned a = 0; a < LEAVES; a++)
                                if (is_around(&world->accounts[a],
                                              &world->accounts[LEAVES + member->lane]))
                                        sums[a].amount[r] += member->charged.amount[r];
                }
        }
        if (!demand_equal(&sum, &world->ledger.allocated) || running != world->ledger.vms)
                return "the books are not the sum of what runs";
        for (unsigned a = 0; a < LEAVES; a++)
                if (!demand_equal(&sums[a], &world->accounts[a].allocated))
                        return "an account is not the sum of what runs in it";
        TAILQ_FOREACH(claim, &world->queue.claims, all) {
                if (last && !tree_before(&last->place, &claim->place))
                        return "the list of all is out of order";
                if (queue_position(&world->queue, claim) != queued++)
                        return "a place is not the number before it";
                last = claim;
        }
        if (waiting != world->queue.n || queued != waiting)
                return "a claim that waits is lost";
        return NULL;
}

/* Whoever fits, and shares no account with anybody before it, none of whom waits for the pool,
 * should have been granted. */
static const char *check_nobody_forgotten(const struct world *world) {
        const struct claim *claim, *before;

        TAILQ_FOREACH(claim, &world->queue.claims, all) {
                bool held_back = false;

                for (before = TAILQ_FIRST(&world->queue.claims); before != claim;
                     before = TAILQ_NEXT(before, all))
                        held_back |= shares(before->lane->account, claim->lane->account) ||
                                     !before->lane->parked;
                if (!held_back &&
                    ledger_check_for(&world->ledger, claim->lane->account, &claim->demand,
                                     claim_borrows_usec(claim), NULL) == 0)
                        return "one waits that may start";
        }
        return NULL;
}

const char *world_settle(struct world *world) {
        struct claim *claim;
        const char *wrong;
        bool never;

        queue_tell_time(&world->queue, world->now_usec);
        while ((claim = queue_next(&world->queue, &world->ledger, &never))) {
                struct member *member = container_of(claim, struct member, claim);

                if (member->state != WAITS)
                        return "a claim was granted twice";
                if (never) {
                        if (ledger_check_for(&world->ledger,
                                             &world->accounts[LEAVES + member->lane],
                                             &claim->demand, claim_borrows_usec(claim),
                                             NULL) != LEDGER_E_NEVER)
                                return "one was refused that may start one day";
                        member->state = OUT;
                        continue;
                }
                wrong = check_grant(world, member);
                member->state = RUNS;
                member->charged = claim->demand;
                member->ends_usec =
                        world->now_usec + (claim->time_usec ?: 1 + world_any(world, LIFE_MAX));
                world->granted++;
                if (!wrong && world->on_grant)
                        wrong = world->on_grant(world, member);
                if (wrong)
                        return wrong;
        }
        wrong = check_books(world);
        return wrong ?: check_nobody_forgotten(world);
}

const char *world_drain(struct world *world) {
        const char *wrong = world_settle(world);

        while (!wrong) {
                struct member *next = NULL;

                for (unsigned i = 0; i < CLAIMS; i++)
                        if (world->members[i].state == RUNS &&
                            (!next || world->members[i].ends_usec < next->ends_usec))
                                next = &world->members[i];
                if (!next)
                        return world->queue.n > 0 ? "one waits for nothing" : NULL;
                world->now_usec = max_u64(world->now_usec, next->ends_usec);
                world_end(world, next);
                wrong = world_settle(world);
        }
        return wrong;
}

/* SPDX-License-Identifier: MIT */
#include <admission/deadlock.h>
#include <string.h>

#include "unit.h"
#include "world.h"

#define OWNERS 5
#define OWNED 3
#define QUEUES 20000
#define PLACES 3 /* a slice, one inside it, one beside */
#define POOL 10

static uint64_t random_state;

static uint64_t any(uint64_t below) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        return (random_state >> 33) % below;
}

static struct demand of(uint64_t cpu, uint64_t memory) {
        struct demand demand = {};

        demand.amount[RESOURCE_CPU] = cpu;
        demand.amount[RESOURCE_MEMORY] = memory;
        return demand;
}

struct place {
        struct ledger ledger;
        struct account accounts[PLACES];
        struct owners owners;
        struct owner owner[OWNERS];
        struct owned owned[OWNERS][2 * OWNED];
        struct demand demand[OWNERS][2 * OWNED];
};

static void place_init(struct place *place) {
        struct demand capacity = of(POOL, POOL), none = {}, ratio = of(1000, 1000);
        bool enforced[_RESOURCE_N] = {[RESOURCE_CPU] = true, [RESOURCE_MEMORY] = true};

        memset(place, 0, sizeof(*place));
        ledger_configure(&place->ledger, &capacity, &none, &ratio, enforced, LEDGER_NO_LIMIT);
        for (unsigned i = 0; i < PLACES; i++) {
                for (unsigned r = 0; r < _RESOURCE_N; r++)
                        place->accounts[i].limit.amount[r] = LEDGER_NO_LIMIT;
                place->accounts[i].vms_max = LEDGER_NO_LIMIT;
        }
        need(account_place(&place->accounts[1], &place->accounts[0]));
        owners_init(&place->owners);
        for (unsigned i = 0; i < OWNERS; i++)
                owner_init(&place->owner[i]);
}

static struct owned *add(struct place *place, unsigned owner, unsigned account, uint64_t cpu,
                         uint64_t memory, bool waits) {
        unsigned i = 0;

        while (place->owned[owner][i].owner)
                i++;
        place->demand[owner][i] = of(cpu, memory);
        owner_add(&place->owners, &place->owner[owner], &place->owned[owner][i],
                  &place->accounts[account], &place->demand[owner][i], waits);
        return &place->owned[owner][i];
}

static void two_that_hold_what_the_other_wants_are_stuck(void) {
        struct place place;

        place_init(&place);
        add(&place, 0, 0, 5, 0, false);
        add(&place, 1, 0, 5, 0, false);
        add(&place, 0, 0, 1, 0, true);
        /* The second does not wait: it ends one day. */
        expect_int(deadlock_check(&place.owners, &place.ledger, NULL, &place.owner[0]), 0);
        add(&place, 1, 0, 1, 0, true);
        expect_int(deadlock_check(&place.owners, &place.ledger, NULL, &place.owner[1]),
                   DEADLOCK_E_STUCK);
        expect(place.owner[0].stuck && place.owner[1].stuck);
}

static void one_alone_is_stuck_if_it_wants_more_than_it_leaves(void) {
        struct place place;
        struct owned *more;

        place_init(&place);
        add(&place, 0, 0, 6, 0, false);
        more = add(&place, 0, 0, 5, 0, true);
        expect_int(deadlock_check(&place.owners, &place.ledger, NULL, &place.owner[0]),
                   DEADLOCK_E_STUCK);
        owner_remove(&place.owners, more);
        expect_int(deadlock_check(&place.owners, &place.ledger, NULL, &place.owner[0]), 0);
        add(&place, 0, 0, 4, 0, true);
        expect_int(deadlock_check(&place.owners, &place.ledger, NULL, &place.owner[0]), 0);
}

static void who_can_go_on_frees_the_others(void) {
        struct place place;

        place_init(&place);
        add(&place, 0, 0, 4, 0, false);
        add(&place, 0, 0, 4, 0, true); /* fits when the second has gone */
        add(&place, 1, 0, 4, 0, false);
        add(&place, 1, 0, 2, 0, true); /* fits when those who do not wait have gone */
        expect_int(deadlock_check(&place.owners, &place.ledger, NULL, &place.owner[0]), 0);
        expect_int(deadlock_check(&place.owners, &place.ledger, NULL, &place.owner[1]), 0);
        /* A slice's limit closes a circle where the pool has room. */
        place.accounts[0].limit.amount[RESOURCE_CPU] = 9;
        expect_int(deadlock_check(&place.owners, &place.ledger, NULL, &place.owner[1]),
                   DEADLOCK_E_STUCK);
}

static void who_holds_nothing_or_waits_for_nothing_is_in_no_circle(void) {
        struct place place;

        place_init(&place);
        add(&place, 0, 0, 10, 0, false);
        add(&place, 1, 0, 10, 0, true);
        expect_int(deadlock_check(&place.owners, &place.ledger, NULL, &place.owner[0]), 0);
        expect_int(deadlock_check(&place.owners, &place.ledger, NULL, &place.owner[1]), 0);
        expect(TAILQ_EMPTY(&place.owners.list));
}

static void who_keeps_what_the_first_waits_for_may_not_wait_behind_it(void) {
        struct demand wanted = of(7, 0);
        struct place place;
        struct owned first = {.account = &place.accounts[0], .demand = &wanted};

        place_init(&place);
        add(&place, 0, 0, 4, 0, false);
        add(&place, 0, 0, 1, 0, true);
        expect_int(deadlock_check(&place.owners, &place.ledger, NULL, &place.owner[0]), 0);
        expect_int(deadlock_check(&place.owners, &place.ledger, &first, &place.owner[0]),
                   DEADLOCK_E_BEHIND);
        expect_int(deadlock_find(&place.owners, &place.ledger, &first), DEADLOCK_E_BEHIND);
        expect(place.owner[0].stuck);
        /* It waits for somebody else. */
        wanted = of(6, 0);
        expect_int(deadlock_check(&place.owners, &place.ledger, &first, &place.owner[0]), 0);
        /* And so it does no more when another keeps some, too. */
        add(&place, 1, 1, 1, 0, false);
        add(&place, 1, 1, 1, 0, true);
        expect_int(deadlock_find(&place.owners, &place.ledger, &first), DEADLOCK_E_BEHIND);
        expect(place.owner[0].stuck && place.owner[1].stuck);
}

/* Does @owner's @claim fit if nothing is charged but what the owners in @left hold? */
static bool fits(const struct place *place, unsigned left, const struct owned *claim) {
        for (unsigned a = 0; a <= PLACES; a++) {
                const struct account *account = a < PLACES ? &place->accounts[a] : NULL;
                bool around =
                        !account || claim->account == account || claim->account->parent == account;

                for (unsigned r = 0; r < 2; r++) {
                        uint64_t sum = claim->demand->amount[r], limit;

                        for (unsigned o = 0; o < OWNERS; o++)
                                for (unsigned i = 0; i < 2 * OWNED; i++) {
                                        const struct owned *one = &place->owned[o][i];

                                        if (!one->owner || one->waits || !(left & (1u << o)))
                                                continue;
                                        if (!account || one->account == account ||
                                            one->account->parent == account)
                                                sum += one->demand->amount[r];
                                }
                        limit = account ? account->limit.amount[r] : POOL;
                        if (around && claim->demand->amount[r] > 0 && sum > limit)
                                return false;
                }
        }
        return true;
}

/* Is there any order in which @asking comes to go on, when @left are those that have not? */
static bool may_go(const struct place *place, unsigned left, unsigned asking) {
        if (!(left & (1u << asking)))
                return true;
        for (unsigned o = 0; o < OWNERS; o++)
                for (unsigned i = 0; (left & (1u << o)) && i < 2 * OWNED; i++) {
                        const struct owned *one = &place->owned[o][i];

                        if (one->owner && one->waits && fits(place, left, one) &&
                            may_go(place, left & ~(1u << o), asking))
                                return true;
                }
        return false;
}

static void in_any_world_exactly_those_are_stuck_whom_no_order_frees(void) {
        unsigned stuck = 0, free_ = 0;

        random_state = 11;
        for (unsigned round = 0; round < 30000; round++) {
                struct place place;
                unsigned left = 0, asking = (unsigned)any(OWNERS);
                bool locked = false;

                place_init(&place);
                for (unsigned a = 0; a < PLACES; a++)
                        if (any(2))
                                place.accounts[a].limit.amount[any(2)] = 3 + any(8);
                for (unsigned o = 0; o < OWNERS; o++) {
                        uint64_t n_held = any(OWNED + 1), n_waiting = any(OWNED);

                        for (unsigned i = 0; i < n_held; i++)
                                add(&place, o, (unsigned)any(PLACES), any(4), any(4), false);
                        for (unsigned i = 0; i < n_waiting; i++)
                                add(&place, o, (unsigned)any(PLACES), any(8), any(8), true);
                        if (n_held > 0 && n_waiting > 0)
                                left |= 1u << o;
                }
                for (unsigned o = 0; o < OWNERS; o++)
                        locked |= !may_go(&place, left, o);
                need_int(deadlock_find(&place.owners, &place.ledger, NULL),
                         locked ? DEADLOCK_E_STUCK : 0);
                for (unsigned o = 0; o < OWNERS; o++)
                        if (left & (1u << o))
                                need_int(place.owner[o].stuck, !may_go(&place, left, o));
                if (may_go(&place, left, asking)) {
                        free_++;
                        need_int(deadlock_check(&place.owners, &place.ledger, NULL,
                                                &place.owner[asking]),
                                 0);
                } else {
                        stuck++;
                        need_int(deadlock_check(&place.owners, &place.ledger, NULL,
                                                &place.owner[asking]),
                                 DEADLOCK_E_STUCK);
                }
        }
        unit_note("%u stuck, %u not", stuck, free_);
        expect(stuck > 1000 && free_ > 1000);
}

/* More than it looks at: it gives up, and proves nothing. */
static void what_it_costs_is_bounded(void) {
        const unsigned n = DEADLOCK_LOOKS_MAX + 10;
        struct owned *owned = calloc(2 * (size_t)n, sizeof(*owned));
        struct owner *owners = calloc(n, sizeof(*owners));
        struct demand one = of(1, 0), huge = of(POOL + 1, 0);
        struct place place;

        place_init(&place);
        need(owned && owners);
        for (unsigned i = 0; i < n; i++) {
                owner_init(&owners[i]);
                owner_add(&place.owners, &owners[i], &owned[2 * i], &place.accounts[0], &one,
                          false);
                owner_add(&place.owners, &owners[i], &owned[2 * i + 1], &place.accounts[0], &huge,
                          true);
        }
        expect_int(deadlock_check(&place.owners, &place.ledger, NULL, &owners[0]), 0);
        expect_int(deadlock_find(&place.owners, &place.ledger, NULL), 0);
        free(owned);
        free(owners);
}

/* Owners of what is in a world (world.h); a member without one ends whenever it likes. */
struct owning {
        struct world *world;
        unsigned owner_of[CLAIMS]; /* OWNERS: nobody */
        bool goes[OWNERS];         /* it was granted something, and ends in the end */
};

/* May @member end, or does it have to be kept? */
static bool may_end(const struct owning *owning, unsigned member) {
        unsigned owner = owning->owner_of[member];

        if (owner == OWNERS || owning->goes[owner])
                return true;
        for (unsigned i = 0; i < CLAIMS; i++)
                if (owning->owner_of[i] == owner && owning->world->members[i].state == WAITS)
                        return false;
        return true;
}

/* Is there an order of ends in which @owner is granted something? The queue itself decides. */
static bool is_granted(struct owning *owning, unsigned owner) {
        struct world *world = owning->world, *saved = malloc(sizeof(*saved));
        bool granted = false, goes[OWNERS];

        need(saved != NULL);
        *saved = *world;
        memcpy(goes, owning->goes, sizeof(goes));
        for (unsigned i = 0; i < CLAIMS && !granted; i++) {
                if (world->members[i].state != RUNS || !may_end(owning, i))
                        continue;
                world_end(world, &world->members[i]);
                need(world_settle(world) == NULL);
                for (unsigned j = 0; j < CLAIMS; j++)
                        if (saved->members[j].state == WAITS && world->members[j].state == RUNS &&
                            owning->owner_of[j] < OWNERS)
                                owning->goes[owning->owner_of[j]] = true;
                granted = owning->goes[owner] || is_granted(owning, owner);
                *world = *saved;
                memcpy(owning->goes, goes, sizeof(goes));
        }
        free(saved);
        return granted;
}

/* The answer of deadlock_find() about a world as it is, with who is stuck. */
static int find_stuck(struct owning *owning, bool stuck[OWNERS]) {
        struct world *world = owning->world;
        struct owners owners;
        struct owner owner[OWNERS];
        struct owned owned[CLAIMS] = {}, first = {};
        const struct claim *head = TAILQ_FIRST(&world->queue.claims);
        int r;

        owners_init(&owners);
        owners.strict = true;
        for (unsigned o = 0; o < OWNERS; o++)
                owner_init(&owner[o]);
        for (unsigned i = 0; i < CLAIMS; i++) {
                struct member *member = &world->members[i];

                if (owning->owner_of[i] == OWNERS || member->state == OUT)
                        continue;
                owner_add(&owners, &owner[owning->owner_of[i]], &owned[i],
                          &world->accounts[LEAVES + member->lane], &member->claim.demand,
                          member->state == WAITS);
                owned[i].place = &member->claim.place;
        }
        if (head && head->reason == WAIT_POOL_FULL) {
                first.account = head->lane->account;
                first.demand = &head->demand;
        }
        r = deadlock_find(&owners, &world->ledger, first.account ? &first : NULL);
        for (unsigned o = 0; o < OWNERS; o++)
                stuck[o] = r && owner[o].listed && owner[o].stuck;
        return r;
}

/* Any queue in strict order, and two owners whose claims are in it among others. */
static void queue_init_any(struct owning *owning, uint64_t seed) {
        const struct order_rules strict = {};
        struct world *world = owning->world;
        struct shortage shortage;
        struct demand want;
        unsigned lane;

        world_init(world, seed);
        world->calm = false;
        queue_set_rules(&world->queue, &strict);
        memset(owning->goes, 0, sizeof(owning->goes));
        for (unsigned i = 0; i < CLAIMS; i++) {
                uint64_t owner = world_any(world, 4);

                owning->owner_of[i] = owner < 2 ? (unsigned)owner : OWNERS;
                world->members[i].claim = (struct claim){};
                want = of(world_any(world, 6), world_any(world, 5));
                lane = (unsigned)world_any(world, LANES);
                /* Who can never have it does not come to wait. */
                if (queue_check(&world->queue, &world->ledger, &world->lanes[lane], &want,
                                &shortage) == LEDGER_E_NEVER)
                        continue;
                world_arrive(world, &world->members[i], lane, want.amount[RESOURCE_CPU],
                             want.amount[RESOURCE_MEMORY], 0);
                need(world_settle(world) == NULL);
        }
}

static void who_is_stuck_in_a_queue_is_granted_nothing_in_any_order(void) {
        struct owning owning = {.world = malloc(sizeof(struct world))};
        unsigned alone = 0, behind = 0, missed = 0;
        bool stuck[OWNERS];

        need(owning.world != NULL);
        for (uint64_t seed = 1; seed <= QUEUES; seed++) {
                int r;

                queue_init_any(&owning, seed);
                r = find_stuck(&owning, stuck);
                alone += r == DEADLOCK_E_STUCK;
                behind += r == DEADLOCK_E_BEHIND;
                for (unsigned o = 0; o < 2; o++) {
                        bool waits = false, holds = false;

                        for (unsigned i = 0; i < CLAIMS; i++) {
                                waits |= owning.owner_of[i] == o &&
                                         owning.world->members[i].state == WAITS;
                                holds |= owning.owner_of[i] == o &&
                                         owning.world->members[i].state == RUNS;
                        }
                        if (stuck[o])
                                need_that(!is_granted(&owning, o), "queue %ju: owner %u is not",
                                          (uintmax_t)seed, o);
                        else if (waits && holds && r != DEADLOCK_E_STUCK)
                                missed += !is_granted(&owning, o);
                }
        }
        unit_note("%u by what they want, %u by the order, %u owners not found", alone, behind,
                  missed);
        expect(alone > QUEUES / 100 && behind > QUEUES / 200);
        free(owning.world);
}

UNIT_MAIN(TEST(two_that_hold_what_the_other_wants_are_stuck),
          TEST(one_alone_is_stuck_if_it_wants_more_than_it_leaves),
          TEST(who_can_go_on_frees_the_others),
          TEST(who_holds_nothing_or_waits_for_nothing_is_in_no_circle),
          TEST(who_keeps_what_the_first_waits_for_may_not_wait_behind_it),
          TEST(in_any_world_exactly_those_are_stuck_whom_no_order_frees),
          TEST(who_is_stuck_in_a_queue_is_granted_nothing_in_any_order),
          TEST(what_it_costs_is_bounded), )

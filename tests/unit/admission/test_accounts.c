/* SPDX-License-Identifier: MIT */
#include <admission/ledger.h>
#include <string.h>

#include "unit.h"

#define NODES 9
#define LIVE 60
#define POOL 1000

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

static struct account no_limits(enum account_kind kind) {
        struct account account = {.kind = kind, .vms_max = LEDGER_NO_LIMIT};

        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                account.limit.amount[i] = LEDGER_NO_LIMIT;
                account.ratio_milli.amount[i] = 1000;
        }
        return account;
}

static struct ledger pool(void) {
        struct ledger ledger = {};
        struct demand capacity = cpu(POOL), none = {}, ratio = cpu(1000);
        bool enforced[_RESOURCE_N] = {[RESOURCE_CPU] = true};

        ledger_configure(&ledger, &capacity, &none, &ratio, enforced, LEDGER_NO_LIMIT);
        return ledger;
}

static void a_claim_is_held_against_every_account_around_it(void) {
        struct ledger ledger = pool();
        struct account outer = no_limits(ACCOUNT_SLICE), inner = no_limits(ACCOUNT_SLICE),
                       user = no_limits(ACCOUNT_USER), group = no_limits(ACCOUNT_GROUP),
                       claims = no_limits(ACCOUNT_SLICE);
        struct demand want = cpu(100);
        struct shortage shortage = {};

        need(account_place(&inner, &outer) && account_place(&claims, &inner));
        need(account_add_ceiling(&claims, &user) && account_add_ceiling(&claims, &group));
        expect_int(ledger_charge(&ledger, &claims, &want, &shortage), 0);
        expect_uint(outer.allocated.amount[RESOURCE_CPU], 100);
        expect_uint(inner.vms, 1);
        expect_uint(group.allocated.amount[RESOURCE_CPU], 100);

        outer.limit = cpu(150);
        expect_int(ledger_check(&ledger, &claims, &want, &shortage), LEDGER_E_SLICE_FULL);
        expect(shortage.account == &outer && shortage.is_slice);
        expect_uint(shortage.fits, 50);
        outer.limit = cpu(99);
        expect_int(ledger_check(&ledger, &claims, &want, &shortage), LEDGER_E_NEVER);
        outer.limit = cpu(LEDGER_NO_LIMIT);
        group.vms_max = 1;
        expect_int(ledger_check(&ledger, &claims, &want, &shortage), LEDGER_E_USER_FULL);
        expect(shortage.account == &group && shortage.is_vms && !shortage.is_slice);
        group.vms_max = LEDGER_NO_LIMIT;
        user.limit = cpu(120);
        expect_int(ledger_check(&ledger, &claims, &want, &shortage), LEDGER_E_USER_FULL);
        expect_uint(ledger_available(&ledger, &claims, RESOURCE_CPU), 20);
        ledger_return(&ledger, &claims, &want);
        expect(demand_is_zero(&outer.allocated) && demand_is_zero(&user.allocated));
}

static void slices_nest_to_a_bound(void) {
        struct account accounts[ACCOUNT_DEPTH_MAX + 1];

        for (unsigned i = 0; i <= ACCOUNT_DEPTH_MAX; i++) {
                accounts[i] = no_limits(ACCOUNT_SLICE);
                if (i > 0)
                        expect_int(account_place(&accounts[i], &accounts[i - 1]),
                                   i < ACCOUNT_DEPTH_MAX);
        }
        for (unsigned i = 0; i <= ACCOUNT_CEILINGS_MAX; i++)
                expect_int(account_add_ceiling(&accounts[0], &accounts[1]),
                           i < ACCOUNT_CEILINGS_MAX);
}

static void a_guarantee_inside_a_guaranteed_slice_is_not_kept_twice(void) {
        struct ledger ledger = pool();
        struct account outer = no_limits(ACCOUNT_SLICE), sure = no_limits(ACCOUNT_SLICE),
                       sibling = no_limits(ACCOUNT_SLICE), other = no_limits(ACCOUNT_SLICE);
        struct demand six = cpu(600), four = cpu(400), two = cpu(200);

        need(account_place(&sure, &outer) && account_place(&sibling, &outer));
        ledger_set_guarantee(&ledger, &outer, &six);
        ledger_set_guarantee(&ledger, &sure, &four);
        expect_uint(ledger_available(&ledger, &other, RESOURCE_CPU), 400);
        expect_uint(ledger_available(&ledger, &sibling, RESOURCE_CPU), 600);
        expect_uint(ledger_available(&ledger, &sure, RESOURCE_CPU), 1000);
        /* The sibling uses up what is not kept inside for the other. */
        expect_int(ledger_charge(&ledger, &sibling, &two, NULL), 0);
        expect_uint(ledger_available(&ledger, &other, RESOURCE_CPU), 400);
        expect_int(ledger_charge(&ledger, &sibling, &two, NULL), 0);
        expect_uint(ledger_available(&ledger, &other, RESOURCE_CPU), 200);
        expect_uint(ledger_available(&ledger, &sure, RESOURCE_CPU), 600);
}

static void a_lent_share_goes_only_to_what_ends_soon_and_comes_back(void) {
        struct ledger ledger = pool();
        struct account sure = no_limits(ACCOUNT_SLICE), firm = no_limits(ACCOUNT_SLICE),
                       other = no_limits(ACCOUNT_SLICE);
        struct demand five = cpu(500), three = cpu(300), seven = cpu(700);

        ledger_set_share(&ledger, &sure, &five, true);
        ledger_set_share(&ledger, &firm, &three, false);
        /* Nothing is lent while nobody said for how long. */
        expect_int(ledger_check_for(&ledger, &other, &three, 10, NULL), LEDGER_E_NEVER);
        ledger.lend_usec = 10;
        expect_int(ledger_check_for(&ledger, &other, &five, 11, NULL), LEDGER_E_NEVER);
        expect_int(ledger_check_for(&ledger, &other, &five, 0, NULL), LEDGER_E_NEVER);
        expect_int(ledger_charge_for(&ledger, &other, &seven, 10, NULL), 0);
        /* What does not lend is kept. */
        expect_int(ledger_check(&ledger, &firm, &three, NULL), LEDGER_E_POOL_FULL);
        expect_int(ledger_check_for(&ledger, &firm, &three, 10, NULL), 0);
        /* Its owner waits until it is back, and then has it. */
        expect_int(ledger_check(&ledger, &sure, &five, NULL), LEDGER_E_POOL_FULL);
        ledger_return(&ledger, &other, &seven);
        expect_int(ledger_check(&ledger, &sure, &five, NULL), 0);
}

/* What ledger.h says is kept, from its definition. */
static uint64_t kept(const struct account *nodes, const struct account *of, unsigned kind) {
        uint64_t guarantee =
                         kind == KEPT_FIRM && of->lends ? 0 : of->guarantee.amount[RESOURCE_CPU],
                 allocated = of->allocated.amount[RESOURCE_CPU], inside = 0;

        for (unsigned i = 0; i < NODES; i++)
                if (nodes[i].parent == of)
                        inside += kept(nodes, &nodes[i], kind);
        return max_u64(guarantee > allocated ? guarantee - allocated : 0, inside);
}

/* What is left of @at for claims in @leaf, from its definition. */
static uint64_t left(const struct ledger *ledger, const struct account *nodes,
                     const struct account *at, const struct account *leaf, unsigned kind) {
        uint64_t limit = at ? at->limit.amount[RESOURCE_CPU] : POOL;
        uint64_t gone = (at ? &at->allocated : &ledger->allocated)->amount[RESOURCE_CPU];
        const struct account *on_way = NULL;

        /* All beside the way from the leaf up to here, and all inside the leaf. */
        for (const struct account *way = leaf; way != at; on_way = way, way = way->parent)
                for (unsigned i = 0; i < NODES; i++)
                        if (nodes[i].parent == way && &nodes[i] != on_way)
                                gone += kept(nodes, &nodes[i], kind);
        for (unsigned i = 0; i < NODES; i++)
                if (nodes[i].parent == at && &nodes[i] != on_way)
                        gone += kept(nodes, &nodes[i], kind);
        return limit > gone ? limit - gone : 0;
}

static void grow_a_tree(struct ledger *ledger, struct account *nodes, struct account *user) {
        *ledger = pool();
        ledger->lend_usec = 10;
        *user = no_limits(ACCOUNT_USER);
        user->limit = cpu(300 + any(POOL));
        for (unsigned i = 0; i < NODES; i++) {
                nodes[i] = no_limits(ACCOUNT_SLICE);
                if (any(2))
                        nodes[i].limit = cpu(200 + any(POOL));
                if (i > 0 && any(3))
                        need(account_place(&nodes[i], &nodes[any(i)]));
                if (any(2))
                        need(account_add_ceiling(&nodes[i], user));
        }
        for (unsigned i = 0; i < NODES; i++) {
                struct demand share = cpu(any(3) ? 0 : any(200));

                ledger_set_share(ledger, &nodes[i], &share, any(2));
        }
}

/*
 * Any tree of slices with any limits, guarantees and loans, any schedule of charges and returns: a
 * claim is admitted exactly if the definition says so, no account exceeds its limit, the sums are
 * those of the definition, and what is kept can be had.
 */
static void no_tree_of_slices_is_ever_oversold_or_forgets_a_guarantee(void) {
        unsigned granted = 0, refused = 0, borrowed = 0;

        random_state = 7;
        for (unsigned round = 0; round < 2000; round++) {
                struct account nodes[NODES], user;
                struct ledger ledger;
                struct {
                        struct demand demand;
                        unsigned node;
                } live[LIVE];
                size_t n = 0;
                bool lent = false;

                grow_a_tree(&ledger, nodes, &user);
                for (unsigned step = 0; step < 100; step++) {
                        unsigned at = (unsigned)any(NODES), kind = (unsigned)any(2);
                        struct demand want = cpu(1 + any(150));
                        uint64_t amount = want.amount[RESOURCE_CPU], least = LEDGER_NO_LIMIT;
                        struct account *leaf = &nodes[at];
                        int r;

                        if (n > 0 && (n == LIVE || any(5) < 2)) {
                                size_t which = any(n);

                                ledger_return(&ledger, &nodes[live[which].node],
                                              &live[which].demand);
                                live[which] = live[--n];
                                continue;
                        }
                        for (struct account *up = leaf;; up = up->parent) {
                                least = min_u64(least, left(&ledger, nodes, up, leaf, kind));
                                if (!up)
                                        break;
                        }
                        if (leaf->n_ceilings > 0)
                                least = min_u64(least, left(&ledger, nodes, &user, &user, kind));
                        r = ledger_charge_for(&ledger, leaf, &want, kind == KEPT_FIRM ? 10 : 11,
                                              NULL);
                        need_int(r == 0, amount <= least);
                        lent |= r == 0 && kind == KEPT_FIRM;
                        borrowed += r == 0 && kind == KEPT_FIRM;
                        granted += r == 0;
                        refused += r != 0;
                        if (r == 0) {
                                live[n].demand = want;
                                live[n++].node = at;
                        }
                        need(ledger.allocated.amount[RESOURCE_CPU] <= POOL);
                        need(user.allocated.amount[RESOURCE_CPU] <=
                             user.limit.amount[RESOURCE_CPU]);
                        for (unsigned i = 0; i < NODES; i++)
                                need(nodes[i].allocated.amount[RESOURCE_CPU] <=
                                     nodes[i].limit.amount[RESOURCE_CPU]);
                }
                for (unsigned kind = 0; kind < _KEPT_N; kind++) {
                        uint64_t sum = 0;

                        for (unsigned i = 0; i < NODES; i++)
                                if (!nodes[i].parent)
                                        sum += kept(nodes, &nodes[i], kind);
                        need_uint(ledger.kept[kind].unfilled.amount[RESOURCE_CPU], sum);
                        /* Once admitted claims leave room for what is kept, they always do. */
                        if ((kind == KEPT_FIRM || !lent) &&
                            ledger.kept[kind].guaranteed.amount[RESOURCE_CPU] <= POOL)
                                need(ledger.allocated.amount[RESOURCE_CPU] + sum <= POOL);
                }
                while (n > 0) {
                        n--;
                        ledger_return(&ledger, &nodes[live[n].node], &live[n].demand);
                }
                for (unsigned i = 0; i < NODES; i++) {
                        struct demand none = {};

                        need(demand_is_zero(&nodes[i].allocated) && nodes[i].vms == 0);
                        ledger_set_guarantee(&ledger, &nodes[i], &none);
                }
                for (unsigned kind = 0; kind < _KEPT_N; kind++)
                        need(demand_is_zero(&ledger.kept[kind].unfilled) &&
                             demand_is_zero(&ledger.kept[kind].guaranteed));
        }
        unit_note("%u granted, %u of them borrowing, %u refused", granted, borrowed, refused);
        expect(granted > 10000 && refused > 10000 && borrowed > 1000);
}

UNIT_MAIN(TEST(a_claim_is_held_against_every_account_around_it), TEST(slices_nest_to_a_bound),
          TEST(a_guarantee_inside_a_guaranteed_slice_is_not_kept_twice),
          TEST(a_lent_share_goes_only_to_what_ends_soon_and_comes_back),
          TEST(no_tree_of_slices_is_ever_oversold_or_forgets_a_guarantee), )

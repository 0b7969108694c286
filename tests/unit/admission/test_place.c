/* SPDX-License-Identifier: MIT */
#include <admission/place.h>
#include <string.h>

#include "unit.h"

#define HOSTS 200

static uint64_t random_state;

static uint64_t any(uint64_t below) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        return (random_state >> 24) % below;
}

struct host {
        struct ledger ledger;
        struct account account;
        struct spot spot;
        bool open;
};

struct fleet {
        struct host hosts[HOSTS];
        struct placement placement;
        enum place_policy policy;
        unsigned n;
};

static struct demand of(uint64_t cpu_milli, uint64_t memory) {
        struct demand demand = {};

        demand.amount[RESOURCE_CPU] = cpu_milli;
        demand.amount[RESOURCE_MEMORY] = memory;
        return demand;
}

static void update(struct fleet *fleet, struct host *host) {
        struct room room;

        place_room(&host->ledger, host->open, &room);
        placement_put(&fleet->placement, &host->spot, place_key(&host->ledger, fleet->policy),
                      &room);
}

/* Hosts of 10 CPUs and 1000 bytes, at most 8 VMs each. */
static void fleet_init(struct fleet *fleet, unsigned n, enum place_policy policy) {
        struct demand capacity = of(10000, 1000), none = {}, ratio;
        bool enforced[_RESOURCE_N] = {[RESOURCE_CPU] = true, [RESOURCE_MEMORY] = true};

        memset(fleet, 0, sizeof(*fleet));
        fleet->policy = policy;
        fleet->n = n;
        for (unsigned i = 0; i < DEMAND_N; i++)
                ratio.amount[i] = 1000;
        for (unsigned i = 0; i < n; i++) {
                struct host *host = &fleet->hosts[i];

                ledger_configure(&host->ledger, &capacity, &none, &ratio, enforced, 8);
                for (unsigned r = 0; r < DEMAND_N; r++)
                        host->account.limit.amount[r] = LEDGER_NO_LIMIT;
                host->account.vms_max = LEDGER_NO_LIMIT;
                host->spot.number = i;
                host->open = true;
                update(fleet, host);
        }
}

static void charge(struct fleet *fleet, unsigned i, struct demand demand) {
        need(ledger_restore(&fleet->hosts[i].ledger, &fleet->hosts[i].account, &demand));
        update(fleet, &fleet->hosts[i]);
}

static int find(const struct fleet *fleet, struct demand demand) {
        struct spot *spot = placement_find(&fleet->placement, &demand, NULL, NULL);

        return spot ? (int)spot->number : -1;
}

static void first_fit_takes_the_lowest_number_with_room(void) {
        static struct fleet fleet;

        fleet_init(&fleet, 4, PLACE_FIRST_FIT);
        expect_int(find(&fleet, of(1000, 1)), 0);
        charge(&fleet, 0, of(9500, 1));
        expect_int(find(&fleet, of(1000, 1)), 1);
        expect_int(find(&fleet, of(500, 1)), 0);
        charge(&fleet, 1, of(1, 999));
        expect_int(find(&fleet, of(1000, 2)), 2);
        expect_int(find(&fleet, of(10001, 0)), -1);
}

static void best_fit_takes_the_fullest_with_room_and_spread_the_emptiest(void) {
        static struct fleet fleet;

        for (enum place_policy policy = PLACE_BEST_FIT; policy <= PLACE_SPREAD; policy++) {
                bool best = policy == PLACE_BEST_FIT;

                fleet_init(&fleet, 4, policy);
                /* Left: 0.2 by its memory, 0.6, 0.4, all. */
                charge(&fleet, 0, of(1000, 800));
                charge(&fleet, 1, of(4000, 0));
                charge(&fleet, 2, of(6000, 0));
                expect_int(find(&fleet, of(1000, 100)), best ? 0 : 3);
                expect_int(find(&fleet, of(1000, 300)), best ? 2 : 3);
                expect_int(find(&fleet, of(5000, 300)), best ? 1 : 3);
                charge(&fleet, 3, of(9000, 0));
                expect_int(find(&fleet, of(1000, 100)), best ? 3 : 1);
                expect_int(find(&fleet, of(7000, 500)), -1);
        }
}

static void a_host_that_is_closed_or_has_its_vms_gets_no_more(void) {
        static struct fleet fleet;

        fleet_init(&fleet, 2, PLACE_FIRST_FIT);
        fleet.hosts[0].open = false;
        update(&fleet, &fleet.hosts[0]);
        expect_int(find(&fleet, of(1, 1)), 1);
        for (unsigned i = 0; i < 8; i++)
                charge(&fleet, 1, of(1, 1));
        expect_int(find(&fleet, of(1, 1)), -1);
        expect_int(find(&fleet, of(0, 0)), -1);
        fleet.hosts[0].open = true;
        update(&fleet, &fleet.hosts[0]);
        expect_int(find(&fleet, of(1, 1)), 0);
        placement_remove(&fleet.placement, &fleet.hosts[0].spot);
        placement_remove(&fleet.placement, &fleet.hosts[0].spot);
        expect_int(find(&fleet, of(1, 1)), -1);
}

static bool is_number(const struct spot *spot, const void *userdata) {
        return spot->number == *(const uint32_t *)userdata;
}

static void the_caller_is_asked_of_a_bounded_number_of_hosts(void) {
        static struct fleet fleet;
        struct demand one = of(1, 1);
        uint32_t wanted = PLACE_TRIES - 1;
        struct spot *spot;

        fleet_init(&fleet, HOSTS, PLACE_FIRST_FIT);
        spot = placement_find(&fleet.placement, &one, is_number, &wanted);
        expect(spot && spot->number == wanted);
        wanted = PLACE_TRIES;
        expect(!placement_find(&fleet.placement, &one, is_number, &wanted));
}

/* The same by looking at every host. */
static int find_slowly(const struct fleet *fleet, const struct demand *demand) {
        int best = -1;

        for (unsigned i = 0; i < fleet->n; i++) {
                const struct host *host = &fleet->hosts[i];

                if (!host->open || ledger_check(&host->ledger, &host->account, demand, NULL))
                        continue;
                if (best < 0 || place_key(&host->ledger, fleet->policy) <
                                        place_key(&fleet->hosts[best].ledger, fleet->policy))
                        best = (int)i;
        }
        return best;
}

static void the_index_finds_what_looking_at_every_host_finds(void) {
        static struct fleet fleet;
        static struct demand held[HOSTS][8];
        unsigned found = 0, none = 0;

        for (enum place_policy policy = 0; policy < _PLACE_POLICY_N; policy++) {
                random_state = 7 + policy;
                memset(held, 0, sizeof(held));
                fleet_init(&fleet, HOSTS, policy);
                for (unsigned step = 0; step < 8000; step++) {
                        unsigned i = (unsigned)any(HOSTS), j = (unsigned)any(8);
                        struct demand demand = of(1 + any(9000), 1 + any(900));
                        struct host *host = &fleet.hosts[i];
                        int at = find(&fleet, demand);

                        need_int(at, find_slowly(&fleet, &demand));
                        found += at >= 0;
                        none += at < 0;
                        if (at >= 0 && demand_is_zero(&held[at][j])) {
                                charge(&fleet, (unsigned)at, demand);
                                held[at][j] = demand;
                        }
                        if (any(3) && !demand_is_zero(&held[i][j])) {
                                ledger_return(&host->ledger, &host->account, &held[i][j]);
                                held[i][j] = (struct demand){};
                        }
                        if (any(20) == 0)
                                host->open = !host->open;
                        update(&fleet, host);
                }
        }
        unit_note("%u found, %u for which there was no room", found, none);
        expect(found > 5000 && none > 100);
}

UNIT_MAIN(TEST(first_fit_takes_the_lowest_number_with_room),
          TEST(best_fit_takes_the_fullest_with_room_and_spread_the_emptiest),
          TEST(a_host_that_is_closed_or_has_its_vms_gets_no_more),
          TEST(the_caller_is_asked_of_a_bounded_number_of_hosts),
          TEST(the_index_finds_what_looking_at_every_host_finds), )

/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <base/text.h>
#include <base/why.h>
#include <cli/fleet.h>
#include <cli/trace.h>
#include <policies/policy.h>
#include <policies/pool.h>

/* The place of a host among the others by how many wait. */
static void count_waiting(struct fleet *fleet, uint32_t number) {
        struct tree_node *node = &fleet->waiting[number];
        uint64_t n = fleet->hosts[number].queue.n;

        if (node->key == n)
                return;
        tree_remove(&fleet->shortest, node, NULL);
        node->key = n;
        tree_insert(&fleet->shortest, node, NULL);
}

void fleet_moved(struct fleet *fleet, struct host *host) {
        uint32_t number = (uint32_t)(host - fleet->hosts);
        uint64_t cpus = host->gates.rules.cpu_milli_max;
        struct room room;

        if (fleet->n == 1)
                return;
        /* Where others wait nobody starts at once. */
        place_room(&host->ledger, host->queue.n == 0, &room);
        if (cpus != LEDGER_NO_LIMIT) {
                uint64_t used = host->ledger.allocated.amount[RESOURCE_CPU];

                room.amount[RESOURCE_CPU] =
                        min_u64(room.amount[RESOURCE_CPU], cpus > used ? cpus - used : 0);
        }
        placement_put(&fleet->rooms, &fleet->spots[number], place_key(&host->ledger, fleet->place),
                      &room);
        count_waiting(fleet, number);
}

struct candidate {
        const struct fleet *fleet;
        const struct demand *demand;
        uint32_t books;
};

static bool fits(const struct spot *spot, const void *userdata) {
        const struct candidate *candidate = userdata;
        const struct host *host = &candidate->fleet->hosts[spot->number];
        struct shortage shortage;

        return queue_check(&host->queue, &host->ledger, &host->lanes[candidate->books],
                           candidate->demand, &shortage) == 0;
}

struct host *fleet_find(const struct fleet *fleet, const struct demand *demand, uint32_t books) {
        const struct candidate candidate = {.fleet = fleet, .demand = demand, .books = books};
        const struct spot *spot;

        if (fleet->n == 1)
                return NULL;
        /* Without slices that limit, a host's room says all. */
        spot = placement_find(&fleet->rooms, demand, fleet->policy->n_slices > 0 ? fits : NULL,
                              &candidate);
        return spot ? &fleet->hosts[spot->number] : NULL;
}

struct host *fleet_shortest(const struct fleet *fleet) {
        return &fleet->hosts[fleet->n == 1 ? 0 : tree_first(fleet->shortest)->order];
}

static void books_init(const struct fleet *fleet, struct host *host, size_t i) {
        const struct slice_policy *policy =
                fleet->policy->n_slices > 0 ? &fleet->policy->slices[i] : NULL;
        struct account *account = &host->accounts[i];

        lane_init(&host->lanes[i], account);
        for (unsigned axis = 0; axis < _RESOURCE_N; axis++) {
                uint64_t limit = policy ? policy->limit.amount[axis] : POLICY_NONE;

                account->ratio_milli.amount[axis] =
                        policy ? policy->ratio_milli.amount[axis] : 1000;
                account->limit.amount[axis] =
                        limit == POLICY_NONE
                                ? LEDGER_NO_LIMIT
                                : ledger_effective(limit, 0, account->ratio_milli.amount[axis]);
        }
        account->vms_max = policy ? policy->vms_max : LEDGER_NO_LIMIT;
        if (policy)
                ledger_set_guarantee(&host->ledger, account, &policy->guarantee);
}

/* The slice that the @i-th lies in: the next one around it of which the policy knows. NULL: none.
 */
static const struct slice_policy *find_around(const struct policy *policy, size_t i) {
        char name[TEXT_NAME_MAX + 1], inside[TEXT_NAME_MAX + 1];
        const struct slice_policy *found = NULL;

        snprintf(name, sizeof(name), "%s", policy->slices[i].name);
        while (!found && text_slice_parent(name, inside)) {
                found = policy_find_slice(policy, inside);
                memcpy(name, inside, sizeof(name));
        }
        return found;
}

/* Puts each slice into the one around it: before anything is guaranteed to one. */
static void nest(const struct fleet *fleet, struct host *host) {
        for (size_t i = 0; i < fleet->policy->n_slices; i++) {
                const struct slice_policy *around = find_around(fleet->policy, i);
                bool placed =
                        !around || account_place(&host->accounts[i],
                                                 &host->accounts[around - fleet->policy->slices]);

                assert(placed);
                (void)placed;
        }
}

static void host_init(struct fleet *fleet, struct host *host, uint32_t number,
                      const struct order_rules *rules) {
        const struct broker_policy *policy = &fleet->policy->broker;
        struct demand capacity = policy->capacity, reserve = policy->reserve,
                      ratio_milli = policy->ratio_milli;
        bool enforced[_RESOURCE_N];

        pool_apply_capacity(policy, &capacity);
        pool_apply_terms(policy, &reserve, &ratio_milli);
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                enforced[i] = capacity.amount[i] != POLICY_AUTO;
                if (!enforced[i])
                        capacity.amount[i] = 0;
        }
        enforced[RESOURCE_NETWORK_UPLOAD] &= policy->network.full_duplex;
        ledger_configure(&host->ledger, &capacity, &reserve, &ratio_milli, enforced,
                         policy->vms_max);
        queue_init(&host->queue);
        queue_set_rules(&host->queue, rules);
        gates_init(&host->gates);
        host->gates.rules.cpu_milli_max =
                pool_cpus_at_a_time(policy, capacity.amount[RESOURCE_CPU]);
        host->queue.gates = &host->gates;
        host->accounts = fleet->accounts + number * fleet->n_books;
        host->lanes = fleet->lanes + number * fleet->n_books;
        fleet->spots[number].number = number;
        fleet->waiting[number].order = number;
        tree_insert(&fleet->shortest, &fleet->waiting[number], NULL);
        nest(fleet, host);
        for (size_t i = 0; i < fleet->n_books; i++)
                books_init(fleet, host, i);
        fleet_moved(fleet, host);
}

static uint32_t find_books(const struct policy *policy, const struct trace *trace, uint32_t slice) {
        const char *name = trace->slices.list[slice];
        const struct slice_policy *found;

        if (policy->n_slices == 0)
                return slice;
        found = policy_find_slice(policy, *name ? name : "default");
        return found ? (uint32_t)(found - policy->slices) : FLEET_NO_BOOKS;
}

int fleet_init(struct fleet *fleet, const struct policy *policy, const struct trace *trace,
               uint64_t n, const struct order_rules *rules, enum place_policy place,
               struct why *why) {
        size_t n_books = policy->n_slices ?: trace->slices.n;

        assert(n > 0);
        *fleet = (struct fleet){.policy = policy, .n = n, .place = place, .n_books = n_books};
        if (n > FLEET_HOSTS_MAX || n * n_books > FLEET_BOOKS_MAX)
                return why_set(why, FLEET_E_TOO_MANY,
                               "%" PRIu64 " hosts with %zu slices each are too many; hosts times "
                               "slices may be %d",
                               n, n_books, FLEET_BOOKS_MAX);
        fleet->hosts = calloc(n, sizeof(*fleet->hosts));
        fleet->accounts = calloc(n * n_books, sizeof(*fleet->accounts));
        fleet->lanes = calloc(n * n_books, sizeof(*fleet->lanes));
        fleet->books = calloc(trace->slices.n, sizeof(*fleet->books));
        fleet->spots = calloc(n, sizeof(*fleet->spots));
        fleet->waiting = calloc(n, sizeof(*fleet->waiting));
        if (!fleet->spots || !fleet->waiting)
                return fault(-ENOMEM);
        if (!fleet->hosts || !fleet->accounts || !fleet->lanes || !fleet->books)
                return fault(-ENOMEM);
        for (uint32_t i = 0; i < trace->slices.n; i++)
                fleet->books[i] = find_books(policy, trace, i);
        for (uint32_t i = 0; i < n; i++)
                host_init(fleet, &fleet->hosts[i], i, rules);
        return 0;
}

void fleet_deinit(struct fleet *fleet) {
        free(fleet->hosts);
        free(fleet->accounts);
        free(fleet->lanes);
        free(fleet->books);
        free(fleet->spots);
        free(fleet->waiting);
        *fleet = (struct fleet){};
}

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_FLEET_H
#define PROVIUM_CLI_FLEET_H

/*
 * Hosts of one description, each with books and a queue of its own as its broker has them, and the
 * choice of one for a claim.
 */

#include <admission/place.h>
#include <admission/queue.h>

struct policy;
struct trace;
struct why;

#define FLEET_HOSTS_MAX 100000
#define FLEET_BOOKS_MAX 1000000 /* hosts times slices */
#define FLEET_NO_BOOKS UINT32_MAX

enum {
        _FLEET_E_SUCCESS,
        FLEET_E_TOO_MANY, /* more hosts with slices than we keep books for */
};

struct host {
        struct ledger ledger;
        struct queue queue;
        struct gates gates;       /* but for MaxCpus= all open */
        struct account *accounts; /* of each slice */
        struct lane *lanes;
};

struct fleet {
        const struct policy *policy; /* borrowed */
        struct host *hosts;
        uint64_t n;
        enum place_policy place;

        struct account *accounts; /* of all hosts */
        struct lane *lanes;
        size_t n_books;  /* of one host */
        uint32_t *books; /* by the trace's slices; FLEET_NO_BOOKS: the policy has no such slice */

        /* By host, and apart from the hosts, so that walking an order stays within a cache. */
        struct placement rooms;     /* hosts in the order of @place, */
        struct spot *spots;         /* by what they have left */
        struct tree_node *shortest; /* hosts by how many wait: key, and number */
        struct tree_node *waiting;
};

/*
 * @n hosts with @policy, in which each capacity that is POLICY_AUTO does not limit, for the slices
 * of @trace: those of the policy, or where that has none, all that the trace names, without limits.
 * Their queues go by @rules. Answers FLEET_E_TOO_MANY; negative: out of memory; fleet_deinit() in
 * any case.
 */
_must_check_ int fleet_init(struct fleet *fleet, const struct policy *policy,
                            const struct trace *trace, uint64_t n, const struct order_rules *rules,
                            enum place_policy place, struct why *why);
void fleet_deinit(struct fleet *fleet);

/*
 * The first host, in the order of the policy, where nobody waits and a claim of @demand in @books
 * fits. NULL if there is none; or if there is only one host, where there is nothing to find.
 */
struct host *fleet_find(const struct fleet *fleet, const struct demand *demand, uint32_t books);

/* The host where the fewest wait, the first of those. Never NULL. */
struct host *fleet_shortest(const struct fleet *fleet);

/* The books or the queue of @host have changed: finds its new place among the others. */
void fleet_moved(struct fleet *fleet, struct host *host);

#endif

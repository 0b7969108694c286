/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_ADMISSION_CLAIM_H
#define PROVIUM_ADMISSION_CLAIM_H

/*
 * A claim, and the lane it waits in: what the queue, backfill and estimates share. A claim is
 * embedded in the caller's object, and has a place in up to three ordered sets: of all who wait, of
 * those in its lane, and, once granted, of those whose end is known.
 */

#include <sys/queue.h>

#include <admission/ledger.h>
#include <base/tree.h>

/* Why a claim waits: names users see. */
enum wait_reason {
        WAIT_NONE,
        WAIT_POOL_FULL,
        WAIT_SLICE_FULL,
        WAIT_USER_QUOTA,
        WAIT_MEMORY_AVAILABLE, /* a gate, as the next two */
        WAIT_PSI_PRESSURE,
        WAIT_DRAINING,
        WAIT_QUEUED,    /* behind another claim */
        WAIT_RECONNECT, /* the broker was just started and collects who waited before */
        _WAIT_REASON_N,
};

/* "pool_full", ... Never NULL. */
const char *wait_reason_name(enum wait_reason reason);

#define CLAIM_PRIORITY_MAX 1000 /* and the least is its negative */

struct lane;

struct claim {
        /* The queue's own: its places in the sets, first what the ways to others lead through, near
         * to each other in memory. */
        struct tree_node place; /* of all who wait */
        TAILQ_ENTRY(claim) all;
        struct {
                uint64_t amount[_RESOURCE_N], time_usec;
        } least; /* of all in its part of them */
        struct tree_node in_lane;
        struct tree_node end;      /* of those whose end is known; the key: when, in microseconds */
        bool held;                 /* it is one of them */
        uint8_t axes, ending_axes; /* that can be more than 0 of demand, of ending */
        enum wait_reason reason;

        uint64_t order;     /* when it arrived, in nanoseconds, made unique: smaller is earlier */
        int64_t priority;   /* larger is sooner, where the rules heed it */
        struct lane *lane;  /* whose slice; set by queue_insert, NULL while not queued */
        uint64_t time_usec; /* how long it will hold what it gets; 0: nobody knows */
        bool ends;          /* it is ended then, whatever it does: so it may borrow */

        struct demand demand;     /* what it will be charged */
        struct shortage shortage; /* valid with *_FULL, USER_QUOTA and MEMORY_AVAILABLE */
        struct demand ending;     /* sum over its part of the set of ends; set as far as axes go */
};

TAILQ_HEAD(claim_list, claim);

/* The claims of one account in their order. Embedded beside it. */
struct lane {
        struct account *account;
        struct tree_node *claims;
        struct claim *head; /* the first of them; NULL if there are none */
        uint64_t n;

        /* The queue's own. */
        bool listed;
        struct account *parked; /* full for its head, or for one before; NULL: to be looked at */
        struct account *woken;  /* where it was parked before; who is next there has to wait until
                                 * it is known what becomes of this one */
        struct tree_node link;  /* as its head's place */
        TAILQ_ENTRY(lane) parked_link;
};

TAILQ_HEAD(lane_list, lane);

/* For how long it would borrow; 0: it may not. */
static inline uint64_t claim_borrows_usec(const struct claim *claim) {
        return claim->ends ? claim->time_usec : 0;
}

static inline struct claim *claim_at(const struct tree_node *place) {
        return place ? container_of(place, struct claim, place) : NULL;
}

static inline struct claim *claim_in_lane(const struct tree_node *node) {
        return node ? container_of(node, struct claim, in_lane) : NULL;
}

static inline struct claim *claim_ending(const struct tree_node *end) {
        return end ? container_of(end, struct claim, end) : NULL;
}

/*
 * The place of a claim: the smaller, the sooner. One that arrived (PRIORITY_MAX - priority) x
 * @age_step_ns later than it did: so a priority more is worth so much of waiting, the order of two
 * never changes while they wait, and 0 heeds no priority.
 */
uint64_t claim_key(const struct claim *claim, uint64_t age_step_ns);

/* What a claim keeps about its part of the sets. */
void claim_update_least(struct tree_node *place);
void claim_update_ending(struct tree_node *end);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_ADMISSION_QUEUE_H
#define PROVIUM_ADMISSION_QUEUE_H

/*
 * The queue: who is next.
 *
 * Strictly first come, first served within what each claim waits for. Claims are ordered by a
 * number given on arrival. The earliest claim of each slice is its head; among the heads the
 * earliest is considered first. If it fits it is next. If its own slice is full it holds back its
 * slice only, and the next head is considered. If the pool is full nothing behind it may pass, so
 * a large claim is never starved by small ones: every claim ahead of it leaves by being granted, by
 * being given up, or by waiting for its own slice, and none that came later takes the pool's
 * capacity while it is the first that waits for the pool.
 *
 * A gate (admission/gates) that holds back a claim holds back all that may not pass it, like a full
 * pool.
 *
 * A release therefore looks at the heads only, never at all who wait. Pure: no clock, no I/O, no
 * allocation; claims are embedded in the caller's objects.
 */

#include <sys/queue.h>

#include <admission/gates.h>
#include <admission/ledger.h>

/* Why a claim waits: names users see. */
enum wait_reason {
        WAIT_NONE,
        WAIT_POOL_FULL,
        WAIT_SLICE_FULL,
        WAIT_MEMORY_AVAILABLE, /* a gate, as the next two */
        WAIT_PSI_PRESSURE,
        WAIT_DRAINING,
        WAIT_QUEUED,    /* behind another claim */
        WAIT_RECONNECT, /* the broker was just started and collects who waited before */
        _WAIT_REASON_N,
};

/* "pool_full", ... Never NULL. */
const char *wait_reason_name(enum wait_reason reason);

struct lane;

struct claim {
        uint64_t order;       /* smaller is earlier; unique */
        struct demand demand; /* what it will be charged */
        struct lane *lane;    /* whose slice; set by queue_insert, NULL while not queued */
        enum wait_reason reason;
        struct shortage shortage; /* valid with POOL_FULL, SLICE_FULL and MEMORY_AVAILABLE */
        TAILQ_ENTRY(claim) all, in_lane;
};

TAILQ_HEAD(claim_list, claim);

/* One slice's claims, oldest first. Embedded beside the slice's account. */
struct lane {
        struct account *account;
        struct claim_list claims;
        uint64_t n;
        bool listed;
        /* The head was refused because the slice is full, and will be until one of the numbers
         * changes. */
        bool full;
        uint64_t full_account, full_ledger; /* account->changes, ledger->changes at that time */
        TAILQ_ENTRY(lane) link;
};

TAILQ_HEAD(lane_list, lane);

struct queue {
        struct claim_list claims; /* all, oldest first */
        struct lane_list lanes;   /* those with claims, in the order of their heads */
        uint64_t n;
        const struct gates *gates; /* borrowed; NULL: nothing but the books holds claims back */
};

void queue_init(struct queue *queue);
void lane_init(struct lane *lane, struct account *account);

/* Puts @claim, whose order and demand are set, into its place. At the end: constant time; an
 * earlier order (a client that came back) walks from the end. */
void queue_insert(struct queue *queue, struct lane *lane, struct claim *claim);

/* Takes @claim out, wherever it is. Does nothing if it is not queued. */
void queue_remove(struct queue *queue, struct claim *claim);

/*
 * Charges the next claim that may start, takes it out of the queue and returns it; NULL if none
 * may, with the reason and the shortage noted on the heads that were looked at. A claim that can
 * never fit any more (the policy changed) is taken out too and returned with *neverp true,
 * uncharged.
 */
struct claim *queue_next(struct queue *queue, struct ledger *ledger, bool *neverp);

/*
 * Would a claim of @demand that arrived now in @lane start at once? 0, LEDGER_E_* with @shortage,
 * QUEUE_E_BEHIND if others wait whom it may not pass, or the gate that is closed; QUEUE_E_MEMORY
 * with @shortage.
 */
enum { QUEUE_E_BEHIND = 100, QUEUE_E_MEMORY, QUEUE_E_PRESSURE, QUEUE_E_DRAINING };
_must_check_ int queue_check(const struct queue *queue, const struct ledger *ledger,
                             const struct lane *lane, const struct demand *demand,
                             struct shortage *shortage);

/* The reason for which a claim waits to which queue_check() answered @answer; NEVER and 0: NONE. */
enum wait_reason queue_reason(int answer);

/* How many claims stand before @claim. Walks. */
uint64_t queue_position(const struct queue *queue, const struct claim *claim);

#endif

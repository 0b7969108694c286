/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_ADMISSION_QUEUE_H
#define PROVIUM_ADMISSION_QUEUE_H

/*
 * The queue: who is next.
 *
 * Order. Every claim has a place, fixed when it comes: its arrival, or with priorities
 *
 *     place = arrival + (PRIORITY_MAX - priority) x age step
 *
 * which is what a priority that grows with waiting comes to: all grow alike, so the order of two
 * never changes, and nothing is ever sorted anew.
 *
 * Who waits for what. A claim waits for the first account around it that is full, or in which an
 * earlier one waits already, and if there is none, for the pool. So it is first come, first served
 * in every account by itself: who waits for his own slice holds back his slice only, who waits for
 * the pool holds back everybody behind him. A lane (the claims of one account, in order) is parked
 * where its head waits. When something is given back to an account, only the first lane parked
 * there is looked at; the next only when that one has been granted its claim or was parked
 * elsewhere. Nobody else is woken, and every step costs O(log n) with n waiting. (A lane that finds
 * another account full moves there; a move is no grant. As many can move at one release as lanes
 * wait for one account but not all for a second one: slices with claims of one user, or users with
 * claims in one slice, not claims.)
 *
 * A claim that needs two accounts could wait for them in turn, for ever, each filled by others
 * while it waits for the other one. So for the first of all who wait, room is kept in all accounts
 * around it: what is charged to one of them must leave it as much as it wants.
 *
 * Shares. What is kept free for a slice's guarantee is not to be had for the first that waits for
 * the pool. A claim that takes no more than that, and leaves the first its room in all that both
 * are charged to, takes nothing from it, and does not wait for it (admission/share.h); of those who
 * could have the same share the earliest comes first. Looked for are the QUEUE_ENTITLED_MAX lanes
 * behind the first; a claim behind more has to come nearer.
 *
 * Passing, by policy (struct order_rules) and otherwise never. While the first waits for the pool,
 * others may pass it that cannot delay it (admission/backfill.h), or whoever fits, as long as it
 * has waited less than a bound.
 *
 * THEOREM (no starvation). Let every holder end within M of its grant, let s be the age step and W
 * the bound of passing, and let k claims be placed before a claim c that fits the limits. Then c is
 * granted within (k + 1) x (2 M + W), and k is settled (PRIORITY_MAX - priority(c)) x s after its
 * arrival.
 * Proof. (1) Before c are those that came before it, and of those with a higher priority the ones
 * that came at most so much later as the difference is worth: no claim that comes after that time.
 * (2) Let f be the first of all who wait. While it waits for an account, nothing is charged to that
 * account, and to the others around it only what leaves room for f. All that they hold is given
 * back within M, and then f fits all of them, and goes on to the pool, or was granted. (3) While it
 * waits for the pool, and has waited W since it came, nothing is granted but what cannot delay it:
 * what is over by its reservation, or leaves it its room in the pool and in all accounts around it,
 * or is taken of a share, which leaves it what it had.
 * Its reservation is at most M away, since all that holds something then has ended. What passed
 * before that may have filled an account again: then it waits as in (2), once. (4) So f leaves
 * within 2 M + W; k + 1 claims are ever first until c has been. []
 * It does not hold for what its premises leave out: a holder that does not end, a gate that stays
 * closed; and a share that is lent comes back within lend_usec more.
 *
 * Pure: no clock, no I/O, no allocation; claims are embedded in the caller's objects, and the time
 * is told.
 */

#include <admission/claim.h>
#include <admission/gates.h>

#define QUEUE_ENTITLED_MAX 32

struct order_rules {
        uint64_t age_step_ns;   /* what a priority more is worth of waiting; 0: nothing */
        bool backfill;          /* who cannot delay the first may pass it */
        uint64_t pass_for_usec; /* whoever fits may pass while it has waited less; 0: nobody */
};

struct queue {
        struct claim_list claims; /* all, in order */
        uint64_t n;
        struct order_rules rules;  /* as set with queue_set_rules(); all 0: strict FIFO */
        uint64_t now_usec;         /* as told with queue_tell_time() */
        const struct gates *gates; /* borrowed; NULL: nothing but the books holds claims back */

        struct tree_node *places; /* all */
        struct tree_node
                *ready; /* lanes to look at, by their heads; the first waits for the pool */
        struct lane_list parked; /* lanes that wait for an account */
        struct tree_node *ends;  /* claims that were granted and whose end is known */
        struct claim *newest;    /* inserted since the last decision, if it still waits */
        uint64_t seen_changes;   /* of the ledger */
};

void queue_init(struct queue *queue);
void lane_init(struct lane *lane, struct account *account);

/* Sets by what order claims are served. All that wait are placed anew: O(n log n), for a reload. */
void queue_set_rules(struct queue *queue, const struct order_rules *rules);

/* What time it is, on the clock that claims' orders are from. Only passing needs it. */
void queue_tell_time(struct queue *queue, uint64_t now_usec);

/* Puts @claim, whose order and demand are set (and priority and time), into its place. */
void queue_insert(struct queue *queue, struct lane *lane, struct claim *claim);

/* Takes @claim out, wherever it is. Does nothing if it is not queued. */
void queue_remove(struct queue *queue, struct claim *claim);

/* The demand of @claim, which waits or is held, was changed (the policy counts differently): what
 * was found out about it does not count any more. */
void queue_changed(struct queue *queue, struct claim *claim);

/*
 * Charges the next claim that may start, takes it out of the queue and returns it; NULL if none
 * may, with the reason and the shortage noted on those that were looked at. A claim that can never
 * fit any more (the policy changed) is taken out too and returned with *neverp true, uncharged.
 * One that is granted and says for how long (time_usec) is held, see queue_hold().
 */
struct claim *queue_next(struct queue *queue, struct ledger *ledger, bool *neverp);

/*
 * What @claim was granted is given back at @ends_usec: backfill and estimates count on it. For what
 * is adopted; queue_next() does it by itself. queue_release() takes it back, and has to be called
 * before its demand changes or it is freed; it does nothing for one that is not held.
 */
void queue_hold(struct queue *queue, struct claim *claim, uint64_t ends_usec);
void queue_release(struct queue *queue, struct claim *claim);

/*
 * Would a claim of @demand that arrived now in @lane start at once? 0, LEDGER_E_* with @shortage,
 * QUEUE_E_BEHIND if others wait whom it may not pass, or the gate that is closed; QUEUE_E_MEMORY
 * with @shortage. It is what queue_next() would say, after one that returned NULL.
 */
enum { QUEUE_E_BEHIND = 100, QUEUE_E_MEMORY, QUEUE_E_PRESSURE, QUEUE_E_DRAINING };
_must_check_ int queue_check(const struct queue *queue, const struct ledger *ledger,
                             const struct lane *lane, const struct demand *demand,
                             struct shortage *shortage);

/* The same for a claim with an order, a priority and a time. It is not queued. */
_must_check_ int queue_check_claim(const struct queue *queue, const struct ledger *ledger,
                                   const struct lane *lane, const struct claim *claim,
                                   struct shortage *shortage);

/* The reason for which a claim waits to which queue_check() answered @answer; NEVER and 0: NONE. */
enum wait_reason queue_reason(int answer);

/*
 * Makes @lane, which has the claims of a lane of another queue, wait where that one does: at
 * @parked, after being @woken (each may be NULL). Where several accounts are full for a claim, it
 * waits for the one at which it found that out. For copies of a queue.
 */
void queue_lay_lane(struct queue *queue, struct lane *lane, struct account *parked,
                    struct account *woken);

/* How many claims stand before @claim. O(log n). */
uint64_t queue_position(const struct queue *queue, const struct claim *claim);

#endif

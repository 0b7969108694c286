/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_ADMISSION_ESTIMATE_H
#define PROVIUM_ADMISSION_ESTIMATE_H

/*
 * When is a claim going to start? What will happen is played through on a copy of the books and of
 * the queue, in virtual time, by the very code that decides (queue_next()): with priorities,
 * backfill, guarantees, limits and how many CPUs may run at a time, as the real decisions will be
 * made. Whoever promised for how long he holds what he has gives it back then, and who waits is
 * granted his claim and holds it for as long as he promised. Who promised nothing, or is late,
 * stays for ever. So the answer is the very instant if everybody keeps his promise and nobody else
 * comes; it is no promise of ours. The gates that look at the live machine are open in the play:
 * nobody knows what they will see.
 *
 * It is asked for on the broker's loop, so it is bounded: by what is copied, and by the steps that
 * are played. Where the steps end the answer is the instant until which it surely does not start.
 *
 * Pure: no clock, no I/O, no allocation: the copies lie in a struct estimate that the caller has.
 */

#include <admission/queue.h>

#define ESTIMATE_CLAIMS_MAX 1024  /* that wait, and that hold something and said until when */
#define ESTIMATE_ACCOUNTS_MAX 192 /* that these are charged to */
/* Ends, and questions to the queue; where others may pass, which costs more, a question counts for
 * more. With the copies half a millisecond, a whole one where nothing is in a cache. */
#define ESTIMATE_STEPS_MAX 1500
#define ESTIMATE_PASSING_STEPS 4

/* Who holds something and said until when. */
struct estimate_holder {
        const struct account *account;
        const struct demand *demand; /* as it is charged to @account */
        uint64_t order;              /* of his claim: who ends first of those that end at once */
        uint64_t until_usec;         /* when it leaves */
};

/* The play: a megabyte, of which only what is used is touched. Nothing has to be set before. */
struct estimate {
        struct ledger ledger;
        struct queue queue;
        struct gates gates;
        size_t n_claims, n_accounts;
        struct account *originals[ESTIMATE_ACCOUNTS_MAX];
        struct account accounts[ESTIMATE_ACCOUNTS_MAX];
        struct lane lanes[ESTIMATE_ACCOUNTS_MAX]; /* of the accounts */
        struct claim claims[ESTIMATE_CLAIMS_MAX];
        struct account *charged[ESTIMATE_CLAIMS_MAX]; /* the account of each claim */
};

enum {
        _ESTIMATE_E_SUCCESS,
        ESTIMATE_E_OPEN,  /* those in the way have not all said when they leave, or are late */
        ESTIMATE_E_NEVER, /* it would not fit an empty host */
        ESTIMATE_E_LATER, /* not before *startp: further it was not played */
        ESTIMATE_E_LONG,  /* there is too much to copy */
};

/*
 * When will @claim start, which waits in @queue, or, if it does not, would wait in @lane from now
 * on (its order is that of one that arrives now)? @holders: those of whom it is known, with times
 * on the clock of the queue, whose time is told. 0 with *startp, ESTIMATE_E_LATER with *startp, or
 * another ESTIMATE_E_*. The accounts' copy is scratch; nothing else of @queue, @ledger and the
 * accounts is touched.
 */
_must_check_ int estimate_start(struct estimate *estimate, const struct queue *queue,
                                const struct ledger *ledger, const struct lane *lane,
                                const struct claim *claim, const struct estimate_holder *holders,
                                size_t n_holders, uint64_t *startp);

#endif

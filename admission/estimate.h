/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_ADMISSION_ESTIMATE_H
#define PROVIUM_ADMISSION_ESTIMATE_H

/*
 * When is a claim going to start? What will happen is played through: whoever holds something and
 * promised for how long gives it back then, and those who wait are served by the rules of strict
 * order (admission/queue.h), each for as long as it promised. Who promised nothing, or is late,
 * stays for ever. So the answer is the very instant if everybody keeps his promise and nobody
 * comes before this claim; it is no promise of ours. Priorities and backfill only let others start
 * where they do not delay who is first, and are not played; nor are gates.
 *
 * It is played on the books themselves and taken back to the last unit before it returns, so that
 * every limit that a real decision heeds is heeded here: there is no second ledger to differ.
 */

#include <admission/ledger.h>

/* Who holds something. */
struct estimate_holder {
        struct account *account;
        struct demand demand; /* as it is charged to @account */
        uint64_t until_usec;  /* when it leaves; 0: it never said */
};

/* Who waits. */
struct estimate_claim {
        struct account *account;
        struct demand demand;
        uint64_t time_usec;  /* how long it will hold it; 0: it does not say */
        uint64_t until_usec; /* ours */
        bool started;        /* ours */
};

enum {
        _ESTIMATE_E_SUCCESS,
        ESTIMATE_E_OPEN,  /* those in the way have not all said when they leave, or are late */
        ESTIMATE_E_NEVER, /* it would not fit an empty host */
        ESTIMATE_E_LONG,  /* too much would have to be played: ESTIMATE_STEPS_MAX */
};

#define ESTIMATE_STEPS_MAX 50000 /* claims looked at: some milliseconds */

/*
 * @claims: all who wait, in their order, up to the one in question, which is the last of @n_claims
 * (at least 1). @holders are sorted. Times are of one clock, of which it is @now_usec. On 0
 * *start_usecp is when it starts. @ledger and the accounts are as before whenever this returns.
 */
_must_check_ int estimate_start(struct ledger *ledger, struct estimate_holder *holders,
                                size_t n_holders, struct estimate_claim *claims, size_t n_claims,
                                uint64_t now_usec, uint64_t *start_usecp);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_ADMISSION_BACKFILL_H
#define PROVIUM_ADMISSION_BACKFILL_H

/*
 * Backfill: who may pass the first that waits for the pool.
 *
 * As in EASY (Lifka 1995; Mu'alem and Feitelson 2001) the first has a reservation: the earliest
 * instant at which it fits if all whose end is known keep to it. One that came later may start
 * before it if it cannot put that instant off:
 *
 *     it is known to be over by then, or
 *     it takes only what is left beside the first at that instant (or now, where nobody knows the
 *     instant), of the pool and of every account that both are charged to.
 *
 * Both hold whatever guarantees and limits are besides: they can only make the first start later
 * than the instant computed here, where the former is over and the latter has its room; of what is
 * left, all that is guaranteed to anybody is taken away. One that may pass also has to fit now, and
 * stands behind whoever waits for a slice or a ceiling that it would be charged to.
 *
 * What is not protected: the instant moves if somebody holds on longer than he said, and the first
 * may start before it if somebody ends earlier.
 */

#include <admission/claim.h>

/* What one decision looks at, at most: parts of the set, and claims that are then judged whole. */
#define BACKFILL_VISITS_MAX 64
#define BACKFILL_JUDGED_MAX 8

struct backfill {
        const struct ledger *ledger;
        const struct claim *first; /* it waits for the pool */
        const struct lane *lane;   /* its */
        struct demand room;        /* of the pool, now; LEDGER_NO_LIMIT: any */
        struct demand spare;       /* beside the first */
        bool spare_vm;             /* the number of VMs allows one beside it */
        uint64_t start_usec;       /* the reservation; UINT64_MAX: nobody knows */
        uint64_t within_usec;      /* what ends within may pass; 0: nothing for that reason */
        bool anybody;              /* whoever fits may */
        unsigned visits;           /* left */
};

/*
 * The reservation of @first, which waits in @lane for the pool; @ends is the set of those that hold
 * something and whose end is known. @harmless: who cannot delay it may pass it; @anybody: whoever
 * fits.
 */
void backfill_init(struct backfill *backfill, const struct ledger *ledger,
                   const struct claim *first, const struct lane *lane, struct tree_node *ends,
                   uint64_t now_usec, bool harmless, bool anybody);

/* May @claim, that is to be charged to @account, pass the first? Whether it fits is not asked. */
bool backfill_may_pass(const struct backfill *backfill, const struct claim *claim,
                       const struct account *account);

/*
 * The next that may pass and that the pool, as a sum, has room for: the earliest after @after in
 * the set @claims of all who wait. NULL if there is none, or BACKFILL_VISITS_MAX were not enough to
 * find it.
 */
struct claim *backfill_next(struct backfill *backfill, struct tree_node *claims,
                            const struct claim *after);

#endif

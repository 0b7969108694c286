/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_ADMISSION_SHARE_H
#define PROVIUM_ADMISSION_SHARE_H

/*
 * Who has a share: a claim of a slice with a guarantee, behind a first that waits for the pool.
 *
 * What a slice has not used yet of its guarantee is kept free for it (admission/ledger.h), so the
 * first could not have it anyway. A claim that takes no more than that of what the first is short
 * of leaves the first exactly what it had: what is allocated grows by as much as what is kept for
 * others shrinks. To let it wait would help nobody.
 *
 * Of everything else that both are charged for it has to leave the first its room, and a VM, in the
 * pool and in every account that both are charged to. So it delays nobody who is first, whoever
 * ends when: it is compared by what is, and not by what is expected.
 */

#include <admission/ledger.h>

/*
 * Whose share is it that a claim of @demand in @account, which fits now, would take: the innermost
 * account that has kept for it all that it wants of what a claim of @first_demand in @first, which
 * waits for the pool, is short of (@shortage). NULL: nobody's, or it would take something that the
 * first wants. @kind: what the first has to leave alone, KEPT_FIRM if it would borrow.
 */
const struct account *share_of(const struct ledger *ledger, const struct account *account,
                               const struct demand *demand, const struct account *first,
                               const struct demand *first_demand, const struct shortage *shortage,
                               unsigned kind);

/* Is what is made in @account charged to @around, too? */
bool share_is_inside(const struct account *around, const struct account *account);

#endif

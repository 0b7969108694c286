/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_ADMISSION_ACCOUNT_H
#define PROVIUM_ADMISSION_ACCOUNT_H

/*
 * An account: one part of the books, with its limits and its place among the others. The ledger
 * (admission/ledger.h) writes into it.
 */

#include <sys/queue.h>

#include <base/demand.h>
#include <base/tree.h>

#define LEDGER_NO_LIMIT UINT64_MAX

/* Slices inside slices, and ceilings of one account: bounds of what one decision looks at. */
#define ACCOUNT_DEPTH_MAX 8
#define ACCOUNT_CEILINGS_MAX 6
#define ACCOUNTS_MAX (ACCOUNT_DEPTH_MAX + ACCOUNT_CEILINGS_MAX)

enum account_kind {
        ACCOUNT_SLICE,
        ACCOUNT_USER,
        ACCOUNT_GROUP,
        ACCOUNT_RESERVATION, /* what was reserved, with books of its own */
};

/* What the slices directly inside an account, or the host, have coming to them. */
struct kept {
        struct demand unfilled;   /* sum of kept(c) */
        struct demand guaranteed; /* the same if nothing at all were allocated */
};

enum {
        KEPT_ALL,
        KEPT_FIRM, /* without what lends: what also a claim that borrows has to leave alone */
        _KEPT_N,
};

/*
 * One part of the books: a slice's, a user's, or that of one user's claims in one slice. Embedded
 * in whoever keeps it; zeroed and given limits by that. Its place (parent, ceilings, kind) is set
 * with ledger_place() and account_add_ceiling() before anything is charged to it.
 */
struct account {
        enum account_kind kind;
        struct account *parent; /* whatever is charged here is charged there, too */
        /* And to these, which have limits, but no guarantee and no parent. Only those of the
         * account that a claim is made in count. */
        struct account *ceilings[ACCOUNT_CEILINGS_MAX];
        unsigned n_ceilings;

        struct demand limit;       /* LEDGER_NO_LIMIT: none on this axis */
        struct demand ratio_milli; /* for reports; already part of limit */
        struct demand guarantee;   /* as set; read only */
        bool lends;                /* as set; read only */
        uint64_t vms_max;          /* LEDGER_NO_LIMIT: none */

        struct demand allocated;
        uint64_t vms;
        struct kept kept[_KEPT_N];
        uint64_t queued;     /* claims that wait in it */
        uint64_t queued_max; /* for account_queue_full(); LEDGER_NO_LIMIT: none */

        /* The queue's: who waits because this account is full. Something was given back (or
         * somebody lost his place) since it looked: it is in ledger->stirred. */
        struct tree_node *waiting;
        bool stirred;
        LIST_ENTRY(account) stirred_link;

        struct account *copy; /* estimate_start()'s scratch */

        /* deadlock_check()'s scratch. */
        struct demand stuck;
        uint64_t stuck_vms;
};

LIST_HEAD(account_list, account);

/*
 * Puts @account inside @parent. Asserts that nothing is charged or guaranteed to it yet. Returns
 * false, and changes nothing, if that would be deeper than ACCOUNT_DEPTH_MAX.
 */
_must_check_ bool account_place(struct account *account, struct account *parent);

/* Adds a ceiling to @account, to which nothing is charged yet (asserted). False if it has
 * ACCOUNT_CEILINGS_MAX. */
_must_check_ bool account_add_ceiling(struct account *account, struct account *ceiling);

/* All that a claim made in @account is charged to but the host: its ceilings, itself, and what it
 * lies in, from the inside out. Returns how many. */
unsigned account_chain(const struct account *account, const struct account *chain[ACCOUNTS_MAX]);

/* Has @account, which both are charged to, room for one VM of @a and one of @b? */
bool account_fits_both(const struct account *account, const struct demand *a,
                       const struct demand *b);

/* The first of these in which as many claims wait as may; NULL if one more may. */
const struct account *account_queue_full(const struct account *account);

/* What is kept free of axis @i for a slice and those inside it, kept(s) in admission/ledger.h: now,
 * or if nothing were allocated (@never). */
uint64_t account_kept(const struct account *account, unsigned kind, unsigned i, bool never);

#endif

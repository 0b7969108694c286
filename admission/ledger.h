/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_ADMISSION_LEDGER_H
#define PROVIUM_ADMISSION_LEDGER_H

/*
 * The ledger: what this host has, what was sold of it, and to whom.
 *
 * One inequality, kept for every resource at every instant:
 *
 *     sum of admitted claims + this claim <= floor((capacity - reserve) x ratio)
 *
 * and the same for every account the claim is charged to, against the account's own limit: the
 * slice it is made in, the slices around that one (account->parent), and the ceilings of its user
 * and of its user's groups. A vector is charged to all of them whole, or not at all.
 *
 * A slice may have a guarantee: as much as it has not used of it yet stays free for it. With
 *
 *     kept(s) = max(guarantee(s) - allocated(s), sum of kept(c) over the slices c inside s)
 *
 * what is left for a claim in s, of an account A around s or of the host, is
 *
 *     limit(A) - allocated(A) - what is kept inside A for others than s
 *
 * and a claim that takes no more than that leaves it true of A that allocated(A) + sum of kept(c)
 * <= limit(A): on the way from s up to A, it takes as much from kept as it adds to allocated, or
 * there was nothing kept. The sums are running sums: a decision costs the same with ten slices or
 * a thousand.
 *
 * Borrowing. A guarantee that nobody uses is a loss; one that others may use at will is none. So
 * others may borrow it, but not keep it: what a slice that lends (account->lends) has free may be
 * had by a claim that is known to end within ledger->lend_usec (its VM has to be ended then: that
 * is with whoever calls ledger_charge_for()). When the slice's own claim comes and finds its share
 * lent, it waits like any other, and while it is first in the queue nothing new is lent, so it has
 * its share after lend_usec at the latest. Nobody is ended for it before his time: the operator
 * chooses how long a guarantee may take.
 *
 * Pure: no clock, no I/O, no allocation.
 */

#include <admission/account.h>

/* Why a claim does not fit. */
enum {
        _LEDGER_E_SUCCESS,
        LEDGER_E_POOL_FULL,  /* the host's pool has not enough left now */
        LEDGER_E_SLICE_FULL, /* the slice has not enough left now */
        LEDGER_E_NEVER,      /* larger than the pool or an account could ever give */
        LEDGER_E_USER_FULL,  /* the user's ceiling, or that of one of its groups */
};

struct ledger {
        struct demand capacity, reserve, ratio_milli; /* as configured or found */
        struct demand effective;                      /* what may be sold; derived */
        bool enforced[_RESOURCE_N];                   /* false: capacity unknown, counted only */
        uint64_t vms_max;
        uint64_t lend_usec; /* what ends within that may borrow; 0: nothing may */

        struct demand allocated;
        struct demand promised; /* plain sum of all guarantees: that no sum of them overflows */
        struct kept kept[_KEPT_N];
        uint64_t vms;
        uint64_t changes;            /* times it, or a guarantee in it, was configured */
        struct account_list stirred; /* those that somebody waits for and that have more room */
};

/* The axis that did not fit, with the numbers a refusal names. */
struct shortage {
        bool is_vms;                   /* the number of VMs, not a resource */
        enum resource resource;        /* valid unless is_vms */
        bool is_slice;                 /* a slice's limit, not the host's */
        const struct account *account; /* whose limit; NULL: the host's */
        uint64_t requested, available, allocated, effective_limit, ratio_milli;
        uint64_t fits; /* the largest request on this axis that would be admitted now */
};

/* floor((capacity - reserve) x ratio / 1000), 0 if the reserve exceeds the capacity, saturating. */
uint64_t ledger_effective(uint64_t capacity, uint64_t reserve, uint64_t ratio_milli);

/*
 * Sets capacity, reserve and ratio of the host and derives the effective limits; what is allocated
 * stays, also where it now exceeds the limit (nobody is killed; nothing more is admitted).
 */
void ledger_configure(struct ledger *ledger, const struct demand *capacity,
                      const struct demand *reserve, const struct demand *ratio_milli,
                      const bool enforced[_RESOURCE_N], uint64_t vms_max);

/*
 * Registers the guarantee of a slice's account (or changes it, on a reload) and whether others may
 * borrow of it; the limits are the caller's, who also sees to it that a guarantee fits the limits
 * around it. A guarantee with which a sum would overflow becomes none.
 */
void ledger_set_share(struct ledger *ledger, struct account *account,
                      const struct demand *guarantee, bool lends);

/* The same, of one that does not lend. */
void ledger_set_guarantee(struct ledger *ledger, struct account *account,
                          const struct demand *guarantee);

/*
 * Would @demand for one VM fit @account now? 0 or LEDGER_E_*, with @shortage filled (the first axis
 * that fails; NEVER before FULL; the ceilings', the accounts' from the inside out, the host's).
 * Changes nothing.
 */
_must_check_ int ledger_check(const struct ledger *ledger, const struct account *account,
                              const struct demand *demand, struct shortage *shortage);

/* The same for a claim that is known to end after @time_usec (0: it is not), and so may borrow. */
_must_check_ int ledger_check_for(const struct ledger *ledger, const struct account *account,
                                  const struct demand *demand, uint64_t time_usec,
                                  struct shortage *shortage);

/* Checks, and charges the whole vector if it fits. */
_must_check_ int ledger_charge_for(struct ledger *ledger, struct account *account,
                                   const struct demand *demand, uint64_t time_usec,
                                   struct shortage *shortage);
_must_check_ int ledger_charge(struct ledger *ledger, struct account *account,
                               const struct demand *demand, struct shortage *shortage);

/*
 * Charges without asking, for what runs already (adoption). Returns false and changes nothing if a
 * sum would overflow.
 */
_must_check_ bool ledger_restore(struct ledger *ledger, struct account *account,
                                 const struct demand *demand);

/* Gives a charge back, whole. Asserts that it was charged. */
void ledger_return(struct ledger *ledger, struct account *account, const struct demand *demand);

/*
 * The charge @from of one VM becomes @to, whole or not at all; the number of VMs stays. An axis
 * that shrinks or stays always may, also where more is sold than the limit allows since a ratio was
 * lowered; on one that grows, the difference must fit as a claim for it would. 0 or LEDGER_E_*.
 * In @shortage the numbers are of the whole amount, with what the VM has itself counted as
 * available, since a VM is asked to become as large as something and not larger by something.
 * NEVER: it could not be that large if it were alone. Asserts that @from was charged. What an axis
 * gives up may let a waiting claim start: ask the queue.
 */
_must_check_ int ledger_exchange(struct ledger *ledger, struct account *account,
                                 const struct demand *from, const struct demand *to,
                                 struct shortage *shortage);

/*
 * The same without asking, for when it is the policy that counts differently and not the VM that
 * changes. Returns false and changes nothing if a sum would overflow; back to what was charged
 * before never does.
 */
bool ledger_exchange_unchecked(struct ledger *ledger, struct account *account,
                               const struct demand *from, const struct demand *to);

/* What a claim in @account could still get of @resource; LEDGER_NO_LIMIT where nothing limits it.
 */
uint64_t ledger_available(const struct ledger *ledger, const struct account *account,
                          enum resource resource);

/* What is allocated of a resource; of disk_io, where claims name disks: of the fullest disk. */
uint64_t ledger_allocated(const struct ledger *ledger, enum resource resource);

/* max(0, effective - allocated) for the host as a whole. */
uint64_t ledger_host_available(const struct ledger *ledger, enum resource resource);

/* claim / max(1, ratio), rounded down: the part of @amount that is guaranteed on the real machine.
 */
uint64_t ledger_guarantee(const struct ledger *ledger, enum resource resource, uint64_t amount);

#endif

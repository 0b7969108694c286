/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_ADMISSION_LEDGER_H
#define PROVIUM_ADMISSION_LEDGER_H

/*
 * The ledger: what this host has, what was sold of it, and to which slice.
 *
 * One inequality, kept for every resource at every instant:
 *
 *     sum of admitted claims + this claim <= floor((capacity - reserve) x ratio)
 *
 * and the same for the slice the claim is made in, against the slice's own limit. A slice may have
 * a guarantee: as much of the pool stays free for it as it has not used of its guarantee yet, so
 * what another slice can still get is
 *
 *     effective limit - allocated - sum over the other slices of max(0, guarantee - allocated)
 *
 * which the ledger keeps as running sums: a decision costs the same with ten slices or a thousand.
 * A vector is charged whole or not at all. Pure: no clock, no I/O, no allocation.
 */

#include <base/demand.h>

#define LEDGER_NO_LIMIT UINT64_MAX

/* Why a claim does not fit. */
enum {
        _LEDGER_E_SUCCESS,
        LEDGER_E_POOL_FULL,  /* the host's pool has not enough left now */
        LEDGER_E_SLICE_FULL, /* the slice has not enough left now */
        LEDGER_E_NEVER,      /* larger than the pool or the slice could ever give */
};

/* A slice's part of the books. Embedded in whoever keeps the slice. */
struct account {
        struct demand limit;       /* LEDGER_NO_LIMIT: none on this axis */
        struct demand ratio_milli; /* for reports; already part of limit */
        struct demand guarantee;
        uint64_t vms_max; /* LEDGER_NO_LIMIT: none */

        struct demand allocated;
        uint64_t vms;
        uint64_t changes; /* times something was given back: who found the slice full may ask again
                           */
};

struct ledger {
        struct demand capacity, reserve, ratio_milli; /* as configured or found */
        struct demand effective;                      /* what may be sold; derived */
        bool enforced[_RESOURCE_N];                   /* false: capacity unknown, counted only */
        uint64_t vms_max;

        struct demand allocated;
        struct demand unfilled;   /* sum of max(0, guarantee - allocated) over all accounts */
        struct demand guaranteed; /* sum of the guarantees */
        uint64_t vms;
        uint64_t changes; /* times it, or a guarantee in it, was configured */
};

/* The axis that did not fit, with the numbers a refusal names. */
struct shortage {
        bool is_vms;            /* the number of VMs, not a resource */
        enum resource resource; /* valid unless is_vms */
        bool is_slice;          /* the slice's limit, not the host's */
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

/* Registers the guarantee of a new account (or changes it, on a reload); the limits are the
 * caller's. */
void ledger_set_guarantee(struct ledger *ledger, struct account *account,
                          const struct demand *guarantee);

/*
 * Would @demand for one VM fit @account now? 0 or LEDGER_E_*, with @shortage filled (the first axis
 * that fails; NEVER before FULL, the slice's before the host's). Changes nothing.
 */
_must_check_ int ledger_check(const struct ledger *ledger, const struct account *account,
                              const struct demand *demand, struct shortage *shortage);

/* The same, and charges the whole vector if it fits. */
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

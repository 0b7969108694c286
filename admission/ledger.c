/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <admission/ledger.h>

static const struct demand nothing;

static uint64_t over(uint64_t a, uint64_t b) {
        return a > b ? a - b : 0;
}

uint64_t ledger_effective(uint64_t capacity, uint64_t reserve, uint64_t ratio_milli) {
        unsigned __int128 limit = (unsigned __int128)over(capacity, reserve) * ratio_milli / 1000;

        return limit > UINT64_MAX ? UINT64_MAX : (uint64_t)limit;
}

void ledger_configure(struct ledger *ledger, const struct demand *capacity,
                      const struct demand *reserve, const struct demand *ratio_milli,
                      const bool enforced[_RESOURCE_N], uint64_t vms_max) {
        ledger->capacity = *capacity;
        ledger->reserve = *reserve;
        ledger->ratio_milli = *ratio_milli;
        ledger->vms_max = vms_max;
        ledger->changes++;
        for (unsigned i = 0; i < DEMAND_N; i++) {
                enum resource resource = demand_resource(i);

                ledger->enforced[resource] = enforced[resource];
                ledger->effective.amount[i] =
                        ledger_effective(capacity->amount[resource], reserve->amount[resource],
                                         ratio_milli->amount[resource]);
        }
}

/* A claim that says which disks it uses is held against each of them, not against their sum. */
static bool names_disks(const struct demand *demand) {
        for (unsigned i = _RESOURCE_N; i < DEMAND_N; i++)
                if (demand->amount[i] > 0)
                        return true;
        return false;
}

static void unfilled_update(struct ledger *ledger, const struct account *account, int sign) {
        for (unsigned i = 0; i < DEMAND_N; i++) {
                uint64_t part = over(account->guarantee.amount[demand_resource(i)],
                                     account->allocated.amount[i]);

                if (sign > 0) {
                        ledger->unfilled.amount[i] += part;
                } else {
                        assert(ledger->unfilled.amount[i] >= part);
                        ledger->unfilled.amount[i] -= part;
                }
        }
}

void ledger_set_guarantee(struct ledger *ledger, struct account *account,
                          const struct demand *guarantee) {
        struct demand sum;

        ledger->changes++;
        demand_sub(&ledger->guaranteed, &ledger->guaranteed, &account->guarantee);
        unfilled_update(ledger, account, -1);
        /* The policy's loader bounds the sum of all guarantees; a slice without one is safe. */
        if (demand_add(&sum, &ledger->guaranteed, guarantee)) {
                ledger->guaranteed = sum;
                account->guarantee = *guarantee;
        } else {
                account->guarantee = (struct demand){};
        }
        unfilled_update(ledger, account, 1);
}

/* What the host could give this account at best (@never) or can give it now. */
static uint64_t host_left(const struct ledger *ledger, const struct account *account, unsigned i,
                          bool never) {
        uint64_t others, left, own = account->guarantee.amount[demand_resource(i)];

        if (never)
                return over(ledger->effective.amount[i],
                            over(ledger->guaranteed.amount[demand_resource(i)], own));

        others = ledger->unfilled.amount[i] - over(own, account->allocated.amount[i]);
        left = over(ledger->effective.amount[i], ledger->allocated.amount[i]);
        return over(left, others);
}

/* The first axis on which @own, which is charged already, cannot become @demand. */
static int short_of(const struct ledger *ledger, const struct account *account,
                    const struct demand *own, const struct demand *demand, bool never, bool slice,
                    struct shortage *shortage) {
        bool disks = names_disks(demand);

        for (unsigned i = 0; i < DEMAND_N; i++) {
                enum resource resource = demand_resource(i);
                uint64_t left, limit;

                if (i == RESOURCE_DISK_IO && disks)
                        continue;
                /* What does not grow is no reason to refuse, also where the axis is oversold. */
                if (demand->amount[i] <= own->amount[i])
                        continue;
                if (slice) {
                        limit = account->limit.amount[resource];
                        if (limit == LEDGER_NO_LIMIT)
                                continue;
                        left = never ? limit : over(limit, account->allocated.amount[i]);
                } else {
                        if (!ledger->enforced[resource])
                                continue;
                        limit = ledger->effective.amount[i];
                        left = host_left(ledger, account, i, never);
                }
                if (!never && __builtin_add_overflow(left, own->amount[i], &left))
                        left = UINT64_MAX;
                if (demand->amount[i] <= left)
                        continue;

                *shortage = (struct shortage){
                        .resource = resource,
                        .is_slice = slice,
                        .requested = demand->amount[i],
                        .available = left,
                        .fits = left,
                        .allocated =
                                slice ? account->allocated.amount[i] : ledger->allocated.amount[i],
                        .effective_limit = limit,
                        .ratio_milli = slice ? account->ratio_milli.amount[resource]
                                             : ledger->ratio_milli.amount[resource],
                };
                return never ? LEDGER_E_NEVER : slice ? LEDGER_E_SLICE_FULL : LEDGER_E_POOL_FULL;
        }
        return 0;
}

static int short_of_vms(uint64_t vms, uint64_t vms_max, bool slice, struct shortage *shortage) {
        if (vms < vms_max)
                return 0;
        *shortage = (struct shortage){
                .is_vms = true,
                .is_slice = slice,
                .requested = 1,
                .allocated = vms,
                .effective_limit = vms_max,
                .ratio_milli = 1000,
        };
        if (vms_max == 0)
                return LEDGER_E_NEVER;
        return slice ? LEDGER_E_SLICE_FULL : LEDGER_E_POOL_FULL;
}

int ledger_check(const struct ledger *ledger, const struct account *account,
                 const struct demand *demand, struct shortage *shortage) {
        struct shortage ignored;
        int r;

        shortage = shortage ?: &ignored;
        r = short_of(ledger, account, &nothing, demand, true, false, shortage);
        if (!r)
                r = short_of(ledger, account, &nothing, demand, true, true, shortage);
        if (!r && ledger->vms_max == 0)
                r = short_of_vms(ledger->vms, ledger->vms_max, false, shortage);
        /* The slice's own limit is asked before the pool's: a claim that waits for its slice holds
         * back its slice only, one that waits for the pool holds back everybody behind it. */
        if (!r)
                r = short_of_vms(account->vms, account->vms_max, true, shortage);
        if (!r)
                r = short_of(ledger, account, &nothing, demand, false, true, shortage);
        if (!r)
                r = short_of_vms(ledger->vms, ledger->vms_max, false, shortage);
        if (!r)
                r = short_of(ledger, account, &nothing, demand, false, false, shortage);
        return r;
}

bool ledger_restore(struct ledger *ledger, struct account *account, const struct demand *demand) {
        struct demand host, slice;

        if (!demand_add(&host, &ledger->allocated, demand) ||
            !demand_add(&slice, &account->allocated, demand))
                return false;

        unfilled_update(ledger, account, -1);
        ledger->allocated = host;
        account->allocated = slice;
        unfilled_update(ledger, account, 1);
        ledger->vms++;
        account->vms++;
        return true;
}

int ledger_charge(struct ledger *ledger, struct account *account, const struct demand *demand,
                  struct shortage *shortage) {
        int r;

        r = ledger_check(ledger, account, demand, shortage);
        if (r)
                return r;
        if (ledger_restore(ledger, account, demand))
                return 0;
        /* Only an axis nobody limits can overflow, with numbers no host has. */
        if (shortage)
                *shortage = (struct shortage){.requested = UINT64_MAX};
        return LEDGER_E_NEVER;
}

void ledger_return(struct ledger *ledger, struct account *account, const struct demand *demand) {
        assert(ledger->vms > 0 && account->vms > 0);

        unfilled_update(ledger, account, -1);
        demand_sub(&ledger->allocated, &ledger->allocated, demand);
        demand_sub(&account->allocated, &account->allocated, demand);
        unfilled_update(ledger, account, 1);
        ledger->vms--;
        account->vms--;
        account->changes++;
}

bool ledger_exchange_unchecked(struct ledger *ledger, struct account *account,
                               const struct demand *from, const struct demand *to) {
        struct demand host, slice;
        bool shrinks = false;

        demand_sub(&host, &ledger->allocated, from);
        demand_sub(&slice, &account->allocated, from);
        if (!demand_add(&host, &host, to) || !demand_add(&slice, &slice, to))
                return false;

        for (unsigned i = 0; i < DEMAND_N; i++)
                shrinks |= to->amount[i] < from->amount[i];
        unfilled_update(ledger, account, -1);
        ledger->allocated = host;
        account->allocated = slice;
        unfilled_update(ledger, account, 1);
        account->changes += shrinks;
        return true;
}

int ledger_exchange(struct ledger *ledger, struct account *account, const struct demand *from,
                    const struct demand *to, struct shortage *shortage) {
        struct shortage ignored;
        int r;

        shortage = shortage ?: &ignored;
        r = short_of(ledger, account, from, to, true, false, shortage);
        if (!r)
                r = short_of(ledger, account, from, to, true, true, shortage);
        if (!r)
                r = short_of(ledger, account, from, to, false, true, shortage);
        if (!r)
                r = short_of(ledger, account, from, to, false, false, shortage);
        if (r)
                return r;
        if (ledger_exchange_unchecked(ledger, account, from, to))
                return 0;
        *shortage = (struct shortage){.requested = UINT64_MAX};
        return LEDGER_E_NEVER;
}

/* The axis by which a resource is to be judged as a whole: of the disks the fullest. */
static unsigned fullest(const struct demand *allocated, enum resource resource) {
        unsigned axis = resource;

        if (resource != RESOURCE_DISK_IO)
                return axis;
        for (unsigned i = _RESOURCE_N; i < DEMAND_N; i++)
                if (axis == resource || allocated->amount[i] > allocated->amount[axis])
                        axis = i;
        /* Claims that name no disk are in the sum only. */
        return allocated->amount[axis] > 0 ? axis : resource;
}

uint64_t ledger_allocated(const struct ledger *ledger, enum resource resource) {
        return ledger->allocated.amount[fullest(&ledger->allocated, resource)];
}

uint64_t ledger_available(const struct ledger *ledger, const struct account *account,
                          enum resource resource) {
        unsigned axis = fullest(&ledger->allocated, resource);
        uint64_t host = ledger->enforced[resource] ? host_left(ledger, account, axis, false)
                                                   : LEDGER_NO_LIMIT;
        uint64_t slice = account->limit.amount[resource];

        if (slice != LEDGER_NO_LIMIT)
                slice = over(slice,
                             account->allocated.amount[fullest(&account->allocated, resource)]);
        return min_u64(host, slice);
}

uint64_t ledger_host_available(const struct ledger *ledger, enum resource resource) {
        return over(ledger->effective.amount[resource], ledger_allocated(ledger, resource));
}

uint64_t ledger_guarantee(const struct ledger *ledger, enum resource resource, uint64_t amount) {
        uint64_t ratio_milli = max_u64(1000, ledger->ratio_milli.amount[resource]);

        return (uint64_t)((unsigned __int128)amount * 1000 / ratio_milli);
}

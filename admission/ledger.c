/* SPDX-License-Identifier: MIT */
#include <admission/ledger.h>

/*
 * Two halves: what is charged and what is kept for whom (up to has_shares and change), and the one
 * question that everybody asks, whether something fits (struct asked). They stay in one file,
 * because the second is true only of what the first does.
 */

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

/* What is kept for the slices directly inside @account, or inside the host. */
static uint64_t kept_inside(const struct ledger *ledger, const struct account *account,
                            unsigned kind, unsigned i, bool never) {
        const struct kept *kept = account ? &account->kept[kind] : &ledger->kept[kind];

        return never ? kept->guaranteed.amount[i] : kept->unfilled.amount[i];
}

/* What is kept for somebody changes by a difference, and so what is kept around it. Differences may
 * be negative: unsigned arithmetic comes round. */
static void kept_change(struct ledger *ledger, struct account *account, unsigned kind, unsigned i,
                        uint64_t unfilled, uint64_t guaranteed) {
        struct kept *kept = account ? &account->kept[kind] : &ledger->kept[kind];

        kept->unfilled.amount[i] += unfilled;
        kept->guaranteed.amount[i] += guaranteed;
}

/* Is anything guaranteed to anybody? */
static bool has_shares(const struct ledger *ledger) {
        return !demand_is_zero(&ledger->promised);
}

/* @account, and all around it, are about to have @difference more of an axis: what is kept for them
 * follows. */
static void keep_axis(struct ledger *ledger, struct account *account, unsigned i,
                      uint64_t difference) {
        for (unsigned kind = 0; kind < _KEPT_N; kind++) {
                uint64_t inside = 0;

                for (struct account *at = account; at; at = at->parent) {
                        uint64_t before = account_kept(at, kind, i, false);

                        kept_change(ledger, at, kind, i, inside, 0);
                        at->allocated.amount[i] += difference;
                        inside = account_kept(at, kind, i, false) - before;
                        at->allocated.amount[i] -= difference;
                }
                kept_change(ledger, NULL, kind, i, inside, 0);
        }
}

/* @account, and all around it, have @from of an axis less and @to more. */
static void change_axis(struct ledger *ledger, struct account *account, unsigned i, uint64_t from,
                        uint64_t to) {
        for (unsigned c = 0; c < account->n_ceilings; c++) {
                assert(account->ceilings[c]->allocated.amount[i] >= from);
                account->ceilings[c]->allocated.amount[i] += to - from;
        }
        for (struct account *at = account; at; at = at->parent) {
                assert(at->allocated.amount[i] >= from);
                at->allocated.amount[i] += to - from;
        }
        ledger->allocated.amount[i] += to - from;
}

/* Whatever is allocated in an account is also allocated in the ledger: if that sum does not
 * overflow, none does. */
static bool change(struct ledger *ledger, struct account *account, const struct demand *from,
                   const struct demand *to) {
        unsigned axes = max_u64(demand_axes(from), demand_axes(to));
        bool shares = has_shares(ledger);

        for (unsigned i = 0; i < axes; i++) {
                uint64_t sum;

                assert(ledger->allocated.amount[i] >= from->amount[i]);
                if (__builtin_add_overflow(ledger->allocated.amount[i] - from->amount[i],
                                           to->amount[i], &sum))
                        return false;
        }
        for (unsigned i = 0; i < axes; i++) {
                if (from->amount[i] == to->amount[i])
                        continue;
                if (shares)
                        keep_axis(ledger, account, i, to->amount[i] - from->amount[i]);
                change_axis(ledger, account, i, from->amount[i], to->amount[i]);
        }
        return true;
}

static void change_vms(struct ledger *ledger, struct account *account, bool more) {
        uint64_t difference = more ? 1 : UINT64_MAX;

        assert(more || (ledger->vms > 0 && account->vms > 0));
        ledger->vms += difference;
        for (unsigned c = 0; c < account->n_ceilings; c++)
                account->ceilings[c]->vms += difference;
        for (struct account *at = account; at; at = at->parent)
                at->vms += difference;
}

/* @account has more room: whoever waits for it is to be looked at. */
static void stir(struct ledger *ledger, struct account *account) {
        if (!account->waiting || account->stirred)
                return;
        account->stirred = true;
        LIST_INSERT_HEAD(&ledger->stirred, account, stirred_link);
}

static void stir_all(struct ledger *ledger, struct account *account) {
        for (unsigned c = 0; c < account->n_ceilings; c++)
                stir(ledger, account->ceilings[c]);
        for (struct account *at = account; at; at = at->parent)
                stir(ledger, at);
}

/* The share of @account becomes this, on one axis. */
static void share_axis(struct ledger *ledger, struct account *account, unsigned i,
                       const struct demand *guarantee, bool lends) {
        enum resource resource = demand_resource(i);

        for (unsigned kind = 0; kind < _KEPT_N; kind++) {
                uint64_t guarantee_before = account->guarantee.amount[resource], unfilled,
                         guaranteed;
                bool lends_before = account->lends;

                unfilled = -account_kept(account, kind, i, false);
                guaranteed = -account_kept(account, kind, i, true);
                account->guarantee.amount[resource] = guarantee->amount[resource];
                account->lends = lends;
                unfilled += account_kept(account, kind, i, false);
                guaranteed += account_kept(account, kind, i, true);
                account->guarantee.amount[resource] = guarantee_before;
                account->lends = lends_before;

                for (struct account *at = account->parent; at; at = at->parent) {
                        uint64_t u = account_kept(at, kind, i, false),
                                 g = account_kept(at, kind, i, true);

                        kept_change(ledger, at, kind, i, unfilled, guaranteed);
                        unfilled = account_kept(at, kind, i, false) - u;
                        guaranteed = account_kept(at, kind, i, true) - g;
                }
                kept_change(ledger, NULL, kind, i, unfilled, guaranteed);
        }
}

void ledger_set_share(struct ledger *ledger, struct account *account,
                      const struct demand *guarantee, bool lends) {
        struct demand promised;

        ledger->changes++;
        demand_sub(&promised, &ledger->promised, &account->guarantee);
        /* The policy's loader bounds the sum of all guarantees; a slice without one is safe. */
        if (!demand_add(&promised, &promised, guarantee))
                guarantee = &nothing;
        for (unsigned i = 0; i < DEMAND_N; i++)
                share_axis(ledger, account, i, guarantee, lends);
        ledger->promised = promised;
        account->guarantee = *guarantee;
        account->lends = lends;
}

void ledger_set_guarantee(struct ledger *ledger, struct account *account,
                          const struct demand *guarantee) {
        ledger_set_share(ledger, account, guarantee, false);
}

/* A question about one claim: may what is @own of it become @demand? */
struct asked {
        const struct ledger *ledger;
        const struct account *account;
        const struct demand *own, *demand;
        bool names_disks;
        unsigned axes; /* the first so many are asked for */
        bool never;    /* not now, but ever */
        bool shares;   /* anything is guaranteed to anybody */
        unsigned kind;
        struct shortage *shortage;
};

static uint64_t limit_of(const struct ledger *ledger, const struct account *account, unsigned i) {
        enum resource resource = demand_resource(i);

        if (account)
                return account->limit.amount[resource];
        return ledger->enforced[resource] ? ledger->effective.amount[i] : LEDGER_NO_LIMIT;
}

/* The first axis on which it does not fit @at (NULL: the host), of which @kept is for others. */
static int short_at(const struct asked *asked, const struct account *at,
                    const struct demand *kept) {
        const struct ledger *ledger = asked->ledger;

        for (unsigned i = 0; i < asked->axes; i++) {
                uint64_t own = asked->own->amount[i], wanted = asked->demand->amount[i], left,
                         limit;
                uint64_t allocated = at ? at->allocated.amount[i] : ledger->allocated.amount[i];

                /* What does not grow is no reason to refuse, also where the axis is oversold. */
                if (wanted <= own || (i == RESOURCE_DISK_IO && asked->names_disks))
                        continue;
                limit = limit_of(ledger, at, i);
                if (limit == LEDGER_NO_LIMIT)
                        continue;
                left = over(asked->never ? limit : over(limit, allocated), kept->amount[i]);
                if (!asked->never && __builtin_add_overflow(left, own, &left))
                        left = UINT64_MAX;
                if (wanted <= left)
                        continue;

                *asked->shortage = (struct shortage){
                        .resource = demand_resource(i),
                        .is_slice = at && at->kind == ACCOUNT_SLICE,
                        .account = at,
                        .requested = wanted,
                        .available = left,
                        .fits = left,
                        .allocated = allocated,
                        .effective_limit = limit,
                        .ratio_milli = at ? at->ratio_milli.amount[demand_resource(i)]
                                          : ledger->ratio_milli.amount[demand_resource(i)],
                };
                return asked->never                ? LEDGER_E_NEVER
                       : !at                       ? LEDGER_E_POOL_FULL
                       : at->kind == ACCOUNT_SLICE ? LEDGER_E_SLICE_FULL
                                                   : LEDGER_E_USER_FULL;
        }
        return 0;
}

/* Adds to @kept what @at keeps for others than those in @below, through which we came. */
static void add_kept(const struct asked *asked, const struct account *at,
                     const struct account *below, struct demand *kept) {
        if (!asked->shares)
                return;
        for (unsigned i = 0; i < asked->axes; i++) {
                kept->amount[i] += kept_inside(asked->ledger, at, asked->kind, i, asked->never);
                if (below)
                        kept->amount[i] -= account_kept(below, asked->kind, i, asked->never);
        }
}

static int short_of_vms(const struct asked *asked, const struct account *at) {
        uint64_t vms = at ? at->vms : asked->ledger->vms;
        uint64_t vms_max = at ? at->vms_max : asked->ledger->vms_max;

        if (vms < vms_max || (asked->never && vms_max > 0))
                return 0;
        *asked->shortage = (struct shortage){
                .is_vms = true,
                .is_slice = at && at->kind == ACCOUNT_SLICE,
                .account = at,
                .requested = 1,
                .allocated = vms,
                .effective_limit = vms_max,
                .ratio_milli = 1000,
        };
        return asked->never                ? LEDGER_E_NEVER
               : !at                       ? LEDGER_E_POOL_FULL
               : at->kind == ACCOUNT_SLICE ? LEDGER_E_SLICE_FULL
                                           : LEDGER_E_USER_FULL;
}

/*
 * The accounts' own limits are asked before the host's: a claim that waits for its slice holds back
 * its slice only, one that waits for the pool holds back everybody behind it. An exchange (@vms
 * false) is one VM before and after.
 */
static int ask(const struct asked *asked, bool vms) {
        const struct account *at, *below = NULL;
        struct demand kept = {};
        int r = 0;

        for (unsigned c = 0; c < asked->account->n_ceilings; c++) {
                if (vms)
                        r = short_of_vms(asked, asked->account->ceilings[c]);
                r = r ?: short_at(asked, asked->account->ceilings[c], &nothing);
                if (r)
                        return r;
        }
        for (at = asked->account; at; below = at, at = at->parent) {
                add_kept(asked, at, below, &kept);
                if (vms)
                        r = short_of_vms(asked, at);
                r = r ?: short_at(asked, at, &kept);
                if (r)
                        return r;
        }
        add_kept(asked, NULL, below, &kept);
        if (vms)
                r = short_of_vms(asked, NULL);
        return r ?: short_at(asked, NULL, &kept);
}

/* What fits now fits ever: what others hold and what is kept for them is never less than what was
 * guaranteed to them. */
static int ask_twice(const struct ledger *ledger, const struct account *account,
                     const struct demand *own, const struct demand *demand, uint64_t time_usec,
                     bool vms, struct shortage *shortage) {
        struct shortage ignored, now;
        struct asked asked = {
                .ledger = ledger,
                .account = account,
                .own = own,
                .demand = demand,
                .names_disks = demand_names_disks(demand),
                .axes = demand_axes(demand),
                .shares = has_shares(ledger),
                .kind = time_usec > 0 && time_usec <= ledger->lend_usec ? KEPT_FIRM : KEPT_ALL,
                .shortage = &now,
        };
        int r;

        r = ask(&asked, vms);
        if (r == 0)
                return 0;
        shortage = shortage ?: &ignored;
        asked.never = true;
        asked.shortage = shortage;
        if (ask(&asked, vms))
                return LEDGER_E_NEVER;
        *shortage = now;
        return r;
}

int ledger_check_for(const struct ledger *ledger, const struct account *account,
                     const struct demand *demand, uint64_t time_usec, struct shortage *shortage) {
        return ask_twice(ledger, account, &nothing, demand, time_usec, true, shortage);
}

int ledger_check(const struct ledger *ledger, const struct account *account,
                 const struct demand *demand, struct shortage *shortage) {
        return ledger_check_for(ledger, account, demand, 0, shortage);
}

bool ledger_restore(struct ledger *ledger, struct account *account, const struct demand *demand) {
        if (!change(ledger, account, &nothing, demand))
                return false;
        change_vms(ledger, account, true);
        return true;
}

int ledger_charge_for(struct ledger *ledger, struct account *account, const struct demand *demand,
                      uint64_t time_usec, struct shortage *shortage) {
        int r;

        r = ledger_check_for(ledger, account, demand, time_usec, shortage);
        if (r)
                return r;
        if (ledger_restore(ledger, account, demand))
                return 0;
        /* Only an axis nobody limits can overflow, with numbers no host has. */
        if (shortage)
                *shortage = (struct shortage){.requested = UINT64_MAX};
        return LEDGER_E_NEVER;
}

int ledger_charge(struct ledger *ledger, struct account *account, const struct demand *demand,
                  struct shortage *shortage) {
        return ledger_charge_for(ledger, account, demand, 0, shortage);
}

void ledger_return(struct ledger *ledger, struct account *account, const struct demand *demand) {
        bool less;

        less = change(ledger, account, demand, &nothing);
        assert(less);
        (void)less;
        change_vms(ledger, account, false);
        stir_all(ledger, account);
}

bool ledger_exchange_unchecked(struct ledger *ledger, struct account *account,
                               const struct demand *from, const struct demand *to) {
        bool shrinks = false;

        if (!change(ledger, account, from, to))
                return false;
        for (unsigned i = 0; i < DEMAND_N; i++)
                shrinks |= to->amount[i] < from->amount[i];
        if (shrinks)
                stir_all(ledger, account);
        return true;
}

int ledger_exchange(struct ledger *ledger, struct account *account, const struct demand *from,
                    const struct demand *to, struct shortage *shortage) {
        int r;

        r = ask_twice(ledger, account, from, to, 0, false, shortage);
        if (r)
                return r;
        if (ledger_exchange_unchecked(ledger, account, from, to))
                return 0;
        if (shortage)
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

static uint64_t left_at(const struct asked *asked, const struct account *at,
                        const struct demand *kept, enum resource resource) {
        const struct demand *allocated = at ? &at->allocated : &asked->ledger->allocated;
        unsigned axis = fullest(allocated, resource);
        uint64_t limit = limit_of(asked->ledger, at, axis);

        if (limit == LEDGER_NO_LIMIT)
                return LEDGER_NO_LIMIT;
        return over(over(limit, allocated->amount[axis]), kept->amount[axis]);
}

uint64_t ledger_available(const struct ledger *ledger, const struct account *account,
                          enum resource resource) {
        const struct asked asked = {
                .ledger = ledger, .axes = DEMAND_N, .shares = has_shares(ledger), .kind = KEPT_ALL};
        const struct account *below = NULL;
        uint64_t least = LEDGER_NO_LIMIT;
        struct demand kept = {};

        for (unsigned c = 0; c < account->n_ceilings; c++)
                least = min_u64(least, left_at(&asked, account->ceilings[c], &kept, resource));
        for (const struct account *at = account; at; below = at, at = at->parent) {
                add_kept(&asked, at, below, &kept);
                least = min_u64(least, left_at(&asked, at, &kept, resource));
        }
        add_kept(&asked, NULL, below, &kept);
        return min_u64(least, left_at(&asked, NULL, &kept, resource));
}

uint64_t ledger_host_available(const struct ledger *ledger, enum resource resource) {
        return over(ledger->effective.amount[resource], ledger_allocated(ledger, resource));
}

uint64_t ledger_guarantee(const struct ledger *ledger, enum resource resource, uint64_t amount) {
        uint64_t ratio_milli = max_u64(1000, ledger->ratio_milli.amount[resource]);

        return (uint64_t)((unsigned __int128)amount * 1000 / ratio_milli);
}

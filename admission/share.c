/* SPDX-License-Identifier: MIT */
#include <admission/share.h>

static uint64_t over(uint64_t a, uint64_t b) {
        return a > b ? a - b : 0;
}

bool share_is_inside(const struct account *around, const struct account *account) {
        for (unsigned c = 0; c < account->n_ceilings; c++)
                if (account->ceilings[c] == around)
                        return true;
        for (const struct account *at = account; at; at = at->parent)
                if (at == around)
                        return true;
        return false;
}

/* By how much less is kept for the part around @account just below @common (NULL: the host) when
 * @account has @wanted more of an axis? *sharep: the innermost account for which it is all that. */
static uint64_t taken_from_kept(const struct account *account, const struct account *common,
                                unsigned kind, unsigned i, uint64_t wanted,
                                const struct account **sharep) {
        uint64_t less = 0;

        *sharep = NULL;
        for (const struct account *at = account; at != common; at = at->parent) {
                uint64_t own = kind == KEPT_FIRM && at->lends
                                       ? 0
                                       : at->guarantee.amount[demand_resource(i)];
                uint64_t now = at->allocated.amount[i] + wanted;

                less = account_kept(at, kind, i, false) -
                       max_u64(over(own, now), at->kept[kind].unfilled.amount[i] - less);
                if (!*sharep && less == wanted)
                        *sharep = at;
        }
        return less;
}

/* Two claims, one of which is not to lose anything by the other. */
struct pair {
        const struct ledger *ledger;
        const struct account *account, *first;
        const struct account
                *common; /* the innermost slice that both are made in; NULL: the host */
        const struct demand *demand, *first_demand;
        unsigned kind;
};

/* Has @limit, of which @allocated is allocated and @kept for others, @wanted and @lost? */
static bool has_both(uint64_t limit, uint64_t allocated, uint64_t kept, uint64_t wanted,
                     uint64_t lost) {
        uint64_t left = over(over(limit, allocated), kept);

        return limit == LEDGER_NO_LIMIT || wanted <= over(left, lost);
}

/* Is the first left what it wants of an axis, of which it loses @lost in the slices and the pool?
 */
static bool is_left(const struct pair *pair, unsigned i, uint64_t lost) {
        const struct ledger *ledger = pair->ledger;
        uint64_t wanted = pair->first_demand->amount[i], kept = 0;
        enum resource resource = demand_resource(i);
        const struct account *at, *below = NULL;

        for (unsigned c = 0; c < pair->first->n_ceilings; c++) {
                at = pair->first->ceilings[c];
                if (share_is_inside(at, pair->account) &&
                    !has_both(at->limit.amount[resource], at->allocated.amount[i], 0, wanted,
                              pair->demand->amount[i]))
                        return false;
        }
        if (lost == 0)
                return true;
        for (at = pair->first; at; below = at, at = at->parent) {
                kept += at->kept[pair->kind].unfilled.amount[i];
                if (below)
                        kept -= account_kept(below, pair->kind, i, false);
                if (share_is_inside(at, pair->account) &&
                    !has_both(at->limit.amount[resource], at->allocated.amount[i], kept, wanted,
                              lost))
                        return false;
        }
        kept += ledger->kept[pair->kind].unfilled.amount[i] -
                (below ? account_kept(below, pair->kind, i, false) : 0);
        return !ledger->enforced[resource] ||
               has_both(ledger->effective.amount[i], ledger->allocated.amount[i], kept, wanted,
                        lost);
}

static bool has_vm(uint64_t vms, uint64_t vms_max) {
        return vms_max == LEDGER_NO_LIMIT || (vms < vms_max && vms + 1 < vms_max);
}

/* One VM more leaves the first one. */
static bool is_left_vm(const struct pair *pair) {
        const struct account *chain[ACCOUNTS_MAX];
        unsigned n = account_chain(pair->first, chain);

        for (unsigned c = 0; c < n; c++)
                if (share_is_inside(chain[c], pair->account) &&
                    !has_vm(chain[c]->vms, chain[c]->vms_max))
                        return false;
        return has_vm(pair->ledger->vms, pair->ledger->vms_max);
}

const struct account *share_of(const struct ledger *ledger, const struct account *account,
                               const struct demand *demand, const struct account *first,
                               const struct demand *first_demand, const struct shortage *shortage,
                               unsigned kind) {
        struct pair pair = {.ledger = ledger,
                            .account = account,
                            .first = first,
                            .demand = demand,
                            .first_demand = first_demand,
                            .kind = kind};
        bool names_disks = demand_names_disks(first_demand);
        unsigned axes = demand_axes(demand);
        const struct account *found = NULL;

        assert(first);
        if (shortage->is_vms || !is_left_vm(&pair))
                return NULL;
        for (pair.common = first; pair.common && !share_is_inside(pair.common, account);)
                pair.common = pair.common->parent;
        for (unsigned i = 0; i < axes; i++) {
                uint64_t wanted = demand->amount[i], lost;
                const struct account *share;

                if (wanted == 0)
                        continue;
                lost = wanted - taken_from_kept(account, pair.common, kind, i, wanted, &share);
                if (demand_resource(i) == shortage->resource && lost == 0)
                        found = share;
                if (first_demand->amount[i] == 0 || (i == RESOURCE_DISK_IO && names_disks))
                        continue;
                if (!is_left(&pair, i, lost))
                        return NULL;
        }
        return found;
}

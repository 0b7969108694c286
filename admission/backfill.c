/* SPDX-License-Identifier: MIT */
#include <admission/backfill.h>

static uint64_t over(uint64_t a, uint64_t b) {
        return a > b ? a - b : 0;
}

/* What the pool has left if @more were given back. */
static uint64_t room_of(const struct ledger *ledger, unsigned i, uint64_t more) {
        if (!ledger->enforced[demand_resource(i)])
                return LEDGER_NO_LIMIT;
        return over(ledger->effective.amount[i], over(ledger->allocated.amount[i], more));
}

/* Does @demand fit the pool if @ended were given back by @n_ended? */
static bool fits_after(const struct ledger *ledger, const struct demand *demand,
                       const struct demand *ended, uint64_t n_ended) {
        unsigned axes = demand_axes(demand);

        if (over(ledger->vms, n_ended) >= ledger->vms_max)
                return false;
        for (unsigned i = 0; i < axes; i++)
                if (demand->amount[i] > room_of(ledger, i, ended->amount[i]))
                        return false;
        return true;
}

/* The first end at which, with all ends before it, @demand fits. NULL if it never does; @ended and
 * @n_endedp are what is given back by then. */
static const struct claim *find_start(const struct ledger *ledger, const struct demand *demand,
                                      const struct tree_node *node, struct demand *ended,
                                      uint64_t *n_endedp) {
        const struct claim *found = NULL;
        struct demand before = {};
        uint64_t n_before = 0;

        while (node) {
                const struct claim *claim = claim_ending(node), *left = claim_ending(node->left);
                struct demand sum = before;
                uint64_t n = n_before + node->n_left + 1;

                for (unsigned i = 0; i < claim->axes; i++)
                        sum.amount[i] += claim->demand.amount[i];
                for (unsigned i = 0; left && i < left->ending_axes; i++)
                        sum.amount[i] += left->ending.amount[i];
                if (fits_after(ledger, demand, &sum, n)) {
                        found = claim;
                        *ended = sum;
                        *n_endedp = n;
                        node = node->left;
                } else {
                        before = sum;
                        n_before = n;
                        node = node->right;
                }
        }
        return found;
}

void backfill_init(struct backfill *backfill, const struct ledger *ledger,
                   const struct claim *first, const struct lane *lane, struct tree_node *ends,
                   uint64_t now_usec, bool harmless, bool anybody) {
        struct demand ended = {};
        const struct claim *end;
        uint64_t n_ended = 0, vms;

        *backfill = (struct backfill){
                .ledger = ledger,
                .first = first,
                .lane = lane,
                .anybody = anybody,
                .start_usec = UINT64_MAX,
                .visits = BACKFILL_VISITS_MAX,
        };
        for (unsigned i = 0; i < DEMAND_N; i++)
                backfill->room.amount[i] = room_of(ledger, i, 0);
        if (!harmless)
                return;

        end = find_start(ledger, &first->demand, ends, &ended, &n_ended);
        if (end) {
                backfill->start_usec = max_u64(end->end.key, now_usec);
                backfill->within_usec = backfill->start_usec - now_usec;
        }
        for (unsigned i = 0; i < DEMAND_N; i++) {
                uint64_t room = room_of(ledger, i, ended.amount[i]);

                backfill->spare.amount[i] =
                        room == LEDGER_NO_LIMIT ? LEDGER_NO_LIMIT
                                                : over(over(room, first->demand.amount[i]),
                                                       ledger->kept[KEPT_ALL].guaranteed.amount[i]);
        }
        vms = over(ledger->vms, n_ended);
        backfill->spare_vm = vms < ledger->vms_max && vms + 1 < ledger->vms_max;
}

static bool is_beside(const struct backfill *backfill, const struct claim *claim,
                      const struct account *account) {
        const struct account *mine[ACCOUNTS_MAX], *first[ACCOUNTS_MAX];
        unsigned n_mine, n_first, axes = demand_axes(&claim->demand);

        if (!backfill->spare_vm)
                return false;
        for (unsigned i = 0; i < axes; i++)
                if (claim->demand.amount[i] > backfill->spare.amount[i])
                        return false;
        n_mine = account_chain(account, mine);
        n_first = account_chain(backfill->lane->account, first);
        for (unsigned i = 0; i < n_mine; i++)
                for (unsigned j = 0; j < n_first; j++)
                        if (mine[i] == first[j] &&
                            !account_fits_both(mine[i], &backfill->first->demand, &claim->demand))
                                return false;
        return true;
}

bool backfill_may_pass(const struct backfill *backfill, const struct claim *claim,
                       const struct account *account) {
        if (backfill->anybody)
                return true;
        if (claim->time_usec > 0 && claim->time_usec <= backfill->within_usec)
                return true;
        return is_beside(backfill, claim, account);
}

/* Could anybody pass who wants at least these amounts, and that long? The sum over the disks is no
 * limit to who names his. */
static bool worth(const struct backfill *backfill, const uint64_t amount[_RESOURCE_N],
                  uint64_t time_usec) {
        bool beside = true;

        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                if (i == RESOURCE_DISK_IO)
                        continue;
                if (amount[i] > backfill->room.amount[i])
                        return false;
                beside &= amount[i] <= backfill->spare.amount[i];
        }
        return backfill->anybody || beside || time_usec <= backfill->within_usec;
}

static struct claim *search(struct backfill *backfill, struct tree_node *node,
                            const struct claim *after) {
        struct claim *claim = claim_at(node), *found;

        if (!claim || backfill->visits == 0)
                return NULL;
        backfill->visits--;
        if (!worth(backfill, claim->least.amount, claim->least.time_usec))
                return NULL;
        if (tree_before(&after->place, node)) {
                found = search(backfill, node->left, after);
                if (found)
                        return found;
                if (worth(backfill, claim->demand.amount, claim->time_usec ?: UINT64_MAX) &&
                    backfill_may_pass(backfill, claim, claim->lane->account))
                        return claim;
        }
        return search(backfill, node->right, after);
}

struct claim *backfill_next(struct backfill *backfill, struct tree_node *claims,
                            const struct claim *after) {
        return search(backfill, claims, after);
}

/* SPDX-License-Identifier: MIT */
#include <admission/account.h>

static uint64_t over(uint64_t a, uint64_t b) {
        return a > b ? a - b : 0;
}

bool account_place(struct account *account, struct account *parent) {
        unsigned depth = 1;

        assert(account->vms == 0 && demand_is_zero(&account->guarantee));
        for (const struct account *above = parent; above; above = above->parent) {
                assert(above != account);
                if (++depth > ACCOUNT_DEPTH_MAX)
                        return false;
        }
        account->parent = parent;
        return true;
}

bool account_add_ceiling(struct account *account, struct account *ceiling) {
        assert(account->vms == 0);
        if (account->n_ceilings == ACCOUNT_CEILINGS_MAX)
                return false;
        account->ceilings[account->n_ceilings++] = ceiling;
        return true;
}

unsigned account_chain(const struct account *account, const struct account *chain[ACCOUNTS_MAX]) {
        unsigned n = 0;

        for (unsigned c = 0; c < account->n_ceilings; c++)
                chain[n++] = account->ceilings[c];
        for (const struct account *at = account; at; at = at->parent)
                chain[n++] = at;
        return n;
}

const struct account *account_queue_full(const struct account *account) {
        const struct account *chain[ACCOUNTS_MAX];
        unsigned n = account_chain(account, chain);

        for (unsigned i = 0; i < n; i++)
                if (chain[i]->queued >= chain[i]->queued_max)
                        return chain[i];
        return NULL;
}

/* What is kept inside is kept from both: allocated and kept together only get less when VMs end. */
bool account_fits_both(const struct account *account, const struct demand *a,
                       const struct demand *b) {
        unsigned axes = demand_axes(b);

        if (account->vms_max < 2 || account->vms > account->vms_max - 2)
                return false;
        for (unsigned i = 0; i < axes; i++) {
                uint64_t limit = account->limit.amount[demand_resource(i)], left;

                if (limit == LEDGER_NO_LIMIT)
                        continue;
                left = over(over(limit, account->allocated.amount[i]),
                            account->kept[KEPT_ALL].unfilled.amount[i]);
                if (b->amount[i] > over(left, a->amount[i]))
                        return false;
        }
        return true;
}

uint64_t account_kept(const struct account *account, unsigned kind, unsigned i, bool never) {
        const struct kept *kept = &account->kept[kind];
        uint64_t own = kind == KEPT_FIRM && account->lends
                               ? 0
                               : account->guarantee.amount[demand_resource(i)];

        return never ? max_u64(own, kept->guaranteed.amount[i])
                     : max_u64(over(own, account->allocated.amount[i]), kept->unfilled.amount[i]);
}

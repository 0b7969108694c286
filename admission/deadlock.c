/* SPDX-License-Identifier: MIT */
#include <admission/claim.h>
#include <admission/deadlock.h>

void owners_init(struct owners *owners) {
        TAILQ_INIT(&owners->list);
}

void owner_init(struct owner *owner) {
        *owner = (struct owner){};
        TAILQ_INIT(&owner->held);
        TAILQ_INIT(&owner->waiting);
}

static void owner_list(struct owners *owners, struct owner *owner) {
        bool both = !TAILQ_EMPTY(&owner->held) && !TAILQ_EMPTY(&owner->waiting);

        if (both == owner->listed)
                return;
        owner->listed = both;
        owner->stuck = false;
        if (both)
                TAILQ_INSERT_TAIL(&owners->list, owner, link);
        else
                TAILQ_REMOVE(&owners->list, owner, link);
}

void owner_add(struct owners *owners, struct owner *owner, struct owned *owned,
               const struct account *account, const struct demand *demand, bool waits) {
        assert(!owned->owner);
        *owned = (struct owned){
                .owner = owner, .waits = waits, .account = account, .demand = demand};
        if (waits)
                TAILQ_INSERT_TAIL(&owner->waiting, owned, link);
        else
                TAILQ_INSERT_TAIL(&owner->held, owned, link);
        owner_list(owners, owner);
}

void owner_remove(struct owners *owners, struct owned *owned) {
        struct owner *owner = take(owned->owner);

        if (!owner)
                return;
        if (owned->waits)
                TAILQ_REMOVE(&owner->waiting, owned, link);
        else
                TAILQ_REMOVE(&owner->held, owned, link);
        owner_list(owners, owner);
}

/* What the owners under suspicion hold, of the host. */
struct held {
        struct demand sum;
        uint64_t vms;
};

/* One account's, or the host's, sum changes by what is held. All of it is charged to the ledger,
 * whose sums do not overflow. */
static void change(struct demand *sum, uint64_t *vmsp, const struct demand *demand, bool more) {
        for (unsigned i = 0; i < DEMAND_N; i++)
                sum->amount[i] += more ? demand->amount[i] : -demand->amount[i];
        *vmsp += more ? 1 : UINT64_MAX;
}

static void hold(struct held *held, const struct owned *owned, bool more) {
        const struct account *chain[ACCOUNTS_MAX];
        unsigned n = account_chain(owned->account, chain);

        for (unsigned i = 0; i < n; i++) {
                struct account *account = (struct account *)chain[i];

                change(&account->stuck, &account->stuck_vms, owned->demand, more);
        }
        change(&held->sum, &held->vms, owned->demand, more);
}

static void forget(const struct owned *owned) {
        const struct account *chain[ACCOUNTS_MAX];
        unsigned n = account_chain(owned->account, chain);

        for (unsigned i = 0; i < n; i++) {
                struct account *account = (struct account *)chain[i];

                account->stuck = (struct demand){};
                account->stuck_vms = 0;
        }
}

/* Has @account room for @demand beside what is held of it? */
static bool fits_account(const struct account *account, const struct demand *demand) {
        bool disks = demand_names_disks(demand);

        if (account->stuck_vms >= account->vms_max)
                return false;
        for (unsigned i = 0; i < DEMAND_N; i++) {
                uint64_t wanted = demand->amount[i], stuck = account->stuck.amount[i];
                uint64_t limit = account->limit.amount[demand_resource(i)];

                if (wanted == 0 || (disks && i == RESOURCE_DISK_IO) || limit == LEDGER_NO_LIMIT)
                        continue;
                if (stuck > limit || wanted > limit - stuck)
                        return false;
        }
        return true;
}

static bool fits(const struct ledger *ledger, const struct held *held, const struct owned *owned) {
        const struct account *chain[ACCOUNTS_MAX];
        unsigned n = account_chain(owned->account, chain);
        bool disks = demand_names_disks(owned->demand);

        if (held->vms >= ledger->vms_max)
                return false;
        for (unsigned i = 0; i < DEMAND_N; i++) {
                uint64_t wanted = owned->demand->amount[i];

                if (wanted == 0 || (disks && i == RESOURCE_DISK_IO))
                        continue;
                if (ledger->enforced[demand_resource(i)] &&
                    (held->sum.amount[i] > ledger->effective.amount[i] ||
                     wanted > ledger->effective.amount[i] - held->sum.amount[i]))
                        return false;
        }
        for (unsigned c = 0; c < n; c++)
                if (!fits_account(chain[c], owned->demand))
                        return false;
        return true;
}

static bool has_limits(const struct account *account) {
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                if (account->limit.amount[i] != LEDGER_NO_LIMIT)
                        return true;
        return account->vms_max != LEDGER_NO_LIMIT;
}

/* Does a claim in @account wait behind one in @before that is placed before it, whichever account
 * that one waits for? It waits for none that has no limits. */
static bool follows(const struct account *account, const struct account *before) {
        const struct account *mine[ACCOUNTS_MAX], *theirs[ACCOUNTS_MAX];
        unsigned n_mine = account_chain(account, mine), n_theirs = account_chain(before, theirs);

        for (unsigned i = 0; i < n_theirs; i++) {
                bool common = !has_limits(theirs[i]);

                for (unsigned j = 0; j < n_mine && !common; j++)
                        common = mine[j] == theirs[i];
                if (!common)
                        return false;
        }
        return true;
}

/* Is one before @owned that waits for an account of which too much is held? */
static bool is_behind(const struct owned *owned) {
        const struct account *chain[ACCOUNTS_MAX];
        unsigned n = account_chain(owned->account, chain);

        for (unsigned i = 0; owned->place && i < n; i++) {
                const struct tree_node *link = tree_first(chain[i]->waiting);
                const struct lane *lane;

                if (!link || !tree_before(link, owned->place))
                        continue;
                lane = container_of(link, struct lane, link);
                if (!fits_account(chain[i], &lane->head->demand) &&
                    follows(owned->account, lane->account))
                        return true;
        }
        return false;
}

/* May it have something kept for it, of which the first of all takes nothing? */
static bool has_share(const struct owned *owned) {
        for (const struct account *at = owned->account; at; at = at->parent)
                if (!demand_is_zero(&at->guarantee))
                        return true;
        return false;
}

/* What of the order holds claims back; nothing of it: what they want alone. */
struct order {
        bool strict;
        const struct owned *first;
};

/* Looks once at each that is still suspected. True: some can go on, and are not any more. */
static bool let_go(struct owners *owners, const struct ledger *ledger, struct held *held,
                   const struct order *order, unsigned *looksp) {
        bool held_back = order->first && !fits(ledger, held, order->first);
        const struct owned *owned;
        struct owner *owner;
        bool any = false;

        TAILQ_FOREACH(owner, &owners->list, link) {
                bool goes = false;

                if (!owner->stuck)
                        continue;
                TAILQ_FOREACH(owned, &owner->waiting, link) {
                        if (*looksp == 0)
                                return any;
                        (*looksp)--;
                        goes = (!held_back || has_share(owned)) && fits(ledger, held, owned) &&
                               !(order->strict && is_behind(owned));
                        if (goes)
                                break;
                }
                if (!goes)
                        continue;
                owner->stuck = false;
                any = true;
                TAILQ_FOREACH(owned, &owner->held, link)
                        hold(held, owned, false);
        }
        return any;
}

/* Marks all, and charges what they hold. */
static void suspect(struct owners *owners, struct held *held) {
        const struct owned *owned;
        struct owner *owner;

        TAILQ_FOREACH(owner, &owners->list, link) {
                owner->stuck = true;
                TAILQ_FOREACH(owned, &owner->held, link)
                        forget(owned);
                TAILQ_FOREACH(owned, &owner->waiting, link)
                        forget(owned);
        }
        TAILQ_FOREACH(owner, &owners->list, link)
                TAILQ_FOREACH(owned, &owner->held, link)
                        hold(held, owned, true);
}

/* Are there any whose marks are left, when all that can go have gone? Of a long list it is not
 * known. */
static bool is_circle(struct owners *owners, const struct ledger *ledger, const struct order *order,
                      const struct owner *asking) {
        unsigned looks = DEADLOCK_LOOKS_MAX;
        struct held held = {};
        struct owner *owner;

        suspect(owners, &held);
        while ((!asking || asking->stuck) && looks > 0)
                if (!let_go(owners, ledger, &held, order, &looks))
                        break;
        if (looks == 0 || asking)
                return looks > 0 && asking->stuck;
        TAILQ_FOREACH(owner, &owners->list, link)
                if (owner->stuck)
                        return true;
        return false;
}

static int find(struct owners *owners, const struct ledger *ledger, const struct owned *first,
                const struct owner *asking) {
        const struct order none = {}, order = {.strict = owners->strict, .first = first};

        if (TAILQ_EMPTY(&owners->list))
                return 0;
        if (is_circle(owners, ledger, &none, asking))
                return DEADLOCK_E_STUCK;
        if (!first && !owners->strict)
                return 0;
        if (first)
                forget(first);
        return is_circle(owners, ledger, &order, asking) ? DEADLOCK_E_BEHIND : 0;
}

int deadlock_check(struct owners *owners, const struct ledger *ledger, const struct owned *first,
                   const struct owner *asking) {
        return asking->listed ? find(owners, ledger, first, asking) : 0;
}

int deadlock_find(struct owners *owners, const struct ledger *ledger, const struct owned *first) {
        return find(owners, ledger, first, NULL);
}

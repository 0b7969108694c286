/* SPDX-License-Identifier: MIT */
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

static bool fits(const struct ledger *ledger, const struct held *held, const struct owned *owned) {
        const struct account *chain[ACCOUNTS_MAX];
        unsigned n = account_chain(owned->account, chain);
        bool disks = demand_names_disks(owned->demand);

        if (held->vms >= ledger->vms_max)
                return false;
        for (unsigned c = 0; c < n; c++)
                if (chain[c]->stuck_vms >= chain[c]->vms_max)
                        return false;
        for (unsigned i = 0; i < DEMAND_N; i++) {
                uint64_t wanted = owned->demand->amount[i];

                if (wanted == 0 || (disks && i == RESOURCE_DISK_IO))
                        continue;
                if (ledger->enforced[demand_resource(i)] &&
                    (held->sum.amount[i] > ledger->effective.amount[i] ||
                     wanted > ledger->effective.amount[i] - held->sum.amount[i]))
                        return false;
                for (unsigned c = 0; c < n; c++) {
                        uint64_t limit = chain[c]->limit.amount[demand_resource(i)];
                        uint64_t stuck = chain[c]->stuck.amount[i];

                        if (limit != LEDGER_NO_LIMIT && (stuck > limit || wanted > limit - stuck))
                                return false;
                }
        }
        return true;
}

/* Looks once at each that is still suspected. True: some can go on, and are not any more. */
static bool let_go(struct owners *owners, const struct ledger *ledger, struct held *held,
                   unsigned *looksp) {
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
                        goes = fits(ledger, held, owned);
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
static bool is_circle(struct owners *owners, const struct ledger *ledger, struct held *held,
                      const struct owner *asking) {
        unsigned looks = DEADLOCK_LOOKS_MAX;
        struct owner *owner;

        while ((!asking || asking->stuck) && looks > 0)
                if (!let_go(owners, ledger, held, &looks))
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
        struct held held = {};
        struct owner *owner;
        bool behind;

        if (TAILQ_EMPTY(&owners->list))
                return 0;
        if (first)
                forget(first);
        suspect(owners, &held);
        behind = first && !fits(ledger, &held, first);
        if (is_circle(owners, ledger, &held, asking))
                return DEADLOCK_E_STUCK;
        if (!behind)
                return 0;
        TAILQ_FOREACH(owner, &owners->list, link)
                owner->stuck = true;
        return DEADLOCK_E_BEHIND;
}

int deadlock_check(struct owners *owners, const struct ledger *ledger, const struct owned *first,
                   const struct owner *asking) {
        return asking->listed ? find(owners, ledger, first, asking) : 0;
}

int deadlock_find(struct owners *owners, const struct ledger *ledger, const struct owned *first) {
        return find(owners, ledger, first, NULL);
}

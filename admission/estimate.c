/* SPDX-License-Identifier: MIT */
#include <admission/estimate.h>

/* The copy of @account, and of all that is charged with it. NULL: there are too many. */
static struct account *copy_account(struct estimate *estimate, struct account *account) {
        size_t at = estimate->n_accounts;
        struct account *copy;

        if (account->copy)
                return account->copy;
        if (at == ESTIMATE_ACCOUNTS_MAX)
                return NULL;
        estimate->n_accounts++;
        estimate->originals[at] = account;
        copy = &estimate->accounts[at];
        *copy = *account;
        copy->waiting = NULL;
        copy->stirred = false;
        copy->queued = 0;
        lane_init(&estimate->lanes[at], copy);
        account->copy = copy;
        if (account->parent) {
                copy->parent = copy_account(estimate, account->parent);
                if (!copy->parent)
                        return NULL;
        }
        for (unsigned c = 0; c < account->n_ceilings; c++) {
                copy->ceilings[c] = copy_account(estimate, account->ceilings[c]);
                if (!copy->ceilings[c])
                        return NULL;
        }
        return copy;
}

static struct lane *lane_of(struct estimate *estimate, const struct claim *claim) {
        struct account *account = estimate->charged[claim - estimate->claims];

        return &estimate->lanes[account - estimate->accounts];
}

static struct claim *add(struct estimate *estimate, const struct account *account,
                         const struct demand *demand) {
        struct account *copy = copy_account(estimate, (struct account *)account);
        struct claim *claim;

        if (!copy || estimate->n_claims == ESTIMATE_CLAIMS_MAX)
                return NULL;
        estimate->charged[estimate->n_claims] = copy;
        claim = &estimate->claims[estimate->n_claims++];
        *claim = (struct claim){.demand = *demand};
        return claim;
}

static struct claim *add_waiting(struct estimate *estimate, const struct account *account,
                                 const struct claim *original) {
        struct claim *claim = add(estimate, account, &original->demand);

        if (!claim)
                return NULL;
        claim->order = original->order;
        claim->priority = original->priority;
        claim->time_usec = original->time_usec;
        claim->ends = original->ends;
        queue_insert(&estimate->queue, lane_of(estimate, claim), claim);
        return claim;
}

/* Who should have left stays, and is counted on by backfill all the same, as it really is. */
static bool add_holders(struct estimate *estimate, const struct estimate_holder *holders,
                        size_t n) {
        for (size_t i = 0; i < n; i++) {
                struct claim *claim = add(estimate, holders[i].account, holders[i].demand);

                if (!claim)
                        return false;
                claim->order = holders[i].order;
                queue_hold(&estimate->queue, claim, holders[i].until_usec);
        }
        return true;
}

/* Where the lanes that were copied wait, and who is to be looked at. */
static void lay_lanes(struct estimate *estimate, const struct queue *queue) {
        const struct claim *claim;

        TAILQ_FOREACH(claim, &queue->claims, all) {
                const struct lane *lane = claim->lane;
                struct account *copy = lane->account->copy;

                if (lane->head == claim && copy)
                        queue_lay_lane(&estimate->queue,
                                       &estimate->lanes[copy - estimate->accounts],
                                       lane->parked ? lane->parked->copy : NULL,
                                       lane->woken ? lane->woken->copy : NULL);
        }
        for (size_t i = 0; i < estimate->n_accounts; i++) {
                struct account *copy = &estimate->accounts[i];

                copy->stirred = estimate->originals[i]->stirred && copy->waiting;
                if (copy->stirred)
                        LIST_INSERT_HEAD(&estimate->ledger.stirred, copy, stirred_link);
        }
}

/* All who wait, and @wanted, the copy of which is returned. Those behind it are left out if they
 * are too many; NULL: those before it are. */
static struct claim *add_queue(struct estimate *estimate, const struct queue *queue,
                               const struct lane *lane, const struct claim *wanted) {
        struct claim *found = NULL, *newest = NULL, *copy;
        const struct claim *claim;

        TAILQ_FOREACH(claim, &queue->claims, all) {
                copy = add_waiting(estimate, claim->lane->account, claim);
                if (!copy)
                        break;
                if (claim == wanted)
                        found = copy;
                if (claim == queue->newest)
                        newest = copy;
        }
        lay_lanes(estimate, queue);
        /* One that arrives now is behind all. */
        if (!wanted->lane)
                return claim ? NULL : add_waiting(estimate, lane->account, wanted);
        estimate->queue.newest = newest;
        return found;
}

static void copy_books(struct estimate *estimate, const struct queue *queue,
                       const struct ledger *ledger) {
        estimate->n_claims = estimate->n_accounts = 0;
        estimate->ledger = *ledger;
        LIST_INIT(&estimate->ledger.stirred);
        queue_init(&estimate->queue);
        queue_set_rules(&estimate->queue, &queue->rules);
        queue_tell_time(&estimate->queue, queue->now_usec);
        estimate->queue.seen_changes = queue->seen_changes;
        if (!queue->gates)
                return;
        gates_init(&estimate->gates);
        estimate->gates.rules.cpu_milli_max = queue->gates->rules.cpu_milli_max;
        estimate->queue.gates = &estimate->gates;
}

/* Takes @n of what is left. */
static bool spend(unsigned *leftp, unsigned n) {
        if (*leftp < n)
                return false;
        *leftp -= n;
        return true;
}

static int play(struct estimate *estimate, const struct claim *wanted, uint64_t *startp) {
        const struct tree_node began = {.key = estimate->queue.now_usec, .order = UINT64_MAX};
        struct queue *queue = &estimate->queue;
        bool passing = queue->rules.backfill || queue->rules.pass_for_usec > 0, never;
        unsigned left = ESTIMATE_STEPS_MAX, cost = passing ? ESTIMATE_PASSING_STEPS : 1;
        struct claim *claim;

        for (;;) {
                while ((claim = queue_next(queue, &estimate->ledger, &never))) {
                        *startp = queue->now_usec;
                        if (claim == wanted)
                                return never ? ESTIMATE_E_NEVER : 0;
                        if (!spend(&left, cost))
                                return ESTIMATE_E_LATER;
                }
                claim = claim_ending(tree_next(queue->ends, &began));
                if (!claim)
                        return ESTIMATE_E_OPEN;
                *startp = claim->end.key;
                if (!spend(&left, cost))
                        return ESTIMATE_E_LATER;
                queue_tell_time(queue, claim->end.key);
                queue_release(queue, claim);
                ledger_return(&estimate->ledger, estimate->charged[claim - estimate->claims],
                              &claim->demand);
        }
}

int estimate_start(struct estimate *estimate, const struct queue *queue,
                   const struct ledger *ledger, const struct lane *lane, const struct claim *claim,
                   const struct estimate_holder *holders, size_t n_holders, uint64_t *startp) {
        int r = ESTIMATE_E_LONG;
        struct shortage shortage;
        struct claim *wanted;
        uint64_t start = 0;

        copy_books(estimate, queue, ledger);
        if (queue_check_claim(&estimate->queue, ledger, lane, claim, &shortage) == LEDGER_E_NEVER)
                return ESTIMATE_E_NEVER;
        if (add_holders(estimate, holders, n_holders)) {
                wanted = add_queue(estimate, queue, lane, claim);
                if (wanted)
                        r = play(estimate, wanted, &start);
        }
        for (size_t i = 0; i < estimate->n_accounts; i++)
                estimate->originals[i]->copy = NULL;
        if (r == 0 || r == ESTIMATE_E_LATER)
                *startp = start;
        return r;
}

/* SPDX-License-Identifier: MIT */
#include <admission/backfill.h>
#include <admission/queue.h>
#include <admission/share.h>

/* From the bottom up: lanes and where they are parked, claims and their places, gates, the
 * decision, and the question for it, which has to answer the same and so stands beside it. */

void queue_init(struct queue *queue) {
        *queue = (struct queue){};
        TAILQ_INIT(&queue->claims);
        TAILQ_INIT(&queue->parked);
}

void lane_init(struct lane *lane, struct account *account) {
        *lane = (struct lane){.account = account};
}

void queue_tell_time(struct queue *queue, uint64_t now_usec) {
        queue->now_usec = now_usec;
}

static struct lane *lane_at(struct tree_node *link) {
        return link ? container_of(link, struct lane, link) : NULL;
}

static void lane_unlist(struct queue *queue, struct lane *lane) {
        struct account *account = take(lane->parked);

        if (!lane->listed)
                return;
        lane->listed = false;
        if (!account) {
                tree_remove(&queue->ready, &lane->link, NULL);
                return;
        }
        tree_remove(&account->waiting, &lane->link, NULL);
        TAILQ_REMOVE(&queue->parked, lane, parked_link);
        if (!account->waiting && account->stirred) {
                LIST_REMOVE(account, stirred_link);
                account->stirred = false;
        }
}

static void lane_list(struct queue *queue, struct lane *lane, struct account *parked) {
        const struct claim *head = lane->head;

        lane->link.key = head->place.key;
        lane->link.order = head->place.order;
        lane->listed = true;
        lane->parked = parked;
        tree_insert(parked ? &parked->waiting : &queue->ready, &lane->link, NULL);
        if (parked)
                TAILQ_INSERT_TAIL(&queue->parked, lane, parked_link);
}

/* The first that waits for @account is to be looked at. */
static void account_wake(struct queue *queue, struct account *account) {
        struct lane *lane = lane_at(tree_first(account->waiting));

        if (!lane)
                return;
        lane_unlist(queue, lane);
        lane->woken = account;
        lane_list(queue, lane, NULL);
}

/* It is known what became of @lane, which was woken: if it is not the first any more where it was,
 * whoever is now is to be looked at. */
static void lane_settle(struct queue *queue, struct lane *lane) {
        struct account *account = take(lane->woken);

        if (account && tree_first(account->waiting) != &lane->link)
                account_wake(queue, account);
}

static void lane_park(struct queue *queue, struct lane *lane, struct account *account) {
        lane_unlist(queue, lane);
        lane_list(queue, lane, account);
        lane_settle(queue, lane);
}

void queue_lay_lane(struct queue *queue, struct lane *lane, struct account *parked,
                    struct account *woken) {
        if (!lane->claims)
                return;
        lane_unlist(queue, lane);
        lane_list(queue, lane, parked);
        lane->woken = woken;
}

/* The lane's head is another one: it is to be looked at, and so is who stood behind the old one. */
static void lane_renew(struct queue *queue, struct lane *lane) {
        struct account *account = lane->parked;
        bool first = account && tree_first(account->waiting) == &lane->link;

        lane_unlist(queue, lane);
        if (lane->claims)
                lane_list(queue, lane, NULL);
        if (first)
                account_wake(queue, account);
        lane_settle(queue, lane);
}

/* @claim, which was the first of all, is it no more, or wants something else: who left it room in
 * the accounts around it is to be looked at. */
static void release_room(struct queue *queue, const struct claim *claim) {
        const struct account *chain[ACCOUNTS_MAX];
        unsigned n;

        if (TAILQ_FIRST(&queue->claims) != claim || TAILQ_EMPTY(&queue->parked))
                return;
        n = account_chain(claim->lane->account, chain);
        for (unsigned i = 0; i < n; i++)
                account_wake(queue, (struct account *)chain[i]);
}

/* The least of each part of the set is for those only who look for somebody that may pass. */
static tree_update update_places(const struct queue *queue) {
        return queue->rules.backfill || queue->rules.pass_for_usec > 0 ? claim_update_least : NULL;
}

/* Into the list of all, next to the one before it. */
static void list_claim(struct queue *queue, const struct lane *lane, struct claim *claim) {
        struct claim *last = TAILQ_LAST(&queue->claims, claim_list);

        if (last && !tree_before(&last->place, &claim->place))
                last = claim_at(tree_previous_of_two(queue->places, &claim->place, lane->claims,
                                                     &claim->in_lane));
        if (last) {
                TAILQ_INSERT_AFTER(&queue->claims, last, claim, all);
                return;
        }
        if (!TAILQ_EMPTY(&queue->claims))
                release_room(queue, TAILQ_FIRST(&queue->claims));
        TAILQ_INSERT_HEAD(&queue->claims, claim, all);
}

static void count_queued(struct lane *lane, bool more) {
        uint64_t difference = more ? 1 : UINT64_MAX;

        for (unsigned c = 0; c < lane->account->n_ceilings; c++)
                lane->account->ceilings[c]->queued += difference;
        for (struct account *at = lane->account; at; at = at->parent)
                at->queued += difference;
}

void queue_insert(struct queue *queue, struct lane *lane, struct claim *claim) {
        assert(!claim->lane && !claim->held);

        claim->place.key = claim_key(claim, queue->rules.age_step_ns);
        claim->place.order = claim->order;
        claim->in_lane.key = claim->place.key;
        claim->in_lane.order = claim->place.order;
        list_claim(queue, lane, claim);
        tree_insert(&queue->places, &claim->place, update_places(queue));
        tree_insert(&lane->claims, &claim->in_lane, NULL);
        claim->lane = lane;
        claim->reason = WAIT_QUEUED;
        lane->n++;
        queue->n++;
        queue->newest = claim;
        count_queued(lane, true);
        if (!lane->head || tree_before(&claim->in_lane, &lane->head->in_lane)) {
                lane->head = claim;
                lane_renew(queue, lane);
        }
}

void queue_remove(struct queue *queue, struct claim *claim) {
        struct lane *lane = claim->lane;
        bool was_head;

        if (!lane)
                return;
        assert(lane->n > 0 && queue->n > 0);

        was_head = lane->head == claim;
        release_room(queue, claim);
        TAILQ_REMOVE(&queue->claims, claim, all);
        tree_remove(&queue->places, &claim->place, update_places(queue));
        tree_remove(&lane->claims, &claim->in_lane, NULL);
        claim->lane = NULL;
        lane->n--;
        queue->n--;
        if (queue->newest == claim)
                queue->newest = NULL;
        count_queued(lane, false);
        if (was_head) {
                lane->head = claim_in_lane(tree_first(lane->claims));
                lane_renew(queue, lane);
        }
}

void queue_changed(struct queue *queue, struct claim *claim) {
        claim->axes = (uint8_t)demand_axes(&claim->demand);
        if (claim->held)
                tree_refresh(queue->ends, &claim->end, claim_update_ending);
        if (!claim->lane)
                return;
        tree_refresh(queue->places, &claim->place, update_places(queue));
        release_room(queue, claim);
        if (claim->lane->head == claim)
                lane_renew(queue, claim->lane);
}

void queue_set_rules(struct queue *queue, const struct order_rules *rules) {
        struct claim_list claims;
        struct claim *claim;

        if (rules->age_step_ns == queue->rules.age_step_ns &&
            rules->backfill == queue->rules.backfill &&
            rules->pass_for_usec == queue->rules.pass_for_usec)
                return;
        TAILQ_INIT(&claims);
        while ((claim = TAILQ_FIRST(&queue->claims))) {
                struct lane *lane = claim->lane;

                queue_remove(queue, claim);
                claim->lane = lane;
                TAILQ_INSERT_TAIL(&claims, claim, all);
        }
        queue->rules = *rules;
        while ((claim = TAILQ_FIRST(&claims))) {
                TAILQ_REMOVE(&claims, claim, all);
                queue_insert(queue, take(claim->lane), claim);
        }
}

void queue_hold(struct queue *queue, struct claim *claim, uint64_t ends_usec) {
        assert(!claim->held && !claim->lane);
        claim->held = true;
        claim->axes = (uint8_t)demand_axes(&claim->demand);
        claim->end.key = ends_usec;
        claim->end.order = claim->order;
        tree_insert(&queue->ends, &claim->end, claim_update_ending);
}

void queue_release(struct queue *queue, struct claim *claim) {
        if (!claim->held)
                return;
        claim->held = false;
        tree_remove(&queue->ends, &claim->end, claim_update_ending);
}

/* Does a gate hold back everything? 0 or QUEUE_E_*. */
static int check_gates(const struct queue *queue) {
        switch (queue->gates ? gates_check(queue->gates) : GATES_OPEN) {
        case GATES_DRAINING:
                return QUEUE_E_DRAINING;
        case GATES_PRESSURE:
                return QUEUE_E_PRESSURE;
        case GATES_OPEN:
        case GATES_MEMORY:
        case GATES_CPUS:
        case GATES_TOO_LARGE:
                break;
        }
        return 0;
}

/* Does one hold back this claim, which would fit? 0, QUEUE_E_MEMORY, LEDGER_E_*. */
static int check_gates_claim(const struct queue *queue, const struct ledger *ledger,
                             const struct demand *demand, struct shortage *shortage) {
        switch (queue->gates ? gates_check_claim(queue->gates, ledger, demand, shortage)
                             : GATES_OPEN) {
        case GATES_MEMORY:
                return QUEUE_E_MEMORY;
        case GATES_CPUS:
                return LEDGER_E_POOL_FULL;
        case GATES_TOO_LARGE:
                return LEDGER_E_NEVER;
        case GATES_OPEN:
        case GATES_DRAINING:
        case GATES_PRESSURE:
                break;
        }
        return 0;
}

/* The books and then the gates; but what a gate can never let pass does not wait for the books.
 * *gatedp: it is a gate that answers. */
static int check_claim(const struct queue *queue, const struct ledger *ledger,
                       const struct account *account, const struct claim *claim,
                       struct shortage *shortage, bool *gatedp) {
        struct shortage of_gate;
        int r, gate;

        *gatedp = false;
        r = ledger_check_for(ledger, account, &claim->demand, claim_borrows_usec(claim), shortage);
        if (r == LEDGER_E_NEVER)
                return r;
        gate = check_gates_claim(queue, ledger, &claim->demand, &of_gate);
        if (gate == 0 || (r && gate != LEDGER_E_NEVER))
                return r;
        *gatedp = true;
        *shortage = of_gate;
        return gate;
}

enum wait_reason queue_reason(int answer) {
        switch (answer) {
        case LEDGER_E_POOL_FULL:
                return WAIT_POOL_FULL;
        case LEDGER_E_SLICE_FULL:
                return WAIT_SLICE_FULL;
        case LEDGER_E_USER_FULL:
                return WAIT_USER_QUOTA;
        case QUEUE_E_BEHIND:
                return WAIT_QUEUED;
        case QUEUE_E_MEMORY:
                return WAIT_MEMORY_AVAILABLE;
        case QUEUE_E_PRESSURE:
                return WAIT_PSI_PRESSURE;
        case QUEUE_E_DRAINING:
                return WAIT_DRAINING;
        default:
                return WAIT_NONE;
        }
}

/*
 * The account, of those that a claim in @account is charged to, for which one waits that is placed
 * before @place, or in which room is left for the first of all. NULL if there is none.
 */
static struct account *behind_at(const struct queue *queue, const struct account *account,
                                 const struct tree_node *place, const struct demand *demand) {
        const struct account *chain[ACCOUNTS_MAX], *others[ACCOUNTS_MAX];
        const struct claim *first = TAILQ_FIRST(&queue->claims);
        unsigned n = account_chain(account, chain), n_others = 0;

        if (first && first->lane->parked && tree_before(&first->place, place))
                n_others = account_chain(first->lane->account, others);
        for (unsigned i = 0; i < n; i++) {
                const struct tree_node *waiting = tree_first(chain[i]->waiting);

                if (waiting && tree_before(waiting, place))
                        return (struct account *)chain[i];
                for (unsigned j = 0; j < n_others; j++)
                        if (chain[i] == others[j] &&
                            !account_fits_both(chain[i], &first->demand, demand))
                                return (struct account *)chain[i];
        }
        return NULL;
}

/* What has happened to the books since the last decision. */
static void hear_changes(struct queue *queue, struct ledger *ledger) {
        struct account *account;
        struct lane *lane;

        if (queue->seen_changes != ledger->changes) {
                queue->seen_changes = ledger->changes;
                while ((lane = TAILQ_FIRST(&queue->parked))) {
                        lane_unlist(queue, lane);
                        lane_list(queue, lane, NULL);
                }
        }
        while ((account = LIST_FIRST(&ledger->stirred))) {
                LIST_REMOVE(account, stirred_link);
                account->stirred = false;
                account_wake(queue, account);
        }
}

/*
 * Has a claim of @demand in @account, placed at @place, a share of its own, so that to let it start
 * takes nothing from @first, which waits for the pool for want of @shortage? It is still behind
 * those before it who could have that share. Lanes before it are looked at, as far as it is
 * bounded.
 */
static bool is_entitled(const struct queue *queue, const struct ledger *ledger,
                        const struct claim *first, const struct shortage *shortage,
                        const struct account *account, const struct tree_node *place,
                        const struct demand *demand) {
        uint64_t borrows_usec = claim_borrows_usec(first);
        unsigned kind =
                borrows_usec > 0 && borrows_usec <= ledger->lend_usec ? KEPT_FIRM : KEPT_ALL;
        const struct tree_node *link = &first->lane->link;
        const struct account *share;

        share = share_of(ledger, account, demand, first->lane->account, &first->demand, shortage,
                         kind);
        if (!share || behind_at(queue, account, place, demand))
                return false;
        for (unsigned looks = 0; link && tree_before(link, place); looks++) {
                const struct lane *before = container_of(link, struct lane, link);

                if (looks == QUEUE_ENTITLED_MAX || share_is_inside(share, before->account) ||
                    (before->woken && share_is_inside(before->woken, account)))
                        return false;
                link = tree_next(queue->ready, link);
        }
        return true;
}

/* The first that has a share of its own, and does not have to wait for @first. */
static struct claim *find_entitled(const struct queue *queue, const struct ledger *ledger,
                                   const struct claim *first) {
        struct tree_node *link = &first->lane->link;
        bool gated;

        if (demand_is_zero(&ledger->promised))
                return NULL;
        for (unsigned looks = 0; looks < QUEUE_ENTITLED_MAX; looks++) {
                struct claim *claim;

                link = tree_next(queue->ready, link);
                if (!link)
                        return NULL;
                claim = lane_at(link)->head;
                if (is_entitled(queue, ledger, first, &first->shortage, claim->lane->account,
                                &claim->place, &claim->demand) &&
                    check_claim(queue, ledger, claim->lane->account, claim, &claim->shortage,
                                &gated) == 0)
                        return claim;
        }
        return NULL;
}

/* Who passes @first, which waits for the pool? */
static struct claim *find_passer(struct queue *queue, const struct ledger *ledger,
                                 const struct claim *first) {
        const struct order_rules *rules = &queue->rules;
        bool anybody = rules->pass_for_usec > 0 &&
                       queue->now_usec < first->order / 1000 + rules->pass_for_usec;
        const struct claim *after = first;
        struct backfill backfill;
        struct claim *claim;
        bool gated;

        claim = find_entitled(queue, ledger, first);
        if (claim)
                return claim;
        if (!rules->backfill && !anybody)
                return NULL;
        backfill_init(&backfill, ledger, first, first->lane, queue->ends, queue->now_usec,
                      rules->backfill, anybody);
        for (unsigned judged = 0; judged <= BACKFILL_JUDGED_MAX; judged++) {
                claim = judged < BACKFILL_JUDGED_MAX
                                ? backfill_next(&backfill, queue->places, after)
                                : NULL;
                /* The search is bounded. Who has just come was not found wanting before. */
                if (!claim) {
                        claim = take(queue->newest);
                        if (!claim || !tree_before(&first->place, &claim->place) ||
                            !backfill_may_pass(&backfill, claim, claim->lane->account))
                                return NULL;
                        judged = BACKFILL_JUDGED_MAX;
                }
                after = claim;
                if (claim->lane->parked ||
                    behind_at(queue, claim->lane->account, &claim->place, &claim->demand) ||
                    check_claim(queue, ledger, claim->lane->account, claim, &claim->shortage,
                                &gated))
                        continue;
                return claim;
        }
        return NULL;
}

static struct claim *grant(struct queue *queue, struct ledger *ledger, struct claim *claim,
                           bool *neverp) {
        struct lane *lane = claim->lane;

        /* It was found to fit. Only an axis nobody limits can overflow, with numbers no host has.
         */
        *neverp = !ledger_restore(ledger, lane->account, &claim->demand);
        queue_remove(queue, claim);
        lane_settle(queue, lane);
        claim->reason = WAIT_NONE;
        if (!*neverp && claim->time_usec > 0)
                queue_hold(queue, claim,
                           queue->now_usec + min_u64(claim->time_usec, UINT64_MAX / 4));
        return claim;
}

struct claim *queue_next(struct queue *queue, struct ledger *ledger, bool *neverp) {
        struct lane *lane;

        *neverp = false;
        for (;;) {
                struct account *account;
                struct claim *claim, *passer;
                bool gated;
                int r;

                hear_changes(queue, ledger);
                lane = lane_at(tree_first(queue->ready));
                if (!lane)
                        return NULL;
                claim = lane->head;
                r = check_gates(queue);
                if (r) {
                        claim->reason = queue_reason(r);
                        return NULL;
                }
                account = behind_at(queue, lane->account, &claim->place, &claim->demand);
                r = account ? QUEUE_E_BEHIND
                            : check_claim(queue, ledger, lane->account, claim, &claim->shortage,
                                          &gated);
                passer = r == LEDGER_E_POOL_FULL && !gated ? find_passer(queue, ledger, claim)
                                                           : NULL;
                if (r == LEDGER_E_NEVER) {
                        *neverp = true;
                        queue_remove(queue, claim);
                        lane_settle(queue, lane);
                        claim->reason = WAIT_NONE;
                        return claim;
                }
                if (r == 0 || passer) {
                        if (r)
                                claim->reason = queue_reason(r);
                        return grant(queue, ledger, passer ?: claim, neverp);
                }
                claim->reason = queue_reason(r);
                if (r == LEDGER_E_SLICE_FULL || r == LEDGER_E_USER_FULL)
                        account = (struct account *)claim->shortage.account;
                if (!account)
                        return NULL;
                lane_park(queue, lane, account);
        }
}

int queue_check_claim(const struct queue *queue, const struct ledger *ledger,
                      const struct lane *lane, const struct claim *claim,
                      struct shortage *shortage) {
        const struct order_rules *rules = &queue->rules;
        struct tree_node place = {.key = claim_key(claim, rules->age_step_ns),
                                  .order = claim->order};
        const struct lane *ready = lane_at(tree_first(queue->ready));
        struct shortage of_first;
        const struct claim *first;
        struct backfill backfill;
        int r, gate = check_gates(queue);
        bool anybody, gated;

        r = check_claim(queue, ledger, lane->account, claim, shortage, &gated);
        if (r == LEDGER_E_NEVER)
                return r;
        if (gate || r)
                return gate ?: r;
        if (behind_at(queue, lane->account, &place, &claim->demand))
                return QUEUE_E_BEHIND;
        first = ready ? ready->head : NULL;
        if (!first || tree_before(&place, &first->place))
                return 0;
        if (ledger_check_for(ledger, ready->account, &first->demand, claim_borrows_usec(first),
                             &of_first) != LEDGER_E_POOL_FULL)
                return QUEUE_E_BEHIND;
        if (!demand_is_zero(&ledger->promised) &&
            is_entitled(queue, ledger, first, &of_first, lane->account, &place, &claim->demand))
                return 0;
        anybody = rules->pass_for_usec > 0 &&
                  queue->now_usec < first->order / 1000 + rules->pass_for_usec;
        if (!rules->backfill && !anybody)
                return QUEUE_E_BEHIND;
        backfill_init(&backfill, ledger, first, ready, queue->ends, queue->now_usec,
                      rules->backfill, anybody);
        return backfill_may_pass(&backfill, claim, lane->account) ? 0 : QUEUE_E_BEHIND;
}

int queue_check(const struct queue *queue, const struct ledger *ledger, const struct lane *lane,
                const struct demand *demand, struct shortage *shortage) {
        const struct claim claim = {.order = UINT64_MAX, .demand = *demand};

        return queue_check_claim(queue, ledger, lane, &claim, shortage);
}

uint64_t queue_position(const struct queue *queue, const struct claim *claim) {
        return tree_rank(queue->places, &claim->place);
}

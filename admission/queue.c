/* SPDX-License-Identifier: MIT */
#include <admission/queue.h>

static const char *const reason_names[_WAIT_REASON_N] = {
        [WAIT_NONE] = "none",
        [WAIT_POOL_FULL] = "pool_full",
        [WAIT_SLICE_FULL] = "slice_full",
        [WAIT_MEMORY_AVAILABLE] = "memory_available",
        [WAIT_PSI_PRESSURE] = "psi_pressure",
        [WAIT_DRAINING] = "draining",
        [WAIT_QUEUED] = "queued",
        [WAIT_RECONNECT] = "reconnect",
};

const char *wait_reason_name(enum wait_reason reason) {
        assert(reason < _WAIT_REASON_N);
        return reason_names[reason];
}

void queue_init(struct queue *queue) {
        *queue = (struct queue){};
        TAILQ_INIT(&queue->claims);
        TAILQ_INIT(&queue->lanes);
}

void lane_init(struct lane *lane, struct account *account) {
        *lane = (struct lane){.account = account};
        TAILQ_INIT(&lane->claims);
}

/* Puts the lane where its head belongs, which is new. Nearly always that is the end: claims are
 * inserted in order. */
static void lane_place(struct queue *queue, struct lane *lane) {
        struct claim *head = TAILQ_FIRST(&lane->claims);
        struct lane *after;

        if (lane->listed)
                TAILQ_REMOVE(&queue->lanes, lane, link);
        lane->full = false;
        lane->listed = head;
        if (!head)
                return;
        after = TAILQ_LAST(&queue->lanes, lane_list);
        while (after && TAILQ_FIRST(&after->claims)->order > head->order)
                after = TAILQ_PREV(after, lane_list, link);
        if (after)
                TAILQ_INSERT_AFTER(&queue->lanes, after, lane, link);
        else
                TAILQ_INSERT_HEAD(&queue->lanes, lane, link);
}

void queue_insert(struct queue *queue, struct lane *lane, struct claim *claim) {
        struct claim *after;

        assert(!claim->lane);

        after = TAILQ_LAST(&queue->claims, claim_list);
        while (after && after->order > claim->order)
                after = TAILQ_PREV(after, claim_list, all);
        if (after)
                TAILQ_INSERT_AFTER(&queue->claims, after, claim, all);
        else
                TAILQ_INSERT_HEAD(&queue->claims, claim, all);

        after = TAILQ_LAST(&lane->claims, claim_list);
        while (after && after->order > claim->order)
                after = TAILQ_PREV(after, claim_list, in_lane);
        if (after)
                TAILQ_INSERT_AFTER(&lane->claims, after, claim, in_lane);
        else
                TAILQ_INSERT_HEAD(&lane->claims, claim, in_lane);

        if (TAILQ_FIRST(&lane->claims) == claim)
                lane_place(queue, lane);
        claim->lane = lane;
        claim->reason = WAIT_QUEUED;
        lane->n++;
        queue->n++;
}

void queue_remove(struct queue *queue, struct claim *claim) {
        struct lane *lane = claim->lane;
        bool was_head;

        if (!lane)
                return;
        assert(lane->n > 0 && queue->n > 0);

        was_head = TAILQ_FIRST(&lane->claims) == claim;
        TAILQ_REMOVE(&queue->claims, claim, all);
        TAILQ_REMOVE(&lane->claims, claim, in_lane);
        claim->lane = NULL;
        lane->n--;
        queue->n--;
        if (was_head)
                lane_place(queue, lane);
}

/* Is the slice as full as it was when its head was refused? */
static bool still_full(const struct lane *lane, const struct ledger *ledger) {
        return lane->full && lane->full_account == lane->account->changes &&
               lane->full_ledger == ledger->changes;
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

/* The books and then the gates; but what a gate can never let pass does not wait for the books. */
static int check_claim(const struct queue *queue, const struct ledger *ledger,
                       const struct account *account, const struct demand *demand,
                       struct shortage *shortage) {
        struct shortage of_gate;
        int r, gate;

        r = ledger_check(ledger, account, demand, shortage);
        if (r == LEDGER_E_NEVER)
                return r;
        gate = check_gates_claim(queue, ledger, demand, &of_gate);
        if (gate == 0 || (r && gate != LEDGER_E_NEVER))
                return r;
        *shortage = of_gate;
        return gate;
}

enum wait_reason queue_reason(int answer) {
        switch (answer) {
        case LEDGER_E_POOL_FULL:
                return WAIT_POOL_FULL;
        case LEDGER_E_SLICE_FULL:
                return WAIT_SLICE_FULL;
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

struct claim *queue_next(struct queue *queue, struct ledger *ledger, bool *neverp) {
        struct lane *lane;

        *neverp = false;
        TAILQ_FOREACH(lane, &queue->lanes, link) {
                struct claim *claim = TAILQ_FIRST(&lane->claims);
                int r;

                if (still_full(lane, ledger))
                        continue;
                r = check_gates(queue);
                if (r == 0)
                        r = check_claim(queue, ledger, lane->account, &claim->demand,
                                        &claim->shortage);
                if (r == 0)
                        r = ledger_charge(ledger, lane->account, &claim->demand, &claim->shortage);
                if (r == 0 || r == LEDGER_E_NEVER) {
                        *neverp = r == LEDGER_E_NEVER;
                        queue_remove(queue, claim);
                        claim->reason = WAIT_NONE;
                        return claim;
                }
                claim->reason = queue_reason(r);
                if (r != LEDGER_E_SLICE_FULL)
                        return NULL;
                lane->full = true;
                lane->full_account = lane->account->changes;
                lane->full_ledger = ledger->changes;
        }
        return NULL;
}

int queue_check(const struct queue *queue, const struct ledger *ledger, const struct lane *lane,
                const struct demand *demand, struct shortage *shortage) {
        const struct lane *other;
        int r, gate = check_gates(queue);

        r = check_claim(queue, ledger, lane->account, demand, shortage);
        if (r == LEDGER_E_NEVER)
                return r;
        if (gate || r)
                return gate ?: r;
        if (lane->n > 0)
                return QUEUE_E_BEHIND;
        /* Heads that wait for their own slice let others pass; one that waits for the pool does
         * not. */
        TAILQ_FOREACH(other, &queue->lanes, link)
                if (TAILQ_FIRST(&other->claims)->reason != WAIT_SLICE_FULL)
                        return QUEUE_E_BEHIND;
        return 0;
}

uint64_t queue_position(const struct queue *queue, const struct claim *claim) {
        const struct claim *other;
        uint64_t n = 0;

        TAILQ_FOREACH(other, &queue->claims, all) {
                if (other == claim)
                        break;
                n++;
        }
        return n;
}

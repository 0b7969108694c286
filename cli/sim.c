/* SPDX-License-Identifier: MIT */
#include <base/why.h>
#include <cli/fleet.h>
#include <cli/sim.h>
#include <cli/sim_ends.h>
#include <cli/trace.h>
#include <policies/policy.h>

#define PAGE UINT64_C(4096)
#define MEMORY_MIN (UINT64_C(16) << 20) /* what the broker charges at least */
#define BLOCK 4096                      /* claims allocated at a time */
#define PROGRESS_ROWS 65536

#define CACHE_LINE 64

/* A claim that waits or runs. There are so many that what an order looks at of them should not lie
 * on two cache lines. */
struct sim_claim {
        _Alignas(CACHE_LINE) struct claim claim;
        size_t row; /* of the trace */
        struct host *host;
        uint32_t books;
        struct sim_claim *next_free;
};

struct block {
        struct block *next;
        struct sim_claim claims[BLOCK];
};

struct sim {
        const struct sim_setup *setup;
        const struct policy *policy;
        const struct trace *trace;
        struct sim_result *result;

        struct fleet fleet;
        struct ends ends;
        struct block *blocks;
        struct sim_claim *free;
        uint64_t now_usec, n_waiting;
        uint64_t order; /* of the last claim that came */
};

const char *sim_order_name(enum sim_order order) {
        static const char *const names[_SIM_ORDER_N] = {
                [SIM_FIFO] = "fifo",
                [SIM_PRIORITY] = "priority",
                [SIM_BACKFILL] = "backfill",
        };

        assert(order < _SIM_ORDER_N);
        return names[order];
}

/* The host's own step, if its policy heeds priorities. */
static struct order_rules make_rules(enum sim_order order, const struct policy *policy) {
        uint64_t step_usec = policy->broker.queue.priority_step_usec;
        struct order_rules rules = {};

        switch (order) {
        case SIM_PRIORITY:
                rules.age_step_ns = step_usec ? step_usec * 1000 : SIM_AGE_STEP_NS;
                break;
        case SIM_BACKFILL:
                rules.backfill = true;
                break;
        case SIM_FIFO:
        case _SIM_ORDER_N:
                break;
        }
        return rules;
}

static uint64_t page_ceil(uint64_t bytes) {
        return (bytes + PAGE - 1) / PAGE * PAGE;
}

void sim_demand(const struct policy *policy, const struct trace *trace, const struct row *row,
                struct demand *demand) {
        uint64_t memory_bytes = row->memory_bytes;
        bool apart = policy->broker.network.full_duplex;

        if (!trace->charged)
                memory_bytes = page_ceil(
                        max_u64(memory_bytes + policy->broker.memory_overhead_bytes, MEMORY_MIN));
        *demand = (struct demand){};
        demand->amount[RESOURCE_CPU] = row->cpu_milli;
        demand->amount[RESOURCE_MEMORY] = memory_bytes;
        demand->amount[RESOURCE_DISK] = row->disk_bytes;
        demand->amount[RESOURCE_DISK_IO] = row->disk_io_bytes_per_s;
        demand->amount[RESOURCE_NETWORK] =
                apart ? row->download_bytes_per_s
                      : max_u64(row->download_bytes_per_s, row->upload_bytes_per_s);
        demand->amount[RESOURCE_NETWORK_UPLOAD] = apart ? row->upload_bytes_per_s : 0;
        demand->amount[RESOURCE_GPU] = row->gpus;
}

/* ---- what is refused at once */

static void reject(struct sim *sim, const struct sim_claim *claim, enum sim_rejection rejection,
                   uint64_t asked, uint64_t possible) {
        struct sim_rejected *rejected = &sim->result->rejected[rejection];
        const struct row *row = &sim->trace->rows[claim->row];

        if (rejected->n++ == 0)
                rejected->line = row->line;
        if (asked > rejected->asked)
                rejected->asked = asked;
        rejected->possible = possible;
        sim->result->waits_usec[claim->row] = SIM_REJECTED;
}

static void reject_never(struct sim *sim, const struct sim_claim *claim,
                         const struct shortage *shortage) {
        enum sim_rejection rejection;

        if (shortage->is_vms)
                rejection = shortage->is_slice ? SIM_VMS_SLICE : SIM_VMS_HOST;
        else
                rejection = (shortage->is_slice ? SIM_SLICE : SIM_HOST) + shortage->resource;
        reject(sim, claim, rejection, shortage->requested, shortage->fits);
}

/* ---- one host's queue */

static struct sim_claim *claim_new(struct sim *sim) {
        struct sim_claim *claim;

        if (!sim->free) {
                struct block *block = aligned_alloc(CACHE_LINE, sizeof(*block));

                if (!block)
                        return NULL;
                block->next = sim->blocks;
                sim->blocks = block;
                for (size_t i = BLOCK; i-- > 0;) {
                        block->claims[i].next_free = sim->free;
                        sim->free = &block->claims[i];
                }
        }
        claim = sim->free;
        sim->free = claim->next_free;
        *claim = (struct sim_claim){};
        return claim;
}

static void claim_drop(struct sim *sim, struct sim_claim *claim) {
        claim->next_free = sim->free;
        sim->free = claim;
}

static int start(struct sim *sim, struct sim_claim *claim, struct why *why) {
        size_t i = claim->row;
        const struct row *row = &sim->trace->rows[i];
        uint64_t end_usec;

        sim->result->waits_usec[i] = sim->now_usec - row->arrival_usec;
        if (__builtin_add_overflow(sim->now_usec, row->duration_usec, &end_usec))
                return why_set(why, SIM_E_TIME,
                               "the claims take longer, one after the other, than time can be "
                               "counted");
        sim->result->end_usec = max_u64(sim->result->end_usec, end_usec);
        return ends_add(&sim->ends, end_usec, claim);
}

/* Starts who can. */
static int settle(struct sim *sim, struct host *host, struct why *why) {
        struct claim *next;
        bool never;
        int r;

        queue_tell_time(&host->queue, sim->now_usec);
        while ((next = queue_next(&host->queue, &host->ledger, &never))) {
                struct sim_claim *claim = container_of(next, struct sim_claim, claim);

                sim->n_waiting--;
                if (never) {
                        reject_never(sim, claim, &next->shortage);
                        claim_drop(sim, claim);
                        continue;
                }
                r = start(sim, claim, why);
                if (r)
                        return r;
        }
        fleet_moved(&sim->fleet, host);
        return 0;
}

static int end_one(struct sim *sim, struct why *why) {
        struct sim_claim *claim;
        struct host *host;

        sim->now_usec = sim->ends.heap[0].at_usec;
        claim = ends_take(&sim->ends);
        host = claim->host;
        queue_release(&host->queue, &claim->claim);
        ledger_return(&host->ledger, &host->accounts[claim->books], &claim->claim.demand);
        claim_drop(sim, claim);
        return settle(sim, host, why);
}

/* ---- arrivals */

/* Does the policy of its slice let one VM have that much? What was charged once, it let. */
static bool is_too_large(const struct sim *sim, const struct sim_claim *claim) {
        const struct demand *most;

        if (sim->policy->n_slices == 0 || sim->trace->charged)
                return false;
        most = &sim->policy->slices[claim->books].vm_max;
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                uint64_t asked = claim->claim.demand.amount[i];

                if (i == RESOURCE_MEMORY) /* without what is added to it */
                        asked = sim->trace->rows[claim->row].memory_bytes;
                if (most->amount[i] != POLICY_NONE && asked > most->amount[i])
                        return true;
        }
        return false;
}

/* Can it never be had, on any of them? They are all alike. */
static bool is_never(struct sim *sim, const struct sim_claim *claim) {
        const struct host *host = &sim->fleet.hosts[0];
        struct shortage shortage;

        if (queue_check(&host->queue, &host->ledger, &host->lanes[claim->books],
                        &claim->claim.demand, &shortage) != LEDGER_E_NEVER)
                return false;
        reject_never(sim, claim, &shortage);
        return true;
}

/* Finds the claim's host. False: it is rejected, as the broker does before a claim may wait. */
static bool place(struct sim *sim, struct sim_claim *claim) {
        if (claim->books == FLEET_NO_BOOKS) {
                reject(sim, claim, SIM_NO_SLICE, 0, 0);
                return false;
        }
        if (is_too_large(sim, claim)) {
                reject(sim, claim, SIM_VM_MAX, 0, 0);
                return false;
        }
        claim->host = fleet_find(&sim->fleet, &claim->claim.demand, claim->books);
        if (claim->host)
                return true;
        if (is_never(sim, claim))
                return false;
        claim->host = fleet_shortest(&sim->fleet);
        if (claim->host->queue.n < sim->policy->broker.queue_max)
                return true;
        reject(sim, claim, SIM_QUEUE_FULL, 0, 0);
        return false;
}

static int arrive(struct sim *sim, size_t i, struct why *why) {
        const struct row *row = &sim->trace->rows[i];
        struct sim_claim *claim;

        sim->now_usec = row->arrival_usec;
        claim = claim_new(sim);
        if (!claim)
                return fault(-ENOMEM);
        sim->order = max_u64(sim->order + 1, row->arrival_usec * 1000);
        claim->row = i;
        claim->claim.order = sim->order;
        claim->claim.priority = row->priority;
        if (sim->setup->order == SIM_BACKFILL)
                claim->claim.time_usec = max_u64(1, row->duration_usec);
        claim->books = sim->fleet.books[row->slice];
        sim_demand(sim->policy, sim->trace, row, &claim->claim.demand);
        if (!place(sim, claim)) {
                claim_drop(sim, claim);
                return 0;
        }
        queue_insert(&claim->host->queue, &claim->host->lanes[claim->books], &claim->claim);
        sim->n_waiting++;
        return settle(sim, claim->host, why);
}

static void sim_deinit(struct sim *sim) {
        struct block *next;

        for (struct block *block = sim->blocks; block; block = next) {
                next = block->next;
                free(block);
        }
        fleet_deinit(&sim->fleet);
        ends_deinit(&sim->ends);
}

static void note_limits(const struct sim *sim) {
        const struct ledger *ledger = &sim->fleet.hosts[0].ledger;

        for (unsigned i = 0; i < _RESOURCE_N; i++)
                sim->result->limit.amount[i] =
                        ledger->enforced[i] ? ledger->effective.amount[i] : LEDGER_NO_LIMIT;
        if (sim->trace->n > 0)
                sim->result->begin_usec = sim->trace->rows[0].arrival_usec;
        sim->result->end_usec = sim->result->begin_usec;
}

static int run(struct sim *sim, struct why *why) {
        const struct trace *trace = sim->trace;
        int r = 0;

        for (size_t i = 0; i < trace->n && !r; i++) {
                while (!r && sim->ends.n > 0 &&
                       sim->ends.heap[0].at_usec <= trace->rows[i].arrival_usec)
                        r = end_one(sim, why);
                if (!r)
                        r = arrive(sim, i, why);
                sim->result->waiting_max = max_u64(sim->result->waiting_max, sim->n_waiting);
                if (sim->setup->progress && (i + 1) % PROGRESS_ROWS == 0)
                        sim->setup->progress(sim->setup->userdata, i + 1);
        }
        while (!r && sim->ends.n > 0)
                r = end_one(sim, why);
        /* Whoever can ever fit does so when all others have left. */
        assert(r || sim->n_waiting == 0);
        return r;
}

int sim_run(struct sim_result *result, const struct sim_setup *setup, struct why *why) {
        struct sim sim = {
                .setup = setup,
                .policy = setup->policy,
                .trace = setup->trace,
                .result = result,
        };
        const struct order_rules rules = make_rules(setup->order, setup->policy);
        int r;

        *result = (struct sim_result){};
        result->waits_usec = calloc(setup->trace->n + 1, sizeof(*result->waits_usec));
        if (!result->waits_usec)
                return fault(-ENOMEM);
        r = fleet_init(&sim.fleet, setup->policy, setup->trace, setup->hosts, &rules, setup->place,
                       why);
        if (r > 0)
                r = SIM_E_TOO_MANY;
        if (!r) {
                note_limits(&sim);
                r = run(&sim, why);
        }
        sim_deinit(&sim);
        return r;
}

void sim_result_deinit(struct sim_result *result) {
        free(result->waits_usec);
        *result = (struct sim_result){};
}

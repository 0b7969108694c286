/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <cli/sim_stats.h>
#include <cli/trace.h>

static int compare_u64(const void *a, const void *b) {
        uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

        return left < right ? -1 : left > right;
}

static uint64_t rank(const uint64_t *sorted, uint64_t n, unsigned percent) {
        return sorted[(n * percent + 99) / 100 - 1];
}

/* Sorts @waits. */
static void summarize(struct sim_waits *summary, uint64_t *waits, uint64_t n) {
        unsigned __int128 sum = 0;

        summary->n = n;
        if (n == 0)
                return;
        qsort(waits, n, sizeof(*waits), compare_u64);
        for (uint64_t i = 0; i < n; i++) {
                summary->waited += waits[i] > 0;
                sum += waits[i];
        }
        summary->mean_usec = (uint64_t)(sum / n);
        summary->p50_usec = rank(waits, n, 50);
        summary->p90_usec = rank(waits, n, 90);
        summary->p99_usec = rank(waits, n, 99);
        summary->max_usec = waits[n - 1];
}

/* Finds the priorities that there are, the highest first; none if there is one, or too many. */
static void find_priorities(struct sim_stats *stats, const struct trace *trace) {
        for (size_t i = 0; i < trace->n; i++) {
                int32_t priority = trace->rows[i].priority;
                size_t at = 0;

                while (at < stats->n_priorities && stats->priorities[at].priority > priority)
                        at++;
                if (at < stats->n_priorities && stats->priorities[at].priority == priority)
                        continue;
                if (stats->n_priorities == SIM_PRIORITIES_MAX) {
                        stats->n_priorities = 0;
                        return;
                }
                memmove(&stats->priorities[at + 1], &stats->priorities[at],
                        (stats->n_priorities - at) * sizeof(stats->priorities[0]));
                stats->priorities[at] = (struct sim_waits){.priority = priority};
                stats->n_priorities++;
        }
        if (stats->n_priorities == 1)
                stats->n_priorities = 0;
}

/* A curve over the time of the simulation: amounts times how long, per point. */
struct series {
        uint64_t begin_usec;
        double step_usec;
        double *edges;                    /* SIM_SERIES_N: parts of a point */
        double changes[SIM_SERIES_N + 1]; /* whole points: where a level begins and ends */
};

static void series_add(struct series *series, uint64_t from_usec, uint64_t to_usec, double amount) {
        double from = (double)(from_usec - series->begin_usec) / series->step_usec;
        double to = (double)(to_usec - series->begin_usec) / series->step_usec;
        size_t first = (size_t)from, last = (size_t)to;

        if (last >= SIM_SERIES_N)
                last = SIM_SERIES_N - 1;
        if (first >= last) {
                series->edges[last] += (to - from) * amount;
                return;
        }
        series->edges[first] += ((double)first + 1 - from) * amount;
        series->edges[last] += (to - (double)last) * amount;
        series->changes[first + 1] += amount;
        series->changes[last] -= amount;
}

static void series_finish(struct series *series) {
        double level = 0;

        for (size_t i = 0; i < SIM_SERIES_N; i++) {
                level += series->changes[i];
                series->edges[i] += level;
        }
}

static void make_series(struct sim_stats *stats, const struct sim_setup *setup,
                        const struct sim_result *result) {
        static const enum resource shown[2] = {RESOURCE_CPU, RESOURCE_MEMORY};
        const struct trace *trace = setup->trace;
        const struct series empty = {
                .begin_usec = result->begin_usec,
                .step_usec = (double)(result->end_usec - result->begin_usec) / SIM_SERIES_N,
        };
        struct series used[2] = {empty, empty}, waiting = empty;

        if (result->end_usec == result->begin_usec)
                return;
        waiting.edges = stats->waiting_series;
        for (size_t s = 0; s < 2; s++)
                used[s].edges = stats->used_series[s];
        for (size_t i = 0; i < trace->n; i++) {
                const struct row *row = &trace->rows[i];
                uint64_t start_usec = row->arrival_usec + result->waits_usec[i];
                struct demand demand;

                if (result->waits_usec[i] == SIM_REJECTED)
                        continue;
                sim_demand(setup->policy, trace, row, &demand);
                series_add(&waiting, row->arrival_usec, start_usec, 1);
                for (size_t s = 0; s < 2; s++)
                        if (result->limit.amount[shown[s]] != LEDGER_NO_LIMIT)
                                series_add(&used[s], start_usec, start_usec + row->duration_usec,
                                           (double)demand.amount[shown[s]] /
                                                   ((double)result->limit.amount[shown[s]] *
                                                    (double)setup->hosts));
        }
        series_finish(&waiting);
        for (size_t s = 0; s < 2; s++)
                series_finish(&used[s]);
}

static void sum_use(struct sim_stats *stats, const struct sim_setup *setup,
                    const struct sim_result *result) {
        double sold[_RESOURCE_N] = {}, span = (double)(result->end_usec - result->begin_usec);

        for (size_t i = 0; i < setup->trace->n; i++) {
                const struct row *row = &setup->trace->rows[i];
                struct demand demand;

                if (result->waits_usec[i] == SIM_REJECTED)
                        continue;
                sim_demand(setup->policy, setup->trace, row, &demand);
                for (unsigned r = 0; r < _RESOURCE_N; r++)
                        sold[r] += (double)demand.amount[r] * (double)row->duration_usec;
        }
        for (unsigned r = 0; r < _RESOURCE_N; r++) {
                double limit = (double)result->limit.amount[r] * (double)setup->hosts;

                if (result->limit.amount[r] == LEDGER_NO_LIMIT)
                        stats->used[r] = -1;
                else
                        stats->used[r] = limit * span > 0 ? sold[r] / (limit * span) : 0;
        }
}

int sim_stats_make(struct sim_stats *stats, const struct sim_setup *setup,
                   const struct sim_result *result) {
        const struct trace *trace = setup->trace;
        _cleanup_(freep) uint64_t *some = NULL;
        uint64_t n = 0;

        *stats = (struct sim_stats){};
        stats->sorted_usec = calloc(trace->n + 1, sizeof(*stats->sorted_usec));
        some = calloc(trace->n + 1, sizeof(*some));
        if (!stats->sorted_usec || !some)
                return fault(-ENOMEM);

        for (size_t i = 0; i < trace->n; i++)
                if (result->waits_usec[i] != SIM_REJECTED)
                        stats->sorted_usec[n++] = result->waits_usec[i];
        stats->n_rejected = trace->n - n;
        summarize(&stats->all, stats->sorted_usec, n);
        find_priorities(stats, trace);
        for (size_t p = 0; p < stats->n_priorities; p++) {
                n = 0;
                for (size_t i = 0; i < trace->n; i++)
                        if (result->waits_usec[i] != SIM_REJECTED &&
                            trace->rows[i].priority == stats->priorities[p].priority)
                                some[n++] = result->waits_usec[i];
                summarize(&stats->priorities[p], some, n);
        }
        sum_use(stats, setup, result);
        make_series(stats, setup, result);
        return 0;
}

void sim_stats_deinit(struct sim_stats *stats) {
        free(stats->sorted_usec);
        *stats = (struct sim_stats){};
}

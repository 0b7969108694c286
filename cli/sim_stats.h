/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_SIM_STATS_H
#define PROVIUM_CLI_SIM_STATS_H

/*
 * What a simulation came to, in figures. A percentile is the wait of the claim at that place (the
 * nearest rank), so each is a wait that was.
 */

#include <cli/sim.h>

#define SIM_PRIORITIES_MAX 16 /* told apart; with more, none is */
#define SIM_SERIES_N 480      /* points of a curve over time */

/* Waits of some of the claims that were started. */
struct sim_waits {
        int32_t priority;
        uint64_t n, waited; /* claims; those that did not start at once */
        uint64_t mean_usec, p50_usec, p90_usec, p99_usec, max_usec;
};

struct sim_stats {
        struct sim_waits all;
        struct sim_waits priorities[SIM_PRIORITIES_MAX]; /* the highest first */
        size_t n_priorities;                             /* 0: there is one, or too many */
        uint64_t n_rejected;
        uint64_t *sorted_usec; /* the waits of all */

        /* Of what all hosts can sell from the first arrival to the last end, the part that was
         * sold; below 0 where nothing limits it. */
        double used[_RESOURCE_N];

        /* The same over time, and how many wait; each point is the mean of its part of the time. */
        double used_series[2][SIM_SERIES_N]; /* CPU, memory */
        double waiting_series[SIM_SERIES_N];
};

/* Negative: out of memory; sim_stats_deinit() in any case. */
_must_check_ int sim_stats_make(struct sim_stats *stats, const struct sim_setup *setup,
                                const struct sim_result *result);
void sim_stats_deinit(struct sim_stats *stats);

#endif

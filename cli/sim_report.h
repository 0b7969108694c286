/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_SIM_REPORT_H
#define PROVIUM_CLI_SIM_REPORT_H

/*
 * Simulations for a person, or for a machine.
 */

#include <cli/sim_stats.h>

struct cli;

/* One simulation, whole. */
struct sim_outcome {
        struct sim_setup setup;
        struct sim_result result;
        struct sim_stats stats;
};

/* Prints a table with a line for each of the @n outcomes of one trace, then what was rejected; or,
 * with --json, an object for each. Negative: out of memory. */
_must_check_ int sim_report(struct cli *cli, const struct sim_outcome *outcomes, size_t n);

/* "fifo first-fit": what the outcome is of, into @buffer, which is returned. */
const char *sim_outcome_name(const struct sim_outcome *outcome, char *buffer, size_t size);

#endif

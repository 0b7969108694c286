/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TESTS_CLI_TOP_HOST_H
#define PROVIUM_TESTS_CLI_TOP_HOST_H

/*
 * A host as the broker's answers tell of it, for the tests of `provium top`: three VMs, a claim
 * that waits, two events.
 */
#include <cli/top_model.h>

/* What List, Stats (at a time, so much CPU having been used by each) and Resources answer. */
json_t *host_list(void);
json_t *host_stats(uint64_t at_usec, uint64_t cpu_usec);
json_t *host_resources(void);

/* Takes a List, which is consumed. */
void host_take_list(struct top_model *model, json_t *list);
/* Takes Stats, which are consumed. */
void host_take_stats(struct top_model *model, json_t *stats);
/* A model that has seen all of the above, twice, a second apart: "web" used 0.5 CPUs. */
void host_model(struct top_model *model);

#endif

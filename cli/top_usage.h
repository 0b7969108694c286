/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_TOP_USAGE_H
#define PROVIUM_CLI_TOP_USAGE_H

/*
 * The answer to Stats, all VMs' counters at one time, as samples.
 */
#include <cli/top_model.h>

/* Takes one part of the answer, the first one with @begin, the last one with @end. Negative: out of
 * memory. */
_must_check_ int top_usage_take(struct top_model *model, const json_t *parameters, bool begin,
                                bool end);

#endif

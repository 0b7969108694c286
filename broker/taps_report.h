/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_TAPS_REPORT_H
#define PROVIUM_BROKER_TAPS_REPORT_H

/*
 * A VM's network as a person sees it: limits and counters from the kernel, from the VM's side (its
 * upload is what the tap receives).
 */

#include <jansson.h>

struct lease;

/* Adds to @limits what would be in force, as a dry run tells it. */
void taps_plan(const struct lease *lease, json_t *limits);

/* Adds "net.N...." to @limits and @stats as the kernel has it now, and what is to be said to
 * @notes. */
void taps_report(struct lease *lease, json_t *limits, json_t *stats, json_t *notes);
/* [{bridge, tap, mac}]; new reference. */
json_t *taps_list(const struct lease *lease);

#endif

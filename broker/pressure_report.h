/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_PRESSURE_REPORT_H
#define PROVIUM_BROKER_PRESSURE_REPORT_H

/*
 * What is told of the gates: sentences for whoever waits, numbers for whoever asks.
 */

#include <jansson.h>

#include <admission/gates.h>
#include <admission/queue.h>

struct broker;

/* "some task waits for a CPU 62.31 % of the time". */
void pressure_format(enum gate_resource resource, uint64_t share, char *text, size_t size);

/* "open", "paused", "one_by_one". */
const char *pressure_state_name(enum pressure_state state);

/* The sentence for a claim that a gate holds back for @reason, with @shortage if it is for memory;
 * false: it is no gate's. */
bool pressure_describe(const struct broker *broker, enum wait_reason reason,
                       const struct shortage *shortage, char *text, size_t size);

/* For Resources: for each of "cpu", "memory" and "io" what of the time some and all tasks waited
 * (per cent, over ten seconds), and the thresholds; null where it is unknown. New reference, or
 * NULL. */
json_t *pressure_report(const struct broker *broker);

/* The same of the group in @dir_fd (-1: none), without thresholds. New reference, or NULL. */
json_t *pressure_report_group(int dir_fd);

#endif

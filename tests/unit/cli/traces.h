/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TESTS_CLI_TRACES_H
#define PROVIUM_TESTS_CLI_TRACES_H

/*
 * Traces and hosts out of texts, and a simulation of one on the other.
 */

#include <base/why.h>
#include <cli/sim_stats.h>
#include <cli/trace_read.h>
#include <policies/policy.h>

/* Reads @length bytes as trace_read() does from a file. */
int traces_read_bytes(struct trace *trace, const char *bytes, size_t length, struct why *why);
int traces_read(struct trace *trace, const char *text, struct why *why);

/* A host out of its broker.conf; nothing is added to a claim's memory. */
struct policy *traces_host(const char *text);

/* Simulates, and needs that to work. */
void traces_simulate(struct sim_result *result, const struct policy *policy,
                     const struct trace *trace, uint64_t hosts, enum sim_order order,
                     enum place_policy place);

#endif

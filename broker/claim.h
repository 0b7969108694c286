/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_CLAIM_H
#define PROVIUM_BROKER_CLAIM_H

/*
 * From a request to a place in the queue, and out of it again: access, defaults, the charge, the wait.
 */

#include <admission/queue.h>

struct broker;
struct connection;
struct lease;
struct lease_fds;
struct run_request;
struct why;

/*
 * Takes @request and @fds over, decides whether the claim may be made at all, and starts it, queues it or answers
 * with a refusal. Negative on a fault.
 */
_must_check_ int claim_submit(struct connection *connection, struct run_request *request,
                              struct lease_fds *fds);

/* Grants whatever may start now, in order. Called after every release, reload and new claim. */
_must_check_ int claims_advance(struct broker *broker);

/* Refuses a waiting claim: its time is up, or it can never fit any more. The lease is gone afterwards. */
_must_check_ int claim_refuse(struct lease *lease, const char *reason, const char *message);

/* Its --wait ran out. The lease is gone afterwards. Negative on a fault. */
_must_check_ int claim_timed_out(struct lease *lease);

/* Whoever followed this lease has left: a waiting claim goes, an attached VM is ended. */
_must_check_ int claim_follower_gone(struct lease *lease);

/* Tells followers of waiting claims their place and reason, where it changed. */
_must_check_ int claims_tell_places(struct broker *broker);

/* What it waits for, by the name users see, and the sentence to it; @position: how many are before it. */
enum wait_reason claim_reason(const struct lease *lease);
void claim_detail(const struct lease *lease, uint64_t position, char *text, size_t size);

/* The sentence for a shortage: "memory: 2G asked, 512M of 4G left (3.5G allocated, ratio 1); at most 512M would fit now". */
void shortage_describe(const struct shortage *shortage, bool never, char *text, size_t size);

/* Fills the VM's limits from its charge, as they would be written. */
struct limits;
struct slice_policy;
void claim_limits(const struct broker *broker, const struct lease *lease, struct limits *limits);

#endif

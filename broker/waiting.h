/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_WAITING_H
#define PROVIUM_BROKER_WAITING_H

/*
 * Claims in the queue: who goes on, who gives up, and what each is told meanwhile.
 */

#include <admission/queue.h>

struct broker;
struct lease;

/* Grants whatever may start now, in order. Called after every release, reload and new claim. */
_must_check_ int claims_advance(struct broker *broker);

/* A claim has its charge, and waits no more: what was claimed is made. Negative on a fault. */
_must_check_ int claim_admitted(struct lease *lease);

/* Refuses a waiting claim: its time is up, or it can never fit any more. The lease is gone
 * afterwards. */
_must_check_ int claim_refuse(struct lease *lease, const char *reason, const char *message);

/* Its --wait ran out. The lease is gone afterwards. Negative on a fault. */
_must_check_ int claim_timed_out(struct lease *lease);

/* Whoever followed this lease has left: a waiting claim goes, an attached VM is ended. */
_must_check_ int claim_follower_gone(struct lease *lease);

/* Tells followers of waiting claims their place and reason, where it changed. */
_must_check_ int claims_tell_places(struct broker *broker);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_EXPLAIN_H
#define PROVIUM_BROKER_EXPLAIN_H

/*
 * Why a VM or a claim is where it is, and until when: each axis with its arithmetic, who holds what
 * is missing, what would fit now, the place in the queue, and when it is going to start if all keep
 * what they promised. The verdict itself is never made here: it is the one of the real decision.
 *
 * Who asks sees by name what is his own; what others hold is told as a sum.
 */

#include <jansson.h>
#include <sys/types.h>

#include <admission/queue.h>

struct lease;

/* The answer to Explain. New reference, or NULL. */
json_t *explain_lease(struct lease *lease, uid_t uid);

/*
 * Adds axes, holders, place and estimate of a claim that is being asked about and would wait
 * (@answer of queue_check(), with @shortage), or start (0), to @object.
 */
void explain_claim(json_t *object, struct lease *lease, uid_t uid, int answer,
                   const struct shortage *shortage);

#endif

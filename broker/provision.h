/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_PROVISION_H
#define PROVIUM_BROKER_PROVISION_H

/*
 * The order in which an admitted claim becomes a running VM, and how it unwinds.
 *
 *     directory -> record -> limits, each read back -> slice's weights up -> watch -> (GPUs) ->
 *     fence -> clone3
 *
 * The record comes before the first limit and the first limit before the first process, so that a
 * broker that dies at any point leaves something the next one can name. A "no" before the clone
 * goes back in reverse, the charge last. After the clone there is a process, and what follows is a
 * release. GPUs are prepared by a thread: meanwhile the lease is STARTING and has no process.
 */

#include <base/macro.h>

struct broker;
struct connection;
struct lease;
struct why;

/*
 * Prepares everything that needs memory or may be refused for the request's own sake: argv,
 * candidates, groups. Answers COMMAND_E_*; negative on a fault.
 */
_must_check_ int provision_prepare(struct lease *lease, struct connection *connection,
                                   struct why *why);

/* Makes the group and starts the process of a charged lease; on a refusal answers the follower,
 * unwinds and frees the lease. Negative on a fault. */
_must_check_ int provision_start(struct lease *lease);

/* The child may have got to execve: if so, tells everybody. Negative on a fault. */
_must_check_ int provision_progress(struct lease *lease);

/* Makes @connection the follower of a lease that has none, and tells it how far that is. Negative
 * on a fault. */
_must_check_ int provision_follow(struct lease *lease, struct connection *connection);

/* Sends "started" (again) to the lease's follower. */
_must_check_ int provision_tell_started(struct lease *lease);

#endif

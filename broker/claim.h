/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_CLAIM_H
#define PROVIUM_BROKER_CLAIM_H

/*
 * From a request to a place in the queue: may this user use this slice, what is charged, which name
 * and which place, and may it wait at all. Whether it fits is admission's to say; whom it may pass
 * as well.
 *
 * Runs and reservations come by the same way, and the file is longer than others for it: the order of
 * its steps is what they have in common.
 */

#include <base/macro.h>

struct connection;
struct lease_fds;
struct run_request;

/*
 * Takes @request and @fds over, decides whether the claim may be made at all, and starts it, queues
 * it or answers with a refusal. Negative on a fault.
 */
_must_check_ int claim_submit(struct connection *connection, struct run_request *request,
                              struct lease_fds *fds);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_RESIZE_H
#define PROVIUM_BROKER_RESIZE_H

/*
 * A running VM is sold more, or less. What it gets more of must fit like a claim for the
 * difference, and passes nobody who waits; what it gives up goes to the queue. The record is
 * written before the kernel is told: a broker that dies in between finds the new claim and puts it
 * in force.
 */

#include <base/macro.h>

struct connection;
struct lease;
struct resize_request;

/* Answers the connection. Negative: a fault. */
_must_check_ int resize_vm(struct lease *lease, struct connection *connection,
                           const struct resize_request *request);

#endif

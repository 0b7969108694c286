/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_RESUME_H
#define PROVIUM_BROKER_RESUME_H

/*
 * The other half of an upgrade: the new program takes up what the old one left in a memfd
 * (broker/upgrade.h).
 */

#include <base/macro.h>

struct broker;
struct why;

/*
 * In the new binary, first: reads @fd and takes the listening socket and the root's lock from it,
 * before anything else is opened. Then, after adoption, the rest. Answers BROKER_E_HOST; negative
 * on a fault.
 */
_must_check_ int resume_sockets(struct broker *broker, int fd, struct why *why);
_must_check_ int resume_clients(struct broker *broker, struct why *why);

#endif

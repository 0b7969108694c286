/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_ENDED_H
#define PROVIUM_BROKER_ENDED_H

/*
 * How VMs ended that somebody followed, while the broker was away or before he came back: kept for
 * as long as a VM would wait for its client (ReconnectGrace=), and no more than ENDED_MAX.
 */

#include <jansson.h>
#include <sys/types.h>

#include <base/macro.h>

#define ENDED_MAX 1024

struct broker;
struct lease;

/* Keeps @run, what its follower would be told; a reference is taken. Out of memory: nothing is
 * kept, and he will hear that it is lost. */
void ended_keep(struct broker *broker, const struct lease *lease, json_t *run);

/* What was kept of the VM @id, for its owner or root; each is told once. NULL: nothing. The caller
 * owns it. */
json_t *ended_take(struct broker *broker, const char *id, uid_t uid);

void ended_close(struct broker *broker);

#endif

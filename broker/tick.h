/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_TICK_H
#define PROVIUM_BROKER_TICK_H

/*
 * Deadlines: one timer for all of them, set for the earliest, off when there is none, so that an
 * idle broker sleeps. When it fires every lease is looked at; it does not fire more often than
 * every TICK_MIN_USEC.
 */

#include <base/macro.h>

struct broker;

#define TICK_MIN_USEC UINT64_C(20000)

_must_check_ int tick_init(struct broker *broker);
void tick_deinit(struct broker *broker);

/* News of groups was lost: whatever may have happened to any of them is found out. Negative on a
 * fault. */
_must_check_ int tick_look_at_everything(struct broker *broker);

#endif

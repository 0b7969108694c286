/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_POOL_STATE_H
#define PROVIUM_BROKER_POOL_STATE_H

/*
 * pool_state: what is sold and what is left, once a second, to whoever listens at that moment
 * (struct events_watcher). It is a sample of a state that the ring's events lead to, so it is not
 * kept, takes no number of its own, and who was not there has not missed it. While nobody listens
 * there is no timer.
 */

#include <base/macro.h>

struct broker;

#define POOL_STATE_USEC UINT64_C(1000000)

/* Is it in this set of kinds? */
bool pool_state_wanted(uint64_t kinds);

/* One more listens, or one less. */
void pool_state_listen(struct broker *broker);
void pool_state_unlisten(struct broker *broker);
/* At the end of all. */
void pool_state_deinit(struct broker *broker);

#endif

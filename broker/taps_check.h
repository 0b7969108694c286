/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_TAPS_CHECK_H
#define PROVIUM_BROKER_TAPS_CHECK_H

/*
 * Shaping that is reported must be in force: what somebody else changes is heard of, compared, put
 * back and told (event "drift").
 */

#include <base/macro.h>

struct broker;

/* Listens for changes that somebody else makes to what is ours. Negative: a fault. */
_must_check_ int taps_listen(struct broker *broker);
/* Takes what news has come, without waiting for the loop to do so: what a tap has carried comes with
 * its end, and before the news that its VM's group is empty. */
void taps_hear(struct broker *broker);
/* Compares what is suspect, repairs, tells. */
void taps_check_suspects(struct broker *broker);

#endif

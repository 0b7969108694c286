/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_LOOP_H
#define PROVIUM_BROKER_LOOP_H

/*
 * The loop, as sd_event_loop(3) has it, with a clock at its side: how long each event kept it, and
 * so everybody else waiting, goes into the meter. Two reads of the clock for an event, no timer of
 * its own: an idle broker sleeps.
 */

#include <base/macro.h>

struct broker;

/* Until somebody calls sd_event_exit(); returns its code. Negative: a fault. */
_must_check_ int loop_run(struct broker *broker);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_PRESSURE_H
#define PROVIUM_BROKER_PRESSURE_H

/*
 * The live machine, as the gates (admission/gates) want it read.
 *
 * The kernel says when there is pressure (triggers on /proc/pressure/...): so an idle host costs
 * nothing. Then the averages are read, and while starts pause, once a second, until it is over. The
 * first reading after a quiet time decides nothing yet: whether CPUs were idle takes two.
 *
 * Memory is read when a claim is looked at, and only if the policy heeds it.
 *
 * What paused when the broker ended is not known to the next one. Where somebody was waiting then,
 * it takes it that starts had paused: they go on below the lower threshold only.
 */

#include <systemd/sd-event.h>

#include <admission/gates.h>

struct broker;

struct pressure_source {
        sd_event_source *source; /* the trigger's; NULL: none */
        int error;               /* why what it watches is unknown; 0: it is known */
};

struct pressures {
        bool in_use; /* PSI is heeded */
        struct pressure_source sources[_GATE_RESOURCE_N];
        uint64_t cpu_idle, cpu_all; /* ticks, as last read */
        uint64_t cpu_usec;          /* when; 0: never */
        uint64_t look_usec;         /* the next look; 0: when a trigger fires */
};

/* Takes the policy into the gates and sets the triggers anew; at the start, and after each reload.
 */
_must_check_ int pressure_configure(struct broker *broker);
/* The first look; after adoption. @paused: perhaps starts had paused. */
void pressure_begin(struct broker *broker, bool paused);
void pressure_end(struct broker *broker);

/* What is due of it. */
void pressure_tick(struct broker *broker, uint64_t now, uint64_t *nextp);

/* Reads what a decision needs to know; before claims are looked at. */
void pressure_refresh(struct broker *broker);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_HISTORY_H
#define PROVIUM_BROKER_HISTORY_H

/*
 * The last hour in steps of ten seconds, for charts: what was sold, what of it was used, who
 * waited.
 *
 * Nobody is woken for it. What is sold and who waits change only by what the broker itself does,
 * and each such change has an event: so it is noted with the events, and a step in which nothing
 * was noted is known to be as the one before. What is used only the kernel knows: two small files
 * of the root's group are read at the first event of a step, at each report, and by a timer for an
 * hour after the last report. Where nobody looked and nothing happened the CPU time is still exact,
 * as a mean over all that time, because the kernel's counter goes on; the memory of it is unknown.
 *
 * A step holds the highest that was sold and waited in it, so that what was short is seen, too. The
 * ring begins anew with the broker.
 */

#include <jansson.h>

#include <base/demand.h>
#include <base/macro.h>

struct broker;
struct history;

#define HISTORY_STEP_USEC UINT64_C(10000000)
#define HISTORY_STEPS 360

/* NULL stays where there is no memory for it: then nothing is noted. */
struct history *history_new(struct broker *broker, uint64_t now_usec);
struct history *history_free(struct history *history);

/* Something may have changed, at @now_usec (broker_now_usec()): cheap, and reads the kernel's files
 * at most once in each step. Does nothing without a history. */
void history_note(struct history *history, uint64_t now_usec);

/*
 * The steps as one object with an array for each row, oldest first: step_ms; until_ms, the wall
 * clock at the end of the last one; sold (by resource), used (cpu in thousandths, memory in bytes),
 * vms and waiting. null: before this broker started, or not known. Keeps the timer for an hour. New
 * reference, NULL when out of memory.
 */
json_t *history_report(struct history *history, uint64_t now_usec);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_DRIFT_H
#define PROVIUM_BROKER_DRIFT_H

/*
 * Somebody else wrote to our files. A limit that is reported must be in force: what no longer reads
 * as it was set is set again, and told (event "drift"). Nothing is polled: the groups' own watch
 * says when.
 */

#include <base/macro.h>

struct broker;
struct lease;
struct slice;

/* The event and the line: @found in @what @name, set right again unless @failed says why not. */
void drift_tell(struct broker *broker, const char *what, const char *name, const char *found,
                const char *failed);

void drift_check_vm(struct lease *lease);
void drift_check_slice(struct broker *broker, struct slice *slice);
/* Slices that were written to since the last call, by us or by others. */
void drift_check_suspects(struct broker *broker);

#endif

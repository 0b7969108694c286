/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_REPORT_H
#define PROVIUM_BROKER_REPORT_H

/*
 * What one can see, as JSON: new references, NULL when out of memory.
 */

#include <jansson.h>
#include <sys/types.h>

struct broker;
struct demand;
struct lease;
struct limits;

json_t *report_demand(const struct demand *demand);
/* File name to the text that is, or would be, written. */
json_t *report_limits(const struct limits *limits);
/* One VM, as type Vm; one waiting claim, as type Waiting. */
json_t *report_vm(const struct lease *lease);
json_t *report_waiting(const struct lease *lease, uint64_t position);
/*
 * List: the next part, at most @max of what @uid may see (root: everything), from @cursor on, which
 * is moved. *endp: that was the last.
 */
struct list_cursor;
json_t *report_list(const struct broker *broker, uid_t uid, size_t max, struct list_cursor *cursor,
                    bool *endp);
/* Show: the VM with its limits and statistics as the kernel has them now. */
json_t *report_show(struct lease *lease);
/* May @uid see it? */
bool report_visible(const struct lease *lease, uid_t uid);
/* Adds to @object, which is returned, whether the lease is a reservation, or in one. */
json_t *report_add_reservation(json_t *object, const struct lease *lease);
/* Does this host have such an axis, and are people shown it? */
bool report_counts(const struct broker *broker, enum resource resource);

#endif

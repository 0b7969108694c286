/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_REPORT_RESOURCES_H
#define PROVIUM_BROKER_REPORT_RESOURCES_H

/*
 * What a host has, what is sold of it, and to whom: for the method Resources in one go, for HTTP as
 * a text that is made in small steps. Either tells the books of one moment, so the sum of what is
 * listed is what is said to be sold.
 */

#include <jansson.h>
#include <sys/types.h>

#include <base/macro.h>

struct broker;
struct resources_report;

/* {resources: ...} for @uid (root: every VM; others: their own); @instance (NULL: all) names the
 * one VM, by name or id, whose allocation is told. New reference, NULL when out of memory. */
json_t *report_resources(struct broker *broker, uid_t uid, const char *instance);

/* The same, to be told later. NULL: out of memory. */
struct resources_report *resources_report_new(struct broker *broker, uid_t uid,
                                              const char *instance);
struct resources_report *resources_report_free(struct resources_report *report);

/* Makes a small part of the text. With the last it gives all of it, malloc'd, a line: what is in
 * "resources". Negative: out of memory. */
_must_check_ int resources_report_step(struct resources_report *report, char **bodyp,
                                       size_t *lengthp);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_PLAN_H
#define PROVIUM_BROKER_PLAN_H

/*
 * What a launch would make, by name and value, before anything is made: for a dry run. The values
 * come from the functions that a launch writes from. What is only known then stands in angle
 * brackets: <id>, sixteen characters that are drawn, and what is derived from it.
 */

#include <jansson.h>

struct lease;

/*
 * {"cgroups": [{"path", "files": {NAME: VALUE}}...], "links": [{"kind", ...}...]}: the slice's
 * group with its weights as they would be then, the VM's; taps, qdiscs, classes and redirects. New
 * reference, or NULL.
 */
json_t *plan_objects(struct lease *lease);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_CONFINE_H
#define PROVIUM_BROKER_CONFINE_H

/* The limits of a new group, of a VM or a reservation. */

#include <base/macro.h>

struct lease;
struct why;

/* Writes them and reads them back; or what can be of them, if the policy says best effort: then the
 * lease says what is missing. Answers CGROUP_E_LIMIT, GONE. */
_must_check_ int confine_group(struct lease *lease, struct why *why);

#endif

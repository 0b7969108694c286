/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_ERRAND_QUOTA_H
#define PROVIUM_LAUNCHER_ERRAND_QUOTA_H

#include <launcher/child_quota.h>

struct wire_answer;
struct wire_message;

#define ERRAND_QUOTA_FILES_MAX CHILD_QUOTA_FILES_MAX

/*
 * The errand WIRE_UNQUOTA, as launcher/errands calls it: takes regular files out of a project of
 * ours, and the project's limit from its file system. It begins a thread, for both may wait for the
 * disk. The first descriptor is told a struct wire_unquota in the end, and closed; closed without
 * that means that the launcher has ended, or was executed anew.
 */
_must_check_ int errand_unquota(struct wire_message *message, struct wire_answer *answer, int *fdp);

#endif

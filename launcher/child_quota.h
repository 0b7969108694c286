/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_CHILD_QUOTA_H
#define PROVIUM_LAUNCHER_CHILD_QUOTA_H

#include <sys/types.h>

#include <base/macro.h>

#define CHILD_QUOTA_FILES_MAX 16
#define CHILD_PATH_MAX 32
#define CHILD_PROJECT_MIN UINT32_C(0x40000000) /* ours: from here, 2^30 of them */
#define CHILD_PROJECT_MAX UINT32_C(0x7fffffff)

/*
 * A project quota on the VM's own images. A file is put under it if the VM's user owns it (or the
 * caller, of one that is opened for writing by the caller's right: launcher/child_open) and may
 * write it, and no living project has it: base images, which others own or nobody may write, are
 * not counted against anybody. A project with a limit is a living one; a file may keep the number
 * of one that is not.
 *
 * Where the file system has no project quota in force, nothing is changed and the note's
 * quota_refused says why; that is no failure of the step. EDQUOT is: the files are larger than the
 * limit as they are.
 */
struct child_quota {
        uint32_t project;
        uint64_t limit_kib;
        uid_t uid;      /* the VM's user */
        size_t n_files; /* on one file system */
        int fds[CHILD_QUOTA_FILES_MAX];
        char paths[CHILD_QUOTA_FILES_MAX][CHILD_PATH_MAX]; /* "/proc/self/fd/N": spawn_start()'s */
        uid_t owners[CHILD_QUOTA_FILES_MAX];               /* who else may own it: see above */
};

struct child_note;

/* Runs in the child. Answers a negative errno. */
long child_set_quota(const struct child_quota *quota, struct child_note *note);

#endif

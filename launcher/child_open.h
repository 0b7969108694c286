/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_CHILD_OPEN_H
#define PROVIUM_LAUNCHER_CHILD_OPEN_H

#include <sys/types.h>

#include <base/macro.h>

#define CHILD_OPEN_MAX 16

/* A file that is held by an O_PATH descriptor, to be open under the same number. */
struct child_file {
        int fd;
        bool read_only;
        char path[32]; /* "/proc/self/fd/N": spawn_start()'s */
        unsigned name; /* for people: the number of the disk */
};

/*
 * Files that the hypervisor is given open, by the right of who asked for the VM, not of who it runs
 * as: so an image may be one that only the caller can open, and the VM's user reaches this file and
 * no other of theirs. It is the child that opens them, because an open may wait for a disk or a
 * file server for ever.
 */
struct child_open {
        uid_t uid; /* the caller's, as the socket told them */
        gid_t gid;
        const gid_t *groups;
        size_t n_groups;
        size_t n_files;
        struct child_file files[CHILD_OPEN_MAX];
};

struct child_note;

/* Runs in the child, as root. Answers a negative errno. */
long child_open_files(const struct child_open *open, struct child_note *note);

#endif

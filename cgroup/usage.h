/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CGROUP_USAGE_H
#define PROVIUM_CGROUP_USAGE_H

/*
 * What a group has used up to now, as numbers, for whoever looks at a thousand of them: each file
 * is opened, read once and closed. Who looks again and again keeps the files: that spares two of
 * three system calls, the dear ones, and holds a page of the kernel's for each, 40 KiB for a VM.
 *
 * What a file does not say, or a kernel does not have, is not known: its bit is not set, and its
 * number means nothing. Touches no memory but what it is given: several threads may be in here.
 *
 * See Documentation/admin-guide/cgroup-v2.rst and Documentation/accounting/psi.rst of Linux.
 */

#include <sys/types.h>

#include <base/macro.h>

enum usage_known {
        USAGE_CPU = 1 << 0,         /* cpu_usec */
        USAGE_PERIODS = 1 << 1,     /* periods, throttled_*; only where cpu.max is there */
        USAGE_MEMORY = 1 << 2,      /* memory_bytes */
        USAGE_MEMORY_PEAK = 1 << 3, /* memory_peak_bytes */
        USAGE_OOM = 1 << 4,         /* oom_kills */
        USAGE_PROCESSES = 1 << 5,   /* processes */
        USAGE_IO = 1 << 6,          /* first_disk, n_disks */
        USAGE_PSI_CPU = 1 << 7,     /* waiting_usec[] and stalled_usec[], by enum usage_psi */
        USAGE_PSI_MEMORY = 1 << 8,
        USAGE_PSI_IO = 1 << 9,
        USAGE_ALL = (1 << 10) - 1,
};
enum usage_psi { USAGE_WAITS_CPU, USAGE_WAITS_MEMORY, USAGE_WAITS_IO, _USAGE_PSI_N };

/* What it moved to and from one block device, as far as the group waited for the device itself:
 * what comes out of the page cache is nobody's I/O. */
struct usage_disk {
        dev_t dev;
        uint64_t read_bytes, written_bytes, discarded_bytes; /* since the group was made */
        uint64_t reads, writes, discards;
};

/* The disks of many groups, one after the other. */
struct usage_disks {
        struct usage_disk *list; /* owned */
        size_t n, room;
};

enum usage_file {
        USAGE_FILE_CPU,
        USAGE_FILE_MEMORY,
        USAGE_FILE_MEMORY_PEAK,
        USAGE_FILE_MEMORY_EVENTS,
        USAGE_FILE_PROCESSES,
        USAGE_FILE_IO,
        USAGE_FILE_PSI_CPU,
        USAGE_FILE_PSI_MEMORY,
        USAGE_FILE_PSI_IO,
        _USAGE_FILE_N,
};

/* A group's files, open. They do not keep the group from being removed; then they tell nothing. */
struct usage_files {
        int fd[_USAGE_FILE_N]; /* -1: not open (yet) */
};

struct usage {
        uint32_t known; /* of enum usage_known */
        uint64_t cpu_usec;
        uint64_t periods, throttled_periods, throttled_usec;
        uint64_t memory_bytes, memory_peak_bytes;
        uint64_t oom_kills;                  /* processes of it and of those below it */
        uint64_t processes;                  /* and threads */
        uint64_t waiting_usec[_USAGE_PSI_N]; /* some task waited for it */
        uint64_t stalled_usec[_USAGE_PSI_N]; /* all of them did */
        size_t first_disk, n_disks;          /* in the list that was passed */
};

/*
 * Reads what is @wanted (of enum usage_known; USAGE_CPU always) of the group at @path below
 * @dir_fd, and adds its disks to @disks. False: there is no such group (any more). @files are those
 * of this group from the last time, or none yet, and are kept for the next; NULL: each is closed
 * again.
 */
_must_check_ bool usage_read(int dir_fd, const char *path, uint32_t wanted,
                             struct usage_files *files, struct usage *usage,
                             struct usage_disks *disks);
void usage_files_init(struct usage_files *files);
/* Closes what is open. */
void usage_files_deinit(struct usage_files *files);
void usage_disks_deinit(struct usage_disks *disks);

#endif

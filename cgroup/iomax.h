/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CGROUP_IOMAX_H
#define PROVIUM_CGROUP_IOMAX_H

/*
 * A group's limits on one block device (io.max), what it has used of it (io.stat), and its weight
 * against its neighbours (io.weight).
 *
 * io.max takes whole disks only (ENODEV for a partition; cgroup/resolve finds them), counts what
 * the group and those below it do together, and counts buffered writes only while the memory
 * controller is on for the group, too. Direct and buffered I/O are both held.
 *
 * Never change a limit under load: requests that are already waiting keep to the old rate, stall
 * for seconds, or the new limit is lost (Linux 6.1). The group is to be frozen around the write:
 * see cgroup/freeze.h. Before the group's first process there is nothing to freeze.
 */

#include <sys/types.h>

#include <cgroup/cgroup.h>

#define IO_NO_LIMIT UINT64_MAX /* "max" */

/* Each at least 1, or IO_NO_LIMIT. */
struct io_limit {
        uint64_t read_bytes_per_s;
        uint64_t write_bytes_per_s;
        uint64_t read_ios_per_s;
        uint64_t write_ios_per_s;
};

#define IO_UNLIMITED                                                                               \
        {                                                                                          \
                .read_bytes_per_s = IO_NO_LIMIT, .write_bytes_per_s = IO_NO_LIMIT,                 \
                .read_ios_per_s = IO_NO_LIMIT, .write_ios_per_s = IO_NO_LIMIT                      \
        }

/* Since the group was made. */
struct io_use {
        uint64_t read_bytes;
        uint64_t write_bytes;
        uint64_t read_ios;
        uint64_t write_ios;
};

/*
 * Writes all four limits for @dev in one write, reads them back and compares. Answers LIMIT (the
 * kernel refuses, or reads otherwise: a sentence says which), GONE.
 */
_must_check_ int iomax_apply(int dir_fd, dev_t dev, const struct io_limit *limit, struct why *why);

/* Reads the limits for @dev; a device without a line has none. Answers GONE, HOST. */
_must_check_ int iomax_read(int dir_fd, dev_t dev, struct io_limit *limit, struct why *why);

/* Compares the group's limits for @dev with @limit without writing. Answers LIMIT, GONE, HOST. */
_must_check_ int iomax_verify(int dir_fd, dev_t dev, const struct io_limit *limit, struct why *why);

/* Calls @fn for each device that has a limit in this group. Answers GONE, HOST. */
typedef void (*iomax_fn)(void *userdata, dev_t dev, const struct io_limit *limit);
_must_check_ int iomax_each(int dir_fd, iomax_fn fn, void *userdata, struct why *why);

/* What the group and those below it have moved to and from @dev; no line: zeros. Answers GONE,
 * HOST. */
_must_check_ int iostat_read(int dir_fd, dev_t dev, struct io_use *use, struct why *why);

/*
 * Sets the group's share of a busy disk, 1..10000 (100 is the kernel's default): io.weight where
 * the kernel has it (io.cost), else io.bfq.weight, which ends at 1000 and is scaled. *@setp tells
 * whether there was one; either acts only where the disk's controller or scheduler is in use.
 * Answers LIMIT, GONE.
 */
_must_check_ int ioweight_apply(int dir_fd, uint64_t weight, bool *setp, struct why *why);

/*
 * The parser beneath, for one line of io.max ("8:16 rbps=max wbps=1048576 riops=max wiops=120"),
 * without its newline. Keys it does not know are passed over; one of the four that is missing has
 * no limit. False, with nothing set, if it is no such line.
 */
_must_check_ bool iomax_parse(const char *line, size_t length, dev_t *devp,
                              struct io_limit *limitp);

/* The same for io.stat ("8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0 ..."). */
_must_check_ bool iostat_parse(const char *line, size_t length, dev_t *devp, struct io_use *usep);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_USAGE_MEASURE_H
#define PROVIUM_BROKER_USAGE_MEASURE_H

/*
 * What a VM was sold and has used, from where it is kept: its record, its group, its taps.
 *
 * The group counts CPU time, memory's peak and bytes of disks, with those processes that are gone,
 * until it is removed. Bytes count on the disks at the bottom: what goes through device mapper, md
 * or a loop device is counted there, too, and once is enough. Pages that are written back after the
 * group is gone belong to nobody.
 *
 * A tap goes with its last descriptor, but the news of its end carries its counters, and is in our
 * socket before the group is empty. Only where no broker listened at that moment are they lost:
 * then the classes on the IFB still know the upload, and the figures are marked as lower bounds.
 *
 * How many bytes of memory were used when, nobody knows without looking all the time; so there is
 * the peak, and the time for which memory was claimed.
 */

#include <broker/lease.h>
#include <broker/usage_line.h>

/* Notes in @record what it was sold so far, before its claim is changed. */
void usage_count_claim(struct record *record, uint64_t now_usec);

/* Who it is, and what it was sold until now. */
void usage_measure_claim(const struct record *record, const struct demand *charge,
                         struct usage_line *line);

/* CPU time, peak of memory, bytes of disks; -1: there is no group any more. */
void usage_measure_group(int dir_fd, const char *sys_dir, struct usage_line *line);

/* At its end: what its taps have carried. */
void usage_measure_taps(struct lease *lease, struct usage_line *line);

/* While it runs, by names, in any thread. */
struct usage_tap {
        char name[IF_NAMESIZE];
        int ifindex; /* 0: it is gone */
        bool counted;
        uint64_t download_bytes, upload_bytes; /* if it is gone */
};
struct usage_taps {
        size_t n;
        struct usage_tap tap[SHAPE_TAPS_MAX];
};
void usage_find_taps(const struct lease *lease, struct usage_taps *taps);
void usage_measure_links(const struct usage_taps *taps, const char *sys_dir,
                         struct usage_line *line);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_USAGE_LOG_H
#define PROVIUM_BROKER_USAGE_LOG_H

/*
 * The files of the usage log: "usage.log" and, when that is full, "usage.log.1", "usage.log.2" and
 * so on, the older the higher; what is older than the last goes. Everything here waits for a disk:
 * it is for threads.
 *
 * What a crash leaves: at most a last line that is torn, which the next append ends with a newline
 * and every reader passes over; and between two renames a number that is missing, which the next
 * turn fills. A line is whole on the disk when usage_log_append() has answered 0, and may be there
 * otherwise; so who is not sure appends it again, and a reader goes by the lease's id. Read from
 * the newest to the oldest, a turn of the files meanwhile can show lines twice, but hide none.
 */

#include <base/macro.h>

#define USAGE_LOG_NAME "usage.log"
#define USAGE_LOG_FILES_MAX 64 /* older files */

struct usage_log {
        const char *directory; /* made if it is not there, but not those above it */
        uint64_t file_bytes;   /* how long a file may get; a single line may be longer */
        unsigned older;        /* files that are kept beside the newest, 1 to USAGE_LOG_FILES_MAX */
};

/*
 * Appends whole lines, in one write, and waits until they are on the disk. Answers the errno; then
 * what was written is taken back as far as it can be.
 */
_must_check_ int usage_log_append(const struct usage_log *log, const char *lines, size_t length);

/*
 * Calls @fn with each line, without its newline, from the newest to the oldest; false from it ends
 * the reading. A log that is not there has no lines. Answers the errno of what could not be read;
 * negative: out of memory.
 */
typedef bool (*usage_log_fn)(void *userdata, const char *line, size_t length);
_must_check_ int usage_log_read(const struct usage_log *log, usage_log_fn fn, void *userdata);

#endif

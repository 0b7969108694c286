/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_TRACE_READ_H
#define PROVIUM_CLI_TRACE_READ_H

/*
 * A trace from a file. Two forms are read, and told apart by the first character: CSV with a line
 * that names its columns; or the events of a broker, as `provium events` prints (--json) or saves
 * them
 * (--save-events): one object a line, or MessagePack frames. Empty lines, and those that begin with
 * #, are passed over. Events may be cut off in the middle of the last one: it is counted.
 *
 * Nothing is guessed: the first thing that is not understood ends the reading, with the number of
 * its line and what is valid. Everything is bounded, so that a wrong file costs a sentence.
 */

#include <cli/trace.h>

#define TRACE_LINE_MAX 65536

/*
 * Reads all of @fd. @progress (NULL: nobody) is called now and then with the number of rows.
 * Answers TRACE_E_INVALID, with a sentence that begins with the number of the line, and
 * TRACE_E_READ; leaves @trace for trace_deinit() in any case; negative: out of memory.
 */
_must_check_ int trace_read(struct trace *trace, int fd,
                            void (*progress)(void *userdata, uint64_t rows), void *userdata,
                            struct why *why);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_TOP_COLUMN_H
#define PROVIUM_CLI_TOP_COLUMN_H

/*
 * The columns of VMs: what they are called, what is in them, how they order. One table; help, the
 * option --sort and the screen come from it.
 */
#include <cli/top_model.h>
#include <cli/users.h>

struct why;

enum top_column {
        TOP_NAME,
        TOP_SLICE,
        TOP_USER,
        TOP_STATE,
        TOP_CPU,
        TOP_CPU_SHARE,
        TOP_CPU_BAR,
        TOP_HELD,
        TOP_MEMORY,
        TOP_MEMORY_SHARE,
        TOP_MEMORY_BAR,
        TOP_DISK_IO,
        TOP_READ,
        TOP_WRITE,
        TOP_NET,
        TOP_DOWN,
        TOP_UP,
        TOP_AGE,
        TOP_PID,
        TOP_COMMAND,
        _TOP_COLUMN_N,
};

enum {
        _TOP_COLUMN_E_SUCCESS,
        TOP_COLUMN_E_UNKNOWN, /* no column is called that */
};

struct top_column_info {
        const char *title;
        const char *name; /* for --sort; NULL: nothing sorts by it */
        int width, grow;  /* at least, and by how much more it may become */
        int rank;         /* the lower ones are shown on narrower screens */
        bool right;
};

extern const struct top_column_info top_columns[_TOP_COLUMN_N];

/* By the name for --sort. Answers TOP_COLUMN_E_UNKNOWN with a sentence that lists all. */
_must_check_ int top_column_parse(const char *text, enum top_column *columnp, struct why *why);
/* The one before or behind @column that sorts. */
enum top_column top_column_step(enum top_column column, int step);

/* What is in the column, fit for a terminal: in @buffer of HUMAN_TEXT_MAX bytes, or else. Bars are
 * drawn elsewhere. */
const char *top_column_format(enum top_column column, const struct top_vm *vm, struct users *users,
                              char *buffer);

/*
 * Below, equal to or above 0 as @a is to be listed before @b: numbers largest first, texts by the
 * alphabet; what is unknown comes last. VMs that are equal are ordered by name, then by id.
 */
int top_column_compare(enum top_column column, bool reverse, const struct top_vm *a,
                       const struct top_vm *b);

/* "0.98", "12.3", "128": CPUs in a few places. "12M": a rate without its unit. "-" if unknown. */
const char *top_format_cpu(uint64_t milli, char *buffer, size_t size);
const char *top_format_rate(uint64_t bytes_per_s, char *buffer, size_t size);
const char *top_format_size(uint64_t bytes, char *buffer, size_t size);
/* "98%" */
const char *top_format_share(uint64_t permille, char *buffer, size_t size);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_TRACE_CSV_H
#define PROVIUM_CLI_TRACE_CSV_H

/*
 * A trace as CSV (RFC 4180, one record a line), read with libcsv.
 */

#include <csv.h>

#include <base/macro.h>

struct trace;
struct why;

#define TRACE_CSV_COLUMNS                                                                          \
        "arrival_s,duration_s,cpus,memory,priority, and if wanted "                                \
        "disk_io,download,upload,disk,gpus,user,slice"
#define TRACE_CSV_FIELDS_MAX 64

struct trace_csv {
        struct csv_parser parser;
        bool started; /* the parser is there */
        bool headed;  /* the columns are known */
        unsigned columns[TRACE_CSV_FIELDS_MAX];
        size_t n_columns;

        /* Of the line being read; in memory of the parser's, which is used again. */
        char *text; /* the fields one after the other, a NUL behind each */
        size_t used, size;
        size_t fields[TRACE_CSV_FIELDS_MAX]; /* where each begins */
        size_t n_fields;
        bool ended, too_many, has_nul, no_memory;
};

/* Takes one line without its end. All 0 is a new one. Answers TRACE_E_INVALID; negative: out of
 * memory. */
_must_check_ int trace_csv_line(struct trace_csv *csv, struct trace *trace, const char *text,
                                uint32_t line, struct why *why);
void trace_csv_deinit(struct trace_csv *csv);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_USAGE_LINE_H
#define PROVIUM_BROKER_USAGE_LINE_H

/*
 * One line of the usage log: what a VM was sold, and what it used, from its grant to its end. A
 * JSON object, so that others can read it as well; a member that is not known is passed over, so
 * that an older broker reads a newer one's log.
 */

#include <base/demand.h>
#include <base/text.h>

struct why;

#define USAGE_LINE_MAX 1024 /* bytes, with the newline and a NUL */
#define USAGE_ID_MAX 16

/* Figures that are lower bounds: what is known of them, while more may have been used. */
enum {
        USAGE_LEAST_CPU = 1 << 0,
        USAGE_LEAST_DISK = 1 << 1,
        USAGE_LEAST_NETWORK = 1 << 2,
};

struct usage_line {
        char id[USAGE_ID_MAX + 1];
        char vm[TEXT_NAME_MAX + 1], slice[TEXT_NAME_MAX + 1];
        uid_t uid;
        bool running;        /* not its end, but how far it had come */
        uint64_t end_ns;     /* CLOCK_REALTIME: when the charge went back */
        uint64_t held_usec;  /* for so long it had been held; by CLOCK_BOOTTIME */
        struct demand claim; /* the charge at the end */

        /* claim x time, through all changes of the claim */
        uint64_t claimed_cpu_usec, claimed_memory_mib_ms;

        uint64_t cpu_usec; /* user and system */
        uint64_t memory_peak_bytes;
        uint64_t read_bytes, write_bytes;
        uint64_t download_bytes, upload_bytes; /* as the VM sees it */
        unsigned least;                        /* USAGE_LEAST_* */

        char reason[32]; /* "exit", "kill", ... */
        int exit_code;   /* -1: it is not known, or was a signal */
        int signal;      /* 0: none */
        bool oom;
};

#define USAGE_LINE_NULL                                                                            \
        { .exit_code = -1 }

/* @memory_bytes held for @usec, in MiB x ms: 64 bits last for 280 TiB a year. */
uint64_t usage_memory_time(uint64_t memory_bytes, uint64_t usec);

/* Formats @line with its newline; returns the length, which is less than USAGE_LINE_MAX. */
_must_check_ size_t usage_line_format(const struct usage_line *line, char text[USAGE_LINE_MAX]);

/* Parses one line, without its newline. False, with nothing set, if it is none, or a torn one, or
 * holds what cannot be. */
_must_check_ bool usage_line_parse(struct usage_line *line, const char *text, size_t length);

#endif

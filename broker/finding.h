/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_FINDING_H
#define PROVIUM_BROKER_FINDING_H

/*
 * What a check of broker/doctor has found: a verdict, a sentence, and the line that mends it.
 */

#include <jansson.h>

#include <base/macro.h>

struct broker;

struct findings {
        struct broker *broker; /* to be looked at; borrowed */
        const char *check;     /* the one that runs, as users know it */
        json_t *list;
};

#define FINDING_MEND_MAX 512

/* Read a small file below the directory @dir (options->proc_dir, sys_dir). Answer as base/file:
 * 0 or a positive errno. */
_must_check_ int finding_read(const char *dir, const char *name, char *buffer, size_t size);
_must_check_ int finding_read_number(const char *dir, const char *name, uint64_t *valuep);

/* Has the host a device of that name below its /dev? */
bool finding_device(const struct findings *findings, const char *name);

/* As it should be. */
void finding_ok(struct findings *findings, const char *format, ...) _printf_(2, 3);
/* Less than could be, or a risk that the operator should know. @mend: a command, or a line of a
 * configuration; "": nothing mends it. */
void finding_warning(struct findings *findings, const char *mend, const char *format, ...)
        _printf_(3, 4);
/* Something that was promised cannot be kept. */
void finding_problem(struct findings *findings, const char *mend, const char *format, ...)
        _printf_(3, 4);

#endif

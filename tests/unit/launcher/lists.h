/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TESTS_LAUNCHER_LISTS_H
#define PROVIUM_TESTS_LAUNCHER_LISTS_H

/*
 * Lists of system calls for tests, in memory: the first is what is read, the others what it may
 * include.
 */

#include <base/why.h>
#include <launcher/seccomp_program.h>

struct text {
        const char *name, *text;
};

/* Parses the list "a" of @texts, which end with one without a name. */
int lists_parse(struct seccomp_list *listp, const struct text *texts, struct why *why);

/* Parses @text, or has the running test fail. */
void lists_need(struct seccomp_list *listp, const char *text);

#endif

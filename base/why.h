/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BASE_WHY_H
#define PROVIUM_BASE_WHY_H

/*
 * An answer and its reason. A module that says no returns a positive value of its own enum and
 * fills a struct why with one sentence for a person, and with the kernel's errno if the kernel was
 * the one that refused. The caller matches on the value; the text is carried to whoever asked.
 */

#include <base/macro.h>

#define WHY_TEXT_MAX 512

struct why {
        int code;                /* the answer, out of the module's enum; 0: none given */
        int errnum;              /* the kernel's errno, positive; 0: not the kernel's refusal */
        char text[WHY_TEXT_MAX]; /* one sentence without a full stop; cut at the end if longer */
};

/* Notes answer @code with a sentence; @why may be NULL. Returns @code. */
int why_set(struct why *why, int code, const char *format, ...) _printf_(3, 4);

/* The same for a refusal by the kernel: the text of @errnum is appended. Returns @code. */
int why_errno(struct why *why, int code, int errnum, const char *format, ...) _printf_(4, 5);

#endif

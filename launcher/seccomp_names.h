/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_SECCOMP_NAMES_H
#define PROVIUM_LAUNCHER_SECCOMP_NAMES_H

/*
 * The words of a list of system calls and the numbers behind them: calls as libseccomp knows them,
 * errnos as the C library names them, and a small table of constants that arguments are compared
 * with.
 */

#include <base/macro.h>

#define SECCOMP_NAME_MAX 64 /* bytes of a call's name, with the NUL */

/*
 * The number of call @name on the architecture we are built for. False if libseccomp does not know
 * it, or only on other architectures.
 */
_must_check_ bool seccomp_names_call(const char *name, int *numberp);

/* The name of call @number, false if libseccomp knows none. */
_must_check_ bool seccomp_names_show_call(int number, char name[SECCOMP_NAME_MAX]);

/* The number of errno @name ("EPERM"); false if there is none. */
_must_check_ bool seccomp_names_errno(const char *name, int *errnump);

/*
 * The value of constant @name ("AF_PACKET"). *intp: the kernel takes the arguments it is made for
 * as an int, so that the upper half of such an argument means nothing.
 */
_must_check_ bool seccomp_names_constant(const char *name, uint64_t *valuep, bool *intp);

/* The name of a constant made for ints that begins with @prefix and has @value; NULL: none. */
const char *seccomp_names_show_constant(const char *prefix, uint32_t value);

#endif

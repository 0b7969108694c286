/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_SECCOMP_LEARN_H
#define PROVIUM_LAUNCHER_SECCOMP_LEARN_H

/*
 * A list of system calls (launcher/seccomp_list.h) out of what a program was seen to call: a draft
 * for a person. It allows whole calls, whatever their arguments, and knows only what happened.
 */

#include <base/macro.h>

#define SECCOMP_LEARN_MAX 1024 /* different numbers; there are about 360 */

/*
 * Writes a list that allows the @n calls @numbers (any order, any number of times), those that
 * recorders do not see (exit, exit_group, rt_sigreturn, restart_syscall), and nothing else: its
 * default is ENOSYS, on which the C library tries older calls. Numbers for which libseccomp has no
 * name are left in a comment, and those behind SECCOMP_LEARN_MAX different ones left out. *textp
 * is the caller's to free(); seccomp_list_parse() takes it. Negative if out of memory.
 */
_must_check_ int seccomp_learn_format(char **textp, const int *numbers, size_t n);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_SECCOMP_PROGRAM_H
#define PROVIUM_LAUNCHER_SECCOMP_PROGRAM_H

/*
 * From a readable list of system calls (launcher/seccomp_list.h) to the program that the kernel
 * runs at each call. It is made by libseccomp here, in the parent; the child between clone and exec
 * needs two bare calls on it: prctl(PR_SET_NO_NEW_PRIVS) and seccomp(SECCOMP_SET_MODE_FILTER, 0,
 * &program.bpf).
 *
 * Not every list can be compiled: where a call has several rules with conditions, each may only
 * test one argument, and '!=' of an int or after '&' stands alone. libseccomp 2.5.4 is wrong, or
 * takes seconds, beyond that; what it cannot do is refused with a sentence.
 *
 * Calls of another architecture than ours (i386, x32) kill the process, whatever the list says:
 * their numbers mean other calls. The filter is in force from the child's execve on, so every list
 * for programs has to allow that.
 */

#include <linux/filter.h>

#include <launcher/seccomp_list.h>

/*
 * Tests of arguments, to which the rules of one call and those of a list are taken apart. What
 * libseccomp needs for them grows faster than their number: 0.2 s for 512 of the worst kind.
 */
#define SECCOMP_TESTS_MAX 256
#define SECCOMP_ADDED_MAX 512

struct seccomp_program {
        struct sock_fprog bpf; /* len 0: none */
};

#define SECCOMP_PROGRAM_NULL                                                                       \
        {}

/*
 * Loads list @name from the first of @dirs (paths, NULL-terminated) that has it, with what it
 * includes, each from the first that has it, and compiles it. What lies there is believed only if
 * root alone can write it (when we are root), and never through a symbolic link.
 *
 * Fills *programp, which the caller releases with seccomp_program_deinit(), only if it returns 0.
 * Answers SECCOMP_E_*; negative if out of memory. Reads files and computes for about a millisecond:
 * for the load of policies, not for the start of a VM.
 */
_must_check_ int seccomp_program_load(struct seccomp_program *programp, const char *const *dirs,
                                      const char *name, struct why *why);

/* Compiles @list; otherwise as above. */
_must_check_ int seccomp_program_compile(struct seccomp_program *programp,
                                         const struct seccomp_list *list, struct why *why);

/* May be repeated. */
void seccomp_program_deinit(struct seccomp_program *program);

#endif

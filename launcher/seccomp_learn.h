/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_SECCOMP_LEARN_H
#define PROVIUM_LAUNCHER_SECCOMP_LEARN_H

/*
 * A list of system calls (launcher/seccomp_list.h) out of what a program was seen to call: a draft
 * for a person. It knows only what happened. Calls are allowed whatever their arguments, but for
 * those that are many calls in one: of ioctl the requests that were seen, of socket and socketpair
 * the families, of prctl and personality the first argument, of clone whether it made threads,
 * processes, or namespaces.
 */

#include <launcher/seccomp_rule.h>

#define SECCOMP_LEARN_MAX 1024  /* numbers below this are kept; there are about 360 calls */
#define SECCOMP_LEARN_VALUES 64 /* of one argument; when more are seen, all are allowed */
#define SECCOMP_LEARN_TOLD 5    /* calls of which an argument is kept */

struct seccomp_learned {
        bool called[SECCOMP_LEARN_MAX];
        size_t n_called; /* different ones */
        bool beyond;     /* numbers that no kernel has were seen, too */
        struct {
                uint32_t values[SECCOMP_LEARN_VALUES];
                size_t n;
                bool more;
        } told[SECCOMP_LEARN_TOLD];
        bool threads, processes, namespaces; /* that clone made */
};

/* Notes one call. */
void seccomp_learn_note(struct seccomp_learned *learned, int number,
                        const uint64_t arguments[SECCOMP_ARGUMENTS]);

/*
 * Writes a list that allows what was noted, and what recorders do not see (ways to end, to return
 * from signals, and clocks that are read without the kernel), and nothing else: its default is
 * ENOSYS, on which the C library tries older calls. Numbers for which libseccomp has no name are
 * left in a comment. *textp is the caller's to free(); seccomp_list_parse() takes it, and
 * seccomp_program_compile() what it makes of it. Negative if out of memory.
 */
_must_check_ int seccomp_learn_format(char **textp, const struct seccomp_learned *learned);

#endif

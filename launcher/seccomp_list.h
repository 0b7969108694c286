/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_SECCOMP_LIST_H
#define PROVIUM_LAUNCHER_SECCOMP_LIST_H

/*
 * A list of system calls as people write it, one statement a line:
 *
 *         default errno ENOSYS                    # what is not mentioned
 *         include base                            # other lists
 *         allow read write ?futex_waitv           # ?: if this libseccomp knows it
 *         allow clone if arg0 & CLONE_THREAD == CLONE_THREAD
 *         errno EPERM socket if arg0 == AF_PACKET and arg1 == 3
 *         log personality
 *         kill ptrace
 *
 * The order of lines means nothing. A call has either one action, or several under conditions that
 * exclude each other, and the default where none of them holds; anything else is refused, because
 * libseccomp leaves open which of two rules wins. What a list says itself about a call replaces all
 * that its includes say about it, and so does its default; included lists that contradict each
 * other are an error unless the list that includes them decides.
 *
 * Everything is bounded, and every refusal is a sentence with file and line.
 */

#include <launcher/seccomp_rule.h>

#define SECCOMP_FILE_MAX (64 * 1024) /* bytes of one list */
#define SECCOMP_LINE_MAX 1023        /* bytes of one line, without its end */
#define SECCOMP_FILES_MAX 32         /* lists read for one, itself included */
#define SECCOMP_DEPTH_MAX 8          /* lists that include each other in a row */
#define SECCOMP_RULES_MAX 2048       /* calls named in all of them, one name counted once a line */
#define SECCOMP_PATH_MAX 256

/*
 * Finds the text of list @name: gives a malloc'd *textp with its *lengthp, and its path for
 * sentences. Answers as seccomp_list_parse(), with a sentence that does not know who wants it.
 */
typedef int (*seccomp_read_fn)(void *userdata, const char *name, char **textp, size_t *lengthp,
                               char path[SECCOMP_PATH_MAX], struct why *why);

struct seccomp_list {
        struct seccomp_verdict otherwise; /* the default */
        struct seccomp_rule *rules;
        size_t n_rules, n_allocated;
        char (*paths)[SECCOMP_PATH_MAX]; /* of the files, by seccomp_rule.file */
        size_t n_paths;
};

#define SECCOMP_LIST_NULL                                                                          \
        {}

/*
 * Reads list @name and what it includes, by @read. Fills *listp, which the caller releases with
 * seccomp_list_deinit(), only if it returns 0. Answers SECCOMP_E_*; negative if out of memory.
 */
_must_check_ int seccomp_list_parse(struct seccomp_list *listp, const char *name,
                                    seccomp_read_fn read, void *userdata, struct why *why);

/* What the list says about a call: the meaning of the format, beside which a program is tested. */
struct seccomp_verdict seccomp_list_judge(const struct seccomp_list *list, int number,
                                          const uint64_t arguments[SECCOMP_ARGUMENTS]);

/* May be repeated. */
void seccomp_list_deinit(struct seccomp_list *list);

#endif

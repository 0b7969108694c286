/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_POLICIES_FILES_H
#define PROVIUM_POLICIES_FILES_H

/*
 * Directories and files that we are ready to believe. Everything is opened first, without following
 * a symbolic link, and then judged through the descriptor, so that no other can be read.
 *
 * What somebody else than root could have written is refused when we are root: whoever can write a
 * policy can have root start a program for him.
 */

#include <base/fd.h>

struct policy_errors;

#define FILES_PATH_MAX 512

struct dir {
        int fd; /* -1: there is none */
        char path[FILES_PATH_MAX];
};

#define DIR_NULL                                                                                   \
        { .fd = -1 }

/*
 * Opens directory @name below @parent (NULL: @name is a path, whose last part may be a symbolic
 * link). A missing one is no error: its fd is -1, and nothing is found in it. Whatever else is
 * wrong is noted in @errors, and the directory taken as missing.
 */
void dir_open(struct dir *dir, const struct dir *parent, const char *name,
              struct policy_errors *errors);
void dir_close(struct dir *dir); /* may be repeated */

/* Prints the path of @name in @dir, for messages; one that does not fit is cut. */
void dir_join(const struct dir *dir, const char *name, char path[FILES_PATH_MAX]);

/*
 * The names in @dir that end in @ending and do not begin with a dot, unsorted, added to *namesp,
 * which has *np, unless they are in it already. At most @max together; more is an error. Negative
 * if out of memory.
 */
_must_check_ int dir_list(const struct dir *dir, const char *ending, char ***namesp, size_t *np,
                          size_t max, struct policy_errors *errors);

/*
 * Reads file @name of @dir. Gives a malloc'd *textp (NULL if there is no such file, or if it is
 * refused: *foundp tells), and its *lengthp. Negative if out of memory.
 */
_must_check_ int file_load(const struct dir *dir, const char *name, bool *foundp, char **textp,
                           size_t *lengthp, struct policy_errors *errors);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_COMMAND_H
#define PROVIUM_LAUNCHER_COMMAND_H

/*
 * From what the user typed to what is executed: the words of the command with {cpus}, {mem.mib} and
 * the like replaced, and the places where its program may be found.
 *
 * Only the names in the table given are replaced; every other brace stays as it is, because
 * hypervisors take JSON on their command lines.
 */

#include <base/macro.h>

struct why;

#define COMMAND_BYTES_MAX (1024 * 1024) /* all words together, after replacement */
#define COMMAND_PATH_MAX 64             /* directories looked at in PATH */

enum {
        _COMMAND_E_SUCCESS,
        COMMAND_E_UNKNOWN, /* a placeholder this lease has nothing for, such as {tap} without a
                              network */
        COMMAND_E_TOO_BIG, /* too long after replacement */
};

struct placeholder {
        const char *name;  /* without braces; any characters but '}' */
        const char *value; /* NULL: known, but not part of this lease */
        const char *hint;  /* what would give it a value; NULL: nothing does */
        bool used;         /* set by command_expand() if the command asks for it */
};

/*
 * Expands @argv (NULL-terminated) with @table of @n placeholders into one allocation, *argvp, which
 * the caller frees with free(). Sets `used` in the table for what occurs, and leaves it alone for
 * the rest. Negative: out of memory.
 */
_must_check_ int command_expand(char *const *argv, struct placeholder *table, size_t n,
                                char ***argvp, struct why *why);

/*
 * The paths to try for @program, in order, NULL-terminated, in one allocation the caller frees:
 * itself if it holds a '/', else it in each directory of PATH in @envp (a default path if there is
 * none; empty and relative entries are left out). Negative: out of memory.
 */
_must_check_ int command_candidates(const char *program, char *const *envp, char ***pathsp);

#endif

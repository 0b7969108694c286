/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BASE_MACRO_H
#define PROVIUM_BASE_MACRO_H

/*
 * Ownership, cleanup and faults: the few macros the whole house uses.
 *
 * Errors have three kinds. 0 is done. A negative errno is a *fault*: we ourselves cannot go on, it
 * is raised once with fault() and passed up unmatched until the daemon leaves. A positive value is
 * an *answer* out of the enum of the module that gives it, made for the direct caller. A broken
 * invariant is an assert.
 */

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define _cleanup_(fn) __attribute__((__cleanup__(fn)))
#define _printf_(fmt, first) __attribute__((__format__(__printf__, fmt, first)))
#define _unused_ __attribute__((__unused__))
#define _must_check_ __attribute__((__warn_unused_result__))

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define container_of(pointer, type, member)                                                        \
        ((type *)((char *)(1 ? (pointer) : &((type *)0)->member) - offsetof(type, member)))

/* Moves a pointer out of a cleanup variable: gives its value, leaves NULL. */
#define take(pointer)                                                                              \
        ({                                                                                         \
                __typeof__(pointer) _taken = (pointer);                                            \
                (pointer) = NULL;                                                                  \
                _taken;                                                                            \
        })

/* Moves a descriptor out of a cleanup variable: gives its value, leaves -1. */
#define take_fd(fd)                                                                                \
        ({                                                                                         \
                int _taken = (fd);                                                                 \
                (fd) = -1;                                                                         \
                _taken;                                                                            \
        })

/* Raises a fault: @error is a negative errno. A place to put a breakpoint, and a word to grep. */
static inline int fault(int error) {
        assert(error < 0);
        return error;
}

static inline void freep(void *pointerp) {
        free(*(void **)pointerp);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b) {
        return a > b ? a : b;
}

#endif

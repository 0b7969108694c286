/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_BARE_H
#define PROVIUM_LAUNCHER_BARE_H

/*
 * System calls without the C library, for the child (launcher/child.h): each answers a negative
 * errno. For launcher/child*.c only.
 */

#include <sys/syscall.h>

/* No instrumentation and no stack guard: this code runs on memory another thread of control owns.
 */
#define _bare_                                                                                     \
        __attribute__((__no_sanitize__("address", "undefined"), __optimize__("no-stack-"           \
                                                                             "protector")))
#if defined(__clang__)
#undef _bare_
#define _bare_ __attribute__((__no_sanitize__("address", "undefined"), __no_stack_protector__))
#endif

static inline _bare_ long call5(long number, long a, long b, long c, long d, long e) {
        register long r10 __asm__("r10") = d;
        register long r8 __asm__("r8") = e;
        long result;

        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                         : "rcx", "r11", "memory");
        return result;
}

#define call(number, a, b, c) call5((number), (long)(a), (long)(b), (long)(c), 0, 0)

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_SECCOMP_RULE_H
#define PROVIUM_LAUNCHER_SECCOMP_RULE_H

/*
 * What is to be done with a system call, and under which conditions on its arguments.
 *
 * An argument is a register of 64 bits. Where the kernel takes an int of it, it ignores the upper
 * half: a filter that compares the whole register with TIOCSTI is passed by adding 2^32 to it. So
 * a condition has a mask, and one on an int looks at the lower half only.
 */

#include <base/macro.h>

struct why;

#define SECCOMP_ARGUMENTS 6

enum {
        _SECCOMP_E_SUCCESS,
        SECCOMP_E_MISSING, /* no list of this name */
        SECCOMP_E_INVALID, /* what a list says is not valid; the sentence names file and line */
        SECCOMP_E_HOST,    /* the kernel refused to open or read a list, or is too old for it */
};

enum seccomp_action {
        SECCOMP_ALLOW,
        SECCOMP_LOG,   /* allow, with a line in the kernel's log */
        SECCOMP_ERRNO, /* not done, fails with `errnum` */
        SECCOMP_KILL,  /* the whole process, by SIGSYS */
};

struct seccomp_verdict {
        enum seccomp_action action;
        int errnum; /* 0 unless SECCOMP_ERRNO */
};

enum seccomp_relation {
        SECCOMP_EQ,
        SECCOMP_NE,
        SECCOMP_LT,
        SECCOMP_LE,
        SECCOMP_GT,
        SECCOMP_GE,
};

/* (argument & mask) RELATION value; unsigned. With LT to GE the mask is all ones. */
struct seccomp_condition {
        unsigned argument; /* 0 to 5 */
        enum seccomp_relation relation;
        uint64_t mask;
        uint64_t value; /* within the mask */
};

/* Holds if all of its conditions do; each argument is in one of them at most. */
struct seccomp_rule {
        int number; /* of the call */
        struct seccomp_verdict verdict;
        size_t n_conditions; /* 0: always */
        struct seccomp_condition conditions[SECCOMP_ARGUMENTS];
        unsigned file, line; /* where it stands: for sentences */
};

_must_check_ bool seccomp_verdict_equal(struct seccomp_verdict a, struct seccomp_verdict b);

/*
 * Parses @text, "arg0 == 3 and int1 & 0xf != SOCK_RAW", to its end into the conditions of @rule.
 * intN is the lower half of argN; an argN that is compared with a constant made for ints is taken
 * as one. Answers SECCOMP_E_INVALID with a sentence that does not know the place.
 */
_must_check_ int seccomp_rule_parse_conditions(struct seccomp_rule *rule, const char *text,
                                               struct why *why);

/* Whether @rule holds for a call with these arguments. */
_must_check_ bool seccomp_rule_holds(const struct seccomp_rule *rule,
                                     const uint64_t arguments[SECCOMP_ARGUMENTS]);

/*
 * Whether no call can meet both rules, as far as is easily seen: if so, some argument has two
 * conditions that contradict each other. May say no although it is so, for a mask against a range.
 */
_must_check_ bool seccomp_rule_excludes(const struct seccomp_rule *a, const struct seccomp_rule *b);

/*
 * Copies the next word at *atp (blanks and operators end it; an operator is a word, too) into
 * @word and moves *atp behind it; "" at the end. What does not fit into @size bytes is cut.
 */
void seccomp_next_word(const char **atp, char *word, size_t size);

#endif

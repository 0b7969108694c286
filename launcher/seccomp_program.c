/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/text.h>
#include <base/why.h>
#include <launcher/seccomp_program.h>

static void seccomp_releasep(scmp_filter_ctx *filterp) {
        if (*filterp)
                seccomp_release(*filterp);
}

/* ---- from a list to a program -------------------------------------------------------------- */

static uint32_t action_of(struct seccomp_verdict verdict) {
        switch (verdict.action) {
        case SECCOMP_ALLOW:
                return SCMP_ACT_ALLOW;
        case SECCOMP_LOG:
                return SCMP_ACT_LOG;
        case SECCOMP_ERRNO:
                return SCMP_ACT_ERRNO((uint16_t)verdict.errnum);
        case SECCOMP_KILL:
                return SCMP_ACT_KILL_PROCESS;
        }
        return SCMP_ACT_KILL_PROCESS;
}

struct compiler {
        scmp_filter_ctx filter;
        size_t n_added; /* with conditions */
        bool is_alone;  /* the rule at hand is the only one of its call */
};

struct pattern {
        uint64_t mask, value; /* argument & mask == value */
};

#define PATTERNS_MAX 128 /* a range of 64 bits has fewer than 2 * 64 */

/* The range @low to @high, both included, as patterns of leading bits, as routers do it. */
static size_t split_range(uint64_t low, uint64_t high, struct pattern patterns[PATTERNS_MAX]) {
        size_t n = 0;

        for (;;) {
                uint64_t rest = 0; /* the bits below the leading ones */

                while (rest != UINT64_MAX && (low & (rest << 1 | 1)) == 0 &&
                       (rest << 1 | 1) <= high - low)
                        rest = rest << 1 | 1;
                assert(n < PATTERNS_MAX);
                patterns[n++] = (struct pattern){~rest, low};
                if (high - low == rest)
                        return n;
                low += rest + 1;
        }
}

/* What "!=" under a mask means: one of its bits is the other way round. */
static size_t split_bits(uint64_t mask, uint64_t value, struct pattern patterns[PATTERNS_MAX]) {
        size_t n = 0;

        for (uint64_t rest = mask; rest; rest &= rest - 1) {
                uint64_t bit = rest & -rest;

                patterns[n++] = (struct pattern){bit, ~value & bit};
        }
        return n;
}

/*
 * The patterns of which one is met where @condition holds.
 *
 * libseccomp has "<" and the like, too, but where several rules of one call have them, 2.5.4 makes
 * programs that decide otherwise than the rules say (of "<= 0xfdffffff" and ">= 0x100000000", it
 * forgets one; tests/fuzz found it). With patterns alone it is right.
 */
static size_t split(const struct seccomp_condition *condition,
                    struct pattern patterns[PATTERNS_MAX]) {
        uint64_t value = condition->value;

        switch (condition->relation) {
        case SECCOMP_EQ:
                patterns[0] = (struct pattern){condition->mask, value};
                return 1;
        case SECCOMP_NE:
                return split_bits(condition->mask, value, patterns);
        case SECCOMP_LT:
                return split_range(0, value - 1, patterns);
        case SECCOMP_LE:
                return split_range(0, value, patterns);
        case SECCOMP_GT:
                return split_range(value + 1, UINT64_MAX, patterns);
        case SECCOMP_GE:
                return split_range(value, UINT64_MAX, patterns);
        }
        return 0;
}

/* Adds @rule from its condition @at on, those before being in @made. Returns what libseccomp said.
 */
static int add_alternatives(struct compiler *compiler, const struct seccomp_rule *rule, size_t at,
                            struct scmp_arg_cmp made[SECCOMP_ARGUMENTS]) {
        static const enum scmp_compare relations[] = {
                [SECCOMP_EQ] = SCMP_CMP_EQ, [SECCOMP_NE] = SCMP_CMP_NE, [SECCOMP_LT] = SCMP_CMP_LT,
                [SECCOMP_LE] = SCMP_CMP_LE, [SECCOMP_GT] = SCMP_CMP_GT, [SECCOMP_GE] = SCMP_CMP_GE,
        };
        const struct seccomp_condition *condition = &rule->conditions[at];
        struct pattern patterns[PATTERNS_MAX];
        size_t n;
        int r;

        if (at == rule->n_conditions) {
                if (at > 0 && compiler->n_added++ == SECCOMP_ADDED_MAX)
                        return -E2BIG;
                r = seccomp_rule_add_exact_array(compiler->filter, action_of(rule->verdict),
                                                 rule->number, (unsigned)at, made);
                return r == -EEXIST ? 0 : r; /* the same rule twice */
        }
        if (compiler->is_alone && condition->mask == UINT64_MAX) {
                made[at] = SCMP_CMP64(condition->argument, relations[condition->relation],
                                      condition->value);
                return add_alternatives(compiler, rule, at + 1, made);
        }
        n = split(condition, patterns);
        for (size_t i = 0; i < n; i++) {
                made[at] = SCMP_CMP64(condition->argument, SCMP_CMP_MASKED_EQ, patterns[i].mask,
                                      patterns[i].value);
                r = add_alternatives(compiler, rule, at + 1, made);
                if (r)
                        return r;
        }
        return 0;
}

/* Whether another rule is about the call of @rule; *coveredp: one without any condition, of which
 * it is known that it says the same. */
static bool is_alone(const struct seccomp_list *list, const struct seccomp_rule *rule,
                     bool *coveredp) {
        bool alone = true;

        *coveredp = false;
        for (size_t i = 0; i < list->n_rules && rule->n_conditions; i++)
                if (list->rules[i].number == rule->number && &list->rules[i] != rule) {
                        alone = false;
                        *coveredp |= list->rules[i].n_conditions == 0;
                }
        return alone;
}

/* Into how many patterns the only condition of @rule is taken apart. */
static uint64_t count_tests(const struct seccomp_rule *rule) {
        struct pattern patterns[PATTERNS_MAX];

        return split(&rule->conditions[0], patterns);
}

/* Whether libseccomp has each condition of @rule as it is. */
static bool is_native(const struct seccomp_rule *rule) {
        for (size_t i = 0; i < rule->n_conditions; i++)
                if (rule->conditions[i].relation == SECCOMP_NE &&
                    rule->conditions[i].mask != UINT64_MAX)
                        return false;
        return true;
}

/*
 * libseccomp makes one tree of all rules of a call. It is quick, and right, with one rule, whatever
 * that tests, and with any number that test one argument each: those of another argument are
 * repeated below each of the first's, so that the product has to be bounded. Four rules of which
 * some test several arguments can take it ten seconds.
 */
static int check_rule(const struct seccomp_list *list, const struct seccomp_rule *rule,
                      struct why *why) {
        uint64_t n_tests[SECCOMP_ARGUMENTS] = {}, product = 1;

        if (rule->n_conditions > 1 && !is_native(rule))
                return why_set(
                        why, SECCOMP_E_INVALID,
                        "%s:%u: '!=' of an int or after '&' can only be the one condition of "
                        "a rule",
                        list->paths[rule->file], rule->line);
        for (size_t i = 0; i < list->n_rules; i++) {
                const struct seccomp_rule *other = &list->rules[i];

                if (other->number != rule->number || other->n_conditions == 0)
                        continue;
                if (other != rule && (rule->n_conditions > 1 || other->n_conditions > 1))
                        return why_set(why, SECCOMP_E_INVALID,
                                       "%s:%u: %s:%u has conditions for the same call, too; none "
                                       "of several such rules may test more than one argument",
                                       list->paths[rule->file], rule->line,
                                       list->paths[other->file], other->line);
                if (other->n_conditions == 1)
                        n_tests[other->conditions[0].argument] += count_tests(other);
        }
        for (size_t i = 0; i < SECCOMP_ARGUMENTS; i++)
                if (__builtin_mul_overflow(product, n_tests[i] + 1, &product))
                        product = UINT64_MAX;
        if (product > SECCOMP_TESTS_MAX)
                return why_set(why, SECCOMP_E_INVALID,
                               "%s:%u: the conditions for this call make more than %d tests; where "
                               "there are several, '<' and '!=' count for about each bit, and "
                               "different arguments multiply",
                               list->paths[rule->file], rule->line, SECCOMP_TESTS_MAX);
        return 0;
}

static int add_rules(struct compiler *compiler, const struct seccomp_list *list, struct why *why) {
        for (size_t i = 0; i < list->n_rules; i++) {
                const struct seccomp_rule *rule = &list->rules[i];
                struct scmp_arg_cmp made[SECCOMP_ARGUMENTS];
                bool is_covered;
                int r;

                compiler->is_alone = is_alone(list, rule, &is_covered);
                /* libseccomp refuses rules that do what the default does. */
                if (seccomp_verdict_equal(rule->verdict, list->otherwise) || is_covered)
                        continue;
                r = check_rule(list, rule, why);
                if (r)
                        return r;
                r = add_alternatives(compiler, rule, 0, made);
                if (r == -ENOMEM)
                        return fault(r);
                if (r == -E2BIG)
                        return why_set(why, SECCOMP_E_INVALID,
                                       "%s:%u: here the list makes more than %d tests of arguments",
                                       list->paths[rule->file], rule->line, SECCOMP_ADDED_MAX);
                if (r)
                        return why_errno(why, SECCOMP_E_HOST, -r,
                                         "%s:%u: libseccomp does not take this",
                                         list->paths[rule->file], rule->line);
        }
        return 0;
}

/* Takes the program out of the file that libseccomp wrote. */
static int read_program(struct seccomp_program *programp, int fd, const struct seccomp_list *list,
                        struct why *why) {
        _cleanup_(freep) struct sock_filter *filter = NULL;
        struct stat st;
        size_t n;

        if (fstat(fd, &st) < 0)
                return why_errno(why, SECCOMP_E_HOST, errno, "cannot examine a memfd");
        n = (size_t)st.st_size / sizeof(*filter);
        if (n > BPF_MAXINSNS)
                return why_set(why, SECCOMP_E_INVALID,
                               "%s: it makes %zu instructions; the kernel takes %d", list->paths[0],
                               n, BPF_MAXINSNS);
        filter = malloc(n * sizeof(*filter));
        if (!filter)
                return fault(-ENOMEM);
        if (pread(fd, filter, n * sizeof(*filter), 0) != (ssize_t)(n * sizeof(*filter)))
                return why_set(why, SECCOMP_E_HOST, "cannot read a memfd");
        programp->bpf.len = (unsigned short)n;
        programp->bpf.filter = take(filter);
        return 0;
}

int seccomp_program_compile(struct seccomp_program *programp, const struct seccomp_list *list,
                            struct why *why) {
        _cleanup_(seccomp_releasep) scmp_filter_ctx filter = NULL;
        _cleanup_(fd_closep) int fd = -1;
        struct compiler compiler;
        int r;

        filter = seccomp_init(action_of(list->otherwise));
        if (!filter)
                return fault(-ENOMEM);
        compiler = (struct compiler){.filter = filter};
        /* A tree by number instead of a row: any call is decided after a few comparisons. */
        r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        if (r == 0)
                r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        if (r)
                return why_errno(why, SECCOMP_E_HOST, -r, "libseccomp is not what we need");
        r = add_rules(&compiler, list, why);
        if (r)
                return r;
        fd = memfd_create("seccomp", MFD_CLOEXEC);
        if (fd < 0)
                return why_errno(why, SECCOMP_E_HOST, errno, "cannot make a memfd");
        r = seccomp_export_bpf(filter, fd);
        if (r == -ENOMEM)
                return fault(r);
        if (r)
                return why_errno(why, SECCOMP_E_HOST, -r, "%s: libseccomp cannot compile it",
                                 list->paths[0]);
        return read_program(programp, fd, list, why);
}

void seccomp_program_deinit(struct seccomp_program *program) {
        free(program->bpf.filter);
        *program = (struct seccomp_program)SECCOMP_PROGRAM_NULL;
}

/* ---- from a file to a list ----------------------------------------------------------------- */

/* May root believe what lies there? The text of a refusal, or NULL. */
static const char *distrust(const struct stat *st) {
        if (geteuid() != 0)
                return NULL;
        if (st->st_uid != 0)
                return "it does not belong to root; a list must be root's own (chown root)";
        if (st->st_mode & (S_IWGRP | S_IWOTH))
                return "others than root can write it (chmod go-w)";
        return NULL;
}

/* The text of a refusal, or NULL and the text of the file, which may be one byte too long. */
static const char *read_file(int fd, char *text, size_t *lengthp) {
        const char *reason;
        size_t used = 0;
        struct stat st;

        if (fstat(fd, &st) < 0)
                return "it cannot be examined";
        if (!S_ISREG(st.st_mode))
                return "it is not a regular file";
        reason = distrust(&st);
        if (reason)
                return reason;
        while (used <= SECCOMP_FILE_MAX) {
                ssize_t n = read(fd, text + used, SECCOMP_FILE_MAX + 1 - used);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return "it cannot be read";
                if (n == 0)
                        break;
                used += (size_t)n;
        }
        *lengthp = used;
        return NULL;
}

/* Opens @name in directory @dir. Returns 0 and -1 in *fdp if there is none. */
static int open_list(int *fdp, const char *dir, const char *name, const char *path,
                     struct why *why) {
        _cleanup_(fd_closep) int dir_fd = -1;
        const char *reason;
        struct stat st;

        *fdp = -1;
        dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0 && errno == ENOENT)
                return 0;
        if (dir_fd < 0 || fstat(dir_fd, &st) < 0)
                return why_errno(why, SECCOMP_E_HOST, errno, "%s: cannot be opened", dir);
        reason = distrust(&st);
        if (reason)
                return why_set(why, SECCOMP_E_INVALID, "%s: %s", dir, reason);
        /* O_NONBLOCK: a FIFO must not hold us up before it is refused. */
        *fdp = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (*fdp >= 0 || errno == ENOENT)
                return 0;
        if (errno == ELOOP)
                return why_set(why, SECCOMP_E_INVALID,
                               "%s: it is a symbolic link; put the file itself here", path);
        return why_errno(why, SECCOMP_E_HOST, errno, "%s: cannot be opened", path);
}

static int read_from_dirs(void *userdata, const char *name, char **textp, size_t *lengthp,
                          char path[SECCOMP_PATH_MAX], struct why *why) {
        const char *const *dirs = userdata;
        _cleanup_(freep) char *text = NULL;
        _cleanup_(fd_closep) int fd = -1;
        const char *reason;
        int r;

        for (; *dirs && fd < 0; dirs++) {
                snprintf(path, SECCOMP_PATH_MAX, "%s/%s", *dirs, name);
                r = open_list(&fd, *dirs, name, path, why);
                if (r)
                        return r;
        }
        if (fd < 0)
                return why_set(why, SECCOMP_E_MISSING, "there is no list '%s'", name);
        text = malloc(SECCOMP_FILE_MAX + 1);
        if (!text)
                return fault(-ENOMEM);
        reason = read_file(fd, text, lengthp);
        if (reason)
                return why_set(why, SECCOMP_E_INVALID, "%s: %s", path, reason);
        *textp = take(text);
        return 0;
}

int seccomp_program_load(struct seccomp_program *programp, const char *const *dirs,
                         const char *name, struct why *why) {
        _cleanup_(seccomp_list_deinit) struct seccomp_list list = SECCOMP_LIST_NULL;
        int r;

        r = text_check_name("list name", name, why);
        if (r)
                return why ? why->code = SECCOMP_E_INVALID : SECCOMP_E_INVALID;
        r = seccomp_list_parse(&list, name, read_from_dirs, (void *)dirs, why);
        if (r)
                return r;
        return seccomp_program_compile(programp, &list, why);
}

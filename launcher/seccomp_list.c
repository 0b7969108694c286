/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <base/text.h>
#include <base/why.h>
#include <launcher/seccomp_list.h>
#include <launcher/seccomp_names.h>

#define SHOWN_MAX 96
#define WORD_MAX 256

#define shown(word) text_escape(word, (char[SHOWN_MAX]){0}, SHOWN_MAX)

#define STATEMENTS "default, include, allow, log, errno NAME and kill"

/* One file on its way into the list. */
struct reader {
        struct seccomp_list *list;
        seccomp_read_fn read;
        void *userdata;
        struct why *why;
        const struct reader *parent; /* who includes it */
        const char *name;
        unsigned file, line; /* line 0: the file as a whole */
        unsigned depth;

        unsigned default_line; /* 0: it has none of its own */
        bool has_inherited, is_disputed;
        struct seccomp_verdict own, inherited;
};

static int read_list(struct reader *reader);

static int complain(const struct reader *reader, const char *format, ...) _printf_(2, 3);

static int complain(const struct reader *reader, const char *format, ...) {
        char place[SECCOMP_PATH_MAX + 16], text[WHY_TEXT_MAX];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        snprintf(place, sizeof(place), reader->line ? "%s:%u" : "%s",
                 reader->list->paths[reader->file], reader->line);
        return why_set(reader->why, SECCOMP_E_INVALID, "%s: %s", place, text);
}

/* ---- statements ---------------------------------------------------------------------------- */

static int add_rule(struct reader *reader, const struct seccomp_rule *rule) {
        struct seccomp_list *list = reader->list;

        if (list->n_rules == SECCOMP_RULES_MAX)
                return complain(reader, "this is more than %d rules, with those of the includes",
                                SECCOMP_RULES_MAX);
        if (list->n_rules == list->n_allocated) {
                size_t n = list->n_allocated ? list->n_allocated * 2 : 128;
                struct seccomp_rule *rules = reallocarray(list->rules, n, sizeof(*rules));

                if (!rules)
                        return fault(-ENOMEM);
                list->rules = rules;
                list->n_allocated = n;
        }
        list->rules[list->n_rules++] = *rule;
        return 0;
}

/* The action that begins with @word; its errno, if it has one, is the next word at *atp. Answers
 * SECCOMP_E_MISSING, without a sentence, if @word begins none. */
static int parse_verdict(const struct reader *reader, const char *word, const char **atp,
                         struct seccomp_verdict *verdictp) {
        char name[WORD_MAX];

        *verdictp = (struct seccomp_verdict){};
        if (strcmp(word, "allow") == 0) {
                verdictp->action = SECCOMP_ALLOW;
        } else if (strcmp(word, "log") == 0) {
                verdictp->action = SECCOMP_LOG;
        } else if (strcmp(word, "kill") == 0) {
                verdictp->action = SECCOMP_KILL;
        } else if (strcmp(word, "errno") == 0) {
                verdictp->action = SECCOMP_ERRNO;
                seccomp_next_word(atp, name, sizeof(name));
                if (!seccomp_names_errno(name, &verdictp->errnum))
                        return complain(reader,
                                        "'%s' is no errno; valid are names such as EPERM, ENOSYS "
                                        "and EAFNOSUPPORT",
                                        shown(name));
        } else {
                return SECCOMP_E_MISSING;
        }
        return 0;
}

static int parse_default(struct reader *reader, const char *at) {
        char word[WORD_MAX];
        int r;

        if (reader->default_line)
                return complain(reader, "the default is in line %u already", reader->default_line);
        seccomp_next_word(&at, word, sizeof(word));
        r = parse_verdict(reader, word, &at, &reader->own);
        if (r == SECCOMP_E_MISSING)
                return complain(reader,
                                "'%s' is no default; valid are allow, log, errno NAME and kill",
                                shown(word));
        if (r)
                return r;
        seccomp_next_word(&at, word, sizeof(word));
        if (word[0])
                return complain(reader, "the default ends before '%s'", shown(word));
        reader->default_line = reader->line;
        return 0;
}

static int include(struct reader *reader, const char *name) {
        struct reader child = {
                .list = reader->list,
                .read = reader->read,
                .userdata = reader->userdata,
                .why = reader->why,
                .parent = reader,
                .name = name,
                .depth = reader->depth + 1,
        };
        const struct seccomp_verdict *verdict;
        int r;

        r = text_check_name("list", name, NULL);
        if (r)
                return complain(reader, "'%s' is not a valid name of a list", shown(name));
        for (const struct reader *above = reader; above; above = above->parent)
                if (strcmp(above->name, name) == 0)
                        return complain(reader, "'%s' would include itself", name);
        if (child.depth == SECCOMP_DEPTH_MAX)
                return complain(reader,
                                "this is the %uth list in a row that includes another; "
                                "%d are allowed",
                                child.depth, SECCOMP_DEPTH_MAX - 1);
        r = read_list(&child);
        if (r == SECCOMP_E_MISSING) {
                struct why missing = reader->why ? *reader->why : (struct why){};

                return complain(reader, "cannot include '%s': %s", name, missing.text);
        }
        if (r)
                return r;

        if (!child.default_line && !child.has_inherited)
                return 0;
        verdict = child.default_line ? &child.own : &child.inherited;
        if (reader->has_inherited && !seccomp_verdict_equal(reader->inherited, *verdict))
                reader->is_disputed = true;
        reader->has_inherited = true;
        reader->inherited = *verdict;
        return 0;
}

static int parse_include(struct reader *reader, const char *at) {
        char word[WORD_MAX];

        seccomp_next_word(&at, word, sizeof(word));
        if (!word[0])
                return complain(reader, "include needs the name of a list");
        for (; word[0]; seccomp_next_word(&at, word, sizeof(word))) {
                int r = include(reader, word);

                if (r)
                        return r;
        }
        return 0;
}

static int add_call(struct reader *reader, const char *name, struct seccomp_rule *rule) {
        bool may_lack = name[0] == '?';

        if (seccomp_names_call(name + may_lack, &rule->number))
                return add_rule(reader, rule);
        if (may_lack && name[1] &&
            strspn(name + 1, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name + 1))
                return 0;
        return complain(reader,
                        "'%s' is no system call that this libseccomp knows on this architecture; "
                        "write '?NAME' for one that others know",
                        shown(name));
}

/* "NAME... [if CONDITION...]" */
static int parse_calls(struct reader *reader, struct seccomp_verdict verdict, const char *at) {
        struct seccomp_rule rule = {.verdict = verdict, .file = reader->file, .line = reader->line};
        const char *names = at;
        char word[WORD_MAX];
        struct why why;
        int r;

        /* The conditions come last, but every name needs them. */
        do
                seccomp_next_word(&at, word, sizeof(word));
        while (word[0] && strcmp(word, "if") != 0);
        if (word[0]) {
                r = seccomp_rule_parse_conditions(&rule, at, &why);
                if (r)
                        return complain(reader, "%s", why.text);
        }

        seccomp_next_word(&names, word, sizeof(word));
        if (!word[0] || strcmp(word, "if") == 0)
                return complain(reader, "the names of system calls are missing");
        for (; word[0] && strcmp(word, "if") != 0; seccomp_next_word(&names, word, sizeof(word))) {
                r = add_call(reader, word, &rule);
                if (r)
                        return r;
        }
        return 0;
}

static int parse_line(struct reader *reader, const char *at) {
        struct seccomp_verdict verdict;
        char word[WORD_MAX];
        int r;

        seccomp_next_word(&at, word, sizeof(word));
        if (!word[0])
                return 0;
        if (strcmp(word, "default") == 0)
                return parse_default(reader, at);
        if (strcmp(word, "include") == 0)
                return parse_include(reader, at);
        r = parse_verdict(reader, word, &at, &verdict);
        if (r == SECCOMP_E_MISSING)
                return complain(reader, "'%s' is no statement; valid are " STATEMENTS, shown(word));
        return r ?: parse_calls(reader, verdict, at);
}

/* ---- files --------------------------------------------------------------------------------- */

static int parse_text(struct reader *reader, const char *text, size_t length) {
        static const char mark[] = "\xef\xbb\xbf"; /* of UTF-8, which some editors put first */
        const char *end = text + length;

        if (length >= 3 && memcmp(text, mark, 3) == 0)
                text += 3;
        while (text < end) {
                const char *stop = memchr(text, '\n', (size_t)(end - text)) ?: end;
                size_t n = (size_t)(stop - text);
                char line[SECCOMP_LINE_MAX + 1];
                int r;

                reader->line++;
                if (n > SECCOMP_LINE_MAX)
                        return complain(reader, "the line is longer than %d bytes",
                                        SECCOMP_LINE_MAX);
                if (memchr(text, '\0', n))
                        return complain(reader, "the line has a zero byte; a list is text");
                memcpy(line, text, n);
                line[n] = '\0';
                if (n && line[n - 1] == '\r')
                        line[n - 1] = '\0';
                *strchrnul(line, '#') = '\0';
                r = parse_line(reader, line);
                if (r)
                        return r;
                text = stop + (stop < end);
        }
        reader->line = 0;
        return 0;
}

/* Drops, of the rules from @first on, those of included lists about calls of which this list speaks
 * itself. */
static void override(struct reader *reader, size_t first) {
        struct seccomp_list *list = reader->list;
        size_t kept = first;

        for (size_t i = first; i < list->n_rules; i++) {
                bool decided = false;

                /* Its own are never dropped, so those behind the gap are all there to look at. */
                if (list->rules[i].file != reader->file)
                        for (size_t j = first; j < list->n_rules && !decided; j++)
                                decided = list->rules[j].file == reader->file &&
                                          list->rules[j].number == list->rules[i].number;
                if (!decided)
                        list->rules[kept++] = list->rules[i];
        }
        list->n_rules = kept;
}

static int read_list(struct reader *reader) {
        struct seccomp_list *list = reader->list;
        _cleanup_(freep) char *text = NULL;
        char path[SECCOMP_PATH_MAX] = "";
        size_t length = 0, first = list->n_rules;
        int r;

        if (list->n_paths == SECCOMP_FILES_MAX)
                return complain(reader->parent, "this is more than %d lists", SECCOMP_FILES_MAX);
        r = reader->read(reader->userdata, reader->name, &text, &length, path, reader->why);
        if (r)
                return r;
        reader->file = (unsigned)list->n_paths;
        memcpy(list->paths[list->n_paths++], path, sizeof(path));
        if (length > SECCOMP_FILE_MAX)
                return complain(reader, "it is larger than %d KiB", SECCOMP_FILE_MAX / 1024);
        r = parse_text(reader, text, length);
        if (r)
                return r;
        if (reader->is_disputed && !reader->default_line)
                return complain(reader, "the lists that it includes have different defaults; add a "
                                        "default to it");
        override(reader, first);
        return 0;
}

/* Two rules may not both decide, differently: which one wins is not defined. */
static int check_rules(struct reader *reader) {
        const struct seccomp_list *list = reader->list;

        for (size_t j = 1; j < list->n_rules; j++)
                for (size_t i = 0; i < j; i++) {
                        const struct seccomp_rule *a = &list->rules[i], *b = &list->rules[j];
                        char name[SECCOMP_NAME_MAX] = "?";
                        bool both;

                        if (a->number != b->number ||
                            seccomp_verdict_equal(a->verdict, b->verdict) ||
                            seccomp_rule_excludes(a, b))
                                continue;
                        reader->file = b->file;
                        reader->line = b->line;
                        both = a->n_conditions && b->n_conditions;
                        if (!seccomp_names_show_call(b->number, name))
                                strcpy(name, "the call");
                        return complain(reader, "%s:%u gives %s another action%s",
                                        list->paths[a->file], a->line, name,
                                        both ? ", and the conditions do not exclude each other"
                                        : a->n_conditions || b->n_conditions
                                                ? "; where no condition holds, the default decides"
                                                : "");
                }
        return 0;
}

int seccomp_list_parse(struct seccomp_list *listp, const char *name, seccomp_read_fn read,
                       void *userdata, struct why *why) {
        _cleanup_(seccomp_list_deinit) struct seccomp_list list = SECCOMP_LIST_NULL;
        struct reader reader = {
                .list = &list, .read = read, .userdata = userdata, .why = why, .name = name};
        int r;

        list.paths = calloc(SECCOMP_FILES_MAX, sizeof(*list.paths));
        if (!list.paths)
                return fault(-ENOMEM);
        r = read_list(&reader);
        if (r)
                return r;
        if (!reader.default_line && !reader.has_inherited)
                return complain(&reader, "it has no default, and none is included; add, for "
                                         "example, 'default errno ENOSYS'");
        list.otherwise = reader.default_line ? reader.own : reader.inherited;
        r = check_rules(&reader);
        if (r)
                return r;
        *listp = list;
        list = (struct seccomp_list)SECCOMP_LIST_NULL;
        return 0;
}

struct seccomp_verdict seccomp_list_judge(const struct seccomp_list *list, int number,
                                          const uint64_t arguments[SECCOMP_ARGUMENTS]) {
        for (size_t i = 0; i < list->n_rules; i++)
                if (list->rules[i].number == number &&
                    seccomp_rule_holds(&list->rules[i], arguments))
                        return list->rules[i].verdict;
        return list->otherwise;
}

void seccomp_list_deinit(struct seccomp_list *list) {
        free(list->rules);
        free(list->paths);
        *list = (struct seccomp_list)SECCOMP_LIST_NULL;
}

/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <base/text.h>
#include <base/why.h>
#include <launcher/seccomp_names.h>
#include <launcher/seccomp_rule.h>

#define WORD_MAX 256
#define SHOWN_MAX 96
#define BLANKS " \t"
#define OPERATORS "&=!<>"
#define INT_MASK UINT64_C(0xffffffff)

/* @word in a form that a sentence can quote; lives as long as the block. */
#define shown(word) text_escape(word, (char[SHOWN_MAX]){0}, SHOWN_MAX)

bool seccomp_verdict_equal(struct seccomp_verdict a, struct seccomp_verdict b) {
        return a.action == b.action && a.errnum == b.errnum;
}

void seccomp_next_word(const char **atp, char *word, size_t size) {
        const char *at = *atp + strspn(*atp, BLANKS);
        size_t length = strspn(at, OPERATORS) ?: strcspn(at, BLANKS OPERATORS);
        size_t copied = length < size ? length : size - 1;

        memcpy(word, at, copied);
        word[copied] = '\0';
        *atp = at + length;
}

/* ---- parsing ------------------------------------------------------------------------------- */

static int digit_of(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return INT32_MAX;
}

/* Decimal, 0x hexadecimal or 0 octal, as in C; no sign. */
static bool parse_number(const char *text, uint64_t *valuep) {
        uint64_t value = 0;
        int base = 10;

        if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
                base = 16;
                text += 2;
        } else if (text[0] == '0') {
                base = 8;
        }
        if (!*text)
                return false;
        for (; *text; text++) {
                int digit = digit_of(*text);

                if (digit >= base || __builtin_mul_overflow(value, (uint64_t)base, &value) ||
                    __builtin_add_overflow(value, (uint64_t)digit, &value))
                        return false;
        }
        *valuep = value;
        return true;
}

/* A number, a constant, or several joined by '|'. Sets *intp if a constant of an int is among them.
 */
static int parse_value(const char *text, uint64_t *valuep, bool *intp, struct why *why) {
        uint64_t value = 0;

        if (!*text)
                return why_set(why, SECCOMP_E_INVALID,
                               "a number or a constant is missing at the end of the condition");
        for (;;) {
                size_t length = strcspn(text, "|");
                char word[WORD_MAX];
                bool is_int = false;
                uint64_t part;

                memcpy(word, text, length);
                word[length] = '\0';
                if (word[0] >= '0' && word[0] <= '9'
                            ? !parse_number(word, &part)
                            : !seccomp_names_constant(word, &part, &is_int))
                        return why_set(
                                why, SECCOMP_E_INVALID,
                                "'%s' is neither a number (decimal, 0x hexadecimal, 0 octal, "
                                "of 64 bits, without a sign) nor a constant known here",
                                shown(word));
                value |= part;
                *intp |= is_int;
                if (!text[length])
                        break;
                text += length + 1;
        }
        *valuep = value;
        return 0;
}

static bool parse_relation(const char *word, enum seccomp_relation *relationp) {
        static const char *const words[] = {
                [SECCOMP_EQ] = "==", [SECCOMP_NE] = "!=", [SECCOMP_LT] = "<",
                [SECCOMP_LE] = "<=", [SECCOMP_GT] = ">",  [SECCOMP_GE] = ">=",
        };

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (strcmp(word, words[i]) == 0) {
                        *relationp = (enum seccomp_relation)i;
                        return true;
                }
        return false;
}

static bool is_range(enum seccomp_relation relation) {
        return relation != SECCOMP_EQ && relation != SECCOMP_NE;
}

static bool meets(uint64_t value, const struct seccomp_condition *condition) {
        switch (condition->relation) {
        case SECCOMP_EQ:
                return value == condition->value;
        case SECCOMP_NE:
                return value != condition->value;
        case SECCOMP_LT:
                return value < condition->value;
        case SECCOMP_LE:
                return value <= condition->value;
        case SECCOMP_GT:
                return value > condition->value;
        case SECCOMP_GE:
                return value >= condition->value;
        }
        return false;
}

/* What can be said for all arguments or for none was meant otherwise. */
static int check_condition(const struct seccomp_condition *condition, bool is_int, bool has_mask,
                           struct why *why) {
        bool low, high;

        if (is_range(condition->relation)) {
                if (is_int)
                        return why_set(why, SECCOMP_E_INVALID,
                                       "of an int, of which the kernel ignores the upper half, "
                                       "only == and != can be tested");
                if (has_mask)
                        return why_set(why, SECCOMP_E_INVALID,
                                       "after '&' and a mask, only == and != can be tested");
                low = meets(0, condition);
                high = meets(UINT64_MAX, condition);
                if (low == high)
                        return why_set(why, SECCOMP_E_INVALID, "this condition %s holds",
                                       low ? "always" : "never");
                return 0;
        }
        if (condition->mask == 0)
                return why_set(why, SECCOMP_E_INVALID, "a mask of 0 leaves nothing to test");
        if (condition->value & ~condition->mask)
                return why_set(why, SECCOMP_E_INVALID,
                               is_int && !has_mask ? "an int has 32 bits; this value has more"
                                                   : "the value has bits that the mask takes away, "
                                                     "so it is never met");
        return 0;
}

/* "arg0" to "arg5", "int0" to "int5". */
static bool parse_argument(const char *word, unsigned *argumentp, bool *intp) {
        bool is_int = strncmp(word, "int", 3) == 0;

        if (!is_int && strncmp(word, "arg", 3) != 0)
                return false;
        if (word[3] < '0' || word[3] >= '0' + SECCOMP_ARGUMENTS || word[4])
                return false;
        *argumentp = (unsigned)(word[3] - '0');
        *intp = is_int;
        return true;
}

static int parse_condition(struct seccomp_condition *condition, const char **atp, struct why *why) {
        bool is_int, has_mask;
        char word[WORD_MAX];
        int r;

        seccomp_next_word(atp, word, sizeof(word));
        if (!parse_argument(word, &condition->argument, &is_int))
                return why_set(
                        why, SECCOMP_E_INVALID,
                        "a condition begins with arg0 to arg5, or int0 to int5 for its lower "
                        "32 bits, not with '%s'",
                        shown(word));
        condition->mask = UINT64_MAX;
        seccomp_next_word(atp, word, sizeof(word));
        has_mask = strcmp(word, "&") == 0;
        if (has_mask) {
                seccomp_next_word(atp, word, sizeof(word));
                r = parse_value(word, &condition->mask, &is_int, why);
                if (r)
                        return r;
                seccomp_next_word(atp, word, sizeof(word));
        }
        if (!parse_relation(word, &condition->relation))
                return why_set(why, SECCOMP_E_INVALID,
                               "'%s' does not compare; valid are == != < <= > >=, and == != after "
                               "'& MASK'",
                               shown(word));
        seccomp_next_word(atp, word, sizeof(word));
        r = parse_value(word, &condition->value, &is_int, why);
        if (r)
                return r;
        if (is_int && !is_range(condition->relation))
                condition->mask &= INT_MASK;
        return check_condition(condition, is_int, has_mask, why);
}

int seccomp_rule_parse_conditions(struct seccomp_rule *rule, const char *text, struct why *why) {
        unsigned seen = 0;
        char word[WORD_MAX];
        int r;

        rule->n_conditions = 0;
        do {
                struct seccomp_condition condition = {};

                r = parse_condition(&condition, &text, why);
                if (r)
                        return r;
                if (seen & 1U << condition.argument)
                        return why_set(why, SECCOMP_E_INVALID,
                                       "argument %u is tested twice; one rule can test it once",
                                       condition.argument);
                seen |= 1U << condition.argument;
                rule->conditions[rule->n_conditions++] = condition;
                seccomp_next_word(&text, word, sizeof(word));
        } while (strcmp(word, "and") == 0);
        if (word[0])
                return why_set(why, SECCOMP_E_INVALID,
                               "after a condition comes 'and' or the end of the line, not '%s'",
                               shown(word));
        return 0;
}

/* ---- meaning ------------------------------------------------------------------------------- */

static bool condition_holds(const struct seccomp_condition *condition, uint64_t argument) {
        return meets(argument & condition->mask, condition);
}

bool seccomp_rule_holds(const struct seccomp_rule *rule,
                        const uint64_t arguments[SECCOMP_ARGUMENTS]) {
        for (size_t i = 0; i < rule->n_conditions; i++)
                if (!condition_holds(&rule->conditions[i], arguments[rule->conditions[i].argument]))
                        return false;
        return true;
}

/* The least and the greatest argument that meet @condition, which is no NE. */
static void bounds(const struct seccomp_condition *condition, uint64_t *lowp, uint64_t *highp) {
        *lowp = 0;
        *highp = UINT64_MAX;
        switch (condition->relation) {
        case SECCOMP_EQ:
                *lowp = condition->value;
                *highp = condition->value | ~condition->mask;
                break;
        case SECCOMP_NE:
                break;
        case SECCOMP_LT:
                *highp = condition->value - 1; /* not < 0, which was refused */
                break;
        case SECCOMP_LE:
                *highp = condition->value;
                break;
        case SECCOMP_GT:
                *lowp = condition->value + 1; /* not > UINT64_MAX */
                break;
        case SECCOMP_GE:
                *lowp = condition->value;
                break;
        }
}

/* Whether whatever meets @a, which is no NE, has exactly the bits that @b, a NE, does not want. */
static bool pins(const struct seccomp_condition *a, const struct seccomp_condition *b) {
        uint64_t low, high;

        if (a->relation == SECCOMP_EQ)
                return (b->mask & ~a->mask) == 0 && (a->value & b->mask) == b->value;
        bounds(a, &low, &high);
        return low == high && (low & b->mask) == b->value;
}

static bool contradict(const struct seccomp_condition *a, const struct seccomp_condition *b) {
        uint64_t low_a, high_a, low_b, high_b;

        if (a->relation == SECCOMP_NE && b->relation == SECCOMP_NE)
                /* The only values of one bit. */
                return a->mask == b->mask && (a->mask & (a->mask - 1)) == 0 && a->value != b->value;
        if (a->relation == SECCOMP_NE)
                return pins(b, a);
        if (b->relation == SECCOMP_NE)
                return pins(a, b);
        if (a->relation == SECCOMP_EQ && b->relation == SECCOMP_EQ)
                return ((a->value ^ b->value) & a->mask & b->mask) != 0;
        bounds(a, &low_a, &high_a);
        bounds(b, &low_b, &high_b);
        return high_a < low_b || high_b < low_a;
}

bool seccomp_rule_excludes(const struct seccomp_rule *a, const struct seccomp_rule *b) {
        for (size_t i = 0; i < a->n_conditions; i++)
                for (size_t j = 0; j < b->n_conditions; j++)
                        if (a->conditions[i].argument == b->conditions[j].argument &&
                            contradict(&a->conditions[i], &b->conditions[j]))
                                return true;
        return false;
}

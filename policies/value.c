/* SPDX-License-Identifier: MIT */

/*
 * The types of keys. Every number is an unsigned 64-bit integer in the unit of its type; the words
 * "auto" and "infinity" are numbers that no parser gives (base/units.h). The switches have no
 * default, so that the compiler finds a type that one of them forgot.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <policies/access.h>
#include <policies/network.h>
#include <policies/policy.h>
#include <policies/quotas.h>
#include <policies/value.h>

#include <base/text.h>
#include <base/units.h>
#include <base/why.h>

_Static_assert(UNITS_VALUE_MAX < POLICY_AUTO && POLICY_AUTO < POLICY_NONE,
               "the words lie above every number");
_Static_assert(sizeof(enum disk_burst) == sizeof(unsigned), "an enum is stored as an unsigned");

static int read_number(enum key_type type, const char *text, uint64_t *valuep, struct why *why) {
        switch (type) {
        case KEY_SIZE:
                return units_parse_size(text, valuep, why);
        case KEY_RATE:
                return units_parse_rate(text, valuep, why);
        case KEY_CPUS:
                return units_parse_cpus(text, valuep, why);
        case KEY_COUNT:
                return units_parse_count(text, valuep, why);
        case KEY_RATIO:
        case KEY_SHARE:
                return units_parse_ratio(text, valuep, why);
        case KEY_DURATION:
                return units_parse_duration(text, valuep, why);
        case KEY_BOOL:
        case KEY_TEXT:
        case KEY_PATH:
        case KEY_USERS:
        case KEY_GROUPS:
        case KEY_INTERFACE:
        case KEY_INTERFACES:
        case KEY_ADDRESSES:
        case KEY_USER_QUOTAS:
        case KEY_GROUP_QUOTAS:
        case KEY_USER:
        case KEY_WORD:
        case _KEY_TYPE_N:
                break;
        }
        assert(!"a number");
        return POLICY_E_INVALID;
}

static const char *print_number(enum key_type type, uint64_t value, char *buffer, size_t size) {
        switch (type) {
        case KEY_SIZE:
                return units_exact_size(value, buffer, size);
        case KEY_RATE:
                return units_exact_rate(value, buffer, size);
        case KEY_DURATION:
                return units_exact_duration(value, buffer, size);
        case KEY_CPUS:
        case KEY_RATIO:
        case KEY_SHARE:
                return units_format_milli(value, buffer, size);
        case KEY_COUNT:
                snprintf(buffer, size, "%" PRIu64, value);
                return buffer;
        case KEY_BOOL:
        case KEY_TEXT:
        case KEY_PATH:
        case KEY_USERS:
        case KEY_GROUPS:
        case KEY_INTERFACE:
        case KEY_INTERFACES:
        case KEY_ADDRESSES:
        case KEY_USER_QUOTAS:
        case KEY_GROUP_QUOTAS:
        case KEY_USER:
        case KEY_WORD:
        case _KEY_TYPE_N:
                break;
        }
        assert(!"a number");
        return "";
}

/* The words that are valid beside a number, as the end of a sentence. */
static const char *words_hint(unsigned words) {
        switch (words & (KEY_AUTO | KEY_INFINITY)) {
        case KEY_AUTO:
                return ", or auto";
        case KEY_INFINITY:
                return ", or infinity";
        case KEY_AUTO | KEY_INFINITY:
                return ", or auto, or infinity";
        }
        return "";
}

static int parse_number(const struct key *key, const char *text, uint64_t *valuep,
                        struct why *why) {
        char least[UNITS_TEXT_MAX], most[UNITS_TEXT_MAX], quoted[64];
        struct why reason = {};
        uint64_t value;

        if ((key->words & KEY_AUTO) && strcmp(text, "auto") == 0) {
                *valuep = POLICY_AUTO;
                return 0;
        }
        if ((key->words & KEY_INFINITY) && strcmp(text, "infinity") == 0) {
                *valuep = POLICY_NONE;
                return 0;
        }
        if (read_number(key->type, text, &value, &reason))
                return why_set(why, POLICY_E_INVALID, "%s%s", reason.text, words_hint(key->words));
        if (value >= key->min && value <= key->max) {
                *valuep = value;
                return 0;
        }
        print_number(key->type, key->min, least, sizeof(least));
        print_number(key->type, key->max, most, sizeof(most));
        text_escape(text, quoted, sizeof(quoted));
        if (key->max == UNITS_VALUE_MAX)
                return why_set(why, POLICY_E_INVALID, "\"%s\" is too small; valid is %s or more%s",
                               quoted, least, words_hint(key->words));
        return why_set(why, POLICY_E_INVALID, "\"%s\" is out of range; valid is %s to %s%s", quoted,
                       least, most, words_hint(key->words));
}

static int parse_text(const struct key *key, const char *text, char *buffer, struct why *why) {
        char quoted[64];

        if (!text_is_printable(text))
                return why_set(why, POLICY_E_INVALID,
                               "\"%s\" is not plain text; valid is one line of UTF-8 without "
                               "control characters",
                               text_escape(text, quoted, sizeof(quoted)));
        if (!text_copy(buffer, key->max, text))
                return why_set(why, POLICY_E_INVALID, "\"%s\" is longer than %" PRIu64 " bytes",
                               text_escape(text, quoted, sizeof(quoted)), key->max - 1);
        return 0;
}

static bool is_plain_path(const char *path) {
        size_t length = strlen(path);

        return path[0] == '/' && !strstr(path, "/../") &&
               !(length >= 3 && strcmp(path + length - 3, "/..") == 0);
}

static int parse_path(const struct key *key, const char *text, char *buffer, struct why *why) {
        char quoted[64];

        if (*text && !is_plain_path(text)) /* "": only where that is the default */
                return why_set(why, POLICY_E_INVALID,
                               "\"%s\" is not valid; give an absolute path without \"..\"",
                               text_escape(text, quoted, sizeof(quoted)));
        return parse_text(key, text, buffer, why);
}

/* The word number @index of the choices of @key, and its length; NULL: there are fewer. */
static const char *choice(const struct key *key, unsigned index, size_t *lengthp) {
        const char *word = key->choices;

        while (index-- > 0 && *word) {
                word += strcspn(word, ",");
                word += strspn(word, ", ");
        }
        *lengthp = strcspn(word, ",");
        return *word ? word : NULL;
}

static int parse_word(const struct key *key, const char *text, unsigned *valuep, struct why *why) {
        char quoted[64];
        const char *word;
        size_t length;

        for (unsigned i = 0; (word = choice(key, i, &length)); i++) {
                if (strlen(text) == length && memcmp(text, word, length) == 0) {
                        *valuep = i;
                        return 0;
                }
        }
        return why_set(why, POLICY_E_INVALID, "\"%s\" is not valid; give one of %s",
                       text_escape(text, quoted, sizeof(quoted)), key->choices);
}

static const char *print_word(const struct key *key, unsigned value, char *buffer, size_t size) {
        size_t length;
        const char *word = choice(key, value, &length);

        assert(word);
        snprintf(buffer, size, "%.*s", (int)length, word);
        return buffer;
}

static int parse_interface(const struct key *key, const char *text, char *buffer, struct why *why) {
        struct why reason = {};

        if (*text && text_check_interface("name of an interface", text, &reason))
                return why_set(why, POLICY_E_INVALID, "%s", reason.text);
        return parse_text(key, text, buffer, why);
}

int value_parse(const struct key *key, const char *text, void *object, struct why *why) {
        void *value = (char *)object + key->offset;

        switch (key->type) {
        case KEY_USERS:
                return access_add_users(object, text, why);
        case KEY_GROUPS:
                return access_add_groups(object, text, why);
        case KEY_INTERFACES:
                return network_add_bridges(object, text, why);
        case KEY_ADDRESSES:
                return network_add_addresses(object, text, why);
        case KEY_USER_QUOTAS:
                return quotas_add_user(object, text, why);
        case KEY_GROUP_QUOTAS:
                return quotas_add_group(object, text, why);
        case KEY_USER:
                return access_parse_user(value, *text ? text : key->fallback, why);
        case KEY_INTERFACE:
                return parse_interface(key, text, value, why);
        case KEY_BOOL:
                return units_parse_bool(*text ? text : key->fallback, value, why) ? POLICY_E_INVALID
                                                                                  : 0;
        case KEY_TEXT:
                return parse_text(key, *text ? text : key->fallback, value, why);
        case KEY_PATH:
                return parse_path(key, *text ? text : key->fallback, value, why);
        case KEY_WORD:
                return parse_word(key, *text ? text : key->fallback, value, why);
        case KEY_SIZE:
        case KEY_RATE:
        case KEY_CPUS:
        case KEY_COUNT:
        case KEY_RATIO:
        case KEY_SHARE:
        case KEY_DURATION:
                return parse_number(key, *text ? text : key->fallback, value, why);
        case _KEY_TYPE_N:
                break;
        }
        assert(!"a type");
        return POLICY_E_INVALID;
}

int value_set_defaults(enum policy_file file, void *object) {
        for (size_t i = 0; i < KEYS_N; i++) {
                int r;

                if (policy_keys[i].file != file)
                        continue;
                r = value_parse(&policy_keys[i], "", object, NULL);
                if (r < 0)
                        return r;
                assert(r == 0); /* the table's own defaults are valid */
        }
        return 0;
}

const char *value_format(const struct key *key, const void *object, char *buffer, size_t size) {
        const void *value = (const char *)object + key->offset;

        switch (key->type) {
        case KEY_BOOL:
                return *(const bool *)value ? "yes" : "no";
        case KEY_TEXT:
        case KEY_PATH:
        case KEY_INTERFACE:
                return value;
        case KEY_WORD:
                return print_word(key, *(const unsigned *)value, buffer, size);
        case KEY_SIZE:
        case KEY_RATE:
        case KEY_CPUS:
        case KEY_COUNT:
        case KEY_RATIO:
        case KEY_SHARE:
        case KEY_DURATION:
                if (*(const uint64_t *)value == POLICY_AUTO)
                        return "auto";
                if (*(const uint64_t *)value == POLICY_NONE)
                        return "infinity";
                return print_number(key->type, *(const uint64_t *)value, buffer, size);
        case KEY_USERS:
        case KEY_GROUPS:
        case KEY_INTERFACES:
        case KEY_ADDRESSES:
        case KEY_USER_QUOTAS:
        case KEY_GROUP_QUOTAS:
        case KEY_USER:
        case _KEY_TYPE_N:
                break;
        }
        assert(!"not a list");
        return "";
}

const char *value_type_name(enum key_type type) {
        static const char *const names[_KEY_TYPE_N] = {
                [KEY_BOOL] = "yes or no",
                [KEY_TEXT] = "text",
                [KEY_PATH] = "absolute path",
                [KEY_SIZE] = "size",
                [KEY_RATE] = "rate",
                [KEY_CPUS] = "CPUs",
                [KEY_COUNT] = "number",
                [KEY_RATIO] = "ratio",
                [KEY_SHARE] = "share",
                [KEY_DURATION] = "duration",
                [KEY_USERS] = "users",
                [KEY_GROUPS] = "groups",
                [KEY_INTERFACE] = "interface",
                [KEY_INTERFACES] = "interfaces",
                [KEY_ADDRESSES] = "addresses",
                [KEY_USER] = "user",
                [KEY_WORD] = "one of",
                [KEY_USER_QUOTAS] = "user and amounts",
                [KEY_GROUP_QUOTAS] = "group and amounts",
        };

        assert(type < _KEY_TYPE_N);
        return names[type];
}

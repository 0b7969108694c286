/* SPDX-License-Identifier: MIT */

/*
 * Looking things up in the table of keys, and guessing what was meant by a name that is not there.
 * The guess only helps a sentence along; nothing acts on it.
 */

#include <stdio.h>
#include <string.h>

#include <policies/keys.h>

#define SPELLING_MAX 32 /* a longer name is nobody's misspelling */

const struct key *keys_find(enum policy_file file, const char *section, const char *name) {
        for (size_t i = 0; i < KEYS_N; i++)
                if (policy_keys[i].file == file && strcmp(policy_keys[i].section, section) == 0 &&
                    strcmp(policy_keys[i].name, name) == 0)
                        return &policy_keys[i];
        return NULL;
}

bool keys_has_section(enum policy_file file, const char *section) {
        for (size_t i = 0; i < KEYS_N; i++)
                if (policy_keys[i].file == file && strcmp(policy_keys[i].section, section) == 0)
                        return true;
        return false;
}

static int lower(char c) {
        return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* How many characters to insert, delete or replace to get from @a to @b; case costs nothing. */
static unsigned distance(const char *a, const char *b) {
        unsigned row[SPELLING_MAX + 1];
        size_t n_a = strlen(a), n_b = strlen(b);

        if (n_a > SPELLING_MAX || n_b > SPELLING_MAX)
                return UINT32_MAX;
        for (size_t j = 0; j <= n_b; j++)
                row[j] = (unsigned)j;
        for (size_t i = 1; i <= n_a; i++) {
                unsigned diagonal = row[0];

                row[0] = (unsigned)i;
                for (size_t j = 1; j <= n_b; j++) {
                        unsigned replace = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
                        unsigned insert = row[j - 1] + 1, erase = row[j] + 1;

                        diagonal = row[j];
                        row[j] = (unsigned)min_u64(replace, min_u64(insert, erase));
                }
        }
        return row[n_b];
}

/* A third of the letters may be wrong. */
static unsigned tolerance(const char *name) {
        return (unsigned)(strnlen(name, SPELLING_MAX) + 2) / 3;
}

const struct key *keys_nearest(enum policy_file file, const char *section, const char *name) {
        unsigned least = tolerance(name) + 1;
        const struct key *nearest = NULL;

        for (size_t i = 0; i < KEYS_N; i++) {
                const struct key *key = &policy_keys[i];
                unsigned d;

                if (key->file != file)
                        continue;
                if (strcmp(key->section, section) != 0) {
                        if (strcmp(key->name, name) == 0)
                                return key;
                        continue;
                }
                d = distance(name, key->name);
                if (d < least) {
                        least = d;
                        nearest = key;
                }
        }
        return nearest;
}

const char *keys_nearest_section(enum policy_file file, const char *section) {
        unsigned least = tolerance(section) + 1;
        const char *nearest = NULL;

        for (size_t i = 0; i < KEYS_N; i++) {
                unsigned d = distance(section, policy_keys[i].section);

                if (policy_keys[i].file == file && d < least) {
                        least = d;
                        nearest = policy_keys[i].section;
                }
        }
        return nearest;
}

const char *keys_list_sections(enum policy_file file, char *buffer, size_t size) {
        const char *last = "";
        size_t used = 0;

        buffer[0] = '\0';
        for (size_t i = 0; i < KEYS_N; i++) {
                if (policy_keys[i].file != file || strcmp(policy_keys[i].section, last) == 0)
                        continue;
                last = policy_keys[i].section;
                used += (size_t)snprintf(buffer + used, size - used, "%s[%s]", used ? " " : "",
                                         last);
                assert(used < size);
        }
        return buffer;
}

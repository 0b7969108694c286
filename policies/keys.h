/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_POLICIES_KEYS_H
#define PROVIUM_POLICIES_KEYS_H

/*
 * The one table of keys. The loader, `provium policy show` and the reference in provium.conf(5) all
 * walk it, so that a key cannot be read without being documented, or documented without being read.
 */

#include <base/macro.h>

/* Which file a key belongs to. */
enum policy_file {
        POLICY_FILE_BROKER, /* broker.conf, into a struct broker_policy */
        POLICY_FILE_SLICE,  /* slices/NAME.slice, into a struct slice_policy */
};

enum key_type {
        KEY_BOOL,
        KEY_TEXT, /* char array of max bytes: one printable line */
        KEY_PATH, /* char array of max bytes: an absolute path */
        KEY_SIZE, /* bytes */
        KEY_RATE, /* bytes per second */
        KEY_CPUS, /* thousandths */
        KEY_COUNT,
        KEY_RATIO,    /* thousandths */
        KEY_SHARE,    /* thousandths, of one */
        KEY_DURATION, /* microseconds */
        KEY_USERS,    /* a list, into the slice's users */
        KEY_GROUPS,
        KEY_INTERFACE,    /* char array of max bytes: the name of one, or "" */
        KEY_INTERFACES,   /* a list of max of them, into the slice's bridges */
        KEY_ADDRESSES,    /* a list of max of them, into the broker's addresses */
        KEY_USER_QUOTAS,  /* a list, into the broker's user_quotas */
        KEY_GROUP_QUOTAS, /* the same, group_quotas */
        KEY_USER,         /* struct policy_user */
        KEY_WORD,         /* an enum: the place of the word in the key's choices */
        _KEY_TYPE_N,
};

/* Words that are valid beside the number. */
enum {
        KEY_AUTO = 1 << 0,     /* "auto": POLICY_AUTO */
        KEY_INFINITY = 1 << 1, /* "infinity": POLICY_NONE */
};

struct key {
        enum policy_file file;
        size_t offset; /* of the value in the struct of that file */
        const char *section, *name;
        enum key_type type;
        unsigned words;
        uint64_t min, max;    /* in the unit of the type, inclusive; a text: its array's size */
        const char *fallback; /* the default, as one would write it */
        const char *help;     /* a sentence or two, without markup */
        const char *choices;  /* KEY_WORD: the valid words, in the order of the enum: "a, b, c" */
};

#define KEYS_N 148
extern const struct key policy_keys[KEYS_N];

/* The key of that name, or NULL. */
const struct key *keys_find(enum policy_file file, const char *section, const char *name);

bool keys_has_section(enum policy_file file, const char *section);

/*
 * The key somebody may have meant by @name in @section: the same name in another section of this
 * file, else the one spelled nearest to it in @section. NULL if nothing is near enough.
 */
const struct key *keys_nearest(enum policy_file file, const char *section, const char *name);

/* The section spelled nearest to @section, or NULL. */
const char *keys_nearest_section(enum policy_file file, const char *section);

/* Prints the sections of @file as "[A] [B] [C]" into @buffer (128 bytes will do) and returns it. */
const char *keys_list_sections(enum policy_file file, char *buffer, size_t size);

#endif

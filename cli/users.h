/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_USERS_H
#define PROVIUM_CLI_USERS_H

/*
 * Names of users, each asked for once: whoever knows them may be far away (nsswitch.conf(5)).
 */
#include <base/macro.h>

#define USERS_MAX 1024    /* remembered; others are shown as numbers */
#define USERS_NAME_MAX 32 /* characters and the NUL */

struct user_name {
        uint64_t uid;
        char name[USERS_NAME_MAX];
};

struct users {
        struct user_name *list;
        size_t n;
};

#define USERS_NULL                                                                                 \
        {}

void users_deinit(struct users *users);

/* Its name, or its number; in @users or in @buffer. */
const char *users_name(struct users *users, uint64_t uid, char buffer[USERS_NAME_MAX]);

/* The uid of a name or number; false if there is none. */
_must_check_ bool users_find(const char *text, uint64_t *uidp);

#endif

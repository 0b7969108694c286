/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>

#include <base/text.h>
#include <base/units.h>
#include <cli/users.h>

void users_deinit(struct users *users) {
        free(users->list);
        *users = (struct users){};
}

static void look_up(struct user_name *user) {
        struct passwd entry, *found = NULL;
        char buffer[4096];

        if (getpwuid_r((uid_t)user->uid, &entry, buffer, sizeof(buffer), &found) != 0 || !found ||
            !text_is_printable(found->pw_name) ||
            !text_copy(user->name, sizeof(user->name), found->pw_name))
                snprintf(user->name, sizeof(user->name), "%" PRIu64, user->uid);
}

const char *users_name(struct users *users, uint64_t uid, char buffer[USERS_NAME_MAX]) {
        struct user_name *list;

        if (uid == UINT64_MAX)
                return "-";
        for (size_t i = 0; i < users->n; i++)
                if (users->list[i].uid == uid)
                        return users->list[i].name;
        list = users->n < USERS_MAX ? realloc(users->list, (users->n + 1) * sizeof(*list)) : NULL;
        if (!list) {
                snprintf(buffer, USERS_NAME_MAX, "%" PRIu64, uid);
                return buffer;
        }
        users->list = list;
        list[users->n].uid = uid;
        look_up(&list[users->n]);
        return list[users->n++].name;
}

bool users_find(const char *text, uint64_t *uidp) {
        struct passwd entry, *found = NULL;
        char buffer[4096];

        if (getpwnam_r(text, &entry, buffer, sizeof(buffer), &found) == 0 && found) {
                *uidp = found->pw_uid;
                return true;
        }
        return units_parse_count(text, uidp, NULL) == 0 && *uidp < UINT32_MAX;
}

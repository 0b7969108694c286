/* SPDX-License-Identifier: MIT */

/*
 * Names become numbers once, at the load: the answer of a directory service may take seconds, and
 * a claim must not wait for it. So a user that is renumbered or a group created later is seen with
 * the next reload. A word of digits only is a number, never a name.
 */

#include <grp.h>
#include <pwd.h>
#include <string.h>

#include <policies/access.h>
#include <policies/policy.h>

#include <base/text.h>
#include <base/units.h>
#include <base/why.h>

_Static_assert(sizeof(uid_t) == sizeof(uint32_t) && sizeof(gid_t) == sizeof(uint32_t),
               "users and groups go through one list type");

struct list {
        const char *what; /* "user", "group" */
        uint32_t **ids;
        size_t *n;
        bool *everybody; /* NULL: "*" is not valid here */
};

/* What the name service says for "no such name", beside 0 (getpwnam(3)). */
static bool is_absence(int errnum) {
        return errnum == 0 || errnum == ENOENT || errnum == ESRCH || errnum == EBADF ||
               errnum == EPERM;
}

static bool look_up(const struct list *list, const char *name, uint32_t *idp) {
        errno = 0;
        if (list->everybody) {
                const struct passwd *user = getpwnam(name);

                if (user)
                        *idp = user->pw_uid;
                return user;
        } else {
                const struct group *group = getgrnam(name);

                if (group)
                        *idp = group->gr_gid;
                return group;
        }
}

static int resolve(const struct list *list, const char *word, uint32_t *idp, struct why *why) {
        char quoted[64];
        uint64_t number;

        text_escape(word, quoted, sizeof(quoted));
        if (strspn(word, "0123456789") == strlen(word)) {
                if (units_parse_count(word, &number, NULL) || number >= UINT32_MAX)
                        return why_set(why, POLICY_E_INVALID,
                                       "\"%s\" is not the number of a %s; valid is 0 to %u", quoted,
                                       list->what, UINT32_MAX - 1);
                *idp = (uint32_t)number;
                return 0;
        }
        if (look_up(list, word, idp))
                return 0;
        if (errno == ENOMEM)
                return fault(-ENOMEM);
        if (!is_absence(errno))
                return why_errno(why, POLICY_E_INVALID, errno, "cannot look up the %s \"%s\"",
                                 list->what, quoted);
        return why_set(why, POLICY_E_INVALID,
                       "there is no %s \"%s\"; give names or numbers, separated by spaces%s",
                       list->what, quoted, list->everybody ? ", or * for everybody" : "");
}

static int append(const struct list *list, uint32_t id, struct why *why) {
        uint32_t *ids;

        for (size_t i = 0; i < *list->n; i++)
                if ((*list->ids)[i] == id)
                        return 0;
        if (*list->n == POLICY_NAMES_MAX)
                return why_set(why, POLICY_E_INVALID, "more than %d %ss", POLICY_NAMES_MAX,
                               list->what);
        ids = reallocarray(*list->ids, *list->n + 1, sizeof(*ids));
        if (!ids)
                return fault(-ENOMEM);
        ids[(*list->n)++] = id;
        *list->ids = ids;
        return 0;
}

static int add_word(const struct list *list, const char *word, struct why *why) {
        uint32_t id = 0;
        int r;

        if (strcmp(word, "*") == 0) {
                if (!list->everybody)
                        return why_set(why, POLICY_E_INVALID,
                                       "\"*\" is not a group; for everybody write Users=*");
                *list->everybody = true;
                return 0;
        }
        r = resolve(list, word, &id, why);
        if (r)
                return r;
        return append(list, id, why);
}

static int add_words(const struct list *list, const char *text, struct why *why) {
        const char *separators = " \t,";

        if (!*text) {
                *list->n = 0;
                if (list->everybody)
                        *list->everybody = false;
                return 0;
        }
        for (const char *from = text + strspn(text, separators); *from;
             from += strspn(from, separators)) {
                size_t length = strcspn(from, separators);
                _cleanup_(freep) char *word = strndup(from, length);
                int r;

                if (!word)
                        return fault(-ENOMEM);
                r = add_word(list, word, why);
                if (r)
                        return r;
                from += length;
        }
        return 0;
}

int access_add_users(struct slice_policy *slice, const char *text, struct why *why) {
        const struct list list = {"user", &slice->users, &slice->n_users, &slice->everybody};

        return add_words(&list, text, why);
}

int access_add_groups(struct slice_policy *slice, const char *text, struct why *why) {
        const struct list list = {"group", &slice->groups, &slice->n_groups, NULL};

        return add_words(&list, text, why);
}

int access_parse_user(struct policy_user *user, const char *text, struct why *why) {
        bool everybody = false;
        const struct list list = {.what = "user", .everybody = &everybody};
        struct policy_user result = {.kind = POLICY_USER_NAMED};
        const struct passwd *entry;
        char quoted[64];
        int r;

        if (strcmp(text, "caller") == 0 || strcmp(text, "dynamic") == 0) {
                *user = (struct policy_user){.kind = *text == 'c' ? POLICY_USER_CALLER
                                                                  : POLICY_USER_DYNAMIC};
                return 0;
        }
        r = resolve(&list, text, &result.uid, NULL);
        if (r)
                return r < 0 ? r
                             : why_set(why, POLICY_E_INVALID,
                                       "there is no user \"%s\"; give caller, dynamic, a name or a "
                                       "number",
                                       text_escape(text, quoted, sizeof(quoted)));
        entry = getpwuid(result.uid);
        result.gid = entry ? entry->pw_gid : (gid_t)result.uid;
        *user = result;
        return 0;
}

int access_find(const char *word, bool user, uint32_t *idp, struct why *why) {
        bool everybody = false;
        const struct list list = {user ? "user" : "group", NULL, NULL, user ? &everybody : NULL};

        return resolve(&list, word, idp, why);
}

void access_print(FILE *out, uint32_t id, bool user) {
        const struct passwd *entry = user ? getpwuid(id) : NULL;
        const struct group *group = user ? NULL : getgrgid(id);
        const char *name = entry ? entry->pw_name : group ? group->gr_name : NULL;

        if (name && !strpbrk(name, " \t,;*") && strspn(name, "0123456789") < strlen(name))
                fputs(name, out);
        else
                fprintf(out, "%u", id);
}

static bool contains(const gid_t *list, size_t n, gid_t id) {
        for (size_t i = 0; i < n; i++)
                if (list[i] == id)
                        return true;
        return false;
}

int policy_check_access(const struct slice_policy *slice, uid_t uid, gid_t gid, const gid_t *groups,
                        size_t n_groups, struct why *why) {
        if (uid == 0 || slice->everybody || contains(slice->users, slice->n_users, uid) ||
            contains(slice->groups, slice->n_groups, gid))
                return 0;
        for (size_t i = 0; i < n_groups; i++)
                if (contains(slice->groups, slice->n_groups, groups[i]))
                        return 0;
        return why_set(why, POLICY_E_DENIED,
                       "user %u may not use slice \"%s\": [Access] in %s names neither this user "
                       "nor one of their groups",
                       uid, slice->name, slice->path);
}

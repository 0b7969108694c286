/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <policies/errors.h>
#include <policies/policy.h>
#include <policies/trees.h>

#include <base/macro.h>

static void names_free(char **names, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(names[i]);
        free(names);
}

void trees_deinit(struct trees *trees) {
        for (size_t i = 0; i < _TREES_N; i++) {
                dir_close(&trees->slices[i]);
                dir_close(&trees->roots[i]);
        }
        names_free(trees->names, trees->n_names);
        names_free(trees->insides, trees->n_insides);
}

static int compare_names(const void *a, const void *b) {
        return strcmp(*(char *const *)a, *(char *const *)b);
}

void trees_open_inside(const struct trees *trees, const char *inside, struct dir dirs[_TREES_N],
                       struct policy_errors *errors) {
        for (size_t i = 0; i < _TREES_N; i++) {
                const char *at = inside;

                dirs[i] = trees->slices[i];
                if (dirs[i].fd >= 0)
                        dirs[i].fd = fcntl(dirs[i].fd, F_DUPFD_CLOEXEC, 3);
                while (*at) {
                        size_t length = strcspn(at, "/");
                        char part[TEXT_NAME_MAX + 1];
                        struct dir next;

                        memcpy(part, at, length);
                        part[length] = '\0';
                        dir_open(&next, &dirs[i], part, errors);
                        dir_close(&dirs[i]);
                        dirs[i] = next;
                        at += length + (at[length] == '/');
                }
        }
}

void trees_close_inside(struct dir dirs[_TREES_N]) {
        for (size_t i = 0; i < _TREES_N; i++)
                dir_close(&dirs[i]);
}

/* Adds "@inside/@name" (one of both may be "") to a list. Negative if out of memory. */
static int add_name(char ***namesp, size_t *np, const char *inside, const char *name) {
        char **names = reallocarray(*namesp, *np + 1, sizeof(*names));

        if (!names)
                return fault(-ENOMEM);
        *namesp = names;
        if (asprintf(&names[*np], "%s%s%s", inside, *inside && *name ? "/" : "", name) < 0)
                return fault(-ENOMEM);
        (*np)++;
        return 0;
}

/* Or a link, which is then refused where it is opened. */
static bool is_directory(const struct dir dirs[_TREES_N], const char *name) {
        struct stat st;

        for (size_t i = 0; i < _TREES_N; i++)
                if (dirs[i].fd >= 0 && fstatat(dirs[i].fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                    (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode)))
                        return true;
        return false;
}

static int list_slices(struct trees *trees, const char *inside, unsigned depth,
                       struct policy_errors *errors);

/* The slices that lie in the one that @name is the file of, which is in @dirs. */
static int list_inner(struct trees *trees, const struct dir dirs[_TREES_N], const char *inside,
                      const char *name, unsigned depth, struct policy_errors *errors) {
        char stem[NAME_MAX + 1], path[FILES_PATH_MAX], *full;
        int r;

        snprintf(stem, sizeof(stem), "%.*s", (int)(strlen(name) - strlen(".slice")), name);
        if (!is_directory(dirs, stem))
                return 0;
        if (asprintf(&full, "%s%s%s", inside, *inside ? "/" : "", stem) < 0)
                return fault(-ENOMEM);
        r = 0;
        if (depth == TEXT_SLICE_DEPTH_MAX) {
                dir_join(&dirs[dirs[TREE_CONFIG].fd >= 0 ? TREE_CONFIG : TREE_VENDOR], stem, path);
                errors_add(errors, path, 0, NULL, NULL, "slices lie at most %d within each other",
                           TEXT_SLICE_DEPTH_MAX);
        } else if (text_check_slice("slice", full, NULL) == 0) {
                r = list_slices(trees, full, depth + 1, errors);
        }
        free(full);
        return r;
}

/* Adds the files of the slices that lie in @inside, and of those in them. */
static int list_slices(struct trees *trees, const char *inside, unsigned depth,
                       struct policy_errors *errors) {
        struct dir dirs[_TREES_N] = {DIR_NULL, DIR_NULL};
        char **names = NULL;
        size_t n = 0;
        int r;

        trees_open_inside(trees, inside, dirs, errors);
        if (dirs[TREE_CONFIG].fd < 0 && dirs[TREE_VENDOR].fd < 0)
                return 0;
        r = add_name(&trees->insides, &trees->n_insides, inside, "");
        for (size_t i = 0; i < _TREES_N && !r; i++)
                r = dir_list(&dirs[i], ".slice", &names, &n, POLICY_SLICES_MAX, errors);
        for (size_t i = 0; i < n && !r; i++) {
                if (trees->n_names == POLICY_SLICES_MAX) {
                        errors_add(errors, dirs[dirs[TREE_CONFIG].fd < 0].path, 0, NULL, NULL,
                                   "there are more than %d slices", POLICY_SLICES_MAX);
                        break;
                }
                r = add_name(&trees->names, &trees->n_names, inside, names[i]);
                if (!r)
                        r = list_inner(trees, dirs, inside, names[i], depth, errors);
        }
        names_free(names, n);
        trees_close_inside(dirs);
        return r;
}

int trees_open(struct trees *trees, const char *config_dir, const char *vendor_dir,
               struct policy_errors *errors) {
        const char *const paths[_TREES_N] = {
                [TREE_CONFIG] = config_dir,
                [TREE_VENDOR] = vendor_dir,
        };

        int r;

        for (size_t i = 0; i < _TREES_N; i++) {
                dir_open(&trees->roots[i], NULL, paths[i], errors);
                dir_open(&trees->slices[i], &trees->roots[i], "slices", errors);
        }
        r = list_slices(trees, "", 1, errors);
        if (r)
                return r;
        if (trees->n_names > 0)
                qsort(trees->names, trees->n_names, sizeof(*trees->names), compare_names);
        return 0;
}

/* Whether @dir/@name has names that end in @ending. Negative if out of memory. */
static int has_any(const struct dir *parent, const char *name, const char *ending, bool *anyp,
                   struct policy_errors *errors) {
        struct dir dir = DIR_NULL;
        char **names = NULL;
        size_t n = 0;
        int r;

        dir_open(&dir, parent, name, errors);
        r = dir_list(&dir, ending, &names, &n, POLICY_SLICES_MAX, errors);
        *anyp = n > 0;
        names_free(names, n);
        dir_close(&dir);
        return r;
}

static bool is_dropins(const char *name) {
        const char *dot = strrchr(name, '.');

        return dot && strcmp(dot, ".d") == 0;
}

/* @name in @dir: drop-ins if it ends in ".d", or the slices inside another. */
static int check_orphans(const struct policy *policy, const struct dir *dir, const char *inside,
                         const char *name, struct policy_errors *errors) {
        char full[FILES_PATH_MAX], path[FILES_PATH_MAX];
        bool dropins = is_dropins(name), any = false;
        size_t length = strlen(name) - (dropins ? strlen(".d") : 0);
        int r;

        if (length > strlen(".slice") &&
            strncmp(name + length - strlen(".slice"), ".slice", strlen(".slice")) == 0)
                length -= strlen(".slice");
        snprintf(full, sizeof(full), "%s%s%.*s", inside, *inside ? "/" : "", (int)length, name);
        if (policy_find_slice(policy, full))
                return 0;
        r = has_any(dir, name, dropins ? ".conf" : ".slice", &any, errors);
        dir_join(dir, name, path);
        if (!r && any)
                errors_add(errors, path, 0, NULL, NULL,
                           "there are %s here, but no %s.slice that they could %s",
                           dropins ? "drop-ins" : "slices", full, dropins ? "belong to" : "lie in");
        return r;
}

int trees_check_orphans(const struct trees *trees, const struct policy *policy,
                        struct policy_errors *errors) {
        int r = 0;

        for (size_t i = 0; i < trees->n_insides * _TREES_N && !r; i++) {
                const char *inside = trees->insides[i / _TREES_N];
                struct dir dirs[_TREES_N] = {DIR_NULL, DIR_NULL};
                const struct dir *dir = &dirs[i % _TREES_N];
                char **names = NULL;
                size_t n = 0;

                trees_open_inside(trees, inside, dirs, errors);
                r = dir_list(dir, "", &names, &n, 4 * POLICY_SLICES_MAX, errors);
                for (size_t j = 0; j < n && !r; j++) {
                        struct stat st;

                        /* A link for drop-ins is refused when it is opened. */
                        if (fstatat(dir->fd, names[j], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                            (S_ISDIR(st.st_mode) || (S_ISLNK(st.st_mode) && is_dropins(names[j]))))
                                r = check_orphans(policy, dir, inside, names[j], errors);
                }
                names_free(names, n);
                trees_close_inside(dirs);
        }
        return r;
}

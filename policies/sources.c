/* SPDX-License-Identifier: MIT */

/*
 * One object out of its files. Precedence is by file name, so it takes two passes: first all names
 * from the up to four drop-in directories are gathered, each kept with the directory that wins it,
 * then they are read in the order of their names. The texts are read one at a time; the paths stay
 * until the object is judged, because errors name them.
 */

#include <stdio.h>
#include <string.h>

#include <policies/check.h>
#include <policies/parse.h>
#include <policies/policy.h>
#include <policies/sources.h>

#include <base/text.h>

#define DROPIN_DIRS (_TREES_N * 2)

struct dropin {
        char *name;
        size_t dir;
};

/* What is open while one object is read. */
struct sources {
        struct dir dirs[DROPIN_DIRS];
        char **names;
        size_t n_names;
        struct dropin *dropins;
        char (*paths)[FILES_PATH_MAX]; /* one per drop-in */
};

#define SOURCES_NULL                                                                               \
        {                                                                                          \
                .dirs = { DIR_NULL, DIR_NULL, DIR_NULL, DIR_NULL }                                 \
        }

static void sources_deinit(struct sources *sources) {
        for (size_t i = 0; i < DROPIN_DIRS; i++)
                dir_close(&sources->dirs[i]);
        for (size_t i = 0; i < sources->n_names; i++)
                free(sources->names[i]);
        free(sources->names);
        free(sources->dropins);
        free(sources->paths);
}

static int compare_dropins(const void *a, const void *b) {
        return strcmp(((const struct dropin *)a)->name, ((const struct dropin *)b)->name);
}

/* Opens the drop-in directories and gathers their names, the winner of each name first. */
static int sources_open(struct sources *sources, const struct dir trees[_TREES_N], const char *base,
                        const char *stem, struct policy_errors *errors) {
        const char *const stems[] = {base, stem};
        size_t n_owned[DROPIN_DIRS];

        for (size_t i = 0; i < DROPIN_DIRS; i++) {
                char name[TEXT_NAME_MAX + sizeof(".slice.d")];
                int r;

                snprintf(name, sizeof(name), "%s.d", stems[i % 2]);
                dir_open(&sources->dirs[i], &trees[i / 2], name, errors);
                r = dir_list(&sources->dirs[i], ".conf", &sources->names, &sources->n_names,
                             POLICY_DROPINS_MAX, errors);
                if (r)
                        return r;
                n_owned[i] = sources->n_names;
        }

        sources->dropins = calloc(sources->n_names + 1, sizeof(*sources->dropins));
        sources->paths = calloc(sources->n_names + 1, sizeof(*sources->paths));
        if (!sources->dropins || !sources->paths)
                return fault(-ENOMEM);
        for (size_t i = 0, dir = 0; i < sources->n_names; i++) {
                while (i >= n_owned[dir])
                        dir++;
                sources->dropins[i].name = sources->names[i];
                sources->dropins[i].dir = dir;
        }
        qsort(sources->dropins, sources->n_names, sizeof(*sources->dropins), compare_dropins);
        return 0;
}

/* Reads one file of @dir into @unit; @path is filled and must stay. */
static int load_file(struct unit *unit, const struct dir *dir, const char *name, char *path,
                     bool *foundp) {
        _cleanup_(freep) char *text = NULL;
        size_t length;
        int r;

        r = file_load(dir, name, foundp, &text, &length, unit->errors);
        if (r || !*foundp)
                return r;
        dir_join(dir, name, path);
        return text ? parse_text(unit, path, text, length) : 0;
}

static int load_files(struct unit *unit, struct sources *sources, const struct dir trees[_TREES_N],
                      const char *base, char *path) {
        bool found = false;
        int r;

        for (size_t i = 0; i < _TREES_N && !found; i++) {
                r = load_file(unit, &trees[i], base, path, &found);
                if (r)
                        return r;
        }
        for (size_t i = 0; i < sources->n_names; i++) {
                const struct dropin *dropin = &sources->dropins[i];

                r = load_file(unit, &sources->dirs[dropin->dir], dropin->name, sources->paths[i],
                              &found);
                if (r)
                        return r;
        }
        return 0;
}

int sources_load(struct unit *unit, const struct dir trees[_TREES_N], const char *base,
                 const char *stem, char *path) {
        _cleanup_(sources_deinit) struct sources sources = SOURCES_NULL;
        int r;

        path[0] = '\0';
        r = sources_open(&sources, trees, base, stem, unit->errors);
        if (!r)
                r = load_files(unit, &sources, trees, base, path);
        if (r)
                return r;

        /* Here, while the paths that errors point to are still there. */
        switch (unit->file) {
        case POLICY_FILE_BROKER:
                check_broker(unit);
                break;
        case POLICY_FILE_SLICE:
                check_slice(unit);
                break;
        }
        return 0;
}

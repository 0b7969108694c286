/* SPDX-License-Identifier: MIT */

/*
 * Loading a set: open both trees, read broker.conf, find the slices, read each, judge the whole. A
 * load goes on after an error and collects them all; only memory running out ends it early. Nothing
 * that is in force is touched, so that a broken file costs a sentence and nothing else.
 */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <policies/check.h>
#include <policies/errors.h>
#include <policies/parse.h>
#include <policies/policy.h>
#include <policies/sources.h>
#include <policies/value.h>

#include <base/why.h>

/* The directories that are open during a load, and the names found in them. */
struct trees {
        struct dir roots[_TREES_N], slices[_TREES_N];
        char **names; /* "demo.slice", sorted */
        size_t n_names;
};

#define TREES_NULL                                                                                 \
        {                                                                                          \
                .roots = {DIR_NULL, DIR_NULL}, .slices = { DIR_NULL, DIR_NULL }                    \
        }

static void names_free(char **names, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(names[i]);
        free(names);
}

static void trees_deinit(struct trees *trees) {
        for (size_t i = 0; i < _TREES_N; i++) {
                dir_close(&trees->slices[i]);
                dir_close(&trees->roots[i]);
        }
        names_free(trees->names, trees->n_names);
}

static int compare_names(const void *a, const void *b) {
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static int trees_open(struct trees *trees, const char *config_dir, const char *vendor_dir,
                      struct policy_errors *errors) {
        const char *const paths[_TREES_N] = {
                [TREE_CONFIG] = config_dir,
                [TREE_VENDOR] = vendor_dir,
        };

        for (size_t i = 0; i < _TREES_N; i++) {
                int r;

                dir_open(&trees->roots[i], NULL, paths[i], errors);
                dir_open(&trees->slices[i], &trees->roots[i], "slices", errors);
                r = dir_list(&trees->slices[i], ".slice", &trees->names, &trees->n_names,
                             POLICY_SLICES_MAX, errors);
                if (r)
                        return r;
        }
        if (trees->n_names > 0)
                qsort(trees->names, trees->n_names, sizeof(*trees->names), compare_names);
        return 0;
}

static int load_broker(struct broker_policy *broker, const struct trees *trees,
                       struct policy_errors *errors) {
        struct unit unit = {.file = POLICY_FILE_BROKER, .object = broker, .errors = errors};
        char path[FILES_PATH_MAX];
        int r;

        r = value_set_defaults(unit.file, unit.object);
        if (r)
                return r;
        return sources_load(&unit, trees->roots, "broker.conf", "broker", path);
}

/* "demo.slice" without its ending. Notes an error and returns false if that is no name. */
static bool slice_name(char name[TEXT_NAME_MAX + 1], const struct trees *trees, const char *base,
                       struct policy_errors *errors) {
        char stem[NAME_MAX + 1], path[FILES_PATH_MAX];
        const struct dir *dir = &trees->slices[TREE_CONFIG];
        struct why why = {};

        snprintf(stem, sizeof(stem), "%.*s", (int)(strlen(base) - strlen(".slice")), base);
        if (text_check_name("name of a slice", stem, &why) == 0 &&
            text_copy(name, TEXT_NAME_MAX + 1, stem))
                return true;
        if (dir->fd < 0 || faccessat(dir->fd, base, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                dir = &trees->slices[TREE_VENDOR];
        dir_join(dir, base, path);
        errors_add(errors, path, 0, NULL, NULL, "%s", why.text);
        return false;
}

static int load_slice(struct slice_policy *slice, const struct trees *trees, const char *base,
                      struct policy_errors *errors) {
        struct unit unit = {.file = POLICY_FILE_SLICE, .object = slice, .errors = errors};
        int r;

        r = value_set_defaults(unit.file, unit.object);
        if (!r)
                r = sources_load(&unit, trees->slices, base, slice->name, slice->path);
        if (r)
                return r;
        if (slice->path[0] == '\0')
                errors_add(errors, base, 0, NULL, NULL, "the file vanished while it was read");
        return 0;
}

static int compare_slices(const void *a, const void *b) {
        return strcmp(((const struct slice_policy *)a)->name,
                      ((const struct slice_policy *)b)->name);
}

static int load_slices(struct policy *policy, const struct trees *trees,
                       struct policy_errors *errors) {
        policy->slices = calloc(trees->n_names + 1, sizeof(*policy->slices));
        if (!policy->slices)
                return fault(-ENOMEM);
        for (size_t i = 0; i < trees->n_names; i++) {
                struct slice_policy *slice = &policy->slices[policy->n_slices];
                int r;

                if (!slice_name(slice->name, trees, trees->names[i], errors))
                        continue;
                policy->n_slices++;
                r = load_slice(slice, trees, trees->names[i], errors);
                if (r)
                        return r;
        }
        /* Once more: without the ending, "a" comes before "a-b". */
        qsort(policy->slices, policy->n_slices, sizeof(*policy->slices), compare_slices);
        return 0;
}

/* Drop-ins that nobody reads are a limit somebody believes in: say so. */
static int check_orphans(const struct policy *policy, const struct dir *slices, const char *name,
                         struct policy_errors *errors) {
        char stem[TEXT_NAME_MAX + sizeof(".slice.d")];
        struct dir dir = DIR_NULL;
        char **names = NULL;
        size_t n = 0, length;
        int r;

        if (!text_copy(stem, sizeof(stem), name))
                return 0;
        length = strlen(stem) - strlen(".d");
        if (length > strlen(".slice") &&
            strncmp(stem + length - strlen(".slice"), ".slice", 6) == 0)
                length -= strlen(".slice");
        stem[length] = '\0';
        if (policy_find_slice(policy, stem))
                return 0;

        dir_open(&dir, slices, name, errors);
        r = dir_list(&dir, ".conf", &names, &n, POLICY_DROPINS_MAX, errors);
        if (n > 0)
                errors_add(errors, dir.path, 0, NULL, NULL,
                           "there are drop-ins here, but no %s.slice that they could belong to",
                           stem);
        names_free(names, n);
        dir_close(&dir);
        return r;
}

static int check_all_orphans(const struct policy *policy, const struct trees *trees,
                             struct policy_errors *errors) {
        int r = 0;

        for (size_t i = 0; i < _TREES_N && !r; i++) {
                char **names = NULL;
                size_t n = 0;

                r = dir_list(&trees->slices[i], ".d", &names, &n, 2 * POLICY_SLICES_MAX, errors);
                for (size_t j = 0; j < n && !r; j++)
                        r = check_orphans(policy, &trees->slices[i], names[j], errors);
                names_free(names, n);
        }
        return r;
}

static void mirror_axis(struct demand *demand, bool full_duplex, uint64_t otherwise) {
        demand->amount[RESOURCE_NETWORK_UPLOAD] =
                full_duplex ? demand->amount[RESOURCE_NETWORK] : otherwise;
}

/*
 * Network= is written once. Where the link is full duplex, what it says is said of each direction;
 * elsewhere there is nothing of the upload to have, to keep free or to be limited. Done last, so
 * that no error and no notice comes twice.
 */
static void mirror_upload(struct policy *policy) {
        struct broker_policy *broker = &policy->broker;
        bool full_duplex = broker->network.full_duplex;

        mirror_axis(&broker->capacity, full_duplex, 0);
        mirror_axis(&broker->reserve, full_duplex, 0);
        mirror_axis(&broker->ratio_milli, full_duplex, 1000);
        mirror_axis(&broker->claim, full_duplex, 0);
        broker->ratio_clamped[RESOURCE_NETWORK_UPLOAD] = false;
        for (size_t i = 0; i < policy->n_slices; i++) {
                struct slice_policy *slice = &policy->slices[i];

                mirror_axis(&slice->limit, full_duplex, POLICY_NONE);
                mirror_axis(&slice->ratio_milli, full_duplex, 1000);
                mirror_axis(&slice->guarantee, full_duplex, 0);
                mirror_axis(&slice->vm_max, full_duplex, POLICY_NONE);
                mirror_axis(&slice->vm_claim, full_duplex, 0);
                slice->ratio_clamped[RESOURCE_NETWORK_UPLOAD] = false;
        }
}

int policy_load(struct policy **policyp, const char *config_dir, const char *vendor_dir,
                struct policy_errors *errors) {
        _cleanup_(policy_freep) struct policy *policy = NULL;
        _cleanup_(trees_deinit) struct trees trees = TREES_NULL;
        int r;

        errors->n = 0;
        errors->n_more = 0;
        policy = calloc(1, sizeof(*policy));
        if (!policy)
                return fault(-ENOMEM);

        r = trees_open(&trees, config_dir, vendor_dir, errors);
        if (!r)
                r = load_broker(&policy->broker, &trees, errors);
        if (!r)
                r = load_slices(policy, &trees, errors);
        if (!r)
                r = check_all_orphans(policy, &trees, errors);
        if (r)
                return r;
        check_policy(policy, errors);
        if (errors_any(errors))
                return POLICY_E_INVALID;
        mirror_upload(policy);

        *policyp = take(policy);
        return 0;
}

int policy_load_text(struct policy **policyp, const char *path, const char *text, size_t length,
                     struct policy_errors *errors) {
        _cleanup_(policy_freep) struct policy *policy = NULL;
        struct unit unit = {.file = POLICY_FILE_BROKER, .errors = errors};
        int r;

        errors->n = 0;
        errors->n_more = 0;
        policy = calloc(1, sizeof(*policy));
        if (!policy)
                return fault(-ENOMEM);
        unit.object = &policy->broker;
        r = value_set_defaults(unit.file, unit.object);
        if (!r)
                r = parse_text(&unit, path, text, length);
        if (r)
                return r;
        check_broker(&unit);
        if (errors_any(errors))
                return POLICY_E_INVALID;
        mirror_upload(policy);

        *policyp = take(policy);
        return 0;
}

struct policy *policy_free(struct policy *policy) {
        if (!policy)
                return NULL;
        for (size_t i = 0; i < policy->n_slices; i++) {
                free(policy->slices[i].users);
                free(policy->slices[i].groups);
        }
        free(policy->slices);
        free(policy);
        return NULL;
}

static int compare_slice(const void *name, const void *slice) {
        return strcmp(name, ((const struct slice_policy *)slice)->name);
}

const struct slice_policy *policy_find_slice(const struct policy *policy, const char *name) {
        if (policy->n_slices == 0)
                return NULL;
        return bsearch(name, policy->slices, policy->n_slices, sizeof(*policy->slices),
                       compare_slice);
}

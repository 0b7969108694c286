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
#include <policies/trees.h>
#include <policies/value.h>

#include <base/why.h>

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

/* "demo.slice", or "demo/inner.slice", without its ending. Notes an error and returns false if that
 * is no name. */
static bool slice_name(char name[TEXT_NAME_MAX + 1], const struct trees *trees, const char *base,
                       struct policy_errors *errors) {
        char stem[FILES_PATH_MAX], path[FILES_PATH_MAX];
        const struct dir *dir = &trees->slices[TREE_CONFIG];
        struct why why = {};

        snprintf(stem, sizeof(stem), "%.*s", (int)(strlen(base) - strlen(".slice")), base);
        if (text_check_slice("name of a slice", stem, &why) == 0 &&
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
        struct dir dirs[_TREES_N] = {DIR_NULL, DIR_NULL};
        char inside[TEXT_NAME_MAX + 1] = "";
        int r;

        text_slice_parent(slice->name, inside);
        trees_open_inside(trees, inside, dirs, errors);
        r = value_set_defaults(unit.file, unit.object);
        if (!r)
                r = sources_load(&unit, dirs, text_slice_leaf(base), text_slice_leaf(slice->name),
                                 slice->path);
        trees_close_inside(dirs);
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
        for (size_t i = 0; i < broker->n_user_quotas; i++)
                mirror_axis(&broker->user_quotas[i].limit, full_duplex, POLICY_NONE);
        for (size_t i = 0; i < broker->n_group_quotas; i++)
                mirror_axis(&broker->group_quotas[i].limit, full_duplex, POLICY_NONE);
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
                r = trees_check_orphans(&trees, policy, errors);
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

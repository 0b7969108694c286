/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/filters.h>
#include <cgroup/device_rule.h>
#include <cgroup/devices.h>
#include <launcher/seccomp_program.h>

#define RULES_MAX 96

struct list {
        char name[TEXT_NAME_MAX + 1];
        struct seccomp_program program;
};

/* A device program is loaded once for all VMs with the same words. */
struct fence {
        char devices[POLICY_DEVICES_MAX];
        int prog_fd;
};

struct filters {
        unsigned n_refs;
        size_t n_lists, n_fences;
        struct list *lists;
        struct fence *fences;
};

struct filters *filters_ref(struct filters *filters) {
        filters->n_refs++;
        return filters;
}

struct filters *filters_unref(struct filters *filters) {
        if (!filters || --filters->n_refs > 0)
                return NULL;
        for (size_t i = 0; i < filters->n_lists; i++)
                seccomp_program_deinit(&filters->lists[i].program);
        for (size_t i = 0; i < filters->n_fences; i++)
                fd_close(filters->fences[i].prog_fd);
        free(filters->lists);
        free(filters->fences);
        free(filters);
        return NULL;
}

/* ---- seccomp ---- */

static int add_list(struct filters *filters, const char *const *dirs,
                    const struct slice_policy *slice, struct why *why) {
        const char *name = slice->sandbox.seccomp;
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;
        struct why reason = {};
        int r;

        if (!*name || strcmp(name, "none") == 0 || filters_seccomp(filters, name))
                return 0;
        r = seccomp_program_load(&program, dirs, name, &reason);
        if (r)
                return r < 0 ? r
                             : why_set(why, BROKER_E_POLICY, "%s: [Sandbox] Seccomp=%s: %s",
                                       slice->path, name, reason.text);
        snprintf(filters->lists[filters->n_lists].name, sizeof(filters->lists[0].name), "%s", name);
        filters->lists[filters->n_lists++].program = program;
        return 0;
}

int filters_load(struct filters **filtersp, const struct options *options,
                 const struct policy *policy, struct why *why) {
        char config[512], vendor[512];
        const char *const dirs[] = {config, vendor, NULL};
        struct filters *filters = calloc(1, sizeof(*filters));
        int r = 0;

        if (!filters)
                return fault(-ENOMEM);
        filters->n_refs = 1;
        filters->lists = calloc(policy->n_slices + 1, sizeof(*filters->lists));
        /* What slices of one policy can need. */
        filters->fences = calloc(policy->n_slices + 1, sizeof(*filters->fences));
        if (!filters->lists || !filters->fences)
                r = fault(-ENOMEM);
        snprintf(config, sizeof(config), "%s/seccomp", options->config_dir);
        snprintf(vendor, sizeof(vendor), "%s/seccomp", options->vendor_dir);
        for (size_t i = 0; r == 0 && i < policy->n_slices; i++)
                r = add_list(filters, dirs, &policy->slices[i], why);
        if (r) {
                filters_unref(filters);
                return r;
        }
        *filtersp = filters;
        return 0;
}

const struct sock_fprog *filters_seccomp(const struct filters *filters, const char *name) {
        for (size_t i = 0; *name && i < filters->n_lists; i++)
                if (strcmp(filters->lists[i].name, name) == 0)
                        return &filters->lists[i].program.bpf;
        return NULL;
}

/* ---- devices ---- */

/* The child makes the nodes itself, within the group; what a VM has no capability for it cannot. */
static size_t make_rules(struct device_rule rules[RULES_MAX], const char *dev_dir,
                         const char *devices) {
        static const char *const always[] = {"pts", "ptmx"};
        _cleanup_(fd_closep) int dev_fd = open(dev_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        char word[DEVICE_WORD_MAX + 1];
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(always); i++)
                n += device_rule_parse(&rules[n], dev_fd, always[i], NULL) == 0;
        while (*(devices += strspn(devices, " ")) && n < RULES_MAX - FILTERS_EXTRA_MAX) {
                size_t length = strcspn(devices, " ");

                /* What this host has not got nobody can open. */
                snprintf(word, sizeof(word), "%.*s", (int)length, devices);
                n += device_rule_parse(&rules[n], dev_fd, word, NULL) == 0;
                devices += length;
        }
        for (size_t i = 0; i < n; i++)
                rules[i].access |= DEVICE_MKNOD;
        return n;
}

static int find_fence(struct filters *filters, const char *dev_dir, const char *devices,
                      int *prog_fdp, struct why *why) {
        struct device_rule rules[RULES_MAX];
        struct fence *fence;
        int r;

        for (size_t i = 0; i < filters->n_fences; i++)
                if (strcmp(filters->fences[i].devices, devices) == 0) {
                        *prog_fdp = filters->fences[i].prog_fd;
                        return 0;
                }
        r = devices_load(rules, make_rules(rules, dev_dir, devices), prog_fdp, why);
        if (r)
                return r;
        fence = &filters->fences[filters->n_fences++];
        snprintf(fence->devices, sizeof(fence->devices), "%s", devices);
        fence->prog_fd = *prog_fdp;
        return 0;
}

int filters_confine(struct filters *filters, const char *dev_dir, int dir_fd, const char *devices,
                    const struct device_rule *extra, size_t n_extra, struct why *why) {
        _cleanup_(fd_closep) int own_fd = -1;
        struct device_rule rules[RULES_MAX];
        size_t n;
        int prog_fd, r;

        assert(n_extra <= FILTERS_EXTRA_MAX);
        if (n_extra == 0) {
                r = find_fence(filters, dev_dir, devices, &prog_fd, why);
                return r ?: devices_attach(dir_fd, prog_fd, why);
        }
        n = make_rules(rules, dev_dir, devices);
        memcpy(rules + n, extra, n_extra * sizeof(*extra));
        r = devices_load(rules, n + n_extra, &own_fd, why);
        return r ?: devices_attach(dir_fd, own_fd, why);
}

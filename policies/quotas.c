/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <policies/access.h>
#include <policies/policy.h>
#include <policies/quotas.h>

#include <base/units.h>
#include <base/why.h>

#define COUNT_MAX 1000000

static const struct axis {
        const char *name;
        size_t offset;
        int (*parse)(const char *, uint64_t *, struct why *);
        uint64_t max;
} axes[] = {
#define AXIS(name, parse, max, resource)                                                           \
        { name, offsetof(struct quota_policy, limit.amount[resource]), parse, max }
        AXIS("CPU", units_parse_cpus, UNITS_VALUE_MAX, RESOURCE_CPU),
        AXIS("Memory", units_parse_size, UNITS_VALUE_MAX, RESOURCE_MEMORY),
        AXIS("Disk", units_parse_size, UNITS_VALUE_MAX, RESOURCE_DISK),
        AXIS("DiskIO", units_parse_rate, UNITS_VALUE_MAX, RESOURCE_DISK_IO),
        AXIS("Network", units_parse_rate, UNITS_VALUE_MAX, RESOURCE_NETWORK),
        AXIS("GPU", units_parse_count, UNITS_VALUE_MAX, RESOURCE_GPU),
#undef AXIS
        {"MaxVMs", offsetof(struct quota_policy, vms_max), units_parse_count, COUNT_MAX},
        {"MaxQueued", offsetof(struct quota_policy, queued_max), units_parse_count, COUNT_MAX},
};

#define VALID                                                                                      \
        "give CPU= Memory= Disk= DiskIO= Network= GPU= MaxVMs= MaxQueued=, separated by blanks"

/* One "CPU=8". */
static int set_axis(struct quota_policy *quota, char *word, struct why *why) {
        char *value = strchr(word, '='), quoted[64];
        struct why reason = {};
        uint64_t amount;

        text_escape(word, quoted, sizeof(quoted));
        if (value)
                *value++ = '\0';
        for (size_t i = 0; value && i < ARRAY_SIZE(axes); i++) {
                uint64_t *at = (uint64_t *)((char *)quota + axes[i].offset);

                if (strcmp(word, axes[i].name) != 0)
                        continue;
                if (*at != POLICY_NONE)
                        return why_set(why, POLICY_E_INVALID, "%s= is given twice", word);
                if (strcmp(value, "infinity") == 0)
                        return 0;
                if (axes[i].parse(value, &amount, &reason))
                        return why_set(why, POLICY_E_INVALID, "%s: %s, or infinity", word,
                                       reason.text);
                if (amount > axes[i].max)
                        return why_set(why, POLICY_E_INVALID, "%s: \"%s\" is more than %d", word,
                                       value, COUNT_MAX);
                *at = amount;
                return 0;
        }
        return why_set(why, POLICY_E_INVALID, "\"%s\" is not valid; " VALID, quoted);
}

/* Whose it is: the first word. */
static int set_owner(struct quota_policy *quota, const char *word, bool user, struct why *why) {
        quota->each = user && strcmp(word, "*") == 0;
        return quota->each ? 0 : access_find(word, user, &quota->id, why);
}

static int parse_quota(struct quota_policy *quota, char *text, bool user, struct why *why) {
        char *rest = NULL, *word = strtok_r(text, " \t", &rest);
        bool any = false;
        int r;

        *quota = (struct quota_policy){.vms_max = POLICY_NONE, .queued_max = POLICY_NONE};
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                quota->limit.amount[i] = POLICY_NONE;
        r = set_owner(quota, word ?: "", user, why);
        while (!r && (word = strtok_r(NULL, " \t", &rest))) {
                r = set_axis(quota, word, why);
                any = true;
        }
        if (!r && !any)
                r = why_set(why, POLICY_E_INVALID, "it says nothing of how much; " VALID);
        return r;
}

static bool same_owner(const struct quota_policy *a, const struct quota_policy *b) {
        return a->each == b->each && a->id == b->id;
}

static int add(struct quota_policy *list, size_t *np, const char *text, bool user,
               struct why *why) {
        _cleanup_(freep) char *copy = strdup(text);
        struct quota_policy quota;
        size_t i = 0;
        int r;

        if (!copy)
                return fault(-ENOMEM);
        if (!*text) {
                *np = 0;
                return 0;
        }
        r = parse_quota(&quota, copy, user, why);
        if (r)
                return r;
        while (i < *np && !same_owner(&list[i], &quota))
                i++;
        if (i == POLICY_QUOTAS_MAX)
                return why_set(why, POLICY_E_INVALID, "more than %d of them", POLICY_QUOTAS_MAX);
        list[i] = quota;
        *np += i == *np;
        return 0;
}

int quotas_add_user(struct broker_policy *broker, const char *text, struct why *why) {
        return add(broker->user_quotas, &broker->n_user_quotas, text, true, why);
}

int quotas_add_group(struct broker_policy *broker, const char *text, struct why *why) {
        return add(broker->group_quotas, &broker->n_group_quotas, text, false, why);
}

/* Such that the parser reads the same. */
static void print_exactly(int (*parse)(const char *, uint64_t *, struct why *), uint64_t amount,
                          char *text, size_t size) {
        if (parse == units_parse_size)
                units_exact_size(amount, text, size);
        else if (parse == units_parse_rate)
                units_exact_rate(amount, text, size);
        else if (parse == units_parse_cpus)
                units_format_milli(amount, text, size);
        else
                snprintf(text, size, "%lu", (unsigned long)amount);
}

static void show(FILE *out, const char *key, const struct quota_policy *list, size_t n, bool user) {
        for (size_t i = 0; i < n; i++) {
                fprintf(out, "%s=", key);
                if (list[i].each)
                        fputc('*', out);
                else
                        access_print(out, list[i].id, user);
                for (size_t j = 0; j < ARRAY_SIZE(axes); j++) {
                        uint64_t amount =
                                *(const uint64_t *)((const char *)&list[i] + axes[j].offset);
                        char text[UNITS_TEXT_MAX];

                        if (amount == POLICY_NONE)
                                continue;
                        print_exactly(axes[j].parse, amount, text, sizeof(text));
                        fprintf(out, " %s=%s", axes[j].name, text);
                }
                fputc('\n', out);
        }
        if (n == 0)
                fprintf(out, "%s=\n", key);
}

void quotas_show_users(FILE *out, const char *key, const struct broker_policy *broker) {
        show(out, key, broker->user_quotas, broker->n_user_quotas, true);
}

void quotas_show_groups(FILE *out, const char *key, const struct broker_policy *broker) {
        show(out, key, broker->group_quotas, broker->n_group_quotas, false);
}

static const struct quota_policy *find(const struct quota_policy *list, size_t n, bool each,
                                       uint32_t id) {
        for (size_t i = 0; i < n; i++)
                if (list[i].each == each && list[i].id == id)
                        return &list[i];
        return NULL;
}

const struct quota_policy *policy_user_quota(const struct broker_policy *broker, uid_t uid) {
        const struct quota_policy *quota =
                find(broker->user_quotas, broker->n_user_quotas, false, uid);

        if (!quota && uid != 0)
                quota = find(broker->user_quotas, broker->n_user_quotas, true, 0);
        return quota;
}

const struct quota_policy *policy_group_quota(const struct broker_policy *broker, gid_t gid) {
        return find(broker->group_quotas, broker->n_group_quotas, false, gid);
}

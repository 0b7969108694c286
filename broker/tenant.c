/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <broker/broker.h>
#include <broker/connection.h>
#include <broker/reservation.h>
#include <broker/slice.h>
#include <broker/tenant.h>

/* ---- ceilings ---- */

static const struct quota_policy *quota_of(const struct broker *broker,
                                           const struct ceiling *ceiling) {
        const struct broker_policy *policy = &broker->policy->broker;

        return ceiling->key.is_group ? policy_group_quota(policy, ceiling->key.id)
                                     : policy_user_quota(policy, ceiling->key.id);
}

static void configure(const struct broker *broker, struct ceiling *ceiling) {
        const struct quota_policy *quota = quota_of(broker, ceiling);

        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                uint64_t limit = quota ? quota->limit.amount[i] : POLICY_NONE;

                ceiling->account.limit.amount[i] = limit == POLICY_NONE ? LEDGER_NO_LIMIT : limit;
                ceiling->account.ratio_milli.amount[i] = 1000;
        }
        ceiling->account.vms_max =
                !quota || quota->vms_max == POLICY_NONE ? LEDGER_NO_LIMIT : quota->vms_max;
}

static int ceiling_get(struct broker *broker, bool is_group, uint32_t id,
                       struct ceiling **ceilingp) {
        struct ceiling *ceiling, wanted = {};

        wanted.key.is_group = is_group;
        wanted.key.id = id;
        HASH_FIND(hh, broker->ceilings, &wanted.key, sizeof(wanted.key), ceiling);
        if (!ceiling) {
                ceiling = calloc(1, sizeof(*ceiling));
                if (!ceiling)
                        return fault(-ENOMEM);
                ceiling->key.is_group = is_group;
                ceiling->key.id = id;
                ceiling->account.kind = is_group ? ACCOUNT_GROUP : ACCOUNT_USER;
                configure(broker, ceiling);
                HASH_ADD(hh, broker->ceilings, key, sizeof(ceiling->key), ceiling);
        }
        ceiling->n_tenants++;
        *ceilingp = ceiling;
        return 0;
}

static void ceiling_put(struct broker *broker, struct ceiling *ceiling) {
        if (!ceiling || --ceiling->n_tenants > 0)
                return;
        HASH_DEL(broker->ceilings, ceiling);
        free(ceiling);
}

void tenants_configure(struct broker *broker) {
        struct ceiling *ceiling, *next;

        HASH_ITER(hh, broker->ceilings, ceiling, next)
                configure(broker, ceiling);
}

/* ---- tenants ---- */

static void tenant_free(struct broker *broker, struct tenant *tenant) {
        for (size_t i = 0; i < ARRAY_SIZE(tenant->ceilings); i++)
                ceiling_put(broker, tenant->ceilings[i]);
        free(tenant);
}

static int tenant_new(struct broker *broker, const struct tenant_key *key,
                      struct tenant **tenantp) {
        struct tenant *tenant = calloc(1, sizeof(*tenant));
        bool placed;
        int r;

        if (!tenant)
                return fault(-ENOMEM);
        tenant->key = *key;
        r = ceiling_get(broker, false, key->uid, &tenant->ceilings[0]);
        for (size_t i = 0; i < key->n_groups && r == 0; i++)
                r = ceiling_get(broker, true, key->groups[i], &tenant->ceilings[i + 1]);
        if (r < 0) {
                tenant_free(broker, tenant);
                return r;
        }
        tenant->account.kind = ACCOUNT_SLICE;
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                tenant->account.limit.amount[i] = LEDGER_NO_LIMIT;
                tenant->account.ratio_milli.amount[i] = 1000;
        }
        tenant->account.vms_max = LEDGER_NO_LIMIT;
        placed = account_place(&tenant->account, &key->slice->account);
        for (size_t i = 0; i <= key->n_groups && placed; i++)
                placed = account_add_ceiling(&tenant->account, &tenant->ceilings[i]->account);
        assert(placed);
        lane_init(&tenant->lane, &tenant->account);
        HASH_ADD(hh, broker->tenants, key, sizeof(tenant->key), tenant);
        *tenantp = tenant;
        return 0;
}

static int compare_groups(const void *a, const void *b) {
        gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;

        return (x > y) - (x < y);
}

int tenant_get(struct broker *broker, struct slice *slice, uid_t uid, const gid_t *groups,
               size_t n_groups, struct tenant **tenantp) {
        struct tenant *tenant;
        struct tenant_key key;
        int r;

        assert(n_groups <= TENANT_GROUPS_MAX);
        memset(&key, 0, sizeof(key)); /* its padding too: it is hashed */
        key.slice = slice;
        key.uid = uid;
        key.n_groups = (uint32_t)n_groups;
        for (size_t i = 0; i < n_groups; i++)
                key.groups[i] = groups[i];
        qsort(key.groups, n_groups, sizeof(*key.groups), compare_groups);
        HASH_FIND(hh, broker->tenants, &key, sizeof(key), tenant);
        if (!tenant) {
                r = tenant_new(broker, &key, &tenant);
                if (r < 0)
                        return r;
        }
        tenant->n_leases++;
        *tenantp = tenant;
        return 0;
}

void tenant_put(struct broker *broker, struct tenant *tenant) {
        if (!tenant || --tenant->n_leases > 0)
                return;
        HASH_DEL(broker->tenants, tenant);
        tenant_free(broker, tenant);
}

void tenants_deinit(struct broker *broker) {
        struct tenant *tenant, *next;

        HASH_ITER(hh, broker->tenants, tenant, next) {
                HASH_DEL(broker->tenants, tenant);
                tenant_free(broker, tenant);
        }
}

/* ---- who is counted ---- */

static bool contains(const gid_t *groups, size_t n, gid_t gid) {
        for (size_t i = 0; i < n; i++)
                if (groups[i] == gid)
                        return true;
        return false;
}

int tenant_find_groups(struct connection *connection, gid_t *groups, size_t *np, struct why *why) {
        const struct broker_policy *policy = &connection->broker->policy->broker;
        gid_t all[CONTROL_GROUPS_MAX + 1];
        socklen_t size = sizeof(all) - sizeof(*all);
        size_t n;

        *np = 0;
        if (policy->n_group_quotas == 0 || connection->uid == 0)
                return 0;
        if (getsockopt(connection->stream.fd, SOL_SOCKET, SO_PEERGROUPS, all, &size) < 0)
                return why_set(why, 1,
                               "user %u is in more than %d groups, too many to know which of them "
                               "have a quota",
                               connection->uid, CONTROL_GROUPS_MAX);
        n = size / sizeof(*all);
        all[n++] = connection->gid;
        for (size_t i = 0; i < n; i++) {
                if (!policy_group_quota(policy, all[i]) || contains(groups, *np, all[i]))
                        continue;
                if (*np == TENANT_GROUPS_MAX)
                        return why_set(why, 1,
                                       "user %u is in more than %d groups that have a quota; that "
                                       "many can be counted",
                                       connection->uid, TENANT_GROUPS_MAX);
                groups[(*np)++] = all[i];
        }
        return 0;
}

void tenant_count_waiting(struct tenant *tenant, bool waits) {
        uint64_t one = waits ? 1 : -UINT64_C(1);

        assert(waits || tenant->key.slice->n_waiting > 0);
        tenant->key.slice->n_waiting += one;
        for (size_t i = 0; i <= tenant->key.n_groups; i++) {
                struct ceiling *ceiling = tenant->ceilings[i];

                assert(waits || ceiling->n_waiting > 0);
                ceiling->n_waiting += one;
        }
}

int tenant_may_wait(const struct broker *broker, const struct tenant *tenant, struct why *why) {
        char owner[TENANT_OWNER_MAX];

        for (size_t i = 0; i <= tenant->key.n_groups; i++) {
                const struct ceiling *ceiling = tenant->ceilings[i];
                const struct quota_policy *quota = quota_of(broker, ceiling);

                if (quota && ceiling->n_waiting >= quota->queued_max)
                        return why_set(why, 1,
                                       "%" PRIu64 " claims of %s wait already, as many as its "
                                       "MaxQueued= allows",
                                       ceiling->n_waiting, tenant_owner(&ceiling->account, owner));
        }
        return 0;
}

const char *tenant_owner(const struct account *account, char buffer[TENANT_OWNER_MAX]) {
        const struct ceiling *ceiling = container_of(account, struct ceiling, account);

        switch (account->kind) {
        case ACCOUNT_SLICE:
                snprintf(buffer, TENANT_OWNER_MAX, "slice '%s'",
                         container_of(account, struct slice, account)->name);
                break;
        case ACCOUNT_USER:
        case ACCOUNT_GROUP:
                snprintf(buffer, TENANT_OWNER_MAX, "%s %u",
                         ceiling->key.is_group ? "group" : "user", ceiling->key.id);
                break;
        case ACCOUNT_RESERVATION:
                snprintf(buffer, TENANT_OWNER_MAX, "the reservation '%s'",
                         container_of(account, struct reservation, account)->owner);
                break;
        }
        return buffer;
}

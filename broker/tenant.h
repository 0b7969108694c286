/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_TENANT_H
#define PROVIUM_BROKER_TENANT_H

/*
 * A tenant: what one user has of one slice. Its claims wait in a lane of their own and are charged
 * to the slice, to those around it, and to the ceilings that [Quota] sets for the user and for
 * groups of his. A user always has one, with or without limits, so that a quota that is written
 * later counts what runs already; a group only if it had a quota when the claim was made, because
 * who is a member is known of a connection, not of a VM.
 */

#include <uthash.h>

#include <admission/queue.h>
#include <broker/broker.h>
#include <cgroup/record.h>

struct connection;
struct slice;
struct why;

#define TENANT_GROUPS_MAX RECORD_GROUPS_MAX

/* What a user, or the members of a group, hold in all slices together. */
struct ceiling {
        struct {
                bool is_group;
                uint32_t id;
        } key;
        struct account account;
        uint64_t n_tenants, n_waiting;
        UT_hash_handle hh;
};

struct tenant {
        struct tenant_key {
                struct slice *slice;
                uid_t uid;
                gid_t groups[TENANT_GROUPS_MAX]; /* those with a quota; the rest 0 */
                uint32_t n_groups;
        } key;
        struct account account;
        struct lane lane;
        struct ceiling *ceilings[TENANT_GROUPS_MAX + 1]; /* the user's, then those of the groups */
        uint64_t n_leases;
        UT_hash_handle hh;
};

/*
 * That user's place in @slice, with the groups that count, and one lease more; tenant_put() takes
 * it back, and takes NULL. Negative: out of memory.
 */
_must_check_ int tenant_get(struct broker *broker, struct slice *slice, uid_t uid,
                            const gid_t *groups, size_t n_groups, struct tenant **tenantp);
void tenant_put(struct broker *broker, struct tenant *tenant);

/*
 * The groups of the peer that have a quota, into @groups of TENANT_GROUPS_MAX. Answers 1 with
 * @why if there are more, or more groups than are looked at: what cannot be counted is not let in.
 */
_must_check_ int tenant_find_groups(struct connection *connection, gid_t *groups, size_t *np,
                                    struct why *why);

/* A claim begins or ceases to wait. */
void tenant_count_waiting(struct tenant *tenant, bool waits);

/* May another claim of it wait? Answers 1 with @why. */
_must_check_ int tenant_may_wait(const struct broker *broker, const struct tenant *tenant,
                                 struct why *why);

/* Takes the quotas of the policy in force into the books. */
void tenants_configure(struct broker *broker);

/* "user 1000", "group students", "slice 'ci'": whose limit @account is. */
#define TENANT_OWNER_MAX 96
const char *tenant_owner(const struct account *account, char buffer[TENANT_OWNER_MAX]);

/* Frees all; no lease is left. */
void tenants_deinit(struct broker *broker);

#endif

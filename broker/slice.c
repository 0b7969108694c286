/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/slice.h>
#include <cgroup/freeze.h>

struct slice *slice_find(struct broker *broker, const char *name) {
        struct slice *slice;

        HASH_FIND_STR(broker->slices, name, slice);
        return slice;
}

/* Puts @slice into the one that its name says it lies in. */
static int place(struct broker *broker, struct slice *slice) {
        char parent[TEXT_NAME_MAX + 1];
        bool placed;
        int r;

        if (!text_slice_parent(slice->name, parent))
                return 0;
        r = slice_get(broker, parent, &slice->parent);
        if (r < 0)
                return r;
        slice->parent->n_inner++;
        placed = account_place(&slice->account, &slice->parent->account);
        assert(placed);
        return 0;
}

int slice_get(struct broker *broker, const char *name, struct slice **slicep) {
        struct slice *slice = slice_find(broker, name);
        int r;

        if (!slice) {
                slice = calloc(1, sizeof(*slice));
                if (slice)
                        slice->name = strdup(name);
                if (!slice || !slice->name) {
                        free(slice);
                        return fault(-ENOMEM);
                }
                slice->dir_fd = slice->weight_fd = slice->low_fd = slice->watch_id = -1;
                slice->limits = (struct limits)LIMITS_KEEP_ALL;
                r = place(broker, slice);
                if (r < 0) {
                        free(slice->name);
                        free(slice);
                        return r;
                }
                for (unsigned i = 0; i < _RESOURCE_N; i++) {
                        slice->account.limit.amount[i] = LEDGER_NO_LIMIT;
                        slice->account.ratio_milli.amount[i] = 1000;
                }
                slice->account.vms_max = slice->account.queued_max = LEDGER_NO_LIMIT;
                HASH_ADD_KEYPTR(hh, broker->slices, slice->name, strlen(slice->name), slice);
        }
        *slicep = slice;
        return 0;
}

const char *slice_directory(const char *name, char *buffer, size_t size) {
        size_t used = 0;

        while (*name) {
                size_t length = strcspn(name, "/");
                bool last = name[length] == '\0';

                used += (size_t)snprintf(buffer + used, size - used, "%.*s.slice%s", (int)length,
                                         name, last ? "" : "/");
                assert(used < size);
                name += length + !last;
        }
        return buffer;
}

uint64_t slice_weight(const struct broker *broker, uint64_t cpu_milli) {
        uint64_t effective = broker->ledger.effective.amount[RESOURCE_CPU];
        unsigned __int128 weight;

        if (effective == 0)
                return 1;
        weight = (unsigned __int128)cpu_milli * LIMITS_WEIGHT_MAX / effective;
        if (weight > LIMITS_WEIGHT_MAX)
                return LIMITS_WEIGHT_MAX;
        return weight < 1 ? 1 : (uint64_t)weight;
}

/* The kernel limits of the slice as a whole, from its policy. Without one they stay as they are. */
static struct limits slice_limits(const struct broker *broker, const struct slice *slice) {
        struct limits limits = LIMITS_KEEP_ALL;
        const struct slice_policy *policy = slice->policy;

        if (!policy)
                return limits;
        if (policy->limit.amount[RESOURCE_CPU] == POLICY_NONE) {
                limits.cpu_quota_usec = LIMIT_NONE;
                limits.cpu_period_usec = 100000;
        } else {
                limits_set_cpu(&limits, policy->limit.amount[RESOURCE_CPU],
                               broker->policy->broker.cpu_headroom_milli);
        }
        limits.memory_max_bytes = policy->limit.amount[RESOURCE_MEMORY] == POLICY_NONE
                                          ? LIMIT_NONE
                                          : limits_page_ceil(policy->limit.amount[RESOURCE_MEMORY]);
        return limits;
}

static void slice_apply_policy(struct broker *broker, struct slice *slice) {
        const struct slice_policy *policy = slice->policy;
        const struct demand none = {};

        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                uint64_t limit = policy ? policy->limit.amount[i] : POLICY_NONE;

                slice->account.ratio_milli.amount[i] =
                        policy ? policy->ratio_milli.amount[i] : 1000;
                slice->account.limit.amount[i] =
                        limit == POLICY_NONE
                                ? LEDGER_NO_LIMIT
                                : ledger_effective(limit, 0, slice->account.ratio_milli.amount[i]);
        }
        slice->account.vms_max = policy ? policy->vms_max : LEDGER_NO_LIMIT;
        ledger_set_share(&broker->ledger, &slice->account, policy ? &policy->guarantee : &none,
                         policy && policy->lend);
}

int slices_configure(struct broker *broker) {
        struct slice *slice, *next;
        int r;

        for (size_t i = 0; i < broker->policy->n_slices; i++) {
                r = slice_get(broker, broker->policy->slices[i].name, &slice);
                if (r < 0)
                        return r;
        }
        HASH_ITER(hh, broker->slices, slice, next) {
                struct why why = {};

                slice->policy = policy_find_slice(broker->policy, slice->name);
                slice_apply_policy(broker, slice);
                if (slice->dir_fd >= 0) {
                        struct limits limits = slice_limits(broker, slice);

                        if (limits_apply(slice->dir_fd, &limits, &why))
                                log_error("slice '%s': %s", slice->name, why.text);
                        else
                                slice->limits = limits;
                        if (slice_protect(broker, slice, &why))
                                log_error("slice '%s': %s", slice->name, why.text);
                }
                slice_forget_unused(broker, slice);
        }
        return 0;
}

void slice_thaw(struct slice *slice) {
        struct why why = {};

        if (slice->io_stepping && freeze_end(slice->dir_fd, &why))
                log_error("slice '%s': %s", slice->name, why.text);
        slice->io_stepping = false;
        slice->io_step_usec = 0;
}

static void slice_close(struct broker *broker, struct slice *slice) {
        slice_thaw(slice);
        if (slice->watch_id >= 0) {
                HASH_DELETE(hh_watch, broker->slices_by_watch, slice);
                watch_remove(&broker->watch, slice->watch_id);
        }
        slice->watch_id = -1;
        slice->dir_fd = fd_close(slice->dir_fd);
        slice->weight_fd = fd_close(slice->weight_fd);
        slice->low_fd = fd_close(slice->low_fd);
}

void slice_lost(struct broker *broker, struct slice *slice) {
        slice_close(broker, slice);
        slice->suspect = slice->suspect_weights = slice->suspect_children = false;
}

void slice_unbalance(struct broker *broker, struct slice *slice) {
        if (!slice->unbalanced)
                TAILQ_INSERT_TAIL(&broker->unbalanced, slice, unbalanced_link);
        slice->unbalanced = true;
        broker_tick_at(broker, broker_now_usec() + SLICE_SETTLE_USEC);
}

static void balance(struct broker *broker, struct slice *slice) {
        if (slice->unbalanced)
                TAILQ_REMOVE(&broker->unbalanced, slice, unbalanced_link);
        slice->unbalanced = false;
}

void slices_settle(struct broker *broker, struct slice *except) {
        struct slice *slice, *next;

        for (slice = TAILQ_FIRST(&broker->unbalanced); slice; slice = next) {
                struct why why = {};

                next = TAILQ_NEXT(slice, unbalanced_link);
                if (slice == except)
                        continue;
                balance(broker, slice);
                if (slice_protect(broker, slice, &why))
                        log_error("%s", why.text);
        }
}

static int open_directory(struct broker *broker, struct slice *slice, struct why *why) {
        _cleanup_(fd_closep) int dir_fd = -1, weight_fd = -1, low_fd = -1;
        char name[SLICE_DIRECTORY_MAX];
        struct limits limits;
        int watch_id, r;

        slice_directory(slice->name, name, sizeof(name));
        r = cgroup_create_at(broker->root.dir_fd, name, &dir_fd, why);
        if (r == CGROUP_E_EXISTS) {
                r = cgroup_open_at(broker->root.dir_fd, name, &dir_fd, why);
                /* The last broker may have ended while it was frozen. */
                if (r == 0)
                        r = freeze_end(dir_fd, why);
        }
        if (r)
                return r;
        r = cgroup_enable_controllers(dir_fd, name, why);
        if (r)
                return r;
        limits = slice_limits(broker, slice);
        r = limits_apply(dir_fd, &limits, why);
        if (r)
                return r;
        weight_fd = openat(dir_fd, "cpu.weight", O_RDWR | O_CLOEXEC);
        low_fd = openat(dir_fd, "memory.low", O_RDWR | O_CLOEXEC);
        if (weight_fd < 0 || low_fd < 0)
                return why_errno(why, CGROUP_E_HOST, errno, "cannot open the weights of '%s'",
                                 name);
        r = watch_add(&broker->watch, dir_fd, false, &watch_id, why);
        if (r)
                return r;

        slice->dir_fd = take_fd(dir_fd);
        slice->weight_fd = take_fd(weight_fd);
        slice->low_fd = take_fd(low_fd);
        slice->watch_id = watch_id;
        HASH_ADD(hh_watch, broker->slices_by_watch, watch_id, sizeof(slice->watch_id), slice);
        slice->limits = limits;
        slice->weight = slice->low_bytes = LIMIT_KEEP;
        return 0;
}

int slice_open(struct broker *broker, struct slice *slice, struct why *why) {
        int r;

        if (slice->dir_fd >= 0)
                return 0;
        r = slice->parent ? slice_open(broker, slice->parent, why) : 0;
        return r ? r : open_directory(broker, slice, why);
}

static int protect(struct broker *broker, struct slice *slice, struct why *why) {
        uint64_t weight, low;
        int r = 0;

        if (slice->dir_fd < 0)
                return 0;
        weight = slice_weight(broker, slice->account.allocated.amount[RESOURCE_CPU]);
        low = limits_page_ceil(ledger_guarantee(&broker->ledger, RESOURCE_MEMORY,
                                                slice->account.allocated.amount[RESOURCE_MEMORY]));
        if (weight != slice->weight)
                r = limits_write_fd(slice->weight_fd, weight);
        if (!r) {
                slice->weight = weight;
                if (low != slice->low_bytes)
                        r = limits_write_fd(slice->low_fd, low);
        }
        if (r)
                return why_errno(why, CGROUP_E_LIMIT, r, "cannot set the weights of slice '%s'",
                                 slice->name);
        slice->low_bytes = low;
        return 0;
}

int slice_protect(struct broker *broker, struct slice *slice, struct why *why) {
        int r = slice->parent ? slice_protect(broker, slice->parent, why) : 0;

        return r ? r : protect(broker, slice, why);
}

/* Takes it out of everything and frees it, with @remove its directory, too: an empty one goes, one
 * with VMs answers BUSY and stays for the next start. */
static void slice_free(struct broker *broker, struct slice *slice, bool remove) {
        char name[SLICE_DIRECTORY_MAX];
        struct why why = {};

        slice_directory(slice->name, name, sizeof(name));
        if (remove && slice->dir_fd >= 0 && cgroup_remove_at(broker->root.dir_fd, name, &why) &&
            why.code != CGROUP_E_BUSY)
                log_warning("slice '%s': %s", slice->name, why.text);
        slice_close(broker, slice);
        balance(broker, slice);
        if (slice->parent)
                slice->parent->n_inner--;
        HASH_DEL(broker->slices, slice);
        free(slice->name);
        free(slice);
}

void slice_forget_unused(struct broker *broker, struct slice *slice) {
        while (slice && !slice->policy && slice->n_leases == 0 && slice->n_inner == 0) {
                struct slice *parent = slice->parent;

                slice_free(broker, slice, true);
                slice = parent;
        }
}

void slices_deinit(struct broker *broker, bool remove) {
        struct slice *slice, *next;

        /* From the inside out. */
        while (broker->slices)
                HASH_ITER(hh, broker->slices, slice, next)
                        if (slice->n_inner == 0)
                                slice_free(broker, slice, remove);
}

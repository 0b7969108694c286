/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <broker/adopt.h>
#include <broker/broker.h>
#include <broker/charge.h>
#include <broker/diskio.h>
#include <broker/gpu_lease.h>
#include <broker/lease.h>
#include <broker/owning.h>
#include <broker/parent.h>
#include <broker/quota.h>
#include <broker/release.h>
#include <broker/reservation.h>
#include <broker/slice.h>
#include <broker/taps_adopt.h>
#include <broker/tenant.h>
#include <broker/usage.h>

#define PROCESSES_MAX 65536

static bool listed(int dir_fd, pid_t pid) {
        _cleanup_(freep) int *pids = malloc(PROCESSES_MAX * sizeof(*pids));
        size_t n = 0;

        if (!pids || cgroup_processes(dir_fd, pids, PROCESSES_MAX, &n, NULL))
                return false;
        for (size_t i = 0; i < n; i++)
                if (pids[i] == pid)
                        return true;
        return false;
}

/* Takes hold of the main process; leaves main_gone set if it is not among the group's any more. */
static int adopt_main(struct lease *lease, pid_t pid) {
        struct broker *broker = lease->broker;
        bool is_child, ended;
        int r;

        lease->main_gone = true;
        lease->process.pid = pid;
        lease->process.pidfd = pidfd_open(pid, 0);
        parent_recognise(lease, pid, &is_child, &ended);
        /* The order counts: a pid that is listed after its pidfd was opened is the pidfd's. */
        if (lease->process.pidfd < 0 || (!ended && !listed(lease->dir_fd, pid))) {
                lease->process.pidfd = fd_close(lease->process.pidfd);
                return 0;
        }
        lease->main_gone = false;
        lease->own_child = is_child;
        r = ended ? 0 : launcher_reset_oom(broker->launcher, pid);
        if (r && r != ENOENT && r != ESRCH)
                log_warning("VM '%s': cannot reset oom_score_adj: %s", lease->record.name,
                            strerrordesc_np(r));
        return parent_watch(lease);
}

/* What the kernel enforces on a group whose record says nothing: its charge is at least that. */
static void guess_charge(struct lease *lease) {
        struct broker *broker = lease->broker;
        struct demand *charge = &lease->record.charge;
        char text[64];
        uint64_t quota, period;

        /* All that is left of everything: nothing that this VM may have been sold is sold again. */
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                charge->amount[i] = lease->inside ? ledger_available(lease_ledger(lease),
                                                                     lease_account(lease), i)
                                                  : ledger_host_available(&broker->ledger, i);
        if (file_read_u64_at(lease->dir_fd, "memory.max", &quota) == 0 && quota != UINT64_MAX)
                charge->amount[RESOURCE_MEMORY] = quota;
        if (file_read_at(lease->dir_fd, "cpu.max", text, sizeof(text)) == 0 &&
            sscanf(text, "%lu %lu", &quota, &period) == 2 && period > 0)
                charge->amount[RESOURCE_CPU] = quota * 1000 / period;
}

/*
 * Its charge is what the record says, but the network counts as the policy now in force has it. Of
 * a record that is understood no further than its charge, that is all we know of the directions:
 * each may be as large as what was charged for both.
 */
static int take_charge(struct lease *lease) {
        struct record *record = &lease->record;
        uint64_t network = record->charge.amount[RESOURCE_NETWORK];
        uint64_t upload = record->charge.amount[RESOURCE_NETWORK_UPLOAD];
        int r;

        if (record->download_bytes_per_s == 0 && record->upload_bytes_per_s == 0) {
                record->download_bytes_per_s = network;
                record->upload_bytes_per_s = upload > 0 ? upload : network;
        }
        lease->claim.demand = record->charge;
        charge_network(lease->broker, record, &lease->claim.demand);
        record->charge = lease->claim.demand;
        gpu_lease_adopt(lease);
        r = quota_adopt(lease);
        return r < 0 ? r : diskio_adopt(lease);
}

static int enter(struct lease *lease) {
        struct broker *broker = lease->broker;
        struct why why = {};
        int r;

        r = tenant_get(broker, lease->slice, lease->record.uid, lease->record.quota_groups,
                       lease->record.n_quota_groups, &lease->tenant);
        if (r < 0)
                return r;
        if (!ledger_restore(lease_ledger(lease), lease_account(lease), &lease->claim.demand) ||
            (lease->inside &&
             !ledger_restore(&broker->ledger, &lease->tenant->account, &reservation_nothing)))
                return fault(-EOVERFLOW);
        lease_list_add(lease);
        lease_index(lease);
        r = owning_enter(lease);
        if (r < 0)
                return r;
        r = lease_watch(lease, &why);
        if (r == 0 && lease->main_gone)
                r = lease_hold(lease, &why);
        if (r)
                log_error("VM '%s': %s", lease->record.name, why.text);
        if (lease->record.order > broker->last_order && lease->record.order < broker_now_ns())
                broker->last_order = lease->record.order;
        return 0;
}

static int adopt_unknown(struct lease *lease, bool charge_known, const char *id,
                         const struct why *why) {
        int r;

        if (!charge_known)
                guess_charge(lease);
        r = take_charge(lease);
        if (r < 0)
                return r;
        snprintf(lease->record.id, sizeof(lease->record.id), "%.*s", RECORD_ID_MAX, id);
        snprintf(lease->record.name, sizeof(lease->record.name), "%s", lease->record.id);
        snprintf(lease->record.slice, sizeof(lease->record.slice), "%s", lease->slice->name);
        lease->record.detached = lease->told_started = true;
        lease->state = LEASE_UNKNOWN;
        lease->main_gone = true;
        lease->limits = (struct limits)LIMITS_KEEP_ALL;
        snprintf(lease->detail, sizeof(lease->detail), "%.400s; its charge is kept%s", why->text,
                 charge_known ? "" : ", and taken to be all that was left");
        log_warning("VM '%s': %s", lease->record.name, lease->detail);
        return enter(lease);
}

/* The axes that a record knows are the same. */
static bool record_says(const struct demand *noted, const struct demand *charge) {
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                if (noted->amount[i] != charge->amount[i])
                        return false;
        return true;
}

static int adopt_running(struct lease *lease, pid_t pid) {
        struct broker *broker = lease->broker;
        const struct demand noted = lease->record.charge;
        uint64_t now = broker_now_usec();
        struct why why = {};
        int r;

        r = take_charge(lease);
        if (r < 0)
                return r;
        if (!record_says(&noted, &lease->record.charge) &&
            record_write(lease->dir_fd, &lease->record, &why))
                log_warning("VM '%s': %s", lease->record.name, why.text);
        lease->claim.order = lease->record.order;
        lease->claim.time_usec = lease->record.time_usec;
        lease->claim.ends = lease->record.ends;
        if (lease->record.until_usec && !lease->inside)
                queue_hold(&broker->queue, &lease->claim, lease->record.until_usec);
        if (lease->record.ends)
                broker_tick_at(broker, lease->record.until_usec);
        lease->state = LEASE_RUNNING;
        lease->told_started = true;
        lease->arrived_usec = lease->admitted_usec = lease->made_usec = lease->executed_usec = now;
        charge_limits(broker, lease, &lease->limits);
        /* The last broker may have ended while it took memory from this VM. */
        lease->limits.memory_high_bytes = charge_memory_high(lease, lease->limits.memory_max_bytes);
        r = limits_verify(lease->dir_fd, &lease->limits, &why);
        if (r)
                r = limits_apply(lease->dir_fd, &lease->limits, &why);
        if (r)
                log_error("VM '%s': %s", lease->record.name, why.text);
        if (!lease->record.detached) {
                lease->client_until_usec = now + broker->policy->broker.reconnect_usec;
                broker_tick_at(broker, lease->client_until_usec);
        }
        r = enter(lease);
        if (r == 0)
                r = taps_adopt(lease);
        if (r < 0)
                return r;
        r = adopt_main(lease, pid);
        if (r < 0)
                return r;
        lease_close_dir(lease);
        /* It may have ended between the look and the watch. */
        return lease->main_gone ? release_try(lease) : 0;
}

/* Half-made, or ended: gone now, or as soon as the kernel lets it go. */
static int end_group(struct lease *lease, bool charge_known) {
        int r;

        if (cgroup_kill(lease->dir_fd, NULL))
                log_warning("a group that was being made cannot be killed");
        r = charge_known ? take_charge(lease) : 0;
        if (r < 0)
                return r;
        lease->main_gone = true;
        lease->state = LEASE_KILLING;
        snprintf(lease->end_reason, sizeof(lease->end_reason), "half_made");
        r = enter(lease);
        if (r == 0)
                r = taps_adopt(lease);
        if (r < 0)
                return r;
        lease->retry_at_usec = broker_now_usec() + 100000;
        broker_tick_at(lease->broker, lease->retry_at_usec);
        return release_try(lease);
}

/* Where a group was found. */
struct place {
        struct slice *slice;        /* NULL: the root */
        struct reservation *inside; /* NULL: the slice itself */
};

/* A lease for the group @name, open; NULL with *rp 0 if it is gone already. */
static struct lease *open_group(struct broker *broker, const struct place *place, const char *name,
                                bool *populatedp, int *rp) {
        struct lease *lease = lease_new(broker);
        struct why why = {};

        *rp = lease ? 0 : fault(-ENOMEM);
        if (!lease)
                return NULL;
        lease->slice = place->slice;
        place->slice->n_leases++;
        if (place->inside)
                lease->inside = reservation_join(place->inside);
        if (cgroup_open_at(lease_parent_fd(lease), name, &lease->dir_fd, &why) == 0 &&
            cgroup_populated(lease->dir_fd, populatedp, &why) == 0)
                return lease;
        log_warning("group '%s': %s", name, why.text);
        lease_free(lease);
        return NULL;
}

/* Nothing is left in it. What has run is not removed before it is accounted. */
static bool remove_ended(struct lease *lease, const char *name, bool has_run) {
        if (has_run) {
                lease->claim.demand = lease->record.charge;
                lease->executed_usec = broker_now_usec();
                usage_note(lease);
        }
        if (cgroup_remove_tree_at(lease_parent_fd(lease), name, NULL)) {
                usage_forget(lease);
                return false;
        }
        usage_settle(lease);
        return true;
}

static int adopt_group(struct broker *broker, const struct place *place, const char *name) {
        bool charge_known = false, populated = false;
        bool is_child = false, ended = false;
        struct lease *lease;
        struct why why = {};
        pid_t pid = 0;
        int known, r;

        lease = open_group(broker, place, name, &populated, &r);
        if (!lease)
                return r;
        known = record_read(lease->dir_fd, &lease->record, &charge_known, &why);
        if (known == 0 && strncmp(name, lease->record.id, RECORD_ID_MAX) != 0)
                known = why_set(&why, CGROUP_E_RECORD, "the lease record is of another group");
        if (known == 0)
                known = record_read_main(lease->dir_fd, &pid, &why);
        if (known == 0 && !populated)
                parent_recognise(lease, pid, &is_child, &ended);
        /* How it ended is told to whoever comes back for it. A quota goes first, and GPUs, and take
         * their time. */
        if (!populated &&
            !(known == 0 && (ended || lease->record.quota_project || lease->record.n_gpus)) &&
            remove_ended(lease, name, known == 0 && pid > 0)) {
                lease->record = (struct record){};
                lease_free(lease);
                return 0;
        }
        r = known == 0 && pid > 0      ? adopt_running(lease, pid)
            : known == 0 || !populated ? end_group(lease, charge_known)
                                       : adopt_unknown(lease, charge_known, name, &why);
        return r;
}

static bool has_suffix(const char *name, const char *suffix, size_t *stemp) {
        size_t length = strlen(name), end = strlen(suffix);

        if (length <= end || strcmp(name + length - end, suffix) != 0)
                return false;
        *stemp = length - end;
        return true;
}

/* Calls @fn for each directory below @dir_fd whose name ends in @suffix. */
static int each_group(struct broker *broker, int dir_fd, const char *suffix,
                      const struct place *place,
                      int (*fn)(struct broker *broker, const struct place *place, const char *name,
                                size_t stem)) {
        struct dirent *entry;
        DIR *dir;
        int fd, r = 0;

        fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        dir = fd >= 0 ? fdopendir(fd) : NULL;
        if (!dir) {
                fd_close(fd);
                return fault(-errno);
        }
        while (r >= 0 && (entry = readdir(dir))) {
                size_t stem;

                if (entry->d_type == DT_DIR && has_suffix(entry->d_name, suffix, &stem))
                        r = fn(broker, place, entry->d_name, stem);
        }
        closedir(dir);
        return r < 0 ? r : 0;
}

/* Groups of VMs and reservations have ids for names (claim.c). Any other is somebody else's,
 * whatever it holds. */
static bool has_our_name(const struct place *place, const char *name, size_t stem) {
        if (stem == RECORD_ID_MAX && strspn(name, "abcdefghijklmnopqrstuv0123456789") == stem)
                return true;
        log_warning("group '%s' in slice '%s' is not ours and left alone", name,
                    place->slice->name);
        return false;
}

static int adopt_vm(struct broker *broker, const struct place *place, const char *name,
                    size_t stem) {
        return has_our_name(place, name, stem) ? adopt_group(broker, place, name) : 0;
}

/* Its limits, as they should be. */
static void restore_reservation(struct lease *lease) {
        struct broker *broker = lease->broker;
        uint64_t now = broker_now_usec();
        struct why why = {};
        int r;

        lease->claim.order = lease->record.order;
        lease->claim.time_usec = lease->record.time_usec;
        lease->claim.ends = lease->record.ends;
        if (lease->record.until_usec)
                queue_hold(&broker->queue, &lease->claim, lease->record.until_usec);
        if (lease->record.ends)
                broker_tick_at(broker, lease->record.until_usec);
        lease->state = LEASE_RUNNING;
        lease->arrived_usec = lease->admitted_usec = lease->made_usec = lease->executed_usec = now;
        charge_limits(broker, lease, &lease->limits);
        r = limits_verify(lease->dir_fd, &lease->limits, &why);
        if (r)
                r = limits_apply(lease->dir_fd, &lease->limits, &why);
        if (r == 0)
                r = cgroup_enable_controllers(lease->dir_fd, lease->record.id, &why);
        if (r)
                log_error("reservation '%s': %s", lease->record.name, why.text);
        if (!lease->record.detached) {
                lease->client_until_usec = now + broker->policy->broker.reconnect_usec;
                broker_tick_at(broker, lease->client_until_usec);
        }
}

/* What cannot be understood keeps what it was sold, until somebody ends it by its id. */
static void keep_reservation(struct lease *lease, bool charge_known, const char *id,
                             const struct why *why) {
        struct record *record = &lease->record;

        if (!charge_known)
                guess_charge(lease);
        snprintf(record->id, sizeof(record->id), "%.*s", RECORD_ID_MAX, id);
        strcpy(record->name, record->id);
        strcpy(record->slice, lease->slice->name);
        record->detached = true;
        lease->state = LEASE_UNKNOWN;
        lease->limits = (struct limits)LIMITS_KEEP_ALL;
        snprintf(lease->detail, sizeof(lease->detail), "%.400s; its charge is kept", why->text);
        log_warning("reservation '%s': %s", record->name, lease->detail);
}

/* A reservation, and then what is inside. */
static int adopt_claim(struct broker *broker, const struct place *place, const char *name,
                       size_t stem) {
        struct place inside = {.slice = place->slice};
        bool charge_known = false, populated = false;
        struct lease *lease;
        struct why why = {};
        int known, r;

        if (!has_our_name(place, name, stem))
                return 0;
        lease = open_group(broker, place, name, &populated, &r);
        if (!lease)
                return r;
        known = record_read(lease->dir_fd, &lease->record, &charge_known, &why);
        if (known == 0 &&
            (strncmp(name, lease->record.id, RECORD_ID_MAX) != 0 || !lease->record.reserves))
                known = why_set(&why, CGROUP_E_RECORD, "the record is of another group");
        /* It was being made. */
        if (known && !populated && !charge_known &&
            cgroup_remove_tree_at(lease_parent_fd(lease), name, NULL) == 0) {
                lease->record = (struct record){};
                lease_free(lease);
                return 0;
        }
        lease->reservation = reservation_new(broker, lease, known ? "" : lease->record.owner);
        if (!lease->reservation)
                return fault(-ENOMEM);
        lease->told_started = true;
        if (known)
                keep_reservation(lease, charge_known, name, &why);
        r = take_charge(lease);
        if (r < 0)
                return r;
        reservation_count(lease->reservation, &lease->claim.demand, lease->record.memory_bytes);
        if (known == 0)
                restore_reservation(lease);
        r = enter(lease);
        if (r < 0)
                return r;
        reservation_enter(lease->reservation, lease->record.uid);
        inside.inside = lease->reservation;
        return each_group(broker, lease->dir_fd, ".vm", &inside, adopt_vm);
}

/* And those that lie in it. */
static int adopt_slice(struct broker *broker, const struct place *outer, const char *name,
                       size_t stem) {
        char slice_name[2 * TEXT_NAME_MAX + 2];
        struct place place = {};
        struct slice *slice;
        struct why why = {};
        int r;

        if (stem > TEXT_NAME_MAX)
                return 0;
        snprintf(slice_name, sizeof(slice_name), "%s%s%.*s", outer->slice ? outer->slice->name : "",
                 outer->slice ? "/" : "", (int)stem, name);
        if (text_check_slice("slice", slice_name, NULL))
                return 0;
        r = slice_get(broker, slice_name, &slice);
        if (r < 0)
                return r;
        slice->n_leases++; /* held while we look */
        r = slice_open(broker, slice, &why);
        if (r > 0)
                log_error("slice '%s': %s", slice_name, why.text);
        place.slice = slice;
        if (r == 0)
                r = each_group(broker, slice->dir_fd, ".vm", &place, adopt_vm);
        if (r == 0)
                r = each_group(broker, slice->dir_fd, ".claim", &place, adopt_claim);
        if (r == 0)
                r = each_group(broker, slice->dir_fd, ".slice", &place, adopt_slice);
        if (r == 0 && slice_protect(broker, slice, &why))
                log_error("slice '%s': %s", slice_name, why.text);
        slice->n_leases--;
        slice_forget_unused(broker, slice);
        return r < 0 ? r : 0;
}

int adopt_all(struct broker *broker, struct why *why) {
        const struct place top = {};
        int r;

        r = each_group(broker, broker->root.dir_fd, ".slice", &top, adopt_slice);
        if (r < 0)
                return r;
        if (broker->ledger.vms > 0)
                log_info("%llu VMs adopted", (unsigned long long)broker->ledger.vms);
        return 0;
}

/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/filters.h>
#include <broker/history.h>
#include <broker/lease.h>
#include <broker/reservation.h>
#include <broker/slice.h>
#include <broker/tenant.h>
#include <cgroup/freeze.h>

static const char *const state_names[_LEASE_STATE_N] = {
        [LEASE_WAITING] = "waiting",   [LEASE_STARTING] = "starting",
        [LEASE_RUNNING] = "running",   [LEASE_STOPPING] = "stopping",
        [LEASE_KILLING] = "releasing", [LEASE_LINGERING] = "lingering",
        [LEASE_UNKNOWN] = "unknown",
};

const char *lease_state_name(enum lease_state state) {
        assert(state < _LEASE_STATE_N);
        return state_names[state];
}

struct lease *lease_new(struct broker *broker) {
        struct lease *lease;

        lease = calloc(1, sizeof(*lease));
        if (!lease)
                return NULL;
        lease->broker = broker;
        lease->dir_fd = lease->watch_id = lease->qmp_fd = -1;
        for (size_t i = 0; i < WATCH_HELD; i++)
                lease->held_fds[i] = -1;
        for (size_t i = 0; i < RECORD_GPUS_MAX; i++)
                lease->gpu_fds[i] = -1;
        lease->process = (struct launched)LAUNCHED_NULL;
        lease->fds = (struct lease_fds)LEASE_FDS_NULL;
        lease->exit_code = lease->exit_signal = lease->usage_slot = -1;
        TAILQ_INIT(&lease->killers);
        return lease;
}

void lease_list_add(struct lease *lease) {
        lease->number = ++lease->broker->last_number;
        TAILQ_INSERT_TAIL(&lease->broker->leases, lease, link);
}

void lease_index(struct lease *lease) {
        struct broker *broker = lease->broker;
        struct lease *other;

        HASH_ADD(hh_id, broker->by_id, record.id, strlen(lease->record.id), lease);
        HASH_FIND(hh_name, broker->by_name, lease->record.name, strlen(lease->record.name), other);
        /* Names are unique among the living; two of one name can only come out of a strange tree.
         */
        if (!other)
                HASH_ADD(hh_name, broker->by_name, record.name, strlen(lease->record.name), lease);
}

struct lease *lease_find(struct broker *broker, const char *name) {
        struct lease *lease;

        HASH_FIND(hh_name, broker->by_name, name, strlen(name), lease);
        if (!lease)
                HASH_FIND(hh_id, broker->by_id, name, strlen(name), lease);
        return lease;
}

const char *lease_directory(const struct lease *lease, char *buffer, size_t size) {
        snprintf(buffer, size, "%s.%s", lease->record.id, lease->reservation ? "claim" : "vm");
        return buffer;
}

int lease_parent_fd(const struct lease *lease) {
        return lease->inside ? lease->inside->lease->dir_fd : lease->slice->dir_fd;
}

struct ledger *lease_ledger(const struct lease *lease) {
        return lease->inside ? &lease->inside->books : &lease->broker->ledger;
}

struct account *lease_account(const struct lease *lease) {
        return lease->inside ? &lease->inside->account : &lease->tenant->account;
}

const char *lease_path(const struct lease *lease, char *buffer, size_t size) {
        char slice[SLICE_DIRECTORY_MAX], name[LEASE_DIRECTORY_MAX], outer[LEASE_DIRECTORY_MAX] = "";

        if (lease->inside)
                lease_directory(lease->inside->lease, outer, sizeof(outer));
        snprintf(buffer, size, "%s/%s/%s%s%s", lease->broker->root.path,
                 slice_directory(lease->slice->name, slice, sizeof(slice)), outer,
                 outer[0] ? "/" : "", lease_directory(lease, name, sizeof(name)));
        return buffer;
}

int lease_open_dir(struct lease *lease, struct why *why) {
        char name[LEASE_DIRECTORY_MAX];

        if (lease->dir_fd >= 0)
                return 0;
        return cgroup_open_at(lease_parent_fd(lease), lease_directory(lease, name, sizeof(name)),
                              &lease->dir_fd, why);
}

void lease_close_dir(struct lease *lease) {
        lease->dir_fd = fd_close(lease->dir_fd);
}

int lease_hold(struct lease *lease, struct why *why) {
        int r;

        if (lease->held_fds[0] >= 0)
                return 0;
        r = lease_open_dir(lease, why);
        return r ?: watch_hold(lease->dir_fd, lease->held_fds, why);
}

int lease_watch(struct lease *lease, struct why *why) {
        struct broker *broker = lease->broker;
        int r;

        r = watch_add(&broker->watch, lease->dir_fd, true, &lease->watch_id, why);
        if (r)
                return r;
        HASH_ADD(hh_watch, broker->by_watch, watch_id, sizeof(lease->watch_id), lease);
        return 0;
}

void lease_unwatch(struct lease *lease) {
        struct broker *broker = lease->broker;

        fd_close_many(lease->held_fds, WATCH_HELD);
        if (lease->watch_id < 0)
                return;
        HASH_DELETE(hh_watch, broker->by_watch, lease);
        watch_remove(&broker->watch, lease->watch_id);
        lease->watch_id = -1;
}

int lease_note_exec(struct lease *lease, int code, const struct why *why) {
        if (lease->exec_why)
                return 0;
        lease->exec_why = malloc(sizeof(*why));
        if (!lease->exec_why)
                return fault(-ENOMEM);
        *lease->exec_why = *why;
        lease->exec_why->code = code;
        return 0;
}

void lease_fds_close(struct lease_fds *fds) {
        fd_close_many(fds->fd, _REQUEST_FDS_N);
        fd_close_many(fds->disk, fds->n_disks);
        fds->n_disks = 0;
        fds->learn = fd_close(fds->learn);
}

/* The VM and its keeper have it now; or nobody. */
static void drop_console(struct lease *lease) {
        struct console *console = lease->console;

        if (!console)
                return;
        console->master_fd = fd_close(console->master_fd);
        console->slave_fd = fd_close(console->slave_fd);
        console->listen_fd = fd_close(console->listen_fd);
        if (!console->launching)
                free(take(lease->console));
}

/* A keeper whose end nobody has looked at yet. */
static void forget_keeper(struct lease *lease) {
        struct console *console = lease->console;

        if (!console || !console->launching)
                return;
        console->launching = false;
        lease->broker->n_launching--;
        if (launcher_result(lease->broker->launcher, &console->keeper, NULL))
                log_warning("VM '%s': its console had no keeper", lease->record.name);
        launched_deinit(lease->broker->launcher, &console->keeper);
}

void lease_drop_launch(struct lease *lease) {
        int fds[_REQUEST_FDS_N + REQUEST_DISKS_MAX + 3];
        size_t n = 0;

        /* The directory goes with the client's descriptors, in as few calls as their numbers allow.
         */
        for (size_t i = 0; i < _REQUEST_FDS_N; i++)
                fds[n++] = lease->fds.fd[i];
        for (size_t i = 0; i < lease->fds.n_disks; i++)
                fds[n++] = lease->fds.disk[i];
        fds[n++] = lease->dir_fd;
        fds[n++] = lease->qmp_fd;
        fds[n++] = lease->fds.learn;
        fd_close_many(fds, n);
        lease->fds = (struct lease_fds)LEASE_FDS_NULL;
        lease->dir_fd = lease->qmp_fd = -1;
        if (lease->gpu_fds_asked)
                fd_close_many(lease->gpu_fds, RECORD_GPUS_MAX);
        drop_console(lease);
        /* The hypervisor has them: whoever closes the last one waits for the link to be destroyed.
         */
        if (lease->taps)
                fd_close_many(lease->taps->fds, lease->taps->n_fds);
        run_request_deinit(&lease->request);
        lease->request = (struct run_request)RUN_REQUEST_NULL;
        free(take(lease->argv));
        free(take(lease->paths));
        free(take(lease->groups));
        free(take(lease->pass));
        free(take(lease->walls));
        free(take(lease->learn));
        free(take(lease->open));
        lease->filters = filters_unref(lease->filters);
        free(take(lease->cwd));
        lease->n_groups = lease->n_pass = 0;
}

void lease_detach_follower(struct lease *lease) {
        if (lease->follower) {
                lease->follower->following = NULL;
                lease->follower = NULL;
        }
}

static void drop_disks(struct lease *lease) {
        struct diskio *diskio = lease->diskio;

        for (size_t i = 0; diskio && i < diskio->n; i++)
                if (diskio->disk[i].slot >= 0)
                        lease->broker->disk_slots[diskio->disk[i].slot].n_leases--;
        free(take(lease->diskio));
}

void lease_thaw(struct lease *lease) {
        int r = 0;

        if (lease->diskio && lease->diskio->stepping && lease->dir_fd >= 0)
                r = freeze_end(lease->dir_fd, NULL);
        (void)r; /* its group may be gone */
}

static void drop_quota(struct lease *lease) {
        if (!lease->quota)
                return;
        sd_event_source_disable_unref(lease->quota->clearing);
        fd_close_many(lease->quota->fds, lease->quota->n_fds);
        free(take(lease->quota));
}

void lease_free(struct lease *lease) {
        struct broker *broker = lease->broker;
        struct lease *named;

        assert(!lease->claim.lane);
        assert(!lease->owner);
        assert(TAILQ_EMPTY(&lease->killers));

        lease_detach_follower(lease);
        lease_thaw(lease);
        forget_keeper(lease);
        lease_drop_launch(lease);
        sd_event_source_disable_unref(lease->pidfd_source);
        launched_deinit(broker->launcher, &lease->process);
        free(lease->exec_why);
        free(lease->taps);
        drop_quota(lease);
        drop_disks(lease);
        lease_unwatch(lease);
        lease_close_dir(lease);
        if (lease->record.id[0])
                HASH_DELETE(hh_id, broker->by_id, lease);
        HASH_FIND(hh_name, broker->by_name, lease->record.name, strlen(lease->record.name), named);
        if (named == lease)
                HASH_DELETE(hh_name, broker->by_name, lease);
        tenant_put(broker, lease->tenant);
        if (lease->inside)
                reservation_leave(lease->inside);
        reservation_free(lease->reservation);
        if (lease->slice) {
                assert(lease->slice->n_leases > 0);
                lease->slice->n_leases--;
                slice_forget_unused(broker, lease->slice);
        }
        free(lease);
}

void lease_event_fields(struct lease *lease, const char *kind, const struct event_field *fields,
                        size_t n) {
        const struct event_subject subject = {
                .id = lease->record.id,
                .name = lease->record.name,
                .slice = lease->record.slice,
                .uid = lease->record.uid,
        };

        events_add(&lease->broker->events, kind, &subject, broker_realtime_ns(), fields, n);
        history_note(lease->broker->history, broker_now_usec());
}

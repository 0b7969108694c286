/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <base/file.h>
#include <broker/broker.h>
#include <broker/charge.h>
#include <broker/console.h>
#include <broker/diskio.h>
#include <broker/gpu_lease.h>
#include <broker/lease.h>
#include <broker/pressure_report.h>
#include <broker/qmp.h>
#include <broker/quota.h>
#include <broker/report.h>
#include <broker/reservation.h>
#include <broker/sandbox.h>
#include <broker/slice.h>
#include <broker/taps_report.h>
#include <broker/tenant.h>
#include <cgroup/stats.h>

json_t *report_demand(const struct demand *demand) {
        json_t *object = json_object();

        /* Of the upload apart there is nothing unless the link is full duplex. */
        for (unsigned i = 0; object && i < _RESOURCE_N; i++)
                if (i != RESOURCE_NETWORK_UPLOAD || demand->amount[i] > 0)
                        json_object_set_new(object, resource_name(i),
                                            json_integer((json_int_t)demand->amount[i]));
        return object;
}

static void add_text(void *userdata, const char *file, const char *text) {
        json_object_set_new(userdata, file, json_string(text));
}

json_t *report_limits(const struct limits *limits) {
        json_t *object = json_object();

        if (object)
                limits_each(limits, add_text, object);
        return object;
}

/* What was promised of its duration, if anything was. */
static json_t *add_time(json_t *object, const struct record *record) {
        if (object && record->time_usec) {
                json_object_set_new(object, "time_usec",
                                    json_integer((json_int_t)record->time_usec));
                json_object_set_new(object, "until_usec",
                                    json_integer((json_int_t)record->until_usec));
                json_object_set_new(object, "late",
                                    json_boolean(record->until_usec > 0 &&
                                                 record->until_usec <= broker_now_usec()));
                json_object_set_new(object, "ends", json_boolean(record->ends));
        }
        return object;
}

static json_t *add_owner(json_t *object, const struct record *record) {
        if (object && record->owner[0])
                json_object_set_new(object, "owner", json_string(record->owner));
        return object;
}

json_t *report_add_reservation(json_t *object, const struct lease *lease) {
        const struct reservation *reservation = lease->reservation;

        if (object && reservation) {
                if (lease->state == LEASE_RUNNING && json_object_get(object, "state"))
                        json_object_set_new(object, "state", json_string("reserved"));
                json_object_set_new(object, "reservation",
                                    json_pack("{s:I s:o}", "vms",
                                              (json_int_t)reservation->account.vms, "in_use",
                                              report_demand(&reservation->account.allocated)));
        }
        if (object && lease->inside)
                json_object_set_new(object, "inside", json_string(lease->inside->lease->record.id));
        return object;
}

json_t *report_vm(const struct lease *lease) {
        char path[700], qmp[ENDPOINT_PATH_MAX], console[ENDPOINT_PATH_MAX];
        bool made = lease->state != LEASE_WAITING;
        json_t *vm;

        lease_path(lease, path, sizeof(path));
        vm = json_pack("{s:s s:s s:s s:s s:s s:I s:i s:b s:s s:I s:s s:o s:o s:o s:o s:s* s:s*}",
                       "id", lease->record.id, "name", lease->record.name, "slice",
                       lease->slice->name, "state", lease_state_name(lease->state), "detail",
                       lease->detail, "uid", (json_int_t)lease->record.uid, "pid",
                       lease->main_gone ? 0 : (int)lease->process.pid, "detached",
                       lease->record.detached, "command", lease->record.command, "created_ns",
                       (json_int_t)lease->record.created_ns, "cgroup", path, "charge",
                       report_demand(&lease->claim.demand), "nets", taps_list(lease), "disks",
                       diskio_list(lease), "gpus", gpu_lease_list(lease), "qmp",
                       made ? qmp_path(lease, qmp) : NULL, "console",
                       made ? console_path(lease, console) : NULL);
        return report_add_reservation(add_time(add_owner(vm, &lease->record), &lease->record), lease);
}

json_t *report_waiting(const struct lease *lease, uint64_t position) {
        char detail[WHY_TEXT_MAX];
        json_t *object;

        claim_detail(lease, position, detail, sizeof(detail));
        object = json_pack("{s:s s:s s:s s:I s:I s:s s:s s:I s:o}", "ticket_id", lease->record.id,
                           "name", lease->record.name, "slice", lease->slice->name, "uid",
                           (json_int_t)lease->record.uid, "position", (json_int_t)position,
                           "reason", wait_reason_name(claim_reason(lease)), "detail", detail,
                           "since_ns", (json_int_t)lease->record.created_ns, "charge",
                           report_demand(&lease->claim.demand));
        return add_owner(object, &lease->record);
}

bool report_visible(const struct lease *lease, uid_t uid) {
        return uid == 0 || lease->record.uid == uid;
}

static json_t *list_vms(const struct broker *broker, uid_t uid, size_t *leftp,
                        struct list_cursor *cursor) {
        json_t *array = json_array();
        const struct lease *lease;

        TAILQ_FOREACH(lease, &broker->leases, link) {
                if (lease->number <= cursor->after)
                        continue;
                if (*leftp == 0)
                        return array;
                cursor->after = lease->number;
                if (!report_visible(lease, uid))
                        continue;
                json_array_append_new(array, report_vm(lease));
                (*leftp)--;
        }
        *cursor = (struct list_cursor){.waiting = true};
        return array;
}

static json_t *list_waiting(const struct broker *broker, uid_t uid, size_t *leftp,
                            struct list_cursor *cursor, bool *endp) {
        json_t *array = json_array();
        uint64_t position = 0;
        struct claim *claim;

        TAILQ_FOREACH(claim, &broker->queue.claims, all) {
                const struct lease *lease = claim_lease(claim);
                uint64_t mine = position++;

                if (claim->order <= cursor->after)
                        continue;
                if (*leftp == 0)
                        return array;
                cursor->after = claim->order;
                if (!report_visible(lease, uid))
                        continue;
                json_array_append_new(array, report_waiting(lease, mine));
                (*leftp)--;
        }
        *endp = true;
        return array;
}

json_t *report_list(const struct broker *broker, uid_t uid, size_t max, struct list_cursor *cursor,
                    bool *endp) {
        json_t *vms, *waiting;

        *endp = false;
        vms = cursor->waiting ? json_array() : list_vms(broker, uid, &max, cursor);
        waiting = cursor->waiting ? list_waiting(broker, uid, &max, cursor, endp) : json_array();
        return json_pack("{s:o s:o s:b}", "vms", vms, "waiting", waiting, "draining",
                         broker->gates.draining);
}

/* That of its slice, as of a file above its own. */
static void add_slice_pressure(const struct lease *lease, json_t *stats) {
        for (unsigned i = 0; stats && i < _GATE_RESOURCE_N && lease->slice->dir_fd >= 0; i++) {
                char name[32], text[512];
                int r;

                snprintf(name, sizeof(name), "../%s.pressure", gate_resource_name(i));
                r = file_read_at(lease->slice->dir_fd, name + strlen("../"), text, sizeof(text));
                if (r != ENOENT)
                        json_object_set_new(stats, name,
                                            r ? json_sprintf("error: %s", strerrordesc_np(r))
                                              : json_string(text));
        }
}

json_t *report_show(struct lease *lease) {
        json_t *limits = json_object(), *stats = json_object(), *notes = json_array();
        bool was_open = lease->dir_fd >= 0;

        if (lease->state != LEASE_WAITING && lease_open_dir(lease, NULL) == 0 && limits && stats) {
                stats_each_limit(lease->dir_fd, add_text, limits);
                stats_each_statistic(lease->dir_fd, add_text, stats);
                add_slice_pressure(lease, stats);
                if (!was_open)
                        lease_close_dir(lease);
        }
        if (lease->detail[0])
                json_array_append_new(notes, json_string(lease->detail));
        taps_report(lease, limits, stats, notes);
        diskio_report(lease, limits, notes);
        quota_report(lease, limits, notes);
        gpu_lease_report(lease, limits, notes);
        sandbox_report(lease, limits);
        return json_pack("{s:o s:o s:o s:o}", "vm", report_vm(lease), "limits", limits, "stats",
                         stats, "notes", notes);
}

bool report_counts(const struct broker *broker, enum resource resource) {
        return resource != RESOURCE_NETWORK_UPLOAD || broker->policy->broker.network.full_duplex;
}

/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <base/fd.h>
#include <base/units.h>
#include <broker/broker.h>
#include <broker/charge.h>
#include <broker/claim.h>
#include <broker/diskio.h>
#include <broker/explain.h>
#include <broker/gpu_lease.h>
#include <broker/inside.h>
#include <broker/lease.h>
#include <broker/owning.h>
#include <broker/plan.h>
#include <broker/pressure.h>
#include <broker/provision.h>
#include <broker/sandbox.h>
#include <broker/report.h>
#include <broker/reservation.h>
#include <broker/slice.h>
#include <broker/tenant.h>
#include <broker/taps.h>
#include <broker/taps_report.h>
#include <broker/ticket.h>
#include <broker/waiting.h>

#define TICKET_NSEC UINT64_C(60000000000) /* as long as `provium run` looks for a broker */

/* 16 characters of [a-v0-9]: 80 random bits, so that no two claims of any time share one. */
static int make_id(struct broker *broker, char id[RECORD_ID_MAX + 1]) {
        static const char digits[] = "abcdefghijklmnopqrstuv0123456789";

        /* Up to 256 bytes come whole and without waiting, see getrandom(2): enough for 16 ids. */
        if (broker->n_random < RECORD_ID_MAX) {
                if (getrandom(broker->random, sizeof(broker->random), 0) != sizeof(broker->random))
                        return fault(-EIO);
                broker->n_random = sizeof(broker->random);
        }
        for (size_t i = 0; i < RECORD_ID_MAX; i++)
                id[i] = digits[broker->random[--broker->n_random] % 32];
        id[RECORD_ID_MAX] = '\0';
        return 0;
}

static void note_command(struct record *record, char *const *argv) {
        char joined[1024] = "";

        for (; argv && *argv && strlen(joined) < RECORD_COMMAND_MAX; argv++)
                snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%.300s",
                         joined[0] ? " " : "", *argv);
        text_escape(joined, record->command, sizeof(record->command));
}

/*
 * A ticket is for who waited when the last broker ended, and for as long as clients look for the
 * next one. Afterwards it is paper: else whoever kept an old one would stand before everybody for
 * ever.
 */
static bool ticket_counts(const struct broker *broker, const struct run_request *request, uid_t uid,
                          char id[RECORD_ID_MAX + 1], uint64_t *orderp) {
        return request->ticket[0] && ticket_parse(request->ticket, broker->key, uid, id, orderp) &&
               *orderp < broker->started_ns && broker_now_ns() < broker->started_ns + TICKET_NSEC;
}

/* The VM that came of the claim this ticket is for, granted just when the last broker ended: it is
 * there, and its client does not know. NULL if there is none, or somebody follows it. */
static struct lease *find_granted(const struct broker *broker, const struct run_request *request,
                                  uid_t uid) {
        char id[RECORD_ID_MAX + 1];
        struct lease *lease = NULL;
        uint64_t order;

        if (request->ticket[0] && ticket_parse(request->ticket, broker->key, uid, id, &order))
                HASH_FIND(hh_id, broker->by_id, id, strlen(id), lease);
        if (!lease || lease->follower || lease->record.uid != uid ||
            request->reserves != !!lease->reservation ||
            (lease->state != LEASE_STARTING && lease->state != LEASE_RUNNING))
                return NULL;
        return lease;
}

/* Names are the host's; of another's VM no more is told than that its name is taken. */
static int refuse_name(const struct connection *connection, const char *name,
                       const struct lease *other, struct why *why) {
        char text[200];

        if (connection->uid == 0 || connection->uid == other->record.uid)
                return why_set(why, 1, "a VM named '%s' is there already (%s)", name,
                               lease_state_name(other->state));
        snprintf(text, sizeof(text), "the name '%s' is uid %u's", name, other->record.uid);
        connection_log_denied(connection, text);
        return why_set(why, 1, "the name '%s' is taken", name);
}

/* Id, name, place in the order: new, or those of the ticket. */
static int identify(struct lease *lease, struct connection *connection, struct why *why) {
        struct broker *broker = lease->broker;
        struct record *record = &lease->record;
        const struct run_request *request = &lease->request;
        struct lease *other;
        int r;

        if (!ticket_counts(broker, request, connection->uid, record->id, &record->order)) {
                r = make_id(broker, record->id);
                if (r < 0)
                        return r;
                record->order = broker_now_ns();
                if (record->order <= broker->last_order)
                        record->order = broker->last_order + 1;
                broker->last_order = record->order;
        }
        HASH_FIND(hh_id, broker->by_id, record->id, strlen(record->id), other);
        if (other) {
                record->id[0] = '\0';
                return why_set(why, 1,
                               "this claim is already made, by a connection that still lives");
        }
        strcpy(record->slice, lease->slice->name);
        strcpy(record->name, request->name[0] ? request->name : record->id);
        other = lease_find(broker, record->name);
        if (other) {
                record->id[0] = '\0';
                return refuse_name(connection, record->name, other, why);
        }
        strcpy(record->owner, request->owner);
        record->uid = connection->uid;
        record->gid = connection->gid;
        record->created_ns = broker_realtime_ns();
        record->detached = request->detach;
        record->learns = request->learn;
        record->grace_usec = lease->slice->policy->grace_usec != POLICY_AUTO
                                     ? lease->slice->policy->grace_usec
                                     : broker->policy->broker.grace_usec;
        record->time_usec = request->time_usec;
        record->ends = request->ends;
        note_command(record, request->argv);
        lease->claim.order = record->order;
        lease->claim.priority = request->priority;
        lease->claim.time_usec = request->time_usec;
        lease->claim.ends = request->ends;
        return 0;
}

static int check_queue_bounds(const struct lease *lease, const struct connection *connection,
                              struct why *why) {
        const struct broker *broker = lease->broker;
        const struct broker_policy *policy = &broker->policy->broker;

        if (broker->queue.n >= policy->queue_max)
                return why_set(why, 1, "the queue is full: %" PRIu64 " claims wait",
                               broker->queue.n);
        if (connection->uid != 0 && connection->user->n_waiting >= policy->queue_user_max)
                return why_set(why, 1,
                               "%" PRIu64 " claims of this user wait already, as many as one may",
                               connection->user->n_waiting);
        return tenant_may_wait(broker, lease->tenant, why);
}

/* What becomes of a claim that arrives now. */
struct judgement {
        const char *verdict; /* "start", "wait" or "refuse" */
        const char *reason;
        char detail[WHY_TEXT_MAX];
        int answer; /* of queue_check() */
        struct shortage shortage;
};

/* A VM inside a reservation never waits. */
static void judge_inside(const struct lease *lease, struct judgement *judgement) {
        struct shortage *shortage = &judgement->shortage;
        int r;

        *judgement = (struct judgement){};
        r = inside_check(lease, shortage);
        judgement->answer = r;
        judgement->verdict = r == 0 ? "start" : "refuse";
        judgement->reason = inside_reason(lease, r, shortage);
        inside_describe(lease, r, shortage, judgement->detail, sizeof(judgement->detail));
}

/* The one decision, for a dry run as for a run. */
static void judge(struct lease *lease, const struct connection *connection,
                  struct judgement *judgement) {
        struct broker *broker = lease->broker;
        struct shortage *shortage = &judgement->shortage;
        char detail[WHY_TEXT_MAX - 32];
        struct why why = {};
        int r;

        *judgement = (struct judgement){};
        pressure_refresh(broker);
        queue_tell_time(&broker->queue, broker_now_usec());
        r = queue_check_claim(&broker->queue, &broker->ledger, &lease->tenant->lane, &lease->claim,
                              shortage);
        judgement->answer = r;
        judgement->verdict = r == 0 ? "start" : "wait";
        judgement->reason = answer_reason(r);
        answer_describe(broker, r, shortage, judgement->detail, sizeof(judgement->detail));
        if (r == LEDGER_E_NEVER || (r && lease->request.wait_usec == 0)) {
                judgement->verdict = "refuse";
                /* Who may not pass others that wait for the pool finds it full. */
                if (r == QUEUE_E_BEHIND)
                        judgement->reason = "pool_full";
                if (r > QUEUE_E_BEHIND) {
                        snprintf(detail, sizeof(detail), "%.*s", (int)sizeof(detail) - 1,
                                 judgement->detail);
                        snprintf(judgement->detail, sizeof(judgement->detail), "%.30s: %s",
                                 judgement->reason, detail);
                }
        } else if (r && owning_would_lock(lease, connection->uid, shortage, judgement->detail,
                                          sizeof(judgement->detail))) {
                judgement->verdict = "refuse";
                judgement->reason = "deadlock";
        } else if (check_queue_bounds(lease, connection, &why)) {
                judgement->verdict = "refuse";
                judgement->reason = "user_quota";
                snprintf(judgement->detail, sizeof(judgement->detail), "%s", why.text);
        }
}

static bool is_refused(const struct judgement *judgement) {
        return strcmp(judgement->verdict, "refuse") == 0;
}

static int dry_run(struct lease *lease, struct connection *connection,
                   const struct judgement *judgement) {
        json_t *limits, *run;

        charge_limits(lease->broker, lease, &lease->limits);
        limits = report_limits(&lease->limits);
        diskio_plan(lease, limits);
        taps_plan(lease, limits);
        run = json_pack("{s:s s:s s:s s:o s:o s:o}", "verdict", judgement->verdict, "reason",
                        judgement->reason, "detail", judgement->detail, "charge",
                        report_demand(&lease->claim.demand), "limits", limits, "objects",
                        plan_objects(lease));
        explain_claim(run, lease, connection->uid, judgement->answer, &judgement->shortage);
        return connection_reply(connection, json_pack("{s:s s:o}", "state", "dry_run", "run", run),
                                false);
}

/* Fits or may wait, and its command can be made out. 0, or 1 if the connection was answered. */
static int decide(struct lease *lease, struct connection *connection) {
        struct judgement judgement;
        struct why why = {};
        int r = 0;

        if (lease->inside)
                judge_inside(lease, &judgement);
        else
                judge(lease, connection, &judgement);
        if (!is_refused(&judgement) && !lease->reservation)
                r = provision_prepare(lease, connection, &why);
        if (r > 0)
                return connection_error(connection, "Invalid",
                                        json_pack("{s:s}", "field", "command"), why.text)
                               ?: 1;
        if (r < 0)
                return r;
        if (lease->request.dry_run)
                return dry_run(lease, connection, &judgement) ?: 1;
        if (is_refused(&judgement))
                return connection_error(connection, "Refused",
                                        shortage_json(&judgement.shortage, judgement.reason),
                                        judgement.detail)
                               ?: 1;
        return 0;
}

static int check_access(struct connection *connection, const struct slice_policy *slice,
                        struct why *why) {
        _cleanup_(freep) gid_t *groups = NULL;
        size_t n_groups = 0;
        int r;

        if (connection->uid != 0) {
                r = connection_groups(connection, &groups, &n_groups);
                if (r < 0)
                        return r;
        }
        return policy_check_access(slice, connection->uid, connection->gid, groups, n_groups, why);
}

/* What is said before anything is decided: whoever has it finds what was granted, also if we die
 * before we can say that. */
static int tell_ticket(struct lease *lease, struct connection *connection) {
        char ticket[REQUEST_TOKEN_MAX + 1];

        ticket_format(ticket, lease->broker->key, lease->record.id, lease->record.order,
                      lease->record.uid);
        return connection_reply(connection,
                                json_pack("{s:s s:{s:s s:s}}", "state", "asked", "run", "ticket",
                                          ticket, "ticket_id", lease->record.id),
                                true);
}

static int enqueue(struct lease *lease, struct connection *connection) {
        struct broker *broker = lease->broker;
        int r;

        lease->follower = connection;
        connection->following = lease;
        lease_index(lease);
        if (lease->inside) {
                r = inside_charge(lease);
                return r < 0 ? r : claim_admitted(lease);
        }
        if (lease->reservation) {
                reservation_enter(lease->reservation, lease->record.uid);
                r = connection->more ? tell_ticket(lease, connection) : 0;
                if (r < 0)
                        return r;
        }
        r = owning_enter(lease);
        if (r < 0)
                return r;
        if (lease->request.wait_usec != REQUEST_WAIT_FOREVER && lease->request.wait_usec > 0)
                lease->wait_until_usec =
                        lease->arrived_usec + min_u64(lease->request.wait_usec, UINT64_C(1) << 60);
        if (lease->wait_until_usec > 0)
                broker_tick_at(broker, lease->wait_until_usec);
        queue_insert(&broker->queue, &lease->tenant->lane, &lease->claim);
        connection->user->n_waiting++;
        tenant_count_waiting(lease->tenant, true);
        return claims_advance(broker);
}

/* The slice it names, with the caller's right to it. 0 with lease->slice set; 1 if the connection
 * was answered. */
static int find_slice(struct lease *lease, struct connection *connection) {
        struct broker *broker = lease->broker;
        struct reservation *inside = inside_find(lease, connection->uid);
        const char *name = inside                    ? inside->lease->slice->name
                           : lease->request.slice[0] ? lease->request.slice
                                                     : "default";
        const struct slice_policy *policy = policy_find_slice(broker->policy, name);
        struct slice *slice = policy ? slice_find(broker, name) : NULL;
        struct why why = {};
        char text[400];
        int r;

        if (!slice) {
                snprintf(text, sizeof(text), "there is no slice '%s'; write %s/slices/%s.slice",
                         name, broker->options->config_dir, name);
                r = connection_error(connection, "NotFound", NULL, text);
                return r < 0 ? r : 1;
        }
        r = check_access(connection, policy, &why);
        if (r > 0) {
                connection_log_denied(connection, why.text);
                r = connection_error(connection, "Denied", NULL, why.text);
                return r < 0 ? r : 1;
        }
        if (r < 0)
                return r;
        lease->slice = slice;
        slice->n_leases++;
        if (inside)
                lease->inside = reservation_join(inside);
        return 0;
}

/* One reservation for one owner, and none inside one that is being ended. 0, or 1 if the connection
 * was answered. */
static int check_reservation(struct lease *lease, struct connection *connection) {
        const struct lease *stands = lease->inside ? lease->inside->lease : NULL;
        char text[400], cpu[UNITS_TEXT_MAX], memory[UNITS_TEXT_MAX];
        const struct reservation *other;

        if (stands && stands->state >= LEASE_STOPPING) {
                snprintf(text, sizeof(text), "the reservation '%s' is being ended (%s)",
                         stands->record.owner, stands->end_reason);
                return connection_error(connection, "Refused",
                                        json_pack("{s:s}", "reason", "reservation_over"), text)
                               ?: 1;
        }
        other = lease->reservation
                        ? reservation_find(lease->broker, connection->uid, lease->request.owner)
                        : NULL;
        if (!other)
                return 0;
        stands = other->lease;
        snprintf(text, sizeof(text),
                 "owner '%s' has a reservation already, '%s' (cpu %s, memory %s) in slice '%s', "
                 "which %s; 'provium release %s' ends it",
                 stands->record.owner, stands->record.name,
                 resource_format(RESOURCE_CPU, stands->record.cpu_milli, cpu, sizeof(cpu)),
                 resource_format(RESOURCE_MEMORY, stands->record.memory_bytes, memory,
                                 sizeof(memory)),
                 stands->slice->name,
                 stands->state == LEASE_WAITING    ? "waits"
                 : stands->state >= LEASE_STOPPING ? "is being ended"
                                                   : "stands",
                 stands->record.owner);
        return connection_error(connection, "Exists", NULL, text) ?: 1;
}

/* The disks it uses, if they can be limited. 0, or 1 if the connection was answered. */
static int find_disks(struct lease *lease, struct connection *connection) {
        struct why why = {};
        int r;

        r = diskio_prepare(lease, &why);
        if (r == 0)
                r = inside_check_disks(lease, &why);
        if (r <= 0)
                return r;
        return connection_error(connection, "Refused", json_pack("{s:s}", "reason", "not_allowed"),
                                why.text)
                       ?: 1;
}

/* The bridges it names, with the slice's right to them. 0, or 1 if the connection was answered. */
static int find_network(struct lease *lease, struct connection *connection) {
        struct why why = {};
        int r;

        r = taps_prepare(lease, &why);
        if (r <= 0)
                return r;
        if (r == TAPS_E_DENIED) {
                connection_log_denied(connection, why.text);
                r = connection_error(connection, "Denied", NULL, why.text);
        } else if (r == TAPS_E_CLAIM) {
                r = connection_error(connection, "Refused",
                                     json_pack("{s:s}", "reason", "not_allowed"), why.text);
        } else {
                r = connection_error(connection, "NotFound", NULL, why.text);
        }
        return r ?: 1;
}

/* A name that nobody has, a place in the order, room in the queue. 0, or 1 if the connection was
 * answered. */
/* Whose claim it is there, and with whom it shares quotas. 0, or 1 if the connection was answered.
 */
static int find_tenant(struct lease *lease, struct connection *connection) {
        struct record *record = &lease->record;
        struct why why = {};
        int r;

        if (!tenant_find_groups(connection, record->quota_groups, &record->n_quota_groups, &why))
                return tenant_get(lease->broker, lease->slice, connection->uid,
                                  record->quota_groups, record->n_quota_groups, &lease->tenant);
        connection_log_denied(connection, why.text);
        r = connection_error(connection, "Refused", json_pack("{s:s}", "reason", "user_quota"),
                             why.text);
        return r < 0 ? r : 1;
}

static int admit(struct lease *lease, struct connection *connection) {
        if (lease->broker->stopping)
                return connection_error(connection, "Failed", NULL, "the broker is stopping") ?: 1;
        return decide(lease, connection);
}

static int find_place(struct lease *lease, struct connection *connection) {
        struct why why = {};
        int r;

        r = identify(lease, connection, &why);
        if (r > 0)
                r = connection_error(connection, "Exists", NULL, why.text) ?: 1;
        if (r == 0)
                r = find_tenant(lease, connection);
        if (r)
                return r;
        /* A reservation is no process, and what its VMs may is asked of each. */
        if (lease->reservation) {
                lease->record.run_uid = lease->record.uid;
                lease->record.run_gid = lease->record.gid;
                r = find_disks(lease, connection);
                return r ?: admit(lease, connection);
        }
        if (sandbox_check(lease, &why) || gpu_lease_check(lease, &why))
                return connection_error(connection, "Refused",
                                        json_pack("{s:s}", "reason", "not_allowed"), why.text)
                               ?: 1;
        r = find_network(lease, connection);
        if (r == 0)
                r = find_disks(lease, connection);
        return r ?: admit(lease, connection);
}

int claim_submit(struct connection *connection, struct run_request *request,
                 struct lease_fds *fds) {
        struct why why = {};
        struct lease *lease;
        int r;

        lease = find_granted(connection->broker, request, connection->uid);
        if (lease && connection->more) {
                run_request_deinit(request);
                lease_fds_close(fds);
                return provision_follow(lease, connection);
        }
        lease = lease_new(connection->broker);
        if (!lease) {
                run_request_deinit(request);
                lease_fds_close(fds);
                return fault(-ENOMEM);
        }
        lease->request = *request;
        lease->fds = *fds;
        lease->arrived_usec = broker_now_usec();

        if (lease->request.reserves) {
                lease->reservation = reservation_new(lease->broker, lease, lease->request.owner);
                if (!lease->reservation) {
                        lease_free(lease);
                        return fault(-ENOMEM);
                }
        }
        r = find_slice(lease, connection);
        if (r == 0)
                r = check_reservation(lease, connection);
        if (r == 0 && charge_size(lease, &why))
                r = connection_error(connection, "Refused",
                                     json_pack("{s:s}", "reason", "not_allowed"), why.text)
                            ?: 1;
        if (r == 0)
                r = find_place(lease, connection);
        if (r == 0)
                return enqueue(lease, connection);

        /* It was never entered into the maps. */
        lease->record.id[0] = '\0';
        lease->record.name[0] = '\0';
        lease_free(lease);
        return r < 0 ? r : 0;
}

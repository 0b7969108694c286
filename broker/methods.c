/* SPDX-License-Identifier: MIT */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/claim.h>
#include <broker/doctor.h>
#include <broker/drain.h>
#include <broker/ended.h>
#include <broker/explain.h>
#include <broker/lease.h>
#include <broker/methods.h>
#include <broker/provision.h>
#include <broker/reload.h>
#include <broker/release.h>
#include <broker/report.h>
#include <broker/report_resources.h>
#include <broker/reservation.h>
#include <broker/resize.h>
#include <broker/space.h>
#include <broker/stats.h>
#include <broker/upgrade.h>
#include <broker/usage_query.h>
#include <broker/waiting.h>

#define LIST_PART 128   /* entries in one of many answers */
#define LIST_WHOLE 2048 /* entries in an only answer */

static int invalid(struct connection *connection, const struct why *why) {
        char field[64];

        return connection_error(
                connection, "Invalid",
                json_pack("{s:s}", "field", request_invalid_field(why, field, sizeof(field))),
                why->text);
}

static int invalid_text(struct connection *connection, const char *text) {
        struct why why = {};

        why_set(&why, 1, "%s", text);
        return invalid(connection, &why);
}

static int denied(struct connection *connection, const char *message) {
        connection_log_denied(connection, message);
        return connection_error(connection, "Denied", NULL, message);
}

/* Four descriptors always, one for each disk, and one to learn. */
static int take_fds(struct lease_fds *lease_fds, const struct run_request *request, const int *fds,
                    size_t n_fds, struct why *why) {
        *lease_fds = (struct lease_fds)LEASE_FDS_NULL;
        if (request->reserves) {
                if (n_fds != request->n_disks)
                        return why_set(why, 1,
                                       "descriptors: %zu came with the call; Reserve takes one for "
                                       "each of %zu disks",
                                       n_fds, request->n_disks);
                memcpy(lease_fds->disk, fds, n_fds * sizeof(*fds));
                lease_fds->n_disks = n_fds;
                return 0;
        }
        if (n_fds != _REQUEST_FDS_N + request->n_disks + request->learn)
                return why_set(
                        why, 1,
                        "descriptors: %zu came with the call; Run takes four (stdin, stdout, "
                        "stderr, the working directory), one for each of %zu disks, and with "
                        "learn one more",
                        n_fds, request->n_disks);
        memcpy(lease_fds->fd, fds, sizeof(lease_fds->fd));
        memcpy(lease_fds->disk, fds + _REQUEST_FDS_N, request->n_disks * sizeof(*fds));
        lease_fds->n_disks = request->n_disks;
        if (request->learn)
                lease_fds->learn = fds[n_fds - 1];
        return 0;
}

/* Run and Reserve. */
static int method_run(struct connection *connection, const struct call *call, bool reserves,
                      int *fds, size_t n_fds) {
        struct run_request request = RUN_REQUEST_NULL;
        struct lease_fds lease_fds;
        struct why why = {};
        int r;

        r = (reserves ? reserve_request_parse : run_request_parse)(&request, call->parameters,
                                                                   &why);
        if (r == 0 && !call->more && !request.detach && !request.dry_run)
                r = why_set(
                        &why, 1,
                        "detach: without 'more' it is needed: nobody would follow what was made");
        if (r == 0 && request.learn && request.detach)
                r = why_set(&why, 1, "learn: not with detach: the VM's calls wait for its client");
        if (r == 0)
                r = take_fds(&lease_fds, &request, fds, n_fds, &why);
        if (r) {
                run_request_deinit(&request);
                fd_close_many(fds, n_fds);
                return r < 0 ? r : invalid(connection, &why);
        }
        return claim_submit(connection, &request, &lease_fds);
}

/* The VM or claim of that name, if the caller may touch it; else it is answered. */
static struct lease *find_named(struct connection *connection, const char *name, int *rp) {
        struct lease *lease = lease_find(connection->broker, name);
        char text[200];

        if (lease && (connection->uid == 0 || lease->record.uid == connection->uid))
                return lease;
        if (lease) {
                snprintf(text, sizeof(text), "'%s' is uid %u's", name, lease->record.uid);
                connection_log_denied(connection, text);
        }
        /* What one may not see is not there. */
        snprintf(text, sizeof(text), "there is no VM or claim '%s'", name);
        *rp = connection_error(connection, "NotFound", NULL, text);
        return NULL;
}

/* Finds the VM the caller names and may touch; answers it and returns NULL otherwise. */
static struct lease *find_vm(struct connection *connection, const struct call *call,
                             struct vm_request *request, int *rp) {
        struct why why = {};

        *rp = vm_request_parse(request, call->parameters, &why);
        if (*rp == 0)
                return find_named(connection, request->vm, rp);
        *rp = *rp < 0 ? *rp : invalid(connection, &why);
        return NULL;
}

static int method_attach(struct connection *connection, const struct call *call) {
        struct vm_request request;
        struct why why = {};
        struct lease *lease;
        json_t *ended;
        int r;

        r = vm_request_parse(&request, call->parameters, &why);
        if (r)
                return r < 0 ? r : invalid(connection, &why);
        ended = lease_find(connection->broker, request.vm)
                        ? NULL
                        : ended_take(connection->broker, request.vm, connection->uid);
        if (ended)
                return connection_reply(
                        connection, json_pack("{s:s s:o}", "state", "exited", "run", ended), false);
        lease = find_named(connection, request.vm, &r);
        if (!lease)
                return r;
        if (!call->more)
                return invalid_text(connection, "more: Attach is called with it");
        if (lease->follower)
                return connection_error(connection, "Exists", NULL,
                                        "somebody else follows this VM");
        if (lease->state == LEASE_WAITING)
                return invalid_text(
                        connection,
                        "vm: a waiting claim is taken up again with Run and its ticket");
        return provision_follow(lease, connection);
}

/* Ends what waits or runs; the answer comes when it is gone. */
static int end_lease(struct connection *connection, struct lease *lease, const char *reason,
                     int signo, uint64_t grace_usec) {
        char id[RECORD_ID_MAX + 1];
        int r;

        if (grace_usec == REQUEST_DEFAULT)
                grace_usec = lease->record.grace_usec;
        if (lease->state == LEASE_WAITING) {
                strcpy(id, lease->record.id);
                r = claim_refuse(lease, "killed",
                                 strcmp(reason, "kill") == 0
                                         ? "the claim was ended by 'provium kill'"
                                         : "the claim was ended by 'provium release'");
                return r < 0 ? r
                             : connection_reply(connection, json_pack("{s:s}", "id", id), false);
        }
        connection->killing = lease;
        TAILQ_INSERT_TAIL(&lease->killers, connection, killer);
        return release_start(lease, reason, signo, grace_usec);
}

static int method_kill(struct connection *connection, const struct call *call) {
        struct vm_request request;
        struct lease *lease;
        int r;

        lease = find_vm(connection, call, &request, &r);
        return lease ? end_lease(connection, lease, "kill", request.signal, request.grace_usec) : r;
}

/* By its owner, of whom others may have the same name; or by what ps shows. */
static struct lease *find_reservation(struct connection *connection, const char *owner, int *rp) {
        struct reservation *reservation =
                reservation_find(connection->broker, connection->uid, owner);
        struct lease *lease =
                reservation ? reservation->lease : lease_find(connection->broker, owner);
        char text[200];

        if (lease && lease->reservation &&
            (connection->uid == 0 || lease->record.uid == connection->uid))
                return lease;
        snprintf(text, sizeof(text), "there is no reservation '%s'", owner);
        *rp = connection_error(connection, "NotFound", NULL, text);
        return NULL;
}

static int method_release(struct connection *connection, const struct call *call) {
        struct release_request request;
        struct lease *lease;
        struct why why = {};
        int r;

        r = release_request_parse(&request, call->parameters, &why);
        if (r)
                return r < 0 ? r : invalid(connection, &why);
        lease = find_reservation(connection, request.owner, &r);
        return lease ? end_lease(connection, lease, "released", 0, request.grace_usec) : r;
}

static int method_resize(struct connection *connection, const struct call *call) {
        struct resize_request request;
        struct lease *lease;
        struct why why = {};
        int r;

        r = resize_request_parse(&request, call->parameters, &why);
        if (r)
                return r < 0 ? r : invalid(connection, &why);
        lease = find_named(connection, request.vm, &r);
        return lease ? resize_vm(lease, connection, &request) : r;
}

static int method_image_check(struct connection *connection, const struct call *call) {
        struct image_request request;
        struct why why = {};

        if (image_request_parse(&request, call->parameters, &why))
                return invalid(connection, &why);
        return space_check_image(connection, request.size_bytes);
}

static int method_signal(struct connection *connection, const struct call *call) {
        struct vm_request request;
        struct lease *lease;
        int r;

        lease = find_vm(connection, call, &request, &r);
        if (!lease)
                return r;
        if (request.signal == 0)
                return invalid_text(connection, "signal: a number from 1 to 64 is needed");
        if (lease->state != LEASE_RUNNING && lease->state != LEASE_STOPPING)
                return connection_error(connection, "NotFound", NULL, "this VM does not run");
        r = release_signal(lease, request.signal);
        if (r < 0)
                return r;
        if (r)
                return connection_error(connection, "Failed", NULL, strerrordesc_np(r));
        return connection_reply(connection, json_object(), false);
}

static int method_show(struct connection *connection, const struct call *call) {
        struct vm_request request;
        struct lease *lease;
        int r;

        lease = find_vm(connection, call, &request, &r);
        return lease ? connection_reply(connection, report_show(lease), false) : r;
}

static int method_explain(struct connection *connection, const struct call *call) {
        struct vm_request request;
        struct lease *lease;
        int r;

        lease = find_vm(connection, call, &request, &r);
        return lease ? connection_reply(connection, explain_lease(lease, connection->uid), false)
                     : r;
}

int methods_list_part(struct connection *connection) {
        json_t *part;
        bool end;

        if (connection->stats)
                return stats_part(connection);
        part = report_list(connection->broker, connection->uid, LIST_PART, &connection->list, &end);
        connection->listing = !end;
        return connection_reply(connection, part, !end);
}

/* With "more" in parts, as fast as the reader reads; without, in one, if it is not too long. */
static int method_list(struct connection *connection, const struct call *call) {
        struct why why = {};
        json_t *list;
        bool end;

        if (request_parse_none(call->parameters, &why))
                return invalid(connection, &why);
        connection->list = (struct list_cursor){};
        if (connection->more)
                return methods_list_part(connection);
        list = report_list(connection->broker, connection->uid, LIST_WHOLE, &connection->list,
                           &end);
        if (list && !end) {
                json_decref(list);
                why_set(&why, 1, "list: there is too much for one answer; call List with 'more'");
                return invalid(connection, &why);
        }
        return connection_reply(connection, list, false);
}

static int method_resources(struct connection *connection, const struct call *call) {
        char instance[TEXT_NAME_MAX + 1];
        struct why why = {};
        int r;

        r = request_parse_text(call->parameters, "instance", instance, sizeof(instance), &why);
        if (r)
                return r < 0 ? r : invalid(connection, &why);
        return connection_reply(connection,
                                report_resources(connection->broker, connection->uid,
                                                 instance[0] ? instance : NULL),
                                false);
}

static int method_stats(struct connection *connection, const struct call *call) {
        char vm[TEXT_NAME_MAX + 1];
        struct why why = {};
        int r;

        r = request_parse_text(call->parameters, "vm", vm, sizeof(vm), &why);
        if (r)
                return r < 0 ? r : invalid(connection, &why);
        return stats_ask(connection, vm);
}

static int method_doctor(struct connection *connection, const struct call *call) {
        struct why why = {};

        if (request_parse_none(call->parameters, &why))
                return invalid(connection, &why);
        return connection_reply(connection, doctor_report(connection->broker), false);
}

static int method_usage(struct connection *connection, const struct call *call) {
        struct usage_request request;
        struct why why = {};
        int r;

        r = usage_request_parse(&request, call->parameters, &why);
        if (r)
                return r < 0 ? r : invalid(connection, &why);
        return usage_ask(connection, &request);
}

/* All that the ring holds and the reader may see, in one answer. */
static int events_whole(struct connection *connection) {
        struct events *events = &connection->broker->events;
        json_t *array = json_array(), *event;
        int r;

        while ((r = events_read(events, &connection->reader, &event)) == 0 && event)
                json_array_append_new(array, event);
        if (r < 0) {
                json_decref(array);
                return r;
        }
        r = connection_reply(connection,
                             json_pack("{s:o s:I}", "events", array, "next",
                                       (json_int_t)connection->reader.next),
                             false);
        /* Thousands of small objects were on the heap, spread between what stays. */
        malloc_trim(0);
        return r;
}

static int method_events(struct connection *connection, const struct call *call) {
        struct broker *broker = connection->broker;
        struct events_request request;
        struct why why = {};

        connection->reader.uid = connection->uid;
        if (events_request_parse(&request, call->parameters, &why))
                return invalid(connection, &why);
        connection->reader.kinds = request.kinds;
        connection->reader.next = call->more ? broker->events.next : broker->events.first;
        if (request.since != REQUEST_DEFAULT &&
            events_seek(&broker->events, &connection->reader, request.since, &why))
                return invalid(connection, &why);
        if (!call->more)
                return events_whole(connection);
        connection_subscribe(connection);
        /* Says that the reader is in place, so that it can start what it wants to watch. */
        return connection_reply(
                connection,
                json_pack("{s:[] s:I}", "events", "next", (json_int_t)connection->reader.next),
                true);
}

static int method_policy_reload(struct connection *connection, const struct call *call) {
        struct broker *broker = connection->broker;
        _cleanup_(freep) struct policy_errors *errors = NULL;
        struct why why = {};
        json_t *list;
        int r;

        if (connection->uid != 0)
                return denied(connection, "only root may reload the policies");
        errors = calloc(1, sizeof(*errors));
        if (!errors)
                return fault(-ENOMEM);
        r = policies_reload(broker, errors, &why);
        if (r < 0)
                return r;
        if (r == 0)
                return connection_reply(connection,
                                        json_pack("{s:I s:[]}", "slices",
                                                  (json_int_t)broker->policy->n_slices, "notices"),
                                        false);
        list = json_array();
        for (size_t i = 0; i < errors->n; i++) {
                char line[1200];

                json_array_append_new(list, json_string(policy_error_format(&errors->list[i], line,
                                                                            sizeof(line))));
        }
        return connection_error(connection, "BadPolicy", json_pack("{s:o}", "errors", list),
                                why.text);
}

static int method_policy_show(struct connection *connection, const struct call *call) {
        struct broker *broker = connection->broker;
        const struct slice_policy *slice = NULL;
        _cleanup_(freep) char *text = NULL;
        char name[TEXT_NAME_MAX + 1];
        struct why why = {};
        int r;

        r = request_parse_text(call->parameters, "slice", name, sizeof(name), &why);
        if (r)
                return r < 0 ? r : invalid(connection, &why);
        if (name[0]) {
                slice = policy_find_slice(broker->policy, name);
                if (!slice)
                        return connection_error(connection, "NotFound", NULL,
                                                "there is no slice of that name");
        }
        text = policy_show(broker->policy, slice);
        if (!text)
                return fault(-ENOMEM);
        return connection_reply(connection, json_pack("{s:s}", "text", text), false);
}

static int method_drain(struct connection *connection, const struct call *call) {
        struct broker *broker = connection->broker;
        struct why why = {};
        bool undo;

        if (request_parse_flag(call->parameters, "undo", &undo, &why))
                return invalid(connection, &why);
        if (connection->uid != 0)
                return denied(connection, "only root may drain the host");
        if (drain_set(broker, !undo, &why))
                return connection_error(connection, "Failed", NULL, why.text);
        return connection_reply(connection,
                                json_pack("{s:b s:I s:I}", "draining", broker->gates.draining,
                                          "vms", (json_int_t)broker->ledger.vms, "waiting",
                                          (json_int_t)broker->queue.n),
                                false);
}

static int method_upgrade(struct connection *connection, const struct call *call) {
        struct broker *broker = connection->broker;
        struct why why = {};
        int r;

        if (connection->uid != 0)
                return denied(connection, "only root may upgrade the broker");
        r = upgrade_begin(broker, &why);
        if (r)
                return connection_error(connection, "Failed", NULL, why.text);
        return connection_reply(connection, json_object(), false);
}

static int method_get_info(struct connection *connection, const struct call *call) {
        return connection_reply(connection,
                                json_pack("{s:s s:s s:s s:s s:[s s]}", "vendor", "Provium",
                                          "product", "provium-broker", "version", PROVIUM_VERSION,
                                          "url", "https://provium.dev", "interfaces",
                                          "org.varlink.service", PROTO_INTERFACE),
                                false);
}

static int method_get_description(struct connection *connection, const struct call *call) {
        const char *name = json_string_value(json_object_get(call->parameters, "interface"));
        const char *text = NULL;

        if (name && strcmp(name, PROTO_INTERFACE) == 0)
                text = proto_interface_description;
        else if (name && strcmp(name, "org.varlink.service") == 0)
                text = proto_service_description;
        if (!text)
                return connection_error(connection, "org.varlink.service.InterfaceNotFound",
                                        json_pack("{s:s}", "interface", name ?: ""),
                                        "there is no such interface here");
        return connection_reply(connection, json_pack("{s:s}", "description", text), false);
}

static const struct method {
        const char *name;
        int (*fn)(struct connection *connection, const struct call *call);
} methods[] = {
        {PROTO_INTERFACE ".Attach", method_attach},
        {PROTO_INTERFACE ".List", method_list},
        {PROTO_INTERFACE ".Show", method_show},
        {PROTO_INTERFACE ".Resources", method_resources},
        {PROTO_INTERFACE ".Kill", method_kill},
        {PROTO_INTERFACE ".Release", method_release},
        {PROTO_INTERFACE ".Signal", method_signal},
        {PROTO_INTERFACE ".Resize", method_resize},
        {PROTO_INTERFACE ".ImageCheck", method_image_check},
        {PROTO_INTERFACE ".Explain", method_explain},
        {PROTO_INTERFACE ".Stats", method_stats},
        {PROTO_INTERFACE ".Doctor", method_doctor},
        {PROTO_INTERFACE ".Events", method_events},
        {PROTO_INTERFACE ".Usage", method_usage},
        {PROTO_INTERFACE ".PolicyReload", method_policy_reload},
        {PROTO_INTERFACE ".PolicyShow", method_policy_show},
        {PROTO_INTERFACE ".Drain", method_drain},
        {PROTO_INTERFACE ".Upgrade", method_upgrade},
        {"org.varlink.service.GetInfo", method_get_info},
        {"org.varlink.service.GetInterfaceDescription", method_get_description},
};

int methods_dispatch(struct connection *connection, const struct call *call, int *fds,
                     size_t n_fds) {
        char name[128];

        /* A call that wants no answer cannot be followed, refused or explained: we have none such.
         */
        if (call->oneway) {
                fd_close_many(fds, n_fds);
                connection->closing = true;
                return invalid_text(connection,
                                    "oneway: no method of this interface is called with it");
        }
        if (strcmp(call->method, PROTO_INTERFACE ".Run") == 0)
                return method_run(connection, call, false, fds, n_fds);
        if (strcmp(call->method, PROTO_INTERFACE ".Reserve") == 0)
                return method_run(connection, call, true, fds, n_fds);

        fd_close_many(fds, n_fds);
        for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
                if (strcmp(call->method, methods[i].name) == 0)
                        return methods[i].fn(connection, call);
        text_escape(call->method, name, sizeof(name));
        return connection_error(connection, "org.varlink.service.MethodNotFound",
                                json_pack("{s:s}", "method", name), "there is no such method");
}

/* SPDX-License-Identifier: MIT */
/*
 * What changes from one turn of the loop to the next, the books, is copied at one moment, and that
 * is quick; made into text it is in steps. What the kernel says of pressure is read in those.
 */
#include <stdio.h>
#include <string.h>

#include <broker/broker.h>
#include <broker/gpu_report.h>
#include <broker/lease.h>
#include <broker/pressure_report.h>
#include <broker/report.h>
#include <broker/report_resources.h>
#include <broker/slice.h>
#include <broker/space.h>
#include <broker/tenant.h>

#define ALLOCATIONS_PER_STEP 16
#define SLICES_PER_STEP 4

struct allocation {
        char id[RECORD_ID_MAX + 1], name[TEXT_NAME_MAX + 1], slice[TEXT_NAME_MAX + 1];
        struct demand charge;
        uint64_t created_ns, download_bytes_per_s, upload_bytes_per_s;
        json_t *more; /* of a reservation; NULL: nothing */
};

struct slice_sums {
        char name[TEXT_NAME_MAX + 1], description[sizeof(((struct slice_policy *)0)->description)];
        uint64_t vms, waiting;
        struct demand allocated, limit, guarantee;
};

struct resources_report {
        struct broker *broker;
        json_t *head; /* all but those two; NULL: it is in the text */
        struct allocation *allocations;
        struct slice_sums *slices;
        size_t n_allocations, n_slices, allocation, slice; /* how many, and how many are told */
        FILE *text;
        char *body;
        size_t length;
};

static json_t *report_resource(const struct broker *broker, enum resource resource) {
        const struct ledger *ledger = &broker->ledger;

        return json_pack(
                "{s:I s:I s:I s:I s:I s:I s:f s:s s:s s:b}", "capacity",
                (json_int_t)ledger->capacity.amount[resource], "reserve",
                (json_int_t)ledger->reserve.amount[resource], "effective_limit",
                (json_int_t)ledger->effective.amount[resource], "allocated",
                (json_int_t)ledger_allocated(ledger, resource), "available",
                (json_int_t)ledger_host_available(ledger, resource), "guaranteed",
                (json_int_t)ledger_guarantee(ledger, resource, ledger_allocated(ledger, resource)),
                "oversub_ratio", (double)ledger->ratio_milli.amount[resource] / 1000.0, "source",
                capacity_source_name(broker->host.source[resource]), "detail",
                broker->host.detail[resource], "enforced", ledger->enforced[resource]);
}

/* Each disk that a VM uses, as disk_io is sold of it. */
static json_t *report_disks(const struct broker *broker) {
        const struct ledger *ledger = &broker->ledger;
        json_t *array = json_array();

        for (unsigned i = 0; i < DEMAND_DISKS; i++) {
                const struct disk_slot *slot = &broker->disk_slots[i];
                uint64_t limit = ledger->effective.amount[_RESOURCE_N + i];
                uint64_t sold = ledger->allocated.amount[_RESOURCE_N + i];

                if (slot->n_leases > 0)
                        json_array_append_new(
                                array,
                                json_pack("{s:s s:I s:I s:I s:I}", "disk", slot->name, "capacity",
                                          (json_int_t)ledger->capacity.amount[RESOURCE_DISK_IO],
                                          "effective_limit", (json_int_t)limit, "allocated",
                                          (json_int_t)sold, "available",
                                          (json_int_t)(limit > sold ? limit - sold : 0)));
        }
        return array;
}

/* @more is borrowed. */
static json_t *report_allocation(const struct allocation *allocation) {
        const struct demand *charge = &allocation->charge;
        json_t *object;

        object = json_pack("{s:s s:s s:s s:I s:f s:I s:I s:I s:I s:I s:I}", "instance_id",
                           allocation->id, "instance_name", allocation->name, "slice",
                           allocation->slice, "created_ns", (json_int_t)allocation->created_ns,
                           "cpu", (double)charge->amount[RESOURCE_CPU] / 1000.0, "memory_bytes",
                           (json_int_t)charge->amount[RESOURCE_MEMORY], "disk_bytes",
                           (json_int_t)charge->amount[RESOURCE_DISK], "network_download_bps",
                           (json_int_t)allocation->download_bytes_per_s, "network_upload_bps",
                           (json_int_t)allocation->upload_bytes_per_s, "disk_io_bps",
                           (json_int_t)charge->amount[RESOURCE_DISK_IO], "gpus",
                           (json_int_t)charge->amount[RESOURCE_GPU]);
        if (object && allocation->more)
                json_object_update(object, allocation->more);
        return object;
}

static json_t *report_slice(struct broker *broker, const struct slice_sums *sums) {
        const struct slice *slice = slice_find(broker, sums->name);
        json_t *limit = json_object();

        for (unsigned i = 0; limit && i < _RESOURCE_N; i++)
                if (sums->limit.amount[i] != LEDGER_NO_LIMIT)
                        json_object_set_new(limit, resource_name(i),
                                            json_integer((json_int_t)sums->limit.amount[i]));
        return json_pack("{s:s s:s s:I s:I s:o s:o s:o s:o}", "name", sums->name, "description",
                         sums->description, "vms", (json_int_t)sums->vms, "waiting",
                         (json_int_t)sums->waiting, "allocated", report_demand(&sums->allocated),
                         "limit", limit, "guarantee", report_demand(&sums->guarantee), "pressure",
                         pressure_report_group(slice ? slice->dir_fd : -1));
}

static json_t *report_head(struct broker *broker) {
        json_t *object = json_object(), *breakdown, *gpu;

        if (!object)
                return NULL;
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                if (report_counts(broker, i))
                        json_object_set_new(object, resource_name(i), report_resource(broker, i));
        json_object_set_new(object, "disks", report_disks(broker));
        breakdown = space_breakdown(broker);
        if (breakdown)
                json_object_set_new(object, "disk_breakdown", breakdown);
        gpu = gpu_report(broker->gpus);
        if (gpu)
                json_object_update(json_object_get(object, resource_name(RESOURCE_GPU)), gpu);
        json_decref(gpu);
        json_object_set_new(object, "pressure", pressure_report(broker));
        json_object_set_new(object, "gates",
                            json_pack("{s:s s:b}", "pressure",
                                      pressure_state_name(broker->gates.state), "draining",
                                      broker->gates.draining));
        json_object_set_new(object, "queue",
                            json_pack("{s:I s:I s:I}", "waiting", (json_int_t)broker->queue.n,
                                      "vms", (json_int_t)broker->ledger.vms, "vms_max",
                                      (json_int_t)broker->ledger.vms_max));
        return object;
}

static void take_allocation(struct allocation *allocation, const struct lease *lease) {
        snprintf(allocation->id, sizeof(allocation->id), "%s", lease->record.id);
        snprintf(allocation->name, sizeof(allocation->name), "%s", lease->record.name);
        snprintf(allocation->slice, sizeof(allocation->slice), "%s", lease->slice->name);
        allocation->charge = lease->claim.demand;
        allocation->created_ns = lease->record.created_ns;
        allocation->download_bytes_per_s = lease->record.download_bytes_per_s;
        allocation->upload_bytes_per_s = lease->record.upload_bytes_per_s;
        if (lease->reservation || lease->inside)
                allocation->more = report_add_reservation(json_object(), lease);
}

static bool is_asked_for(const struct lease *lease, uid_t uid, const char *instance) {
        return report_visible(lease, uid) &&
               (!instance || strcmp(instance, lease->record.name) == 0 ||
                strcmp(instance, lease->record.id) == 0);
}

static bool take_allocations(struct resources_report *report, uid_t uid, const char *instance) {
        const struct lease *lease;
        size_t n = 0;

        TAILQ_FOREACH(lease, &report->broker->leases, link)
                n += is_asked_for(lease, uid, instance);
        report->allocations = calloc(n + 1, sizeof(*report->allocations));
        if (!report->allocations)
                return false;
        TAILQ_FOREACH(lease, &report->broker->leases, link)
                if (is_asked_for(lease, uid, instance))
                        take_allocation(&report->allocations[report->n_allocations++], lease);
        return true;
}

static bool take_slices(struct resources_report *report) {
        const struct slice *slice;

        report->slices = calloc(HASH_COUNT(report->broker->slices) + 1, sizeof(*report->slices));
        if (!report->slices)
                return false;
        for (slice = report->broker->slices; slice; slice = slice->hh.next) {
                struct slice_sums *sums = &report->slices[report->n_slices++];

                snprintf(sums->name, sizeof(sums->name), "%s", slice->name);
                snprintf(sums->description, sizeof(sums->description), "%s",
                         slice->policy ? slice->policy->description : "");
                sums->vms = slice->account.vms;
                sums->waiting = slice->n_waiting;
                sums->allocated = slice->account.allocated;
                sums->limit = slice->account.limit;
                sums->guarantee = slice->account.guarantee;
        }
        return true;
}

struct resources_report *resources_report_free(struct resources_report *report) {
        if (!report)
                return NULL;
        for (size_t i = 0; i < report->n_allocations; i++)
                json_decref(report->allocations[i].more);
        json_decref(report->head);
        if (report->text)
                fclose(report->text);
        free(report->body);
        free(report->allocations);
        free(report->slices);
        free(report);
        return NULL;
}

struct resources_report *resources_report_new(struct broker *broker, uid_t uid,
                                              const char *instance) {
        struct resources_report *report = calloc(1, sizeof(*report));

        if (!report)
                return NULL;
        report->broker = broker;
        report->head = report_head(broker);
        if (!report->head || !take_allocations(report, uid, instance) || !take_slices(report))
                return resources_report_free(report);
        return report;
}

/* Adds @object, which is taken over, but for its last @cut bytes. */
static bool tell(struct resources_report *report, const char *before, json_t *object, size_t cut) {
        char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

        json_decref(object);
        if (!text)
                return false;
        fprintf(report->text, "%s%.*s", before, (int)(strlen(text) - cut), text);
        free(text);
        return true;
}

/* The next few of them. */
static bool tell_some(struct resources_report *report) {
        bool good = true;

        for (int i = 0; good && i < ALLOCATIONS_PER_STEP; i++) {
                if (report->allocation == report->n_allocations)
                        break;
                good = tell(report, report->allocation ? "," : "",
                            report_allocation(&report->allocations[report->allocation]), 0);
                report->allocation++;
                if (report->allocation == report->n_allocations)
                        return good && fputs("],\"slices\":[", report->text) >= 0;
        }
        for (int i = 0; good && i < SLICES_PER_STEP; i++) {
                if (report->allocation < report->n_allocations || report->slice == report->n_slices)
                        break;
                good = tell(report, report->slice ? "," : "",
                            report_slice(report->broker, &report->slices[report->slice]), 0);
                report->slice++;
        }
        return good;
}

/* All of the head, without the brace that ends it. */
static bool tell_head(struct resources_report *report) {
        report->text = open_memstream(&report->body, &report->length);
        return report->text && tell(report, "", take(report->head), 1) &&
               fputs(report->n_allocations ? ",\"allocations\":["
                                           : ",\"allocations\":[],\"slices\":[",
                     report->text) >= 0;
}

int resources_report_step(struct resources_report *report, char **bodyp, size_t *lengthp) {
        bool good;

        if (!report->text)
                return tell_head(report) ? 0 : fault(-ENOMEM);
        good = tell_some(report);
        if (good &&
            (report->allocation < report->n_allocations || report->slice < report->n_slices))
                return 0;
        good &= fputs("]}\n", report->text) >= 0;
        if (fclose(take(report->text)) != 0 || !good)
                return fault(-ENOMEM);
        *bodyp = take(report->body);
        *lengthp = report->length;
        return 0;
}

json_t *report_resources(struct broker *broker, uid_t uid, const char *instance) {
        struct resources_report *report = resources_report_new(broker, uid, instance);
        json_t *allocations = json_array(), *slices = json_array(), *object;

        if (!report)
                return NULL;
        for (size_t i = 0; i < report->n_allocations; i++)
                json_array_append_new(allocations, report_allocation(&report->allocations[i]));
        for (size_t i = 0; i < report->n_slices; i++)
                json_array_append_new(slices, report_slice(broker, &report->slices[i]));
        object = take(report->head);
        json_object_set_new(object, "allocations", allocations);
        json_object_set_new(object, "slices", slices);
        resources_report_free(report);
        return json_pack("{s:o}", "resources", object);
}

/* SPDX-License-Identifier: MIT */
#include <cli/top_model.h>
#include <cli/top_usage.h>

#include "top_host.h"
#include "unit.h"

#define MIB ((json_int_t)1 << 20)

static json_t *vm(const char *id, const char *name, const char *slice, int cpu, json_int_t memory) {
        return json_pack("{ss ss ss ss ss ss si si sI s{si sI sI sI}}", "id", id, "name", name,
                         "slice", slice, "state", "running", "detail", "", "command", "qemu -m 1",
                         "uid", 0, "pid", 4711, "created_ns", (json_int_t)1, "charge", "cpu", cpu,
                         "memory", memory, "disk_io", (json_int_t)100000000, "network",
                         (json_int_t)0);
}

json_t *host_list(void) {
        return json_pack("{s[ooo] s[{ss ss ss si si ss ss sI s{si sI}}] sb}", "vms",
                         vm("id3", "web", "lab", 1000, 512 * MIB),
                         vm("id1", "database", "lab/prod", 2000, 1024 * MIB),
                         vm("id2", "build", "ci", 500, 256 * MIB), "waiting", "ticket_id", "t1",
                         "name", "late", "slice", "ci", "uid", 0, "position", 0, "reason",
                         "pool_full", "detail", "memory: 4G asked", "since_ns", (json_int_t)1,
                         "charge", "cpu", 4000, "memory", 4096 * MIB, "draining", false);
}

static json_t *counters(const char *id, uint64_t cpu_usec, json_int_t memory, json_int_t moved) {
        return json_pack("{ss sI sI sI sI s[{ss sI sI}] s{sI} s{sI}}", "id", id, "cpu_usec",
                         (json_int_t)cpu_usec, "periods", moved, "throttled_periods", moved / 4,
                         "memory", memory, "disks", "disk", "sda", "read_bytes", moved,
                         "written_bytes", 2 * moved, "download", "bytes", 3 * moved, "upload",
                         "bytes", moved);
}

json_t *host_stats(uint64_t at_usec, uint64_t cpu_usec) {
        return json_pack("{sI s[ooo] s[]}", "taken_ns", (json_int_t)at_usec * 1000, "vms",
                         counters("id1", 3 * cpu_usec, 600 * MIB, (json_int_t)cpu_usec),
                         counters("id2", 0, 16 * MIB, 0),
                         counters("id3", cpu_usec, 128 * MIB, 1000), "slices");
}

static json_t *resource(json_int_t capacity, double ratio, json_int_t sold) {
        json_int_t limit = (json_int_t)((double)capacity * ratio);

        return json_pack("{sI sI sI sI sI sf ss sb}", "capacity", capacity, "effective_limit",
                         limit, "allocated", sold, "available", limit - sold, "guaranteed",
                         (json_int_t)((double)sold / ratio), "oversub_ratio", ratio, "source",
                         "detected", "enforced", true);
}

json_t *host_resources(void) {
        json_t *unknown = resource(0, 2, 0);

        json_object_set_new(unknown, "source", json_string("unknown"));
        json_object_set_new(unknown, "enforced", json_false());
        return json_pack(
                "{s{so so so so so so s{s{sf sf} s{sf sf} sn} s{ss sb} s{si si si} s{sI}}}",
                "resources", "cpu", resource(4000, 2, 3500), "memory",
                resource(2048 * MIB, 1, 1792 * MIB), "disk", resource(10240 * MIB, 1, 0), "disk_io",
                resource(1000000000, 2, 300000000), "network", unknown, "gpu", resource(0, 1, 0),
                "pressure", "cpu", "some_avg10", 12.25, "full_avg10", 0.0, "memory", "some_avg10",
                1.0, "full_avg10", 0.5, "io", "gates", "pressure", "open", "draining", 0, "queue",
                "waiting", 1, "vms", 3, "vms_max", 1000, "disk_breakdown", "images_bytes",
                1024 * MIB);
}

void host_take_list(struct top_model *model, json_t *list) {
        need_int(top_model_begin_list(model), 0);
        need_int(top_model_add_list(model, list), 0);
        need_int(top_model_end_list(model), 0);
        json_decref(list);
}

void host_take_stats(struct top_model *model, json_t *stats) {
        need_int(top_usage_take(model, stats, true, true), 0);
        json_decref(stats);
}

static void take_event(struct top_model *model, json_t *event) {
        top_model_add_event(model, event);
        json_decref(event);
}

void host_model(struct top_model *model) {
        json_t *resources = host_resources();

        top_model_init(model);
        host_take_list(model, host_list());
        host_take_stats(model, host_stats(1000000, 1000000));
        host_take_stats(model, host_stats(2000000, 1500000));
        top_model_take_resources(model, resources);
        json_decref(resources);
        take_event(model,
                   json_pack("{sI sI ss ss ss ss si sI}", "seq", (json_int_t)1, "ts_ns",
                             (json_int_t)5000000000, "kind", "vm_spawned", "id", "id3", "name",
                             "web", "slice", "lab", "uid", 0, "setup_us", (json_int_t)2500));
        take_event(model, json_pack("{sI sI ss ss ss ss si ss ss}", "seq", (json_int_t)2, "ts_ns",
                                    (json_int_t)6000000000, "kind", "claim_queued", "id", "t1",
                                    "name", "late", "slice", "ci", "uid", 0, "reason", "pool_full",
                                    "detail", "memory: 4G asked"));
}

/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include <base/units.h>
#include <broker/broker.h>
#include <broker/charge.h>
#include <broker/diskio.h>
#include <broker/lease.h>
#include <broker/network.h>
#include <broker/plan.h>
#include <broker/rates.h>
#include <broker/report.h>
#include <broker/reservation.h>
#include <broker/slice.h>
#include <broker/taps.h>

static json_t *number(uint64_t value) {
        return json_sprintf("%" PRIu64, value);
}

/* ---- groups ---- */

/* The slice's weights with this VM in it; its own limits are written once, and in `resources`. */
static json_t *slice_group(const struct lease *lease) {
        const struct broker *broker = lease->broker;
        const struct account *account = &lease->slice->account;
        /* What is inside a reservation is in the slice's already. */
        const struct demand *more = lease->inside ? &reservation_nothing : &lease->claim.demand;
        uint64_t cpu = account->allocated.amount[RESOURCE_CPU] + more->amount[RESOURCE_CPU];
        uint64_t memory =
                account->allocated.amount[RESOURCE_MEMORY] + more->amount[RESOURCE_MEMORY];

        return json_pack("{s:o s:{s:o s:o}}", "path",
                         json_sprintf("%s/%s.slice", broker->root.path, lease->slice->name),
                         "files", "cpu.weight", number(slice_weight(broker, cpu)), "memory.low",
                         number(limits_page_ceil(
                                 ledger_guarantee(&broker->ledger, RESOURCE_MEMORY, memory))));
}

static json_t *own_group(const struct lease *lease) {
        json_t *files = report_limits(&lease->limits);
        const char *outer = lease->inside ? lease->inside->lease->record.id : "";

        if (files)
                diskio_plan(lease, files);
        return json_pack("{s:o s:o}", "path",
                         json_sprintf("%s/%s.slice/%s%s<id>.%s", lease->broker->root.path,
                                      lease->slice->name, outer, *outer ? ".claim/" : "",
                                      lease->reservation ? "claim" : "vm"),
                         "files", files);
}

/* ---- links ---- */

static json_t *rate(uint64_t bytes_per_s) {
        char text[UNITS_TEXT_MAX];

        return json_string(units_exact_rate(bytes_per_s, text, sizeof(text)));
}

/* A tap, and what is put on it before it goes up. */
static void add_tap(json_t *links, const struct lease *lease, size_t i, const struct shape *shape) {
        const struct tap *tap = &lease->taps->tap[i];
        const char *leaf = shape->fifo ? "bfifo" : "fq_codel";
        char mac[TAPS_MAC_TEXT_MAX];
        uint64_t download = shape->download_bytes_per_s;
        uint64_t bucket = shape_bucket(download, shape->download_bucket_bytes);

        taps_format_mac(tap->mac, mac);
        json_array_append_new(links, json_pack("{s:s s:o s:s s:s s:i}", "kind", "tap", "name",
                                               json_sprintf("<tap %zu>", i), "bridge", tap->bridge,
                                               "mac", lease->request.name[0] ? mac : "<mac>",
                                               "queues", (int)tap->queues));
        json_array_append_new(links, json_pack("{s:s s:o s:o s:o s:o s:s}", "kind", "tbf", "on",
                                               json_sprintf("<tap %zu>", i), "rate", rate(download),
                                               "burst", number(bucket), "limit",
                                               number(shape_limit(download, SHAPE_LATENCY_USEC)),
                                               "leaf", leaf));
        json_array_append_new(links, json_pack("{s:s s:o s:s}", "kind", "redirect", "on",
                                               json_sprintf("<tap %zu> ingress", i), "to",
                                               lease->broker->network->ifb_name));
        if (lease->taps->n > 1)
                json_array_append_new(links, json_pack("{s:s s:o s:s}", "kind", "redirect", "on",
                                                       json_sprintf("<tap %zu> egress", i), "to",
                                                       lease->broker->network->ifb_name));
}

static json_t *class(const struct lease *lease, const struct shape *shape, const char *direction,
                     uint64_t guaranteed, uint64_t ceil) {
        return json_pack("{s:s s:s s:s s:o s:o s:s}", "kind", "class", "on",
                         lease->broker->network->ifb_name, "direction", direction, "rate",
                         rate(guaranteed), "ceil", rate(ceil), "leaf",
                         shape->fifo ? "bfifo" : "fq_codel");
}

static json_t *links(const struct lease *lease) {
        const struct network *network = lease->broker->network;
        struct shape shape = {.fifo = network->fifo};
        json_t *array = json_array();

        if (!lease->taps || !array)
                return array;
        rates_set(lease, &shape);
        if (network->ifb_ifindex == 0)
                json_array_append_new(
                        array, json_pack("{s:s s:s}", "kind", "ifb", "name", network->ifb_name));
        for (size_t i = 0; i < lease->taps->n; i++)
                add_tap(array, lease, i, &shape);
        json_array_append_new(array, class(lease, &shape, "upload", shape.upload_rate_bytes_per_s,
                                           shape.upload_ceil_bytes_per_s));
        /* One tap is its own wall; several share one. */
        if (lease->taps->n > 1)
                json_array_append_new(array,
                                      class(lease, &shape, "download", shape.download_bytes_per_s,
                                            shape.download_bytes_per_s));
        return array;
}

json_t *plan_objects(struct lease *lease) {
        charge_limits(lease->broker, lease, &lease->limits);
        return json_pack("{s:[o, o] s:o}", "cgroups", slice_group(lease), own_group(lease), "links",
                         links(lease));
}

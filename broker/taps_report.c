/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include <base/units.h>
#include <broker/broker.h>
#include <broker/lease.h>
#include <broker/network.h>
#include <broker/rates.h>
#include <broker/taps.h>
#include <broker/taps_report.h>

static void add_number(json_t *object, const char *key, uint64_t value) {
        char text[24];

        snprintf(text, sizeof(text), "%" PRIu64, value);
        json_object_set_new(object, key, json_string(text));
}

static void report_rate(json_t *limits, const char *key, uint64_t rate, bool limited) {
        char text[UNITS_TEXT_MAX];

        json_object_set_new(
                limits, key,
                json_string(limited ? units_format_rate(rate, text, sizeof(text)) : "not limited"));
}

/* From the VM's side: its upload is what the tap receives. */
static void report_counters(json_t *stats, size_t i, const struct shape_tap_state *state) {
        const struct {
                const char *name;
                uint64_t value;
        } counters[] = {
                {"download_bytes", state->download.bytes},
                {"download_packets", state->download.packets},
                {"download_drops", state->download.drops + state->tbf_count.drops},
                {"download_overlimits", state->tbf_count.overlimits},
                {"upload_bytes", state->upload.bytes},
                {"upload_packets", state->upload.packets},
        };
        char key[64];

        for (size_t j = 0; j < ARRAY_SIZE(counters); j++) {
                snprintf(key, sizeof(key), "net.%zu.%s", i, counters[j].name);
                add_number(stats, key, counters[j].value);
        }
}

static void report_tap(json_t *limits, json_t *stats, size_t i, const struct tap *tap,
                       const struct shape_tap_state *state, bool limited) {
        char key[64], text[160];

        snprintf(key, sizeof(key), "net.%zu", i);
        if (!state || !state->present) {
                json_object_set_new(limits, key, json_string("gone"));
                return;
        }
        snprintf(text, sizeof(text), "%s on %s%s", tap->name, tap->bridge,
                 state->up ? "" : ", down");
        json_object_set_new(limits, key, json_string(text));
        snprintf(key, sizeof(key), "net.%zu.download", i);
        report_rate(limits, key, state->rate_bytes_per_s, limited);
        report_counters(stats, i, state);
}

static void report_class(json_t *limits, json_t *stats, const char *name,
                         const struct shape_class_state *state, bool limited) {
        const struct {
                const char *name;
                uint64_t value;
        } counters[] = {
                {"bytes", state->count.bytes},
                {"packets", state->count.packets},
                {"drops", state->leaf[0] ? state->leaf_count.drops : state->count.drops},
                {"overlimits", state->count.overlimits},
                {"backlog", state->count.backlog_bytes},
        };
        char key[64];

        snprintf(key, sizeof(key), "net.%s.rate", name);
        report_rate(limits, key, state->rate_bytes_per_s, limited);
        snprintf(key, sizeof(key), "net.%s.ceil", name);
        report_rate(limits, key, state->ceil_bytes_per_s, limited);
        snprintf(key, sizeof(key), "net.%s.queue", name);
        json_object_set_new(limits, key, json_string(state->leaf));
        for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
                snprintf(key, sizeof(key), "net.%s_%s", name, counters[i].name);
                add_number(stats, key, counters[i].value);
        }
}

void taps_plan(const struct lease *lease, json_t *limits) {
        bool limited_up = lease->record.upload_bytes_per_s > 0;
        struct shape shape = {};
        char key[64];

        if (!lease->taps)
                return;
        rates_set(lease, &shape);
        for (size_t i = 0; i < lease->taps->n; i++) {
                snprintf(key, sizeof(key), "net.%zu", i);
                json_object_set_new(limits, key, json_string(lease->taps->tap[i].bridge));
                snprintf(key, sizeof(key), "net.%zu.download", i);
                report_rate(limits, key, shape.download_bytes_per_s,
                            lease->record.download_bytes_per_s > 0);
        }
        report_rate(limits, "net.upload.rate", shape.upload_rate_bytes_per_s, limited_up);
        report_rate(limits, "net.upload.ceil", shape.upload_ceil_bytes_per_s, limited_up);
}

void taps_report(struct lease *lease, json_t *limits, json_t *stats, json_t *notes) {
        struct network *network = lease->broker->network;
        struct taps *taps = lease->taps;
        bool limited_up = lease->record.upload_bytes_per_s > 0;
        bool limited_down = lease->record.download_bytes_per_s > 0;
        struct shape_state state;
        struct why why = {};
        struct shape shape;

        if (!taps) {
                json_array_append_new(notes, json_string("network: counted; it has no tap of ours "
                                                         "(--net) that could be limited"));
                return;
        }
        if (lease->state == LEASE_WAITING || lease->record.minor == 0)
                return;
        shape = taps->shape;
        taps_places(lease, &shape);
        if (shape_read(&network->netlink, &shape, &state, &why)) {
                json_array_append_new(notes, json_string(why.text));
                return;
        }
        for (size_t i = 0, at = 0; i < taps->n; i++)
                report_tap(limits, stats, i, &taps->tap[i],
                           taps->tap[i].ifindex ? &state.taps[at++] : NULL, limited_down);
        report_class(limits, stats, "upload", &state.upload, limited_up);
        if (shape.download_minor)
                report_class(limits, stats, "download", &state.download, limited_down);
        if (network->fifo)
                json_array_append_new(notes, json_string("network: this kernel has no fq_codel; "
                                                         "uploads wait in a bounded fifo"));
        if (!limited_up || !limited_down)
                json_array_append_new(
                        notes, json_string("network: the uplink's speed is unknown and no rate was "
                                           "claimed: counted, not limited; set Network= in "
                                           "[Capacity] of broker.conf"));
        if (shape_differs(&shape, &state, &why))
                json_array_append_new(notes, json_string(why.text));
}

json_t *taps_list(const struct lease *lease) {
        json_t *array = json_array();

        for (size_t i = 0; lease->taps && i < lease->taps->n; i++) {
                const struct tap *tap = &lease->taps->tap[i];
                char mac[TAPS_MAC_TEXT_MAX];

                taps_format_mac(tap->mac, mac);
                json_array_append_new(array, json_pack("{s:s s:s s:s}", "bridge", tap->bridge,
                                                       "tap", tap->name, "mac", mac));
        }
        return array;
}

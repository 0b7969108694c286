/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <cli/top_model.h>

#include "top_host.h"
#include "unit.h"

#define MIB (UINT64_C(1) << 20)

static const struct top_vm *named(const struct top_model *model, const char *name) {
        for (size_t i = 0; i < model->n_vms; i++)
                if (strcmp(model->vms[i].name, name) == 0)
                        return &model->vms[i];
        need_that(false, "no VM is called %s", name);
        return NULL;
}

static void rates_are_what_counters_grew_by_in_the_time_between(void) {
        struct top_model model;

        host_model(&model);
        expect_uint(named(&model, "web")->cpu_milli, 500);
        expect_uint(named(&model, "database")->cpu_milli, 1500);
        expect_uint(named(&model, "database")->read_bytes_per_s, 500000);
        expect_uint(named(&model, "database")->write_bytes_per_s, 1000000);
        expect_uint(named(&model, "database")->down_bytes_per_s, 1500000);
        expect_uint(named(&model, "database")->up_bytes_per_s, 500000);
        expect_uint(named(&model, "database")->held_permille, 250);
        expect_uint(named(&model, "database")->memory_bytes, 600 * MIB);
        expect_uint(named(&model, "build")->cpu_milli, 0);
        expect_uint(named(&model, "build")->held_permille, 0);
        expect_uint(top_model_apart_usec(&model), 1000000);
        /* Twice the time, the same growth. */
        host_take_stats(&model, host_stats(4000000, 2000000));
        expect_uint(named(&model, "web")->cpu_milli, 250);
        top_model_deinit(&model);
        top_model_deinit(&model);
}

static void one_look_knows_no_rates(void) {
        struct top_model model;

        top_model_init(&model);
        host_take_list(&model, host_list());
        expect_uint(named(&model, "web")->memory_bytes, TOP_UNKNOWN);
        host_take_stats(&model, host_stats(1000000, 1000000));
        expect_uint(named(&model, "web")->memory_bytes, 128 * MIB);
        expect_uint(named(&model, "web")->cpu_milli, TOP_UNKNOWN);
        expect_uint(named(&model, "web")->read_bytes_per_s, TOP_UNKNOWN);
        expect_uint(top_model_apart_usec(&model), TOP_UNKNOWN);
        top_model_deinit(&model);
}

static void the_same_look_twice_changes_no_rate(void) {
        struct top_model model;

        host_model(&model);
        host_take_stats(&model, host_stats(2000000, 1500000));
        expect_uint(named(&model, "web")->cpu_milli, 500);
        host_take_stats(&model, host_stats(3000000, 1600000));
        expect_uint(named(&model, "web")->cpu_milli, 100);
        top_model_deinit(&model);
}

static void a_counter_or_a_clock_that_went_back_gives_no_rate(void) {
        struct top_model model;

        host_model(&model);
        host_take_stats(&model, host_stats(3000000, 10));
        expect_uint(named(&model, "web")->cpu_milli, TOP_UNKNOWN);
        host_take_stats(&model, host_stats(4000000, 1000010));
        expect_uint(named(&model, "web")->cpu_milli, 1000);
        host_take_stats(&model, host_stats(500000, 2000010));
        expect_uint(named(&model, "web")->cpu_milli, 1000);
        top_model_deinit(&model);
}

static void use_stays_with_its_vm_when_the_list_changes(void) {
        json_t *list = host_list(), *vms = json_object_get(list, "vms");
        struct top_model model;

        host_model(&model);
        json_array_remove(vms, 1);
        host_take_list(&model, list);
        expect_uint(model.n_vms, 2);
        expect_uint(named(&model, "web")->cpu_milli, 500);
        expect(!top_model_find(&model, "id1"));
        /* Counters of a VM that is not listed are nobody's. */
        host_take_stats(&model, host_stats(3000000, 2000000));
        expect_uint(named(&model, "web")->cpu_milli, 500);
        top_model_deinit(&model);
}

static void half_a_list_is_not_seen(void) {
        struct top_model model;
        json_t *list = host_list();

        host_model(&model);
        need_int(top_model_begin_list(&model), 0);
        need_int(top_model_add_list(&model, list), 0);
        need_int(top_model_add_list(&model, list), 0);
        expect_uint(model.n_vms, 3);
        need_int(top_model_begin_list(&model), 0);
        need_int(top_model_end_list(&model), 0);
        expect_uint(model.n_vms, 0);
        json_decref(list);
        top_model_deinit(&model);
}

static void the_hosts_use_is_the_sum_of_its_vms(void) {
        struct top_model model;

        host_model(&model);
        expect_uint(model.resources[RESOURCE_CPU].used, 2000);
        expect_uint(model.resources[RESOURCE_CPU].limit, 8000);
        expect_uint(model.resources[RESOURCE_CPU].sold, 3500);
        expect_uint(model.resources[RESOURCE_CPU].guaranteed, 1750);
        expect_uint(model.resources[RESOURCE_MEMORY].used, 744 * MIB);
        expect_uint(model.resources[RESOURCE_DISK].used, 1024 * MIB);
        expect_uint(model.resources[RESOURCE_DISK_IO].used, 1500000);
        /* One axis for both ways, used as much as the larger. */
        expect_uint(model.resources[RESOURCE_NETWORK].used, 1500000);
        top_model_deinit(&model);
}

static void what_is_not_known_is_not_zero(void) {
        struct top_model model;
        json_t *nothing = json_object();

        host_model(&model);
        expect_uint(model.resources[RESOURCE_NETWORK].limit, TOP_UNKNOWN);
        expect(!model.resources[RESOURCE_NETWORK].enforced);
        expect(!model.resources[RESOURCE_NETWORK_UPLOAD].there);
        expect(model.pressure[TOP_PRESSURE_CPU].some > 12.2);
        expect(model.pressure[TOP_PRESSURE_IO].some < 0);
        top_model_take_resources(&model, nothing);
        expect(!model.resources[RESOURCE_CPU].there);
        expect_uint(model.n_host_vms, TOP_UNKNOWN);
        expect_uint(top_share(1, 0), TOP_UNKNOWN);
        expect_uint(top_share(TOP_UNKNOWN, 5), TOP_UNKNOWN);
        expect_uint(top_share(1, 3), 333);
        expect_uint(top_sum(TOP_UNKNOWN, 5), 5);
        expect_uint(top_sum(TOP_UNKNOWN, TOP_UNKNOWN), TOP_UNKNOWN);
        json_decref(nothing);
        top_model_deinit(&model);
}

static void events_are_kept_the_last_first(void) {
        struct top_model model;

        host_model(&model);
        expect_str(top_model_event(&model, 0)->kind, "claim_queued");
        expect_str(top_model_event(&model, 0)->text, "pool_full, memory: 4G asked");
        expect_str(top_model_event(&model, 1)->text, "setup 2.5ms");
        expect(!top_model_event(&model, 2));
        for (int i = 0; i < 3 * TOP_EVENTS; i++) {
                json_t *event = json_pack("{sI si ss si}", "seq", (json_int_t)i, "ts_ns", 1, "kind",
                                          "drain", "vms", i);

                top_model_add_event(&model, event);
                json_decref(event);
        }
        expect_uint(model.n_events, TOP_EVENTS);
        expect_str(top_model_event(&model, 0)->text, "vms 599");
        expect_str(top_model_event(&model, TOP_EVENTS - 1)->text, "vms 400");
        top_model_deinit(&model);
}

static void events_go_on_where_they_were_when_the_broker_is_back(void) {
        json_t *gap = json_pack("{ss si si sb}", "kind", "gap", "from", 3, "to", 9, "restarted", 1);
        struct top_model model;

        host_model(&model);
        expect_uint(model.next_event, 3);
        top_model_add_event(&model, gap);
        expect_uint(model.next_event, 10);
        expect_str(top_model_event(&model, 0)->text, "the broker was started anew");
        json_decref(gap);
        top_model_deinit(&model);
}

static void events_for_machines_are_left_out_and_hostile_ones_escaped(void) {
        json_t *sample = json_pack("{ss}", "kind", "pool_state");
        json_t *gap = json_pack("{ss si si}", "kind", "gap", "from", 0, "to", 99);
        json_t *missed = json_pack("{ss si si}", "kind", "gap", "from", 5, "to", 99);
        json_t *evil = json_pack("{ss ss ss}", "kind", "drift", "name", "a\x1b[2Jb", "detail",
                                 "\x1b]0;x\x07 \xe2\x80\xae");
        struct top_model model;

        top_model_init(&model);
        top_model_add_event(&model, sample);
        top_model_add_event(&model, gap);
        expect_uint(model.n_events, 0);
        top_model_add_event(&model, missed);
        expect_str(top_model_event(&model, 0)->text, "from 5, to 99");
        top_model_add_event(&model, evil);
        expect_str(top_model_event(&model, 0)->name, "a\\x1b[2Jb");
        expect(!strchr(top_model_event(&model, 0)->text, '\x1b'));
        expect(!strchr(top_model_event(&model, 0)->text, '\x07'));
        json_decref(sample);
        json_decref(gap);
        json_decref(missed);
        json_decref(evil);
        top_model_deinit(&model);
}

UNIT_MAIN(TEST(rates_are_what_counters_grew_by_in_the_time_between), TEST(one_look_knows_no_rates),
          TEST(the_same_look_twice_changes_no_rate),
          TEST(a_counter_or_a_clock_that_went_back_gives_no_rate),
          TEST(use_stays_with_its_vm_when_the_list_changes), TEST(half_a_list_is_not_seen),
          TEST(the_hosts_use_is_the_sum_of_its_vms), TEST(what_is_not_known_is_not_zero),
          TEST(events_are_kept_the_last_first),
          TEST(events_go_on_where_they_were_when_the_broker_is_back),
          TEST(events_for_machines_are_left_out_and_hostile_ones_escaped))

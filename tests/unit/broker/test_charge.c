/* SPDX-License-Identifier: MIT */

/*
 * What a claim is made of, and above all its network: two directions, one capacity or two.
 */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <broker/broker.h>
#include <broker/charge.h>
#include <broker/lease.h>
#include <broker/slice.h>

#include "unit.h"

#define GBPS UINT64_C(125000000)

static uint64_t random_state;

static uint64_t any(uint64_t below) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        return (random_state >> 24) % below;
}

/* A broker of 16 CPUs and 10 Gbit/s, sold once, with one slice; and a claim that says nothing. */
struct place {
        struct broker broker;
        struct policy policy;
        struct slice_policy slice_policy;
        struct slice slice;
        struct lease lease;
};

static void fill(struct demand *demand, uint64_t amount) {
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                demand->amount[i] = amount;
}

static void configure(struct place *place, bool full_duplex) {
        struct broker_policy *policy = &place->policy.broker;
        bool enforced[_RESOURCE_N] = {};

        policy->network.full_duplex = full_duplex;
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                enforced[i] = place->broker.host.source[i] != SOURCE_UNKNOWN;
        enforced[RESOURCE_NETWORK_UPLOAD] &= full_duplex;
        place->broker.host.capacity.amount[RESOURCE_NETWORK_UPLOAD] =
                full_duplex ? place->broker.host.capacity.amount[RESOURCE_NETWORK] : 0;
        ledger_configure(&place->broker.ledger, &place->broker.host.capacity, &policy->reserve,
                         &policy->ratio_milli, enforced, 1000);
}

static void place_init(struct place *place, bool full_duplex) {
        *place = (struct place){};
        place->broker.policy = &place->policy;
        fill(&place->broker.host.capacity, UINT64_C(1) << 40);
        place->broker.host.capacity.amount[RESOURCE_CPU] = 16000;
        place->broker.host.capacity.amount[RESOURCE_NETWORK] = 10 * GBPS;
        fill(&place->policy.broker.ratio_milli, 1000);
        fill(&place->policy.broker.claim, POLICY_AUTO);
        place->policy.broker.claim.amount[RESOURCE_CPU] = 1000;
        place->policy.broker.claim.amount[RESOURCE_MEMORY] = 1 << 30;
        place->policy.broker.claim.amount[RESOURCE_DISK] = 0;
        place->policy.broker.claim.amount[RESOURCE_GPU] = 0;
        configure(place, full_duplex);

        fill(&place->slice_policy.vm_claim, POLICY_AUTO);
        fill(&place->slice_policy.vm_max, POLICY_NONE);
        place->slice.name = (char *)"demo";
        place->slice.policy = &place->slice_policy;
        fill(&place->slice.account.limit, LEDGER_NO_LIMIT);
        place->slice.account.vms_max = LEDGER_NO_LIMIT;

        place->lease.broker = &place->broker;
        place->lease.slice = &place->slice;
        fill(&place->lease.request.claim, REQUEST_DEFAULT);
        place->lease.request.download_bytes_per_s = REQUEST_DEFAULT;
        place->lease.request.upload_bytes_per_s = REQUEST_DEFAULT;
}

static void expect_network(const struct place *place, uint64_t network, uint64_t upload) {
        const struct demand *charge = &place->lease.claim.demand;

        expect_uint(charge->amount[RESOURCE_NETWORK], network);
        expect_uint(charge->amount[RESOURCE_NETWORK_UPLOAD], upload);
        expect(demand_equal(charge, &place->lease.record.charge));
}

static void each_direction_has_its_own_default(void) {
        struct place place;
        struct record *record = &place.lease.record;

        place_init(&place, false);
        place.lease.request.claim.amount[RESOURCE_CPU] = 2000;
        place.lease.request.upload_bytes_per_s = 5;
        expect_int(charge_size(&place.lease, NULL), 0);
        expect_uint(record->download_bytes_per_s, 10 * GBPS / 8);
        expect_uint(record->upload_bytes_per_s, 5);

        place.policy.broker.claim.amount[RESOURCE_NETWORK] = 7;
        expect_int(charge_size(&place.lease, NULL), 0);
        expect_uint(record->download_bytes_per_s, 7);
        place.slice_policy.vm_claim.amount[RESOURCE_NETWORK] = 3;
        expect_int(charge_size(&place.lease, NULL), 0);
        expect_uint(record->download_bytes_per_s, 3);
        expect_uint(record->upload_bytes_per_s, 5);
        place.lease.request.upload_bytes_per_s = REQUEST_DEFAULT;
        place.lease.request.download_bytes_per_s = 9;
        expect_int(charge_size(&place.lease, NULL), 0);
        expect_uint(record->download_bytes_per_s, 9);
        expect_uint(record->upload_bytes_per_s, 3);
}

static void the_larger_direction_is_charged_unless_the_link_is_full_duplex(void) {
        struct place place;

        place_init(&place, false);
        place.lease.request.download_bytes_per_s = 2 * GBPS;
        place.lease.request.upload_bytes_per_s = 3 * GBPS;
        expect_int(charge_size(&place.lease, NULL), 0);
        expect_network(&place, 3 * GBPS, 0);

        place_init(&place, true);
        place.lease.request.download_bytes_per_s = 2 * GBPS;
        place.lease.request.upload_bytes_per_s = 3 * GBPS;
        expect_int(charge_size(&place.lease, NULL), 0);
        expect_network(&place, 2 * GBPS, 3 * GBPS);
}

static void a_default_is_cut_and_a_wish_refused_in_its_direction(void) {
        struct place place;
        struct why why = {};

        place_init(&place, false);
        place.slice_policy.vm_max.amount[RESOURCE_NETWORK] = GBPS / 2;
        expect_int(charge_size(&place.lease, &why), 0);
        expect_uint(place.lease.record.download_bytes_per_s, GBPS / 2);
        expect_uint(place.lease.record.upload_bytes_per_s, GBPS / 2);

        place.lease.request.download_bytes_per_s = GBPS / 2 + 1;
        expect_int(charge_size(&place.lease, &why), 1);
        expect_in(why.text, "download: ");
        expect_in(why.text, "slice 'demo' allows one VM at most");
        place.lease.request.download_bytes_per_s = REQUEST_DEFAULT;
        place.lease.request.upload_bytes_per_s = GBPS;
        expect_int(charge_size(&place.lease, &why), 1);
        expect_in(why.text, "upload: ");
        place.lease.request.upload_bytes_per_s = GBPS / 2;
        expect_int(charge_size(&place.lease, &why), 0);
        place.slice_policy.vm_max.amount[RESOURCE_DISK] = 1;
        place.lease.request.claim.amount[RESOURCE_DISK] = 2;
        expect_int(charge_size(&place.lease, &why), 1);
        expect_in(why.text, "disk: ");
}

static void an_unknown_capacity_limits_and_charges_nothing_unless_somebody_said_a_number(void) {
        struct place place;
        struct record *record = &place.lease.record;

        place_init(&place, true);
        place.broker.host.source[RESOURCE_NETWORK] = SOURCE_UNKNOWN;
        place.broker.host.capacity.amount[RESOURCE_NETWORK] = 0;
        configure(&place, true);
        expect_int(charge_size(&place.lease, NULL), 0);
        expect_uint(record->download_bytes_per_s, 0);
        expect_uint(record->upload_bytes_per_s, 0);
        expect_network(&place, 0, 0);

        place.lease.request.upload_bytes_per_s = GBPS;
        expect_int(charge_size(&place.lease, NULL), 0);
        expect_network(&place, 0, GBPS);

        /* Without a limit it would have more than the most that a VM may have. */
        place.slice_policy.vm_max.amount[RESOURCE_NETWORK] = 2 * GBPS;
        expect_int(charge_size(&place.lease, NULL), 0);
        expect_network(&place, 2 * GBPS, GBPS);
        place.lease.request.upload_bytes_per_s = 0;
        expect_int(charge_size(&place.lease, NULL), 0);
        expect_uint(record->upload_bytes_per_s, 2 * GBPS);

        /* Where the capacity is known, nothing asked is nothing sold. */
        place.broker.host.source[RESOURCE_NETWORK] = SOURCE_CONFIGURED;
        expect_int(charge_size(&place.lease, NULL), 0);
        expect_uint(record->upload_bytes_per_s, 0);
}

static void a_refusal_never_names_an_axis_this_host_has_not(void) {
        struct place place;
        struct shortage shortage = {};
        char text[WHY_TEXT_MAX];

        place_init(&place, false);
        place.lease.request.upload_bytes_per_s = 11 * GBPS;
        expect_int(charge_size(&place.lease, NULL), 0);
        expect_int(ledger_check(&place.broker.ledger, &place.slice.account,
                                &place.lease.claim.demand, &shortage),
                   LEDGER_E_NEVER);
        shortage_describe(&shortage, true, text, sizeof(text));
        expect_int(strncmp(text, "network: ", 9), 0);

        configure(&place, true);
        expect_int(charge_size(&place.lease, NULL), 0);
        expect_int(ledger_check(&place.broker.ledger, &place.slice.account,
                                &place.lease.claim.demand, &shortage),
                   LEDGER_E_NEVER);
        shortage_describe(&shortage, true, text, sizeof(text));
        expect_int(strncmp(text, "network_upload: ", 16), 0);
}

#define LIVE 50

/*
 * However often the operator changes his mind about the link while VMs come and go: what is
 * charged is what each VM's own numbers come to now, as if all had started under this policy.
 */
static void turning_full_duplex_on_and_off_leaves_the_books_right(void) {
        struct record records[LIVE];
        struct demand charges[LIVE];
        struct place place;
        struct ledger *ledger = &place.broker.ledger;
        struct account *account = &place.slice.account;
        size_t n = 0;

        random_state = 4;
        place_init(&place, false);
        for (unsigned step = 0; step < 20000; step++) {
                struct demand sum = {};
                uint64_t choice = any(100);

                if (choice < 3) {
                        configure(&place, any(2));
                        for (size_t i = 0; i < n; i++) {
                                struct demand charge = charges[i];

                                charge_network(&place.broker, &records[i], &charge);
                                need(ledger_exchange_unchecked(ledger, account, &charges[i],
                                                               &charge));
                                charges[i] = charge;
                        }
                } else if (choice < 50 && n > 0) {
                        size_t at = any(n);

                        ledger_return(ledger, account, &charges[at]);
                        records[at] = records[--n];
                        charges[at] = charges[n];
                } else if (n < LIVE) {
                        place.lease.request.download_bytes_per_s = any(GBPS);
                        place.lease.request.upload_bytes_per_s = any(GBPS);
                        need_int(charge_size(&place.lease, NULL), 0);
                        if (ledger_charge(ledger, account, &place.lease.claim.demand, NULL) == 0) {
                                records[n] = place.lease.record;
                                charges[n++] = place.lease.claim.demand;
                        }
                }
                for (size_t i = 0; i < n; i++) {
                        struct demand again = charges[i];

                        charge_network(&place.broker, &records[i], &again);
                        need(demand_equal(&again, &charges[i]));
                        need(demand_add(&sum, &sum, &again));
                }
                need(demand_equal(&sum, &ledger->allocated));
                need(demand_equal(&sum, &account->allocated));
                need(ledger->vms == n);
        }
}

static void put(const char *directory, const char *name, const char *text) {
        char path[128];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        file = fopen(path, "we");
        need(file != NULL);
        fputs(text, file);
        fclose(file);
        need(chmod(path, 0644) == 0);
}

static void network_is_written_once_and_said_of_each_direction(void) {
        char etc[] = "/tmp/provium-test-charge-XXXXXX", slices[64];
        static struct policy_errors errors;

        need(mkdtemp(etc) != NULL);
        need(chmod(etc, 0755) == 0);
        snprintf(slices, sizeof(slices), "%s/slices", etc);
        need(mkdir(slices, 0755) == 0);
        put(slices, "a.slice",
            "[Slice]\nNetwork=2Gbps\n[Ratio]\nNetwork=99\n[Guarantee]\nNetwork=1Gbps\n"
            "[VM]\nMaxNetwork=500Mbps\nNetwork=50Mbps\n");
        for (int full_duplex = 0; full_duplex < 2; full_duplex++) {
                struct policy *policy = NULL;
                const struct broker_policy *broker;
                const struct slice_policy *slice;
                const unsigned up = RESOURCE_NETWORK_UPLOAD;

                put(etc, "broker.conf",
                    full_duplex ? "[Network]\nFullDuplex=yes\n[Capacity]\nNetwork=10Gbps\n"
                                  "[Reserve]\nNetwork=1Gbps\n[Ratio]\nNetwork=99\n"
                                : "[Capacity]\nNetwork=10Gbps\n[Reserve]\nNetwork=1Gbps\n"
                                  "[Ratio]\nNetwork=99\n");
                need_int(policy_load(&policy, etc, "/nonexistent", &errors), 0);
                broker = &policy->broker;
                slice = policy_find_slice(policy, "a");
                expect_uint(broker->capacity.amount[up], full_duplex ? 10 * GBPS : 0);
                expect_uint(broker->reserve.amount[up], full_duplex ? GBPS : 0);
                expect_uint(broker->ratio_milli.amount[up], full_duplex ? 16000 : 1000);
                expect_uint(slice->limit.amount[up], full_duplex ? 2 * GBPS : POLICY_NONE);
                expect_uint(slice->ratio_milli.amount[up], full_duplex ? 16000 : 1000);
                expect_uint(slice->guarantee.amount[up], full_duplex ? GBPS : 0);
                expect_uint(slice->vm_max.amount[up], full_duplex ? GBPS / 2 : POLICY_NONE);
                /* One notice for one key. */
                expect(broker->ratio_clamped[RESOURCE_NETWORK] && !broker->ratio_clamped[up]);
                expect(slice->ratio_clamped[RESOURCE_NETWORK] && !slice->ratio_clamped[up]);
                policy_free(policy);
        }
        need(chdir(etc) == 0);
        expect(unlink("slices/a.slice") == 0 && rmdir("slices") == 0);
        expect(unlink("broker.conf") == 0 && chdir("/") == 0 && rmdir(etc) == 0);
}

static void the_upload_of_a_full_duplex_link_is_as_fast_as_its_download(void) {
        const struct options options = {.proc_dir = "/proc", .sys_dir = "/sys"};
        const struct cgroup_root root = {.path = "/nonexistent", .mount = "/nonexistent"};
        struct place place;
        struct broker_policy *policy = &place.policy.broker;
        struct host host;
        const unsigned down = RESOURCE_NETWORK, up = RESOURCE_NETWORK_UPLOAD;

        for (int configured = 0; configured < 2; configured++) {
                place_init(&place, true);
                strcpy(policy->data_directory, "/");
                fill(&policy->capacity, POLICY_AUTO);
                if (configured)
                        policy->capacity.amount[down] = policy->capacity.amount[up] = 7;
                host_discover(&host, &options, "/dev", policy, &root);
                expect_uint(host.capacity.amount[up], host.capacity.amount[down]);
                expect_int(host.source[up], host.source[down]);
                expect_str(host.detail[up], host.detail[down]);
                if (configured)
                        expect_int(host.source[up], SOURCE_CONFIGURED);

                policy->network.full_duplex = false;
                policy->capacity.amount[up] = 0;
                host_discover(&host, &options, "/dev", policy, &root);
                expect_uint(host.capacity.amount[up], 0);
                /* Nobody is warned of an axis that there is not. */
                expect_int(host.source[up], SOURCE_DETECTED);
        }
}

static void the_uplink_that_the_operator_names_is_the_one_whose_speed_counts(void) {
        char sys[] = "/tmp/provium-test-charge-XXXXXX", path[64];
        const struct options options = {.proc_dir = "/proc", .sys_dir = sys};
        const struct cgroup_root root = {.path = "/nonexistent", .mount = "/nonexistent"};
        const char *const folders[] = {"class", "class/net", "class/net/up7"};
        struct place place;
        struct host host;

        need(mkdtemp(sys) != NULL);
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                snprintf(path, sizeof(path), "%s/%s", sys, folders[i]);
                need(mkdir(path, 0755) == 0);
        }
        put(path, "speed", "25000\n");
        place_init(&place, true);
        fill(&place.policy.broker.capacity, POLICY_AUTO);
        strcpy(place.policy.broker.data_directory, "/");
        strcpy(place.policy.broker.network.uplink, "up7");
        host_discover(&host, &options, "/dev", &place.policy.broker, &root);
        expect_uint(host.capacity.amount[RESOURCE_NETWORK], 25 * GBPS);
        expect_uint(host.capacity.amount[RESOURCE_NETWORK_UPLOAD], 25 * GBPS);
        expect_str(host.detail[RESOURCE_NETWORK], "up7");

        need(chdir(path) == 0 && unlink("speed") == 0 && chdir("/") == 0);
        for (size_t i = ARRAY_SIZE(folders); i-- > 0;) {
                snprintf(path, sizeof(path), "%s/%s", sys, folders[i]);
                expect(rmdir(path) == 0);
        }
        expect(rmdir(sys) == 0);
}

UNIT_MAIN(TEST(each_direction_has_its_own_default),
          TEST(the_larger_direction_is_charged_unless_the_link_is_full_duplex),
          TEST(a_default_is_cut_and_a_wish_refused_in_its_direction),
          TEST(an_unknown_capacity_limits_and_charges_nothing_unless_somebody_said_a_number),
          TEST(a_refusal_never_names_an_axis_this_host_has_not),
          TEST(turning_full_duplex_on_and_off_leaves_the_books_right),
          TEST(network_is_written_once_and_said_of_each_direction),
          TEST(the_upload_of_a_full_duplex_link_is_as_fast_as_its_download),
          TEST(the_uplink_that_the_operator_names_is_the_one_whose_speed_counts), )

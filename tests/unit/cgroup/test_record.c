/* SPDX-License-Identifier: MIT */
#include <base/why.h>
#include <cgroup/limits.h>
#include <cgroup/record.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "unit.h"

static struct record sample(void) {
        struct record record = {
                .id = "abcdefghijklmn01",
                .name = "web",
                .slice = "demo",
                .owner = "build-7",
                .cpu_milli = 1500,
                .memory_bytes = 1 << 30,
                .download_bytes_per_s = 3,
                .upload_bytes_per_s = 4,
                .uid = 4294967294u,
                .gid = 5,
                .order = 6,
                .created_ns = 7,
                .grace_usec = 8,
                .time_usec = 9,
                .until_usec = 10,
                .ends = true,
                .quota_groups = {500, 501},
                .n_quota_groups = 2,
                .detached = true,
                .learns = true,
                .quota_project = 7,
                .quota_dev = makedev(8, 1),
                .quota_in_force = true,
                .n_gpus = 2,
                .gpus = {{"0000:01:00.0", true}, {"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", false}},
                .command = "qemu -name \\\"x\\\"",
        };

        for (unsigned i = 0; i < _RESOURCE_N; i++)
                record.charge.amount[i] = i + 100;
        return record;
}

/* By what is written of them: between members there may be anything. */
static bool is_same(const struct record *a, const struct record *b) {
        char text[RECORD_MAX], other[RECORD_MAX];

        return record_format(a, text) == record_format(b, other) && strcmp(text, other) == 0;
}

static int parse(const char *text, struct record *record, bool *knownp, struct why *why) {
        return record_parse(record, text, strlen(text), knownp, why);
}

static void what_was_written_is_what_is_read(void) {
        struct record record = sample(), again = {};
        char text[RECORD_MAX];
        struct why why = {};
        bool known;
        int n = record_format(&record, text);

        need(n > 0);
        expect_int(record_parse(&again, text, (size_t)n, &known, &why), 0);
        expect(known);
        expect(is_same(&record, &again));
        expect(again.learns);
        expect(again.ends);
        expect_uint(again.n_quota_groups, 2);
        expect_uint(again.quota_groups[1], 501);
        expect_str(again.owner, "build-7");
}

static void a_reservation_says_for_how_many_and_whether_it_is_over(void) {
        struct record record = sample(), again = {};
        char text[RECORD_MAX], *at;
        struct why why = {};
        bool known;

        record.reserves = true;
        record.reserved_vms = 3;
        expect(record_format(&record, text) > 0);
        expect_int(parse(text, &again, &known, &why), 0);
        expect(again.reserves && !again.over);
        expect_uint(again.reserved_vms, 3);
        record.over = true;
        expect(record_format(&record, text) > 0);
        expect_int(parse(text, &again, &known, &why), 0);
        expect(again.over);
        at = strstr(text, "[3,1]");
        need(at);
        memcpy(at, "[3,2]", 5);
        expect_int(parse(text, &again, &known, &why), CGROUP_E_RECORD);
        expect(known);
}

static void a_command_in_any_script_survives(void) {
        struct record record = sample(), again = {};
        char text[RECORD_MAX];
        bool known;
        int n;

        strcpy(record.command, "sh -c echo gr\xc3\xbc\xc3\x9f"
                               "e \"\xe2\x82\xac\" \\x0a");
        n = record_format(&record, text);
        expect_int(record_parse(&again, text, (size_t)n, &known, NULL), 0);
        expect_str(again.command, record.command);
}

static void the_largest_record_fits_its_attribute(void) {
        struct record record = sample();
        char text[RECORD_MAX];

        memset(record.name, 'n', TEXT_NAME_MAX);
        memset(record.slice, 's', TEXT_NAME_MAX);
        memset(record.owner, 'o', TEXT_NAME_MAX);
        memset(record.command, '\\', RECORD_COMMAND_MAX);
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                record.charge.amount[i] = UINT64_MAX;
        record.order = record.created_ns = record.cpu_milli = record.memory_bytes = INT64_MAX;
        expect_within(record_format(&record, text), 500, RECORD_MAX);
}

/* All that only some VMs have, at its longest. */
static void disks_quota_user_gpus_and_taps_are_read_again(void) {
        struct record record = sample(), again = {};
        char text[RECORD_MAX];
        struct why why = {};
        bool known;
        int n;

        /* Beside what every VM has, at its longest, too: whatever a claim says, it fits. */
        memset(record.name, 'n', TEXT_NAME_MAX);
        memset(record.slice, 's', TEXT_NAME_MAX);
        memset(record.owner, 'o', TEXT_NAME_MAX);
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                record.charge.amount[i] = INT64_MAX;
        record.order = record.created_ns = record.cpu_milli = record.memory_bytes = INT64_MAX;
        record.download_bytes_per_s = record.upload_bytes_per_s = record.grace_usec = INT64_MAX;
        for (record.n_quota_groups = 0; record.n_quota_groups < RECORD_GROUPS_MAX;)
                record.quota_groups[record.n_quota_groups++] = 4294967294u;
        record.disk_read_bytes_per_s = record.disk_write_bytes_per_s = record.disk_ios_per_s =
                INT64_MAX;
        record.run_uid = record.run_gid = 4294967294u;
        record.time_usec = record.until_usec = INT64_MAX;
        record.held_since_usec = record.counted_until_usec = INT64_MAX;
        record.claimed_cpu_usec = record.claimed_memory_mib_ms = INT64_MAX;
        record.quota_project = UINT32_MAX;
        record.quota_dev = makedev(0xfff, 0xfffff);
        record.quota_in_force = true;
        record.reserves = record.over = true;
        record.reserved_vms = INT64_MAX;
        record.minor = record.download_minor = UINT16_MAX;
        for (record.n_nets = 0; record.n_nets < RECORD_NETS_MAX; record.n_nets++) {
                memset(record.nets[record.n_nets].bridge, '"', RECORD_BRIDGE_MAX - 1);
                record.nets[record.n_nets].queues = RECORD_QUEUES_MAX;
        }
        for (record.n_gpus = 0; record.n_gpus < RECORD_GPUS_MAX; record.n_gpus++) {
                memset(record.gpus[record.n_gpus].name, 'f', RECORD_GPU_NAME_MAX);
                record.gpus[record.n_gpus].name[RECORD_GPU_NAME_MAX] = '\0';
                record.gpus[record.n_gpus].lent = true;
        }
        memset(record.command, '\\', RECORD_COMMAND_MAX);
        n = record_format(&record, text);
        need_that(record_parse(&again, text, (size_t)n, &known, &why) == 0, "%s: %.*s", why.text, n,
                  text);
        expect(is_same(&record, &again));
}

/* Cut at any byte: never taken for whole; the charge is known as soon as its line is. */
static void a_torn_record_is_never_taken_for_whole(void) {
        struct record record = sample(), again;
        char text[RECORD_MAX];
        int n = record_format(&record, text), line = (int)(strchr(text, '\n') - text);

        for (int cut = 0; cut < n; cut++) {
                struct why why = {};
                bool known;

                memset(&again, 0, sizeof(again));
                need_int(record_parse(&again, text, (size_t)cut, &known, &why), CGROUP_E_RECORD);
                need_int(known, cut > line);
                need(why.text[0]);
                if (known)
                        need(demand_equal(&again.charge, &record.charge));
        }
}

/* A group may have been made by any version before this one. */
static void an_older_record_has_no_upload_and_means_none(void) {
        static const char *const others[] = {"cpu=1",     "memory=2",  "disk=3",
                                             "disk_io=4", "network=5", "gpu=6"};
        static const char rest[] = "{\"version\":1,\"id\":\"abcdefghijklmn01\",\"name\":\"web\","
                                   "\"slice\":\"demo\",\"cpu_milli\":1,\"memory_bytes\":2,"
                                   "\"download_bytes_per_s\":5,\"upload_bytes_per_s\":5,\"uid\":0,"
                                   "\"gid\":0,\"order\":1,\"created_ns\":1,\"grace_usec\":1,"
                                   "\"detached\":true,\"command\":\"qemu\"}";

        for (size_t missing = 0; missing <= ARRAY_SIZE(others); missing++) {
                bool whole = missing == ARRAY_SIZE(others), known = !whole;
                struct record record = {.charge.amount = {[RESOURCE_NETWORK_UPLOAD] = 7}};
                char text[RECORD_MAX] = "charge";

                for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                        if (i != missing) {
                                strcat(text, " ");
                                strcat(text, others[i]);
                        }
                strcat(text, "\n");
                strcat(text, rest);
                expect_int(parse(text, &record, &known, NULL), whole ? 0 : CGROUP_E_RECORD);
                expect_int(known, whole);
                if (whole) {
                        expect_uint(record.charge.amount[RESOURCE_NETWORK_UPLOAD], 0);
                        expect_uint(record.charge.amount[RESOURCE_NETWORK], 5);
                        expect_uint(record.charge.amount[RESOURCE_GPU], 6);
                }
        }
}

static void whatever_numbers_are_written_are_read(void) {
        uint64_t state = 3;

        for (unsigned n = 0; n < 20000; n++) {
                struct record record = sample(), again = {};
                uint64_t *const numbers[] = {
                        &record.cpu_milli,
                        &record.memory_bytes,
                        &record.download_bytes_per_s,
                        &record.upload_bytes_per_s,
                        &record.order,
                        &record.created_ns,
                        &record.grace_usec,
                };
                char text[RECORD_MAX];
                bool known;
                int length;

                for (unsigned i = 0; i < _RESOURCE_N + ARRAY_SIZE(numbers); i++) {
                        state = state * 6364136223846793005u + 1442695040888963407u;
                        /* Of every length; in the object JSON's integers, which have a sign. */
                        if (i < _RESOURCE_N)
                                record.charge.amount[i] = state >> (state >> 32) % 64;
                        else
                                *numbers[i - _RESOURCE_N] = state >> 1 >> (state >> 32) % 63;
                }
                length = record_format(&record, text);
                need_int(record_parse(&again, text, (size_t)length, &known, NULL), 0);
                need(known && is_same(&record, &again));
        }
}

static void a_newer_record_tells_its_charge_and_nothing_else(void) {
        struct record record = {};
        struct why why = {};
        bool known;

        expect_int(parse("charge cpu=1 memory=2 disk=3 disk_io=4 network=5 gpu=6 "
                         "vram=7\n{\"version\":2}",
                         &record, &known, &why),
                   CGROUP_E_RECORD);
        expect(known);
        expect_uint(record.charge.amount[RESOURCE_GPU], 6);
        expect_in(why.text, "version 2");
}

static void a_charge_that_is_not_whole_is_unknown(void) {
        static const char *const lines[] = {
                "",
                "\n",
                "charge\n{}",
                "charge cpu=1\n{}",
                "charged cpu=1 memory=2 disk=3 disk_io=4 network=5 gpu=6\n{}",
                ("charge cpu=1 memory=2 disk=3 disk_io=4 network=5 network_upload=1 "
                 "network_upload=1 gpu=6\n{}"),
                "charge cpu=1 cpu=1 memory=2 disk=3 disk_io=4 network=5 gpu=6\n{}",
                "charge cpu=-1 memory=2 disk=3 disk_io=4 network=5 gpu=6\n{}",
                "charge cpu=18446744073709551616 memory=2 disk=3 disk_io=4 network=5 gpu=6\n{}",
                "charge cpu= memory=2 disk=3 disk_io=4 network=5 gpu=6\n{}",
                "charge cpu=1  memory=2 disk=3 disk_io=4 network=5 gpu=6\n{}",
                "charge cpu=1 memory=2 disk=3 disk_io=4 network=5 gpu=6",
                "charge cpu=1x memory=2 disk=3 disk_io=4 network=5 gpu=6\n{}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                struct record record = {};
                struct why why = {};
                bool known = true;

                expect_int(parse(lines[i], &record, &known, &why), CGROUP_E_RECORD);
                expect_that(!known, "'%s' has no charge", lines[i]);
        }
}

static void values_that_cannot_be_are_refused(void) {
        static const char *const changes[][2] = {
                {"\"name\":\"web\"", "\"name\":\"../x\""},
                {"\"name\":\"web\"", "\"name\":\"\""},
                {"\"name\":\"web\"", "\"name\":7"},
                {"\"slice\":\"demo\"", "\"slice\":\"a//b\""},
                {"\"uid\":4294967294", "\"uid\":-1"},
                {"\"uid\":4294967294", "\"uid\":4294967296"},
                {"\"order\":6", "\"order\":-6"},
                {"\"grace_usec\":8", "\"grace_usec\":1.5"},
                {"\"time\":[9,10]", "\"time\":[0,10]"},
                {"\"time\":[9,10]", "\"time\":[9,-1]"},
                {"\"time\":[9,10]", "\"time\":[9]"},
                {"\"detached\":true", "\"detached\":1"},
                {"\"version\":1", "\"version\":\"1\""},
                {"\"quota\":[7,8,1,1]", "\"quota\":[0,8,1,1]"},
                {"\"quota\":[7,8,1,1]", "\"quota\":[4294967296,8,1,1]"},
                {"\"quota\":[7,8,1,1]", "\"quota\":[7,4096,1,1]"},
                {"\"quota\":[7,8,1,1]", "\"quota\":[7,8,1,2]"},
                {"\"quota\":[7,8,1,1]", "\"quota\":[7,8,1]"},
                {"\"0000:01:00.0\",1", "\"\",1"},
                {"\"0000:01:00.0\",1", "\"../01:00.0\",1"},
                {"\"0000:01:00.0\",1", "\"0000:01:00.0\",2"},
                {"\"0000:01:00.0\",1", "\"0000:01:00.0\""},
                {"\"0000:01:00.0\",1", "\"83b8f4f2-509f-382f-3c1e-e6bfe0fa10012\",1"},
                {"\"gpus\":[", "\"gpus\":[7,"},
                {"\"groups\":[500,501]", "\"groups\":7"},
                {"\"groups\":[500,501]", "\"groups\":[-1]"},
                {"\"groups\":[500,501]", "\"groups\":[4294967295]"},
                {"\"groups\":[500,501]", "\"groups\":[\"500\"]"},
                {"\"groups\":[500,501]", "\"groups\":[1,2,3,4,5,6]"},
                {"\"id\":\"abcdefghijklmn01\"", "\"id\":\"abcdefghijklmn012\""},
        };
        struct record record = sample(), again;
        char text[RECORD_MAX], changed[RECORD_MAX + 64];
        int n = record_format(&record, text);

        text[n] = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
                char *at = strstr(text, changes[i][0]);
                struct why why = {};
                bool known;

                need_that(at != NULL, "the record has %s", changes[i][0]);
                snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text,
                         changes[i][1], at + strlen(changes[i][0]));
                expect_that(parse(changed, &again, &known, &why) == CGROUP_E_RECORD && known,
                            "%s is refused", changes[i][1]);
        }
}

static void a_quota_keeps_to_what_the_kernel_can_set(void) {
        struct limits limits = LIMITS_KEEP_ALL;

        limits_set_cpu(&limits, 500, 40);
        expect_uint(limits.cpu_quota_usec, 52000);
        expect_uint(limits.cpu_period_usec, 100000);
        /* Too small for 100 ms: a longer period keeps it exact. */
        limits_set_cpu(&limits, 5, 0);
        expect_uint(limits.cpu_quota_usec, 5000);
        expect_uint(limits.cpu_period_usec, 1000000);
        limits_set_cpu(&limits, 1, 0);
        expect_uint(limits.cpu_quota_usec, 1000);
        limits_set_cpu(&limits, UINT64_MAX, 1000);
        expect(limits.cpu_quota_usec <= UINT32_MAX);
        expect_uint(limits_page_ceil(1), 4096);
        expect_uint(limits_page_ceil(4096), 4096);
        expect_uint(limits_page_ceil(0), 0);
        expect_uint(limits_page_ceil(UINT64_MAX), UINT64_MAX);
}

UNIT_MAIN(TEST(what_was_written_is_what_is_read),
          TEST(a_reservation_says_for_how_many_and_whether_it_is_over),
          TEST(a_command_in_any_script_survives), TEST(the_largest_record_fits_its_attribute),
          TEST(disks_quota_user_gpus_and_taps_are_read_again),
          TEST(a_torn_record_is_never_taken_for_whole),
          TEST(an_older_record_has_no_upload_and_means_none),
          TEST(whatever_numbers_are_written_are_read),
          TEST(a_newer_record_tells_its_charge_and_nothing_else),
          TEST(a_charge_that_is_not_whole_is_unknown), TEST(values_that_cannot_be_are_refused),
          TEST(a_quota_keeps_to_what_the_kernel_can_set), )

/* SPDX-License-Identifier: MIT */
/*
 * What the doctor makes of kernels and policies that we are not: /proc, /sys and the tree are files
 * of the test.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/doctor.h>
#include <broker/network.h>

#include "unit.h"

struct place {
        char dir[64], proc[80], sys[80];
        struct options options;
        struct policy policy;
        struct slice_policy slices[2];
        struct network network;
        struct broker broker;
        json_t *report;
};

/* Makes the directories above, too. NULL: the file goes. */
static void put(struct place *place, const char *name, const char *text) {
        char path[256];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", place->dir, name);
        if (!text) {
                unlink(path);
                return;
        }
        for (char *slash = path + strlen(place->dir) + 1; (slash = strchr(slash, '/')); slash++) {
                *slash = '\0';
                mkdir(path, 0755);
                *slash = '/';
        }
        file = fopen(path, "we");
        need(file);
        fputs(text, file);
        fclose(file);
}

static void place_init(struct place *place) {
        static const char all[] = "cpuset cpu io memory hugetlb pids";
        /* That nobody is there is not noticed before something is asked of it. */
        static const struct launcher_place nowhere = {.fd = -1, .path = "/nonexistent"};

        *place = (struct place){.dir = "/tmp/provium-doctor-XXXXXX"};
        need(mkdtemp(place->dir));
        snprintf(place->proc, sizeof(place->proc), "%s/proc", place->dir);
        snprintf(place->sys, sizeof(place->sys), "%s/sys", place->dir);
        place->options = (struct options){.proc_dir = place->proc, .sys_dir = place->sys};
        place->policy.slices = place->slices;
        place->policy.broker.vms_max = 16;
        place->policy.broker.pids_max = POLICY_AUTO;
        place->policy.broker.claim.amount[RESOURCE_CPU] = 1000;
        snprintf(place->policy.broker.data_directory, sizeof(place->policy.broker.data_directory),
                 "%s", place->dir);
        place->network.netlink.fd = -1;
        place->broker.options = &place->options;
        place->broker.policy = &place->policy;
        place->broker.network = &place->network;
        need_int(launcher_new(&place->broker.launcher, &nowhere, "", NULL), 0);

        put(place, "cg/cgroup.controllers", all);
        put(place, "cg/cgroup.subtree_control", "cpu io memory pids");
        put(place, "cg/memory.swap.max", "max");
        put(place, "proc/self/oom_score_adj", "-1000");
        put(place, "proc/swaps", "Filename Type Size Used Priority\n");
        put(place, "proc/sys/kernel/pid_max", "4194304");
        put(place, "proc/pressure/cpu", "some avg10=0.00");
        put(place, "proc/pressure/memory", "some avg10=0.00");
        snprintf(place->broker.root.mount, sizeof(place->broker.root.mount), "%s/cg", place->dir);
        snprintf(place->broker.root.path, sizeof(place->broker.root.path), "%s/cg", place->dir);
        place->broker.root.dir_fd = open(place->broker.root.path, O_PATH | O_CLOEXEC);
}

static void place_deinit(struct place *place) {
        char command[128];

        json_decref(place->report);
        fd_close(place->broker.root.dir_fd);
        launcher_free(place->broker.launcher);
        snprintf(command, sizeof(command), "rm -r '%s'", place->dir);
        expect_int(system(command), 0);
}

/* The first finding of a check, "VERDICT: text [mend]"; "" if it says nothing. */
static const char *find(struct place *place, const char *check) {
        static char line[1200];
        const json_t *finding;
        size_t i;

        json_decref(place->report);
        place->report = doctor_report(&place->broker);
        need(place->report != NULL);
        line[0] = '\0';
        json_array_foreach(json_object_get(place->report, "findings"), i, finding) {
                if (strcmp(json_string_value(json_object_get(finding, "check")), check) != 0)
                        continue;
                snprintf(line, sizeof(line), "%s: %s [%s]",
                         json_string_value(json_object_get(finding, "verdict")),
                         json_string_value(json_object_get(finding, "text")),
                         json_string_value(json_object_get(finding, "mend")));
                break;
        }
        return line;
}

/* One file made so, and what a check then says. */
static void files_decide(void) {
        static const struct {
                const char *file, *text, *check, *verdict, *says;
        } rows[] = {
                {"cg/cgroup.controllers", "cpu io", "controllers", "problem",
                 "lacks: memory pids [boot with cgroup_no_v1=all]"},
                {"cg/cgroup.subtree_control", "cpuset cpu memory", "controllers", "problem",
                 "[echo '+io +pids' > "},
                {"cg/cgroup.subtree_control", "", "controllers", "problem", "+cpu +memory +io"},
                {"proc/self/oom_score_adj", "0", "oom", "warning", "[set OOMScoreAdjust=-1000"},
                {"proc/self/oom_score_adj", NULL, "oom", "warning", "cannot be read"},
                {"proc/swaps", NULL, "swap", "ok", "off []"},
                {"proc/swaps", "Filename\n/dev/sda2 partition 1 0 -2\n", "swap", "ok", "on disk, "},
                {"proc/swaps", "Filename\n/dev/zram0 partition 1 0 -2\n", "swap", "ok", "in zram"},
                {"proc/swaps", "F\n/dev/zram0 x\n/swapfile file 1 0 -2\n", "swap", "ok",
                 "on disk and in zram"},
                {"sys/kernel/mm/ksm/run", "0", "ksm", "ok", "does not run"},
                {"sys/kernel/mm/ksm/run", "1", "ksm", "ok", "one user"},
                {"proc/pressure/memory", NULL, "psi", "warning", "absent"},
                {"proc/sys/kernel/pid_max", "1279", "pids", "warning",
                 "may need 1280 [sysctl -w kernel.pid_max=4194304]"},
                {"proc/sys/kernel/pid_max", "1280", "pids", "ok", ""},
                {"proc/sys/kernel/pid_max", NULL, "pids", "warning", "cannot be read"},
                {"proc/sys/net/bridge/bridge-nf-call-iptables", "0", "bridge-nf", "ok", ""},
                {"proc/sys/net/bridge/bridge-nf-call-iptables", "1", "bridge-nf", "warning",
                 "[sysctl -w net.bridge.bridge-nf-call-iptables=0]"},
                {"proc/sys/net/bridge/bridge-nf-call-ip6tables", "1", "bridge-nf", "warning",
                 "ip6tables"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct place place;
                const char *line;

                place_init(&place);
                expect_that(strncmp(find(&place, rows[i].check), "ok: ", 4) == 0, "before row %zu",
                            i);
                put(&place, rows[i].file, rows[i].text);
                line = find(&place, rows[i].check);
                expect_that(strncmp(line, rows[i].verdict, strlen(rows[i].verdict)) == 0,
                            "row %zu: %s", i, line);
                expect_in(line, rows[i].says);
                place_deinit(&place);
        }
}

static void pressure_that_cannot_be_read_is_not_pressure_that_is_absent(void) {
        struct place place;
        char path[128];

        place_init(&place);
        put(&place, "proc/pressure/cpu", NULL);
        snprintf(path, sizeof(path), "%s/pressure/cpu", place.proc);
        need_int(mkdir(path, 0755), 0); /* opens, and cannot be read */
        expect_in(find(&place, "psi"), "warning: present, but pressure/cpu cannot be read");
        place_deinit(&place);
}

static void swap_without_its_limit_is_a_problem(void) {
        struct place place;

        place_init(&place);
        put(&place, "cg/memory.swap.max", NULL);
        expect_in(find(&place, "swap"), "ok: off, and not accounted");
        put(&place, "proc/swaps", "Filename\n/dev/sda2 partition 1 0 -2\n");
        expect_in(find(&place, "swap"), "problem: on disk, but not accounted");
        put(&place, "cg/memory.swap.max", "max");
        place.policy.broker.swap_max_bytes = 1;
        expect_in(find(&place, "swap"), "ok: on disk, accounted; VMs get what SwapMax= says");
        put(&place, "proc/swaps", "Filename\n/dev/zram0 partition 1 0 -2\n");
        expect_in(find(&place, "swap"), "warning: in zram");
        place_deinit(&place);
}

static void merging_is_a_risk_only_between_users(void) {
        uid_t one[] = {0, 1000}, another[] = {1000, 0}, third[] = {1001};
        struct place place;

        place_init(&place);
        put(&place, "sys/kernel/mm/ksm/run", "1");
        place.policy.n_slices = 2;
        place.slices[0] = (struct slice_policy){.users = one, .n_users = 2};
        place.slices[1] = (struct slice_policy){.users = another, .n_users = 2};
        expect_in(find(&place, "ksm"), "ok: ");
        place.slices[1] = (struct slice_policy){.users = third, .n_users = 1};
        expect_in(find(&place, "ksm"), "warning: ");
        place.slices[1] = (struct slice_policy){.everybody = true};
        expect_in(find(&place, "ksm"), "[echo 2 > ");
        place.slices[1] = (struct slice_policy){.n_groups = 1};
        expect_in(find(&place, "ksm"), "warning: ");
        put(&place, "sys/kernel/mm/ksm/run", "2");
        expect_in(find(&place, "ksm"), "ok: ");
        place_deinit(&place);
}

static void policies_are_judged_too(void) {
        struct place place;
        struct broker_policy *policy = &place.policy.broker;
        char *end;

        place_init(&place);
        expect_in(find(&place, "reserve"), "warning: of CPUs and memory nothing is kept");
        policy->reserve.amount[RESOURCE_CPU] = 1;
        expect_in(find(&place, "reserve"), "[set Memory= in [Reserve] of broker.conf]");
        policy->reserve.amount[RESOURCE_MEMORY] = 1;
        expect_in(find(&place, "reserve"), "ok: ");

        expect_in(find(&place, "capacity"), "ok: ");
        place.broker.host.source[RESOURCE_DISK_IO] = SOURCE_UNKNOWN;
        expect_in(find(&place, "capacity"), "warning: of disk_io it is unknown");
        expect_in(find(&place, "capacity"), "[set DiskIO= in [Capacity] of broker.conf]");

        expect_in(find(&place, "best-effort"), "ok: ");
        policy->best_effort = true;
        expect_in(find(&place, "best-effort"), "warning: ");

        expect_in(find(&place, "disk"), "ok: ");
        end = policy->data_directory + strlen(policy->data_directory);
        strcpy(end, "/cg/memory.swap.max");
        expect_in(find(&place, "disk"), "problem: ");
        strcpy(end, "/away\xff");
        expect_in(find(&place, "disk"), "/away\\xff is missing");
        expect_in(find(&place, "disk"), "[mkdir -p ");

        policy->pids_max = POLICY_NONE;
        expect_in(find(&place, "pids"), "warning: PidsMax=infinity");
        policy->pids_max = UINT64_C(1) << 60;
        expect_in(find(&place, "pids"), "[set a lower MaxVMs= or PidsMax=");
        policy->vms_max = 100000000;
        expect_in(find(&place, "descriptors"), "[set LimitNOFILE=200000256 ");
        place_deinit(&place);
}

static void without_rtnetlink_nothing_is_said_of_links(void) {
        struct place place;

        place_init(&place);
        strcpy(place.policy.broker.network.bridge, "br0");
        strcpy(place.policy.broker.network.uplink, "eth0");
        expect_in(find(&place, "rtnetlink"), "problem: ");
        expect_str(find(&place, "bridge"), "");
        expect_str(find(&place, "uplink"), "");
        expect_str(find(&place, "fq_codel"), "");
        place_deinit(&place);
}

static void forwarding_is_asked_for_each_family_that_has_an_address(void) {
        struct place place;
        struct network_policy *policy = &place.policy.broker.network;

        place_init(&place);
        policy->addresses[0].family = AF_INET6;
        policy->n_addresses = 1;
        expect_str(find(&place, "forwarding"), "");
        policy->nat = true;
        put(&place, "proc/sys/net/ipv4/ip_forward", "0");
        put(&place, "proc/sys/net/ipv6/conf/all/forwarding", "1");
        expect_in(find(&place, "forwarding"), "ok: IPv6");
        policy->addresses[0].family = AF_INET;
        expect_in(find(&place, "forwarding"), "problem: IPv4");
        expect_in(find(&place, "forwarding"), "[sysctl -w net.ipv4.ip_forward=1]");
        place_deinit(&place);
}

UNIT_MAIN(TEST(files_decide), TEST(pressure_that_cannot_be_read_is_not_pressure_that_is_absent),
          TEST(swap_without_its_limit_is_a_problem), TEST(merging_is_a_risk_only_between_users),
          TEST(policies_are_judged_too), TEST(without_rtnetlink_nothing_is_said_of_links),
          TEST(forwarding_is_asked_for_each_family_that_has_an_address))

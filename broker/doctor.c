/* SPDX-License-Identifier: MIT */
/*
 * What of this host stands in the way of what was promised, and the line that mends it.
 *
 * One function per check, in the order of the table at the end; those of the network are in
 * broker/doctor_network. Each looks at the kernel now, and not at what was found at the start: what
 * an operator has just mended is mended in the next report. A check tells what it saw, also when
 * all is well, so that a list without a line about swap is never read as "swap is fine". What
 * cannot be found out without changing the host (opening a device may load a module) is said to be
 * unknown.
 *
 * Anybody may ask: nothing of VMs or of other users' claims is told here.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/file.h>
#include <base/units.h>
#include <broker/broker.h>
#include <broker/doctor.h>
#include <broker/doctor_gpu.h>
#include <broker/doctor_http.h>
#include <broker/doctor_network.h>
#include <broker/finding.h>
#include <broker/host.h>
#include <broker/pressure.h>
#include <broker/parent.h>
#include <broker/rights.h>
#include <broker/usage.h>

#define FDS_PER_VM 2 /* its pidfd, and the connection of whoever follows it */
#define FDS_BESIDE 256

/* [Enforce] PidsMax=auto, as provium.conf(5) tells it. */
#define PIDS_BASE 64
#define PIDS_PER_CPU 16

static const struct broker_policy *policy_of(const struct findings *findings) {
        return &findings->broker->policy->broker;
}

/* ---- the tree ---- */

/* Which of those we need are not switched on for our slices, as "+cpu +io"; "" if all are. */
static void find_switched_off(int root_fd, char *missing, size_t size) {
        static const char *const needed[] = {"cpu", "memory", "io", "pids"};
        char on[256], line[sizeof(on) + 2], word[32];

        missing[0] = '\0';
        if (file_read_at(root_fd, "cgroup.subtree_control", on, sizeof(on)))
                on[0] = '\0';
        snprintf(line, sizeof(line), " %s ", on);
        for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
                snprintf(word, sizeof(word), " %s ", needed[i]);
                if (!strstr(line, word))
                        snprintf(missing + strlen(missing), size - strlen(missing), "%s+%s",
                                 missing[0] ? " " : "", needed[i]);
        }
}

static void check_controllers(struct findings *findings) {
        const struct cgroup_root *root = &findings->broker->root;
        char missing[64], mend[FINDING_MEND_MAX + 128];
        struct why why = {};

        if (cgroup_missing_controllers(root->mount, missing, sizeof(missing), &why)) {
                finding_problem(findings, "", "%s", why.text);
                return;
        }
        if (missing[0]) {
                finding_problem(findings, "boot with cgroup_no_v1=all", "cgroup v2 at %s lacks: %s",
                                root->mount, missing);
                return;
        }
        find_switched_off(root->dir_fd, missing, sizeof(missing));
        if (!missing[0]) {
                finding_ok(findings, "cpu, memory, io and pids are on in %s", root->path);
                return;
        }
        snprintf(mend, sizeof(mend), "echo '%s' > %s/cgroup.subtree_control", missing, root->path);
        finding_problem(findings, mend, "switched off for the slices: %s", missing);
}

/* ---- what is sold ---- */

static void check_capacity(struct findings *findings) {
        static const char *const keys[_RESOURCE_N] = {
                [RESOURCE_CPU] = "CPU",         [RESOURCE_MEMORY] = "Memory",
                [RESOURCE_DISK] = "Disk",       [RESOURCE_DISK_IO] = "DiskIO",
                [RESOURCE_NETWORK] = "Network", [RESOURCE_GPU] = "GPU",
        };
        const struct host *host = &findings->broker->host;
        bool all = true;

        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                char mend[64];

                if (host->source[i] != SOURCE_UNKNOWN || !keys[i])
                        continue;
                all = false;
                snprintf(mend, sizeof(mend), "set %s= in [Capacity] of broker.conf", keys[i]);
                finding_warning(findings, mend,
                                "of %s it is unknown (%s): counted, but nothing is refused",
                                resource_name(i), host->detail[i]);
        }
        if (all)
                finding_ok(findings, "known for every resource");
}

/* A cpuset above, or a CPU that goes offline, takes CPUs away without a word. */
static void check_cpus(struct findings *findings) {
        const struct broker *broker = findings->broker;
        uint64_t sold_milli = broker->host.capacity.amount[RESOURCE_CPU];
        uint64_t n = host_count_cpus(&broker->root);
        char sold[UNITS_TEXT_MAX];

        if (n == 0 || sold_milli <= n * 1000) {
                finding_ok(findings, "VMs may run on %" PRIu64, n);
                return;
        }
        finding_warning(findings,
                        broker->host.source[RESOURCE_CPU] == SOURCE_DETECTED
                                ? "reload the broker, for what is left; or look for cpuset.cpus"
                                : "set CPU= in [Capacity] of broker.conf to that or less",
                        "%s are counted on, but VMs may run on %" PRIu64,
                        resource_format(RESOURCE_CPU, sold_milli, sold, sizeof(sold)), n);
}

static void check_reserve(struct findings *findings) {
        const struct demand *reserve = &policy_of(findings)->reserve;
        bool cpu = reserve->amount[RESOURCE_CPU] > 0, memory = reserve->amount[RESOURCE_MEMORY] > 0;

        if (cpu && memory)
                finding_ok(findings, "of CPUs and memory something is kept for the host itself");
        else
                finding_warning(findings,
                                cpu      ? "set Memory= in [Reserve] of broker.conf"
                                : memory ? "set CPU= in [Reserve] of broker.conf"
                                         : "set CPU= and Memory= in [Reserve] of broker.conf",
                                "of %s nothing is kept for the host itself",
                                cpu      ? "memory"
                                : memory ? "CPUs"
                                         : "CPUs and memory");
}

static void check_disk(struct findings *findings) {
        const char *path = policy_of(findings)->data_directory;
        char mend[FINDING_MEND_MAX], place[HOST_PATH_MAX];
        struct statx found;

        if (statx(AT_FDCWD, host_path(launcher_dev(findings->broker->launcher), path, place),
                  AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_TYPE, &found) == 0) {
                if (S_ISDIR(found.stx_mode))
                        finding_ok(findings, "the data directory is %s", path);
                else
                        finding_problem(findings, "set DataDirectory= in [Broker] of broker.conf",
                                        "the data directory %s is no directory", path);
                return;
        }
        if (errno != ENOENT) {
                finding_problem(findings, "set DataDirectory= in [Broker] of broker.conf",
                                "the data directory %s: %s", path, strerrordesc_np(errno));
                return;
        }
        snprintf(mend, sizeof(mend), "mkdir -p %s && provium policy reload", path);
        finding_warning(findings, mend,
                        "the data directory %s is missing: the file system above it is counted",
                        path);
}

static void check_best_effort(struct findings *findings) {
        if (policy_of(findings)->best_effort)
                finding_warning(findings, "set BestEffort=no in [Broker] of broker.conf",
                                "on: a VM starts even if a limit cannot be set");
        else
                finding_ok(findings, "off: no VM starts without its limits");
}

/* ---- memory ---- */

static void check_oom(struct findings *findings) {
        char text[32];
        int r;

        r = finding_read(findings->broker->options->proc_dir, "self/oom_score_adj", text,
                         sizeof(text));
        if (r)
                finding_warning(findings, "", "oom_score_adj cannot be read: %s",
                                strerrordesc_np(r));
        else if (strcmp(text, "-1000") == 0)
                finding_ok(findings, "the OOM killer spares the broker");
        else
                finding_warning(findings,
                                "set OOMScoreAdjust=-1000 in the unit provium-broker.service",
                                "oom_score_adj is %s: the OOM killer may choose the broker", text);
}

struct swaps {
        bool any, zram, disk;
};

static void look_for_swap(const struct options *options, struct swaps *swaps) {
        char text[8192], *line;
        int r;

        r = finding_read(options->proc_dir, "swaps", text, sizeof(text));
        *swaps = (struct swaps){.any = r == EFBIG, .disk = r == EFBIG};
        if (r)
                return;            /* without the file this kernel has no swap */
        line = strchr(text, '\n'); /* behind the titles */
        while (line && line[1]) {
                bool zram = strncmp(line + 1, "/dev/zram", strlen("/dev/zram")) == 0;

                swaps->any = true;
                swaps->zram |= zram;
                swaps->disk |= !zram;
                line = strchr(line + 1, '\n');
        }
}

static void check_swap(struct findings *findings) {
        const struct broker *broker = findings->broker;
        bool counted = faccessat(broker->root.dir_fd, "memory.swap.max", F_OK, 0) == 0;
        bool none = policy_of(findings)->swap_max_bytes == 0;
        struct swaps swaps;
        const char *where;

        look_for_swap(broker->options, &swaps);
        where = !swaps.zram ? "on disk" : swaps.disk ? "on disk and in zram" : "in zram";
        if (!swaps.any)
                finding_ok(findings, "off%s", counted ? "" : ", and not accounted");
        else if (!counted)
                finding_problem(findings, "swapoff -a; or boot with swapaccount=1",
                                "%s, but not accounted (no memory.swap.max): a VM may use more "
                                "than its memory",
                                where);
        else if (none)
                finding_ok(findings, "%s, accounted; VMs get none (SwapMax=0)", where);
        else if (swaps.zram)
                finding_warning(findings, "set SwapMax=0 in [Enforce] of broker.conf",
                                "%s, accounted; what VMs have in zram still takes memory of the "
                                "host, outside of what was sold",
                                where);
        else
                finding_ok(findings, "%s, accounted; VMs get what SwapMax= says", where);
}

/* Do the slices let more than one user start VMs? A group or everybody counts as several; root, who
 * sees all memory anyway, as none. */
static bool has_several_users(const struct policy *policy) {
        uid_t first = 0;

        for (size_t i = 0; i < policy->n_slices; i++) {
                const struct slice_policy *slice = &policy->slices[i];

                if (slice->everybody || slice->n_groups > 0)
                        return true;
                for (size_t j = 0; j < slice->n_users; j++) {
                        if (slice->users[j] == 0)
                                continue;
                        if (first != 0 && slice->users[j] != first)
                                return true;
                        first = slice->users[j];
                }
        }
        return false;
}

static void check_ksm(struct findings *findings) {
        const struct broker *broker = findings->broker;
        uint64_t run = 0;
        int r;

        r = finding_read_number(broker->options->sys_dir, "kernel/mm/ksm/run", &run);
        if (r)
                finding_ok(findings, "this kernel has none: equal pages are not merged");
        else if (run != 1)
                finding_ok(findings, "does not run: no pages are merged anew");
        else if (!has_several_users(broker->policy))
                finding_ok(findings, "runs; the slices belong to one user");
        else
                /* 2: what was merged is copied apart again, as far as memory goes. */
                finding_warning(findings,
                                broker->ksm.tuned
                                        ? "set KSM=no in [Broker] of broker.conf, and after a "
                                          "reload: echo 2 > /sys/kernel/mm/ksm/run"
                                        : "echo 2 > /sys/kernel/mm/ksm/run",
                                "runs while different users share this host: by how long a write "
                                "to a page takes, one VM can tell what another has in memory");
}

/* What holds back starts besides the books. */
static void check_psi(struct findings *findings) {
        static const char *const files[] = {"pressure/cpu", "pressure/memory"};
        const struct broker *broker = findings->broker;
        char text[512];

        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                int r = finding_read(broker->options->proc_dir, files[i], text, sizeof(text));

                if (r == 0)
                        continue;
                if (r == ENOENT)
                        finding_warning(findings, "boot with psi=1 (the kernel needs CONFIG_PSI=y)",
                                        "absent: how short CPUs and memory are is unknown, and "
                                        "holds no VM back");
                else
                        finding_warning(findings, "boot with psi=1",
                                        "present, but %s cannot be read (%s): pressure is unknown, "
                                        "and holds no VM back",
                                        files[i], strerrordesc_np(r));
                return;
        }
        if (broker->gates.state != PRESSURE_OPEN)
                finding_warning(findings, "", "high: VMs are not started, or one by one");
        else if (broker->pressures && broker->pressures->in_use)
                finding_ok(findings, "pressure of CPUs and memory can be read; VMs wait while it "
                                     "is high");
        else
                finding_ok(findings, "pressure of CPUs and memory can be read; it holds no VM back "
                                     "(PSI= in [Gates])");
}

static void check_drain(struct findings *findings) {
        if (findings->broker->gates.draining)
                finding_warning(findings, "provium drain --undo",
                                "this host is being drained: no VM is started");
        else
                finding_ok(findings, "off: VMs are started");
}

/* ---- devices and numbers ---- */

static void check_kvm(struct findings *findings) {
        if (finding_device(findings, "kvm"))
                finding_ok(findings, "/dev/kvm is there");
        else
                finding_warning(findings,
                                "modprobe kvm_intel (or kvm_amd), with virtualisation switched on "
                                "in the firmware",
                                "there is no /dev/kvm: VMs are emulated, and slow");
}

static void check_descriptors(struct findings *findings) {
        uint64_t vms = policy_of(findings)->vms_max, need = vms * FDS_PER_VM + FDS_BESIDE;
        struct rlimit limit;
        char mend[128];

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < need) {
                snprintf(mend, sizeof(mend),
                         "set LimitNOFILE=%" PRIu64 " in the unit provium-broker.service",
                         need);
                finding_warning(findings, mend,
                                "the broker may have %ju; MaxVMs=%" PRIu64 " VMs, each with its "
                                "client, need %" PRIu64,
                                (uintmax_t)limit.rlim_cur, vms, need);
                return;
        }
        finding_ok(findings, "enough for MaxVMs=%" PRIu64 " VMs with their clients", vms);
}

static void check_pids(struct findings *findings) {
        const struct broker_policy *policy = policy_of(findings);
        uint64_t each = policy->pids_max, pid_max, need;
        char mend[96];

        if (each == POLICY_NONE) {
                finding_warning(findings, "set PidsMax=auto in [Enforce] of broker.conf",
                                "PidsMax=infinity: one VM may use up those of the whole host");
                return;
        }
        if (each == POLICY_AUTO)
                each = PIDS_BASE +
                       PIDS_PER_CPU * ((policy->claim.amount[RESOURCE_CPU] + 999) / 1000);
        if (__builtin_mul_overflow(each, policy->vms_max, &need))
                need = UINT64_MAX;
        if (finding_read_number(findings->broker->options->proc_dir, "sys/kernel/pid_max",
                                &pid_max)) {
                finding_warning(findings, "", "kernel.pid_max cannot be read");
        } else if (pid_max < need) {
                /* 4194304 is the most that a 64-bit kernel takes. */
                snprintf(mend, sizeof(mend), "%s",
                         need < 4194304 ? "sysctl -w kernel.pid_max=4194304"
                                        : "set a lower MaxVMs= or PidsMax= in broker.conf");
                finding_warning(findings, mend,
                                "kernel.pid_max is %" PRIu64 "; MaxVMs=%" PRIu64
                                " VMs of up to %" PRIu64 " processes may need %" PRIu64,
                                pid_max, policy->vms_max, each, need);
        } else {
                finding_ok(findings, "kernel.pid_max is enough for MaxVMs=%" PRIu64 " VMs",
                           policy->vms_max);
        }
}

static const struct {
        const char *name;
        void (*fn)(struct findings *findings);
} checks[] = {
        {"controllers", check_controllers},
        {"capacity", check_capacity},
        {"reserve", check_reserve},
        {"disk", check_disk},
        {"best-effort", check_best_effort},
        {"oom", check_oom},
        {"launcher", parent_check},
        {"cpus", check_cpus},
        {"swap", check_swap},
        {"ksm", check_ksm},
        {"psi", check_psi},
        {"drain", check_drain},
        {"kvm", check_kvm},
        {"descriptors", check_descriptors},
        {"pids", check_pids},
        {"usage", usage_check},
        {"capabilities", rights_check},
        {"gpu", doctor_check_gpus},
        {"http", doctor_check_http},
        {"rtnetlink", doctor_check_rtnetlink},
        {"fq_codel", doctor_check_fq_codel},
        {"bridge", doctor_check_bridge},
        {"bridge", doctor_check_slice_bridges},
        {"uplink", doctor_check_uplink},
        {"forwarding", doctor_check_forwarding},
        {"tun", doctor_check_tun},
        {"vhost-net", doctor_check_vhost_net},
        {"bridge-nf", doctor_check_bridge_nf},
};

json_t *doctor_report(struct broker *broker) {
        struct findings findings = {.broker = broker, .list = json_array()};

        for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
                findings.check = checks[i].name;
                checks[i].fn(&findings);
        }
        return json_pack("{s:o}", "findings", findings.list);
}

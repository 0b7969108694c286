/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include <base/fd.h>
#include <base/file.h>
#include <base/why.h>
#include <broker/gpu.h>
#include <broker/host.h>
#include <broker/options.h>
#include <cgroup/root.h>
#include <policies/policy.h>
#include <policies/pool.h>
#include <tc/uplink.h>

#define DISK_IO_BYTES_PER_S UINT64_C(1000000000) /* of one disk, until somebody measures it */

static const char *const source_names[] = {
        [SOURCE_DETECTED] = "detected",
        [SOURCE_CONFIGURED] = "configured",
        [SOURCE_UNKNOWN] = "unknown",
};

const char *capacity_source_name(enum capacity_source source) {
        assert(source < ARRAY_SIZE(source_names));
        return source_names[source];
}

static void set(struct host *host, enum resource resource, uint64_t amount, const char *detail) {
        host->capacity.amount[resource] = amount;
        host->source[resource] = SOURCE_DETECTED;
        snprintf(host->detail[resource], sizeof(host->detail[resource]), "%.95s", detail);
}

static void set_unknown(struct host *host, enum resource resource, const char *detail) {
        set(host, resource, 0, detail);
        host->source[resource] = SOURCE_UNKNOWN;
}

/* Leaves in @set what is in a list of the kernel's, as "0-3,6". One that is none leaves it alone.
 */
static void cut_down(cpu_set_t *set_, const char *list) {
        const char *at = list;
        cpu_set_t named;

        CPU_ZERO(&named);
        while (*at >= '0' && *at <= '9') {
                unsigned long first, last;
                char *end;

                first = last = strtoul(at, &end, 10);
                if (*end == '-')
                        last = strtoul(end + 1, &end, 10);
                for (unsigned long cpu = first; cpu <= last && cpu < CPU_SETSIZE; cpu++)
                        CPU_SET(cpu, &named);
                at = *end == ',' ? end + 1 : end;
        }
        if (CPU_COUNT(&named) > 0)
                CPU_AND(set_, set_, &named);
}

/* The nearest cpuset at or above the groups of VMs, which need not be above us. */
static void cut_by_cpuset(cpu_set_t *set_, const struct cgroup_root *root) {
        char path[600], dir[512], list[4096];
        char *slash;

        strcpy(dir, root->path);
        for (;;) {
                snprintf(path, sizeof(path), "%s/cpuset.cpus.effective", dir);
                if (file_read_at(AT_FDCWD, path, list, sizeof(list)) == 0) {
                        cut_down(set_, list);
                        return;
                }
                slash = strrchr(dir, '/');
                if (strlen(dir) <= strlen(root->mount) || !slash)
                        return;
                *slash = '\0';
        }
}

uint64_t host_count_cpus(const struct cgroup_root *root) {
        cpu_set_t set_;

        CPU_ZERO(&set_);
        if (sched_getaffinity(0, sizeof(set_), &set_) < 0)
                return 0;
        cut_by_cpuset(&set_, root);
        return (uint64_t)CPU_COUNT(&set_);
}

static void discover_cpu(struct host *host, const struct cgroup_root *root) {
        uint64_t n = host_count_cpus(root);
        char detail[64];

        if (n == 0) {
                set_unknown(host, RESOURCE_CPU, "sched_getaffinity failed");
                return;
        }
        snprintf(detail, sizeof(detail), "%" PRIu64 " online CPUs in our cpuset", n);
        set(host, RESOURCE_CPU, n * 1000, detail);
}

/* The lowest memory.max from our directory up to the mount; UINT64_MAX if there is none. */
static uint64_t ancestors_limit(const struct cgroup_root *root) {
        char path[600], dir[512];
        uint64_t lowest = UINT64_MAX, value;
        char *slash;

        strcpy(dir, root->path);
        for (;;) {
                snprintf(path, sizeof(path), "%s/memory.max", dir);
                /* The hierarchy's top has no such file. */
                if (file_read_u64_at(AT_FDCWD, path, &value) == 0)
                        lowest = min_u64(lowest, value);
                slash = strrchr(dir, '/');
                if (strlen(dir) <= strlen(root->mount) || !slash)
                        return lowest;
                *slash = '\0';
        }
}

static void discover_memory(struct host *host, const struct options *options,
                            const struct cgroup_root *root) {
        char path[256], text[8192];
        const char *line;
        uint64_t limit, kib = 0;

        snprintf(path, sizeof(path), "%s/meminfo", options->proc_dir);
        if (file_read_at(AT_FDCWD, path, text, sizeof(text)) == 0 &&
            (line = strstr(text, "MemTotal:")))
                kib = strtoull(line + strlen("MemTotal:"), NULL, 10);
        if (kib == 0) {
                set_unknown(host, RESOURCE_MEMORY, "no MemTotal in meminfo");
                return;
        }
        limit = ancestors_limit(root);
        if (limit < kib * 1024)
                set(host, RESOURCE_MEMORY, limit, "memory.max above our slices");
        else
                set(host, RESOURCE_MEMORY, kib * 1024, "MemTotal");
}

const char *host_path(const char *dev_dir, const char *name, char path[HOST_PATH_MAX]) {
        int n = snprintf(path, HOST_PATH_MAX, "%s/..%s", dev_dir, name);

        if (n < 0 || n >= HOST_PATH_MAX)
                path[0] = '\0';
        return path;
}

/* The file system of the data directory, or of the nearest parent that is there. */
static void discover_disk(struct host *host, const char *dev_dir,
                          const struct broker_policy *policy) {
        char path[sizeof(policy->data_directory)], place[HOST_PATH_MAX], detail[96];
        struct statvfs fs;
        char *slash;

        strcpy(path, policy->data_directory);
        while (statvfs(host_path(dev_dir, path, place), &fs) < 0) {
                slash = strrchr(path, '/');
                if (!slash || errno != ENOENT) {
                        set_unknown(host, RESOURCE_DISK, "statvfs of the data directory failed");
                        return;
                }
                slash[slash == path ? 1 : 0] = '\0';
        }
        snprintf(detail, sizeof(detail), "file system of %.70s", path);
        set(host, RESOURCE_DISK, (uint64_t)fs.f_blocks * fs.f_frsize, detail);
}

/* The uplink is @uplink, or if that is "" the device of the default route. The one that Uplink=
 * names is a port of our bridge, which then has the route, and no speed. */
static void discover_network(struct host *host, const struct options *options, const char *uplink) {
        char name[IF_NAMESIZE] = "", detail[96];
        struct why why = {};
        uint64_t speed;

        snprintf(name, sizeof(name), "%s", uplink);
        if (!name[0] && uplink_find(name, &why)) {
                set_unknown(host, RESOURCE_NETWORK, why.text[0] ? why.text : "no default route");
        } else if (!uplink_speed(options->sys_dir, name, &speed)) {
                snprintf(detail, sizeof(detail), "%s does not tell its speed", name);
                set_unknown(host, RESOURCE_NETWORK, detail);
        } else {
                set(host, RESOURCE_NETWORK, speed, name);
        }
}

/* Each direction of a full-duplex link has all of its speed, however that is known. */
static void discover_upload(struct host *host, bool full_duplex) {
        if (full_duplex) {
                set(host, RESOURCE_NETWORK_UPLOAD, host->capacity.amount[RESOURCE_NETWORK],
                    host->detail[RESOURCE_NETWORK]);
                host->source[RESOURCE_NETWORK_UPLOAD] = host->source[RESOURCE_NETWORK];
        } else {
                set(host, RESOURCE_NETWORK_UPLOAD, 0, "part of network");
        }
}

static void discover_disk_io(struct host *host) {
        /* Nothing was measured: an assumption that the ledger keeps to, and says so. */
        set(host, RESOURCE_DISK_IO, DISK_IO_BYTES_PER_S, "assumed 1 GB/s per disk");
        host->source[RESOURCE_DISK_IO] = SOURCE_CONFIGURED;
}

static bool is_pooled(enum resource resource) {
        return resource == RESOURCE_CPU || resource == RESOURCE_MEMORY;
}

static void set_pool(struct host *host, const struct broker_policy *policy) {
        struct demand pool = host->capacity;
        char detail[96];

        pool_apply_capacity(policy, &pool);
        switch (policy->pool.mode) {
        case POOL_FIXED:
                set(host, RESOURCE_CPU, pool.amount[RESOURCE_CPU], "a fixed pool");
                set(host, RESOURCE_MEMORY, pool.amount[RESOURCE_MEMORY], "a fixed pool");
                host->source[RESOURCE_CPU] = host->source[RESOURCE_MEMORY] = SOURCE_CONFIGURED;
                break;
        case POOL_AUTO:
                if (host->source[RESOURCE_MEMORY] == SOURCE_UNKNOWN)
                        break;
                snprintf(detail, sizeof(detail), "80 %% of %.80s", host->detail[RESOURCE_MEMORY]);
                set(host, RESOURCE_MEMORY, pool.amount[RESOURCE_MEMORY], detail);
                break;
        case POOL_OVERSUBSCRIBED:
        case _POOL_MODE_N:
                break;
        }
}

uint64_t host_cpus_at_a_time(const struct host *host, const struct broker_policy *policy) {
        bool known = host->source[RESOURCE_CPU] != SOURCE_UNKNOWN;

        return pool_cpus_at_a_time(policy, known ? host->capacity.amount[RESOURCE_CPU] : 0);
}

void host_discover(struct host *host, const struct options *options, const char *dev_dir,
                   const struct broker_policy *policy, const struct cgroup_root *root) {
        *host = (struct host){};
        discover_cpu(host, root);
        discover_memory(host, options, root);
        discover_disk(host, dev_dir, policy);
        discover_network(host, options, policy->network.uplink);
        discover_disk_io(host);
        set(host, RESOURCE_GPU, 0, "not looked for");

        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                if (policy->capacity.amount[i] == POLICY_AUTO ||
                    (is_pooled(i) && policy->pool.mode != POOL_OVERSUBSCRIBED))
                        continue;
                host->capacity.amount[i] = policy->capacity.amount[i];
                host->source[i] = SOURCE_CONFIGURED;
                snprintf(host->detail[i], sizeof(host->detail[i]), "broker.conf");
        }
        set_pool(host, policy);
        discover_upload(host, policy->network.full_duplex);
}

void host_count_gpus(struct host *host, const struct broker_policy *policy,
                     const struct gpus *gpus) {
        uint64_t configured = policy->capacity.amount[RESOURCE_GPU], n = gpus_capacity(gpus);
        char detail[96];

        if (configured == POLICY_AUTO || (gpus_total(gpus) > 0 && configured > n))
                set(host, RESOURCE_GPU, n, gpus_summary(gpus, detail, sizeof(detail)));
}

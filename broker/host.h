/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_HOST_H
#define PROVIUM_BROKER_HOST_H

/*
 * What this host has, and how we know: discovered here, unless the operator said it.
 */

#include <base/demand.h>

struct broker_policy;
struct cgroup_root;
struct gpus;
struct options;

enum capacity_source { SOURCE_DETECTED, SOURCE_CONFIGURED, SOURCE_UNKNOWN };

struct host {
        struct demand capacity;
        enum capacity_source source[_RESOURCE_N];
        char detail[_RESOURCE_N][96]; /* where the number comes from: "4 online CPUs", "eth0" */
};

/* "detected", "configured", "unknown". */
const char *capacity_source_name(enum capacity_source source);

#define HOST_PATH_MAX 384

/*
 * The name under which the file @name (from "/" on) of the host is to be opened: our own mounts may
 * hide it. It lies where the host's /dev does, which is @dev_dir. Returns @path; "" if it is too
 * long.
 */
const char *host_path(const char *dev_dir, const char *name, char path[HOST_PATH_MAX]);

/*
 * Fills @host for the capacities @policy leaves to discovery. What cannot be found out is UNKNOWN
 * with capacity 0, with the reason as its detail; it is then counted but not enforced. @dev_dir:
 * see host_path().
 */
void host_discover(struct host *host, const struct options *options, const char *dev_dir,
                   const struct broker_policy *policy, const struct cgroup_root *root);

/* On how many CPUs VMs may run now: those online, cut down by affinity and by cpusets above us and
 * above the groups of VMs. 0: that cannot be found out. */
uint64_t host_count_cpus(const struct cgroup_root *root);

/* How many CPUs may run at a time, in thousandths, or UINT64_MAX. */
uint64_t host_cpus_at_a_time(const struct host *host, const struct broker_policy *policy);

/* The same for GPU slots: those of @gpus, which host_discover() knows nothing of. After it. */
void host_count_gpus(struct host *host, const struct broker_policy *policy,
                     const struct gpus *gpus);

#endif

/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <base/file.h>
#include <broker/broker.h>
#include <broker/filters.h>
#include <broker/gpu.h>
#include <broker/gpu_lease.h>
#include <broker/lease.h>
#include <broker/sandbox.h>
#include <broker/slice.h>
#include <cgroup/device_rule.h>
#include <launcher/child_learn.h>
#include <launcher/launcher_errands.h>

#define CWD_MAX 4096
#define SECCOMP_NONE "none"

static const struct sandbox_policy *policy_of(const struct lease *lease) {
        return lease->slice->policy ? &lease->slice->policy->sandbox : NULL;
}

static bool has_list(const struct sandbox_policy *policy) {
        return policy && *policy->seccomp && strcmp(policy->seccomp, SECCOMP_NONE) != 0;
}

/* While it learns no list is in force. */
static int check_learning(const struct lease *lease, const struct sandbox_policy *policy,
                          struct why *why) {
        if (!lease->record.learns || lease->record.uid == 0 || !has_list(policy) ||
            policy->seccomp_learn)
                return 0;
        return why_set(why, SANDBOX_E_REFUSED,
                       "slice '%s' does not let its users learn a list of system calls, for none "
                       "is in force then; ask as root, or see SeccompLearn= in its [Sandbox]",
                       lease->slice->name);
}

int sandbox_check(const struct lease *lease, struct why *why) {
        const struct sandbox_policy *policy = policy_of(lease);
        bool root =
                policy && ((policy->user.kind == POLICY_USER_CALLER && lease->record.uid == 0) ||
                           (policy->user.kind == POLICY_USER_NAMED && policy->user.uid == 0));

        if (root && !policy->allow_root)
                return why_set(why, SANDBOX_E_REFUSED,
                               "it would run as root, which slice '%s' does not let VMs do; ask as "
                               "another user, or see User= and AllowRoot= in its [Sandbox]",
                               lease->slice->name);
        return check_learning(lease, policy, why);
}

/* ---- as whom ---- */

static bool is_used(const struct broker *broker, uid_t uid) {
        const struct lease *lease;

        TAILQ_FOREACH(lease, &broker->leases, link)
                if (lease->record.run_uid == uid)
                        return true;
        return false;
}

/* From a random place on: a number that has just come back is not the next one's. */
static int take_dynamic(struct lease *lease, struct why *why) {
        const struct broker_policy *policy = &lease->broker->policy->broker;
        uint32_t n = policy->dynamic_last - policy->dynamic_first + 1;
        uint32_t at = randombytes_uniform(n);

        for (uint32_t i = 0; i < n; i++, at = at + 1 == n ? 0 : at + 1) {
                uid_t uid = policy->dynamic_first + at;

                if (is_used(lease->broker, uid))
                        continue;
                lease->record.run_uid = uid;
                lease->record.run_gid = uid;
                return 0;
        }
        return why_set(why, SANDBOX_E_REFUSED, "all %u users of DynamicUsers= are in use", n);
}

/* Its only group beside its own: with it, it may use /dev/kvm. */
static void take_kvm_group(struct lease *lease) {
        struct stat st;
        char path[64];

        snprintf(path, sizeof(path), "%s/kvm", launcher_dev(lease->broker->launcher));
        lease->has_run_group = stat(path, &st) == 0 && st.st_gid != 0;
        lease->run_group = lease->has_run_group ? st.st_gid : 0;
}

bool sandbox_runs_as_caller(const struct lease *lease) {
        const struct sandbox_policy *policy = policy_of(lease);

        return !policy || policy->user.kind == POLICY_USER_CALLER;
}

static int choose_user(struct lease *lease, const struct sandbox_policy *policy, struct why *why) {
        int r;

        lease->record.run_uid = lease->record.uid;
        lease->record.run_gid = lease->record.gid;
        if (sandbox_runs_as_caller(lease))
                return 0;
        if (policy->user.kind == POLICY_USER_DYNAMIC) {
                r = take_dynamic(lease, why);
                if (r)
                        return r;
        } else {
                lease->record.run_uid = policy->user.uid;
                lease->record.run_gid = policy->user.gid;
        }
        take_kvm_group(lease);
        return 0;
}

/* ---- behind which walls ---- */

static bool has_node(const struct child_walls *walls, const char *path) {
        for (size_t i = 0; i < walls->n_nodes; i++)
                if (strcmp(walls->nodes[i].path, path) == 0)
                        return true;
        return false;
}

static void add_node(struct child_walls *walls, const char *path, const struct stat *st) {
        struct child_node *node;

        if (walls->n_nodes == CHILD_NODES_MAX || has_node(walls, path))
                return;
        node = &walls->nodes[walls->n_nodes++];
        snprintf(node->path, sizeof(node->path), "%s", path);
        node->mode = st->st_mode;
        node->dev = st->st_rdev;
        node->uid = st->st_uid;
        node->gid = st->st_gid;
}

/* The device as the host has it, behind the directories it lies in. */
static void add_device(struct child_walls *walls, const char *dev_dir, char *name) {
        char path[CHILD_NODE_PATH_MAX + 64], *slash;
        struct stat st;

        snprintf(path, sizeof(path), "%s/%s", dev_dir, name);
        if (lstat(path, &st) < 0 || !(S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
                return;
        for (slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
                struct stat directory = {.st_mode = S_IFDIR | 0755};

                *slash = '\0';
                add_node(walls, name, &directory);
                *slash = '/';
        }
        add_node(walls, name, &st);
}

static void add_devices(struct child_walls *walls, const char *dev_dir, const char *list) {
        char name[CHILD_NODE_PATH_MAX];

        while (*(list += strspn(list, " "))) {
                size_t length = strcspn(list, " ");

                snprintf(name, sizeof(name), "%.*s", (int)length, list);
                add_device(walls, dev_dir, name);
                list += length;
        }
}

static uint64_t namespaces(const struct lease *lease, const struct sandbox_policy *policy) {
        uint64_t flags = 0;

        if (policy->private_tmp || policy->private_devices || policy->read_only_root ||
            policy->private_pids)
                flags |= CLONE_NEWNS;
        if (policy->private_pids)
                flags |= CLONE_NEWPID;
        if (policy->private_ipc)
                flags |= CLONE_NEWIPC;
        if (policy->private_hostname)
                flags |= CLONE_NEWUTS;
        if (policy->private_cgroups)
                flags |= CLONE_NEWCGROUP;
        if (policy->private_network == PRIVATE_NETWORK_YES ||
            (policy->private_network == PRIVATE_NETWORK_AUTO && lease->taps))
                flags |= CLONE_NEWNET;
        return flags;
}

/* By its name, for a descriptor would lead out of the VM's mounts. */
static int name_directory(struct lease *lease, struct why *why) {
        char link[40], path[CWD_MAX];
        ssize_t n;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", lease->fds.fd[REQUEST_FD_CWD]);
        n = readlink(link, path, sizeof(path) - 1);
        if (n <= 0 || path[0] != '/')
                return why_set(why, SANDBOX_E_REFUSED, "the working directory has no name");
        path[n] = '\0';
        lease->cwd = strdup(path);
        if (!lease->cwd)
                return fault(-ENOMEM);
        lease->walls->cwd = lease->cwd;
        return 0;
}

/* Its disks that are block devices: by their path it opens them anew. */
static size_t add_disk_rules(const struct lease *lease, struct device_rule *rules) {
        size_t n = 0;

        for (size_t i = 0; i < lease->fds.n_disks; i++) {
                struct statx st;

                if (statx(lease->fds.disk[i], "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE,
                          &st) == 0 &&
                    S_ISBLK(st.stx_mode))
                        rules[n++] = (struct device_rule){'b', st.stx_rdev_major, st.stx_rdev_minor,
                                                          DEVICE_READ | DEVICE_WRITE};
        }
        return n;
}

/* A file below /dev/vfio, which the child makes: its user's own, for the host's is root's. */
static size_t add_gpu_file(struct lease *lease, const char *name, dev_t dev,
                           struct device_rule *rule) {
        const struct stat st = {.st_mode = S_IFCHR | 0600,
                                .st_rdev = dev,
                                .st_uid = lease->record.run_uid,
                                .st_gid = lease->record.run_gid};

        add_node(lease->walls, name, &st);
        *rule = (struct device_rule){'c', major(dev), minor(dev), DEVICE_ALL};
        return 1;
}

/* The groups of its GPUs, and no others. */
static size_t add_gpu_rules(struct lease *lease, struct device_rule *rules) {
        const struct stat directory = {.st_mode = S_IFDIR | 0755};
        const struct gpu_slot *slot = NULL;
        size_t n = 0;

        if (lease->record.n_gpus == 0)
                return 0;
        add_node(lease->walls, "vfio", &directory);
        n += add_gpu_file(lease, GPU_CONTAINER, makedev(GPU_CONTAINER_MAJOR, GPU_CONTAINER_MINOR),
                          &rules[n]);
        while ((slot = gpu_next(lease->broker->gpus, lease->record.id, slot))) {
                char name[CHILD_NODE_PATH_MAX];

                snprintf(name, sizeof(name), "vfio/%d", slot->group);
                n += add_gpu_file(lease, name, slot->dev, &rules[n]);
        }
        return n;
}

_Static_assert(REQUEST_DISKS_MAX + 1 + RECORD_GPUS_MAX <= FILTERS_EXTRA_MAX, "all disks and GPUs");

int sandbox_fence(struct lease *lease, struct why *why) {
        const struct sandbox_policy *policy = policy_of(lease);
        struct device_rule rules[FILTERS_EXTRA_MAX];
        size_t n;
        int r;

        if (!policy || !policy->private_devices)
                return 0;
        n = add_disk_rules(lease, rules);
        n += add_gpu_rules(lease, rules + n);
        r = filters_confine(lease->filters, launcher_dev(lease->broker->launcher), lease->dir_fd,
                            policy->devices, rules, n, why);
        if (r <= 0 || !lease->broker->policy->broker.best_effort)
                return r;
        snprintf(lease->detail, sizeof(lease->detail), "devices: not enforced: %.400s", why->text);
        return 0;
}

static int make_learn(struct lease *lease) {
        if (!lease->record.learns)
                return 0;
        lease->learn = calloc(1, sizeof(*lease->learn));
        if (!lease->learn)
                return fault(-ENOMEM);
        child_learn_init(lease->learn, lease->fds.learn);
        return 0;
}

int sandbox_make(struct lease *lease, struct why *why) {
        const struct sandbox_policy *policy = policy_of(lease);
        struct child_walls *walls;
        int r;

        r = choose_user(lease, policy, why);
        if (r == 0)
                r = make_learn(lease);
        if (r || !policy)
                return r;
        walls = calloc(1, sizeof(*walls));
        if (!walls)
                return fault(-ENOMEM);
        lease->walls = walls;
        walls->namespaces = namespaces(lease, policy);
        walls->read_only = policy->read_only_root;
        walls->own_proc = policy->private_pids;
        walls->own_dev = policy->private_devices;
        walls->own_tmp = policy->private_tmp;
        walls->drop_capabilities = policy->drop_capabilities;
        walls->batch = policy->batch;
        walls->core_dumps = policy->core_dumps;
        if (walls->own_dev)
                add_devices(walls, launcher_dev(lease->broker->launcher), policy->devices);
        lease->filters = filters_ref(lease->broker->filters);
        return walls->namespaces & CLONE_NEWNS ? name_directory(lease, why) : 0;
}

const struct sock_fprog *sandbox_filter(const struct lease *lease) {
        const struct sandbox_policy *policy = policy_of(lease);

        if (!lease->filters || !has_list(policy) || lease->record.learns)
                return NULL;
        return filters_seccomp(lease->filters, policy->seccomp);
}

/* ---- afterwards ---- */

/* The number behind "KEY:" in /proc/PID/status, the last of several. */
static bool status_number(const char *status, const char *key, int base, uint64_t *valuep) {
        const char *line = strstr(status, key), *end, *at;

        if (!line)
                return false;
        line += strlen(key);
        end = strchrnul(line, '\n');
        for (at = end; at > line && at[-1] != '\t' && at[-1] != ' '; at--)
                ;
        *valuep = strtoull(at, NULL, base);
        return at < end;
}

/* Of its main process, as the kernel tells it now. */
static bool read_status(int pid, char *status, size_t size) {
        char path[40];

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        return pid > 0 && file_read_at(AT_FDCWD, path, status, size) == 0;
}

static void report_namespaces(const struct lease *lease, int pid, json_t *limits) {
        static const struct {
                uint64_t flag;
                const char *name;
        } kinds[] = {{CLONE_NEWNS, "mnt"},  {CLONE_NEWPID, "pid"},       {CLONE_NEWIPC, "ipc"},
                     {CLONE_NEWUTS, "uts"}, {CLONE_NEWCGROUP, "cgroup"}, {CLONE_NEWNET, "net"}};
        char text[64] = "";
        uint64_t flags = 0;
        bool seen = launcher_namespaces(lease->broker->launcher, pid, lease->record.run_uid,
                                        lease->record.run_gid, &flags) == 0;

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (flags & kinds[i].flag)
                        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
                                 *text ? " " : "", kinds[i].name);
        json_object_set_new(limits, "namespaces",
                            json_string(!seen   ? "not to be seen"
                                        : *text ? text
                                                : "none of its own"));
}

/* Beside those that it has from the launcher, as that has them: broker/rights. */
static bool has_own_filter(const struct lease *lease, uint64_t n_filters) {
        return n_filters > (uint64_t)launcher_filters(lease->broker->launcher);
}

void sandbox_report(const struct lease *lease, json_t *limits) {
        uint64_t uid, capabilities, n_filters, nonewprivs;
        char status[4096], text[64];
        int pid = lease->process.pid;

        if (lease->state == LEASE_WAITING || lease->main_gone ||
            !read_status(pid, status, sizeof(status)) ||
            !status_number(status, "\nUid:", 10, &uid) ||
            !status_number(status, "\nCapEff:", 16, &capabilities) ||
            !status_number(status, "\nSeccomp_filters:", 10, &n_filters) ||
            !status_number(status, "\nNoNewPrivs:", 10, &nonewprivs))
                return;
        snprintf(text, sizeof(text), "%ju", (uintmax_t)uid);
        json_object_set_new(limits, "user", json_string(text));
        snprintf(text, sizeof(text), "%jx", (uintmax_t)capabilities);
        json_object_set_new(limits, "capabilities", json_string(capabilities ? text : "none"));
        json_object_set_new(limits, "no_new_privs", json_string(nonewprivs ? "yes" : "no"));
        json_object_set_new(limits, "seccomp",
                            json_string(!has_own_filter(lease, n_filters) ? "none"
                                        : lease->record.learns            ? "learning"
                                                                          : "filtered"));
        report_namespaces(lease, pid, limits);
}

static bool would_end_it(int signo) {
        switch (signo) {
        case SIGKILL: /* does reach it */
        case SIGCHLD:
        case SIGCONT:
        case SIGURG:
        case SIGWINCH:
        case SIGSTOP:
        case SIGTSTP:
        case SIGTTIN:
        case SIGTTOU:
                return false;
        }
        return true;
}

bool sandbox_loses(int pid, int signo) {
        char path[40], status[4096];
        uint64_t inner, caught, ignored;

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        return would_end_it(signo) && file_read_at(AT_FDCWD, path, status, sizeof(status)) == 0 &&
               status_number(status, "\nNSpid:", 10, &inner) && inner == 1 &&
               status_number(status, "\nSigCgt:", 16, &caught) &&
               status_number(status, "\nSigIgn:", 16, &ignored) &&
               !((caught | ignored) & UINT64_C(1) << (signo - 1));
}

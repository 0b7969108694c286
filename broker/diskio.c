/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/units.h>
#include <broker/broker.h>
#include <broker/diskio.h>
#include <broker/lease.h>
#include <broker/slice.h>
#include <broker/slice_io.h>
#include <cgroup/freeze.h>
#include <cgroup/iomax.h>

#define FRESH_USEC UINT64_C(100000)

/* ---- which disks ---- */

/* As the capacity is found: the directory, or the nearest parent that is there. */
static int open_data_directory(const struct broker *broker) {
        const char *dev_dir = launcher_dev(broker->launcher);
        const struct broker_policy *policy = &broker->policy->broker;
        char path[sizeof(policy->data_directory)], place[HOST_PATH_MAX];
        char *slash;
        int fd;

        strcpy(path, policy->data_directory);
        while ((fd = open(host_path(dev_dir, path, place), O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0 &&
               errno == ENOENT) {
                slash = strrchr(path, '/');
                if (!slash || strcmp(path, "/") == 0)
                        break;
                slash[slash == path ? 1 : 0] = '\0';
        }
        return fd;
}

static void find_host(const struct broker *broker, struct resolve_host *host) {
        *host = (struct resolve_host)RESOLVE_HOST_HERE;
        host->sys_dir = broker->options->sys_dir;
        host->proc_dir = broker->options->proc_dir;
        host->dev_dir = launcher_dev(broker->launcher);
        host->mountinfo_fd = launcher_mountinfo_fd(broker->launcher);
}

void diskio_configure(struct broker *broker) {
        const struct broker_policy *policy = &broker->policy->broker;
        struct data_disks *data = &broker->data_disks;
        _cleanup_(fd_closep) int fd = open_data_directory(broker);
        struct resolve_host host;

        find_host(broker, &host);
        *data = (struct data_disks){};
        if (fd < 0)
                data->code = why_errno(&data->why, DISKIO_E_REFUSED, errno,
                                       "the data directory '%s' cannot be opened",
                                       policy->data_directory);
        else
                data->code = resolve_fd(&data->disks, fd, &host, &data->why);
}

/* Adds what is in @more; the place of its first whole disk goes to @firstp. */
static int merge(struct disks *disks, const struct disks *more, unsigned char *firstp,
                 struct why *why) {
        bool seen = false;

        for (size_t i = 0; i < more->n; i++) {
                const struct disk *disk = disks_find(disks, more->disk[i].dev);

                if (!disk && disks->n == RESOLVE_DISKS_MAX)
                        return why_set(why, DISKIO_E_REFUSED, "they lie on more than %d disks",
                                       RESOLVE_DISKS_MAX);
                if (!disk) {
                        disks->disk[disks->n] = more->disk[i];
                        disk = &disks->disk[disks->n++];
                }
                if (!more->disk[i].through && !seen) {
                        *firstp = (unsigned char)(disk - disks->disk);
                        seen = true;
                }
        }
        return 0;
}

static int find_disks(struct lease *lease, struct disks *disks,
                      unsigned char first[REQUEST_DISKS_MAX], struct why *why) {
        struct broker *broker = lease->broker;
        struct resolve_host host;
        struct why found = {};
        int r = 0;

        find_host(broker, &host);
        if (lease->fds.n_disks == 0) {
                if (broker->data_disks.code)
                        return why_set(why, DISKIO_E_REFUSED,
                                       "no disk was named, and that of the data directory cannot "
                                       "be limited: %s. DiskIO=0 in [Claim] of broker.conf sells "
                                       "none to VMs that do not ask",
                                       broker->data_disks.why.text);
                *disks = broker->data_disks.disks;
                return 0;
        }
        for (size_t i = 0; r == 0 && i < lease->fds.n_disks; i++) {
                struct disks one = {};

                r = resolve_fd(&one, lease->fds.disk[i], &host, &found);
                if (r > 0)
                        return why_set(why, DISKIO_E_REFUSED, "disk %zu (%s): %s", i,
                                       lease->request.disks[i], found.text);
                if (r == 0)
                        r = merge(disks, &one, &first[i], why);
        }
        return r;
}

/* The disk's axis in the ledger; -1: as many disks as can be told apart are in use. */
static int take_slot(struct broker *broker, const struct disk *disk) {
        int found = -1;

        for (int i = 0; i < DEMAND_DISKS; i++) {
                struct disk_slot *slot = &broker->disk_slots[i];

                if (slot->n_leases > 0 && slot->dev == disk->dev) {
                        slot->n_leases++;
                        return i;
                }
                if (slot->n_leases == 0 && found < 0)
                        found = i;
        }
        if (found >= 0) {
                broker->disk_slots[found].dev = disk->dev;
                broker->disk_slots[found].n_leases = 1;
                strcpy(broker->disk_slots[found].name, disk->name);
        }
        return found;
}

void diskio_charge(const struct lease *lease, struct demand *charge) {
        for (unsigned i = _RESOURCE_N; i < DEMAND_N; i++)
                charge->amount[i] = 0;
        for (size_t i = 0; lease->diskio && i < lease->diskio->n; i++)
                if (lease->diskio->disk[i].slot >= 0)
                        charge->amount[_RESOURCE_N + lease->diskio->disk[i].slot] =
                                charge->amount[RESOURCE_DISK_IO];
}

/* Answers REFUSED. */
static int new_diskio(struct lease *lease, const struct disks *disks, struct why *why) {
        struct diskio *diskio;

        diskio = calloc(1, sizeof(*diskio) + disks->n * sizeof(*diskio->disk));
        if (!diskio)
                return fault(-ENOMEM);
        diskio->n = disks->n;
        lease->diskio = diskio;
        for (size_t i = 0; i < disks->n; i++) {
                struct diskio_disk *disk = &diskio->disk[i];

                disk->disk = disks->disk[i];
                disk->slot = disk->disk.through ? -1 : take_slot(lease->broker, &disk->disk);
                if (disk->slot >= 0 || disk->disk.through)
                        continue;
                return why_set(why, DISKIO_E_REFUSED,
                               "%d disks are in use, as many as can be accounted apart",
                               DEMAND_DISKS);
        }
        diskio_charge(lease, &lease->claim.demand);
        lease->record.charge = lease->claim.demand;
        return 0;
}

static bool is_governed(const struct disk_policy *policy) {
        return policy->burst_by == DISK_BURST_BROKER && policy->burst_milli > 1000;
}

int diskio_prepare(struct lease *lease, struct why *why) {
        const struct broker_policy *policy = &lease->broker->policy->broker;
        unsigned char first[REQUEST_DISKS_MAX] = {};
        struct disks disks = {};
        int r;

        if (lease->record.charge.amount[RESOURCE_DISK_IO] == 0)
                return lease->fds.n_disks == 0
                               ? 0
                               : why_set(why, DISKIO_E_REFUSED,
                                         "disk_io: 0 for a VM with disks; claim some");
        r = find_disks(lease, &disks, first, why);
        if (r == DISKIO_E_REFUSED && policy->best_effort) {
                snprintf(lease->detail, sizeof(lease->detail), "disk_io: not enforced: %.400s",
                         why->text);
                return 0;
        }
        if (r)
                return r;
        r = new_diskio(lease, &disks, why);
        if (r)
                return r;
        memcpy(lease->diskio->image, first, sizeof(first));
        /* A reservation is a wall around the buckets of its VMs. */
        if (lease->reservation)
                return 0;
        lease->diskio->governed = is_governed(&policy->disk);
        lease->diskio->burst = policy->disk.burst_by != DISK_BURST_NONE;
        return 0;
}

void diskio_follow(struct lease *lease) {
        const struct disk_policy *policy = &lease->broker->policy->broker.disk;
        bool governed = is_governed(policy), runs = lease->state != LEASE_WAITING;
        struct diskio *diskio = lease->diskio;

        if (!diskio || lease->reservation)
                return;
        if (!governed || !runs) {
                diskio->burst = policy->burst_by != DISK_BURST_NONE;
        } else if (!diskio->governed) {
                /* Nobody has counted until now: its bucket is empty. */
                diskio->burst = false;
                diskio->left_bytes = 0;
                diskio->seen_usec = broker_now_usec();
                diskio->look_usec = diskio->seen_usec + policy->quiet_usec;
        }
        diskio->governed = governed;
        if (!runs || diskio->stepping)
                return;
        diskio->step_usec = broker_now_usec();
        broker_tick_at(lease->broker, diskio->step_usec);
}

/* ---- how much ---- */

static uint64_t scale(uint64_t value, uint64_t milli) {
        unsigned __int128 product = (unsigned __int128)value * milli / 1000;

        if (value == IO_NO_LIMIT)
                return value;
        return product < 1 ? 1 : product > UINT64_MAX / 2 ? UINT64_MAX / 2 : (uint64_t)product;
}

void diskio_limit(const struct lease *lease, bool burst, struct io_limit *limit) {
        const struct record *record = &lease->record;
        uint64_t claim = lease->record.charge.amount[RESOURCE_DISK_IO];
        uint64_t milli = burst ? lease->broker->policy->broker.disk.burst_milli : 1000;
        uint64_t ios = record->disk_ios_per_s ? scale(record->disk_ios_per_s, milli) : IO_NO_LIMIT;

        *limit = (struct io_limit){
                .read_bytes_per_s = scale(record->disk_read_bytes_per_s ?: claim, milli),
                .write_bytes_per_s = scale(record->disk_write_bytes_per_s ?: claim, milli),
                .read_ios_per_s = ios,
                .write_ios_per_s = ios,
        };
}

int diskio_apply(struct lease *lease, struct why *why) {
        struct diskio *diskio = lease->diskio;
        struct io_limit limit;
        int r = 0;

        diskio_limit(lease, diskio->burst, &limit);
        for (size_t i = 0; r == 0 && i < diskio->n; i++)
                r = iomax_apply(lease->dir_fd, diskio->disk[i].disk.dev, &limit, why);
        return r;
}

int diskio_verify(const struct lease *lease, struct why *why) {
        const struct diskio *diskio = lease->diskio;
        struct io_limit limit;
        int r = 0;

        if (!diskio || diskio->stepping)
                return 0;
        diskio_limit(lease, diskio->burst, &limit);
        for (size_t i = 0; r == 0 && i < diskio->n; i++)
                r = iomax_verify(lease->dir_fd, diskio->disk[i].disk.dev, &limit, why);
        return r;
}

/* As of the CPUs: where all of a disk is sold, 10,000 are shared out. */
static uint64_t weight(const struct lease *lease) {
        const struct ledger *ledger = &lease->broker->ledger;
        uint64_t all = max_u64(1, ledger->effective.amount[RESOURCE_DISK_IO]);
        unsigned __int128 part =
                (unsigned __int128)lease->record.charge.amount[RESOURCE_DISK_IO] * 10000 / all;

        return part < 1 ? 1 : part > 10000 ? 10000 : (uint64_t)part;
}

/* A loop device may have another file by now, or none: what is limited and charged is what was
 * found when the claim came. A claim that did not wait is not looked at twice. */
static int check_disks(struct lease *lease, struct why *why) {
        const struct diskio *diskio = lease->diskio;
        unsigned char first[REQUEST_DISKS_MAX];
        struct disks disks = {};
        bool same;
        int r;

        if (lease->fds.n_disks == 0 || lease->admitted_usec - lease->arrived_usec < FRESH_USEC)
                return 0;
        r = find_disks(lease, &disks, first, why);
        if (r)
                return r;
        same = disks.n == diskio->n;
        for (size_t i = 0; same && i < diskio->n; i++)
                same = disks_find(&disks, diskio->disk[i].disk.dev);
        return same ? 0
                    : why_set(why, DISKIO_E_REFUSED,
                              "its files lie on other disks now than when it was claimed");
}

int diskio_make(struct lease *lease, struct why *why) {
        bool weighed = false;
        int r;

        if (!lease->diskio)
                return 0;
        r = check_disks(lease, why);
        if (r == 0)
                r = slice_io_make(lease, why);
        if (r == 0)
                r = diskio_apply(lease, why);
        if (r == 0)
                r = ioweight_apply(lease->dir_fd, weight(lease), &weighed, why);
        return r;
}

/* ---- found in the tree ---- */

struct lines {
        struct disks disks;
};

static void take_line(void *userdata, dev_t dev, const struct io_limit *limit) {
        struct lines *lines = userdata;
        struct disk *disk;

        if (lines->disks.n == RESOLVE_DISKS_MAX)
                return;
        disk = &lines->disks.disk[lines->disks.n++];
        disk->dev = dev;
        snprintf(disk->name, sizeof(disk->name), "%u:%u", major(dev), minor(dev));
}

/* Name and kind of a device that has a limit: a stacked one is not charged. */
static void look_at(const struct broker *broker, struct disk *disk) {
        char path[300], target[300];
        const char *name;
        struct dirent *entry;
        ssize_t n;
        DIR *dir;

        snprintf(path, sizeof(path), "%s/dev/block/%u:%u/slaves", broker->options->sys_dir,
                 major(disk->dev), minor(disk->dev));
        dir = opendir(path);
        while (dir && (entry = readdir(dir)))
                disk->through = disk->through || entry->d_name[0] != '.';
        if (dir)
                closedir(dir);
        snprintf(path, sizeof(path), "%s/dev/block/%u:%u/loop", broker->options->sys_dir,
                 major(disk->dev), minor(disk->dev));
        disk->through = disk->through || access(path, F_OK) == 0;

        snprintf(path, sizeof(path), "%s/dev/block/%u:%u", broker->options->sys_dir,
                 major(disk->dev), minor(disk->dev));
        n = readlink(path, target, sizeof(target) - 1);
        if (n <= 0)
                return;
        target[n] = '\0';
        name = strrchr(target, '/');
        snprintf(disk->name, sizeof(disk->name), "%.31s", name ? name + 1 : target);
}

int diskio_adopt(struct lease *lease) {
        struct broker *broker = lease->broker;
        struct lines lines = {};
        struct why why = {};
        int r;

        /* The last broker may have ended in the middle of a step. */
        if (freeze_end(lease->dir_fd, &why))
                log_error("VM '%s': %s", lease->record.name, why.text);
        if (iomax_each(lease->dir_fd, take_line, &lines, &why) || lines.disks.n == 0)
                return 0;
        for (size_t i = 0; i < lines.disks.n; i++)
                look_at(broker, &lines.disks.disk[i]);
        r = new_diskio(lease, &lines.disks, &why);
        if (r > 0)
                log_error("VM '%s': %s", lease->record.name, why.text);
        if (r)
                return r < 0 ? r : 0;
        for (size_t i = 0; i < lease->diskio->n; i++) {
                if (iostat_read(lease->dir_fd, lease->diskio->disk[i].disk.dev,
                                &lease->diskio->disk[i].seen, NULL))
                        continue;
        }
        if (lease->reservation)
                return 0;
        lease->diskio->governed = is_governed(&broker->policy->broker.disk);
        /* What it has left of its bucket died with the last broker: nothing. */
        lease->diskio->burst = broker->policy->broker.disk.burst_by == DISK_BURST_HYPERVISOR;
        lease->diskio->seen_usec = broker_now_usec();
        lease->diskio->look_usec =
                lease->diskio->seen_usec + broker->policy->broker.disk.quiet_usec;
        lease->diskio->step_usec = lease->diskio->seen_usec;
        broker_tick_at(broker, lease->diskio->step_usec);
        return 0;
}

/* ---- what one can see ---- */

static void add_rate(char *text, size_t size, const char *key, uint64_t value) {
        size_t used = strlen(text);

        if (value == IO_NO_LIMIT)
                snprintf(text + used, size - used, " %s=max", key);
        else
                snprintf(text + used, size - used, " %s=%" PRIu64, key, value);
}

void diskio_plan(const struct lease *lease, json_t *limits) {
        struct io_limit limit;
        char lines[2048] = "";

        if (!lease->diskio)
                return;
        diskio_limit(lease, lease->diskio->burst, &limit);
        for (size_t i = 0; i < lease->diskio->n; i++) {
                dev_t dev = lease->diskio->disk[i].disk.dev;
                char line[160];

                snprintf(line, sizeof(line), "%u:%u", major(dev), minor(dev));
                add_rate(line, sizeof(line), "rbps", limit.read_bytes_per_s);
                add_rate(line, sizeof(line), "wbps", limit.write_bytes_per_s);
                add_rate(line, sizeof(line), "riops", limit.read_ios_per_s);
                add_rate(line, sizeof(line), "wiops", limit.write_ios_per_s);
                snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines), "%s%s",
                         i ? ", " : "", line);
        }
        json_object_set_new(limits, "io.max", json_string(lines));
}

void diskio_report(struct lease *lease, json_t *limits, json_t *notes) {
        const struct disk_policy *policy = &lease->broker->policy->broker.disk;
        uint64_t claim = lease->record.charge.amount[RESOURCE_DISK_IO];
        char text[160], size[UNITS_TEXT_MAX];

        if (!lease->diskio) {
                if (claim == 0)
                        json_array_append_new(
                                notes, json_string("disk_io: none was claimed, so none is held"));
                return;
        }
        if (policy->burst_by == DISK_BURST_HYPERVISOR)
                snprintf(text, sizeof(text), "by the hypervisor; io.max is the ceiling");
        else if (!lease->diskio->governed)
                snprintf(text, sizeof(text), "none; io.max is the claim");
        else if (lease->diskio->burst)
                snprintf(text, sizeof(text), "by the broker; at the ceiling, %s left",
                         units_format_size(lease->diskio->left_bytes, size, sizeof(size)));
        else
                snprintf(text, sizeof(text), "by the broker; at the claim until it is quiet");
        json_object_set_new(limits, "disk_io.burst", json_string(text));
}

json_t *diskio_list(const struct lease *lease) {
        json_t *array = json_array();

        for (size_t i = 0; lease->diskio && i < lease->diskio->n; i++)
                json_array_append_new(array, json_pack("{s:s s:s}", "path", "", "disk",
                                                       lease->diskio->disk[i].disk.name));
        return array;
}

/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <base/why.h>
#include <broker/broker.h>
#include <broker/diskio.h>
#include <broker/gpu.h>
#include <broker/gpu_lease.h>
#include <broker/lease.h>
#include <broker/taps.h>
#include <broker/words.h>

#define FIRST_FD 3
#define QMP "qmp.fd"
#define DISK_FD ".fd"
#define DISK_FD_RO ".fd.ro"

static void add_word(struct words *words, const char *name, const char *value, const char *hint) {
        size_t i = words->n++;

        assert(i < WORDS_MAX);
        snprintf(words->names[i], sizeof(words->names[i]), "%s", name);
        snprintf(words->values[i], sizeof(words->values[i]), "%s", value ?: "");
        words->table[i] = (struct placeholder){
                .name = words->names[i],
                .value = value ? words->values[i] : NULL,
                .hint = hint,
        };
}

/* "3:4:5", as QEMU's fds= takes it. */
static void list_fds(char *text, size_t size, unsigned first, unsigned n) {
        size_t used = 0;

        text[0] = '\0';
        for (unsigned i = 0; i < n && used < size; i++)
                used += (size_t)snprintf(text + used, size - used, "%s%u", i ? ":" : "", first + i);
}

/* The six of one tap; @infix is "" or ".N". */
static void add_tap_words(struct words *words, const struct tap *tap, const char *infix,
                          unsigned first_fd, unsigned first_vhost) {
        char name[24], value[96];

        snprintf(name, sizeof(name), "tap%s", infix);
        add_word(words, name, tap->name, NULL);
        snprintf(name, sizeof(name), "tap%s.fd", infix);
        list_fds(value, sizeof(value), first_fd, 1);
        add_word(words, name, value, NULL);
        snprintf(name, sizeof(name), "tap%s.fds", infix);
        list_fds(value, sizeof(value), first_fd, tap->queues);
        add_word(words, name, value, NULL);
        snprintf(name, sizeof(name), "vhost%s.fd", infix);
        list_fds(value, sizeof(value), first_vhost, 1);
        add_word(words, name, value, NULL);
        snprintf(name, sizeof(name), "vhost%s.fds", infix);
        list_fds(value, sizeof(value), first_vhost, tap->queues);
        add_word(words, name, value, NULL);
        snprintf(name, sizeof(name), "mac%s", infix);
        taps_format_mac(tap->mac, value);
        add_word(words, name, value, NULL);
}

/*
 * QEMU's bucket holds its maximum times a number of whole seconds, and what is within the claim is
 * taken from it as well: ours holds (Burst - 1) x claim x BurstTime of what is beyond. The same
 * time at the ceiling, to the nearest second (docs/throttle.txt of QEMU).
 */
static uint64_t burst_seconds(const struct disk_policy *policy) {
        unsigned __int128 usec = (unsigned __int128)policy->burst_usec *
                                 (policy->burst_milli - 1000) / policy->burst_milli;

        return max_u64(1, (uint64_t)((usec + 500000) / 1000000));
}

/* What QEMU's -drive takes: the claim, with the burst that its throttle group lets through. */
static void format_throttle(const struct lease *lease, size_t i, char *text, size_t size) {
        const struct disk_policy *policy = &lease->broker->policy->broker.disk;
        struct io_limit claim, ceiling;
        size_t used;

        diskio_limit(lease, false, &claim);
        diskio_limit(lease, true, &ceiling);
        used = (size_t)snprintf(text, size,
                                "throttling.bps-read=%" PRIu64 ",throttling.bps-write=%" PRIu64,
                                claim.read_bytes_per_s, claim.write_bytes_per_s);
        if (claim.read_ios_per_s != IO_NO_LIMIT)
                used += (size_t)snprintf(text + used, size - used,
                                         ",throttling.iops-read=%" PRIu64
                                         ",throttling.iops-write=%" PRIu64,
                                         claim.read_ios_per_s, claim.write_ios_per_s);
        if (policy->burst_by == DISK_BURST_HYPERVISOR && policy->burst_milli > 1000 &&
            policy->burst_usec >= 1000000)
                used += (size_t)snprintf(text + used, size - used,
                                         ",throttling.bps-read-max=%" PRIu64
                                         ",throttling.bps-write-max=%" PRIu64
                                         ",throttling.bps-read-max-length=%" PRIu64
                                         ",throttling.bps-write-max-length=%" PRIu64,
                                         ceiling.read_bytes_per_s, ceiling.write_bytes_per_s,
                                         burst_seconds(policy), burst_seconds(policy));
        snprintf(text + used, size - used, ",throttling.group=pv-%s",
                 lease->diskio->disk[lease->diskio->image[i]].disk.name);
}

/* {disk.N}, {disk.N.fd}, {disk.N.fd.ro}, {disk.N.throttle}. Returns the number after the last
 * descriptor. */
static unsigned add_disk_words(struct words *words, const struct lease *lease, unsigned first) {
        char name[40], value[WORDS_VALUE_MAX];

        for (size_t i = 0; i < lease->fds.n_disks; i++) {
                snprintf(name, sizeof(name), "disk.%zu", i);
                snprintf(value, sizeof(value), "/proc/self/fd/%u", first);
                add_word(words, name, value, NULL);
                snprintf(value, sizeof(value), "%u", first++);
                snprintf(name, sizeof(name), "disk.%zu" DISK_FD, i);
                add_word(words, name, value, NULL);
                snprintf(name, sizeof(name), "disk.%zu" DISK_FD_RO, i);
                add_word(words, name, value, NULL);
                snprintf(name, sizeof(name), "disk.%zu.throttle", i);
                if (lease->diskio)
                        format_throttle(lease, i, value, sizeof(value));
                add_word(words, name, lease->diskio ? value : NULL, "its I/O is not limited");
        }
        return first;
}

static bool is_asked(const struct lease *lease, const char *name) {
        char braced[48];
        bool asked = false;

        snprintf(braced, sizeof(braced), "{%s}", name);
        for (char *const *word = lease->request.argv; *word && !asked; word++)
                asked = strstr(*word, braced);
        return asked;
}

/* A descriptor that has a place only if it is asked for. Returns the number after it. */
static unsigned add_qmp_word(struct words *words, const struct lease *lease, unsigned first) {
        char value[24];

        list_fds(value, sizeof(value), first, 1);
        add_word(words, QMP, value, NULL);
        return first + is_asked(lease, QMP);
}

/* {gpu.N} is what QEMU's host= takes, or a mediated device's UUID; {gpu.N.path} is for all. */
static unsigned add_one_gpu(struct words *words, const struct lease *lease, size_t i,
                            const struct gpu_slot *slot, unsigned first) {
        char name[24], value[96] = "?";

        snprintf(name, sizeof(name), "gpu.%zu", i);
        add_word(words, name, slot ? slot->name : value, NULL);
        snprintf(name, sizeof(name), "gpu.%zu.path", i);
        if (slot)
                snprintf(value, sizeof(value), "/sys/bus/%s/devices/%s",
                         slot->kind == GPU_MDEV ? "mdev" : "pci", slot->name);
        add_word(words, name, value, NULL);
        snprintf(name, sizeof(name), "gpu.%zu.group", i);
        if (slot)
                snprintf(value, sizeof(value), "/dev/vfio/%d", slot->group);
        add_word(words, name, value, NULL);
        snprintf(name, sizeof(name), "gpu.%zu.fd", i);
        list_fds(value, sizeof(value), first, 1);
        add_word(words, name, value, NULL);
        return first + is_asked(lease, name);
}

/* Returns the number after their descriptors. */
static unsigned add_gpu_words(struct words *words, const struct lease *lease, unsigned first) {
        static const char *const names[] = {"gpu.0", "gpu.0.path", "gpu.0.group", "gpu.0.fd"};
        uint64_t n = min_u64(lease->claim.demand.amount[RESOURCE_GPU], RECORD_GPUS_MAX);
        const struct gpu_slot *slot = NULL;

        if (n == 0 || !gpu_lease_is_real(lease->broker)) {
                for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                        add_word(words, names[i], NULL,
                                 n ? "no GPU of this host can be handed over"
                                   : "it has no GPU; --gpus 1 gives one");
                return first;
        }
        for (size_t i = 0; i < n; i++) {
                if (lease->record.n_gpus)
                        slot = gpu_next(lease->broker->gpus, lease->record.id, slot);
                first = add_one_gpu(words, lease, i, slot, first);
        }
        return first;
}

void words_make(const struct lease *lease, struct words *words) {
        static const char *const names[] = {"tap",      "tap.fd",    "tap.fds",
                                            "vhost.fd", "vhost.fds", "mac"};
        const struct taps *taps = lease->taps;
        unsigned first, vhost;

        words->n = 0;
        first = add_disk_words(words, lease, FIRST_FD + (taps ? (unsigned)taps->n_fds : 0));
        first = add_qmp_word(words, lease, first);
        first = add_gpu_words(words, lease, first);
        if (!taps) {
                for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                        add_word(words, names[i], NULL,
                                 "it has no network; --net BRIDGE gives one");
                return;
        }
        vhost = first;
        first = FIRST_FD;
        for (size_t i = 0; i < taps->n; i++) {
                char infix[8];

                if (i == 0)
                        add_tap_words(words, &taps->tap[i], "", first, vhost);
                snprintf(infix, sizeof(infix), ".%zu", i);
                add_tap_words(words, &taps->tap[i], infix, first, vhost);
                first += taps->tap[i].queues;
                vhost += taps->tap[i].queues;
        }
}

static void note_gpu(struct lease *lease, const char *name) {
        unsigned i;
        int end = 0;

        if (sscanf(name, "gpu.%u.fd%n", &i, &end) == 1 && end > 0)
                lease->gpu_fds_asked |= 1U << i;
}

/* Notes that disk @disk is to be open when the hypervisor starts. */
static int open_disk(struct lease *lease, unsigned disk, bool read_only, struct why *why) {
        struct child_file *file;

        if (!lease->open)
                lease->open = calloc(1, sizeof(*lease->open));
        if (!lease->open)
                return fault(-ENOMEM);
        for (size_t i = 0; i < lease->open->n_files; i++)
                if (lease->open->files[i].name == disk)
                        return why_set(why, WORDS_E_BOTH,
                                       "the command names both {disk.%u.fd} and {disk.%u.fd.ro}; "
                                       "an image is opened once, for one of them",
                                       disk, disk);
        file = &lease->open->files[lease->open->n_files++];
        *file = (struct child_file){
                .fd = lease->fds.disk[disk], .read_only = read_only, .name = disk};
        return 0;
}

static int note_disk(struct lease *lease, const char *name, struct why *why) {
        const char *rest;
        unsigned disk;
        int length = 0;

        if (sscanf(name, "disk.%u%n", &disk, &length) < 1)
                return 0;
        rest = name + length;
        if (strcmp(rest, DISK_FD) != 0 && strcmp(rest, DISK_FD_RO) != 0)
                return 0;
        return open_disk(lease, disk, strcmp(rest, DISK_FD_RO) == 0, why);
}

int words_note_used(struct lease *lease, const struct placeholder *table, size_t n,
                    struct why *why) {
        free(take(lease->open));
        for (size_t i = 0; i < n; i++) {
                int r;

                if (!table[i].used)
                        continue;
                if (lease->taps && strncmp(table[i].name, "vhost", 5) == 0)
                        lease->taps->vhost = true;
                if (strcmp(table[i].name, QMP) == 0)
                        lease->has_qmp = true;
                note_gpu(lease, table[i].name);
                r = note_disk(lease, table[i].name, why);
                if (r)
                        return r;
        }
        return 0;
}

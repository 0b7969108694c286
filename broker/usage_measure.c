/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <base/file.h>
#include <broker/network.h>
#include <broker/taps.h>
#include <broker/taps_check.h>
#include <broker/usage_measure.h>
#include <cgroup/usage.h>

#define HEAR_MAX 8 /* times NETLINK_NEWS_MAX messages */

/* ---- what it was sold ---- */

static uint64_t cpu_time(uint64_t cpu_milli, uint64_t usec) {
        unsigned __int128 time = (unsigned __int128)cpu_milli * usec / 1000;

        return time > INT64_MAX ? INT64_MAX : (uint64_t)time;
}

static void add(uint64_t *sump, uint64_t value) {
        *sump = value > INT64_MAX - min_u64(INT64_MAX, *sump) ? INT64_MAX : *sump + value;
}

void usage_count_claim(struct record *record, uint64_t now_usec) {
        uint64_t usec;

        if (record->held_since_usec == 0 || now_usec <= record->counted_until_usec)
                return;
        usec = now_usec - record->counted_until_usec;
        add(&record->claimed_cpu_usec, cpu_time(record->cpu_milli, usec));
        add(&record->claimed_memory_mib_ms, usage_memory_time(record->memory_bytes, usec));
        record->counted_until_usec = now_usec;
}

void usage_measure_claim(const struct record *record, const struct demand *charge,
                         struct usage_line *line) {
        struct record counted = *record;
        uint64_t now_usec = broker_now_usec();

        line->end_ns = broker_realtime_ns();
        /* Of an older version's record only the time of its call is known. */
        if (counted.held_since_usec == 0) {
                uint64_t usec = line->end_ns > counted.created_ns
                                        ? (line->end_ns - counted.created_ns) / 1000
                                        : 0;

                counted.held_since_usec = now_usec - min_u64(usec, now_usec - 1);
                counted.counted_until_usec = counted.held_since_usec;
        }
        usage_count_claim(&counted, now_usec);
        snprintf(line->id, sizeof(line->id), "%s", counted.id);
        snprintf(line->vm, sizeof(line->vm), "%s", counted.name);
        snprintf(line->slice, sizeof(line->slice), "%s", counted.slice);
        line->uid = counted.uid;
        /* A clock that is wrong at the boot may say less than the host is up. */
        line->held_usec =
                min_u64(now_usec - min_u64(now_usec, counted.held_since_usec), line->end_ns / 1000);
        line->claim = *charge;
        line->claimed_cpu_usec = counted.claimed_cpu_usec;
        line->claimed_memory_mib_ms = counted.claimed_memory_mib_ms;
}

/* ---- its group ---- */

/* Does it hand what it is given on to other disks, which count it as well? */
static bool is_stacked(const char *sys_dir, dev_t dev) {
        static const char *const signs[] = {"dm", "md", "loop", "bcache"};
        char path[512];

        for (size_t i = 0; i < ARRAY_SIZE(signs); i++) {
                snprintf(path, sizeof(path), "%s/dev/block/%u:%u/%s", sys_dir, major(dev),
                         minor(dev), signs[i]);
                if (faccessat(AT_FDCWD, path, F_OK, 0) == 0)
                        return true;
        }
        return false;
}

static void add_disk(const struct usage_disk *disk, const char *sys_dir, struct usage_line *line) {
        if ((disk->read_bytes == 0 && disk->written_bytes == 0) || is_stacked(sys_dir, disk->dev))
                return;
        add(&line->read_bytes, disk->read_bytes);
        add(&line->write_bytes, disk->written_bytes);
}

void usage_measure_group(int dir_fd, const char *sys_dir, struct usage_line *line) {
        struct usage_disks disks = {};
        struct usage_files files;
        struct usage usage = {};

        /* Closed together: what a VM's end costs is counted in system calls. */
        usage_files_init(&files);
        if (dir_fd < 0 || !usage_read(dir_fd, ".", USAGE_CPU | USAGE_MEMORY_PEAK | USAGE_IO, &files,
                                      &usage, &disks))
                usage.known = 0;
        usage_files_deinit(&files);
        if (usage.known & USAGE_CPU)
                line->cpu_usec = usage.cpu_usec;
        else
                line->least |= USAGE_LEAST_CPU;
        /* Before Linux 5.19 there is none. */
        line->memory_peak_bytes = usage.known & USAGE_MEMORY_PEAK ? usage.memory_peak_bytes : 0;
        if (!(usage.known & USAGE_IO))
                line->least |= USAGE_LEAST_DISK;
        line->read_bytes = line->write_bytes = 0;
        for (size_t i = 0; usage.known & USAGE_IO && i < usage.n_disks; i++)
                add_disk(&disks.list[i], sys_dir, line);
        usage_disks_deinit(&disks);
}

/* ---- its taps ---- */

static bool is_counted(const struct taps *taps) {
        for (size_t i = 0; i < taps->n; i++)
                if (!taps->tap[i].counted)
                        return false;
        return true;
}

/* What the kernel still has: links that somebody else holds open, and the classes. */
static void read_rest(struct lease *lease, struct usage_line *line) {
        struct network *network = lease->broker->network;
        const struct record *record = &lease->record;
        struct taps *taps = lease->taps;
        struct shape shape = {};
        struct shape_state state;
        size_t at = 0;

        line->least |= USAGE_LEAST_NETWORK;
        if (network->netlink.fd < 0 || network->ifb_ifindex == 0 || record->minor == 0)
                return;
        shape.ifb_ifindex = network->ifb_ifindex;
        shape.major = network->major;
        shape.minor = record->minor;
        shape.download_minor = record->download_minor;
        if (taps)
                taps_places(lease, &shape);
        if (shape_read(&network->netlink, &shape, &state, NULL))
                return;
        for (size_t i = 0; taps && i < taps->n; i++) {
                struct tap *tap = &taps->tap[i];
                const struct shape_tap_state *seen = tap->ifindex ? &state.taps[at++] : NULL;

                if (tap->counted || !seen || !seen->present)
                        continue;
                tap->counted = true;
                tap->download_bytes = seen->download.bytes;
                tap->upload_bytes = seen->upload.bytes;
        }
        if (taps && is_counted(taps)) {
                line->least &= ~USAGE_LEAST_NETWORK;
                return;
        }
        line->upload_bytes = state.upload.count.bytes;
        line->download_bytes = record->download_minor ? state.download.count.bytes : 0;
}

void usage_measure_taps(struct lease *lease, struct usage_line *line) {
        struct taps *taps = lease->taps;
        uint64_t download = 0, upload = 0;

        if (lease->record.n_nets == 0)
                return;
        for (unsigned i = 0; taps && i < HEAR_MAX && !is_counted(taps); i++)
                taps_hear(lease->broker);
        if (!taps || !is_counted(taps))
                read_rest(lease, line);
        for (size_t i = 0; taps && i < taps->n; i++) {
                add(&download, taps->tap[i].download_bytes);
                add(&upload, taps->tap[i].upload_bytes);
        }
        line->download_bytes = max_u64(line->download_bytes, download);
        line->upload_bytes = max_u64(line->upload_bytes, upload);
}

void usage_find_taps(const struct lease *lease, struct usage_taps *taps) {
        *taps = (struct usage_taps){};
        for (size_t i = 0; lease->taps && i < lease->taps->n; i++) {
                const struct tap *tap = &lease->taps->tap[i];
                struct usage_tap *found = &taps->tap[taps->n++];

                strcpy(found->name, tap->name);
                found->ifindex = tap->ifindex;
                found->counted = tap->counted;
                found->download_bytes = tap->download_bytes;
                found->upload_bytes = tap->upload_bytes;
        }
}

static bool read_counter(const char *sys_dir, const char *link, const char *file,
                         uint64_t *valuep) {
        char path[512];

        snprintf(path, sizeof(path), "%s/class/net/%s/%s", sys_dir, link, file);
        return file_read_u64_at(AT_FDCWD, path, valuep) == 0;
}

void usage_measure_links(const struct usage_taps *taps, const char *sys_dir,
                         struct usage_line *line) {
        for (size_t i = 0; i < taps->n; i++) {
                const struct usage_tap *tap = &taps->tap[i];
                uint64_t download = tap->download_bytes, upload = tap->upload_bytes, index = 0;

                if (!tap->counted &&
                    (!read_counter(sys_dir, tap->name, "statistics/tx_bytes", &download) ||
                     !read_counter(sys_dir, tap->name, "statistics/rx_bytes", &upload) ||
                     !read_counter(sys_dir, tap->name, "ifindex", &index) ||
                     index != (uint64_t)tap->ifindex)) {
                        line->least |= USAGE_LEAST_NETWORK;
                        download = upload = 0;
                }
                add(&line->download_bytes, download);
                add(&line->upload_bytes, upload);
        }
}

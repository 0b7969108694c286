/* SPDX-License-Identifier: MIT */
/*
 * What VMs and slices have used, as the survey has it. The same table serves both, under names of
 * their own, for a slice's are not the sum of its VMs': those that have ended are in it.
 */
#include <stdio.h>
#include <string.h>

#include <broker/metrics.h>
#include <broker/stats.h>

#define USEC UINT64_C(1000000)

enum subject { SUBJECT_VM, SUBJECT_SLICE, _SUBJECT_N };

/* A number of struct usage. Rows of one family follow each other. */
struct row {
        struct metrics_family family[_SUBJECT_N];
        uint32_t known; /* its bit */
        size_t offset;  /* in struct usage */
        uint64_t divisor;
        const char *label; /* NULL: none */
};

#define ROW(name, type, labels, help, bit, member, divisor, label)                                 \
        {                                                                                          \
                {{"provium_vm_" name, type, "vm slice" labels, help " of the VM."},                \
                 {"provium_slice_" name, type, "slice" labels,                                     \
                  help " of the slice and all that was in it."}},                                  \
                        bit, offsetof(struct usage, member), divisor, label                        \
        }
#define WAITING "Time in which some task waited for the resource,"
#define STALLED "Time in which all tasks waited for the resource,"
#define PSI(name, help, bit, member, resource)                                                     \
        ROW(name, METRICS_COUNTER, " resource", help, bit, member, USEC,                           \
            "resource=\"" resource "\"")

static const struct row rows[] = {
        ROW("cpu_seconds_total", METRICS_COUNTER, "", "CPU time", USAGE_CPU, cpu_usec, USEC, NULL),
        ROW("cpu_periods_total", METRICS_COUNTER, "", "Periods of cpu.max that had work",
            USAGE_PERIODS, periods, 1, NULL),
        ROW("cpu_throttled_periods_total", METRICS_COUNTER, "",
            "Periods of cpu.max in which it ran out", USAGE_PERIODS, throttled_periods, 1, NULL),
        ROW("cpu_throttled_seconds_total", METRICS_COUNTER, "", "Time for which cpu.max held tasks",
            USAGE_PERIODS, throttled_usec, USEC, NULL),
        ROW("memory_bytes", METRICS_GAUGE, "", "Memory, page cache included,", USAGE_MEMORY,
            memory_bytes, 1, NULL),
        ROW("memory_peak_bytes", METRICS_GAUGE, "", "The most memory at a time", USAGE_MEMORY_PEAK,
            memory_peak_bytes, 1, NULL),
        ROW("oom_kills_total", METRICS_COUNTER, "", "Processes killed for want of memory",
            USAGE_OOM, oom_kills, 1, NULL),
        ROW("processes", METRICS_GAUGE, "", "Processes and threads", USAGE_PROCESSES, processes, 1,
            NULL),
        PSI("pressure_waiting_seconds_total", WAITING, USAGE_PSI_CPU, waiting_usec[USAGE_WAITS_CPU],
            "cpu"),
        PSI("pressure_waiting_seconds_total", WAITING, USAGE_PSI_MEMORY,
            waiting_usec[USAGE_WAITS_MEMORY], "memory"),
        PSI("pressure_waiting_seconds_total", WAITING, USAGE_PSI_IO, waiting_usec[USAGE_WAITS_IO],
            "io"),
        PSI("pressure_stalled_seconds_total", STALLED, USAGE_PSI_CPU, stalled_usec[USAGE_WAITS_CPU],
            "cpu"),
        PSI("pressure_stalled_seconds_total", STALLED, USAGE_PSI_MEMORY,
            stalled_usec[USAGE_WAITS_MEMORY], "memory"),
        PSI("pressure_stalled_seconds_total", STALLED, USAGE_PSI_IO, stalled_usec[USAGE_WAITS_IO],
            "io"),
};

enum disk_family { DISK_BYTES, DISK_OPERATIONS, _DISK_FAMILY_N };

static const struct metrics_family disks[_SUBJECT_N][_DISK_FAMILY_N] = {
        {{"provium_vm_io_bytes_total", METRICS_COUNTER, "vm slice device direction",
          "Bytes that the VM moved from and to the block device."},
         {"provium_vm_io_operations_total", METRICS_COUNTER, "vm slice device direction",
          "Operations of the VM on the block device."}},
        {{"provium_slice_io_bytes_total", METRICS_COUNTER, "slice device direction",
          "Bytes that the slice, and all that was in it, moved from and to the block device."},
         {"provium_slice_io_operations_total", METRICS_COUNTER, "slice device direction",
          "Operations of the slice, and all that was in it, on the block device."}},
};

enum vm_family {
        VM_INFO,
        VM_CPUS,
        VM_MEMORY,
        VM_MEMORY_LIMIT,
        VM_NETWORK_BYTES,
        VM_NETWORK_PACKETS,
        VM_NETWORK_DROPS,
        VM_SHAPING_DROPS,
        _VM_FAMILY_N,
};

static const struct metrics_family vms[_VM_FAMILY_N] = {
        [VM_INFO] = {"provium_vm_info", METRICS_GAUGE, "vm slice id uid",
                     "1; whose VM it is, and the name of its lease."},
        [VM_CPUS] = {"provium_vm_claimed_cores", METRICS_GAUGE, "vm slice",
                     "CPUs that the VM was sold."},
        [VM_MEMORY] = {"provium_vm_claimed_memory_bytes", METRICS_GAUGE, "vm slice",
                       "Memory that the VM was sold, with what its hypervisor needs."},
        [VM_MEMORY_LIMIT] = {"provium_vm_memory_limit_bytes", METRICS_GAUGE, "vm slice",
                             "memory.max of the VM, if it has one."},
        [VM_NETWORK_BYTES] = {"provium_vm_network_bytes_total", METRICS_COUNTER,
                              "vm slice direction",
                              "Bytes that the VM sent (upload) and was sent (download)."},
        [VM_NETWORK_PACKETS] = {"provium_vm_network_packets_total", METRICS_COUNTER,
                                "vm slice direction", "Frames, likewise."},
        [VM_NETWORK_DROPS] = {"provium_vm_network_dropped_packets_total", METRICS_COUNTER,
                              "vm slice direction", "Frames that the VM's taps lost."},
        [VM_SHAPING_DROPS] = {"provium_vm_network_shaped_packets_total", METRICS_COUNTER,
                              "vm slice direction",
                              "Frames that were dropped because they were above the VM's limit."},
};

/* Those that are shown, with their labels, which are made once. */
struct shown {
        const struct usage *usage;
        const struct survey_vm *vm; /* NULL: a slice */
        char labels[2 * TEXT_NAME_MAX + 48];
};

struct list {
        struct shown *entries;
        size_t n;
};

static struct list list_vms(const struct metrics *metrics) {
        const struct survey *survey = metrics->survey;
        struct list list = {.entries = calloc(survey->n_vms + 1, sizeof(*list.entries))};

        for (size_t i = 0; list.entries && i < survey->n_vms && list.n < METRICS_VMS_MAX; i++) {
                const struct survey_vm *vm = &survey->vms[i];
                struct shown *entry = &list.entries[list.n];

                if (!stats_visible(vm, metrics->uid))
                        continue;
                *entry = (struct shown){.usage = &vm->usage, .vm = vm};
                metrics_label(entry->labels, sizeof(entry->labels), "vm", vm->name);
                metrics_label(entry->labels, sizeof(entry->labels), "slice",
                              survey->slices[vm->slice].name);
                list.n++;
        }
        return list;
}

static struct list list_slices(const struct metrics *metrics) {
        const struct survey *survey = metrics->survey;
        struct list list = {.entries = calloc(survey->n_slices + 1, sizeof(*list.entries))};

        for (size_t i = 0; list.entries && i < survey->n_slices; i++) {
                struct shown *entry = &list.entries[list.n];

                if (!survey->slices[i].present)
                        continue;
                *entry = (struct shown){.usage = &survey->slices[i].usage};
                metrics_label(entry->labels, sizeof(entry->labels), "slice",
                              survey->slices[i].name);
                list.n++;
        }
        return list;
}

static void render_rows(struct metrics *metrics, enum subject subject, const struct list *list) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct row *row = &rows[i];
                const struct metrics_family *family = &row->family[subject];

                if (i == 0 || strcmp(family->name, rows[i - 1].family[subject].name) != 0)
                        metrics_begin(&metrics->text, family);
                for (size_t j = 0; j < list->n; j++) {
                        const struct usage *usage = list->entries[j].usage;
                        uint64_t value;

                        if (!(usage->known & row->known))
                                continue;
                        memcpy(&value, (const char *)usage + row->offset, sizeof(value));
                        metrics_sample_more(&metrics->text, family, list->entries[j].labels,
                                            row->label, value, row->divisor);
                }
        }
}

static void render_disk(struct metrics *metrics, const struct metrics_family *family,
                        const struct shown *entry, const struct usage_disk *disk,
                        enum disk_family which) {
        const struct {
                const char *direction;
                uint64_t value;
        } ways[] = {
                {"read", which == DISK_BYTES ? disk->read_bytes : disk->reads},
                {"write", which == DISK_BYTES ? disk->written_bytes : disk->writes},
                {"discard", which == DISK_BYTES ? disk->discarded_bytes : disk->discards},
        };

        for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
                char labels[METRICS_LABELS_MAX] = "";

                metrics_label(labels, sizeof(labels), "device",
                              survey_device_name(metrics->survey, disk->dev));
                metrics_label(labels, sizeof(labels), "direction", ways[i].direction);
                metrics_sample_more(&metrics->text, family, entry->labels, labels, ways[i].value,
                                    1);
        }
}

static void render_disks(struct metrics *metrics, enum subject subject, const struct list *list) {
        for (unsigned i = 0; i < _DISK_FAMILY_N; i++) {
                const struct metrics_family *family = &disks[subject][i];

                metrics_begin(&metrics->text, family);
                for (size_t j = 0; j < list->n; j++) {
                        const struct usage *usage = list->entries[j].usage;

                        for (size_t k = 0; k < min_u64(usage->n_disks, METRICS_DISKS_MAX); k++)
                                render_disk(metrics, family, &list->entries[j],
                                            &metrics->survey->disks.list[usage->first_disk + k], i);
                }
        }
}

static void render_info(struct metrics *metrics, const struct shown *entry) {
        char labels[METRICS_LABELS_MAX] = "", uid[16];

        snprintf(uid, sizeof(uid), "%u", entry->vm->uid);
        metrics_label(labels, sizeof(labels), "id", entry->vm->id);
        metrics_label(labels, sizeof(labels), "uid", uid);
        metrics_sample_more(&metrics->text, &vms[VM_INFO], entry->labels, labels, 1, 1);
}

static void render_claims(struct metrics *metrics, const struct list *list) {
        struct metrics_text *text = &metrics->text;

        metrics_begin(text, &vms[VM_INFO]);
        for (size_t i = 0; i < list->n; i++) {
                render_info(metrics, &list->entries[i]);
        }
        metrics_begin(text, &vms[VM_CPUS]);
        for (size_t i = 0; i < list->n; i++)
                metrics_sample(text, &vms[VM_CPUS], list->entries[i].labels,
                               list->entries[i].vm->charge[RESOURCE_CPU], 1000);
        metrics_begin(text, &vms[VM_MEMORY]);
        for (size_t i = 0; i < list->n; i++)
                metrics_sample(text, &vms[VM_MEMORY], list->entries[i].labels,
                               list->entries[i].vm->charge[RESOURCE_MEMORY], 1);
        metrics_begin(text, &vms[VM_MEMORY_LIMIT]);
        for (size_t i = 0; i < list->n; i++)
                if (list->entries[i].vm->memory_limit_bytes != UINT64_MAX)
                        metrics_sample(text, &vms[VM_MEMORY_LIMIT], list->entries[i].labels,
                                       list->entries[i].vm->memory_limit_bytes, 1);
}

static uint64_t traffic_value(const struct survey_traffic *traffic, enum vm_family family) {
        switch (family) {
        case VM_NETWORK_BYTES:
                return traffic->bytes;
        case VM_NETWORK_PACKETS:
                return traffic->packets;
        case VM_NETWORK_DROPS:
                return traffic->drops;
        case VM_SHAPING_DROPS:
                return traffic->shaping_drops;
        case VM_INFO:
        case VM_CPUS:
        case VM_MEMORY:
        case VM_MEMORY_LIMIT:
        case _VM_FAMILY_N:
                break;
        }
        assert(!"a family of traffic");
        return 0;
}

static void render_traffic(struct metrics *metrics, const struct list *list) {
        for (enum vm_family i = VM_NETWORK_BYTES; i < _VM_FAMILY_N; i++) {
                metrics_begin(&metrics->text, &vms[i]);
                for (size_t j = 0; j < list->n; j++) {
                        const struct shown *entry = &list->entries[j];

                        if (i == VM_SHAPING_DROPS ? !entry->vm->has_shaping
                                                  : !entry->vm->has_traffic)
                                continue;
                        metrics_sample_more(&metrics->text, &vms[i], entry->labels,
                                            "direction=\"download\"",
                                            traffic_value(&entry->vm->download, i), 1);
                        metrics_sample_more(&metrics->text, &vms[i], entry->labels,
                                            "direction=\"upload\"",
                                            traffic_value(&entry->vm->upload, i), 1);
                }
        }
}

static void render_all_slices(struct metrics *metrics, const struct list *list) {
        render_rows(metrics, SUBJECT_SLICE, list);
        render_disks(metrics, SUBJECT_SLICE, list);
}

static void render_all_vms(struct metrics *metrics, const struct list *list) {
        render_claims(metrics, list);
        render_rows(metrics, SUBJECT_VM, list);
        render_disks(metrics, SUBJECT_VM, list);
        render_traffic(metrics, list);
}

void metrics_render_usage(struct metrics *metrics) {
        struct list slices = list_slices(metrics), machines = list_vms(metrics);

        if (slices.entries && machines.entries) {
                render_all_slices(metrics, &slices);
                render_all_vms(metrics, &machines);
        } else {
                metrics->text.failed = true;
        }
        free(slices.entries);
        free(machines.entries);
}

void metrics_each_usage_family(void (*fn)(void *userdata, const struct metrics_family *family),
                               void *userdata) {
        for (unsigned subject = _SUBJECT_N; subject-- > 0;) {
                for (size_t i = 0; subject == SUBJECT_VM && i < _VM_FAMILY_N; i++)
                        fn(userdata, &vms[i]);
                for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                        if (i == 0 || strcmp(rows[i].family[subject].name,
                                             rows[i - 1].family[subject].name) != 0)
                                fn(userdata, &rows[i].family[subject]);
                for (unsigned i = 0; i < _DISK_FAMILY_N; i++)
                        fn(userdata, &disks[subject][i]);
        }
}

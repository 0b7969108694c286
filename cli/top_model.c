/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <cli/human.h>
#include <cli/top_model.h>

/* Two samples closer than this to each other make no rate worth to be shown. */
#define APART_MIN_USEC 20000

void top_model_init(struct top_model *model) {
        *model = (struct top_model){.n_host_vms = TOP_UNKNOWN, .n_host_waiting = TOP_UNKNOWN};
        for (size_t i = 0; i < _TOP_PRESSURE_N; i++)
                model->pressure[i] = (struct top_psi){-1, -1};
}

void top_model_deinit(struct top_model *model) {
        free(model->vms);
        free(model->waiting);
        json_decref(model->parts);
        json_decref(model->next);
        free(model->before.list);
        free(model->now.list);
        *model = (struct top_model){};
}

uint64_t top_sum(uint64_t a, uint64_t b) {
        if (a == TOP_UNKNOWN || b == TOP_UNKNOWN)
                return a == TOP_UNKNOWN ? b : a;
        return a + b;
}

uint64_t top_share(uint64_t used, uint64_t whole) {
        if (used == TOP_UNKNOWN || whole == TOP_UNKNOWN || whole == 0)
                return TOP_UNKNOWN;
        return (uint64_t)((double)used * 1000.0 / (double)whole + 0.5);
}

static uint64_t number(const json_t *object, const char *key) {
        uint64_t value;

        return human_number(object, key, &value) ? value : TOP_UNKNOWN;
}

/* ---- the list ---- */

int top_model_begin_list(struct top_model *model) {
        json_decref(model->next);
        model->next = json_array();
        return model->next ? 0 : fault(-ENOMEM);
}

int top_model_add_list(struct top_model *model, json_t *parameters) {
        return json_array_append(model->next, parameters) == 0 ? 0 : fault(-ENOMEM);
}

static struct top_claim claim_of(const json_t *object) {
        const json_t *charge = json_object_get(object, "charge");

        return (struct top_claim){
                .cpu_milli = number(charge, "cpu"),
                .memory_bytes = number(charge, "memory"),
                .disk_io = number(charge, "disk_io"),
                .network = number(charge, "network"),
        };
}

static struct top_vm vm_of(const json_t *object) {
        return (struct top_vm){
                .id = human_string(object, "id"),
                .name = human_string(object, "name"),
                .slice = human_string(object, "slice"),
                .state = human_string(object, "state"),
                .detail = human_string(object, "detail"),
                .command = human_string(object, "command"),
                .uid = number(object, "uid"),
                .pid = number(object, "pid"),
                .created_ns = number(object, "created_ns"),
                .claim = claim_of(object),
                .cpu_milli = TOP_UNKNOWN,
                .memory_bytes = TOP_UNKNOWN,
                .read_bytes_per_s = TOP_UNKNOWN,
                .write_bytes_per_s = TOP_UNKNOWN,
                .down_bytes_per_s = TOP_UNKNOWN,
                .up_bytes_per_s = TOP_UNKNOWN,
                .held_permille = TOP_UNKNOWN,
        };
}

static struct top_waiting waiting_of(const json_t *object) {
        return (struct top_waiting){
                .name = human_string(object, *human_string(object, "name") ? "name" : "ticket_id"),
                .slice = human_string(object, "slice"),
                .reason = human_string(object, "reason"),
                .detail = human_string(object, "detail"),
                .uid = number(object, "uid"),
                .position = number(object, "position"),
                .since_ns = number(object, "since_ns"),
                .claim = claim_of(object),
        };
}

static size_t count(const json_t *parts, const char *key) {
        size_t n = 0;

        for (size_t i = 0; i < json_array_size(parts); i++)
                n += json_array_size(json_object_get(json_array_get(parts, i), key));
        return n;
}

/* What is known of a VM's use stays until there is news of it. */
static void keep_usage(struct top_vm *vm, const struct top_vm *old) {
        vm->cpu_milli = old->cpu_milli;
        vm->memory_bytes = old->memory_bytes;
        vm->read_bytes_per_s = old->read_bytes_per_s;
        vm->write_bytes_per_s = old->write_bytes_per_s;
        vm->down_bytes_per_s = old->down_bytes_per_s;
        vm->up_bytes_per_s = old->up_bytes_per_s;
        vm->held_permille = old->held_permille;
}

static int compare_ids(const void *a, const void *b) {
        return strcmp(((const struct top_vm *)a)->id, ((const struct top_vm *)b)->id);
}

struct top_vm *top_model_find(const struct top_model *model, const char *id) {
        struct top_vm key = {.id = id};

        return model->n_vms ? bsearch(&key, model->vms, model->n_vms, sizeof(key), compare_ids)
                            : NULL;
}

static void fill(const struct top_model *model, struct top_vm *vms, struct top_waiting *waiting) {
        for (size_t p = 0; p < json_array_size(model->next); p++) {
                const json_t *part = json_array_get(model->next, p), *list;

                list = json_object_get(part, "vms");
                for (size_t i = 0; i < json_array_size(list); i++, vms++) {
                        const struct top_vm *old;

                        *vms = vm_of(json_array_get(list, i));
                        old = top_model_find(model, vms->id);
                        if (old)
                                keep_usage(vms, old);
                }
                list = json_object_get(part, "waiting");
                for (size_t i = 0; i < json_array_size(list); i++)
                        *waiting++ = waiting_of(json_array_get(list, i));
        }
}

int top_model_end_list(struct top_model *model) {
        size_t n_vms = count(model->next, "vms"), n_waiting = count(model->next, "waiting");
        _cleanup_(freep) struct top_vm *vms = calloc(n_vms + 1, sizeof(*vms));
        _cleanup_(freep) struct top_waiting *waiting = calloc(n_waiting + 1, sizeof(*waiting));

        if (!vms || !waiting)
                return fault(-ENOMEM);
        fill(model, vms, waiting);
        qsort(vms, n_vms, sizeof(*vms), compare_ids);
        free(model->vms);
        free(model->waiting);
        json_decref(model->parts);
        model->vms = take(vms);
        model->n_vms = n_vms;
        model->waiting = take(waiting);
        model->n_waiting = n_waiting;
        model->parts = take(model->next);
        return 0;
}

/* ---- use ---- */

void top_model_begin_usage(struct top_model *model) {
        struct top_samples old = model->before;

        model->before = model->now;
        model->now = old;
        model->now.n = 0;
}

/* What a counter grew by in a second; unknown if it went back: it is another one. */
static uint64_t rate(uint64_t before, uint64_t now, uint64_t elapsed_usec) {
        if (before == TOP_UNKNOWN || now == TOP_UNKNOWN || now < before)
                return TOP_UNKNOWN;
        return (uint64_t)((double)(now - before) * 1e6 / (double)elapsed_usec + 0.5);
}

static int compare_samples(const void *a, const void *b) {
        return strcmp(((const struct top_sample *)a)->id, ((const struct top_sample *)b)->id);
}

/* Which share of the periods in which it ran were cut short by its limit. */
static uint64_t held(const struct top_sample *before, const struct top_sample *now) {
        if (before->periods == TOP_UNKNOWN || now->periods == TOP_UNKNOWN ||
            before->held_periods == TOP_UNKNOWN || now->held_periods == TOP_UNKNOWN ||
            now->periods < before->periods || now->held_periods < before->held_periods)
                return TOP_UNKNOWN;
        return now->periods == before->periods ? 0
                                               : top_share(now->held_periods - before->held_periods,
                                                           now->periods - before->periods);
}

static void take_rates(struct top_vm *vm, const struct top_sample *before,
                       const struct top_sample *now) {
        uint64_t elapsed = now->at_usec - before->at_usec;
        uint64_t cpu = rate(before->cpu_usec, now->cpu_usec, elapsed);

        vm->cpu_milli = cpu == TOP_UNKNOWN ? cpu : (cpu + 500) / 1000;
        vm->held_permille = held(before, now);
        vm->read_bytes_per_s = rate(before->read_bytes, now->read_bytes, elapsed);
        vm->write_bytes_per_s = rate(before->written_bytes, now->written_bytes, elapsed);
        vm->down_bytes_per_s = rate(before->down_bytes, now->down_bytes, elapsed);
        vm->up_bytes_per_s = rate(before->up_bytes, now->up_bytes, elapsed);
}

int top_model_add_sample(struct top_model *model, const struct top_sample *sample,
                         uint64_t memory_bytes) {
        struct top_samples *now = &model->now;
        struct top_vm *vm = top_model_find(model, sample->id);

        if (now->n == now->size) {
                size_t size = now->size ? 2 * now->size : 64;
                struct top_sample *list = realloc(now->list, size * sizeof(*list));

                if (!list)
                        return fault(-ENOMEM);
                now->list = list;
                now->size = size;
        }
        now->list[now->n++] = *sample;
        if (vm)
                vm->memory_bytes = memory_bytes;
        return 0;
}

void top_model_end_usage(struct top_model *model) {
        qsort(model->now.list, model->now.n, sizeof(*model->now.list), compare_samples);
        for (size_t i = 0; i < model->now.n; i++) {
                const struct top_sample *now = &model->now.list[i], *before = NULL;
                struct top_vm *vm = top_model_find(model, now->id);

                if (model->before.n)
                        before = bsearch(now, model->before.list, model->before.n, sizeof(*now),
                                         compare_samples);
                if (vm && before && now->at_usec >= before->at_usec + APART_MIN_USEC)
                        take_rates(vm, before, now);
        }
}

uint64_t top_model_apart_usec(const struct top_model *model) {
        if (!model->now.n || !model->before.n ||
            model->now.list[0].at_usec < model->before.list[0].at_usec + APART_MIN_USEC)
                return TOP_UNKNOWN;
        return model->now.list[0].at_usec - model->before.list[0].at_usec;
}

/* ---- the host ---- */

static double real(const json_t *object, const char *key) {
        const json_t *value = json_object_get(object, key);

        return json_is_number(value) ? json_number_value(value) : -1;
}

static void take_resource(struct top_resource *resource, const json_t *row) {
        bool known = strcmp(human_string(row, "source"), "unknown") != 0;

        *resource = (struct top_resource){
                .there = json_is_object(row),
                .enforced = !json_is_false(json_object_get(row, "enforced")),
                .capacity = known ? number(row, "capacity") : TOP_UNKNOWN,
                .limit = known ? number(row, "effective_limit") : TOP_UNKNOWN,
                .sold = number(row, "allocated"),
                .guaranteed = number(row, "guaranteed"),
                .used = TOP_UNKNOWN,
                .ratio = real(row, "oversub_ratio"),
        };
}

static void take_pressure(struct top_model *model, const json_t *pressure) {
        static const char *const keys[] = {"cpu", "memory", "io"};

        for (size_t i = 0; i < _TOP_PRESSURE_N; i++) {
                const json_t *row = json_object_get(pressure, keys[i]);

                model->pressure[i] =
                        (struct top_psi){real(row, "some_avg10"), real(row, "full_avg10")};
        }
}

/* What lies on the disk, by what it is. */
static uint64_t disk_used(const json_t *resources) {
        static const char *const keys[] = {"images_bytes", "oci_cache_bytes", "volumes_bytes",
                                           "overlays_bytes"};
        const json_t *breakdown = json_object_get(resources, "disk_breakdown");
        uint64_t sum = TOP_UNKNOWN;

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                sum = top_sum(sum, number(breakdown, keys[i]));
        return sum;
}

/* What all VMs that we are shown use together. */
static void sum_usage(struct top_model *model) {
        uint64_t cpu = TOP_UNKNOWN, memory = TOP_UNKNOWN, io = TOP_UNKNOWN, down = TOP_UNKNOWN,
                 up = TOP_UNKNOWN;
        struct top_resource *rows = model->resources;

        for (size_t i = 0; i < model->n_vms; i++) {
                const struct top_vm *vm = &model->vms[i];

                cpu = top_sum(cpu, vm->cpu_milli);
                memory = top_sum(memory, vm->memory_bytes);
                io = top_sum(io, top_sum(vm->read_bytes_per_s, vm->write_bytes_per_s));
                down = top_sum(down, vm->down_bytes_per_s);
                up = top_sum(up, vm->up_bytes_per_s);
        }
        rows[RESOURCE_CPU].used = cpu;
        rows[RESOURCE_MEMORY].used = memory;
        rows[RESOURCE_DISK_IO].used = io;
        rows[RESOURCE_NETWORK].used = down;
        rows[RESOURCE_NETWORK_UPLOAD].used = up;
        /* One axis for both ways is charged with the larger. */
        if (!rows[RESOURCE_NETWORK_UPLOAD].there && up != TOP_UNKNOWN &&
            (down == TOP_UNKNOWN || up > down))
                rows[RESOURCE_NETWORK].used = up;
}

void top_model_take_resources(struct top_model *model, const json_t *parameters) {
        const json_t *resources = json_object_get(parameters, "resources") ?: parameters;
        const json_t *gates = json_object_get(resources, "gates");
        const json_t *queue = json_object_get(resources, "queue");
        const json_t *gpu = json_object_get(resources, "gpu");

        for (size_t i = 0; i < _RESOURCE_N; i++)
                take_resource(&model->resources[i],
                              json_object_get(resources, resource_name((enum resource)i)));
        take_pressure(model, json_object_get(resources, "pressure"));
        snprintf(model->gate, sizeof(model->gate), "%s", human_string(gates, "pressure"));
        model->draining = json_is_true(json_object_get(gates, "draining"));
        model->n_host_waiting = number(queue, "waiting");
        model->n_host_vms = number(queue, "vms");
        model->vms_max = number(queue, "vms_max");
        sum_usage(model);
        model->resources[RESOURCE_DISK].used = disk_used(resources);
        model->resources[RESOURCE_GPU].used = number(gpu, "used_slots");
}

/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <broker/broker.h>
#include <broker/stats.h>

/* What is owed to one who asked. */
struct stats_call {
        struct connection *connection;
        struct survey_asker asker;
        struct survey *survey; /* NULL: there is none yet */
        size_t next;           /* the first VM that was not told */
        char vm[TEXT_NAME_MAX + 1];
};

/* ---- as JSON ---- */

static void add(json_t *object, const char *key, uint64_t value) {
        json_object_set_new(object, key, json_integer((json_int_t)min_u64(value, INT64_MAX)));
}

static void add_cpu(json_t *object, const struct usage *usage) {
        if (usage->known & USAGE_CPU)
                add(object, "cpu_usec", usage->cpu_usec);
        if (usage->known & USAGE_PERIODS) {
                add(object, "periods", usage->periods);
                add(object, "throttled_periods", usage->throttled_periods);
                add(object, "throttled_usec", usage->throttled_usec);
        }
}

static void add_memory(json_t *object, const struct usage *usage) {
        if (usage->known & USAGE_MEMORY)
                add(object, "memory", usage->memory_bytes);
        if (usage->known & USAGE_MEMORY_PEAK)
                add(object, "memory_peak", usage->memory_peak_bytes);
        if (usage->known & USAGE_OOM)
                add(object, "oom_kills", usage->oom_kills);
        if (usage->known & USAGE_PROCESSES)
                add(object, "processes", usage->processes);
}

static void add_disks(json_t *object, const struct survey *survey, const struct usage *usage) {
        json_t *array;

        if (!(usage->known & USAGE_IO))
                return;
        array = json_array();
        for (size_t i = 0; i < usage->n_disks; i++) {
                const struct usage_disk *disk = &survey->disks.list[usage->first_disk + i];

                json_array_append_new(array,
                                      json_pack("{s:s s:I s:I s:I s:I}", "disk",
                                                survey_device_name(survey, disk->dev), "read_bytes",
                                                (json_int_t)disk->read_bytes, "written_bytes",
                                                (json_int_t)disk->written_bytes, "reads",
                                                (json_int_t)disk->reads, "writes",
                                                (json_int_t)disk->writes));
        }
        json_object_set_new(object, "disks", array);
}

static void add_pressure(json_t *object, const struct usage *usage) {
        static const char *const names[_USAGE_PSI_N] = {"cpu", "memory", "io"};
        json_t *pressure = json_object();

        for (unsigned i = 0; pressure && i < _USAGE_PSI_N; i++)
                if (usage->known & USAGE_PSI_CPU << i)
                        json_object_set_new(pressure, names[i],
                                            json_pack("{s:I s:I}", "waiting_usec",
                                                      (json_int_t)usage->waiting_usec[i],
                                                      "stalled_usec",
                                                      (json_int_t)usage->stalled_usec[i]));
        json_object_set_new(object, "pressure", pressure);
}

static json_t *report_traffic(const struct survey_traffic *traffic, bool has_shaping) {
        json_t *object =
                json_pack("{s:I s:I s:I}", "bytes", (json_int_t)traffic->bytes, "packets",
                          (json_int_t)traffic->packets, "drops", (json_int_t)traffic->drops);

        if (object && has_shaping)
                add(object, "shaping_drops", traffic->shaping_drops);
        return object;
}

static void add_usage(json_t *object, const struct survey *survey, const struct usage *usage) {
        add_cpu(object, usage);
        add_memory(object, usage);
        add_disks(object, survey, usage);
        add_pressure(object, usage);
}

json_t *stats_vm(const struct survey *survey, const struct survey_vm *vm) {
        json_t *object;

        object = json_pack("{s:s s:s s:s s:i s:s}", "id", vm->id, "name", vm->name, "slice",
                           survey->slices[vm->slice].name, "uid", (int)vm->uid, "state",
                           lease_state_name(vm->state));
        if (!object)
                return NULL;
        add(object, "cpu", vm->charge[RESOURCE_CPU]);
        add(object, "memory_charge", vm->charge[RESOURCE_MEMORY]);
        if (vm->memory_limit_bytes != UINT64_MAX)
                add(object, "memory_limit", vm->memory_limit_bytes);
        add_usage(object, survey, &vm->usage);
        if (vm->has_traffic) {
                json_object_set_new(object, "download",
                                    report_traffic(&vm->download, vm->has_shaping));
                json_object_set_new(object, "upload", report_traffic(&vm->upload, vm->has_shaping));
        }
        return object;
}

json_t *stats_slice(const struct survey *survey, const struct survey_slice *slice) {
        json_t *object = json_pack("{s:s}", "name", slice->name);

        if (object)
                add_usage(object, survey, &slice->usage);
        return object;
}

bool stats_visible(const struct survey_vm *vm, uid_t uid) {
        return vm->present && (uid == 0 || vm->uid == uid);
}

/* ---- who asked ---- */

void stats_forget(struct connection *connection) {
        struct stats_call *call = connection->stats;

        if (!call)
                return;
        survey_leave(connection->broker, &call->asker);
        survey_unref(call->survey);
        free(take(connection->stats));
}

static bool asked_for(const struct stats_call *call, const struct survey_vm *vm) {
        return stats_visible(vm, call->connection->uid) &&
               (call->vm[0] == '\0' || strcmp(call->vm, vm->name) == 0 ||
                strcmp(call->vm, vm->id) == 0);
}

/* At most @max more; the slices come with the last. */
static json_t *report(struct stats_call *call, size_t max, bool *endp) {
        json_t *vms = json_array(), *slices = json_array();
        const struct survey *survey = call->survey;
        size_t n = 0;

        for (; call->next < survey->n_vms; call->next++) {
                const struct survey_vm *vm = &survey->vms[call->next];

                if (!asked_for(call, vm))
                        continue;
                if (n++ == max)
                        break;
                json_array_append_new(vms, stats_vm(survey, vm));
        }
        *endp = call->next == survey->n_vms;
        for (size_t i = 0; *endp && i < survey->n_slices && call->vm[0] == '\0'; i++)
                if (survey->slices[i].present)
                        json_array_append_new(slices, stats_slice(survey, &survey->slices[i]));
        return json_pack("{s:I s:o s:o}", "taken_ns", (json_int_t)survey->begun_realtime_ns, "vms",
                         vms, "slices", slices);
}

int stats_part(struct connection *connection) {
        bool end;
        json_t *part = report(connection->stats, STATS_PART, &end);

        connection->listing = !end;
        if (end)
                stats_forget(connection);
        return connection_reply(connection, part, !end);
}

static int answer(struct connection *connection) {
        json_t *whole;
        bool end;

        if (connection->more)
                return stats_part(connection);
        whole = report(connection->stats, STATS_WHOLE, &end);
        stats_forget(connection);
        if (whole && !end) {
                json_decref(whole);
                return connection_error(connection, "Invalid", json_pack("{s:s}", "field", "more"),
                                        "more: there is too much for one answer; call Stats with "
                                        "it");
        }
        return connection_reply(connection, whole, false);
}

static int on_told(struct survey_asker *asker, struct survey *survey) {
        struct stats_call *call = container_of(asker, struct stats_call, asker);
        struct connection *connection = call->connection;
        int r;

        if (!survey) {
                stats_forget(connection);
                r = connection_error(connection, "Failed", NULL,
                                     "the broker got no thread from the kernel to look at the VMs");
        } else {
                call->survey = survey_ref(survey);
                r = answer(connection);
        }
        return r ?: connection->dead ? 0 : connection_watch(connection);
}

int stats_ask(struct connection *connection, const char *vm) {
        struct stats_call *call = calloc(1, sizeof(*call));

        if (!call)
                return fault(-ENOMEM);
        call->connection = connection;
        call->asker.told = on_told;
        strcpy(call->vm, vm);
        connection->stats = call;
        return survey_ask(connection->broker, &call->asker);
}

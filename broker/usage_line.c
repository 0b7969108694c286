/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include <broker/usage_line.h>

static const struct {
        unsigned bit;
        const char *name;
} leasts[] = {
        {USAGE_LEAST_CPU, "cpu"},
        {USAGE_LEAST_DISK, "disk"},
        {USAGE_LEAST_NETWORK, "network"},
};

uint64_t usage_memory_time(uint64_t memory_bytes, uint64_t usec) {
        unsigned __int128 time = (unsigned __int128)memory_bytes * usec / 1000 / (1024 * 1024);

        return time > INT64_MAX ? INT64_MAX : (uint64_t)time;
}

/* JSON has no larger ones. */
static uint64_t number(uint64_t value) {
        return value > INT64_MAX ? INT64_MAX : value;
}

static size_t format_least(unsigned least, char *text, size_t size) {
        size_t used = 0;

        for (size_t i = 0; i < ARRAY_SIZE(leasts); i++)
                if (least & leasts[i].bit)
                        used += (size_t)snprintf(text + used, size - used, "%s\"%s\"",
                                                 used ? "," : "", leasts[i].name);
        text[used] = '\0';
        return used;
}

/* By hand: it is made while a VM is released. Names need no quoting, and reasons are words of ours;
 * 18 numbers of at most 19 digits, and four names of at most 63 bytes. */
size_t usage_line_format(const struct usage_line *line, char text[USAGE_LINE_MAX]) {
        char least[48], end[32] = "";
        const uint64_t *claim = line->claim.amount;
        int n;

        format_least(line->least, least, sizeof(least));
        if (line->signal > 0)
                snprintf(end, sizeof(end), "\"signal\":%d,", line->signal);
        else if (line->exit_code >= 0)
                snprintf(end, sizeof(end), "\"exit_code\":%d,", line->exit_code);
        n = snprintf(
                text, USAGE_LINE_MAX,
                "{\"id\":\"%s\",\"vm\":\"%s\",\"slice\":\"%s\",\"uid\":%u,%s\"end_ns\":%" PRIu64
                ",\"held_usec\":%" PRIu64 ",\"claim\":{\"cpu\":%" PRIu64 ",\"memory\":%" PRIu64
                ",\"disk\":%" PRIu64 ",\"disk_io\":%" PRIu64 ",\"network\":%" PRIu64
                ",\"gpu\":%" PRIu64 "},\"claimed_cpu_usec\":%" PRIu64
                ",\"claimed_memory_mib_ms\":%" PRIu64 ",\"cpu_usec\":%" PRIu64
                ",\"memory_peak\":%" PRIu64 ",\"read\":%" PRIu64 ",\"write\":%" PRIu64
                ",\"download\":%" PRIu64 ",\"upload\":%" PRIu64
                ",\"least\":[%s],%s\"oom\":%s,\"reason\":\"%s\"}\n",
                line->id, line->vm, line->slice, line->uid,
                line->running ? "\"running\":true," : "", number(line->end_ns),
                number(line->held_usec), number(claim[RESOURCE_CPU]),
                number(claim[RESOURCE_MEMORY]), number(claim[RESOURCE_DISK]),
                number(claim[RESOURCE_DISK_IO]), number(claim[RESOURCE_NETWORK]),
                number(claim[RESOURCE_GPU]), number(line->claimed_cpu_usec),
                number(line->claimed_memory_mib_ms), number(line->cpu_usec),
                number(line->memory_peak_bytes), number(line->read_bytes),
                number(line->write_bytes), number(line->download_bytes), number(line->upload_bytes),
                least, end, line->oom ? "true" : "false", line->reason);
        assert(n > 0 && n < USAGE_LINE_MAX);
        return (size_t)n;
}

static bool get_number(const json_t *object, const char *key, uint64_t *valuep) {
        const json_t *member = json_object_get(object, key);

        if (!json_is_integer(member) || json_integer_value(member) < 0)
                return false;
        *valuep = (uint64_t)json_integer_value(member);
        return true;
}

static bool get_claim(const json_t *object, struct demand *claim) {
        static const enum resource axes[] = {RESOURCE_CPU,     RESOURCE_MEMORY,  RESOURCE_DISK,
                                             RESOURCE_DISK_IO, RESOURCE_NETWORK, RESOURCE_GPU};
        const json_t *member = json_object_get(object, "claim");

        for (size_t i = 0; i < ARRAY_SIZE(axes); i++)
                if (!get_number(member, resource_name(axes[i]), &claim->amount[axes[i]]))
                        return false;
        return true;
}

static bool get_name(const json_t *object, const char *key, char *name, size_t size) {
        const char *text = json_string_value(json_object_get(object, key));

        return text && text_copy(name, size, text) &&
               (strcmp(key, "slice") == 0 ? text_check_slice(key, name, NULL)
                                          : text_check_name(key, name, NULL)) == 0;
}

static void get_end(const json_t *object, struct usage_line *line) {
        uint64_t value;

        if (get_number(object, "exit_code", &value) && value <= INT32_MAX)
                line->exit_code = (int)value;
        if (get_number(object, "signal", &value) && value <= 64)
                line->signal = (int)value;
        line->oom = json_is_true(json_object_get(object, "oom"));
}

static bool get_least(const json_t *object, unsigned *leastp) {
        const json_t *list = json_object_get(object, "least"), *member;
        size_t i;

        if (!json_is_array(list))
                return false;
        json_array_foreach(list, i, member)
                for (size_t j = 0; j < ARRAY_SIZE(leasts); j++)
                        if (json_is_string(member) &&
                            strcmp(json_string_value(member), leasts[j].name) == 0)
                                *leastp |= leasts[j].bit;
        return true;
}

static bool get_line(const json_t *object, struct usage_line *line) {
        uint64_t uid;

        if (!get_name(object, "reason", line->reason, sizeof(line->reason)) ||
            !get_name(object, "id", line->id, sizeof(line->id)) ||
            !get_name(object, "vm", line->vm, sizeof(line->vm)) ||
            !get_name(object, "slice", line->slice, sizeof(line->slice)) ||
            !get_number(object, "uid", &uid) || uid >= UINT32_MAX ||
            !get_number(object, "end_ns", &line->end_ns) ||
            !get_number(object, "held_usec", &line->held_usec) ||
            line->held_usec > line->end_ns / 1000 || !get_claim(object, &line->claim) ||
            !get_number(object, "claimed_cpu_usec", &line->claimed_cpu_usec) ||
            !get_number(object, "claimed_memory_mib_ms", &line->claimed_memory_mib_ms) ||
            !get_number(object, "cpu_usec", &line->cpu_usec) ||
            !get_number(object, "memory_peak", &line->memory_peak_bytes) ||
            !get_number(object, "read", &line->read_bytes) ||
            !get_number(object, "write", &line->write_bytes) ||
            !get_number(object, "download", &line->download_bytes) ||
            !get_number(object, "upload", &line->upload_bytes) || !get_least(object, &line->least))
                return false;
        line->uid = (uid_t)uid;
        line->running = json_is_true(json_object_get(object, "running"));
        get_end(object, line);
        return true;
}

bool usage_line_parse(struct usage_line *line, const char *text, size_t length) {
        struct usage_line result = USAGE_LINE_NULL;
        json_t *object;
        bool good;

        if (length == 0 || length >= USAGE_LINE_MAX)
                return false;
        object = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
        good = object && get_line(object, &result);
        json_decref(object);
        if (good)
                *line = result;
        return good;
}

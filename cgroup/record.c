/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <base/why.h>
#include <cgroup/record.h>

#define ATTR_LEASE "trusted.provium.lease"

/* The first line, for ever: "charge" and one NAME=NUMBER per resource. */
static int format_charge(const struct demand *charge, char *buffer, size_t size) {
        int used;

        used = snprintf(buffer, size, "charge");
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                used += snprintf(buffer + used, size - (size_t)used, " %s=%llu", resource_name(i),
                                 (unsigned long long)charge->amount[i]);
        used += snprintf(buffer + used, size - (size_t)used, "\n");
        return used;
}

static bool parse_number(const char **atp, const char *end, uint64_t *valuep) {
        const char *at = *atp;
        uint64_t value = 0;

        for (; at < end && *at >= '0' && *at <= '9'; at++)
                if (__builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
                        return false;
        if (at == *atp)
                return false;
        *atp = at;
        *valuep = value;
        return true;
}

/*
 * Every resource we know must be there once; names of a later version's resources are passed over.
 * Only the upload may be missing: versions that did not know it charged no direction apart.
 */
static bool parse_charge(const char *line, const char *end, struct demand *charge) {
        static const char word[] = "charge";
        bool seen[_RESOURCE_N] = {};
        struct demand result = {};

        if ((size_t)(end - line) < sizeof(word) - 1 || memcmp(line, word, sizeof(word) - 1) != 0)
                return false;
        line += sizeof(word) - 1;

        while (line < end) {
                char name[32];
                const char *equals;
                enum resource resource;
                uint64_t value;

                if (*line++ != ' ')
                        return false;
                equals = memchr(line, '=', (size_t)(end - line));
                if (!equals || (size_t)(equals - line) >= sizeof(name))
                        return false;
                memcpy(name, line, (size_t)(equals - line));
                name[equals - line] = '\0';
                line = equals + 1;
                if (!parse_number(&line, end, &value))
                        return false;
                if (!resource_from_name(name, &resource))
                        continue;
                if (seen[resource])
                        return false;
                seen[resource] = true;
                result.amount[resource] = value;
        }
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                if (!seen[i] && i != RESOURCE_NETWORK_UPLOAD)
                        return false;
        *charge = result;
        return true;
}

/* A string as JSON has it: valid UTF-8 without control characters, which escaping saw to. */
static int format_string(const char *text, char *buffer, size_t size) {
        size_t used = 0;

        for (; *text; text++) {
                bool escape = *text == '"' || *text == '\\';

                assert((unsigned char)*text >= 0x20 && *text != 0x7f);
                if (used + escape + 2 > size)
                        break;
                if (escape)
                        buffer[used++] = '\\';
                buffer[used++] = *text;
        }
        buffer[used] = '\0';
        return (int)used;
}

/* "groups":[GID,...], */
static int format_groups(const struct record *record, char *buffer, size_t size) {
        int used = 0;

        for (size_t i = 0; i < record->n_quota_groups; i++)
                used += snprintf(buffer + used, size - (size_t)used, "%s%u",
                                 i ? "," : "\"groups\":[", record->quota_groups[i]);
        if (used)
                used += snprintf(buffer + used, size - (size_t)used, "],");
        return used;
}

/* "gpus":[["NAME",LENT],...], */
static int format_gpus(const struct record *record, char *buffer, size_t size) {
        int used = snprintf(buffer, size, "\"gpus\":[");

        for (size_t i = 0; i < record->n_gpus; i++)
                used += snprintf(buffer + used, size - (size_t)used, "%s[\"%s\",%d]", i ? "," : "",
                                 record->gpus[i].name, record->gpus[i].lent);
        return used + snprintf(buffer + used, size - (size_t)used, "],");
}

/* "disk":[READ,WRITE,IOS], "time":[PROMISED,UNTIL], "run":[UID,GID],
 * "quota":[PROJECT,MAJOR,MINOR,IN_FORCE], "groups":[...], "gpus":[...],
 * "held":[SINCE,UNTIL,CPU_USEC,MEMORY_MIB_MS], "ends":true, "learns":true, "owner":"NAME",
 * "reserves":[VMS,OVER],
 * "net":{"minor":N,"download_minor":N,"taps":[["BRIDGE",QUEUES],...]}, - each only if there is
 * something to say. */
static int format_extras(const struct record *record, char *buffer, size_t size) {
        int used = 0;

        buffer[0] = '\0';
        if (record->disk_read_bytes_per_s || record->disk_write_bytes_per_s ||
            record->disk_ios_per_s)
                used = snprintf(buffer, size, "\"disk\":[%" PRIu64 ",%" PRIu64 ",%" PRIu64 "],",
                                record->disk_read_bytes_per_s, record->disk_write_bytes_per_s,
                                record->disk_ios_per_s);
        if (record->time_usec)
                used += snprintf(buffer + used, size - (size_t)used,
                                 "\"time\":[%" PRIu64 ",%" PRIu64 "],", record->time_usec,
                                 record->until_usec);
        if (record->run_uid != record->uid || record->run_gid != record->gid)
                used += snprintf(buffer + used, size - (size_t)used, "\"run\":[%u,%u],",
                                 record->run_uid, record->run_gid);
        if (record->quota_project)
                used += snprintf(buffer + used, size - (size_t)used, "\"quota\":[%u,%u,%u,%d],",
                                 record->quota_project, major(record->quota_dev),
                                 minor(record->quota_dev), record->quota_in_force);
        if (record->n_gpus)
                used += format_gpus(record, buffer + used, size - (size_t)used);
        used += format_groups(record, buffer + used, size - (size_t)used);
        if (record->held_since_usec)
                used += snprintf(buffer + used, size - (size_t)used,
                                 "\"held\":[%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "],",
                                 record->held_since_usec, record->counted_until_usec,
                                 record->claimed_cpu_usec, record->claimed_memory_mib_ms);
        if (record->ends)
                used += snprintf(buffer + used, size - (size_t)used, "\"ends\":true,");
        if (record->learns)
                used += snprintf(buffer + used, size - (size_t)used, "\"learns\":true,");
        if (record->owner[0])
                used += snprintf(buffer + used, size - (size_t)used, "\"owner\":\"%s\",",
                                 record->owner);
        if (record->reserves)
                used += snprintf(buffer + used, size - (size_t)used,
                                 "\"reserves\":[%" PRIu64 ",%d],", record->reserved_vms,
                                 record->over);
        if (record->n_nets == 0)
                return used;
        used += snprintf(buffer + used, size - (size_t)used,
                         "\"net\":{\"minor\":%u,\"download_minor\":%u,\"taps\":[", record->minor,
                         record->download_minor);
        for (size_t i = 0; i < record->n_nets; i++) {
                char bridge[2 * RECORD_BRIDGE_MAX];

                format_string(record->nets[i].bridge, bridge, sizeof(bridge));
                used += snprintf(buffer + used, size - (size_t)used, "%s[\"%s\",%u]", i ? "," : "",
                                 bridge, record->nets[i].queues);
        }
        return used + snprintf(buffer + used, size - (size_t)used, "]},");
}

/*
 * By hand, although jansson reads it back: this stands on the way of every launch, and building the
 * object took longer than writing the attribute. Strings are names and an escaped command; nothing
 * can outgrow the buffer: 22 numbers of at most 20 digits, 4 names of 63 bytes, 2 x 255 of command,
 * 16 GPUs of 44.
 */
int record_format(const struct record *record, char buffer[RECORD_MAX]) {
        char command[2 * RECORD_COMMAND_MAX + 1],
                extras[920 + RECORD_GPUS_MAX * (RECORD_GPU_NAME_MAX + 8)];
        int used, got;

        format_extras(record, extras, sizeof(extras));
        format_string(record->command, command, sizeof(command));
        used = format_charge(&record->charge, buffer, RECORD_MAX);
        got = snprintf(buffer + used, RECORD_MAX - (size_t)used,
                       "{\"version\":%d,\"id\":\"%s\",\"name\":\"%s\",\"slice\":\"%s\","
                       "\"cpu_milli\":%" PRIu64 ",\"memory_bytes\":%" PRIu64
                       ",\"download_bytes_per_s\":%" PRIu64 ",\"upload_bytes_per_s\":%" PRIu64
                       ",\"uid\":%u,\"gid\":%u,\"order\":%" PRIu64 ",\"created_ns\":%" PRIu64
                       ",\"grace_usec\":%" PRIu64 ",\"detached\":%s,%s\"command\":\"%s\"}",
                       RECORD_VERSION, record->id, record->name, record->slice, record->cpu_milli,
                       record->memory_bytes, record->download_bytes_per_s,
                       record->upload_bytes_per_s, record->uid, record->gid, record->order,
                       record->created_ns, record->grace_usec, record->detached ? "true" : "false",
                       extras, command);
        assert(got > 0 && got < RECORD_MAX - used);
        return used + got;
}

static int refuse(struct why *why, const char *what) {
        return why_set(why, CGROUP_E_RECORD, "the lease record %s", what);
}

static bool parse_disk(const json_t *object, struct record *record) {
        const json_t *disk = json_object_get(object, "disk");
        json_int_t read, write, ios;

        if (!disk)
                return true;
        if (json_unpack((json_t *)disk, "[I,I,I]", &read, &write, &ios) < 0 || read < 0 ||
            write < 0 || ios < 0)
                return false;
        record->disk_read_bytes_per_s = (uint64_t)read;
        record->disk_write_bytes_per_s = (uint64_t)write;
        record->disk_ios_per_s = (uint64_t)ios;
        return true;
}

static bool parse_time(const json_t *object, struct record *record) {
        const json_t *time = json_object_get(object, "time");
        json_int_t promised, until;

        if (!time)
                return true;
        if (json_unpack((json_t *)time, "[I,I]", &promised, &until) < 0 || promised <= 0 ||
            until < 0)
                return false;
        record->time_usec = (uint64_t)promised;
        record->until_usec = (uint64_t)until;
        return true;
}

/* Of an older version's record: nothing is known. */
static bool parse_held(const json_t *object, struct record *record) {
        const json_t *held = json_object_get(object, "held");
        json_int_t since, until, cpu, memory;

        if (!held)
                return true;
        if (json_unpack((json_t *)held, "[I,I,I,I]", &since, &until, &cpu, &memory) < 0 ||
            since <= 0 || until < since || cpu < 0 || memory < 0)
                return false;
        record->held_since_usec = (uint64_t)since;
        record->counted_until_usec = (uint64_t)until;
        record->claimed_cpu_usec = (uint64_t)cpu;
        record->claimed_memory_mib_ms = (uint64_t)memory;
        return true;
}

static bool parse_owner(const json_t *object, struct record *record) {
        const json_t *owner = json_object_get(object, "owner");
        const char *name = json_string_value(owner);

        return !owner || (name && text_check_name("owner", name, NULL) == 0 &&
                          text_copy(record->owner, sizeof(record->owner), name));
}

static bool parse_reserves(const json_t *object, struct record *record) {
        const json_t *reserves = json_object_get(object, "reserves");
        json_int_t vms;
        int over;

        if (!reserves)
                return true;
        if (json_unpack((json_t *)reserves, "[I,i]", &vms, &over) < 0 || vms < 0 || over < 0 ||
            over > 1)
                return false;
        record->reserves = true;
        record->reserved_vms = (uint64_t)vms;
        record->over = over;
        return true;
}

/* Of an older version's record, or of a VM that runs as who asked: the same. */
static void take_run(const json_t *object, struct record *record) {
        json_int_t uid, gid;

        record->run_uid = record->uid;
        record->run_gid = record->gid;
        if (json_unpack((json_t *)json_object_get(object, "run"), "[I,I]", &uid, &gid) == 0 &&
            uid >= 0 && uid < UINT32_MAX && gid >= 0 && gid < UINT32_MAX) {
                record->run_uid = (uid_t)uid;
                record->run_gid = (gid_t)gid;
        }
}

static bool parse_quota(const json_t *object, struct record *record) {
        const json_t *quota = json_object_get(object, "quota");
        json_int_t project, of, at, in_force;

        if (!quota)
                return true;
        if (json_unpack((json_t *)quota, "[I,I,I,I]", &project, &of, &at, &in_force) < 0 ||
            project <= 0 || project > UINT32_MAX || of < 0 || of > 0xfff || at < 0 ||
            at > 0xfffff || in_force < 0 || in_force > 1)
                return false;
        record->quota_project = (uint32_t)project;
        record->quota_dev = makedev((unsigned)of, (unsigned)at);
        record->quota_in_force = in_force;
        return true;
}

static bool parse_groups(const json_t *object, struct record *record) {
        const json_t *groups = json_object_get(object, "groups"), *group;
        size_t i;

        if (!groups)
                return true;
        if (!json_is_array(groups) || json_array_size(groups) > RECORD_GROUPS_MAX)
                return false;
        json_array_foreach(groups, i, group) {
                json_int_t gid = json_is_integer(group) ? json_integer_value(group) : -1;

                if (gid < 0 || gid >= UINT32_MAX)
                        return false;
                record->quota_groups[i] = (gid_t)gid;
        }
        record->n_quota_groups = i;
        return true;
}

static bool parse_gpus(const json_t *object, struct record *record) {
        static const char valid[] = "0123456789abcdef:.-";
        const json_t *gpus = json_object_get(object, "gpus"), *gpu;
        const char *name;
        int lent;
        size_t i;

        if (!gpus)
                return true;
        if (!json_is_array(gpus) || json_array_size(gpus) > RECORD_GPUS_MAX)
                return false;
        json_array_foreach(gpus, i, gpu) {
                struct record_gpu *made = &record->gpus[record->n_gpus++];

                if (json_unpack((json_t *)gpu, "[s,i]", &name, &lent) < 0 || lent < 0 || lent > 1 ||
                    name[0] == '\0' || name[strspn(name, valid)] ||
                    !text_copy(made->name, sizeof(made->name), name))
                        return false;
                made->lent = lent;
        }
        return true;
}

/* The network, which only those have that asked for one. False: it cannot be. */
static bool parse_nets(const json_t *object, struct record *record) {
        const json_t *net = json_object_get(object, "net"), *taps, *tap;
        int minor, download_minor, queues;
        const char *bridge;
        size_t i;

        if (!net)
                return true;
        if (json_unpack((json_t *)net, "{s:i s:i s:o}", "minor", &minor, "download_minor",
                        &download_minor, "taps", &taps) < 0 ||
            minor < 0 || minor > UINT16_MAX || download_minor < 0 || download_minor > UINT16_MAX ||
            !json_is_array(taps) || json_array_size(taps) == 0 ||
            json_array_size(taps) > RECORD_NETS_MAX)
                return false;
        record->minor = (uint16_t)minor;
        record->download_minor = (uint16_t)download_minor;
        json_array_foreach(taps, i, tap) {
                struct record_net *made = &record->nets[record->n_nets++];

                if (json_unpack((json_t *)tap, "[s,i]", &bridge, &queues) < 0 || queues < 1 ||
                    queues > RECORD_QUEUES_MAX || text_check_interface("bridge", bridge, NULL) ||
                    !text_copy(made->bridge, sizeof(made->bridge), bridge))
                        return false;
                made->queues = (unsigned)queues;
        }
        return true;
}

int record_parse(struct record *record, const char *text, size_t length, bool *charge_knownp,
                 struct why *why) {
        const char *id, *name, *slice, *command, *newline;
        json_int_t cpu, memory, download, upload, uid, gid, order, created, grace;
        struct record result = {};
        json_error_t error;
        json_t *object;
        int version = 0, detached, r = 0;

        *charge_knownp = false;
        newline = memchr(text, '\n', length);
        if (!newline || !parse_charge(text, newline, &result.charge))
                return refuse(why, "does not begin with its charge");
        *charge_knownp = true;
        record->charge = result.charge;

        length -= (size_t)(newline + 1 - text);
        object = json_loadb(newline + 1, length, JSON_REJECT_DUPLICATES, &error);
        if (!object)
                return refuse(why, "is torn");
        if (json_unpack(object, "{s:i}", "version", &version) < 0 || version != RECORD_VERSION)
                r = why_set(why, CGROUP_E_RECORD,
                            "the lease record has version %d; this broker knows %d", version,
                            RECORD_VERSION);
        else if (json_unpack(object, "{s:s s:s s:s s:I s:I s:I s:I s:I s:I s:I s:I s:I s:b s:s}",
                             "id", &id, "name", &name, "slice", &slice, "cpu_milli", &cpu,
                             "memory_bytes", &memory, "download_bytes_per_s", &download,
                             "upload_bytes_per_s", &upload, "uid", &uid, "gid", &gid, "order",
                             &order, "created_ns", &created, "grace_usec", &grace, "detached",
                             &detached, "command", &command) < 0)
                r = refuse(why, "lacks a member");
        else if (!text_copy(result.id, sizeof(result.id), id) ||
                 !text_copy(result.name, sizeof(result.name), name) ||
                 !text_copy(result.slice, sizeof(result.slice), slice) ||
                 !text_copy(result.command, sizeof(result.command), command) ||
                 text_check_name("name", name, NULL) || text_check_slice("slice", slice, NULL) ||
                 text_check_name("id", id, NULL) || !text_is_printable(command) || uid < 0 ||
                 uid > UINT32_MAX || gid < 0 || gid > UINT32_MAX || order < 0 || grace < 0 ||
                 cpu < 0 || memory < 0 || download < 0 || upload < 0 || created < 0 ||
                 !parse_disk(object, &result) || !parse_time(object, &result) ||
                 !parse_owner(object, &result) || !parse_quota(object, &result) ||
                 !parse_groups(object, &result) || !parse_held(object, &result) ||
                 !parse_gpus(object, &result) ||
                 !parse_nets(object, &result) || !parse_reserves(object, &result))
                r = refuse(why, "holds a value that cannot be");
        if (!r) {
                result.cpu_milli = (uint64_t)cpu;
                result.memory_bytes = (uint64_t)memory;
                result.download_bytes_per_s = (uint64_t)download;
                result.upload_bytes_per_s = (uint64_t)upload;
                result.uid = (uid_t)uid;
                result.gid = (gid_t)gid;
                take_run(object, &result);
                result.order = (uint64_t)order;
                result.created_ns = (uint64_t)created;
                result.grace_usec = (uint64_t)grace;
                result.detached = detached;
                result.ends = result.time_usec > 0 && json_is_true(json_object_get(object, "ends"));
                result.learns = json_is_true(json_object_get(object, "learns"));
                *record = result;
        }
        json_decref(object);
        return r;
}

int record_write(int dir_fd, const struct record *record, struct why *why) {
        char buffer[RECORD_MAX];
        int length;

        length = record_format(record, buffer);
        if (fsetxattr(dir_fd, ATTR_LEASE, buffer, (size_t)length, 0) < 0)
                return why_errno(why, CGROUP_E_HOST, errno, "cannot note the lease on its group");
        return 0;
}

int record_read(int dir_fd, struct record *record, bool *charge_knownp, struct why *why) {
        char buffer[RECORD_MAX];
        ssize_t length;

        *charge_knownp = false;
        length = fgetxattr(dir_fd, ATTR_LEASE, buffer, sizeof(buffer));
        if (length < 0)
                return why_errno(why, CGROUP_E_RECORD, errno, "cannot read the lease record");
        return record_parse(record, buffer, (size_t)length, charge_knownp, why);
}

int record_read_main(int dir_fd, pid_t *pidp, struct why *why) {
        char text[16];
        const char *at = text;
        uint64_t pid;
        ssize_t n;

        n = fgetxattr(dir_fd, RECORD_MAIN_ATTRIBUTE, text, sizeof(text));
        if (n < 0 && errno == ENODATA) {
                *pidp = 0;
                return 0;
        }
        if (n < 0)
                return why_errno(why, CGROUP_E_RECORD, errno, "cannot read the process's record");
        if (!parse_number(&at, text + n, &pid) || at != text + n || pid == 0 || pid > INT32_MAX)
                return refuse(why, "names no process");
        *pidp = (pid_t)pid;
        return 0;
}

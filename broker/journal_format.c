/* SPDX-License-Identifier: MIT */
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <broker/journal.h>
#include <proto/event.h>

#define PREFIX "PROVIUM_"
#define NAME_MAX_BYTES 48
#define VALUE_MAX 1200
#define MESSAGE_MAX 3000

struct entry {
        char *buffer;
        size_t used;
};

/* NAME, newline, the length as 64 bits, the value, newline. */
static void add(struct entry *entry, const char *name, const char *value, size_t length) {
        size_t n = strlen(name);
        uint64_t size = htole64(length);

        if (entry->used + n + length + sizeof(size) + 2 > JOURNAL_ENTRY_MAX)
                return;
        memcpy(entry->buffer + entry->used, name, n);
        entry->used += n;
        entry->buffer[entry->used++] = '\n';
        memcpy(entry->buffer + entry->used, &size, sizeof(size));
        entry->used += sizeof(size);
        memcpy(entry->buffer + entry->used, value, length);
        entry->used += length;
        entry->buffer[entry->used++] = '\n';
}

static void add_text(struct entry *entry, const char *name, const char *value) {
        add(entry, name, value, strlen(value));
}

/* "PROVIUM_CHARGE_CPU" of "charge" and "cpu". False: it is no name, of a former program. */
static bool field_name(char name[NAME_MAX_BYTES], const char *outer, const char *key) {
        size_t used;

        used = (size_t)snprintf(name, NAME_MAX_BYTES, PREFIX "%s%s%s", outer, *outer ? "_" : "",
                                key);
        if (used >= NAME_MAX_BYTES)
                return false;
        for (char *at = name + strlen(PREFIX); *at; at++)
                if (*at >= 'a' && *at <= 'z')
                        *at = (char)(*at - 'a' + 'A');
                else if (!(*at >= '0' && *at <= '9') && *at != '_')
                        return false;
        return true;
}

/* A value as text: false if it is an object. */
static bool value_text(const json_t *value, char text[VALUE_MAX]) {
        if (json_is_string(value))
                snprintf(text, VALUE_MAX, "%s", json_string_value(value));
        else if (json_is_integer(value))
                snprintf(text, VALUE_MAX, "%" PRId64, (int64_t)json_integer_value(value));
        else if (json_is_boolean(value))
                snprintf(text, VALUE_MAX, "%s", json_is_true(value) ? "yes" : "no");
        else
                return false;
        return true;
}

static void add_member(struct entry *entry, const char *outer, const char *key,
                       const json_t *value) {
        char name[NAME_MAX_BYTES], text[VALUE_MAX];

        if (field_name(name, outer, key) && value_text(value, text))
                add_text(entry, name, text);
}

/* Also "name", which is the VM's. */
static void add_members(struct entry *entry, const json_t *event) {
        const char *key, *inner;
        json_t *value, *part;

        json_object_foreach((json_t *)event, key, value) {
                if (strcmp(key, "ts_ns") == 0)
                        continue; /* the journal has a time of its own */
                if (!json_is_object(value))
                        add_member(entry, "", strcmp(key, "name") == 0 ? "vm" : key, value);
                else
                        json_object_foreach(value, inner, part)
                                add_member(entry, key, inner, part);
        }
}

/* What a line of journalctl shows: "vm_oom web: kills=1 total=1 ...". */
static void format_message(const json_t *event, char message[MESSAGE_MAX]) {
        static const char *const head[] = {"seq", "ts_ns", "kind", "id", "name", "slice", "uid"};
        const char *name = json_string_value(json_object_get(event, "name")), *key;
        char text[VALUE_MAX];
        size_t used;
        json_t *value;

        used = (size_t)snprintf(message, MESSAGE_MAX,
                                "%s%s%s:", json_string_value(json_object_get(event, "kind")),
                                name ? " " : "", name ?: "");
        json_object_foreach((json_t *)event, key, value) {
                bool own = true;

                for (size_t i = 0; i < ARRAY_SIZE(head); i++)
                        own = own && (strcmp(key, head[i]) != 0 || (i >= 3 && !name));
                if (own && used < MESSAGE_MAX && value_text(value, text))
                        used += (size_t)snprintf(message + used, MESSAGE_MAX - used, " %s=%s", key,
                                                 text);
        }
}

size_t journal_format(const json_t *event, char *buffer) {
        const char *name = json_string_value(json_object_get(event, "kind"));
        const struct event_kind *kind = name ? event_kind_find(name) : NULL;
        struct entry entry = {.buffer = buffer};
        char message[MESSAGE_MAX], level[8];

        if (!kind || !kind->message_id)
                return 0;
        snprintf(level, sizeof(level), "%u", kind->level);
        format_message(event, message);
        add_text(&entry, "MESSAGE", message);
        add_text(&entry, "PRIORITY", level);
        add_text(&entry, "MESSAGE_ID", kind->message_id);
        add_text(&entry, "SYSLOG_IDENTIFIER", "provium-broker");
        add_members(&entry, event);
        return entry.used;
}

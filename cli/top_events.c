/* SPDX-License-Identifier: MIT */
/*
 * Events as lines: who, and what else is said. What a person sees elsewhere on the screen, and what
 * only machines count with, is left out.
 */
#include <inttypes.h>
#include <string.h>

#include <base/units.h>
#include <cli/human.h>
#include <cli/top_model.h>

static bool is_left_out(const char *key) {
        static const char *const keys[] = {"seq",    "ts_ns", "kind",     "id",  "vm",
                                           "name",   "slice", "uid",      "pid", "charge",
                                           "demand", "order", "ticket_id"};

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (strcmp(keys[i], key) == 0)
                        return true;
        return false;
}

/* "admission_us" 1500000 as "admission 1.5s"; a text as it is; others as JSON. */
static void format_value(const char *key, json_t *value, char *buffer, size_t size) {
        const char *text = json_string_value(value);
        char safe_key[HUMAN_TEXT_MAX], safe[HUMAN_TEXT_MAX], time[UNITS_TEXT_MAX];
        size_t length = strlen(key);

        if (text && (strcmp(key, "reason") == 0 || strcmp(key, "detail") == 0)) {
                snprintf(buffer, size, "%s", human_safe(text, safe));
        } else if (text) {
                snprintf(buffer, size, "%s %s", human_safe(key, safe_key), human_safe(text, safe));
        } else if (json_is_integer(value) && json_integer_value(value) >= 0 && length > 3 &&
                   strcmp(key + length - 3, "_us") == 0) {
                units_format_duration((uint64_t)json_integer_value(value), time, sizeof(time));
                snprintf(buffer, size, "%.*s %s", (int)length - 3, human_safe(key, safe_key), time);
        } else {
                _cleanup_(freep) char *dump =
                        json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

                snprintf(buffer, size, "%s %s", human_safe(key, safe_key), dump ? dump : "?");
        }
}

static void format_rest(const json_t *object, struct top_event *event) {
        size_t used = 0;
        const char *key;
        json_t *value;

        json_object_foreach((json_t *)object, key, value) {
                char text[sizeof(event->text)];

                /* "oom": false and the like say nothing. */
                if (is_left_out(key) || json_is_false(value) || json_is_null(value))
                        continue;
                format_value(key, value, text, sizeof(text));
                if (!*text)
                        continue;
                used += (size_t)snprintf(event->text + used, sizeof(event->text) - used, "%s%s",
                                         used ? ", " : "", text);
                if (used >= sizeof(event->text))
                        return;
        }
}

/* What came before we looked is nothing that was missed, nor are numbers that were never used. */
static bool is_left_out_gap(const struct top_model *model, const json_t *object) {
        uint64_t from;

        return human_number(object, "from", &from) && from == 0 && model->n_events == 0;
}

static void keep(struct top_model *model, const json_t *object, const char *kind) {
        struct top_event *event = &model->events[model->events_end];
        char safe[HUMAN_TEXT_MAX];

        *event = (struct top_event){};
        if (!human_number(object, "uid", &event->uid))
                event->uid = TOP_UNKNOWN;
        if (!human_number(object, "ts_ns", &event->ts_ns))
                event->ts_ns = 0;
        snprintf(event->kind, sizeof(event->kind), "%s", human_safe(kind, safe));
        snprintf(event->slice, sizeof(event->slice), "%s", human_member(object, "slice", safe));
        snprintf(event->name, sizeof(event->name), "%s", human_member(object, "name", safe));
        if (json_is_true(json_object_get(object, "restarted")))
                snprintf(event->text, sizeof(event->text), "the broker was started anew");
        else
                format_rest(object, event);
        model->events_end = (model->events_end + 1) % TOP_EVENTS;
        model->n_events = min_u64(model->n_events + 1, TOP_EVENTS);
}

void top_model_add_event(struct top_model *model, const json_t *object) {
        const char *kind = human_string(object, "kind");
        bool gap = strcmp(kind, "gap") == 0;
        uint64_t seq;

        if (human_number(object, gap ? "to" : "seq", &seq))
                model->next_event = max_u64(model->next_event, seq + 1);
        if (*kind && strcmp(kind, "pool_state") != 0 && (!gap || !is_left_out_gap(model, object)))
                keep(model, object, kind);
}

const struct top_event *top_model_event(const struct top_model *model, size_t i) {
        if (i >= model->n_events)
                return NULL;
        return &model->events[(model->events_end + 2 * TOP_EVENTS - 1 - i) % TOP_EVENTS];
}

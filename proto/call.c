/* SPDX-License-Identifier: MIT */
/*
 * Calls and replies as text.
 *
 * The text is weighed before jansson sees it: jansson's parser recurses (its own bound of 2048
 * levels takes some 200 KiB of stack) and spends 30 to 350 bytes of heap on a value that takes two
 * or three bytes on the wire. One pass over the text counts levels and commas, so that neither
 * number is the peer's to choose. Duplicate names are refused, since two readers of the same call
 * could see different ones; NULs in strings are refused, since all strings become C strings.
 *
 * Unknown members are refused too: a client that means something we do not know must hear it.
 */
#include <string.h>

#include <base/text.h>
#include <base/why.h>
#include <proto/call.h>

/* Counts the levels of a JSON text, and its values: no more than there are openings and commas. */
static void weigh(const char *text, size_t length, size_t *depthp, size_t *valuesp) {
        size_t depth = 0, deepest = 0, values = 1;
        bool quoted = false;

        for (size_t i = 0; i < length; i++) {
                char c = text[i];

                if (quoted) {
                        if (c == '\\')
                                i++;
                        else if (c == '"')
                                quoted = false;
                } else if (c == '"') {
                        quoted = true;
                } else if (c == '{' || c == '[') {
                        values++;
                        deepest = max_u64(deepest, ++depth);
                } else if (c == '}' || c == ']') {
                        depth -= depth > 0;
                } else if (c == ',') {
                        values++;
                }
        }
        *depthp = deepest;
        *valuesp = values;
}

/* Loads an object. Positive: @why tells. Negative: out of memory. */
static int load(json_t **objectp, const char *what, const char *text, size_t length,
                size_t values_max, struct why *why) {
        json_error_t error;
        char quoted[80];
        size_t depth, values;
        json_t *object;

        weigh(text, length, &depth, &values);
        if (depth > CALL_DEPTH_MAX)
                return why_set(why, CALL_E_INVALID,
                               "%s is nested %zu levels deep, at most %d are allowed", what, depth,
                               CALL_DEPTH_MAX);
        if (values > values_max)
                return why_set(why, CALL_E_INVALID, "%s has more than %zu values", what,
                               values_max);

        object = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
        if (!object && json_error_code(&error) == json_error_out_of_memory)
                return fault(-ENOMEM);
        if (!object)
                return why_set(why, CALL_E_INVALID, "%s is not valid JSON: %s (byte %d)", what,
                               text_escape(error.text, quoted, sizeof(quoted)), error.position);
        if (!json_is_object(object)) {
                json_decref(object);
                return why_set(why, CALL_E_INVALID, "%s is not a JSON object", what);
        }
        *objectp = object;
        return 0;
}

static int get_flag(bool *flagp, const char *key, const json_t *value, struct why *why) {
        if (!json_is_boolean(value))
                return why_set(why, CALL_E_INVALID, "member \"%s\" is not true or false", key);
        *flagp = json_is_true(value);
        return 0;
}

/* The name of a method or error: "interface.Name", of characters that are safe everywhere. */
static int get_name(const char **namep, const char *key, const json_t *value, struct why *why) {
        const char *name = json_string_value(value);
        size_t length = name ? strlen(name) : 0;

        if (length == 0 || length > CALL_METHOD_MAX ||
            strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") !=
                    length ||
            !strchr(name, '.'))
                return why_set(why, CALL_E_INVALID,
                               "member \"%s\" is not a qualified name such as "
                               "\"org.varlink.service.GetInfo\"",
                               key);
        *namep = name;
        return 0;
}

static int get_parameters(json_t **parametersp, json_t *value, struct why *why) {
        if (!json_is_object(value))
                return why_set(why, CALL_E_INVALID, "member \"parameters\" is not an object");
        *parametersp = value;
        return 0;
}

static int unknown_member(const char *what, const char *key, struct why *why) {
        char quoted[80];

        return why_set(why, CALL_E_INVALID, "%s has the unknown member \"%s\"", what,
                       text_escape(key, quoted, sizeof(quoted)));
}

/* Adds empty parameters to an object that has none; the object owns them. */
static int default_parameters(json_t **parametersp, json_t *object) {
        if (*parametersp)
                return 0;
        *parametersp = json_object();
        if (json_object_set_new(object, "parameters", *parametersp) < 0)
                return fault(-ENOMEM);
        return 0;
}

int call_parse(struct call *call, const char *text, size_t length, struct why *why) {
        _cleanup_(json_decrefp) json_t *object = NULL;
        struct call parsed = CALL_NULL;
        const char *key;
        json_t *value;
        int r;

        r = load(&object, "call", text, length, CALL_VALUES_MAX, why);
        if (r)
                return r;

        json_object_foreach (object, key, value) {
                bool upgrade = false;

                if (strcmp(key, "method") == 0)
                        r = get_name(&parsed.method, key, value, why);
                else if (strcmp(key, "parameters") == 0)
                        r = get_parameters(&parsed.parameters, value, why);
                else if (strcmp(key, "more") == 0)
                        r = get_flag(&parsed.more, key, value, why);
                else if (strcmp(key, "oneway") == 0)
                        r = get_flag(&parsed.oneway, key, value, why);
                else if (strcmp(key, "upgrade") == 0)
                        r = get_flag(&upgrade, key, value, why);
                else
                        r = unknown_member("call", key, why);
                if (r)
                        return r;
                if (upgrade)
                        return why_set(why, CALL_E_INVALID,
                                       "no method here upgrades the connection");
        }
        if (!parsed.method)
                return why_set(why, CALL_E_INVALID, "call has no member \"method\"");
        if (parsed.more && parsed.oneway)
                return why_set(why, CALL_E_INVALID, "call has both \"more\" and \"oneway\"");
        r = default_parameters(&parsed.parameters, object);
        if (r < 0)
                return r;

        parsed.object = take(object);
        *call = parsed;
        return 0;
}

void call_deinit(struct call *call) {
        json_decref(call->object);
        *call = (struct call)CALL_NULL;
}

int reply_parse(struct reply *reply, const char *text, size_t length, struct why *why) {
        _cleanup_(json_decrefp) json_t *object = NULL;
        struct reply parsed = REPLY_NULL;
        const char *key;
        json_t *value;
        int r;

        r = load(&object, "reply", text, length, SIZE_MAX, why);
        if (r)
                return r;

        json_object_foreach (object, key, value) {
                if (strcmp(key, "error") == 0)
                        r = get_name(&parsed.error, key, value, why);
                else if (strcmp(key, "parameters") == 0)
                        r = get_parameters(&parsed.parameters, value, why);
                else if (strcmp(key, "continues") == 0)
                        r = get_flag(&parsed.continues, key, value, why);
                else
                        r = unknown_member("reply", key, why);
                if (r)
                        return r;
        }
        if (parsed.error && parsed.continues)
                return why_set(why, CALL_E_INVALID, "reply is an error that continues");
        r = default_parameters(&parsed.parameters, object);
        if (r < 0)
                return r;

        parsed.object = take(object);
        *reply = parsed;
        return 0;
}

void reply_deinit(struct reply *reply) {
        json_decref(reply->object);
        *reply = (struct reply)REPLY_NULL;
}

/* Both references are consumed; either may be NULL if it could not be made. */
static char *format(json_t *object, json_t *parameters, size_t *lengthp) {
        char *text = NULL;

        if (!parameters)
                parameters = json_object();
        if (json_object_set_new(object, "parameters", parameters) == 0)
                text = json_dumps(object, JSON_COMPACT);
        if (text)
                *lengthp = strlen(text);
        json_decref(object);
        return text;
}

char *call_format(const char *method, json_t *parameters, bool more, size_t *lengthp) {
        return format(more ? json_pack("{ss sb}", "method", method, "more", 1)
                           : json_pack("{ss}", "method", method),
                      parameters, lengthp);
}

char *reply_format(json_t *parameters, bool continues, size_t *lengthp) {
        return format(continues ? json_pack("{sb}", "continues", 1) : json_object(), parameters,
                      lengthp);
}

char *error_format(const char *error, json_t *parameters, size_t *lengthp) {
        return format(json_pack("{ss}", "error", error), parameters, lengthp);
}

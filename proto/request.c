/* SPDX-License-Identifier: MIT */
/*
 * Requests from JSON to types; request_format.c goes the other way.
 *
 * Here is the only place where a client's values become ours, so each is held against its bound
 * here and nowhere else: names are names (base/text), amounts are whole numbers from 0 (from 1
 * where the kernel knows no zero) that a signed 64-bit number holds, so that the ledger's sums stay
 * checked and "default" (the largest unsigned number) can never be sent; strings that become an
 * argv or an environment are counted in number and in bytes. null means "not given", as varlink has
 * it.
 *
 * A sentence about a bad value begins with its field and never repeats raw text: what a client
 * wrote goes through text_escape().
 *
 * Longer than most files here because the getters are of use to these requests only.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <base/why.h>
#include <proto/event.h>
#include <proto/request.h>
#include <proto/stream.h>

#define QUOTED_MAX 80 /* bytes of a client's text that a sentence repeats */

static_assert(2 * REQUEST_RUN_FDS_MAX <= STREAM_FDS_MAX, "a stream holds two sets");

/* What @value is, for a sentence: a short text in @buffer. */
static const char *tell_value(const json_t *value, char *buffer, size_t size) {
        char quoted[QUOTED_MAX];

        switch (json_typeof(value)) {
        case JSON_OBJECT:
                return "an object";
        case JSON_ARRAY:
                return "an array";
        case JSON_STRING:
                snprintf(buffer, size, "\"%s\"",
                         text_escape(json_string_value(value), quoted, sizeof(quoted)));
                return buffer;
        case JSON_INTEGER:
                snprintf(buffer, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
                return buffer;
        case JSON_REAL:
                snprintf(buffer, size, "%g", json_real_value(value));
                return buffer;
        case JSON_TRUE:
                return "true";
        case JSON_FALSE:
                return "false";
        case JSON_NULL:
                return "null";
        }
        return "?";
}

static int invalid(struct why *why, const char *field, const json_t *value, const char *valid) {
        char buffer[QUOTED_MAX + 2];

        return why_set(why, REQUEST_E_INVALID, "%s is %s; give %s", field,
                       tell_value(value, buffer, sizeof(buffer)), valid);
}

/* The value of @key, or NULL if it is absent or null. */
static const json_t *given(const json_t *object, const char *key) {
        const json_t *value = json_object_get(object, key);

        return json_is_null(value) ? NULL : value;
}

/* Refuses members of @object that are not in the list of names that ends with NULL. */
static int only_members(const json_t *object, const char *prefix, const char *const *names,
                        struct why *why) {
        const char *key;
        json_t *value;

        json_object_foreach((json_t *)object, key, value) {
                char quoted[QUOTED_MAX];
                size_t i = 0;

                while (names[i] && strcmp(names[i], key) != 0)
                        i++;
                if (!names[i])
                        return why_set(why, REQUEST_E_INVALID,
                                       "%s%s is not a parameter of this method", prefix,
                                       text_escape(key, quoted, sizeof(quoted)));
        }
        return 0;
}

static int get_bool(bool *valuep, const json_t *object, const char *key, struct why *why) {
        const json_t *value = given(object, key);

        if (value && !json_is_boolean(value))
                return invalid(why, key, value, "true or false");
        *valuep = json_is_true(value);
        return 0;
}

/* A whole number from @low to @high; @valuep is left alone if it is not given. */
static int get_integer(int64_t *valuep, const json_t *object, const char *field, const char *key,
                       int64_t low, int64_t high, struct why *why) {
        const json_t *value = given(object, key);
        char valid[96];

        if (!value)
                return 0;
        if (!json_is_integer(value) || json_integer_value(value) < low ||
            json_integer_value(value) > high) {
                snprintf(valid, sizeof(valid), "a whole number from %" PRId64 " to %" PRId64, low,
                         high);
                return invalid(why, field, value, valid);
        }
        *valuep = json_integer_value(value);
        return 0;
}

/* An amount or a time: @absent if it is not given. */
static int get_amount(uint64_t *amountp, const json_t *object, const char *field, const char *key,
                      int64_t low, uint64_t absent, struct why *why) {
        int64_t value = -1;
        int r;

        r = get_integer(&value, object, field, key, low, INT64_MAX, why);
        if (r)
                return r;
        *amountp = value < 0 ? absent : (uint64_t)value;
        return 0;
}

/* A short text of printable ASCII without spaces; "" if it is not given. */
static int get_text(char *buffer, size_t size, const json_t *object, const char *key,
                    struct why *why) {
        const json_t *value = given(object, key);
        const char *text = json_string_value(value);
        char valid[96];

        buffer[0] = '\0';
        if (!value)
                return 0;
        for (const char *c = text; c && *c; c++)
                if (*c <= ' ' || *c > '~')
                        text = NULL;
        if (!text || !*text || !text_copy(buffer, size, text)) {
                snprintf(valid, sizeof(valid), "1 to %zu printable characters without spaces",
                         size - 1);
                return invalid(why, key, value, valid);
        }
        return 0;
}

/* The name of a slice or VM; "" if it is not given. */
static int get_name(char name[TEXT_NAME_MAX + 1], const json_t *object, const char *key,
                    int (*check)(const char *, const char *, struct why *), struct why *why) {
        const json_t *value = given(object, key);
        struct why reason;

        name[0] = '\0';
        if (!value)
                return 0;
        if (!json_is_string(value))
                return invalid(why, key, value, "a name");
        if (check("it", json_string_value(value), &reason) ||
            !text_copy(name, TEXT_NAME_MAX + 1, json_string_value(value)))
                return why_set(why, REQUEST_E_INVALID, "%s is not a name: %s", key, reason.text);
        return 0;
}

/* What may be named of a claim: what refines disk_io, see get_disk_rates(), and no CPU or memory.
 */
enum { CLAIM_PLAIN = 0, CLAIM_REFINED = 1, CLAIM_ZERO = 2 };

/* The axes of a claim; each that is not named is REQUEST_DEFAULT. */
static int get_claim(struct demand *demand, uint64_t *downloadp, uint64_t *uploadp, unsigned kind,
                     const json_t *parameters, struct why *why) {
        static const char *const names[] = {"disk_read", "disk_write", "disk_iops", "cpu",
                                            "memory",    "disk",       "disk_io",   "gpu",
                                            "download",  "upload",     NULL};
        static const struct {
                const char *field, *key;
                enum resource resource;
                int64_t low; /* 1 where the kernel has no zero */
        } axes[] = {
                {"claim.cpu", "cpu", RESOURCE_CPU, 1},
                {"claim.memory", "memory", RESOURCE_MEMORY, 1},
                {"claim.disk", "disk", RESOURCE_DISK, 0},
                {"claim.disk_io", "disk_io", RESOURCE_DISK_IO, 0},
                {"claim.gpu", "gpu", RESOURCE_GPU, 0},
        };
        const json_t *claim = given(parameters, "claim");
        int r;

        for (size_t i = 0; i < _RESOURCE_N; i++)
                demand->amount[i] = REQUEST_DEFAULT;
        if (claim && !json_is_object(claim))
                return invalid(why, "claim", claim, "an object");
        r = claim ? only_members(claim, "claim.", kind & CLAIM_REFINED ? names : names + 3, why)
                  : 0;
        for (size_t i = 0; !r && i < ARRAY_SIZE(axes); i++)
                r = get_amount(&demand->amount[axes[i].resource], claim, axes[i].field, axes[i].key,
                               kind & CLAIM_ZERO ? 0 : axes[i].low, REQUEST_DEFAULT, why);
        if (!r)
                r = get_amount(downloadp, claim, "claim.download", "download", 0, REQUEST_DEFAULT,
                               why);
        if (!r)
                r = get_amount(uploadp, claim, "claim.upload", "upload", 0, REQUEST_DEFAULT, why);
        return r;
}

/* What refines claim.disk_io. */
static int get_disk_rates(struct run_request *request, const json_t *parameters, struct why *why) {
        const json_t *claim = given(parameters, "claim");
        int r;

        r = get_amount(&request->disk_read_bytes_per_s, claim, "claim.disk_read", "disk_read", 1,
                       REQUEST_DEFAULT, why);
        if (!r)
                r = get_amount(&request->disk_write_bytes_per_s, claim, "claim.disk_write",
                               "disk_write", 1, REQUEST_DEFAULT, why);
        if (!r)
                r = get_amount(&request->disk_ios_per_s, claim, "claim.disk_iops", "disk_iops", 1,
                               REQUEST_DEFAULT, why);
        return r;
}

/* One member of net, which sentences call @field. */
static int get_net(struct net_request *net, const json_t *object, const char *field,
                   struct why *why) {
        static const char *const names[] = {"bridge", "queues", NULL};
        char prefix[32], bridge_field[32], queues_field[32];
        const json_t *bridge;
        struct why reason;
        int64_t queues = 1;
        int r;

        if (!json_is_object(object))
                return invalid(why, field, object, "an object with the name of a bridge");
        snprintf(prefix, sizeof(prefix), "%s.", field);
        snprintf(bridge_field, sizeof(bridge_field), "%s.bridge", field);
        snprintf(queues_field, sizeof(queues_field), "%s.queues", field);
        r = only_members(object, prefix, names, why);
        if (r)
                return r;
        bridge = given(object, "bridge");
        if (!bridge)
                return why_set(why, REQUEST_E_INVALID, "%s is missing; give the name of a bridge",
                               bridge_field);
        if (!json_is_string(bridge))
                return invalid(why, bridge_field, bridge, "the name of a bridge");
        if (text_check_interface("name of a bridge", json_string_value(bridge), &reason) ||
            !text_copy(net->bridge, sizeof(net->bridge), json_string_value(bridge)))
                return why_set(why, REQUEST_E_INVALID, "%s is no bridge: %s", bridge_field,
                               reason.text);
        r = get_integer(&queues, object, queues_field, "queues", 1, REQUEST_QUEUES_MAX, why);
        net->queues = (unsigned)queues;
        return r;
}

static int get_nets(struct run_request *request, const json_t *parameters, struct why *why) {
        const json_t *array = given(parameters, "net");
        size_t n = json_array_size(array);
        unsigned queues = 0;

        if (!array)
                return 0;
        if (!json_is_array(array))
                return invalid(why, "net", array, "an array of objects");
        if (n > REQUEST_NETS_MAX)
                return why_set(why, REQUEST_E_INVALID, "net has %zu members; give at most %d", n,
                               REQUEST_NETS_MAX);
        for (size_t i = 0; i < n; i++) {
                char field[16];
                int r;

                snprintf(field, sizeof(field), "net[%zu]", i);
                r = get_net(&request->nets[i], json_array_get(array, i), field, why);
                if (r)
                        return r;
                queues += request->nets[i].queues;
        }
        if (queues > REQUEST_TAP_FDS_MAX / 2)
                return why_set(why, REQUEST_E_INVALID,
                               "net has %u queues; give at most %d, all bridges together", queues,
                               REQUEST_TAP_FDS_MAX / 2);
        request->n_nets = n;
        request->nets_given = true;
        return 0;
}

static void free_strings(char **strings) {
        for (size_t i = 0; strings && strings[i]; i++)
                free(strings[i]);
        free(strings);
}

static void free_stringsp(char ***stringsp) {
        free_strings(*stringsp);
}

/* Copies an array of strings into a NULL-terminated vector; *bytesp counts all of them together. */
static int get_strings(char ***stringsp, size_t *np, size_t *bytesp, const json_t *object,
                       const char *key, size_t max, struct why *why) {
        _cleanup_(free_stringsp) char **strings = NULL;
        const json_t *array = given(object, key);
        size_t n = json_array_size(array);

        if (!json_is_array(array))
                return array ? invalid(why, key, array, "an array of strings")
                             : why_set(why, REQUEST_E_INVALID,
                                       "%s is missing; give an array of strings", key);
        if (n > max)
                return why_set(why, REQUEST_E_INVALID, "%s has %zu strings; give at most %zu", key,
                               n, max);

        strings = calloc(n + 1, sizeof(*strings));
        if (!strings)
                return fault(-ENOMEM);
        for (size_t i = 0; i < n; i++) {
                const json_t *value = json_array_get(array, i);
                char field[64];

                snprintf(field, sizeof(field), "%s[%zu]", key, i);
                if (!json_is_string(value))
                        return invalid(why, field, value, "a string");
                *bytesp += json_string_length(value) + 1;
                if (*bytesp > REQUEST_STRINGS_MAX)
                        return why_set(why, REQUEST_E_INVALID,
                                       "%s is too long; command and environment may take %d bytes",
                                       key, REQUEST_STRINGS_MAX);
                if (strlen(json_string_value(value)) != json_string_length(value))
                        return invalid(why, field, value, "a string without NUL");
                strings[i] = strdup(json_string_value(value));
                if (!strings[i])
                        return fault(-ENOMEM);
        }
        *stringsp = take(strings);
        *np = n;
        return 0;
}

/* One member of disks, as a copy. */
static int get_disk(char **diskp, const json_t *value, size_t index, struct why *why) {
        const char *path = json_string_value(value);
        size_t length = json_string_length(value);
        char field[16], valid[80];
        char *disk;

        if (!path || length < 1 || length > REQUEST_DISK_PATH_MAX || strlen(path) != length ||
            !text_is_printable(path)) {
                snprintf(field, sizeof(field), "disks[%zu]", index);
                snprintf(valid, sizeof(valid),
                         "a path of 1 to %d bytes of UTF-8 without control characters",
                         REQUEST_DISK_PATH_MAX);
                return invalid(why, field, value, valid);
        }
        disk = strdup(path);
        if (!disk)
                return fault(-ENOMEM);
        *diskp = disk;
        return 0;
}

static int get_disks(struct run_request *request, const json_t *parameters, struct why *why) {
        _cleanup_(free_stringsp) char **disks = NULL;
        const json_t *array = given(parameters, "disks");
        size_t n = json_array_size(array);

        if (array && !json_is_array(array))
                return invalid(why, "disks", array, "an array of paths");
        if (n > REQUEST_DISKS_MAX)
                return why_set(why, REQUEST_E_INVALID, "disks has %zu paths; give at most %d", n,
                               REQUEST_DISKS_MAX);
        if (n == 0)
                return 0;
        disks = calloc(n + 1, sizeof(*disks));
        if (!disks)
                return fault(-ENOMEM);
        for (size_t i = 0; i < n; i++) {
                int r = get_disk(&disks[i], json_array_get(array, i), i, why);

                if (r)
                        return r;
        }
        request->disks = take(disks);
        request->n_disks = n;
        return 0;
}

static int get_program(struct run_request *request, const json_t *parameters, struct why *why) {
        size_t bytes = 0;
        int r;

        r = get_strings(&request->argv, &request->n_argv, &bytes, parameters, "command",
                        REQUEST_ARGS_MAX, why);
        if (r)
                return r;
        if (request->n_argv == 0 || !*request->argv[0])
                return why_set(why, REQUEST_E_INVALID,
                               "command is empty; give a program to execute");

        r = get_strings(&request->envp, &request->n_envp, &bytes, parameters, "environment",
                        REQUEST_ENV_MAX, why);
        if (r)
                return r;
        for (size_t i = 0; i < request->n_envp; i++) {
                const char *equals = strchr(request->envp[i], '=');

                if (!equals || equals == request->envp[i])
                        return why_set(why, REQUEST_E_INVALID,
                                       "environment[%zu] is not of the form NAME=VALUE", i);
        }
        return 0;
}

/* When, how long, and how urgently. */
static int get_terms(struct run_request *request, const json_t *parameters, struct why *why) {
        int r;

        r = get_integer(&request->priority, parameters, "priority", "priority",
                        -REQUEST_PRIORITY_MAX, REQUEST_PRIORITY_MAX, why);
        if (!r)
                r = get_amount(&request->wait_usec, parameters, "wait_usec", "wait_usec", 0,
                               REQUEST_WAIT_FOREVER, why);
        if (!r)
                r = get_amount(&request->time_usec, parameters, "time_usec", "time_usec", 1, 0,
                               why);
        if (!r)
                r = get_bool(&request->ends, parameters, "ends", why);
        if (!r && request->ends && request->time_usec == 0)
                r = why_set(why, REQUEST_E_INVALID, "ends is true; time_usec has to say when");
        return r;
}

int run_request_parse(struct run_request *request, const json_t *parameters, struct why *why) {
        static const char *const names[] = {
                "slice",     "name",   "claim",   "priority",    "wait_usec", "detach",
                "dry_run",   "ticket", "command", "environment", "net",       "disks",
                "time_usec", "ends",   "learn",   "console",     "owner",     NULL};
        _cleanup_(run_request_deinit) struct run_request parsed = RUN_REQUEST_NULL;
        int r;

        r = only_members(parameters, "", names, why);
        if (!r)
                r = get_name(parsed.slice, parameters, "slice", text_check_slice, why);
        if (!r)
                r = get_name(parsed.name, parameters, "name", text_check_name, why);
        if (!r)
                r = get_name(parsed.owner, parameters, "owner", text_check_name, why);
        if (!r)
                r = get_claim(&parsed.claim, &parsed.download_bytes_per_s,
                              &parsed.upload_bytes_per_s, CLAIM_REFINED, parameters, why);
        if (!r)
                r = get_disk_rates(&parsed, parameters, why);
        if (!r)
                r = get_nets(&parsed, parameters, why);
        if (!r)
                r = get_disks(&parsed, parameters, why);
        if (!r)
                r = get_terms(&parsed, parameters, why);
        if (!r)
                r = get_bool(&parsed.detach, parameters, "detach", why);
        if (!r)
                r = get_bool(&parsed.console, parameters, "console", why);
        if (!r && parsed.console && !parsed.detach)
                r = why_set(why, REQUEST_E_INVALID, "console is true; only a detached VM has one");
        if (!r)
                r = get_bool(&parsed.dry_run, parameters, "dry_run", why);
        if (!r)
                r = get_bool(&parsed.learn, parameters, "learn", why);
        if (!r)
                r = get_text(parsed.ticket, sizeof(parsed.ticket), parameters, "ticket", why);
        if (!r)
                r = get_program(&parsed, parameters, why);
        if (r)
                return r;

        *request = parsed;
        parsed = (struct run_request)RUN_REQUEST_NULL;
        return 0;
}

/* What is reserved for: words that are shown, and nothing else. */
static int get_shown_command(struct run_request *request, const json_t *parameters,
                             struct why *why) {
        size_t bytes = 0;

        if (!given(parameters, "command"))
                return 0;
        return get_strings(&request->argv, &request->n_argv, &bytes, parameters, "command",
                           REQUEST_ARGS_MAX, why);
}

/* For how many VMs. */
static int get_vms(struct run_request *request, const json_t *parameters, struct why *why) {
        int64_t vms = -1;
        int r;

        r = get_integer(&vms, parameters, "vms", "vms", 0, REQUEST_VMS_MAX, why);
        request->vms = vms < 0 ? REQUEST_DEFAULT : (uint64_t)vms;
        return r;
}

int reserve_request_parse(struct run_request *request, const json_t *parameters, struct why *why) {
        static const char *const names[] = {"slice",  "name",     "owner",     "claim",     "disks",
                                            "vms",    "priority", "wait_usec", "time_usec", "ends",
                                            "detach", "dry_run",  "ticket",    "command",   NULL};
        _cleanup_(run_request_deinit) struct run_request parsed = {.reserves = true};
        int r;

        r = only_members(parameters, "", names, why);
        if (!r)
                r = get_name(parsed.slice, parameters, "slice", text_check_slice, why);
        if (!r)
                r = get_name(parsed.name, parameters, "name", text_check_name, why);
        if (!r)
                r = get_name(parsed.owner, parameters, "owner", text_check_name, why);
        if (!r && !parsed.owner[0])
                r = why_set(why, REQUEST_E_INVALID,
                            "owner is missing; give a name for whom it is reserved");
        if (!r)
                r = get_claim(&parsed.claim, &parsed.download_bytes_per_s,
                              &parsed.upload_bytes_per_s, CLAIM_ZERO, parameters, why);
        if (!r)
                r = get_disks(&parsed, parameters, why);
        if (!r)
                r = get_vms(&parsed, parameters, why);
        if (!r)
                r = get_terms(&parsed, parameters, why);
        if (!r)
                r = get_bool(&parsed.detach, parameters, "detach", why);
        if (!r)
                r = get_bool(&parsed.dry_run, parameters, "dry_run", why);
        if (!r)
                r = get_text(parsed.ticket, sizeof(parsed.ticket), parameters, "ticket", why);
        if (!r)
                r = get_shown_command(&parsed, parameters, why);
        if (r)
                return r;

        parsed.disk_read_bytes_per_s = parsed.disk_write_bytes_per_s = parsed.disk_ios_per_s =
                REQUEST_DEFAULT;
        *request = parsed;
        parsed = (struct run_request)RUN_REQUEST_NULL;
        return 0;
}

void run_request_deinit(struct run_request *request) {
        free_strings(request->argv);
        free_strings(request->envp);
        free_strings(request->disks);
        *request = (struct run_request)RUN_REQUEST_NULL;
}

/* The VM that a request is about. */
static int get_vm(char vm[TEXT_NAME_MAX + 1], const json_t *parameters, struct why *why) {
        int r;

        r = get_name(vm, parameters, "vm", text_check_name, why);
        if (!r && !vm[0])
                r = why_set(why, REQUEST_E_INVALID, "vm is missing; give the name or id of a VM");
        return r;
}

int vm_request_parse(struct vm_request *request, const json_t *parameters, struct why *why) {
        static const char *const names[] = {"vm", "signal", "grace_usec", "ticket", NULL};
        struct vm_request parsed = VM_REQUEST_NULL;
        int64_t signal_number = 0;
        int r;

        r = only_members(parameters, "", names, why);
        if (!r)
                r = get_vm(parsed.vm, parameters, why);
        if (!r)
                r = get_integer(&signal_number, parameters, "signal", "signal", 1,
                                REQUEST_SIGNAL_MAX, why);
        if (!r)
                r = get_amount(&parsed.grace_usec, parameters, "grace_usec", "grace_usec", 0,
                               REQUEST_DEFAULT, why);
        if (!r)
                r = get_text(parsed.ticket, sizeof(parsed.ticket), parameters, "ticket", why);
        if (r)
                return r;

        parsed.signal = (int)signal_number;
        *request = parsed;
        return 0;
}

int release_request_parse(struct release_request *request, const json_t *parameters,
                          struct why *why) {
        static const char *const names[] = {"owner", "grace_usec", NULL};
        struct release_request parsed = {};
        int r;

        r = only_members(parameters, "", names, why);
        if (!r)
                r = get_name(parsed.owner, parameters, "owner", text_check_name, why);
        if (!r && !parsed.owner[0])
                r = why_set(why, REQUEST_E_INVALID,
                            "owner is missing; give the owner of a reservation, or its id");
        if (!r)
                r = get_amount(&parsed.grace_usec, parameters, "grace_usec", "grace_usec", 0,
                               REQUEST_DEFAULT, why);
        if (r)
                return r;

        *request = parsed;
        return 0;
}

static bool names_an_axis(const struct resize_request *request) {
        for (size_t i = 0; i < _RESOURCE_N; i++)
                if (request->claim.amount[i] != REQUEST_DEFAULT)
                        return true;
        return request->download_bytes_per_s != REQUEST_DEFAULT ||
               request->upload_bytes_per_s != REQUEST_DEFAULT;
}

int resize_request_parse(struct resize_request *request, const json_t *parameters,
                         struct why *why) {
        static const char *const names[] = {"vm", "claim", NULL};
        struct resize_request parsed = {};
        int r;

        r = only_members(parameters, "", names, why);
        if (!r)
                r = get_vm(parsed.vm, parameters, why);
        if (!r)
                r = get_claim(&parsed.claim, &parsed.download_bytes_per_s,
                              &parsed.upload_bytes_per_s, CLAIM_PLAIN, parameters, why);
        if (!r && !names_an_axis(&parsed))
                r = why_set(why, REQUEST_E_INVALID,
                            "claim names nothing; give what is to change, such as download");
        if (r)
                return r;

        *request = parsed;
        return 0;
}

int image_request_parse(struct image_request *request, const json_t *parameters, struct why *why) {
        uint64_t size_bytes;
        int r;

        r = request_parse_number(parameters, "size", &size_bytes, why);
        if (!r && size_bytes == REQUEST_DEFAULT)
                r = why_set(why, REQUEST_E_INVALID, "size is missing; give a number of bytes");
        if (r)
                return r;

        request->size_bytes = size_bytes;
        return 0;
}

static int parse_kinds(uint64_t *kindsp, const json_t *array, struct why *why) {
        uint64_t kinds = 0;
        json_t *value;
        size_t i;

        json_array_foreach(array, i, value) {
                const char *name = json_string_value(value);
                struct why unknown;

                if (!name)
                        return why_set(why, REQUEST_E_INVALID,
                                       "kinds has something else than texts");
                if (event_kinds_parse(name, &kinds, &unknown))
                        return why_set(why, REQUEST_E_INVALID, "kinds: %s", unknown.text);
        }
        *kindsp = kinds;
        return 0;
}

int events_request_parse(struct events_request *request, const json_t *parameters,
                         struct why *why) {
        static const char *const names[] = {"since", "kinds", NULL};
        const json_t *kinds = json_object_get(parameters, "kinds");
        struct events_request parsed = {.kinds = EVENT_KINDS_ALL};
        int r;

        r = only_members(parameters, "", names, why);
        if (!r)
                r = get_amount(&parsed.since, parameters, "since", "since", 0, REQUEST_DEFAULT,
                               why);
        if (!r && kinds && !json_is_null(kinds)) {
                if (json_array_size(kinds) == 0)
                        return why_set(why, REQUEST_E_INVALID,
                                       "kinds is no array of the names of kinds, such as "
                                       "[\"vm_oom\"]");
                r = parse_kinds(&parsed.kinds, kinds, why);
        }
        if (r)
                return r;
        *request = parsed;
        return 0;
}

const char *usage_by_name(enum usage_by by) {
        static const char *const names[_USAGE_BY_N] = {"all", "slice", "user", "vm"};

        return names[by];
}

int usage_request_parse(struct usage_request *request, const json_t *parameters, struct why *why) {
        static const char *const names[] = {"since_ns", "until_ns", "by", NULL};
        struct usage_request parsed = {.since_ns = REQUEST_DEFAULT, .until_ns = REQUEST_DEFAULT};
        char by[8] = "";
        int r;

        r = only_members(parameters, "", names, why);
        if (!r)
                r = get_amount(&parsed.since_ns, parameters, "since_ns", "since_ns", 0,
                               REQUEST_DEFAULT, why);
        if (!r)
                r = get_amount(&parsed.until_ns, parameters, "until_ns", "until_ns", 0,
                               REQUEST_DEFAULT, why);
        if (!r)
                r = get_text(by, sizeof(by), parameters, "by", why);
        if (r)
                return r;
        if (parsed.since_ns == REQUEST_DEFAULT)
                parsed.since_ns = 0;
        if (parsed.since_ns >= parsed.until_ns)
                return why_set(why, REQUEST_E_INVALID, "until_ns is not after since_ns");
        while (by[0] && parsed.by < _USAGE_BY_N && strcmp(by, usage_by_name(parsed.by)) != 0)
                parsed.by++;
        if (parsed.by == _USAGE_BY_N)
                return why_set(why, REQUEST_E_INVALID, "by is none of all, slice, user and vm");
        *request = parsed;
        return 0;
}

int request_parse_none(const json_t *parameters, struct why *why) {
        static const char *const names[] = {NULL};

        return only_members(parameters, "", names, why);
}

int request_parse_text(const json_t *parameters, const char *key, char *buffer, size_t size,
                       struct why *why) {
        const char *const names[] = {key, NULL};
        int r;

        r = only_members(parameters, "", names, why);
        return r ? r : get_text(buffer, size, parameters, key, why);
}

int request_parse_number(const json_t *parameters, const char *key, uint64_t *valuep,
                         struct why *why) {
        const char *const names[] = {key, NULL};
        int r;

        r = only_members(parameters, "", names, why);
        return r ? r : get_amount(valuep, parameters, key, key, 0, REQUEST_DEFAULT, why);
}

int request_parse_flag(const json_t *parameters, const char *key, bool *valuep, struct why *why) {
        const char *const names[] = {key, NULL};
        bool value = false;
        int r;

        r = only_members(parameters, "", names, why);
        if (!r)
                r = get_bool(&value, parameters, key, why);
        if (r)
                return r;
        *valuep = value;
        return 0;
}

const char *request_invalid_field(const struct why *why, char *buffer, size_t size) {
        snprintf(buffer, size, "%.*s", (int)strcspn(why->text, " "), why->text);
        return buffer;
}

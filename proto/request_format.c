/* SPDX-License-Identifier: MIT */
/*
 * Requests from types to JSON, as the client sends them. What was not named is left out, so that
 * the broker's defaults are the only defaults. Every function builds under one flag: the first step
 * that fails (no memory, or a string that is not UTF-8 and hence cannot be JSON) makes the rest
 * moot.
 */
#include <proto/request.h>

/* Sets @key and consumes @value; false if that failed, or if @value could not be made (NULL). */
static bool set(json_t *object, const char *key, json_t *value) {
        return json_object_set_new(object, key, value) == 0;
}

static bool set_text(json_t *object, const char *key, const char *text) {
        return !*text || set(object, key, json_string(text));
}

static bool set_amount(json_t *object, const char *key, uint64_t amount) {
        return amount == REQUEST_DEFAULT ||
               set(object, key, json_integer((json_int_t)min_u64(amount, INT64_MAX)));
}

static json_t *format_claim(const struct demand *demand, uint64_t download_bytes_per_s,
                            uint64_t upload_bytes_per_s) {
        const uint64_t *amount = demand->amount;
        json_t *claim = json_object();

        if (!(set_amount(claim, "cpu", amount[RESOURCE_CPU]) &&
              set_amount(claim, "memory", amount[RESOURCE_MEMORY]) &&
              set_amount(claim, "disk", amount[RESOURCE_DISK]) &&
              set_amount(claim, "disk_io", amount[RESOURCE_DISK_IO]) &&
              set_amount(claim, "gpu", amount[RESOURCE_GPU]) &&
              set_amount(claim, "download", download_bytes_per_s) &&
              set_amount(claim, "upload", upload_bytes_per_s))) {
                json_decref(claim);
                return NULL;
        }
        return claim;
}

static json_t *format_run_claim(const struct run_request *request) {
        json_t *claim = format_claim(&request->claim, request->download_bytes_per_s,
                                     request->upload_bytes_per_s);

        if (!(claim && set_amount(claim, "disk_read", request->disk_read_bytes_per_s) &&
              set_amount(claim, "disk_write", request->disk_write_bytes_per_s) &&
              set_amount(claim, "disk_iops", request->disk_ios_per_s))) {
                json_decref(claim);
                return NULL;
        }
        return claim;
}

static json_t *format_nets(const struct run_request *request) {
        json_t *array = json_array();

        for (size_t i = 0; i < request->n_nets; i++) {
                const struct net_request *net = &request->nets[i];
                json_t *object = json_object();
                bool done = set(object, "bridge", json_string(net->bridge)) &&
                            (net->queues == 1 || set(object, "queues", json_integer(net->queues)));

                if (!done || json_array_append(array, object) < 0) {
                        json_decref(object);
                        json_decref(array);
                        return NULL;
                }
                json_decref(object);
        }
        return array;
}

static json_t *format_strings(char **strings, size_t n) {
        json_t *array = json_array();

        for (size_t i = 0; i < n; i++)
                if (json_array_append_new(array, json_string(strings[i])) < 0) {
                        json_decref(array);
                        return NULL;
                }
        return array;
}

json_t *run_request_format(const struct run_request *request) {
        json_t *object = json_object();

        if (!(set_text(object, "slice", request->slice) &&
              set_text(object, "name", request->name) &&
              set_text(object, "owner", request->owner) &&
              set(object, "claim", format_run_claim(request)) &&
              (!request->nets_given || set(object, "net", format_nets(request))) &&
              (request->n_disks == 0 ||
               set(object, "disks", format_strings(request->disks, request->n_disks))) &&
              (request->priority == 0 ||
               set(object, "priority", json_integer(request->priority))) &&
              set_amount(object, "wait_usec", request->wait_usec) &&
              (request->time_usec == 0 || set_amount(object, "time_usec", request->time_usec)) &&
              (!request->ends || set(object, "ends", json_true())) &&
              (!request->detach || set(object, "detach", json_true())) &&
              (!request->console || set(object, "console", json_true())) &&
              (!request->dry_run || set(object, "dry_run", json_true())) &&
              (!request->learn || set(object, "learn", json_true())) &&
              set_text(object, "ticket", request->ticket) &&
              set(object, "command", format_strings(request->argv, request->n_argv)) &&
              set(object, "environment", format_strings(request->envp, request->n_envp)))) {
                json_decref(object);
                return NULL;
        }
        return object;
}

json_t *reserve_request_format(const struct run_request *request) {
        json_t *object = json_object();

        if (!(set_text(object, "slice", request->slice) &&
              set_text(object, "name", request->name) &&
              set_text(object, "owner", request->owner) &&
              set(object, "claim",
                  format_claim(&request->claim, request->download_bytes_per_s,
                               request->upload_bytes_per_s)) &&
              (request->n_disks == 0 ||
               set(object, "disks", format_strings(request->disks, request->n_disks))) &&
              set_amount(object, "vms", request->vms) &&
              (request->priority == 0 ||
               set(object, "priority", json_integer(request->priority))) &&
              set_amount(object, "wait_usec", request->wait_usec) &&
              (request->time_usec == 0 || set_amount(object, "time_usec", request->time_usec)) &&
              (!request->ends || set(object, "ends", json_true())) &&
              (!request->detach || set(object, "detach", json_true())) &&
              (!request->dry_run || set(object, "dry_run", json_true())) &&
              set_text(object, "ticket", request->ticket) &&
              (request->n_argv == 0 ||
               set(object, "command", format_strings(request->argv, request->n_argv))))) {
                json_decref(object);
                return NULL;
        }
        return object;
}

json_t *release_request_format(const struct release_request *request) {
        json_t *object = json_object();

        if (!(set_text(object, "owner", request->owner) &&
              set_amount(object, "grace_usec", request->grace_usec))) {
                json_decref(object);
                return NULL;
        }
        return object;
}

json_t *vm_request_format(const struct vm_request *request) {
        json_t *object = json_object();

        if (!(set_text(object, "vm", request->vm) &&
              (request->signal == 0 || set(object, "signal", json_integer(request->signal))) &&
              set_amount(object, "grace_usec", request->grace_usec) &&
              set_text(object, "ticket", request->ticket))) {
                json_decref(object);
                return NULL;
        }
        return object;
}

json_t *resize_request_format(const struct resize_request *request) {
        json_t *object = json_object();

        if (!(set_text(object, "vm", request->vm) &&
              set(object, "claim",
                  format_claim(&request->claim, request->download_bytes_per_s,
                               request->upload_bytes_per_s)))) {
                json_decref(object);
                return NULL;
        }
        return object;
}

json_t *image_request_format(const struct image_request *request) {
        json_t *object = json_object();

        if (!set_amount(object, "size", request->size_bytes)) {
                json_decref(object);
                return NULL;
        }
        return object;
}

json_t *usage_request_format(const struct usage_request *request) {
        json_t *object = json_object();

        if (!((request->since_ns == 0 || set_amount(object, "since_ns", request->since_ns)) &&
              set_amount(object, "until_ns", request->until_ns) &&
              set_text(object, "by", usage_by_name(request->by)))) {
                json_decref(object);
                return NULL;
        }
        return object;
}

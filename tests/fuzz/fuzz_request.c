/* SPDX-License-Identifier: MIT */
/*
 * Parameters of every method: what is taken holds its bounds, and Run survives being formatted.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <base/why.h>
#include <proto/request.h>

#define check(condition) ((condition) ? (void)0 : abort())

static void check_why(int r, const struct why *why) {
        check(r >= 0);
        if (r)
                check(why->text[0] && !strpbrk(why->text, "\n\033"));
}

static void try_reserve(const json_t *parameters) {
        struct run_request request = RUN_REQUEST_NULL, again = RUN_REQUEST_NULL;
        struct why why = {};
        json_t *formatted;
        int r;

        r = reserve_request_parse(&request, parameters, &why);
        check_why(r, &why);
        if (r)
                return;
        check(request.reserves && request.owner[0]);
        check(request.vms <= REQUEST_VMS_MAX || request.vms == REQUEST_DEFAULT);
        formatted = reserve_request_format(&request);
        check(formatted);
        check(reserve_request_parse(&again, formatted, &why) == 0);
        check(demand_equal(&request.claim, &again.claim) && request.vms == again.vms);
        check(request.n_disks == again.n_disks && request.n_argv == again.n_argv);
        json_decref(formatted);
        run_request_deinit(&again);
        run_request_deinit(&request);
}

static void try_run(const json_t *parameters) {
        struct run_request request = RUN_REQUEST_NULL, again = RUN_REQUEST_NULL;
        struct why why = {};
        json_t *formatted;
        int r;

        r = run_request_parse(&request, parameters, &why);
        check_why(r, &why);
        if (r)
                return;
        check(request.n_argv >= 1 && request.n_argv <= REQUEST_ARGS_MAX);
        check(request.n_envp <= REQUEST_ENV_MAX && !request.argv[request.n_argv]);
        for (size_t i = 0; i < _RESOURCE_N; i++)
                check(request.claim.amount[i] <= INT64_MAX ||
                      request.claim.amount[i] == REQUEST_DEFAULT);
        check(request.n_nets <= REQUEST_NETS_MAX && (request.nets_given || request.n_nets == 0));
        for (size_t i = 0; i < request.n_nets; i++)
                check(request.nets[i].bridge[0] && request.nets[i].queues >= 1 &&
                      request.nets[i].queues <= REQUEST_QUEUES_MAX);
        check(request.n_disks <= REQUEST_DISKS_MAX && (request.n_disks > 0) == !!request.disks);
        for (size_t i = 0; i < request.n_disks; i++)
                check(request.disks[i][0] && strlen(request.disks[i]) <= REQUEST_DISK_PATH_MAX &&
                      !strpbrk(request.disks[i], "\n\033"));
        check(request.disk_ios_per_s >= 1 && request.disk_read_bytes_per_s >= 1);
        formatted = run_request_format(&request);
        check(formatted);
        check(run_request_parse(&again, formatted, &why) == 0);
        check(demand_equal(&request.claim, &again.claim));
        check(request.nets_given == again.nets_given && request.n_nets == again.n_nets);
        check(memcmp(request.nets, again.nets, sizeof(again.nets)) == 0);
        check(request.n_disks == again.n_disks);
        for (size_t i = 0; i < request.n_disks; i++)
                check(strcmp(request.disks[i], again.disks[i]) == 0);
        check(request.disk_read_bytes_per_s == again.disk_read_bytes_per_s &&
              request.disk_write_bytes_per_s == again.disk_write_bytes_per_s &&
              request.disk_ios_per_s == again.disk_ios_per_s);
        check(request.learn == again.learn);
        check(strcmp(request.name, again.name) == 0 && request.wait_usec == again.wait_usec);
        check(strcmp(request.argv[request.n_argv - 1], again.argv[again.n_argv - 1]) == 0);
        json_decref(formatted);
        run_request_deinit(&again);
        run_request_deinit(&request);
}

static void try_resize(const json_t *parameters) {
        struct resize_request request = {}, again = {};
        struct why why = {};
        json_t *formatted;
        int r;

        r = resize_request_parse(&request, parameters, &why);
        check_why(r, &why);
        if (r)
                return;
        formatted = resize_request_format(&request);
        check(formatted);
        check(resize_request_parse(&again, formatted, &why) == 0);
        check(strcmp(request.vm, again.vm) == 0 && demand_equal(&request.claim, &again.claim));
        check(request.download_bytes_per_s == again.download_bytes_per_s);
        check(request.upload_bytes_per_s == again.upload_bytes_per_s);
        json_decref(formatted);
}

static void try_others(const json_t *parameters) {
        struct vm_request vm = VM_REQUEST_NULL;
        struct image_request image = {};
        struct why why = {};
        uint64_t number;
        char text[64];
        bool flag;

        check_why(vm_request_parse(&vm, parameters, &why), &why);
        check(vm.signal >= 0 && vm.signal <= REQUEST_SIGNAL_MAX);
        check_why(request_parse_none(parameters, &why), &why);
        check_why(request_parse_text(parameters, "slice", text, sizeof(text), &why), &why);
        check_why(request_parse_number(parameters, "since", &number, &why), &why);
        check_why(request_parse_flag(parameters, "undo", &flag, &why), &why);
        check_why(image_request_parse(&image, parameters, &why), &why);
        check(image.size_bytes <= INT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        json_t *parameters = json_loadb((const char *)data, size, 0, NULL);

        if (json_is_object(parameters)) {
                try_reserve(parameters);
                try_run(parameters);
                try_resize(parameters);
                try_others(parameters);
        }
        json_decref(parameters);
        return 0;
}

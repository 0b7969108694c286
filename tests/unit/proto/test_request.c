/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <base/why.h>
#include <proto/call.h>
#include <proto/request.h>

#include "unit.h"

#define RUN_REST "\"command\":[\"x\"],\"environment\":[]"

static int parse_run_json(json_t *parameters, struct why *why) {
        struct run_request request = RUN_REQUEST_NULL;
        int r = run_request_parse(&request, parameters, why);

        run_request_deinit(&request);
        json_decref(parameters);
        return r;
}

/* A field of Run with a value, as JSON. */
static int parse_field(const char *field, const char *value, struct why *why) {
        char text[2048];
        json_t *parameters;

        snprintf(text, sizeof(text), "{" RUN_REST ",\"%s\":%s}", field,
                 value); /* the last counts */
        parameters = json_loads(text, 0, NULL);
        need_that(parameters, "no JSON: %s", text);
        return parse_run_json(parameters, why);
}

static int parse_claim(const char *axis, const char *value, struct why *why) {
        char text[512];

        snprintf(text, sizeof(text), "{\"%s\":%s}", axis, value);
        return parse_field("claim", text, why);
}

static void smallest_run_takes_all_defaults(void) {
        struct run_request request = RUN_REQUEST_NULL;
        json_t *parameters = json_loads("{" RUN_REST "}", 0, NULL);

        need_int(run_request_parse(&request, parameters, NULL), 0);
        expect_str(request.slice, "");
        expect_str(request.name, "");
        expect_str(request.ticket, "");
        for (size_t i = 0; i < _RESOURCE_N; i++)
                expect_uint(request.claim.amount[i], REQUEST_DEFAULT);
        expect_uint(request.download_bytes_per_s, REQUEST_DEFAULT);
        expect_uint(request.upload_bytes_per_s, REQUEST_DEFAULT);
        expect(!request.nets_given && request.n_nets == 0);
        expect_uint(request.disk_read_bytes_per_s, REQUEST_DEFAULT);
        expect_uint(request.disk_write_bytes_per_s, REQUEST_DEFAULT);
        expect_uint(request.disk_ios_per_s, REQUEST_DEFAULT);
        expect(!request.disks && request.n_disks == 0);
        expect_uint(request.wait_usec, REQUEST_WAIT_FOREVER);
        expect_int(request.priority, 0);
        expect(!request.detach && !request.dry_run && !request.learn);
        expect_uint(request.n_argv, 1);
        expect_str(request.argv[0], "x");
        expect(request.argv[1] == NULL && request.envp[0] == NULL);
        run_request_deinit(&request);
        run_request_deinit(&request);
        json_decref(parameters);
}

static void null_means_not_given(void) {
        static const char *const fields[] = {
                "slice",   "name",   "claim", "priority", "wait_usec", "time_usec", "detach",
                "dry_run", "ticket", "net",   "disks",    "learn",     "console",   "owner"};

        for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
                expect_that(parse_field(fields[i], "null", NULL) == 0, "%s", fields[i]);
        expect_int(parse_claim("memory", "null", NULL), 0);
}

static void absurd_values_are_refused_in_every_field(void) {
        static const char *const fields[] = {"slice",     "name",        "claim",   "priority",
                                             "wait_usec", "detach",      "dry_run", "ticket",
                                             "command",   "environment", "net",     "disks",
                                             "time_usec", "learn",       "console", "owner"};
        static const char *const values[] = {
                "-9223372036854775808", "1.5",  "1e300", "\"\"",          "\"a\\nb\"",
                "{\"a\":{}}",           "[[]]", "[1]",   "\"NaN\\u007f\""};

        for (size_t f = 0; f < ARRAY_SIZE(fields); f++)
                for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
                        struct why why = {};
                        char field[64];

                        expect_that(parse_field(fields[f], values[v], &why) == REQUEST_E_INVALID,
                                    "%s took %s", fields[f], values[v]);
                        request_invalid_field(&why, field, sizeof(field));
                        expect_in(field, fields[f]);
                        expect_that(!strpbrk(why.text, "\n\177"), "raw text: %s", why.text);
                }
}

static void only_a_detached_vm_may_have_a_console(void) {
        struct why why = {};

        expect_int(parse_field("console", "true", &why), REQUEST_E_INVALID);
        expect_in(why.text, "only a detached VM has one");
        expect_int(parse_field("console", "false", NULL), 0);
        expect_int(parse_run_json(json_pack("{sb sb s[s] s[]}", "console", 1, "detach", 1,
                                            "command", "x", "environment"),
                                  NULL),
                   0);
}

static void names_that_are_no_names_are_refused(void) {
        static const char *const names[] = {"..",  "../x", "a//b",     ".hidden", "-x", "a..b",
                                            "a b", "a\nb", "\xc3\xa4", "",        "/",  "x/"};
        char text[512], longest[TEXT_NAME_MAX + 2];

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                expect_that(parse_run_json(json_pack("{ss s[s] s[]}", "name", names[i], "command",
                                                     "x", "environment"),
                                           NULL) == REQUEST_E_INVALID,
                            "name took \"%s\"", names[i]);
                expect_that(parse_run_json(json_pack("{ss s[s] s[]}", "slice", names[i], "command",
                                                     "x", "environment"),
                                           NULL) == REQUEST_E_INVALID,
                            "slice took \"%s\"", names[i]);
        }
        memset(longest, 'a', sizeof(longest));
        longest[TEXT_NAME_MAX + 1] = '\0';
        snprintf(text, sizeof(text), "\"%s\"", longest);
        expect_int(parse_field("name", text, NULL), REQUEST_E_INVALID);
        longest[TEXT_NAME_MAX] = '\0';
        snprintf(text, sizeof(text), "\"%s\"", longest);
        expect_int(parse_field("name", text, NULL), 0);
        snprintf(text, sizeof(text), "\"%0300d\"", 0);
        expect_int(parse_field("name", text, NULL), REQUEST_E_INVALID);
        expect_int(parse_field("slice", text, NULL), REQUEST_E_INVALID);
        expect_int(parse_field("ticket", text, NULL), REQUEST_E_INVALID);
}

static void claims_are_whole_and_not_negative(void) {
        static const char *const axes[] = {"cpu",        "memory",   "disk", "disk_io",
                                           "download",   "upload",   "gpu",  "disk_read",
                                           "disk_write", "disk_iops"};
        static const char *const bad[] = {
                "-1", "-9223372036854775808", "0.5", "1e18", "\"1\"", "true", "[]", "{}"};

        for (size_t a = 0; a < ARRAY_SIZE(axes); a++) {
                for (size_t v = 0; v < ARRAY_SIZE(bad); v++) {
                        struct why why = {};

                        expect_that(parse_claim(axes[a], bad[v], &why) == REQUEST_E_INVALID,
                                    "%s took %s", axes[a], bad[v]);
                        expect_in(why.text, "claim.");
                        expect_in(why.text, axes[a]);
                }
                expect_int(parse_claim(axes[a], "1", NULL), 0);
                expect_int(parse_claim(axes[a], "9223372036854775807", NULL), 0);
        }
        expect_int(parse_claim("cpu", "0", NULL), REQUEST_E_INVALID);
        expect_int(parse_claim("memory", "0", NULL), REQUEST_E_INVALID);
        expect_int(parse_claim("gpu", "0", NULL), 0);
        expect_int(parse_claim("disk_read", "0", NULL), REQUEST_E_INVALID);
        expect_int(parse_claim("disk_write", "0", NULL), REQUEST_E_INVALID);
        expect_int(parse_claim("disk_iops", "0", NULL), REQUEST_E_INVALID);
        expect_int(parse_claim("disk_read", "null", NULL), 0);
        expect_int(parse_claim("cpus", "1", NULL), REQUEST_E_INVALID);
        expect_int(parse_claim("network", "1", NULL), REQUEST_E_INVALID);
}

static void the_two_ways_of_the_network_are_named_apart(void) {
        static const struct {
                const char *claim;
                uint64_t download, upload;
        } rows[] = {
                {"{}", REQUEST_DEFAULT, REQUEST_DEFAULT},
                {"{\"download\":5}", 5, REQUEST_DEFAULT},
                {"{\"upload\":7}", REQUEST_DEFAULT, 7},
                {"{\"upload\":7,\"download\":5}", 5, 7},
                {"{\"upload\":null,\"download\":0}", 0, REQUEST_DEFAULT},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct run_request request = RUN_REQUEST_NULL;
                char text[256];
                json_t *parameters;

                snprintf(text, sizeof(text), "{\"claim\":%s," RUN_REST "}", rows[i].claim);
                parameters = json_loads(text, 0, NULL);
                need_int(run_request_parse(&request, parameters, NULL), 0);
                expect_uint(request.download_bytes_per_s, rows[i].download);
                expect_uint(request.upload_bytes_per_s, rows[i].upload);
                expect_uint(request.claim.amount[RESOURCE_NETWORK], REQUEST_DEFAULT);
                expect_uint(request.claim.amount[RESOURCE_NETWORK_UPLOAD], REQUEST_DEFAULT);
                run_request_deinit(&request);
                json_decref(parameters);
        }
}

static void a_vm_names_its_bridges(void) {
        struct run_request request = RUN_REQUEST_NULL;
        json_t *parameters = json_loads("{" RUN_REST ",\"net\":[{\"bridge\":\"br0\"},"
                                        "{\"bridge\":\"abcdefghijklmno\",\"queues\":8},"
                                        "{\"bridge\":\"br0\",\"queues\":null}]}",
                                        0, NULL);

        need_int(run_request_parse(&request, parameters, NULL), 0);
        expect(request.nets_given);
        need_uint(request.n_nets, 3);
        expect_str(request.nets[0].bridge, "br0");
        expect_uint(request.nets[0].queues, 1);
        expect_str(request.nets[1].bridge, "abcdefghijklmno");
        expect_uint(request.nets[1].queues, 8);
        expect_str(request.nets[2].bridge, "br0");
        expect_uint(request.nets[2].queues, 1);
        run_request_deinit(&request);
        json_decref(parameters);
}

static void an_empty_list_of_bridges_is_no_network(void) {
        struct run_request request = RUN_REQUEST_NULL;
        json_t *parameters = json_loads("{" RUN_REST ",\"net\":[]}", 0, NULL);

        need_int(run_request_parse(&request, parameters, NULL), 0);
        expect(request.nets_given);
        expect_uint(request.n_nets, 0);
        run_request_deinit(&request);
        json_decref(parameters);
}

static void a_net_that_is_none_is_refused_by_its_place(void) {
        static const char *const rows[][3] = {
                {"{\"bridge\":\"br0\"}", "net", "net is an object; give an array"},
                {"[\"br0\"]", "net[0]", "net[0] is \"br0\"; give an object"},
                {"[null]", "net[0]", "net[0] is null; give an object"},
                {"[{}]", "net[0].bridge", "is missing"},
                {"[{\"bridge\":null}]", "net[0].bridge", "is missing"},
                {"[{\"bridge\":5}]", "net[0].bridge", "is 5; give the name of a bridge"},
                {"[{\"bridge\":\"a\"},{\"bridge\":\"\"}]", "net[1].bridge", "give 1 to 15"},
                {"[{\"bridge\":\"a/b\"}]", "net[0].bridge", "give 1 to 15"},
                {"[{\"bridge\":\"a b\"}]", "net[0].bridge", "give 1 to 15"},
                {"[{\"bridge\":\"br%d\"}]", "net[0].bridge", "give 1 to 15"},
                {"[{\"bridge\":\"..\"}]", "net[0].bridge", "give 1 to 15"},
                {"[{\"bridge\":\"\u00e4\"}]", "net[0].bridge", "give 1 to 15"},
                {"[{\"bridge\":\"a\\nb\"}]", "net[0].bridge", "\\x0a"},
                {"[{\"bridge\":\"abcdefghijklmnop\"}]", "net[0].bridge", "give 1 to 15"},
                {"[{\"bridge\":\"a\",\"queues\":0}]", "net[0].queues", "from 1 to 8"},
                {"[{\"bridge\":\"a\",\"queues\":9}]", "net[0].queues", "from 1 to 8"},
                {"[{\"bridge\":\"a\",\"queues\":1.5}]", "net[0].queues", "from 1 to 8"},
                {"[{\"bridge\":\"a\",\"queues\":\"2\"}]", "net[0].queues", "from 1 to 8"},
                {"[{\"bridge\":\"a\",\"mac\":\"x\"}]", "net[0].mac", "is not a parameter"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct why why = {};
                char field[64];

                expect_that(parse_field("net", rows[i][0], &why) == REQUEST_E_INVALID, "taken: %s",
                            rows[i][0]);
                expect_str(request_invalid_field(&why, field, sizeof(field)), rows[i][1]);
                expect_in(why.text, rows[i][2]);
                expect_that(!strpbrk(why.text, "\n\177"), "raw text: %s", why.text);
        }
}

/* Run with @n nets of @queues each. */
static int parse_nets(size_t n, int queues, struct why *why) {
        json_t *array = json_array();

        while (n-- > 0)
                json_array_append_new(array,
                                      json_pack("{ss si}", "bridge", "br0", "queues", queues));
        return parse_run_json(
                json_pack("{s[s] s[] so}", "command", "x", "environment", "net", array), why);
}

static void taps_and_their_queues_are_counted(void) {
        struct why why = {};

        expect_int(parse_nets(REQUEST_NETS_MAX, 2, NULL), 0);
        expect_int(parse_nets(2, REQUEST_QUEUES_MAX, NULL), 0);
        expect_int(parse_nets(REQUEST_NETS_MAX + 1, 1, &why), REQUEST_E_INVALID);
        expect_in(why.text, "net has 9 members; give at most 8");
        expect_int(parse_nets(3, 6, &why), REQUEST_E_INVALID);
        expect_in(why.text, "net has 18 queues; give at most 16");
        expect_int(parse_nets(REQUEST_NETS_MAX, 3, NULL), REQUEST_E_INVALID);
}

static void reads_writes_and_operations_are_named_apart(void) {
        struct run_request request = RUN_REQUEST_NULL;
        json_t *parameters = json_loads("{" RUN_REST ",\"claim\":{\"disk_io\":9,"
                                        "\"disk_write\":5,\"disk_iops\":7}}",
                                        0, NULL);

        need_int(run_request_parse(&request, parameters, NULL), 0);
        expect_uint(request.claim.amount[RESOURCE_DISK_IO], 9);
        expect_uint(request.disk_read_bytes_per_s, REQUEST_DEFAULT);
        expect_uint(request.disk_write_bytes_per_s, 5);
        expect_uint(request.disk_ios_per_s, 7);
        run_request_deinit(&request);
        json_decref(parameters);
}

static void a_vm_names_its_disks_in_order(void) {
        struct run_request request = RUN_REQUEST_NULL;
        json_t *parameters =
                json_loads("{" RUN_REST ",\"disks\":[\"/srv/a b.qcow2\",\"\u00e4'\\\"\","
                           "\"/dev/vg/lv\",\"/dev/vg/lv\"]}",
                           0, NULL);

        need_int(run_request_parse(&request, parameters, NULL), 0);
        need_uint(request.n_disks, 4);
        expect_str(request.disks[0], "/srv/a b.qcow2");
        expect_str(request.disks[1], "\xc3\xa4'\"");
        expect_str(request.disks[2], "/dev/vg/lv");
        expect_str(request.disks[3], "/dev/vg/lv");
        expect(request.disks[4] == NULL);
        run_request_deinit(&request);
        expect(!request.disks && request.n_disks == 0);
        json_decref(parameters);
}

static void an_empty_list_of_disks_is_none(void) {
        struct run_request request = RUN_REQUEST_NULL;
        json_t *parameters = json_loads("{" RUN_REST ",\"disks\":[]}", 0, NULL);

        need_int(run_request_parse(&request, parameters, NULL), 0);
        expect(!request.disks && request.n_disks == 0);
        run_request_deinit(&request);
        json_decref(parameters);
}

static void a_disk_that_is_no_path_is_refused_by_its_place(void) {
        static const char *const rows[][3] = {
                {"\"/a\"", "disks", "disks is \"/a\"; give an array of paths"},
                {"{}", "disks", "disks is an object; give an array"},
                {"[5]", "disks[0]", "disks[0] is 5; give a path of 1 to 1024 bytes"},
                {"[null]", "disks[0]", "disks[0] is null; give a path"},
                {"[\"a\",[]]", "disks[1]", "disks[1] is an array; give a path"},
                {"[\"\"]", "disks[0]", "disks[0] is \"\"; give a path"},
                {"[\"a\\nb\"]", "disks[0]", "\\x0a"},
                {"[\"a\\u001b[2J\"]", "disks[0]", "\\x1b"},
                {"[\"a\\u007f\"]", "disks[0]", "\\x7f"},
                {"[\"a\\u202eb\"]", "disks[0]", "without control characters"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct why why = {};
                char field[64];

                expect_that(parse_field("disks", rows[i][0], &why) == REQUEST_E_INVALID,
                            "taken: %s", rows[i][0]);
                expect_str(request_invalid_field(&why, field, sizeof(field)), rows[i][1]);
                expect_in(why.text, rows[i][2]);
                expect_that(!strpbrk(why.text, "\n\033\177"), "raw text: %s", why.text);
        }
        expect_int(parse_run_json(json_pack("{s[s] s[] s[o]}", "command", "x", "environment",
                                            "disks", json_stringn("a\0b", 3)),
                                  NULL),
                   REQUEST_E_INVALID);
}

static json_t *array_of(size_t n, const char *text) {
        json_t *array = json_array();

        while (n-- > 0)
                json_array_append_new(array, json_string(text));
        return array;
}

/* Run with @n disks of that path. */
static int parse_disks(size_t n, const char *path, struct why *why) {
        return parse_run_json(json_pack("{s[s] s[] so}", "command", "x", "environment", "disks",
                                        array_of(n, path)),
                              why);
}

static void disks_and_their_bytes_are_counted(void) {
        char path[REQUEST_DISK_PATH_MAX + 2] = "";
        struct why why = {};

        memset(path, 'p', REQUEST_DISK_PATH_MAX);
        expect_int(parse_disks(REQUEST_DISKS_MAX, path, NULL), 0);
        expect_int(parse_disks(REQUEST_DISKS_MAX + 1, "a", &why), REQUEST_E_INVALID);
        expect_in(why.text, "disks has 17 paths; give at most 16");
        path[REQUEST_DISK_PATH_MAX] = 'p';
        expect_int(parse_disks(1, path, &why), REQUEST_E_INVALID);
        expect_in(why.text, "give a path of 1 to 1024 bytes");
}

static void unknown_parameters_are_refused(void) {
        struct why why = {};
        char field[64];

        expect_int(parse_field("memory", "1", &why), REQUEST_E_INVALID);
        expect_str(request_invalid_field(&why, field, sizeof(field)), "memory");
        expect_int(parse_field("disk_image", "\"x\"", NULL), REQUEST_E_INVALID);
}

static void command_must_be_there(void) {
        expect_int(parse_run_json(json_pack("{s[]}", "environment"), NULL), REQUEST_E_INVALID);
        expect_int(parse_run_json(json_pack("{s[s]}", "command", "x"), NULL), REQUEST_E_INVALID);
        expect_int(parse_run_json(json_pack("{s[] s[]}", "command", "environment"), NULL),
                   REQUEST_E_INVALID);
        expect_int(parse_run_json(json_pack("{s[s] s[]}", "command", "", "environment"), NULL),
                   REQUEST_E_INVALID);
}

static void strings_with_nul_are_refused(void) {
        json_t *nul = json_stringn("a\0b", 3);

        expect_int(
                parse_run_json(json_pack("{s[s o] s[]}", "command", "x", nul, "environment"), NULL),
                REQUEST_E_INVALID);
}

static void words_and_variables_are_counted(void) {
        expect_int(parse_run_json(json_pack("{so s[]}", "command", array_of(REQUEST_ARGS_MAX, "x"),
                                            "environment"),
                                  NULL),
                   0);
        expect_int(parse_run_json(json_pack("{so s[]}", "command",
                                            array_of(REQUEST_ARGS_MAX + 1, "x"), "environment"),
                                  NULL),
                   REQUEST_E_INVALID);
        expect_int(parse_run_json(json_pack("{s[s] so}", "command", "x", "environment",
                                            array_of(REQUEST_ENV_MAX, "a=b")),
                                  NULL),
                   0);
        expect_int(parse_run_json(json_pack("{s[s] so}", "command", "x", "environment",
                                            array_of(REQUEST_ENV_MAX + 1, "a=b")),
                                  NULL),
                   REQUEST_E_INVALID);
}

static void bytes_of_command_and_environment_are_counted_together(void) {
        size_t half = REQUEST_STRINGS_MAX / 2;
        char *word = calloc(1, half + 1), *variable = calloc(1, half + 1);

        need(word && variable);
        memset(word, 'w', half - 1);
        memset(variable, 'v', half - 1);
        variable[1] = '=';
        expect_int(
                parse_run_json(json_pack("{s[s] s[s]}", "command", word, "environment", variable),
                               NULL),
                0);
        word[half - 1] = 'w';
        expect_int(
                parse_run_json(json_pack("{s[s] s[s]}", "command", word, "environment", variable),
                               NULL),
                REQUEST_E_INVALID);
        free(word);
        free(variable);
}

static void environment_is_names_and_values(void) {
        expect_int(parse_run_json(json_pack("{s[s] s[s]}", "command", "x", "environment", "plain"),
                                  NULL),
                   REQUEST_E_INVALID);
        expect_int(
                parse_run_json(json_pack("{s[s] s[s]}", "command", "x", "environment", "=x"), NULL),
                REQUEST_E_INVALID);
        expect_int(
                parse_run_json(json_pack("{s[s] s[s]}", "command", "x", "environment", "A="), NULL),
                0);
}

static void refused_run_leaves_the_request_untouched(void) {
        struct run_request request = {.priority = 7};
        json_t *parameters = json_pack("{s[s] s[s]}", "command", "x", "environment", "bad");

        expect_int(run_request_parse(&request, parameters, NULL), REQUEST_E_INVALID);
        expect_int(request.priority, 7);
        expect(request.argv == NULL);
        json_decref(parameters);
}

static void formatted_run_is_read_back(void) {
        struct run_request request = RUN_REQUEST_NULL, back = RUN_REQUEST_NULL;
        char program[] = "qemu", flag[] = "-m", memory[] = "{mem.mib}", variable[] = "A=1";
        char *argv[] = {program, flag, memory, NULL}, *envp[] = {variable, NULL};
        char first[] = "../a", second[] = "/b c", *disks[] = {first, second, NULL};
        json_t *parameters;

        strcpy(request.slice, "gold");
        strcpy(request.name, "web-1");
        strcpy(request.ticket, "id.5.1000.abcdef");
        for (size_t i = 0; i < _RESOURCE_N; i++)
                request.claim.amount[i] = i == RESOURCE_GPU ? REQUEST_DEFAULT : 1000 + i;
        request.download_bytes_per_s = 10;
        request.upload_bytes_per_s = REQUEST_DEFAULT;
        request.disk_read_bytes_per_s = REQUEST_DEFAULT;
        request.disk_write_bytes_per_s = 1;
        request.disk_ios_per_s = INT64_MAX;
        request.disks = disks;
        request.n_disks = 2;
        request.nets_given = true;
        request.n_nets = 2;
        request.nets[0] = (struct net_request){"pvbr0", 1};
        request.nets[1] = (struct net_request){"br@1", 8};
        request.priority = -3;
        request.wait_usec = 0;
        request.time_usec = 90;
        strcpy(request.owner, "build-7");
        request.detach = request.console = request.learn = true;
        request.argv = argv;
        request.n_argv = 3;
        request.envp = envp;
        request.n_envp = 1;

        parameters = run_request_format(&request);
        need(parameters);
        need_int(run_request_parse(&back, parameters, NULL), 0);
        expect_str(back.slice, "gold");
        expect_str(back.name, "web-1");
        expect_str(back.ticket, "id.5.1000.abcdef");
        expect_uint(back.claim.amount[RESOURCE_MEMORY], 1000 + RESOURCE_MEMORY);
        expect_uint(back.claim.amount[RESOURCE_GPU], REQUEST_DEFAULT);
        expect_uint(back.claim.amount[RESOURCE_NETWORK], REQUEST_DEFAULT);
        expect_uint(back.download_bytes_per_s, 10);
        expect_uint(back.upload_bytes_per_s, REQUEST_DEFAULT);
        expect_uint(back.disk_read_bytes_per_s, REQUEST_DEFAULT);
        expect_uint(back.disk_write_bytes_per_s, 1);
        expect_uint(back.disk_ios_per_s, INT64_MAX);
        need_uint(back.n_disks, 2);
        expect_str(back.disks[0], "../a");
        expect_str(back.disks[1], "/b c");
        expect(back.nets_given);
        need_uint(back.n_nets, 2);
        expect_str(back.nets[0].bridge, "pvbr0");
        expect_uint(back.nets[0].queues, 1);
        expect_str(back.nets[1].bridge, "br@1");
        expect_uint(back.nets[1].queues, 8);
        expect_int(back.priority, -3);
        expect_uint(back.wait_usec, 0);
        expect_uint(back.time_usec, 90);
        expect_str(back.owner, "build-7");
        expect(back.detach && back.console && back.learn && !back.dry_run);
        expect_uint(back.n_argv, 3);
        expect_str(back.argv[2], "{mem.mib}");
        expect_str(back.envp[0], "A=1");
        run_request_deinit(&back);
        json_decref(parameters);
}

static void no_network_is_not_the_default_when_formatted(void) {
        struct run_request request = RUN_REQUEST_NULL;
        char word[] = "x", *argv[] = {word, NULL}, *envp[] = {NULL};
        json_t *parameters;

        request.argv = argv;
        request.n_argv = 1;
        request.envp = envp;
        parameters = run_request_format(&request);
        expect(!json_object_get(parameters, "net"));
        json_decref(parameters);
        request.nets_given = true;
        parameters = run_request_format(&request);
        expect(json_is_array(json_object_get(parameters, "net")));
        expect_uint(json_array_size(json_object_get(parameters, "net")), 0);
        json_decref(parameters);
}

static void a_vm_without_disks_says_nothing_of_them(void) {
        struct run_request request = RUN_REQUEST_NULL;
        char word[] = "x", *argv[] = {word, NULL}, *envp[] = {NULL};
        json_t *parameters, *claim;

        for (size_t i = 0; i < _RESOURCE_N; i++)
                request.claim.amount[i] = REQUEST_DEFAULT;
        request.download_bytes_per_s = request.upload_bytes_per_s = REQUEST_DEFAULT;
        request.disk_read_bytes_per_s = request.disk_write_bytes_per_s = REQUEST_DEFAULT;
        request.disk_ios_per_s = REQUEST_DEFAULT;
        request.argv = argv;
        request.n_argv = 1;
        request.envp = envp;
        parameters = run_request_format(&request);
        expect(!json_object_get(parameters, "disks"));
        claim = json_object_get(parameters, "claim");
        expect(json_is_object(claim));
        expect_uint(json_object_size(claim), 0);
        json_decref(parameters);
}

static void string_that_is_no_utf8_cannot_be_formatted(void) {
        struct run_request request = RUN_REQUEST_NULL;
        char word[] = "\xff", *argv[] = {word, NULL}, *envp[] = {NULL};

        request.argv = argv;
        request.n_argv = 1;
        request.envp = envp;
        expect(run_request_format(&request) == NULL);
}

static int parse_vm(const char *text, struct vm_request *request) {
        json_t *parameters = json_loads(text, 0, NULL);
        int r = vm_request_parse(request, parameters, NULL);

        json_decref(parameters);
        return r;
}

static void vm_requests_are_bounded(void) {
        static const char *const bad[] = {
                "{}",
                "{\"vm\":null}",
                "{\"vm\":1}",
                "{\"vm\":\"../x\"}",
                "{\"vm\":\"a\",\"signal\":0}",
                "{\"vm\":\"a\",\"signal\":65}",
                "{\"vm\":\"a\",\"signal\":-9}",
                "{\"vm\":\"a\",\"signal\":\"TERM\"}",
                "{\"vm\":\"a\",\"grace_usec\":-1}",
                "{\"vm\":\"a\",\"grace_usec\":0.5}",
                "{\"vm\":\"a\",\"ticket\":\"a b\"}",
                "{\"vm\":\"a\",\"force\":true}",
        };
        struct vm_request request = VM_REQUEST_NULL;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                expect_that(parse_vm(bad[i], &request) == REQUEST_E_INVALID, "taken: %s", bad[i]);
        expect_int(parse_vm("{\"vm\":\"a\"}", &request), 0);
        expect_int(request.signal, 0);
        expect_uint(request.grace_usec, REQUEST_DEFAULT);
        expect_int(parse_vm("{\"vm\":\"a\",\"signal\":64,\"grace_usec\":0,\"ticket\":\"t\"}",
                            &request),
                   0);
        expect_int(request.signal, 64);
        expect_uint(request.grace_usec, 0);
        expect_str(request.ticket, "t");
}

static int parse_resize(const char *text, struct resize_request *request, struct why *why) {
        json_t *parameters = json_loads(text, 0, NULL);
        int r = resize_request_parse(request, parameters, why);

        json_decref(parameters);
        return r;
}

static void a_resize_names_a_vm_and_at_least_one_axis(void) {
        static const char *const bad[][2] = {
                {"{}", "vm"},
                {"{\"claim\":{\"download\":1}}", "vm"},
                {"{\"vm\":\"../x\",\"claim\":{\"download\":1}}", "vm"},
                {"{\"vm\":\"a\"}", "claim"},
                {"{\"vm\":\"a\",\"claim\":null}", "claim"},
                {"{\"vm\":\"a\",\"claim\":[]}", "claim"},
                {"{\"vm\":\"a\",\"claim\":{}}", "claim"},
                {"{\"vm\":\"a\",\"claim\":{\"download\":null}}", "claim"},
                {"{\"vm\":\"a\",\"claim\":{\"download\":-1}}", "claim.download"},
                {"{\"vm\":\"a\",\"claim\":{\"upload\":\"1\"}}", "claim.upload"},
                {"{\"vm\":\"a\",\"claim\":{\"memory\":0}}", "claim.memory"},
                {"{\"vm\":\"a\",\"claim\":{\"network\":1}}", "claim.network"},
                {"{\"vm\":\"a\",\"claim\":{\"disk_io\":-1}}", "claim.disk_io"},
                {"{\"vm\":\"a\",\"claim\":{\"disk_read\":1}}", "claim.disk_read"},
                {"{\"vm\":\"a\",\"claim\":{\"disk_io\":1,\"disk_iops\":1}}", "claim.disk_iops"},
                {"{\"vm\":\"a\",\"claim\":{\"download\":1},\"wait_usec\":0}", "wait_usec"},
        };
        struct resize_request request = {.upload_bytes_per_s = 7};

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct why why = {};
                char field[64];

                expect_that(parse_resize(bad[i][0], &request, &why) == REQUEST_E_INVALID,
                            "taken: %s", bad[i][0]);
                expect_str(request_invalid_field(&why, field, sizeof(field)), bad[i][1]);
        }
        expect_uint(request.upload_bytes_per_s, 7);

        expect_int(parse_resize("{\"vm\":\"a\",\"claim\":{\"download\":0}}", &request, NULL), 0);
        expect_str(request.vm, "a");
        expect_uint(request.download_bytes_per_s, 0);
        expect_uint(request.upload_bytes_per_s, REQUEST_DEFAULT);
        for (size_t i = 0; i < _RESOURCE_N; i++)
                expect_uint(request.claim.amount[i], REQUEST_DEFAULT);
        expect_int(parse_resize("{\"vm\":\"a\",\"claim\":{\"cpu\":1500}}", &request, NULL), 0);
        expect_uint(request.claim.amount[RESOURCE_CPU], 1500);
        expect_int(parse_resize("{\"vm\":\"a\",\"claim\":{\"disk_io\":0}}", &request, NULL), 0);
        expect_uint(request.claim.amount[RESOURCE_DISK_IO], 0);
        expect_uint(request.download_bytes_per_s, REQUEST_DEFAULT);
}

static void formatted_resize_is_read_back(void) {
        struct resize_request request = {.download_bytes_per_s = REQUEST_DEFAULT,
                                         .upload_bytes_per_s = 5},
                              back = {};
        json_t *parameters;

        strcpy(request.vm, "web");
        for (size_t i = 0; i < _RESOURCE_N; i++)
                request.claim.amount[i] = REQUEST_DEFAULT;
        request.claim.amount[RESOURCE_GPU] = 2;
        parameters = resize_request_format(&request);
        need_int(resize_request_parse(&back, parameters, NULL), 0);
        expect_str(back.vm, "web");
        expect(demand_equal(&back.claim, &request.claim));
        expect_uint(back.download_bytes_per_s, REQUEST_DEFAULT);
        expect_uint(back.upload_bytes_per_s, 5);
        json_decref(parameters);
}

static int parse_image(const char *text, struct image_request *request, struct why *why) {
        json_t *parameters = json_loads(text, 0, NULL);
        int r = image_request_parse(request, parameters, why);

        json_decref(parameters);
        return r;
}

static void an_image_has_a_size(void) {
        static const char *const bad[][2] = {
                {"{}", "size is missing; give a number of bytes"},
                {"{\"size\":null}", "size is missing"},
                {"{\"size\":-1}", "size is -1; give a whole number from 0"},
                {"{\"size\":1.5}", "size is 1.5; give a whole number"},
                {"{\"size\":\"1G\"}", "size is \"1G\"; give a whole number"},
                {"{\"size\":[]}", "size is an array"},
                {"{\"size\":1,\"image\":\"x\"}", "image is not a parameter"},
        };
        struct image_request request = {.size_bytes = 7};

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct why why = {};

                expect_that(parse_image(bad[i][0], &request, &why) == REQUEST_E_INVALID,
                            "taken: %s", bad[i][0]);
                expect_in(why.text, bad[i][1]);
        }
        expect_uint(request.size_bytes, 7);
        expect_int(parse_image("{\"size\":0}", &request, NULL), 0);
        expect_uint(request.size_bytes, 0);
        expect_int(parse_image("{\"size\":9223372036854775807}", &request, NULL), 0);
        expect_uint(request.size_bytes, INT64_MAX);
}

static void formatted_image_is_read_back(void) {
        struct image_request request = {.size_bytes = 5000000000}, back = {};
        json_t *parameters = image_request_format(&request);

        need_int(image_request_parse(&back, parameters, NULL), 0);
        expect_uint(back.size_bytes, 5000000000);
        json_decref(parameters);
}

static int parse_reserve(const char *text, struct run_request *request, struct why *why) {
        json_t *parameters = json_loads(text, 0, NULL);
        int r;

        need_that(parameters, "no JSON: %s", text);
        r = reserve_request_parse(request, parameters, why);
        json_decref(parameters);
        return r;
}

static void a_reservation_names_its_owner_and_may_be_of_nothing(void) {
        struct run_request request = RUN_REQUEST_NULL, back = RUN_REQUEST_NULL;
        json_t *parameters;
        struct why why = {};

        expect_int(parse_reserve("{}", &request, &why), REQUEST_E_INVALID);
        expect_in(why.text, "owner is missing");
        expect_int(parse_reserve("{\"owner\":\"o\",\"net\":[]}", &request, &why),
                   REQUEST_E_INVALID);
        expect_int(parse_reserve("{\"owner\":\"o\",\"vms\":65537}", &request, &why),
                   REQUEST_E_INVALID);
        expect_int(parse_reserve("{\"owner\":\"o\",\"claim\":{\"cpu\":-1}}", &request, &why),
                   REQUEST_E_INVALID);
        need_int(parse_reserve("{\"owner\":\"o\",\"claim\":{\"cpu\":0,\"memory\":0}}", &request,
                               &why),
                 0);
        expect(request.reserves && request.n_argv == 0 && !request.argv);
        expect_uint(request.claim.amount[RESOURCE_CPU], 0);
        expect_uint(request.claim.amount[RESOURCE_DISK], REQUEST_DEFAULT);
        expect_uint(request.vms, REQUEST_DEFAULT);
        expect_uint(request.wait_usec, REQUEST_WAIT_FOREVER);
        request.vms = 4;
        request.detach = true;
        request.download_bytes_per_s = 7;
        parameters = reserve_request_format(&request);
        need_int(reserve_request_parse(&back, parameters, &why), 0);
        expect_uint(back.vms, 4);
        expect(back.detach && back.reserves);
        expect_str(back.owner, "o");
        expect_uint(back.download_bytes_per_s, 7);
        expect(demand_equal(&back.claim, &request.claim));
        json_decref(parameters);
        run_request_deinit(&request);
        run_request_deinit(&back);
}

static void a_release_names_an_owner(void) {
        struct release_request request = {.owner = "o", .grace_usec = 5}, back = {};
        json_t *parameters = release_request_format(&request), *empty = json_object();

        need_int(release_request_parse(&back, parameters, NULL), 0);
        expect_str(back.owner, "o");
        expect_uint(back.grace_usec, 5);
        expect_int(release_request_parse(&back, empty, NULL), REQUEST_E_INVALID);
        json_decref(parameters);
        json_decref(empty);
}

static void small_requests_refuse_what_is_not_theirs(void) {
        json_t *empty = json_object(), *since = json_pack("{si}", "since", 5);
        json_t *slice = json_pack("{ss}", "slice", "gold"), *below = json_pack("{si}", "since", -1);
        uint64_t number = 0;
        char text[8];

        expect_int(request_parse_none(empty, NULL), 0);
        expect_int(request_parse_none(since, NULL), REQUEST_E_INVALID);
        expect_int(request_parse_number(empty, "since", &number, NULL), 0);
        expect_uint(number, REQUEST_DEFAULT);
        expect_int(request_parse_number(since, "since", &number, NULL), 0);
        expect_uint(number, 5);
        expect_int(request_parse_number(below, "since", &number, NULL), REQUEST_E_INVALID);
        expect_int(request_parse_text(slice, "slice", text, sizeof(text), NULL), 0);
        expect_str(text, "gold");
        expect_int(request_parse_text(slice, "slice", text, 4, NULL), REQUEST_E_INVALID);
        expect_int(request_parse_text(slice, "interface", text, sizeof(text), NULL),
                   REQUEST_E_INVALID);
        json_decref(empty);
        json_decref(since);
        json_decref(slice);
        json_decref(below);
}

static void interface_texts_are_the_files(void) {
        expect_in(proto_interface_description, "interface " PROTO_INTERFACE);
        expect_in(proto_service_description, "interface org.varlink.service");
        expect_in(proto_service_description, "error InterfaceNotFound");
}

UNIT_MAIN(TEST(smallest_run_takes_all_defaults), TEST(null_means_not_given),
          TEST(absurd_values_are_refused_in_every_field),
          TEST(only_a_detached_vm_may_have_a_console), TEST(names_that_are_no_names_are_refused),
          TEST(claims_are_whole_and_not_negative),
          TEST(the_two_ways_of_the_network_are_named_apart), TEST(a_vm_names_its_bridges),
          TEST(an_empty_list_of_bridges_is_no_network),
          TEST(a_net_that_is_none_is_refused_by_its_place), TEST(taps_and_their_queues_are_counted),
          TEST(reads_writes_and_operations_are_named_apart), TEST(a_vm_names_its_disks_in_order),
          TEST(an_empty_list_of_disks_is_none),
          TEST(a_disk_that_is_no_path_is_refused_by_its_place),
          TEST(disks_and_their_bytes_are_counted), TEST(a_vm_without_disks_says_nothing_of_them),
          TEST(an_image_has_a_size), TEST(formatted_image_is_read_back),
          TEST(unknown_parameters_are_refused), TEST(command_must_be_there),
          TEST(strings_with_nul_are_refused), TEST(words_and_variables_are_counted),
          TEST(bytes_of_command_and_environment_are_counted_together),
          TEST(environment_is_names_and_values), TEST(refused_run_leaves_the_request_untouched),
          TEST(formatted_run_is_read_back), TEST(string_that_is_no_utf8_cannot_be_formatted),
          TEST(no_network_is_not_the_default_when_formatted), TEST(vm_requests_are_bounded),
          TEST(a_resize_names_a_vm_and_at_least_one_axis), TEST(formatted_resize_is_read_back),
          TEST(a_reservation_names_its_owner_and_may_be_of_nothing), TEST(a_release_names_an_owner),
          TEST(small_requests_refuse_what_is_not_theirs), TEST(interface_texts_are_the_files))

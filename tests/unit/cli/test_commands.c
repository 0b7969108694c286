/* SPDX-License-Identifier: MIT */
/*
 * Command lines, and what the commands print of a broker's answers: also of one that is hostile,
 * older or newer than we are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/why.h>
#include <cli/cli.h>
#include <cli/signals.h>
#include <proto/request.h>

#include "fake.h"
#include "unit.h"

/* One command line without a broker, in this process. */
struct line {
        char *output, *errors;
        size_t n_output, n_errors;
        int status;
};

static void line_run(struct line *line, const char *text) {
        char *copy = strdup(text), *argv[64], *rest = copy;
        FILE *out, *err;
        int argc = 0;

        *line = (struct line){};
        out = open_memstream(&line->output, &line->n_output);
        err = open_memstream(&line->errors, &line->n_errors);
        need(copy && out && err);
        while ((argv[argc] = strsep(&rest, " ")))
                argc++;
        line->status = cli_main(argc, argv, out, err);
        fclose(out);
        fclose(err);
        free(copy);
}

static void line_deinit(struct line *line) {
        free(line->output);
        free(line->errors);
}

static void expect_line(const char *text, int status, const char *output, const char *errors) {
        struct line line;

        line_run(&line, text);
        expect_that(line.status == status, "%s: %d", text, line.status);
        expect_in(line.output, output);
        expect_in(line.errors, errors);
        line_deinit(&line);
}

static void mistakes_are_64_and_say_what_is_valid(void) {
        static const char *const rows[][2] = {
                {"provium", "Usage"},
                {"provium bogus", "unknown command 'bogus'"},
                {"provium \033[2J", "unknown command '\\x1b[2J'"},
                {"provium --bogus ps", "unknown option --bogus"},
                {"provium --socket", "needs a value"},
                {"provium policy", "policy check"},
                {"provium policy bogus", "policy check"},
                {"provium ps x", "one word too many"},
                {"provium ps --bogus", "provium: ps: unknown option --bogus"},
                {"provium ps --json=1", "takes no value"},
                {"provium show", "give VM"},
                {"provium show a b", "one word too many"},
                {"provium kill", "give VM..."},
                {"provium drain --undo --wait", "exclude each other"},
                {"provium drain x", "drain"},
                {"provium kill --signal", "needs a value"},
                {"provium kill --signal FOO a", "'FOO' is no signal"},
                {"provium kill --signal 65 a", "1 to 64"},
                {"provium kill --grace 5x a", "--grace: "},
                {"provium kill ../x", "not a valid"},
                {"provium events --since -1", "--since"},
                {"provium run", "give the command"},
                {"provium run --", "give the command"},
                {"provium run --net", "needs a value"},
                {"provium run --net a/b x", "--net: \"a/b\" is not a valid bridge"},
                {"provium run --net br%d x", "--net: \"br%d\" is not a valid bridge"},
                {"provium run --net ,queues=2 x", "--net: \"\" is not a valid bridge"},
                {"provium run --net abcdefghijklmnop x", "give 1 to 15"},
                {"provium run --net br0, x", "valid is queues=N"},
                {"provium run --net br0,mac=x x", "'mac=x' is unknown behind a bridge"},
                {"provium run --net br0,queues=0 x", "from 1 to 8"},
                {"provium run --net br0,queues=9 x", "from 1 to 8"},
                {"provium run --net br0,queues= x", "from 1 to 8"},
                {"provium run --net br0,queues=2,queues=2 x", "from 1 to 8"},
                {"provium run --net br0,queues=8 --net br0,queues=8 --net br0 x",
                 "17 queues; give at most 16"},
                {"provium run --net none --net br0 x", "either none or bridges"},
                {"provium run --net br0 --net none x", "either none or bridges"},
                {"provium run --net none,queues=2 --net none x", "either none or bridges"},
                {"provium run --net a --net a --net a --net a --net a --net a --net a --net a "
                 "--net "
                 "a x",
                 "give at most 8"},
                {"provium doctor x", "one word too many"},
                {"provium console", "give VM"},
                {"provium console a b", "one word too many"},
                {"provium console --escape ^1 a", "--escape: '^1' is no key; give ^ and a letter"},
                {"provium console --lines few a", "--lines: "},
                {"provium qmp", "give VM [COMMAND [JSON-ARGUMENTS]]"},
                {"provium qmp a b {} c", "one word too many"},
                {"provium qmp a b []", "no JSON object such as {\"value\":5}: it is another value"},
                {"provium qmp a b {", "no JSON object"},
                {"provium qmp a b {\"a\":1,\"a\":2}", "duplicate"},
                {"provium qmp a \xff", "not UTF-8"},
                {"provium qmp --timeout 5 a", "--timeout: "},
                {"provium resize", "give VM"},
                {"provium resize web", "give at least one of --cpus, --mem, --download"},
                {"provium resize web api --upload 1Mbps", "one word too many"},
                {"provium resize ../x --upload 1Mbps", "not a valid"},
                {"provium resize web --download 5", "--download: "},
                {"provium resize web --upload -1Mbps", "--upload: "},
                {"provium resize web --mem 1Q", "--mem: "},
                {"provium resize web --cpus 1.2345", "--cpus: "},
                {"provium resize web --disk-io 5", "--disk-io: "},
                {"provium resize web --disk-iops 5", "unknown option --disk-iops"},
                {"provium image-check", "give SIZE"},
                {"provium image-check 1G 2G", "one word too many"},
                {"provium image-check 5Q", "\"5Q\""},
                {"provium image-check ", "KiB"},
                {"provium run --disk-image", "needs a value"},
                {"provium run --disk-image= x", "--disk-image: give a path of 1 to 1024 bytes"},
                {"provium run --disk-image a\nb x", "without control characters"},
                {"provium run --disk-image \xff x", "of UTF-8"},
                {"provium run --disk-image x", "give the command"},
                {"provium run --disk-image /nowhere/disk --cpus 0 x", "--cpus: "},
                {"provium run --disk-image a --disk-image a --disk-image a --disk-image a "
                 "--disk-image a --disk-image a --disk-image a --disk-image a --disk-image a "
                 "--disk-image a --disk-image a --disk-image a --disk-image a --disk-image a "
                 "--disk-image a --disk-image a --disk-image a x",
                 "--disk-image: give at most 16"},
                {"provium run --disk-read 0B/s x", "--disk-read: "},
                {"provium run --disk-read 5 x", "--disk-read: "},
                {"provium run --disk-write 0 x", "--disk-write: 0 is too little"},
                {"provium run --disk-iops 0 x", "--disk-iops: 0 is too little"},
                {"provium run --disk-iops 1.5 x", "--disk-iops: "},
                {"provium run --disk-iops -1 x", "--disk-iops: "},
                {"provium run --cpus", "needs a value"},
                {"provium run --cpus 0 x", "--cpus: "},
                {"provium run --cpus -1 x", "--cpus: "},
                {"provium run --cpus 1e3 x", "--cpus: "},
                {"provium run --cpus nan x", "--cpus: "},
                {"provium run --mem 0 x", "--mem: "},
                {"provium run --mem -5 x", "--mem: "},
                {"provium run --mem 5Q x", "KiB"},
                {"provium run --mem 99999999999999999999T x", "--mem: "},
                {"provium run --download 5 x", "--download: "},
                {"provium run --upload 5M x", "--upload: "},
                {"provium run --disk-io 1e9 x", "--disk-io: "},
                {"provium run --gpus 0.5 x", "--gpus: "},
                {"provium run --priority 1001 x", "-1000 to 1000"},
                {"provium run --priority x x", "-1000 to 1000"},
                {"provium run --wait 5 x", "--wait: "},
                {"provium run --name ../x x", "--name: "},
                {"provium run --slice a//b x", "--slice: "},
                {"provium run --reconnect soon x", "--reconnect: "},
                {"provium run --detach=1 x", "takes no value"},
                {"provium run \xff", "not UTF-8"},
                {"provium help bogus", "no such command"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                expect_line(rows[i][0], 64, "", rows[i][1]);
}

static void a_disk_that_cannot_be_opened_is_named(void) {
        char text[REQUEST_DISK_PATH_MAX + 64] = "provium run --disk-image ";
        size_t n = strlen(text);

        expect_line("provium run --disk-image / --disk-image /nowhere/disk\\ -- x", 66, "",
                    "provium: run: --disk-image: cannot open /nowhere/disk\\: No such file");
        expect_line("provium run --disk-image /dev/null/x x", 66, "", "Not a directory");
        memset(text + n, 'p', REQUEST_DISK_PATH_MAX);
        strcpy(text + n + REQUEST_DISK_PATH_MAX, " x");
        expect_line(text, 66, "", "File name too long");
        strcpy(text + n + REQUEST_DISK_PATH_MAX, "p x");
        expect_line(text, 64, "", "give a path of 1 to 1024 bytes");
}

static void every_command_has_help(void) {
        for (const struct command *command = commands; command->name; command++) {
                char text[128];

                snprintf(text, sizeof(text), "provium %s --help", command->name);
                expect_line(text, 0, command->help, "");
                snprintf(text, sizeof(text), "provium help %s", command->name);
                expect_line(text, 0, command->name, "");
        }
        expect_line("provium --help", 0, "policy reload", "");
        expect_line("provium policy --help", 0, "policy reload", "");
        expect_line("provium version", 0, PROVIUM_VERSION, "");
        expect_line("provium --version", 0, PROVIUM_VERSION, "");
        expect_line("provium --json --version", 0, "{\"version\":", "");
}

static void help_promises_only_what_is_accepted(void) {
        for (const struct command *command = commands; command->name; command++)
                for (const struct option_row *row = command->options; row && row->name; row++) {
                        char text[128], wanted[64];
                        struct line line;

                        /* With a value that nothing takes: the option is known if that is the
                         * complaint. */
                        snprintf(text, sizeof(text), "provium %s --%s%s --bogus", command->name,
                                 row->name, row->argument ? "=1" : "");
                        snprintf(wanted, sizeof(wanted), "unknown option --%s", row->name);
                        line_run(&line, text);
                        expect_that(!strstr(line.errors, wanted), "%s", text);
                        line_deinit(&line);
                }
}

static void each_command_without_broker_is_69(void) {
        static const char *const words[] = {"ps",          "show a",        "resources",
                                            "kill a",      "explain a",     "events",
                                            "policy show", "policy reload", "upgrade",
                                            "drain",       "drain --wait",  "run x",
                                            "doctor",      "image-check 0", "run --disk-image / x",
                                            "qmp a"};

        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                char text[128];

                snprintf(text, sizeof(text), "provium --socket /nowhere/control %s", words[i]);
                expect_line(text, 69, "", "cannot connect to /nowhere/control");
        }
        expect_line("provium ps --socket /nowhere/control", 69, "",
                    "cannot connect to /nowhere/control");
}

static void output_that_cannot_be_written_is_74(void) {
        char program[] = "provium", word[] = "help", *argv[] = {program, word, NULL};
        FILE *full = fopen("/dev/full", "we");
        char *errors = NULL;
        size_t n = 0;
        FILE *err = open_memstream(&errors, &n);

        need(full && err);
        expect_int(cli_main(2, argv, full, err), 74);
        fclose(full);
        fclose(err);
        expect_in(errors, "cannot write the output");
        free(errors);
}

static void signals_have_names_and_numbers(void) {
        static const struct {
                const char *text;
                int number;
        } rows[] = {{"TERM", 15}, {"SIGTERM", 15}, {"sigkill", 9},
                    {"usr1", 10}, {"9", 9},        {"64", 64}};
        static const char *const bad[] = {"",    "0",      "-9", "65",    "9x",
                                          "SIG", "SIGFOO", "9 ", "TERM\n"};

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                int number = 0;

                expect_that(signals_parse(rows[i].text, &number, NULL) == 0, "%s", rows[i].text);
                expect_int(number, rows[i].number);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct why why = {};
                int number = -1;

                expect_that(signals_parse(bad[i], &number, &why) == SIGNALS_E_INVALID, "%s",
                            bad[i]);
                expect_int(number, -1);
        }
}

static json_t *list(void) {
        return json_pack("{s[{ss ss ss si ss s{si si si si}}] s[{ss ss si ss ss}]}", "vms", "name",
                         "web", "slice", "gold", "state", "running", "pid", 4711, "command",
                         "vmm 'a b' \033[31m", "charge", "cpu", 1500, "memory", 1 << 30, "network",
                         125000000, "disk_io", 1000000, "waiting", "ticket_id", "q7", "slice",
                         "gold", "position", 2, "reason", "pool_full", "detail", "memory");
}

static void ps_lists_vms_and_waiting_claims(void) {
        struct fake fake;

        fake_init(&fake);
        expect_int(fake_answer(&fake, "List", NULL, list(), "ps", NULL), 0);
        expect_in(fake.output, "NAME  SLICE  STATE    CPU  MEMORY");
        expect_in(fake.output, "web   gold   running  1.5      1G");
        expect_in(fake.output, "4711");
        expect_in(fake.output, "vmm");
        expect(!strchr(fake.output, '\033'));
        expect_in(fake.output, "q7");
        expect_in(fake.output, "pool_full");
        fake_deinit(&fake);
}

static void ps_gives_raw_values_as_json(void) {
        json_t *object;
        struct fake fake;

        fake_init(&fake);
        expect_int(fake_answer(&fake, "List", NULL, list(), "ps", "--json", NULL), 0);
        object = json_loads(strtok(fake.output, "\n"), 0, NULL);
        expect_int(json_integer_value(json_object_get(json_object_get(object, "charge"), "memory")),
                   1 << 30);
        expect_str(json_string_value(json_object_get(object, "kind")), "vm");
        json_decref(object);
        object = json_loads(strtok(NULL, "\n"), 0, NULL);
        expect_str(json_string_value(json_object_get(object, "kind")), "waiting");
        json_decref(object);
        fake_deinit(&fake);
}

static void ps_takes_a_list_in_parts(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "ps", NULL);
        peer_expect(&fake, &peer, "List");
        peer_reply(&peer, json_pack("{s[{ss}]}", "vms", "name", "one"), true);
        peer_reply(&peer, json_pack("{s[{ss}]}", "vms", "name", "two"), false);
        expect_int(fake_wait(&fake), 0);
        expect_in(fake.output, "\none");
        expect_in(fake.output, "\ntwo");
        peer_deinit(&peer);
        fake_deinit(&fake);
}

/* Whatever is missing or of another type: no command may crash, and none fails for it. */
static void answers_of_odd_shape_are_survived(void) {
        static const char *const methods[][2] = {
                {"List", "ps"},         {"Show", "show"},          {"Resources", "resources"},
                {"Explain", "explain"}, {"Doctor", "doctor"},      {"Events", "events"},
                {"Kill", "kill"},       {"PolicyReload", "policy"}};
        static const char *const answers[] = {
                "{}",
                "{\"vm\":{\"nets\":[1,{},{\"tap\":5,\"mac\":[]}]}}",
                "{\"vm\":{\"nets\":{},\"disks\":{}}}",
                "{\"vm\":{\"disks\":[1,{},{\"path\":5,\"disk\":[]},{\"path\":\"\\u001b[2J\"}]}}",
                "{\"resources\":{\"disks\":{},\"disk_breakdown\":[1]}}",
                "{\"resources\":{\"disks\":[1,{},{\"disk\":7,\"capacity\":-1,\"available\":\"x\"},"
                "{\"disk\":\"\\u001b\"}],\"disk_breakdown\":{\"images_bytes\":-1,\"x\":[]}}}",
                "{\"findings\":7}",
                "{\"findings\":[1,{},{\"check\":5,\"verdict\":\"fatal\",\"text\":[],\"mend\":{}},"
                "{\"verdict\":\"\\u001b[2J\",\"check\":\"\\u001b\",\"mend\":\"a\\nb\\u001b\"}]}",
                "{\"vms\":{},\"waiting\":5,\"vm\":[],\"limits\":[],\"stats\":1,\"notes\":{},"
                "\"resources\":[],\"axes\":{},\"events\":1,\"notices\":7,\"slices\":\"x\"}",
                "{\"vms\":[1,null,{\"name\":5,\"charge\":[],\"created_ns\":-1,\"pid\":\"x\"}],"
                "\"waiting\":[{}],\"vm\":{\"name\":7,\"charge\":{\"cpu\":-1}},\"limits\":{\"memory."
                "max\":5},"
                "\"stats\":{\"\\u001b[2J\":\"\\u001b[2J\"},\"notes\":[1],\"resources\":{\"cpu\":{"
                "\"capacity\":-5,\"oversub_ratio\":-1e300},\"memory\":3,\"slices\":[{}],\"queue\":{"
                "\"a\":[]}},"
                "\"axes\":[{\"resource\":\"cpu\"},7],\"events\":[1,{\"ts_ns\":9223372036854775807,"
                "\"\\u001b\":\"\\u001b\"}]}",
        };

        for (size_t m = 0; m < ARRAY_SIZE(methods); m++)
                for (size_t a = 0; a < ARRAY_SIZE(answers); a++) {
                        const char *word = methods[m][1];
                        bool one = strcmp(word, "show") == 0 || strcmp(word, "explain") == 0 ||
                                   strcmp(word, "kill") == 0;
                        struct fake fake;
                        int status;

                        fake_init(&fake);
                        status = fake_answer(&fake, methods[m][0], NULL,
                                             json_loads(answers[a], 0, NULL), word,
                                             one                           ? "vm1"
                                             : strcmp(word, "policy") == 0 ? "reload"
                                                                           : NULL,
                                             NULL);
                        expect_that(status == 0, "%s: %d: %s", word, status, fake.errors);
                        expect(!strchr(fake.output, '\033'));
                        fake_deinit(&fake);
                }
}

static void show_tells_what_the_kernel_holds(void) {
        struct fake fake;

        fake_init(&fake);
        expect_int(fake_answer(&fake, "Show", NULL,
                               json_pack("{s{ss ss s{si}} s{ss ss} s{ss ss} s[s]}", "vm", "name",
                                         "web", "state", "running", "charge", "memory", 1 << 30,
                                         "limits", "memory.max", "1073741824", "cpu.max",
                                         "max 100000", "stats", "memory.current", "1048576",
                                         "cpu.stat", "usage_usec 1500000\nuser_usec 5", "notes",
                                         "io.max could not be set"),
                               "show", "web", NULL),
                   0);
        expect_in(fake.output, "memory                     1G\n");
        expect_in(fake.output, "memory.max                 1073741824  (1G)\n");
        expect_in(fake.output, "cpu.max                    max 100000\n");
        expect_in(fake.output, "memory.current             1048576  (1M)\n");
        expect_in(fake.output, "cpu.stat                   usage_usec 1500000  (1.5s)\n"
                               "                             user_usec 5  (5us)\n");
        expect_in(fake.output, "note: io.max could not be set\n");
        fake_deinit(&fake);
}

static void show_tells_of_the_network(void) {
        struct fake fake;

        fake_init(&fake);
        expect_int(
                fake_answer(&fake, "Show", NULL,
                            json_pack("{s{ss s[{ss ss ss} {ss ss ss}] s{si}} s{ss ss ss} s{ss}}",
                                      "vm", "name", "web", "nets", "bridge", "pvbr0", "tap", "pv1",
                                      "mac", "52:54:00:00:00:01", "bridge", "b\033[2J", "tap",
                                      "pv2", "mac", "52:54:00:00:00:02", "charge", "network",
                                      25000000, "limits", "net.0", "pv1 on pvbr0, down",
                                      "net.0.download", "25MB/s", "net.upload", "not limited",
                                      "stats", "net.0.download_bytes", "1048576"),
                            "show", "web", NULL),
                0);
        expect_in(fake.output, "  net.0                      pv1 on pvbr0, 52:54:00:00:00:01\n"
                               "  net.1                      pv2 on b\\x1b[2J, 52:54:00:00:00:02\n"
                               "charge\n"
                               "  network                    25MB/s\n"
                               "limits\n"
                               "  net.0                      pv1 on pvbr0, down\n"
                               "  net.0.download             25MB/s\n"
                               "  net.upload                 not limited\n"
                               "use\n"
                               "  net.0.download_bytes       1048576  (1M)\n");
        expect(!strstr(fake.output, "network_upload"));
        fake_deinit(&fake);
}

static void show_tells_of_the_disks(void) {
        struct fake fake;

        fake_init(&fake);
        expect_int(fake_answer(&fake, "Show", NULL,
                               json_pack("{s{ss s[{ss ss} {ss ss} {ss ss}] s{si}}}", "vm", "name",
                                         "web", "disks", "path", "/srv/a b.qcow2", "disk", "vda",
                                         "path", "../x\033[2J", "disk", "nvme0n1", "path", "/tmp/y",
                                         "disk", "", "charge", "disk_io", 25000000),
                               "show", "web", NULL),
                   0);
        expect_in(fake.output, "  disk.0                     /srv/a b.qcow2 on vda\n"
                               "  disk.1                     ../x\\x1b[2J on nvme0n1\n"
                               "  disk.2                     /tmp/y\n"
                               "charge\n"
                               "  disk_io                    25MB/s\n");
        fake_deinit(&fake);
}

static void resize_tells_what_is_sold_then(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "resize", "web", "--download", "200Mbps", NULL);
        peer_expect(&fake, &peer, "Resize");
        expect_str(json_string_value(json_object_get(peer.call.parameters, "vm")), "web");
        peer_reply(&peer,
                   json_pack("{s{si} si si}", "charge", "network", 25000000, "download", 25000000,
                             "upload", 6250000),
                   false);
        expect_int(fake_wait(&fake), 0);
        expect_str(fake.output, "web: download 25MB/s, upload 6.25MB/s\n");
        expect_str(fake.errors, "");
        peer_deinit(&peer);
        fake_deinit(&fake);
}

static void resize_sends_what_was_named_and_no_more(void) {
        struct peer peer = PEER_NULL;
        const json_t *claim;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "resize", "web", "--json", "--upload", "50Mbps", NULL);
        peer_expect(&fake, &peer, "Resize");
        claim = json_object_get(peer.call.parameters, "claim");
        expect_uint(json_object_size(claim), 1);
        expect_int(json_integer_value(json_object_get(claim, "upload")), 6250000);
        peer_reply(&peer, json_pack("{s{si}}", "charge", "network", 25000000), false);
        expect_int(fake_wait(&fake), 0);
        expect_str(fake.output, "{\"charge\":{\"network\":25000000}}\n");
        peer_deinit(&peer);
        fake_deinit(&fake);
}

static void resize_changes_the_disks_too(void) {
        struct peer peer = PEER_NULL;
        const json_t *claim;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "resize", "web", "--disk-io", "50MB/s", NULL);
        peer_expect(&fake, &peer, "Resize");
        claim = json_object_get(peer.call.parameters, "claim");
        expect_uint(json_object_size(claim), 1);
        expect_int(json_integer_value(json_object_get(claim, "disk_io")), 50000000);
        peer_reply(&peer,
                   json_pack("{s{si} si si}", "charge", "disk_io", 50000000, "download", 0,
                             "upload", 0),
                   false);
        expect_int(fake_wait(&fake), 0);
        expect_str(fake.output, "web: download 0B/s, upload 0B/s, disk I/O 50MB/s\n");
        peer_deinit(&peer);
        fake_deinit(&fake);
}

static void resize_follows_memory_on_its_way_down(void) {
        struct peer peer = PEER_NULL;
        const json_t *claim;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "resize", "web", "--cpus", "1.5", "--mem", "64M", NULL);
        peer_expect(&fake, &peer, "Resize");
        expect(peer.call.more);
        claim = json_object_get(peer.call.parameters, "claim");
        expect_uint(json_object_size(claim), 2);
        expect_int(json_integer_value(json_object_get(claim, "cpu")), 1500);
        expect_int(json_integer_value(json_object_get(claim, "memory")), 64 << 20);
        peer_reply(&peer,
                   json_pack("{s{} si si s{si si}}", "charge", "cpu", 1500, "memory", 128 << 20,
                             "reclaiming", "in_use", 100 << 20, "target", 62 << 20),
                   true);
        peer_reply(&peer,
                   json_pack("{s{} si si si si}", "charge", "cpu", 1500, "memory", 64 << 20,
                             "download", 0, "upload", 0),
                   false);
        expect_int(fake_wait(&fake), 0);
        expect_str(fake.output, "web: cpu 1.5, memory 64M, download 0B/s, upload 0B/s\n");
        expect_str(fake.errors, "");
        peer_deinit(&peer);
        fake_deinit(&fake);
}

static json_t *image_answer(bool allowed, const char *reason) {
        return json_pack("{sb ss si si si}", "allowed", allowed, "reason", reason, "free", 7,
                         "images", 5, "images_limit", 6);
}

static void image_check_asks_for_a_size_and_has_a_status(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "image-check", "1.5G", NULL);
        peer_expect(&fake, &peer, "ImageCheck");
        expect_int(json_integer_value(json_object_get(peer.call.parameters, "size")), 3LL << 29);
        peer_reply(&peer, image_answer(true, "it may be pulled\033[2J"), false);
        expect_int(fake_wait(&fake), 0);
        expect_str(fake.output, "it may be pulled\\x1b[2J\n");
        expect_str(fake.errors, "");
        peer_deinit(&peer);
        fake_deinit(&fake);

        fake_init(&fake);
        expect_int(fake_answer(&fake, "ImageCheck", NULL, image_answer(false, "4G would be free"),
                               "image-check", "1G", NULL),
                   75);
        expect_str(fake.output, "4G would be free\n");
        fake_deinit(&fake);

        fake_init(&fake);
        expect_int(fake_answer(&fake, "ImageCheck", NULL, image_answer(false, "no"), "image-check",
                               "--json", "1G", NULL),
                   75);
        expect_str(fake.output, "{\"allowed\":false,\"reason\":\"no\",\"free\":7,\"images\":5,"
                                "\"images_limit\":6}\n");
        fake_deinit(&fake);
}

static void image_check_without_a_verdict_is_125(void) {
        static const char *const answers[] = {"{}", "{\"allowed\":1,\"reason\":5}",
                                              "{\"allowed\":null,\"reason\":\"\\u001b\"}"};

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                struct fake fake;

                fake_init(&fake);
                expect_int(fake_answer(&fake, "ImageCheck", NULL, json_loads(answers[i], 0, NULL),
                                       "image-check", "1G", NULL),
                           125);
                expect_in(fake.errors, "makes no sense");
                expect(!strchr(fake.output, '\033'));
                fake_deinit(&fake);
        }
}

static void resize_has_the_exit_statuses_of_the_others(void) {
        static const struct {
                const char *error, *reason;
                int status;
        } rows[] = {
                {"Refused", "pool_full", 75}, {"Refused", "slice_full", 75},
                {"Refused", "too_large", 75}, {"Refused", "not_allowed", 77},
                {"Denied", "", 77},           {"Invalid", "", 64},
                {"NotFound", "", 66},         {"Failed", "", 125},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct fake fake;
                int status;

                fake_init(&fake);
                status =
                        fake_answer(&fake, "Resize", rows[i].error,
                                    json_pack("{ss ss}", "reason", rows[i].reason, "message", "no"),
                                    "resize", "web", "--upload", "1Mbps", NULL);
                expect_that(status == rows[i].status, "%s: %d", rows[i].error, status);
                expect_str(fake.errors, "provium: resize: no\n");
                fake_deinit(&fake);
        }
}

static json_t *finding(const char *check, const char *verdict, const char *text, const char *mend) {
        return json_pack("{ss ss ss ss}", "check", check, "verdict", verdict, "text", text, "mend",
                         mend);
}

static void doctor_prints_the_mending_line_below_its_finding(void) {
        struct fake fake;

        fake_init(&fake);
        expect_int(fake_answer(&fake, "Doctor", NULL,
                               json_pack("{s[ooo]}", "findings", finding("swap", "ok", "off", ""),
                                         finding("bridge", "problem", "br0 is down",
                                                 "ip link set br0 up"),
                                         finding("ksm", "warning", "runs\033[2J", "")),
                               "doctor", NULL),
                   1);
        expect_str(fake.output, "ok       swap    off\n"
                                "problem  bridge  br0 is down\n"
                                "         mend: ip link set br0 up\n"
                                "warning  ksm     runs\\x1b[2J\n"
                                "1 problem, 1 warning, 1 ok\n");
        expect_str(fake.errors, "");
        fake_deinit(&fake);
}

static void doctor_without_problems_is_0(void) {
        struct fake fake;

        fake_init(&fake);
        expect_int(fake_answer(&fake, "Doctor", NULL,
                               json_pack("{s[oo]}", "findings", finding("a", "warning", "b", "c"),
                                         finding("d", "warning", "e", "")),
                               "doctor", NULL),
                   0);
        expect_in(fake.output, "\n0 problems, 2 warnings, 0 ok\n");
        fake_deinit(&fake);

        fake_init(&fake);
        expect_int(fake_answer(&fake, "Doctor", "MethodNotFound", NULL, "doctor", NULL), 125);
        expect_str(fake.output, "");
        fake_deinit(&fake);
}

static void doctor_gives_one_object_per_finding_as_json(void) {
        struct fake fake;

        fake_init(&fake);
        expect_int(fake_answer(&fake, "Doctor", NULL,
                               json_pack("{s[oo]}", "findings", finding("a", "ok", "b", ""),
                                         finding("c", "problem", "d", "e")),
                               "doctor", "--json", NULL),
                   1);
        expect_str(fake.output,
                   "{\"check\":\"a\",\"verdict\":\"ok\",\"text\":\"b\",\"mend\":\"\"}\n"
                   "{\"check\":\"c\",\"verdict\":\"problem\",\"text\":\"d\",\"mend\":\"e\"}\n");
        fake_deinit(&fake);
}

static void explain_names_the_axis_that_does_not_fit(void) {
        struct fake fake;

        fake_init(&fake);
        expect_int(
                fake_answer(&fake, "Explain", NULL,
                            json_pack("{ss ss ss s[{ss si si} {ss si sI sb}]}", "verdict", "waits",
                                      "reason", "pool_full", "detail", "memory: 2 asked", "axes",
                                      "resource", "memory", "requested", 2048, "available", 1024,
                                      "resource", "network", "requested", 0, "available",
                                      (json_int_t)INT64_MAX, "enforced", 0),
                            "explain", "q1", NULL),
                0);
        expect_in(fake.output, "waits: pool_full: memory: 2 asked\n");
        expect_in(fake.output, "memory           2K         1K          -      -  does not fit\n");
        expect_in(fake.output,
                  "network        0B/s  unlimited          -      -  counted, not enforced\n");
        fake_deinit(&fake);
}

static void resources_are_a_table(void) {
        struct fake fake;

        fake_init(&fake);
        expect_int(
                fake_answer(
                        &fake, "Resources", NULL,
                        json_pack("{s{s{si si sf si si si ss} s{si} s[{ss si s{si} s{si}}] s{si}}}",
                                  "resources", "cpu", "capacity", 16000, "reserve", 0,
                                  "oversub_ratio", 4.0, "effective_limit", 64000, "allocated", 2500,
                                  "available", 61500, "source", "detected", "memory", "capacity",
                                  1 << 30, "slices", "name", "gold", "vms", 2, "allocated", "cpu",
                                  2500, "limit", "cpu", 8000, "disk_breakdown", "images_bytes",
                                  1 << 20),
                        "resources", NULL),
                0);
        expect_in(fake.output,
                  "cpu             16        0      4     64        2.5       61.5  detected\n");
        expect_in(fake.output, "memory          1G        -      -      -          -          -\n");
        expect_in(fake.output, "2.5 of 8");
        expect_in(fake.output, "images_bytes         1M");
        fake_deinit(&fake);
}

static void resources_tell_of_pressure_and_what_is_unknown(void) {
        struct fake fake;
        json_t *resources = json_loads(
                "{\"resources\":{\"pressure\":{\"cpu\":{\"some_avg10\":62.31,\"full_avg10\":0.0},"
                "\"memory\":null,\"io\":null},\"gates\":{\"pressure\":\"paused\",\"draining\":true}"
                ","
                "\"slices\":[{\"name\":\"t\",\"pressure\":{\"cpu\":{\"some_avg10\":12.5,"
                "\"full_avg10\":12.0}}},{\"name\":\"empty\",\"pressure\":{\"cpu\":null}}]}}",
                0, NULL);

        need(resources != NULL);
        fake_init(&fake);
        expect_int(fake_answer(&fake, "Resources", NULL, resources, "resources", NULL), 0);
        expect_in(fake.output, "host      62.31% 0%  unknown  unknown");
        expect_in(fake.output, "t         12.5% 12%");
        expect_in(fake.output, "VMs are not started until it is lower");
        expect_in(fake.output, "draining: nothing is started until 'provium drain --undo'");
        fake_deinit(&fake);
}

static void resources_tell_of_each_disk(void) {
        struct fake fake;

        fake_init(&fake);
        expect_int(
                fake_answer(&fake, "Resources", NULL,
                            json_pack("{s{s[{ss si sI si sI} {ss si}] s{si sI si si}}}",
                                      "resources", "disks", "disk", "nvme0n1", "capacity",
                                      1000000000, "effective_limit", (json_int_t)2000000000,
                                      "allocated", 250000000, "available", (json_int_t)1750000000,
                                      "disk", "vda\033", "capacity", 500000000, "disk_breakdown",
                                      "images_bytes", 1 << 20, "oci_cache_bytes",
                                      (json_int_t)5 << 30, "volumes_bytes", 0, "overlays_bytes", 7),
                            "resources", NULL),
                0);
        expect_in(fake.output, "\nDISK     CAPACITY  LIMIT  ALLOCATED  AVAILABLE\n"
                               "nvme0n1     1GB/s  2GB/s    250MB/s   1.75GB/s\n");
        expect_in(fake.output, "vda\\x1b");
        expect_in(fake.output, "\ndisk\n"
                               "  images_bytes         1M\n"
                               "  oci_cache_bytes      5G\n"
                               "  volumes_bytes        0B\n"
                               "  overlays_bytes       7B\n");
        fake_deinit(&fake);
}

static void kill_tries_all_and_tells_the_first_failure(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "kill", "--grace", "2s", "a", "b", "--signal", "INT", NULL);
        peer_expect(&fake, &peer, "Kill");
        expect_int(json_integer_value(json_object_get(peer.call.parameters, "signal")), 2);
        expect_int(json_integer_value(json_object_get(peer.call.parameters, "grace_usec")),
                   2000000);
        peer_error(&peer, "NotFound", json_pack("{ss}", "message", "no VM 'a'"));
        peer_expect(&fake, &peer, "Kill");
        expect_str(json_string_value(json_object_get(peer.call.parameters, "vm")), "b");
        peer_reply(&peer, json_pack("{ss}", "id", "vm2"), false);
        expect_int(fake_wait(&fake), 66);
        expect_str(fake.output, "vm2\n");
        expect_str(fake.errors, "provium: kill: no VM 'a'\n");
        peer_deinit(&peer);
        fake_deinit(&fake);
}

static void error_is_also_an_object_with_json(void) {
        struct fake fake;

        fake_init(&fake);
        expect_int(fake_answer(&fake, "Show", "NotFound", json_pack("{ss}", "message", "no VM 'x'"),
                               "show", "--json", "x", NULL),
                   66);
        expect_str(fake.output, "{\"message\":\"no VM 'x'\",\"error\":\"NotFound\"}\n");
        fake_deinit(&fake);
}

static void write_file(const char *dir, const char *name, const char *text) {
        char path[512];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        file = fopen(path, "we");
        need(file);
        fputs(text, file);
        fclose(file);
}

static void policy_files_are_checked_without_a_broker(void) {
        char dir[] = "/tmp/provium-policy-XXXXXX", path[64], text[256];

        need(mkdtemp(dir));
        snprintf(text, sizeof(text), "provium policy check --vendor-dir /nonexistent %s", dir);
        expect_line(text, 0, "no errors; 0 slices", "");
        write_file(dir, "broker.conf", "[Broker]\nMaxVMs=many\n");
        expect_line(text, 78, "broker.conf:2", "1 error");
        snprintf(text, sizeof(text), "provium policy check --json --vendor-dir /nonexistent %s",
                 dir);
        expect_line(text, 78, "\"line\":2", "1 error");
        snprintf(path, sizeof(path), "%s/broker.conf", dir);
        unlink(path);
        snprintf(text, sizeof(text),
                 "provium policy show --offline --config-dir %s --vendor-dir /nonexistent", dir);
        expect_line(text, 0, "[Capacity]", "");
        snprintf(text, sizeof(text),
                 "provium policy show --offline --config-dir %s --vendor-dir /nonexistent gold",
                 dir);
        expect_line(text, 66, "", "there is no slice 'gold'");
        rmdir(dir);
        expect_line("provium policy check /nonexistent/dir", 66, "",
                    "cannot read /nonexistent/dir");
}

static void policy_check_compiles_the_lists_that_slices_name(void) {
        char dir[] = "/tmp/provium-policy-XXXXXX", path[64], text[256];

        need(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/slices", dir);
        need_int(mkdir(path, 0755), 0);
        snprintf(path, sizeof(path), "%s/seccomp", dir);
        need_int(mkdir(path, 0755), 0);
        write_file(dir, "slices/a.slice", "[Sandbox]\nSeccomp=mine\n");
        write_file(dir, "slices/b.slice", "[Sandbox]\nSeccomp=mine\n");
        write_file(dir, "slices/c.slice", "[Sandbox]\nSeccomp=none\n");
        snprintf(text, sizeof(text), "provium policy check --vendor-dir /nonexistent %s", dir);
        expect_line(text, 78, "a.slice: [Sandbox] Seccomp=: there is no list 'mine'",
                    "1 list of system calls cannot be used");
        write_file(dir, "seccomp/mine", "default errno EPERM\n\nallow read wirte\n");
        expect_line(text, 78, "seccomp/mine:3:", "1 list of system calls");
        snprintf(text, sizeof(text), "provium policy check --json --vendor-dir /nonexistent %s",
                 dir);
        expect_line(text, 78, "seccomp/mine:3:", "1 list of system calls");
        write_file(dir, "seccomp/mine", "default errno EPERM\n\nallow read write\n");
        expect_line(text, 0, "{\"slices\":3}", "");
        snprintf(text, sizeof(text), "rm -r %s", dir);
        need_int(system(text), 0);
}

static void policy_in_force_is_printed_line_by_line(void) {
        struct fake fake;

        fake_init(&fake);
        expect_int(fake_answer(
                           &fake, "PolicyShow", NULL,
                           json_pack("{ss}", "text", "[Slice]\nDescription=\"it's\"\n\tx\033[2J\n"),
                           "policy", "show", "gold", NULL),
                   0);
        expect_str(fake.output, "[Slice]\nDescription=\"it's\"\n\tx?[2J\n");
        fake_deinit(&fake);
}

UNIT_MAIN(TEST(mistakes_are_64_and_say_what_is_valid), TEST(a_disk_that_cannot_be_opened_is_named),
          TEST(show_tells_of_the_disks), TEST(resize_changes_the_disks_too),
          TEST(image_check_asks_for_a_size_and_has_a_status),
          TEST(image_check_without_a_verdict_is_125),
          TEST(resources_tell_of_pressure_and_what_is_unknown), TEST(resources_tell_of_each_disk),
          TEST(every_command_has_help), TEST(help_promises_only_what_is_accepted),
          TEST(each_command_without_broker_is_69), TEST(output_that_cannot_be_written_is_74),
          TEST(signals_have_names_and_numbers), TEST(ps_lists_vms_and_waiting_claims),
          TEST(ps_gives_raw_values_as_json), TEST(ps_takes_a_list_in_parts),
          TEST(answers_of_odd_shape_are_survived), TEST(show_tells_what_the_kernel_holds),
          TEST(show_tells_of_the_network), TEST(resize_tells_what_is_sold_then),
          TEST(resize_follows_memory_on_its_way_down),
          TEST(resize_sends_what_was_named_and_no_more),
          TEST(resize_has_the_exit_statuses_of_the_others), TEST(resources_are_a_table),
          TEST(doctor_prints_the_mending_line_below_its_finding),
          TEST(doctor_without_problems_is_0), TEST(doctor_gives_one_object_per_finding_as_json),
          TEST(explain_names_the_axis_that_does_not_fit),
          TEST(kill_tries_all_and_tells_the_first_failure), TEST(error_is_also_an_object_with_json),
          TEST(policy_files_are_checked_without_a_broker),
          TEST(policy_check_compiles_the_lists_that_slices_name),
          TEST(policy_in_force_is_printed_line_by_line))

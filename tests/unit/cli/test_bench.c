/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/why.h>
#include <cli/cli.h>
#include <cli/dropin.h>
#include <cli/fio.h>

#include "unit.h"

#define JOB(error, way)                                                                            \
        "{\"fio version\":\"fio-3.33\",\"jobs\":[{\"error\":" error "," way "}],"                  \
        "\"disk_util\":[]}"
#define WRITE                                                                                      \
        "\"read\":{\"bw_bytes\":0},\"write\":{\"bw_bytes\":40947289,\"iops\":39.05,"               \
        "\"lat_ns\":{\"percentile\":{\"50.000000\":409993216,\"99.000000\":817889280}}}"

/* ---- fio's report ---- */

static void a_report_gives_its_four_figures(void) {
        struct fio_result result;

        expect_int(fio_parse(JOB("0", WRITE), FIO_SEQUENTIAL_WRITE, &result, NULL), 0);
        expect_uint(result.bytes_per_s, 40947289);
        expect_uint(result.iops, 39);
        expect_uint(result.median_ns, 409993216);
        expect_uint(result.p99_ns, 817889280);
}

static void notices_before_a_report_do_no_harm(void) {
        struct fio_result result;

        expect_int(fio_parse("note: both iodepth >= 1 and {synchronous} engine\n\n" JOB(
                                     "0", WRITE) "\nand an end\n",
                             FIO_RANDOM_WRITE, &result, NULL),
                   0);
        expect_uint(result.iops, 39);
}

static void a_report_that_lacks_a_figure_is_refused(void) {
        static const char *const texts[] = {
                "",
                "fio: failed",
                "{",
                "[]",
                "{\"jobs\":[]}",
                "{\"jobs\":{}}",
                JOB("0", "\"write\":7"),
                JOB("0", "\"write\":{\"bw_bytes\":\"much\"}"),
                JOB("0", "\"write\":{\"bw_bytes\":1,\"iops\":1}"),
                JOB("0", "\"write\":{\"bw_bytes\":-1,\"iops\":1,\"lat_ns\":{\"percentile\":"
                         "{\"50.000000\":1,\"99.000000\":1}}}"),
                /* Nothing was moved at all: no capacity. */
                JOB("0", "\"write\":{\"bw_bytes\":0,\"iops\":0,\"lat_ns\":{\"percentile\":"
                         "{\"50.000000\":0,\"99.000000\":0}}}"),
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct fio_result result = {.iops = 4711};
                struct why why = {};

                expect_that(fio_parse(texts[i], FIO_SEQUENTIAL_WRITE, &result, &why) ==
                                    FIO_E_FAILED,
                            "refused: %s", texts[i]);
                expect_in(why.text, "makes no sense");
                expect_uint(result.iops, 4711);
        }
        /* Of the other way there is nothing in it. */
        expect_int(fio_parse(JOB("0", WRITE), FIO_RANDOM_READ, &(struct fio_result){}, NULL),
                   FIO_E_FAILED);
}

static void an_error_of_the_disk_is_told(void) {
        struct fio_result result;
        struct why why = {};

        expect_int(fio_parse(JOB("5", WRITE), FIO_SEQUENTIAL_WRITE, &result, &why), FIO_E_FAILED);
        expect_int(why.errnum, EIO);
        expect_in(why.text, "Input/output error");
}

/* ---- the drop-in ---- */

static void get(const char *path, char *text, size_t size) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);

        text[n > 0 ? n : 0] = '\0';
        if (fd >= 0)
                close(fd);
}

static void a_drop_in_is_made_and_replaced_whole(void) {
        char dir[] = "/tmp/provium-bench-XXXXXX", path[128], command[256], text[64];
        struct stat st, before;

        need(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/" DROPIN_DIR "/50-x.conf", dir);
        expect_int(dropin_check(dir, NULL), 0);
        need_int(dropin_write(dir, "50-x.conf", "[Capacity]\nDiskIO=350MB/s\n", NULL), 0);
        get(path, text, sizeof(text));
        expect_str(text, "[Capacity]\nDiskIO=350MB/s\n");
        need_int(stat(path, &before), 0);
        expect_int(before.st_mode & 07777, 0644);

        /* Another file takes its place: a reader has the old one or the new one. */
        need_int(dropin_write(dir, "50-x.conf", "[Capacity]\n", NULL), 0);
        get(path, text, sizeof(text));
        expect_str(text, "[Capacity]\n");
        need_int(stat(path, &st), 0);
        expect(st.st_ino != before.st_ino);
        unlink(path);
        snprintf(command, sizeof(command), "%s/" DROPIN_DIR, dir);
        expect_int(rmdir(command), 0); /* nothing else is in it */
        rmdir(dir);
}

static void a_drop_in_that_cannot_be_written_is_an_answer(void) {
        char dir[] = "/tmp/provium-bench-XXXXXX", path[128];
        struct why why = {};

        expect_int(dropin_check("/nowhere/etc", &why), DROPIN_E_ABSENT);
        expect_in(why.text, "cannot open /nowhere/etc: No such file");
        expect_int(dropin_write("/nowhere/etc", "50-x.conf", "", &why), DROPIN_E_ABSENT);
        need(mkdtemp(dir));
        /* What is no directory, and what is a link to one, is not written into. */
        snprintf(path, sizeof(path), "%s/" DROPIN_DIR, dir);
        need_int(symlink("/tmp", path), 0);
        expect(dropin_write(dir, "50-x.conf", "", &why) > 0);
        expect_int(access("/tmp/50-x.conf", F_OK), -1);
        unlink(path);
        /* A directory in its place: the temporary file does not stay. */
        need_int(mkdir(path, 0755), 0);
        snprintf(path, sizeof(path), "%s/" DROPIN_DIR "/50-x.conf", dir);
        need_int(mkdir(path, 0755), 0);
        expect_int(dropin_write(dir, "50-x.conf", "x", &why), DROPIN_E_HOST);
        rmdir(path);
        snprintf(path, sizeof(path), "%s/" DROPIN_DIR, dir);
        expect_int(rmdir(path), 0);
        rmdir(dir);
}

/* ---- the command line ---- */

static void expect_line(const char *text, int status, const char *errors) {
        char *copy = strdup(text), *argv[32], *rest = copy, *out_text = NULL, *err_text = NULL;
        size_t n_out, n_err;
        FILE *out = open_memstream(&out_text, &n_out), *err = open_memstream(&err_text, &n_err);
        int argc = 0;

        need(copy && out && err);
        while ((argv[argc] = strsep(&rest, " ")))
                argc++;
        expect_that(cli_main(argc, argv, out, err) == status, "%s: is %d", text, status);
        fclose(out);
        fclose(err);
        expect_in(err_text, errors);
        expect_str(out_text, "");
        free(out_text);
        free(err_text);
        free(copy);
}

static void mistakes_say_what_is_valid(void) {
        char text[1024] = "provium bench disk ";

        expect_line("provium bench", 64, "bench disk");
        expect_line("provium bench cpu", 64, "bench disk");
        expect_line("provium bench disk a b", 64, "one word too many");
        expect_line("provium bench disk --time", 64, "needs a value");
        expect_line("provium bench disk --time 0", 64, "--time: give 1 to 60 seconds");
        expect_line("provium bench disk --time 61", 64, "--time: give 1 to 60 seconds");
        expect_line("provium bench disk --time 5s", 64, "--time: ");
        expect_line("provium bench disk --size 16", 64, "--size: give at least 16M");
        expect_line("provium bench disk --size -1G", 64, "--size: ");
        expect_line("provium bench disk --size 9000T", 64, "--size: ");
        expect_line("provium bench disk --save=1", 64, "takes no value");
        expect_line("provium bench disk /nowhere", 66,
                    "cannot open the directory /nowhere: No such");
        expect_line("provium bench disk /dev/null", 64, "Not a directory");
        expect_line("provium bench disk \033[2J", 66, "directory \\x1b[2J: ");
        expect_line("provium bench disk --save --config-dir /nowhere/etc /", 66,
                    "--save: cannot open /nowhere/etc");
        expect_line("provium bench disk --size 1000T /tmp", 75, "more than a tenth of the ");
        memset(text + strlen(text), 'x', 600);
        expect_line(text, 64, "the path is too long");
}

UNIT_MAIN(TEST(a_report_gives_its_four_figures), TEST(notices_before_a_report_do_no_harm),
          TEST(a_report_that_lacks_a_figure_is_refused), TEST(an_error_of_the_disk_is_told),
          TEST(a_drop_in_is_made_and_replaced_whole),
          TEST(a_drop_in_that_cannot_be_written_is_an_answer), TEST(mistakes_say_what_is_valid))

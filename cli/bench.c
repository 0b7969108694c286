/* SPDX-License-Identifier: MIT */
/*
 * provium bench: what the disk beneath a directory really carries, so that [Capacity] DiskIO= need
 * not be guessed.
 *
 * A file without a name is written full once, and then written and read by fio(1) in four ways,
 * each for some seconds, past the page cache. What is written over is what a VM's image is: blocks
 * that are there. What is sold is bytes per second each way, so the smaller of the two sequential
 * figures is the capacity; the random ones tell how far a disk falls short of it in small pieces.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/text.h>
#include <base/units.h>
#include <base/why.h>
#include <cli/bench.h>
#include <cli/cli.h>
#include <cli/scratch.h>
#include <policies/policy.h>

#define SECONDS_DEFAULT 5
#define SECONDS_MAX 60
#define SIZE_DEFAULT (UINT64_C(1) << 30)
#define SIZE_MIN (16 * SCRATCH_UNIT)
#define SIZE_MAX_BYTES (UINT64_C(1) << 50) /* no file system of ours has a tenth of more */
#define FREE_SHARE 10                      /* we take at most one part in so many */
#define CLEAR_LINE "\r\033[K"

enum { OPTION_TIME = 1, OPTION_SIZE, OPTION_SAVE, OPTION_CONFIG_DIR, OPTION_VENDOR_DIR };

const struct option_row bench_option_rows[] = {
        {OPTION_TIME, "time", "SECONDS", "how long each of the four phases lasts, 1 to 60 (5)"},
        {OPTION_SIZE, "size", "SIZE", "of the file; at most a tenth of what is free (1G)"},
        {OPTION_SAVE, "save", NULL, "write the line as a drop-in of broker.conf"},
        {OPTION_CONFIG_DIR, "config-dir", "DIR", "the operator's files (" CLI_CONFIG_DIR ")"},
        {OPTION_VENDOR_DIR, "vendor-dir", "DIR", "the vendor's files (" CLI_VENDOR_DIR ")"},
        {},
};

/* ---- the command line ---- */

static int take_option(struct bench *bench, int option, const char *value) {
        struct why why;
        uint64_t number;

        switch (option) {
        case OPTION_TIME:
                if (units_parse_count(value, &number, &why))
                        return cli_misused(bench->cli, "--time: %s", why.text);
                if (number < 1 || number > SECONDS_MAX)
                        return cli_misused(bench->cli, "--time: give 1 to %d seconds", SECONDS_MAX);
                bench->seconds = (unsigned)number;
                return 0;
        case OPTION_SIZE:
                if (units_parse_size(value, &number, &why))
                        return cli_misused(bench->cli, "--size: %s", why.text);
                if (number < SIZE_MIN || number > SIZE_MAX_BYTES)
                        return cli_misused(bench->cli, "--size: give at least 16M");
                bench->size_bytes = number - number % SCRATCH_UNIT;
                return 0;
        case OPTION_SAVE:
                bench->save = true;
                return 0;
        case OPTION_CONFIG_DIR:
                bench->config_dir = value;
                return 0;
        case OPTION_VENDOR_DIR:
                bench->vendor_dir = value;
                return 0;
        }
        return 0;
}

/* Returns 0, or less with words->status set. */
static int parse(struct bench *bench, struct words *words) {
        int option;

        while ((option = words_option(bench->cli, words)) > 0) {
                words->status = take_option(bench, option, words->value);
                if (words->status)
                        return -1;
        }
        if (option < 0 || words_count(bench->cli, words, 0, 1) < 0)
                return -1;
        if (words->argc == 1 && !text_copy(bench->path, sizeof(bench->path), words->argv[0])) {
                words->status = cli_misused(bench->cli, "the path is too long");
                return -1;
        }
        return 0;
}

/* ---- the directory ---- */

/* The data directory of the policy, or its nearest parent that is there. */
static int open_data_directory(struct bench *bench) {
        _cleanup_(policy_freep) struct policy *policy = NULL;
        int r;

        r = bench_load_policy(bench, &policy);
        if (r)
                return cli_fault(bench->cli, r);
        if (!policy)
                return cli_fail(bench->cli, STATUS_BAD_POLICY,
                                "the policy, which says where the data directory is, has errors "
                                "('provium policy check' lists them); name a directory");
        snprintf(bench->path, sizeof(bench->path), "%s", policy->broker.data_directory);
        for (;;) {
                char *slash = strrchr(bench->path, '/');

                bench->dir_fd = open(bench->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (bench->dir_fd >= 0 || errno != ENOENT || !slash)
                        return 0;
                slash[slash == bench->path] = '\0'; /* the parent of "/x" is "/" */
        }
}

static int open_directory(struct bench *bench) {
        char quoted[256];
        int status = 0;

        if (*bench->path)
                bench->dir_fd = open(bench->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        else
                status = open_data_directory(bench);
        if (status || bench->dir_fd >= 0)
                return status;
        return cli_fail(bench->cli,
                        errno == EACCES    ? STATUS_DENIED
                        : errno == ENOTDIR ? STATUS_USAGE
                                           : STATUS_NOT_FOUND,
                        "cannot open the directory %s: %s",
                        text_escape(bench->path, quoted, sizeof(quoted)), strerror(errno));
}

/* How large the file becomes; a disk that is in use must not be filled for this. */
static int choose_size(struct bench *bench) {
        char wanted[UNITS_TEXT_MAX], most[UNITS_TEXT_MAX], rest[UNITS_TEXT_MAX], quoted[256];
        struct statvfs fs;
        uint64_t free_bytes, most_bytes;

        if (fstatvfs(bench->dir_fd, &fs) < 0)
                return cli_fail(bench->cli, STATUS_PROBLEM, "cannot examine the file system: %s",
                                strerror(errno));
        free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
        most_bytes = free_bytes / FREE_SHARE;
        if (!bench->size_bytes)
                bench->size_bytes = max_u64(min_u64(SIZE_DEFAULT, most_bytes), SIZE_MIN);
        bench->size_bytes -= bench->size_bytes % SCRATCH_UNIT;
        if (bench->size_bytes <= most_bytes)
                return 0;
        return cli_fail(bench->cli, STATUS_FULL,
                        "a file of %s is more than a tenth of the %s that are free at %s (%s)",
                        units_format_size(bench->size_bytes, wanted, sizeof(wanted)),
                        units_format_size(free_bytes, rest, sizeof(rest)),
                        text_escape(bench->path, quoted, sizeof(quoted)),
                        units_format_size(most_bytes, most, sizeof(most)));
}

/* ---- the measurement ---- */

/* What a module below answered, as the status of the command. */
static int tell_scratch(struct bench *bench, int r, const struct why *why) {
        static const int status[] = {
                [SCRATCH_E_NO_DISK] = STATUS_USAGE,
                [SCRATCH_E_DENIED] = STATUS_DENIED,
                [SCRATCH_E_FULL] = STATUS_FULL,
                [SCRATCH_E_HOST] = STATUS_PROBLEM,
        };
        char quoted[256];

        if (r <= 0)
                return r ? cli_fault(bench->cli, r) : 0;
        if (r == SCRATCH_E_INTERRUPTED)
                return 128 + bench->interrupt.signo;
        return cli_fail(bench->cli, status[r], "%s: %s",
                        text_escape(bench->path, quoted, sizeof(quoted)), why->text);
}

static int tell_fio(struct bench *bench, int r, const struct why *why) {
        if (r <= 0)
                return r ? cli_fault(bench->cli, r) : 0;
        if (r == FIO_E_INTERRUPTED)
                return 128 + bench->interrupt.signo;
        return cli_fail(bench->cli, r == FIO_E_MISSING ? STATUS_NOT_FOUND : STATUS_PROBLEM, "%s",
                        why->text);
}

/* One line for a person who waits; NULL takes it away. */
static void progress(struct bench *bench, int step, const char *what) {
        if (!isatty(fileno(bench->cli->err)))
                return;
        if (what)
                fprintf(bench->cli->err, CLEAR_LINE "%d/%d %s ...", step, _FIO_N + 1, what);
        else
                fputs(CLEAR_LINE, bench->cli->err);
        fflush(bench->cli->err);
}

static void announce(struct bench *bench) {
        char size[UNITS_TEXT_MAX], quoted[256];

        cli_say(bench->cli,
                "writes a file of %s at %s, then measures for %u seconds; the disk is fully loaded "
                "meanwhile",
                units_format_size(bench->size_bytes, size, sizeof(size)),
                text_escape(bench->path, quoted, sizeof(quoted)), _FIO_N * bench->seconds);
}

/* An engine that this kernel or this fio has not is left for the next one, at the first phase. */
static int measure_phase(struct bench *bench, enum fio_way way, int file_fd, struct why *why) {
        for (;;) {
                int r = fio_measure(way, bench->engine, file_fd, bench->size_bytes, bench->seconds,
                                    &bench->interrupt, &bench->results[way], why);

                if (r != FIO_E_FAILED || way != 0 || bench->engine + 1 == _FIO_ENGINE_N)
                        return r;
                bench->engine++;
        }
}

static int measure_file(struct bench *bench) {
        _cleanup_(fd_closep) int file_fd = -1;
        struct why why = {};
        int status;

        status = tell_scratch(bench, scratch_open(bench->dir_fd, &file_fd, &why), &why);
        if (status)
                return status;
        announce(bench);
        progress(bench, 1, "writing the file");
        status = scratch_fill(file_fd, bench->size_bytes, &bench->interrupt, &why);
        progress(bench, 0, NULL);
        status = tell_scratch(bench, status, &why);
        for (enum fio_way way = 0; way < _FIO_N && !status; way++) {
                progress(bench, (int)way + 2, bench_phase_title(way));
                status = measure_phase(bench, way, file_fd, &why);
                progress(bench, 0, NULL);
                status = tell_fio(bench, status, &why);
        }
        return status;
}

static int measure(struct bench *bench) {
        struct why why = {};
        int r, status;

        r = interrupt_init(&bench->interrupt);
        if (r)
                return cli_fault(bench->cli, r);
        status = tell_fio(bench, fio_version(bench->version, &bench->interrupt, &why), &why);
        if (!status)
                status = measure_file(bench);
        interrupt_deinit(&bench->interrupt);
        return status;
}

/* Down to two digits: the third is another one the next time, and a capacity must not be more than
 * what is there. */
static uint64_t round_down(uint64_t bytes_per_s) {
        uint64_t step = 1;

        while (bytes_per_s / step >= 100)
                step *= 10;
        return bytes_per_s - bytes_per_s % step;
}

static int bench_disk(struct bench *bench) {
        int status = 0;

        if (bench->save)
                status = bench_check_save(bench);
        if (!status)
                status = open_directory(bench);
        if (!status)
                status = choose_size(bench);
        if (!status)
                status = measure(bench);
        if (status)
                return status;
        bench->disk_io_bytes_per_s =
                round_down(min_u64(bench->results[FIO_SEQUENTIAL_WRITE].bytes_per_s,
                                   bench->results[FIO_SEQUENTIAL_READ].bytes_per_s));
        if (bench->save)
                status = bench_save(bench);
        return status ?: bench_print(bench);
}

int command_bench_disk(struct cli *cli, struct words *words) {
        struct bench bench = {
                .cli = cli,
                .config_dir = CLI_CONFIG_DIR,
                .vendor_dir = CLI_VENDOR_DIR,
                .seconds = SECONDS_DEFAULT,
                .dir_fd = -1,
                .interrupt = INTERRUPT_NULL,
        };
        int status;

        if (parse(&bench, words) < 0)
                return words->status;
        status = bench_disk(&bench);
        bench.dir_fd = fd_close(bench.dir_fd);
        return status;
}

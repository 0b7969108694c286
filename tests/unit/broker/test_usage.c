/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <broker/usage_line.h>
#include <broker/usage_log.h>
#include <broker/usage_sum.h>

#include "unit.h"

#define SECOND_NS UINT64_C(1000000000)
#define START_S UINT64_C(1700000000)

/* Of a VM of @slice that ended @end_s seconds after START_S and was held for @held_s. */
static struct usage_line sample(const char *id, const char *slice, uint64_t end_s,
                                uint64_t held_s) {
        struct usage_line line = {
                .uid = 1000,
                .end_ns = (START_S + end_s) * SECOND_NS,
                .held_usec = held_s * 1000000,
                .claimed_cpu_usec = held_s * 2000000,
                .claimed_memory_mib_ms = held_s * 1000 * 512,
                .cpu_usec = held_s * 1000000,
                .memory_peak_bytes = 1 << 20,
                .read_bytes = 100 * held_s,
                .write_bytes = 10 * held_s,
                .download_bytes = 3 * held_s,
                .upload_bytes = 7 * held_s,
                .exit_code = 0,
        };

        snprintf(line.id, sizeof(line.id), "%s", id);
        snprintf(line.vm, sizeof(line.vm), "vm-%s", id);
        snprintf(line.slice, sizeof(line.slice), "%s", slice);
        strcpy(line.reason, "exit");
        return line;
}

/* ---- a line ---- */

static void a_line_is_read_as_it_was_written(void) {
        struct usage_line line = sample("98s3ac2pqvkui41j", "ci/nightly", 10, 5), again;
        char text[USAGE_LINE_MAX], other[USAGE_LINE_MAX];
        size_t length;

        line.least = USAGE_LEAST_DISK | USAGE_LEAST_NETWORK;
        line.exit_code = -1;
        line.signal = 9;
        line.oom = true;
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                line.claim.amount[i] = 1000 + i;
        line.claim.amount[RESOURCE_NETWORK_UPLOAD] = 0;
        length = usage_line_format(&line, text);
        need(usage_line_parse(&again, text, length - 1));
        expect_uint(usage_line_format(&again, other), length);
        expect_str(other, text);
        expect_int(again.signal, 9);
        expect_int(again.exit_code, -1);
        expect(again.oom);
        expect_uint(again.least, line.least);
        expect_uint(again.claim.amount[RESOURCE_GPU], line.claim.amount[RESOURCE_GPU]);
}

static void the_longest_line_fits(void) {
        struct usage_line line = sample("98s3ac2pqvkui41j", "s", 10, 5), again;
        char text[USAGE_LINE_MAX];
        size_t length;

        memset(line.vm, 'v', TEXT_NAME_MAX);
        memset(line.slice, 's', TEXT_NAME_MAX);
        memset(line.reason, 'r', sizeof(line.reason) - 1);
        line.uid = UINT32_MAX - 1;
        line.least = USAGE_LEAST_CPU | USAGE_LEAST_DISK | USAGE_LEAST_NETWORK;
        line.running = true;
        line.end_ns = line.claimed_cpu_usec = line.claimed_memory_mib_ms = UINT64_MAX;
        line.cpu_usec = line.memory_peak_bytes = line.read_bytes = line.write_bytes = UINT64_MAX;
        line.download_bytes = line.upload_bytes = UINT64_MAX;
        line.held_usec = INT64_MAX / 1000;
        line.exit_code = INT32_MAX;
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                line.claim.amount[i] = UINT64_MAX;
        length = usage_line_format(&line, text);
        expect(usage_line_parse(&again, text, length - 1));
        expect(again.running);
        expect_uint(again.upload_bytes, INT64_MAX);
}

/* Cut at any byte it is none; and so is anything else that is not one. */
static void a_torn_line_is_none(void) {
        struct usage_line line = sample("98s3ac2pqvkui41j", "t", 10, 5), again;
        char text[USAGE_LINE_MAX], odd[USAGE_LINE_MAX + 8];
        size_t length = usage_line_format(&line, text);
        const char *const wrong[] = {
                "{}",
                "null",
                "[1,2]",
                "\"x\"",
        };

        for (size_t cut = 0; cut < length - 1; cut++)
                need(!usage_line_parse(&again, text, cut));
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
                expect(!usage_line_parse(&again, wrong[i], strlen(wrong[i])));
        memset(odd, ' ', sizeof(odd));
        memcpy(odd, text, length - 1);
        expect(!usage_line_parse(&again, odd, USAGE_LINE_MAX));
        /* A name that no VM can have would be printed on somebody's terminal. */
        memcpy(strstr(text, "vm-"), "v\n-", 3);
        expect(!usage_line_parse(&again, text, length - 1));
}

static void a_line_of_a_newer_broker_is_read(void) {
        struct usage_line line = sample("98s3ac2pqvkui41j", "t", 10, 5), again;
        char text[USAGE_LINE_MAX], newer[USAGE_LINE_MAX + 32];
        int n;

        need(usage_line_format(&line, text) > 0);
        n = snprintf(newer, sizeof(newer), "{\"more\":[1],%s", text + 1);
        expect(usage_line_parse(&again, newer, (size_t)n - 1));
}

static void memory_times_time_does_not_overflow(void) {
        expect_uint(usage_memory_time(UINT64_C(1) << 30, 1000000), 1024 * 1000);
        expect_uint(usage_memory_time(UINT64_MAX, UINT64_MAX), INT64_MAX);
        expect_uint(usage_memory_time(0, UINT64_MAX), 0);
}

/* ---- sums ---- */

static struct usage_sum asks(enum usage_by by, uint64_t since_s, uint64_t until_s) {
        return (struct usage_sum){.by = by,
                                  .everybody = true,
                                  .since_ns = (START_S + since_s) * SECOND_NS,
                                  .until_ns = (START_S + until_s) * SECOND_NS};
}

static void add(struct usage_sum *sum, const struct usage_line *line) {
        need_int(usage_sum_add(sum, line), 0);
}

static void a_lease_counts_once_and_its_newest_line(void) {
        struct usage_sum sum = asks(USAGE_BY_ALL, 0, 100);
        struct usage_line end = sample("a", "t", 20, 10), before = sample("a", "t", 15, 5);

        before.running = true;
        add(&sum, &end);
        add(&sum, &end);
        add(&sum, &before);
        expect_uint(sum.total.vms, 1);
        expect_uint(sum.total.running, 0);
        expect_uint(sum.total.cpu_usec, 10000000);
        usage_sum_deinit(&sum);
}

static void windows_that_meet_add_up_to_the_whole(void) {
        struct usage_line line = sample("a", "t", 90, 80); /* from 10 to 90 */
        struct usage_row whole = {}, parts = {};

        for (unsigned i = 0; i < 4; i++) {
                static const uint64_t edges[] = {0, 25, 50, 100};
                struct usage_sum sum = i == 3 ? asks(USAGE_BY_ALL, 0, 100)
                                              : asks(USAGE_BY_ALL, edges[i], edges[i + 1]);
                struct usage_row *into = i == 3 ? &whole : &parts;

                add(&sum, &line);
                need_int(sum.total.vms, 1);
                expect_uint(sum.total.in_part, i < 3);
                into->held_usec += sum.total.held_usec;
                into->cpu_usec += sum.total.cpu_usec;
                into->claimed_cpu_usec += sum.total.claimed_cpu_usec;
                into->claimed_memory_mib_ms += sum.total.claimed_memory_mib_ms;
                into->upload_bytes += sum.total.upload_bytes;
                usage_sum_deinit(&sum);
        }
        expect_uint(whole.held_usec, 80000000);
        expect_uint(parts.held_usec, whole.held_usec);
        expect_uint(parts.cpu_usec, whole.cpu_usec);
        expect_uint(parts.claimed_cpu_usec, 160000000);
        expect_uint(parts.claimed_memory_mib_ms, whole.claimed_memory_mib_ms);
        expect_uint(parts.upload_bytes, whole.upload_bytes);
}

static void what_lies_outside_the_window_does_not_count(void) {
        struct usage_sum sum = asks(USAGE_BY_ALL, 50, 60);
        struct usage_line before = sample("a", "t", 50, 10), after = sample("b", "t", 70, 10);
        struct usage_line moment = sample("c", "t", 60, 0), within = sample("d", "t", 50, 0);

        add(&sum, &before);
        add(&sum, &after);
        add(&sum, &moment);
        expect_uint(sum.total.vms, 0);
        expect_uint(sum.first_ns, 0);
        add(&sum, &within);
        expect_uint(sum.total.vms, 1);
        usage_sum_deinit(&sum);
}

static void rows_are_by_slice_user_or_vm(void) {
        struct usage_line lines[] = {sample("a", "x", 20, 10), sample("b", "x", 30, 10),
                                     sample("c", "y/z", 40, 10), sample("d", "y/z", 50, 10)};

        lines[1].uid = lines[3].uid = 1001;
        strcpy(lines[3].vm, lines[2].vm);
        for (enum usage_by by = 0; by < _USAGE_BY_N; by++) {
                static const size_t rows[] = {1, 2, 2, 4};
                struct usage_sum sum = asks(by, 0, 100);

                for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
                        add(&sum, &lines[i]);
                expect_uint(sum.n_rows, rows[by]);
                expect_uint(sum.total.vms, 4);
                expect_uint(sum.total.cpu_usec, 40000000);
                expect_str(sum.rows[0].slice, by == USAGE_BY_SLICE || by == USAGE_BY_VM ? "x" : "");
                expect_str(sum.rows[0].vm, by == USAGE_BY_VM ? "vm-a" : "");
                expect_uint(sum.first_ns, (START_S + 10) * SECOND_NS);
                usage_sum_deinit(&sum);
        }
}

static void a_user_sees_his_own(void) {
        struct usage_sum sum = asks(USAGE_BY_USER, 0, 100);
        struct usage_line his = sample("a", "t", 20, 10), hers = sample("b", "t", 20, 10);

        sum.everybody = false;
        sum.uid = 1000;
        hers.uid = 0;
        add(&sum, &his);
        add(&sum, &hers);
        expect_uint(sum.total.vms, 1);
        expect_uint(sum.n_rows, 1);
        usage_sum_deinit(&sum);
}

static void lower_bounds_and_peaks_are_told(void) {
        struct usage_sum sum = asks(USAGE_BY_ALL, 0, 100);
        struct usage_line one = sample("a", "t", 20, 10), two = sample("b", "t", 30, 10);

        one.least = USAGE_LEAST_NETWORK;
        one.memory_peak_bytes = 7 << 20;
        two.running = true;
        add(&sum, &one);
        add(&sum, &two);
        expect_uint(sum.total.least_network, 1);
        expect_uint(sum.total.least_cpu, 0);
        expect_uint(sum.total.memory_peak_bytes, 7 << 20);
        expect_uint(sum.total.running, 1);
        usage_sum_deinit(&sum);
}

static void more_rows_than_fit_are_one(void) {
        struct usage_sum sum = asks(USAGE_BY_VM, 0, 100);

        for (unsigned i = 0; i < USAGE_ROWS_MAX + 10; i++) {
                struct usage_line line;
                char id[USAGE_ID_MAX + 1];

                snprintf(id, sizeof(id), "%u", i);
                line = sample(id, "t", 20, 10);
                add(&sum, &line);
        }
        expect_uint(sum.n_rows, USAGE_ROWS_MAX);
        expect_uint(sum.others.vms, 10);
        expect_uint(sum.others.cpu_usec, 100000000);
        expect_uint(sum.total.vms, USAGE_ROWS_MAX + 10);
        usage_sum_deinit(&sum);
}

static void sums_stay_at_their_end(void) {
        struct usage_sum sum = asks(USAGE_BY_ALL, 0, 100);

        for (unsigned i = 0; i < 4; i++) {
                struct usage_line line = sample((const char[]){(char)('a' + i), 0}, "t", 20, 10);

                line.read_bytes = INT64_MAX;
                add(&sum, &line);
        }
        expect_uint(sum.total.read_bytes, UINT64_MAX);
        usage_sum_deinit(&sum);
}

/* ---- the files ---- */

static char directory[64];

static void make_directory(void) {
        strcpy(directory, "/tmp/usage-XXXXXX");
        need(mkdtemp(directory) != NULL);
}

static void remove_directory(void) {
        DIR *dir = opendir(directory);
        struct dirent *entry;

        need(dir != NULL);
        while ((entry = readdir(dir)))
                (void)unlinkat(dirfd(dir), entry->d_name, 0);
        closedir(dir);
        rmdir(directory);
}

static size_t count_files(void) {
        DIR *dir = opendir(directory);
        struct dirent *entry;
        size_t n = 0;

        need(dir != NULL);
        while ((entry = readdir(dir)))
                n += entry->d_name[0] != '.';
        closedir(dir);
        return n;
}

static struct usage_log small_log(uint64_t file_bytes, unsigned older) {
        return (struct usage_log){.directory = directory, .file_bytes = file_bytes, .older = older};
}

static void append(const struct usage_log *log, const char *text) {
        need_int(usage_log_append(log, text, strlen(text)), 0);
}

static void raw(const char *name, const char *text, int flags) {
        char path[128];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
        need(fd >= 0);
        need(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        close(fd);
}

struct gathered {
        char text[4096];
        size_t most; /* ends after so many; 0: all */
        size_t n;
};

static bool gather(void *userdata, const char *line, size_t length) {
        struct gathered *gathered = userdata;
        size_t used = strlen(gathered->text);

        snprintf(gathered->text + used, sizeof(gathered->text) - used, "%.*s ", (int)length, line);
        return ++gathered->n != gathered->most;
}

static void expect_lines(const struct usage_log *log, const char *wanted) {
        struct gathered gathered = {};

        expect_int(usage_log_read(log, gather, &gathered), 0);
        expect_str(gathered.text, wanted);
}

static void lines_are_read_from_the_newest_to_the_oldest(void) {
        struct usage_log log = small_log(1000, 2);
        struct gathered two = {.most = 2};

        make_directory();
        append(&log, "one\ntwo\n");
        append(&log, "three\n");
        expect_lines(&log, "three two one ");
        expect_int(usage_log_read(&log, gather, &two), 0);
        expect_str(two.text, "three two ");
        remove_directory();
}

static void a_log_that_is_not_there_is_empty_and_is_made(void) {
        struct usage_log log = small_log(1000, 2);
        char path[128];
        struct stat st;

        make_directory();
        rmdir(directory);
        expect_lines(&log, "");
        append(&log, "one\n");
        expect_lines(&log, "one ");
        snprintf(path, sizeof(path), "%s/" USAGE_LOG_NAME, directory);
        expect_int(stat(path, &st), 0);
        expect_uint(st.st_mode & 0777, 0600);
        remove_directory();
}

static void a_full_file_makes_room_and_the_oldest_goes(void) {
        struct usage_log log = small_log(10, 2);

        make_directory();
        for (unsigned i = 0; i < 20; i++) {
                char line[16];

                snprintf(line, sizeof(line), "line%02u\n", i);
                append(&log, line);
        }
        expect_lines(&log, "line19 line18 line17 ");
        expect_uint(count_files(), 3);
        /* Fewer are kept from now on. */
        log.older = 1;
        append(&log, "line20\n");
        expect_lines(&log, "line20 line19 ");
        expect_uint(count_files(), 2);
        remove_directory();
}

/* Killed between two renames: a number is missing, and nothing is lost by the next turn. */
static void a_turn_that_was_cut_short_is_made_good(void) {
        struct usage_log log = small_log(4, 3);

        make_directory();
        raw(USAGE_LOG_NAME, "d\n", 0);
        raw(USAGE_LOG_NAME ".2", "c\n", 0);
        raw(USAGE_LOG_NAME ".3", "b\n", 0);
        expect_lines(&log, "d c b ");
        append(&log, "eee\n");
        expect_lines(&log, "eee d c b ");
        remove_directory();
        make_directory();
        /* After the last rename, before the new file. */
        raw(USAGE_LOG_NAME ".1", "c\n", 0);
        append(&log, "d\n");
        expect_lines(&log, "d c ");
        remove_directory();
}

static void a_torn_line_harms_no_other(void) {
        struct usage_log log = small_log(1000, 2);

        make_directory();
        append(&log, "one\n");
        raw(USAGE_LOG_NAME, "{\"id\":\"to", O_APPEND);
        append(&log, "two\n");
        expect_lines(&log, "two {\"id\":\"to one ");
        remove_directory();
}

static void what_is_no_file_is_neither_followed_nor_waited_for(void) {
        struct usage_log log = small_log(1000, 2);
        struct gathered gathered = {};
        char path[128];

        make_directory();
        snprintf(path, sizeof(path), "%s/" USAGE_LOG_NAME, directory);
        need(symlink("/etc/passwd", path) == 0);
        expect_int(usage_log_append(&log, "x\n", 2), ELOOP);
        expect_int(usage_log_read(&log, gather, &gathered), ELOOP);
        unlink(path);
        need(mkfifo(path, 0600) == 0);
        expect(usage_log_append(&log, "x\n", 2) > 0);
        expect_int(usage_log_read(&log, gather, &gathered), EBADF);
        expect_str(gathered.text, "");
        remove_directory();
}

/* As a fuzzer would: what it makes of a log changes no sum but bad_lines. */
static void rubbish_in_the_log_is_counted_and_passed_over(void) {
        struct usage_sum sum = asks(USAGE_BY_VM, 0, 100);
        struct usage_line line = sample("a", "t", 20, 10);
        char text[USAGE_LINE_MAX];
        size_t length = usage_line_format(&line, text) - 1;
        uint64_t state = 1;

        for (unsigned i = 0; i < 2000; i++) {
                char bad[USAGE_LINE_MAX];

                memcpy(bad, text, length);
                state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
                bad[(state >> 33) % length] = (char)(state >> 56);
                need(usage_sum_add_text(&sum, bad, length) == 0);
        }
        expect(sum.bad_lines > 1000);
        expect(sum.bad_lines + sum.n_ids <= 2000);
        usage_sum_deinit(&sum);
}

int main(int argc, char **argv) {
        static const struct unit_test tests[] = {
                TEST(a_line_is_read_as_it_was_written),
                TEST(the_longest_line_fits),
                TEST(a_torn_line_is_none),
                TEST(a_line_of_a_newer_broker_is_read),
                TEST(memory_times_time_does_not_overflow),
                TEST(a_lease_counts_once_and_its_newest_line),
                TEST(windows_that_meet_add_up_to_the_whole),
                TEST(what_lies_outside_the_window_does_not_count),
                TEST(rows_are_by_slice_user_or_vm),
                TEST(a_user_sees_his_own),
                TEST(lower_bounds_and_peaks_are_told),
                TEST(more_rows_than_fit_are_one),
                TEST(sums_stay_at_their_end),
                TEST(lines_are_read_from_the_newest_to_the_oldest),
                TEST(a_log_that_is_not_there_is_empty_and_is_made),
                TEST(a_full_file_makes_room_and_the_oldest_goes),
                TEST(a_turn_that_was_cut_short_is_made_good),
                TEST(a_torn_line_harms_no_other),
                TEST(what_is_no_file_is_neither_followed_nor_waited_for),
                TEST(rubbish_in_the_log_is_counted_and_passed_over),
        };

        return unit_run(argc, argv, tests, ARRAY_SIZE(tests));
}

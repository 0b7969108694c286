/* SPDX-License-Identifier: MIT */
/* Limits on plain files: what is written, compared, refused and passed over, without a kernel's
 * help. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <base/why.h>
#include <cgroup/limits.h>

#include "unit.h"

static int tree(char path[64], const char *const *files, size_t n) {
        int fd;

        strcpy(path, "/tmp/provium-limits-XXXXXX");
        need(mkdtemp(path) != NULL);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < n; i++)
                close(openat(fd, files[i], O_CREAT | O_WRONLY, 0644));
        return fd;
}

static void drop(int fd, const char *path, const char *const *files, size_t n) {
        for (size_t i = 0; i < n; i++)
                unlinkat(fd, files[i], 0);
        close(fd);
        rmdir(path);
}

static const char *const two[] = {"memory.max", "pids.max", "cgroup.procs"};

static void a_limit_without_its_file_is_refused_and_named(void) {
        struct limits limits = LIMITS_KEEP_ALL;
        struct why why = {};
        char path[64];
        int fd = tree(path, two, 3);

        limits.memory_max_bytes = 8192;
        limits.swap_max_bytes = 0;
        expect_int(limits_apply(fd, &limits, &why), CGROUP_E_LIMIT);
        expect(strstr(why.text, "memory.swap.max") != NULL);
        drop(fd, path, two, 3);
}

static void best_effort_sets_the_rest_and_says_what_is_missing(void) {
        struct limits limits = LIMITS_KEEP_ALL;
        char path[64], missing[256], text[32];
        int fd = tree(path, two, 3);

        limits.memory_max_bytes = 8192;
        limits.swap_max_bytes = 0;
        limits.pids_max = 80;
        limits_apply_best(fd, &limits, missing, sizeof(missing));
        expect(strstr(missing, "memory.swap.max") != NULL);
        expect(strstr(missing, "pids.max") == NULL);
        expect_int(file_read_at(fd, "memory.max", text, sizeof(text)), 0);
        expect_str(text, "8192");
        expect_int(file_read_at(fd, "pids.max", text, sizeof(text)), 0);
        expect_str(text, "80");
        expect_uint(limits.swap_max_bytes, LIMIT_KEEP);
        /* What is not in force is not looked for afterwards. */
        expect_int(limits_verify(fd, &limits, NULL), 0);
        drop(fd, path, two, 3);
}

static void best_effort_with_everything_in_place_misses_nothing(void) {
        struct limits limits = LIMITS_KEEP_ALL;
        char path[64], missing[256] = "x";
        int fd = tree(path, two, 3);

        limits.memory_max_bytes = 4096;
        limits_apply_best(fd, &limits, missing, sizeof(missing));
        expect_str(missing, "");
        drop(fd, path, two, 3);
}

static void a_value_somebody_changed_does_not_verify(void) {
        struct limits limits = LIMITS_KEEP_ALL;
        struct why why = {};
        char path[64];
        int fd = tree(path, two, 3);

        limits.pids_max = 80;
        expect_int(limits_apply(fd, &limits, &why), 0);
        expect_int(file_write_at(fd, "pids.max", "81"), 0);
        expect_int(limits_verify(fd, &limits, &why), CGROUP_E_LIMIT);
        expect(strstr(why.text, "'80' but reads '81'") != NULL);
        drop(fd, path, two, 3);
}

static void quotas_below_a_millisecond_take_a_longer_period(void) {
        struct limits limits = LIMITS_KEEP_ALL;

        limits_set_cpu(&limits, 1000, 40);
        expect_uint(limits.cpu_quota_usec, 104000);
        expect_uint(limits.cpu_period_usec, 100000);
        limits_set_cpu(&limits, 500, 0);
        expect_uint(limits.cpu_quota_usec, 50000);
        limits_set_cpu(&limits, 5, 0);
        expect_uint(limits.cpu_quota_usec, 5000);
        expect_uint(limits.cpu_period_usec, 1000000);
        limits_set_cpu(&limits, 1, 0);
        expect_uint(limits.cpu_quota_usec, 1000);
}

static void memory_is_counted_in_whole_pages_never_less_than_claimed(void) {
        expect_uint(limits_page_ceil(0), 0);
        expect_uint(limits_page_ceil(1), 4096);
        expect_uint(limits_page_ceil(4096), 4096);
        expect_uint(limits_page_ceil(UINT64_MAX), UINT64_MAX);
}

UNIT_MAIN(TEST(a_limit_without_its_file_is_refused_and_named),
          TEST(best_effort_sets_the_rest_and_says_what_is_missing),
          TEST(best_effort_with_everything_in_place_misses_nothing),
          TEST(a_value_somebody_changed_does_not_verify),
          TEST(quotas_below_a_millisecond_take_a_longer_period),
          TEST(memory_is_counted_in_whole_pages_never_less_than_claimed), )

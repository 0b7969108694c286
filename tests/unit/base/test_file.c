/* SPDX-License-Identifier: MIT */

/*
 * Small files relative to a directory, with a temporary directory in the kernel's place.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>

#include "unit.h"

/* A temporary directory; its file is always called "file". */
struct place {
        char path[64];
        int fd;
};

static void place_open(struct place *place) {
        strcpy(place->path, "/tmp/provium-test-file-XXXXXX");
        need(mkdtemp(place->path) != NULL);
        place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        need(place->fd >= 0);
}

static void place_close(struct place *place, const char *name) {
        if (name)
                unlinkat(place->fd, name, 0);
        place->fd = fd_close(place->fd);
        rmdir(place->path);
}

static void put(const struct place *place, const char *text, size_t length) {
        int fd = openat(place->fd, "file", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        need(fd >= 0);
        need(write(fd, text, length) == (ssize_t)length);
        fd_close(fd);
}

static void a_file_is_read_without_its_last_newline(void) {
        struct place place;
        char buffer[16];

        place_open(&place);
        put(&place, "a\nb\n", 4);
        expect_int(file_read_at(place.fd, "file", buffer, sizeof(buffer)), 0);
        expect_str(buffer, "a\nb");
        put(&place, "", 0);
        expect_int(file_read_at(place.fd, "file", buffer, sizeof(buffer)), 0);
        expect_str(buffer, "");
        place_close(&place, "file");
}

static void a_file_that_does_not_fit_is_refused_not_cut(void) {
        struct place place;
        char buffer[4];

        place_open(&place);
        put(&place, "123", 3);
        expect_int(file_read_at(place.fd, "file", buffer, sizeof(buffer)), 0);
        expect_str(buffer, "123");
        put(&place, "1234", 4);
        expect_int(file_read_at(place.fd, "file", buffer, sizeof(buffer)), EFBIG);
        place_close(&place, "file");
}

static void a_missing_file_tells_the_kernels_errno(void) {
        struct place place;
        char buffer[4];
        uint64_t value;

        place_open(&place);
        expect_int(file_read_at(place.fd, "none", buffer, sizeof(buffer)), ENOENT);
        expect_int(file_read_u64_at(place.fd, "none", &value), ENOENT);
        expect_int(file_write_at(place.fd, "none", "1"), ENOENT);
        place_close(&place, NULL);
}

static void a_number_file_holds_digits_or_max(void) {
        static const char *const invalid[] = {
                "",        "-1",  " 1",
                "1 2",     "0x1", "18446744073709551616",
                "maximum", "1K",  "12345678901234567890123456789012345"};
        struct place place;
        uint64_t value = 0;

        place_open(&place);
        put(&place, "18446744073709551615\n", 21);
        expect_int(file_read_u64_at(place.fd, "file", &value), 0);
        expect_uint(value, UINT64_MAX);
        put(&place, "4096\n", 5);
        expect_int(file_read_u64_at(place.fd, "file", &value), 0);
        expect_uint(value, 4096);
        put(&place, "max\n", 4);
        expect_int(file_read_u64_at(place.fd, "file", &value), 0);
        expect_uint(value, UINT64_MAX);
        value = 7;
        for (size_t i = 0; i < ARRAY_SIZE(invalid); i++) {
                put(&place, invalid[i], strlen(invalid[i]));
                expect_that(file_read_u64_at(place.fd, "file", &value) == EBADMSG, "%s",
                            invalid[i]);
        }
        expect_uint(value, 7);
        place_close(&place, "file");
}

static void a_write_changes_what_is_read(void) {
        struct place place;
        char buffer[16];

        place_open(&place);
        put(&place, "", 0);
        expect_int(file_write_at(place.fd, "file", "100000 100000"), 0);
        expect_int(file_read_at(place.fd, "file", buffer, sizeof(buffer)), 0);
        expect_str(buffer, "100000 100000");
        place_close(&place, "file");
}

static void a_keyed_line_is_found_by_its_whole_key(void) {
        static const char text[] = "populated 1\nfrozen 0\nlow 12\nlow_event 3\n";
        uint64_t value = 99;

        expect(file_keyed_u64(text, "populated", &value));
        expect_uint(value, 1);
        expect(file_keyed_u64(text, "low", &value));
        expect_uint(value, 12);
        expect(file_keyed_u64(text, "low_event", &value));
        expect_uint(value, 3);
        value = 99;
        expect(!file_keyed_u64(text, "pop", &value));
        expect(!file_keyed_u64(text, "event", &value));
        expect(!file_keyed_u64("", "low", &value));
        expect(!file_keyed_u64("low", "low", &value));
        expect(!file_keyed_u64("low \n", "low", &value));
        expect(!file_keyed_u64("low x\n", "low", &value));
        expect_uint(value, 99);
}

static void closing_a_descriptor_resets_it_and_keeps_errno(void) {
        int fds[3] = {-1, -1, -1};

        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        errno = EXDEV;
        fds[0] = fd_close(fds[0]);
        expect_int(fds[0], -1);
        expect_int(errno, EXDEV);
        expect_int(fd_close(-1), -1);
        expect_int(errno, EXDEV);
        fd_close_many(fds, ARRAY_SIZE(fds));
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                expect_int(fds[i], -1);
}

UNIT_MAIN(
        TEST(a_file_is_read_without_its_last_newline),
        TEST(a_file_that_does_not_fit_is_refused_not_cut),
        TEST(a_missing_file_tells_the_kernels_errno),
        TEST(a_number_file_holds_digits_or_max),
        TEST(a_write_changes_what_is_read),
        TEST(a_keyed_line_is_found_by_its_whole_key),
        TEST(closing_a_descriptor_resets_it_and_keeps_errno),
)

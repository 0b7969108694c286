/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>

int file_read_at(int dir_fd, const char *name, char *buffer, size_t size) {
        _cleanup_(fd_closep) int fd = -1;
        size_t used = 0;

        fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return errno;

        for (;;) {
                ssize_t n = read(fd, buffer + used, size - used);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno;
                if (n == 0)
                        break;
                used += (size_t)n;
                if (used == size)
                        return EFBIG;
        }
        while (used > 0 && buffer[used - 1] == '\n')
                used--;
        buffer[used] = '\0';
        return 0;
}

/* Digits only: no sign, no space, no overflow. */
static bool parse_u64(const char *text, size_t length, uint64_t *valuep) {
        uint64_t value = 0;

        if (length == 0)
                return false;
        for (size_t i = 0; i < length; i++) {
                if (text[i] < '0' || text[i] > '9')
                        return false;
                if (__builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
                        return false;
        }
        *valuep = value;
        return true;
}

int file_read_u64_at(int dir_fd, const char *name, uint64_t *valuep) {
        char buffer[32];
        int r;

        r = file_read_at(dir_fd, name, buffer, sizeof(buffer));
        if (r)
                return r == EFBIG ? EBADMSG : r;
        if (strcmp(buffer, "max") == 0) {
                *valuep = UINT64_MAX;
                return 0;
        }
        return parse_u64(buffer, strlen(buffer), valuep) ? 0 : EBADMSG;
}

int file_write_at(int dir_fd, const char *name, const char *text) {
        _cleanup_(fd_closep) int fd = -1;
        size_t length = strlen(text);
        ssize_t n;

        fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return errno;

        do
                n = write(fd, text, length);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno;
        return (size_t)n == length ? 0 : EIO;
}

bool file_keyed_u64(const char *text, const char *key, uint64_t *valuep) {
        size_t length = strlen(key);

        for (const char *line = text; line && *line;) {
                const char *end = strchrnul(line, '\n');

                if ((size_t)(end - line) > length && strncmp(line, key, length) == 0 &&
                    line[length] == ' ')
                        return parse_u64(line + length + 1, (size_t)(end - line) - length - 1,
                                         valuep);
                line = *end ? end + 1 : NULL;
        }
        return false;
}

int file_own_path(char *path, size_t size) {
        static const char deleted[] = " (deleted)";
        ssize_t n = readlink("/proc/self/exe", path, size - 1);

        if (n < 0)
                return errno;
        path[n] = '\0';
        if ((size_t)n > strlen(deleted) && strcmp(path + n - strlen(deleted), deleted) == 0)
                path[(size_t)n - strlen(deleted)] = '\0';
        return 0;
}

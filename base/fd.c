/* SPDX-License-Identifier: MIT */
#include <unistd.h>

#include <base/fd.h>

int fd_close(int fd) {
        int saved = errno;

        if (fd >= 0) {
                int r = close(fd);

                /* On Linux the number is free whatever close() says; EBADF means we closed
                 * somebody else's, or ours twice. */
                assert(r == 0 || errno != EBADF);
                (void)r;
        }
        errno = saved;
        return -1;
}

static int compare_fds(const void *a, const void *b) {
        int x = *(const int *)a, y = *(const int *)b;

        return (x > y) - (x < y);
}

void fd_close_many(int *fds, size_t n) {
        size_t from = 0;

        if (n == 0)
                return; /* and maybe there is no array */
        qsort(fds, n, sizeof(*fds), compare_fds);
        while (from < n) {
                size_t to = from;

                if (fds[from] < 0) {
                        from++;
                        continue;
                }
                while (to + 1 < n && fds[to + 1] == fds[to] + 1)
                        to++;
                close_range((unsigned)fds[from], (unsigned)fds[to], 0);
                from = to + 1;
        }
        for (size_t i = 0; i < n; i++)
                fds[i] = -1;
}

/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <broker/psi.h>

#define SHARE_ALL 10000 /* 100 % */

/* avg10 of the line that begins with @word. */
static bool parse_line(const char *text, const char *word, uint64_t *sharep) {
        char begin[16];
        unsigned whole, part;
        const char *line;

        snprintf(begin, sizeof(begin), "%s avg10=", word);
        line = strstr(text, begin);
        if (!line || (line != text && line[-1] != '\n'))
                return false;
        if (sscanf(line + strlen(begin), "%3u.%2u ", &whole, &part) != 2)
                return false;
        *sharep = (uint64_t)whole * 100 + part;
        return true;
}

bool psi_parse(const char *text, struct psi *psi) {
        struct psi result = {.known = true};

        if (!parse_line(text, "some", &result.some))
                return false;
        /* Before Linux 5.13 cpu has no second line. */
        (void)parse_line(text, "full", &result.full);
        *psi = result;
        return true;
}

int psi_read(int dir_fd, const char *name, struct psi *psi) {
        char text[512];
        int r;

        *psi = (struct psi){};
        r = file_read_at(dir_fd, name, text, sizeof(text));
        if (r == 0 && !psi_parse(text, psi))
                r = EBADMSG;
        return r;
}

uint64_t psi_stall_usec(uint64_t share) {
        return max_u64(1, min_u64(share, SHARE_ALL) * PSI_WINDOW_USEC / SHARE_ALL);
}

int psi_trigger(const char *path, bool full, uint64_t share, int *fdp) {
        _cleanup_(fd_closep) int fd = -1;
        char text[64];
        int n;

        fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return errno;
        n = snprintf(text, sizeof(text), "%s %" PRIu64 " %" PRIu64, full ? "full" : "some",
                     psi_stall_usec(share), PSI_WINDOW_USEC);
        if (write(fd, text, (size_t)n + 1) < 0)
                return errno;
        *fdp = fd;
        fd = -1;
        return 0;
}

const char *psi_format(uint64_t share, char buffer[24]) {
        snprintf(buffer, 24, "%" PRIu64 ".%02" PRIu64, share / 100 % 1000000, share % 100);
        return buffer;
}

/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <locale.h>
#include <unistd.h>

#include <cli/cli.h>

/* Fills the places of missing standard descriptors, so that nothing of ours lands in one. */
static bool standard_fds(void) {
        int fd;

        do {
                fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        } while (fd >= 0 && fd <= STDERR_FILENO);
        if (fd >= 0)
                close(fd);
        return fd >= 0;
}

int main(int argc, char **argv) {
        if (!standard_fds())
                return STATUS_BROKER;
        setlocale(LC_TIME, "");
        return cli_main(argc, argv, stdout, stderr);
}

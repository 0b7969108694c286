/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <base/fd.h>
#include <cli/console_kept.h>

bool console_is_kept(const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
                return true;
        strcpy(address.sun_path, path);
        return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ||
               errno != ECONNREFUSED;
}

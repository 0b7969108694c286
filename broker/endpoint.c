/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/endpoint.h>
#include <broker/lease.h>
#include <launcher/launcher_errands.h>

#define BACKLOG 8 /* who cannot be served yet waits here */

/* False: longer than an address takes. */
static bool format_path(const struct endpoint *endpoint, const struct broker *broker,
                        const char *name, char path[ENDPOINT_PATH_MAX]) {
        int n;

        n = snprintf(path, ENDPOINT_PATH_MAX, "%s/%s/%s", broker->options->run_dir,
                     endpoint->directory, name);
        return n > 0 && n < ENDPOINT_PATH_MAX;
}

/* Whoever knows a name may pass through it; nobody else sees which there are. */
static int make_directory(const struct endpoint *endpoint, const struct broker *broker,
                          struct why *why) {
        char path[ENDPOINT_PATH_MAX];

        if (!format_path(endpoint, broker, "", path))
                return why_set(why, ENDPOINT_E_HOST, "the run directory '%s' is too long",
                               broker->options->run_dir);
        if (mkdir(path, 0711) == 0 && chmod(path, 0711) == 0) /* whatever our umask is */
                return 0;
        return errno == EEXIST ? 0
                               : why_errno(why, ENDPOINT_E_HOST, errno, "cannot create '%s'", path);
}

/* Nobody else can put anything in its place. */
static bool give(const struct lease *lease, const char *path) {
        _cleanup_(fd_closep) int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        int r;

        r = fd < 0 ? errno
                   : launcher_chown(lease->broker->launcher, fd, lease->record.uid,
                                    lease->record.gid);
        errno = r;
        return r == 0;
}

int endpoint_make(const struct endpoint *endpoint, const struct lease *lease, int *fdp,
                  struct why *why) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char path[ENDPOINT_PATH_MAX], name[RECORD_ID_MAX + 8];
        _cleanup_(fd_closep) int fd = -1;
        int r;

        r = make_directory(endpoint, lease->broker, why);
        if (r)
                return r;
        /* QEMU removes the name that a listening socket was bound to when it leaves, and complains
         * if it may not. So that is another one, and is gone by then. */
        snprintf(name, sizeof(name), "%s.new", lease->record.id);
        if (!format_path(endpoint, lease->broker, name, address.sun_path) ||
            !endpoint_path(endpoint, lease, path))
                return why_set(why, ENDPOINT_E_HOST,
                               "the run directory '%s' is too long for a %s socket",
                               lease->broker->options->run_dir, endpoint->label);
        fd = socket(AF_UNIX, endpoint->type | SOCK_CLOEXEC, 0);
        /* Its mode before it has a name: there is no instant in which others could connect. */
        if (fd < 0 || fchmod(fd, 0600) < 0 ||
            bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return why_errno(why, ENDPOINT_E_HOST, errno, "cannot make the %s socket '%s'",
                                 endpoint->label, address.sun_path);
        if (!give(lease, address.sun_path) || listen(fd, BACKLOG) < 0 ||
            rename(address.sun_path, path) < 0) {
                r = why_errno(why, ENDPOINT_E_HOST, errno, "cannot make the %s socket '%s'",
                              endpoint->label, path);
                unlink(address.sun_path);
                return r;
        }
        *fdp = take_fd(fd);
        return 0;
}

const char *endpoint_path(const struct endpoint *endpoint, const struct lease *lease,
                          char path[ENDPOINT_PATH_MAX]) {
        return format_path(endpoint, lease->broker, lease->record.id, path) ? path : NULL;
}

void endpoint_remove(const struct endpoint *endpoint, const struct lease *lease) {
        char path[ENDPOINT_PATH_MAX];

        if (endpoint_path(endpoint, lease, path) && unlink(path) < 0 && errno != ENOENT)
                log_warning("VM '%s': cannot remove its %s socket '%s': %s", lease->record.name,
                            endpoint->label, path, strerrordesc_np(errno));
}

void endpoint_adopt(const struct endpoint *endpoint, struct broker *broker,
                    void (*note)(struct lease *lease)) {
        char path[ENDPOINT_PATH_MAX];
        struct dirent *entry;
        DIR *directory;

        directory = format_path(endpoint, broker, "", path) ? opendir(path) : NULL;
        while (directory && (entry = readdir(directory))) {
                struct lease *lease;

                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                HASH_FIND(hh_id, broker->by_id, entry->d_name, strlen(entry->d_name), lease);
                if (lease)
                        note(lease);
                else if (unlinkat(dirfd(directory), entry->d_name, 0) < 0)
                        log_warning("cannot remove '%s%s', which is of no VM: %s", path,
                                    entry->d_name, strerrordesc_np(errno));
        }
        if (directory)
                closedir(directory);
}

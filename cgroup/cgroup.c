/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <base/why.h>
#include <cgroup/cgroup.h>

int cgroup_create_at(int parent_fd, const char *name, int *dir_fdp, struct why *why) {
        int fd;

        if (mkdirat(parent_fd, name, 0755) < 0)
                return why_errno(why, errno == EEXIST ? CGROUP_E_EXISTS : CGROUP_E_HOST, errno,
                                 "cannot create the group '%s'", name);

        fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0) {
                int saved = errno;

                unlinkat(parent_fd, name, AT_REMOVEDIR);
                return why_errno(why, CGROUP_E_HOST, saved, "cannot open the group '%s'", name);
        }
        *dir_fdp = fd;
        return 0;
}

int cgroup_open_at(int parent_fd, const char *name, int *dir_fdp, struct why *why) {
        int fd;

        fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return why_errno(why, errno == ENOENT ? CGROUP_E_GONE : CGROUP_E_HOST, errno,
                                 "cannot open the group '%s'", name);
        *dir_fdp = fd;
        return 0;
}

int cgroup_remove_at(int parent_fd, const char *name, struct why *why) {
        if (unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
                return why_errno(
                        why, errno == EBUSY || errno == ENOTEMPTY ? CGROUP_E_BUSY : CGROUP_E_HOST,
                        errno, "cannot remove the group '%s'", name);
        return 0;
}

static void remove_children(int parent_fd, const char *name, unsigned depth) {
        struct dirent *entry;
        DIR *dir = NULL;
        int fd;

        fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0)
                dir = fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return;
        }
        while ((entry = readdir(dir))) {
                if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
                        continue;
                if (depth > 1)
                        remove_children(fd, entry->d_name, depth - 1);
                /* One that is not empty keeps its parent, and the parent's removal says so. */
                (void)unlinkat(fd, entry->d_name, AT_REMOVEDIR);
        }
        closedir(dir);
}

int cgroup_remove_tree_at(int parent_fd, const char *name, struct why *why) {
        int r;

        r = cgroup_remove_at(parent_fd, name, why);
        if (r != CGROUP_E_BUSY)
                return r;
        remove_children(parent_fd, name, CGROUP_DEPTH_MAX);
        return cgroup_remove_at(parent_fd, name, why);
}

int cgroup_kill(int dir_fd, struct why *why) {
        int r;

        r = file_write_at(dir_fd, "cgroup.kill", "1");
        if (r == ENOENT || r == ENODEV)
                return why_errno(why, CGROUP_E_GONE, r, "cannot kill the group");
        if (r)
                return why_errno(why, CGROUP_E_HOST, r, "cannot kill the group");
        return 0;
}

int cgroup_populated(int dir_fd, bool *populatedp, struct why *why) {
        char text[256];
        uint64_t value;
        int r;

        r = file_read_at(dir_fd, "cgroup.events", text, sizeof(text));
        if (r)
                return why_errno(why, r == ENOENT || r == ENODEV ? CGROUP_E_GONE : CGROUP_E_HOST, r,
                                 "cannot read cgroup.events");
        if (!file_keyed_u64(text, "populated", &value))
                return why_set(why, CGROUP_E_HOST, "cgroup.events has no line 'populated'");
        *populatedp = value != 0;
        return 0;
}

int cgroup_processes(int dir_fd, int *pids, size_t n, size_t *np, struct why *why) {
        _cleanup_(fd_closep) int fd = -1;
        char text[4096];
        size_t used = 0, stored = 0;

        fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return why_errno(why,
                                 errno == ENOENT || errno == ENODEV ? CGROUP_E_GONE : CGROUP_E_HOST,
                                 errno, "cannot read cgroup.procs");

        while (stored < n) {
                ssize_t got = read(fd, text + used, sizeof(text) - 1 - used);
                char *line = text, *end;

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return why_errno(why, errno == ENODEV ? CGROUP_E_GONE : CGROUP_E_HOST,
                                         errno, "cannot read cgroup.procs");
                if (got == 0)
                        break;
                used += (size_t)got;
                text[used] = '\0';
                while (stored < n && (end = strchr(line, '\n'))) {
                        long pid = strtol(line, NULL, 10);

                        /* 0: a process outside our pid namespace. */
                        if (pid > 0 && pid <= INT32_MAX)
                                pids[stored++] = (int)pid;
                        line = end + 1;
                }
                used -= (size_t)(line - text);
                memmove(text, line, used);
        }
        *np = stored;
        return 0;
}

/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <libcgroup.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <base/text.h>
#include <base/why.h>
#include <cgroup/root.h>

#define ATTR_KEY "trusted.provium.key"
#define ATTR_PREFIX "trusted.provium."

static const char *const controllers[] = {"cpu", "memory", "io", "pids"};

static bool has_word(const char *words, const char *word) {
        size_t length = strlen(word);

        for (const char *at = words; (at = strstr(at, word)); at += length)
                if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
                        return true;
        return false;
}

static bool is_cgroup2(const char *path) {
        struct statfs fs;

        return statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

int cgroup_find_mount(const char *mount, char *found, size_t size, struct why *why) {
        _cleanup_(freep) char *seen = NULL;

        if (mount) {
                if (!text_copy(found, size, mount) || !is_cgroup2(mount))
                        return why_set(why, CGROUP_E_UNSUPPORTED, "'%s' is no cgroup v2 mount",
                                       mount);
                return 0;
        }
        if (cgroup_init() == 0 && cgroup_get_subsys_mount_point("memory", &seen) == 0 && seen &&
            is_cgroup2(seen) && text_copy(found, size, seen))
                return 0;
        return why_set(why, CGROUP_E_UNSUPPORTED,
                       "%s; boot this host with 'systemd.unified_cgroup_hierarchy=1 "
                       "cgroup_no_v1=all' on the kernel's command line, or mount it with "
                       "'mount -t cgroup2 none /sys/fs/cgroup'",
                       seen ? "the memory controller is held by cgroup version 1"
                            : "no cgroup v2 hierarchy with a memory controller is mounted");
}

int cgroup_missing_controllers(const char *mount, char *missing, size_t size, struct why *why) {
        char path[300], words[1024];
        int r;

        snprintf(path, sizeof(path), "%s/cgroup.controllers", mount);
        r = file_read_at(AT_FDCWD, path, words, sizeof(words));
        if (r)
                return why_errno(why, CGROUP_E_HOST, r, "cannot read %s", path);

        missing[0] = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
                if (!has_word(words, controllers[i]))
                        snprintf(missing + strlen(missing), size - strlen(missing), "%s%s",
                                 missing[0] ? " " : "", controllers[i]);
        return 0;
}

/* Names the first process that keeps a group from having controllers for its children. */
static int busy(int dir_fd, const char *path, struct why *why) {
        char name[64], comm[32] = "?";
        int pid = 0;
        size_t n = 0;

        if (cgroup_processes(dir_fd, &pid, 1, &n, NULL) == 0 && n > 0) {
                snprintf(name, sizeof(name), "/proc/%d/comm", pid);
                if (file_read_at(AT_FDCWD, name, comm, sizeof(comm)))
                        strcpy(comm, "?");
                return why_set(why, CGROUP_E_BUSY,
                               "cannot switch controllers on in '%s': process %d (%s) is in it; "
                               "move it into a group of its own",
                               path, pid, comm);
        }
        return why_set(why, CGROUP_E_BUSY, "cannot switch controllers on in '%s': it is busy",
                       path);
}

/* Switches on for the children of @dir_fd what is not on yet, all at once. */
int cgroup_enable_controllers(int dir_fd, const char *path, struct why *why) {
        char have[1024], on[1024], want[128] = "";
        int r;

        r = file_read_at(dir_fd, "cgroup.controllers", have, sizeof(have));
        if (!r)
                r = file_read_at(dir_fd, "cgroup.subtree_control", on, sizeof(on));
        if (r)
                return why_errno(why, CGROUP_E_HOST, r, "cannot read the controllers of '%s'",
                                 path);

        for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
                if (!has_word(have, controllers[i]))
                        return why_set(why, CGROUP_E_UNSUPPORTED,
                                       "the controller '%s' is not available in '%s'",
                                       controllers[i], path);
                if (!has_word(on, controllers[i]))
                        snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s+%s",
                                 want[0] ? " " : "", controllers[i]);
        }
        if (!want[0])
                return 0;

        r = file_write_at(dir_fd, "cgroup.subtree_control", want);
        if (r == EBUSY)
                return busy(dir_fd, path, why);
        if (r)
                return why_errno(why, CGROUP_E_HOST, r,
                                 "cannot write '%s' to cgroup.subtree_control of '%s'", want, path);
        return 0;
}

/* Goes down @relative one component at a time with the controllers switched on behind it. */
static int descend(int mount_fd, const char *mount, const char *relative, bool create, int *fdp,
                   struct why *why) {
        _cleanup_(fd_closep) int fd = -1;
        char parts[256], path[512], *state = NULL;

        if (strlen(relative) >= sizeof(parts) ||
            strlen(mount) + strlen(relative) + 2 > sizeof(path))
                return why_set(why, CGROUP_E_HOST, "the path '%s' is too long", relative);
        strcpy(parts, relative);
        strcpy(path, mount);

        fd = fcntl(mount_fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return why_errno(why, CGROUP_E_HOST, errno, "cannot duplicate a descriptor");

        for (char *part = strtok_r(parts, "/", &state), *next; part; part = next) {
                int child = -1, r;

                next = strtok_r(NULL, "/", &state);
                r = cgroup_enable_controllers(fd, path, why);
                if (r)
                        return r;
                r = cgroup_open_at(fd, part, &child, why);
                if (r == CGROUP_E_GONE && create && !next)
                        r = cgroup_create_at(fd, part, &child, why);
                if (r)
                        return r;
                fd_close(fd);
                fd = child;
                strcat(strcat(path, "/"), part);
        }
        *fdp = take_fd(fd);
        return 0;
}

/*
 * A record lock, because it belongs to the process and not to a descriptor: flock(2) would live on
 * in a child that has not got to execve when its broker is killed, and keep the next broker out.
 * The price: closing any descriptor of that file gives the lock up, so it is a file nobody else
 * opens.
 */
static int lock(int dir_fd, const char *path, int *fdp, struct why *why) {
        _cleanup_(fd_closep) int fd = -1;
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

        fd = openat(dir_fd, "cgroup.max.depth", O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return why_errno(why, CGROUP_E_HOST, errno, "cannot lock '%s'", path);
        if (fcntl(fd, F_SETLK, &whole) < 0) {
                int saved = errno;

                if (saved != EAGAIN && saved != EACCES)
                        return why_errno(why, CGROUP_E_HOST, saved, "cannot lock '%s'", path);
                if (fcntl(fd, F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK && whole.l_pid > 0)
                        return why_set(why, CGROUP_E_BUSY,
                                       "another provium-broker, process %d, already owns '%s'",
                                       (int)whole.l_pid, path);
                return why_set(why, CGROUP_E_BUSY, "another provium-broker already owns '%s'",
                               path);
        }
        *fdp = take_fd(fd);
        return 0;
}

int cgroup_root_open(struct cgroup_root *root, const char *mount, const char *relative, bool create,
                     struct why *why) {
        _cleanup_(fd_closep) int mount_fd = -1, dir_fd = -1, lock_fd = -1;
        char found[256], missing[64];
        int r;

        r = cgroup_find_mount(mount, found, sizeof(found), why);
        if (r)
                return r;
        r = cgroup_missing_controllers(found, missing, sizeof(missing), why);
        if (r)
                return r;
        if (missing[0])
                return why_set(why, CGROUP_E_UNSUPPORTED,
                               "the cgroup v2 hierarchy at '%s' lacks: %s; boot with "
                               "'cgroup_no_v1=all' so that version 1 does not hold them",
                               found, missing);

        mount_fd = open(found, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (mount_fd < 0)
                return why_errno(why, CGROUP_E_HOST, errno, "cannot open '%s'", found);
        if (root->dir_fd < 0) {
                r = descend(mount_fd, found, relative, create, &dir_fd, why);
                if (r)
                        return r;
        } else {
                dir_fd = take_fd(root->dir_fd);
        }
        snprintf(root->path, sizeof(root->path), "%s/%s", found, relative);
        r = lock(dir_fd, root->path, &lock_fd, why);
        if (r)
                return r;
        r = cgroup_enable_controllers(dir_fd, root->path, why);
        if (r)
                return r;
        snprintf(root->mount, sizeof(root->mount), "%s", found);
        root->dir_fd = take_fd(dir_fd);
        root->lock_fd = take_fd(lock_fd);
        return 0;
}

void cgroup_root_make(const char *mount, const char *relative) {
        char found[256], path[512];

        if (cgroup_find_mount(mount, found, sizeof(found), NULL))
                return;
        snprintf(path, sizeof(path), "%s/%s", found, relative);
        (void)mkdir(path, 0755);
}

void cgroup_root_close(struct cgroup_root *root) {
        root->dir_fd = fd_close(root->dir_fd);
        root->lock_fd = fd_close(root->lock_fd);
}

int cgroup_root_key(struct cgroup_root *root, unsigned char key[CGROUP_ROOT_KEY_SIZE],
                    struct why *why) {
        if (fgetxattr(root->dir_fd, ATTR_KEY, key, CGROUP_ROOT_KEY_SIZE) == CGROUP_ROOT_KEY_SIZE)
                return 0;
        if (getrandom(key, CGROUP_ROOT_KEY_SIZE, 0) != CGROUP_ROOT_KEY_SIZE ||
            fsetxattr(root->dir_fd, ATTR_KEY, key, CGROUP_ROOT_KEY_SIZE, 0) < 0)
                return why_errno(why, CGROUP_E_HOST, errno, "cannot keep a key on '%s'",
                                 root->path);
        return 0;
}

int cgroup_root_note(const struct cgroup_root *root, const char *name, const char *text,
                     struct why *why) {
        char attribute[64];
        int r;

        snprintf(attribute, sizeof(attribute), ATTR_PREFIX "%s", name);
        if (text)
                r = fsetxattr(root->dir_fd, attribute, text, strlen(text), 0);
        else
                r = fremovexattr(root->dir_fd, attribute);
        if (r < 0 && errno != ENODATA)
                return why_errno(why, CGROUP_E_HOST, errno, "cannot note '%s' on '%s'", name,
                                 root->path);
        return 0;
}

bool cgroup_root_noted(const struct cgroup_root *root, const char *name, char *text, size_t size) {
        char attribute[64];
        ssize_t n;

        snprintf(attribute, sizeof(attribute), ATTR_PREFIX "%s", name);
        n = fgetxattr(root->dir_fd, attribute, text, size - 1);
        text[n > 0 ? n : 0] = '\0';
        return n >= 0;
}

int cgroup_root_mark_waiting(struct cgroup_root *root, bool waiting, struct why *why) {
        return cgroup_root_note(root, "waiting", waiting ? "1" : NULL, why);
}

bool cgroup_root_was_waiting(struct cgroup_root *root) {
        char text[8];

        return cgroup_root_noted(root, "waiting", text, sizeof(text));
}

int cgroup_root_protect(struct cgroup_root *root, uint64_t memory_low_bytes, uint64_t cpu_weight,
                        struct why *why) {
        char text[32];
        int r;

        snprintf(text, sizeof(text), "%llu", (unsigned long long)memory_low_bytes);
        r = file_write_at(root->dir_fd, "memory.low", text);
        if (!r) {
                snprintf(text, sizeof(text), "%llu", (unsigned long long)cpu_weight);
                r = file_write_at(root->dir_fd, "cpu.weight", text);
        }
        if (r)
                return why_errno(why, CGROUP_E_LIMIT, r, "cannot protect '%s'", root->path);
        return 0;
}

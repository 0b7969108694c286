/* SPDX-License-Identifier: MIT */
/*
 * Two walks, one after the other. The first goes from the file through its file system to device
 * numbers: recursion only over stacked overlays, which the kernel itself ends at two, and we at
 * LAYER_DEPTH_MAX. The second goes from device to device by a list of those found so far, which is
 * also the memory of those seen: a cycle ends by itself, and the list's length is the bound.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/btrfs.h>
#include <linux/loop.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <base/text.h>
#include <base/why.h>
#include <cgroup/resolve.h>

#define STEPS_MAX 128     /* devices looked at for one file, partitions too */
#define LAYER_DEPTH_MAX 3 /* overlays on overlays */
#define LAYERS_MAX 512    /* of one overlay; the kernel's own bound is 500 */

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

struct walk {
        const struct resolve_host *host;
        int block_fd; /* sys_dir/dev/block */
        dev_t dev[STEPS_MAX];
        size_t n, done;
        struct disks found;
        struct why *why;
};

/* ---- sentences ------------------------------------------------------------------------------- */

#define ADVICE_LOCAL "put the file on ext4, xfs or btrfs on a disk of this host"

static const struct {
        unsigned magic;
        const char *name, *reason;
} refused[] = {
        {0x01021994, "tmpfs", "is memory, not a disk"},
        {0x858458f6, "ramfs", "is memory, not a disk"},
        {0x958458f6, "hugetlbfs", "is memory, not a disk"},
        {0x6969, "NFS", "is on another host"},
        {0xff534d42, "CIFS", "is on another host"},
        {0xfe534d42, "SMB", "is on another host"},
        {0x517b, "SMB", "is on another host"},
        {0x00c36400, "Ceph", "is on other hosts"},
        {0x01021997, "9p", "is shared by another host"},
        {0x65735546, "FUSE or virtiofs", "is served by another program, whose I/O is not the VM's"},
        {0x2fc12fc1, "ZFS", "does its I/O in threads of its own, which io.max does not see"},
        {0xca451a4e, "bcachefs", "does not tell its devices"},
        {0xf2f52010, "f2fs", "may be on several devices and does not tell which"},
        {0x4d44, "FAT", "writes in the kernel's name, so that buffered writes escape io.max"},
        {0x2011bab0, "exFAT", "writes in the kernel's name, so that buffered writes escape io.max"},
};

static int refuse_file_system(struct walk *walk, unsigned magic) {
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
                if (refused[i].magic == magic)
                        return why_set(walk->why, RESOLVE_E_NONE,
                                       "disk I/O cannot be limited: %s %s; %s", refused[i].name,
                                       refused[i].reason, ADVICE_LOCAL);
        return why_set(walk->why, RESOLVE_E_NONE,
                       "disk I/O cannot be limited: the file system (type 0x%x) is not one whose "
                       "writes io.max is known to hold; %s",
                       magic, ADVICE_LOCAL);
}

static int refuse_device(struct walk *walk, dev_t dev, int errnum, const char *what) {
        int code = errnum == ENOENT || errnum == ENODEV || errnum == ENXIO ? RESOLVE_E_GONE
                                                                           : RESOLVE_E_HOST;

        return why_errno(walk->why, code, errnum, "cannot find %s block device %u:%u", what,
                         major(dev), minor(dev));
}

/* ---- the list -------------------------------------------------------------------------------- */

static int walk_add(struct walk *walk, dev_t dev) {
        for (size_t i = 0; i < walk->n; i++)
                if (walk->dev[i] == dev)
                        return 0;
        if (walk->n == STEPS_MAX)
                return why_set(walk->why, RESOLVE_E_MANY,
                               "more than %d devices are beneath the file", STEPS_MAX);
        walk->dev[walk->n++] = dev;
        return 0;
}

const struct disk *disks_find(const struct disks *disks, dev_t dev) {
        for (size_t i = 0; i < disks->n; i++)
                if (disks->disk[i].dev == dev)
                        return &disks->disk[i];
        return NULL;
}

static int disks_add(struct disks *disks, const struct disk *disk, struct why *why) {
        if (disks_find(disks, disk->dev))
                return 0;
        if (disks->n == RESOLVE_DISKS_MAX)
                return why_set(why, RESOLVE_E_MANY, "the files are on more than %d disks",
                               RESOLVE_DISKS_MAX);
        disks->disk[disks->n++] = *disk;
        return 0;
}

/* "8:16", as sysfs writes it. Returns 0 or a positive errno. */
static int read_device(int dir_fd, const char *name, dev_t *devp) {
        unsigned high, low;
        char text[32];
        int r, end = 0;

        r = file_read_at(dir_fd, name, text, sizeof(text));
        if (r)
                return r;
        if (sscanf(text, "%u:%u%n", &high, &low, &end) != 2 || text[end])
                return EBADMSG;
        *devp = makedev(high, low);
        return 0;
}

/*
 * Adds the devices whose directories are linked in @name below @dir_fd (slaves/, a btrfs'
 * devices/). *np counts them. Returns an answer; a directory that is not there holds none.
 */
static int add_linked(struct walk *walk, int dir_fd, const char *name, size_t *np) {
        struct dirent *entry;
        DIR *dir = NULL;
        int fd, r = 0;

        *np = 0;
        fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
                return 0;
        if (fd >= 0)
                dir = fdopendir(fd);
        if (!dir) {
                r = why_errno(walk->why, RESOLVE_E_HOST, errno, "cannot read %s of a device", name);
                fd_close(fd);
                return r;
        }
        while (!r && (errno = 0, entry = readdir(dir))) {
                char path[sizeof(entry->d_name) + 8];
                dev_t dev;
                int error;

                if (entry->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof(path), "%s/dev", entry->d_name);
                error = read_device(fd, path, &dev);
                /* sysfs has entries in a btrfs' directory that are no links ("missing"). */
                if (error)
                        r = why_errno(walk->why,
                                      error == ENOENT || error == ENODEV ? RESOLVE_E_GONE
                                                                         : RESOLVE_E_HOST,
                                      error, "a member device is missing");
                else
                        r = walk_add(walk, dev);
                (*np)++;
        }
        closedir(dir);
        return r;
}

/* ---- from file to devices -------------------------------------------------------------------- */

static int add_file(struct walk *walk, int fd, unsigned depth);

/* By a name that begins at the host's root, which is where its /dev lies; -1 and errno. */
static int open_named(const struct walk *walk, const char *path, int flags) {
        char name[PATH_MAX + 64];
        int n;

        n = snprintf(name, sizeof(name), "%s/..%s", walk->host->dev_dir, path);
        if (n < 0 || (size_t)n >= sizeof(name)) {
                errno = ENAMETOOLONG;
                return -1;
        }
        return open(name, flags);
}

/* The same file with a right to ask it something: @fd may be O_PATH. */
static int reopen(struct walk *walk, int fd) {
        char path[256];

        snprintf(path, sizeof(path), "%s/self/fd/%d", walk->host->proc_dir, fd);
        return open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* In place: "\040" and its like, as mountinfo writes what would break its lines. */
static void unescape_octal(char *text) {
        char *to = text;

        for (const char *at = text; *at; to++) {
                if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' &&
                    at[3] >= '0' && at[3] <= '7') {
                        *to = (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'));
                        at += 4;
                } else
                        *to = *at++;
        }
        *to = '\0';
}

/* One line of mountinfo, cut up. */
struct mount {
        char *line; /* what the others point into */
        char *point;
        char *type;
        char *options; /* of the super block; octal escapes are still in both */
};

static void mount_deinit(struct mount *mount) {
        free(mount->line);
}

/* "ID PARENT M:m ROOT POINT ... - TYPE SOURCE OPTIONS"; blanks within any of them are escaped. */
static bool mount_parse(struct mount *mount, char *line, uint64_t id) {
        int point = 0, end = 0;
        unsigned long long found;
        char *dash, *source;

        line[strcspn(line, "\n")] = '\0';
        if (sscanf(line, "%llu %*s %*s %*s %n%*s%n", &found, &point, &end) != 1 || found != id ||
            end <= point)
                return false;
        dash = strstr(line + end, " - ");
        source = dash ? strchr(dash + 3, ' ') : NULL;
        if (!source)
                return false;
        *source = '\0';
        line[end] = '\0';
        mount->line = line;
        mount->point = line + point;
        mount->type = dash + 3;
        mount->options = strrchr(source + 1, ' ') ?: source;
        mount->options++;
        return true;
}

/* In one list of mounts, which is closed. */
static bool search_mount(FILE *file, uint64_t id, struct mount *mount) {
        _cleanup_(freep) char *line = NULL;
        bool found = false;
        size_t size = 0;

        while (!found && getline(&line, &size, file) > 0)
                found = mount_parse(mount, line, id);
        if (found)
                take(line);
        fclose(file);
        return found;
}

/* The host's mounts, as somebody else has opened them; NULL. */
static FILE *open_lent(const struct walk *walk) {
        _cleanup_(fd_closep) int fd = -1;
        FILE *file;

        fd = walk->host->mountinfo_fd < 0 ? -1
                                          : fcntl(walk->host->mountinfo_fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0)
                return NULL;
        file = fdopen(fd, "r");
        if (file)
                take_fd(fd);
        return file;
}

/* Finds the mount that @fd is in: the host's, or one of our own namespace, for what we open
 * ourselves is there. A number means the same mount in both. Answers NONE if it is in neither. */
static int find_mount(struct walk *walk, int fd, struct mount *mount) {
        struct statx stx;
        char path[256];
        FILE *file;

        if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &stx) < 0) {
                why_errno(walk->why, RESOLVE_E_HOST, errno, "cannot tell the mount of the file");
                return RESOLVE_E_HOST;
        }
        if (!(stx.stx_mask & STATX_MNT_ID)) {
                why_set(walk->why, RESOLVE_E_HOST,
                        "cannot tell the mount of a file: Linux 5.8 is needed for that");
                return RESOLVE_E_HOST;
        }
        file = open_lent(walk);
        if (file && search_mount(file, stx.stx_mnt_id, mount))
                return 0;
        snprintf(path, sizeof(path), "%s/self/mountinfo", walk->host->proc_dir);
        file = fopen(path, "re");
        if (!file) {
                why_errno(walk->why, RESOLVE_E_HOST, errno, "cannot open %s", path);
                return RESOLVE_E_HOST;
        }
        if (search_mount(file, stx.stx_mnt_id, mount))
                return 0;
        why_set(walk->why, RESOLVE_E_NONE,
                "disk I/O cannot be limited: the file is on a mount that is not in the broker's "
                "own mount namespace");
        return RESOLVE_E_NONE;
}

/* The mount itself, if the file is somebody's who lets nobody else read it: btrfs is asked about
 * itself, not about a file. */
static int open_btrfs(struct walk *walk, int fd, int *fdp) {
        _cleanup_(mount_deinit) struct mount mount = {};
        int r;

        *fdp = reopen(walk, fd);
        if (*fdp >= 0 || errno != EACCES)
                return 0;
        r = find_mount(walk, fd, &mount);
        if (r == 0) {
                unescape_octal(mount.point);
                *fdp = open_named(walk, mount.point, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        }
        return r;
}

/* The device numbers come from sysfs, not from the names that BTRFS_IOC_DEV_INFO remembers. */
static int add_btrfs(struct walk *walk, int fd) {
        struct btrfs_ioctl_fs_info_args info = {};
        _cleanup_(fd_closep) int file_fd = -1;
        const unsigned char *id = info.fsid;
        char path[512];
        size_t n;
        int r;

        r = open_btrfs(walk, fd, &file_fd);
        if (r)
                return r;
        if (file_fd < 0 || ioctl(file_fd, BTRFS_IOC_FS_INFO, &info) < 0)
                return why_errno(walk->why, RESOLVE_E_HOST, errno,
                                 "cannot ask btrfs for its devices");
        snprintf(path, sizeof(path),
                 "%s/fs/btrfs/%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x"
                 "/devices",
                 walk->host->sys_dir, id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7], id[8],
                 id[9], id[10], id[11], id[12], id[13], id[14], id[15]);
        r = add_linked(walk, AT_FDCWD, path, &n);
        if (r)
                return r;
        if (n == 0 || n < info.num_devices)
                return why_set(walk->why, RESOLVE_E_GONE,
                               "a btrfs of %llu devices shows %zu of them",
                               (unsigned long long)info.num_devices, n);
        return 0;
}

static int add_layer(struct walk *walk, const char *path, unsigned depth) {
        _cleanup_(fd_closep) int fd = -1;
        char shown[128];

        if (path[0] == '/')
                fd = open_named(walk, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        else
                errno = ENOENT;
        if (fd < 0)
                return why_errno(
                        walk->why, RESOLVE_E_NONE, errno,
                        "disk I/O cannot be limited: the overlay's layer '%s' is not to be "
                        "found by this name; mount it with absolute paths",
                        text_escape(path, shown, sizeof(shown)));
        return add_file(walk, fd, depth + 1);
}

/* "A:B": a colon within a path has a backslash before it, and so has a backslash. */
static int add_layers(struct walk *walk, char *list, bool many, unsigned depth) {
        size_t layers = 0;
        int r = 0;

        if (!many)
                return add_layer(walk, list, depth);
        for (char *at = list, *to = list, *start = list; !r; at++) {
                if (*at == '\\' && at[1])
                        *to++ = *++at;
                else if (*at && *at != ':')
                        *to++ = *at;
                else {
                        bool last = !*at;

                        *to = '\0';
                        if (++layers > LAYERS_MAX)
                                return why_set(walk->why, RESOLVE_E_MANY,
                                               "an overlay has more than %d layers", LAYERS_MAX);
                        if (*start)
                                r = add_layer(walk, start, depth);
                        if (last)
                                break;
                        to = start = at + 1;
                }
        }
        return r;
}

static int add_overlay(struct walk *walk, int fd, unsigned depth) {
        _cleanup_(mount_deinit) struct mount mount = {};
        size_t layers = 0;
        char *option;
        int r;

        if (depth == LAYER_DEPTH_MAX)
                return why_set(walk->why, RESOLVE_E_MANY, "overlays are stacked too deep");
        r = find_mount(walk, fd, &mount);
        while (!r && (option = strsep(&mount.options, ","))) {
                char *value = strchr(option, '=');

                if (!value)
                        continue;
                *value++ = '\0';
                unescape_octal(value);
                /* Since Linux 6.5 a layer may have an option of its own. */
                if (strcmp(option, "lowerdir") == 0)
                        r = add_layers(walk, value, true, depth);
                else if (strcmp(option, "upperdir") == 0 || strcmp(option, "lowerdir+") == 0 ||
                         strcmp(option, "datadir+") == 0)
                        r = add_layers(walk, value, false, depth);
                else
                        continue;
                layers++;
        }
        if (!r && layers == 0)
                r = why_set(walk->why, RESOLVE_E_NONE,
                            "disk I/O cannot be limited: the overlay does not tell its layers");
        return r;
}

static bool has_option(const char *options, const char *option) {
        size_t length = strlen(option);

        for (const char *at = options; (at = strstr(at, option)); at += length)
                if ((at == options || at[-1] == ',') &&
                    (option[length - 1] == '=' || !at[length] || at[length] == ','))
                        return true;
        return false;
}

/* What the file system was told at its mount, and undoes that its writes are the writer's. */
static int check_options(struct walk *walk, int fd) {
        _cleanup_(mount_deinit) struct mount mount = {};
        int r;

        r = find_mount(walk, fd, &mount);
        if (r)
                return r;
        if (has_option(mount.options, "data=journal"))
                return why_set(walk->why, RESOLVE_E_NONE,
                               "disk I/O cannot be limited: with data=journal ext4 writes in the "
                               "kernel's name; mount it with data=ordered");
        if (has_option(mount.options, "rtdev="))
                return why_set(walk->why, RESOLVE_E_NONE,
                               "disk I/O cannot be limited: this xfs has a realtime device beside "
                               "its own; %s",
                               ADVICE_LOCAL);
        return 0;
}

/*
 * Is the file system one that somebody else answers for? A FUSE daemon (anybody's) or a server may
 * never answer, and then statfs(2) waits for ever, as stat(2) does: such a file is refused by what
 * the kernel itself knows of its mount.
 */
static int refuse_remote(struct walk *walk, int fd) {
        static const char *const remote[] = {"fuse", "virtiofs", "nfs",  "cifs", "smb",     "9p",
                                             "ceph", "afs",      "coda", "ncp",  "orangefs"};
        _cleanup_(mount_deinit) struct mount mount = {};
        int r;

        r = find_mount(walk, fd, &mount);
        if (r)
                return r;
        for (size_t i = 0; i < ARRAY_SIZE(remote); i++)
                if (strncmp(mount.type, remote[i], strlen(remote[i])) == 0)
                        return why_set(walk->why, RESOLVE_E_NONE,
                                       "disk I/O cannot be limited: %.32s has no disk of this "
                                       "host's kernel beneath; %s",
                                       mount.type, ADVICE_LOCAL);
        return 0;
}

static int add_file(struct walk *walk, int fd, unsigned depth) {
        struct statx stx;
        struct statfs fs;
        int r;

        /* What is known already: nobody is asked who might not answer. */
        if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &stx) < 0)
                return why_errno(walk->why, RESOLVE_E_HOST, errno, "cannot look at the file");
        if (S_ISBLK(stx.stx_mode))
                return walk_add(walk, makedev(stx.stx_rdev_major, stx.stx_rdev_minor));
        if (!S_ISREG(stx.stx_mode) && !S_ISDIR(stx.stx_mode))
                return why_set(walk->why, RESOLVE_E_NONE,
                               "disk I/O cannot be limited: this is not a file, a directory or a "
                               "block device");
        r = refuse_remote(walk, fd);
        if (r)
                return r;
        if (fstatfs(fd, &fs) < 0)
                return why_errno(walk->why, RESOLVE_E_HOST, errno,
                                 "cannot look at the file system");
        switch ((unsigned)fs.f_type) {
        case BTRFS_SUPER_MAGIC:
                return add_btrfs(walk, fd);
        case OVERLAYFS_SUPER_MAGIC:
                return add_overlay(walk, fd, depth);
        case EXT4_SUPER_MAGIC:
        case XFS_SUPER_MAGIC:
                r = check_options(walk, fd);
                return r ?: walk_add(walk, makedev(stx.stx_dev_major, stx.stx_dev_minor));
        default:
                return refuse_file_system(walk, (unsigned)fs.f_type);
        }
}

/* ---- from device to whole disks -------------------------------------------------------------- */

/* The file behind a loop device on btrfs or an overlay, whose st_dev is no device: by the name that
 * the kernel shows, if that is still the very file. */
static int add_backing_name(struct walk *walk, int dir_fd, const char *name,
                            const struct loop_info64 *info) {
        _cleanup_(fd_closep) int fd = -1;
        char path[4096 + 16];
        struct stat st;

        if (file_read_at(dir_fd, "loop/backing_file", path, sizeof(path)) == 0 && path[0] == '/')
                fd = open_named(walk, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != (dev_t)info->lo_device ||
            st.st_ino != (ino_t)info->lo_inode)
                return why_set(walk->why, RESOLVE_E_NONE,
                               "disk I/O cannot be limited: the file behind %s is not on a disk, "
                               "or cannot be found by its name",
                               name);
        return add_file(walk, fd, 0);
}

static int add_backing(struct walk *walk, int dir_fd, dev_t dev, const char *name) {
        _cleanup_(fd_closep) int fd = -1;
        struct loop_info64 info = {};
        char path[256];
        struct stat st;

        snprintf(path, sizeof(path), "%s/%s", walk->host->dev_dir, name);
        fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return why_errno(walk->why,
                                 errno == ENXIO || errno == ENODEV ? RESOLVE_E_GONE
                                                                   : RESOLVE_E_HOST,
                                 errno, "cannot open /dev/%s", name);
        if (fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode) || st.st_rdev != dev)
                return why_set(walk->why, RESOLVE_E_HOST, "/dev/%s is not the device %u:%u", name,
                               major(dev), minor(dev));
        if (ioctl(fd, LOOP_GET_STATUS64, &info) < 0)
                return why_errno(walk->why, errno == ENXIO ? RESOLVE_E_GONE : RESOLVE_E_HOST, errno,
                                 "cannot tell the file behind %s", name);
        /* The kernel's encoding of device numbers is the C library's for all majors there are. */
        if (info.lo_rdevice)
                return walk_add(walk, (dev_t)info.lo_rdevice);
        if (major((dev_t)info.lo_device))
                return walk_add(walk, (dev_t)info.lo_device);
        return add_backing_name(walk, dir_fd, name, &info);
}

/* The last part of the link dev/block/M:m is the device's own name. */
static bool device_name(const char *link, char name[RESOLVE_NAME_SIZE]) {
        const char *slash = strrchr(link, '/');

        return slash && slash[1] && text_copy(name, RESOLVE_NAME_SIZE, slash + 1);
}

static int step(struct walk *walk, dev_t dev) {
        _cleanup_(fd_closep) int dir_fd = -1;
        struct disk disk = {.dev = dev};
        char number[32], link[512];
        size_t slaves;
        ssize_t n;
        dev_t whole;
        int r;

        snprintf(number, sizeof(number), "%u:%u", major(dev), minor(dev));
        n = readlinkat(walk->block_fd, number, link, sizeof(link) - 1);
        if (n < 0)
                return refuse_device(walk, dev, errno, "the");
        link[n] = '\0';
        dir_fd = openat(walk->block_fd, number, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return refuse_device(walk, dev, errno, "the");

        if (faccessat(dir_fd, "partition", F_OK, 0) == 0) {
                /* ".." of what the link leads to: the disk that it is cut from. */
                r = read_device(dir_fd, "../dev", &whole);
                return r ? refuse_device(walk, dev, r, "the disk of") : walk_add(walk, whole);
        }
        if (!device_name(link, disk.name))
                return refuse_device(walk, dev, ENAMETOOLONG, "the name of");
        r = add_linked(walk, dir_fd, "slaves", &slaves);
        if (r)
                return r;
        if (major(dev) == LOOP_MAJOR) {
                if (faccessat(dir_fd, "loop", F_OK, 0) < 0)
                        return why_set(walk->why, RESOLVE_E_GONE, "no file is behind %s",
                                       disk.name);
                r = add_backing(walk, dir_fd, dev, disk.name);
                if (r)
                        return r;
                disk.through = true;
        }
        disk.through = disk.through || slaves > 0;
        return disks_add(&walk->found, &disk, walk->why);
}

int resolve_fd(struct disks *disks, int fd, const struct resolve_host *host, struct why *why) {
        _cleanup_(fd_closep) int block_fd = -1;
        struct walk walk = {.host = host, .why = why};
        struct disks sum = *disks;
        char path[512];
        int r;

        snprintf(path, sizeof(path), "%s/dev/block", host->sys_dir);
        block_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (block_fd < 0)
                return why_errno(why, RESOLVE_E_HOST, errno, "cannot open %s", path);
        walk.block_fd = block_fd;

        r = add_file(&walk, fd, 0);
        while (!r && walk.done < walk.n)
                r = step(&walk, walk.dev[walk.done++]);
        for (size_t i = 0; !r && i < walk.found.n; i++)
                r = disks_add(&sum, &walk.found.disk[i], why);
        if (!r)
                *disks = sum;
        return r;
}

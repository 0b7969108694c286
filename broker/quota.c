/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <base/thread.h>
#include <base/units.h>
#include <broker/broker.h>
#include <broker/lease.h>
#include <broker/quota.h>
#include <sodium.h>

#define STACK_SIZE (64 * 1024)

/* ---- before the launch ---- */

/* The file system of a regular file, without asking anybody for its times or size. */
static bool is_regular(int fd, dev_t *devp) {
        struct statx st;

        if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0 ||
            !S_ISREG(st.stx_mode))
                return false;
        *devp = makedev(st.stx_dev_major, st.stx_dev_minor);
        return true;
}

static bool writes_as_caller(const struct lease *lease, size_t disk) {
        for (size_t i = 0; lease->open && i < lease->open->n_files; i++)
                if (lease->open->files[i].name == disk)
                        return !lease->open->files[i].read_only;
        return false;
}

int quota_prepare(struct lease *lease) {
        const uint32_t range = CHILD_PROJECT_MAX - CHILD_PROJECT_MIN + 1;
        uint64_t claim = lease->record.charge.amount[RESOURCE_DISK];
        struct child_quota *child;
        struct quota *quota;
        dev_t dev;

        assert(lease->fds.n_disks <= CHILD_QUOTA_FILES_MAX);
        if (!lease->broker->policy->broker.disk.project_quota || claim == 0)
                return 0;
        quota = calloc(1, sizeof(*quota));
        if (!quota)
                return fault(-ENOMEM);
        lease->quota = quota;
        child = &quota->child;
        for (size_t i = 0; i < lease->fds.n_disks; i++) {
                if (!is_regular(lease->fds.disk[i], &dev))
                        continue;
                /* One number cannot be held on two file systems. */
                if (child->n_files > 0 && dev != lease->record.quota_dev) {
                        quota->refused = EXDEV;
                        child->n_files = 0;
                        return 0;
                }
                lease->record.quota_dev = dev;
                quota->fds[child->n_files] = lease->fds.disk[i];
                child->fds[child->n_files] = lease->fds.disk[i];
                child->owners[child->n_files] =
                        writes_as_caller(lease, i) ? lease->record.uid : lease->record.run_uid;
                child->n_files++;
        }
        /* Root may go beyond any limit of ext4. */
        if (lease->record.run_uid == 0 && !(lease->walls && lease->walls->drop_capabilities))
                quota->refused = EPERM;
        else if (child->n_files == 0)
                quota->refused = ENODATA;
        if (quota->refused) {
                child->n_files = 0;
                return 0;
        }
        child->project = CHILD_PROJECT_MIN + randombytes_uniform(range);
        child->limit_kib = max_u64(1, claim / 1024);
        child->uid = lease->record.run_uid;
        lease->record.quota_project = child->project;
        return 0;
}

void quota_note(struct lease *lease) {
        struct quota *quota = lease->quota;
        struct record *record = &lease->record;
        struct why why = {};
        bool was_open = lease->dir_fd >= 0;

        if (!quota || record->quota_project == 0)
                return;
        if (lease->process.told.quota_held == 0) {
                quota->refused = (int)lease->process.told.quota_refused;
                record->quota_project = 0;
                record->quota_dev = 0;
        } else {
                record->quota_in_force = true;
                for (size_t i = 0; i < quota->child.n_files; i++) {
                        int fd = fcntl(quota->fds[i], F_DUPFD_CLOEXEC, 3);

                        /* Without it the file keeps a number that means nothing. */
                        if (fd >= 0)
                                quota->fds[quota->n_fds++] = fd;
                }
        }
        if (lease_open_dir(lease, &why) || record_write(lease->dir_fd, record, &why))
                log_error("VM '%s': %s", record->name, why.text);
        if (!was_open)
                lease_close_dir(lease);
}

int quota_adopt(struct lease *lease) {
        if (lease->record.quota_project == 0)
                return 0;
        lease->quota = calloc(1, sizeof(*lease->quota));
        if (!lease->quota)
                return fault(-ENOMEM);
        lease->quota->child.project = lease->record.quota_project;
        return 0;
}

/* ---- afterwards, in a thread ---- */

struct clearing {
        struct lease *lease; /* not the thread's: for the loop, when it hears of the end */
        quota_cleared_fn cleared;
        int told_fd;
        int fds[CHILD_QUOTA_FILES_MAX];
        size_t n_fds;
        uint32_t project;
        dev_t dev;
};

static void take_out(int path_fd, uint32_t project) {
        struct fsxattr attributes;
        char path[32];
        int fd;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd >= 0 && ioctl(fd, FS_IOC_FSGETXATTR, &attributes) == 0 &&
            attributes.fsx_projid == project) {
                attributes.fsx_projid = 0;
                if (ioctl(fd, FS_IOC_FSSETXATTR, &attributes) < 0)
                        log_warning("a file cannot be taken out of project %u: %s", project,
                                    strerrordesc_np(errno));
        }
        fd_close(fd);
        fd_close(path_fd);
}

/* "/dev/vda"; its numbers where sysfs has no name for it. */
static void device_path(dev_t dev, char *path, size_t size) {
        char text[1024] = "";
        const char *name;

        snprintf(path, size, "/sys/dev/block/%u:%u/uevent", major(dev), minor(dev));
        if (file_read_at(AT_FDCWD, path, text, sizeof(text)) == 0 &&
            (name = strstr(text, "DEVNAME=")))
                snprintf(path, size, "/dev/%.*s", (int)strcspn(name + 8, "\n"), name + 8);
        else
                snprintf(path, size, "/dev/block/%u:%u", major(dev), minor(dev));
}

static void clear(struct clearing *clearing) {
        struct if_dqblk none = {.dqb_valid = QIF_BLIMITS};
        char device[320];

        for (size_t i = 0; i < clearing->n_fds; i++)
                take_out(clearing->fds[i], clearing->project);
        device_path(clearing->dev, device, sizeof(device));
        if (syscall(SYS_quotactl, QCMD(Q_SETQUOTA, PRJQUOTA), device, clearing->project, &none) <
                    0 &&
            errno != ENOENT && errno != ESRCH)
                log_warning("project %u of %s: its limit cannot be removed: %s", clearing->project,
                            device, strerrordesc_np(errno));
}

static void *run(void *userdata) {
        struct clearing *clearing = userdata;
        ssize_t n;

        clear(clearing);
        n = write(clearing->told_fd, &clearing, sizeof(void *)); /* the pointer itself */
        (void)n; /* the broker has left: so does the process */
        return NULL;
}

static int on_cleared(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct broker *broker = userdata;
        struct clearing *clearing;
        quota_cleared_fn cleared;
        struct lease *lease;
        int r;

        if (read(fd, &clearing, sizeof(void *)) != sizeof(void *))
                return 0;
        lease = clearing->lease;
        cleared = clearing->cleared;
        free(clearing);
        broker->n_clearing--;
        lease->releasing_quota = false;
        lease->record.quota_project = 0;
        r = cleared(lease);
        return r < 0 ? broker_fault(broker, r) : 0;
}

static int open_pipe(struct broker *broker) {
        int fds[2], r;

        if (broker->cleared)
                return 0;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return fault(-errno);
        r = sd_event_add_io(broker->event, &broker->cleared, fds[0], EPOLLIN, on_cleared, broker);
        if (r < 0) {
                fd_close_many(fds, 2);
                return fault(r);
        }
        sd_event_source_set_io_fd_own(broker->cleared, true);
        broker->cleared_fd = fds[1];
        return 0;
}

int quota_release(struct lease *lease, quota_cleared_fn cleared) {
        struct broker *broker = lease->broker;
        struct quota *quota = lease->quota;
        struct clearing *clearing;
        int r;

        if (!quota || lease->record.quota_project == 0)
                return 0;
        if (lease->releasing_quota)
                return 1;
        r = open_pipe(broker);
        if (r < 0)
                return r;
        clearing = malloc(sizeof(*clearing));
        if (!clearing)
                return fault(-ENOMEM);
        *clearing = (struct clearing){.lease = lease,
                                      .cleared = cleared,
                                      .told_fd = broker->cleared_fd,
                                      .n_fds = quota->n_fds,
                                      .project = lease->record.quota_project,
                                      .dev = lease->record.quota_dev};
        memcpy(clearing->fds, quota->fds, quota->n_fds * sizeof(*quota->fds));
        quota->n_fds = 0;
        lease->releasing_quota = true;
        broker->n_clearing++;
        if (thread_start(run, clearing, STACK_SIZE))
                run(clearing);
        return 1;
}

bool quota_is_released(const struct lease *lease) {
        return lease->releasing_quota;
}

void quota_close(struct broker *broker) {
        if (!broker->cleared)
                return;
        sd_event_source_disable_unref(broker->cleared);
        if (broker->n_clearing == 0)
                fd_close(broker->cleared_fd);
}

/* ---- what one can see ---- */

static const char *refusal(uint32_t errnum) {
        switch (errnum) {
        case ENODATA:
                return "it named no file that its user owns and may write";
        case EXDEV:
                return "its files lie on several file systems";
        case EPERM:
                return "it runs as root with all rights, which no quota holds";
        case EBUSY:
                return "its file belongs to another project";
        case ESRCH:
        case ENOSYS:
        case ENOTTY:
        case EOPNOTSUPP:
        case EINVAL:
                return "its file system has no project quota in force (ext4 or XFS, mounted with "
                       "prjquota)";
        default:
                return strerrordesc_np((int)errnum);
        }
}

void quota_report(const struct lease *lease, json_t *limits, json_t *notes) {
        const struct record *record = &lease->record;
        char size[UNITS_TEXT_MAX], text[200];

        if (record->quota_in_force && record->quota_project) {
                snprintf(
                        text, sizeof(text), "%s by project quota %u of %u:%u",
                        units_format_size(record->charge.amount[RESOURCE_DISK], size, sizeof(size)),
                        record->quota_project, major(record->quota_dev), minor(record->quota_dev));
                json_object_set_new(limits, "disk", json_string(text));
                return;
        }
        if (record->charge.amount[RESOURCE_DISK] == 0)
                snprintf(text, sizeof(text), "disk: none was claimed, so none is held");
        else if (lease->quota && lease->quota->refused)
                snprintf(text, sizeof(text), "disk: counted, not enforced: %s",
                         refusal(lease->quota->refused));
        else
                snprintf(text, sizeof(text), "disk: counted, not enforced%s",
                         lease->broker->policy->broker.disk.project_quota
                                 ? ""
                                 : "; ProjectQuota=yes in [Disk] would");
        json_array_append_new(notes, json_string(text));
}

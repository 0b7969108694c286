/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/units.h>
#include <broker/broker.h>
#include <broker/lease.h>
#include <broker/quota.h>
#include <launcher/launcher_errands.h>
#include <sodium.h>

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

/* ---- afterwards: a thread of the launcher's ---- */

static void note_failures(const struct lease *lease, const struct wire_unquota *told) {
        const struct record *record = &lease->record;

        if (told->files)
                log_warning("VM '%s': a file cannot be taken out of project %u: %s", record->name,
                            record->quota_project, strerrordesc_np(told->files));
        if (told->limit)
                log_warning("VM '%s': the limit of project %u on device %u:%u cannot be removed: "
                            "%s",
                            record->name, record->quota_project, major(record->quota_dev),
                            minor(record->quota_dev), strerrordesc_np(told->limit));
}

/* A limit that stays counts files that nobody has; and the VM has ended. */
static void note_lost(const struct lease *lease, int errnum) {
        log_warning("VM '%s': project %u was not taken away: %s", lease->record.name,
                    lease->record.quota_project,
                    errnum ? strerrordesc_np(errnum) : "the launcher has left meanwhile");
}

static int on_cleared(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct lease *lease = userdata;
        struct broker *broker = lease->broker;
        struct wire_unquota told;
        int r;

        if (read(fd, &told, sizeof(told)) == sizeof(told))
                note_failures(lease, &told);
        else
                note_lost(lease, 0);
        lease->quota->clearing = sd_event_source_disable_unref(lease->quota->clearing);
        lease->record.quota_project = 0;
        r = lease->quota->cleared(lease); /* the lease may be gone with it */
        return r < 0 ? broker_fault(broker, r) : 0;
}

static int watch(struct lease *lease, int fd) {
        struct quota *quota = lease->quota;
        int r;

        r = sd_event_add_io(lease->broker->event, &quota->clearing, fd, EPOLLIN, on_cleared, lease);
        if (r < 0) {
                fd_close(fd);
                return fault(r);
        }
        sd_event_source_set_io_fd_own(quota->clearing, true);
        return 0;
}

int quota_release(struct lease *lease, quota_cleared_fn cleared) {
        struct quota *quota = lease->quota;
        int fds[2] = {-1, -1}, r;

        if (!quota || lease->record.quota_project == 0)
                return 0;
        if (quota->clearing)
                return 1;
        r = pipe2(fds, O_CLOEXEC) < 0 ? errno : 0;
        if (r == 0)
                r = launcher_unquota(lease->broker->launcher, fds[1], quota->fds, quota->n_fds,
                                     lease->record.quota_project, lease->record.quota_dev);
        fd_close_many(quota->fds, quota->n_fds);
        quota->n_fds = 0;
        fds[1] = fd_close(fds[1]);
        if (r) {
                fd_close(fds[0]);
                note_lost(lease, r);
                lease->record.quota_project = 0;
                return 0;
        }
        quota->cleared = cleared;
        r = watch(lease, fds[0]);
        return r < 0 ? r : 1;
}

bool quota_is_released(const struct lease *lease) {
        return lease->quota && lease->quota->clearing;
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

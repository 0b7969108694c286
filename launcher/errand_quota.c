/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <base/thread.h>
#include <launcher/errand_quota.h>
#include <launcher/wire.h>

#define STACK_SIZE (64 * 1024)

struct clearing {
        int told_fd;
        int fds[ERRAND_QUOTA_FILES_MAX];
        size_t n_fds;
        uint32_t project;
        dev_t dev;
};

/* A file that has another project by now, or none, is left as it is. */
static int take_out(int path_fd, uint32_t project) {
        _cleanup_(fd_closep) int fd = -1;
        struct fsxattr attributes;
        char path[32];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0 ||
            attributes.fsx_projid != project)
                return 0;
        attributes.fsx_projid = 0;
        return ioctl(fd, FS_IOC_FSSETXATTR, &attributes) < 0 ? errno : 0;
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

static int remove_limit(uint32_t project, dev_t dev) {
        struct if_dqblk none = {.dqb_valid = QIF_BLIMITS};
        char device[320];

        device_path(dev, device, sizeof(device));
        if (syscall(SYS_quotactl, QCMD((unsigned)Q_SETQUOTA, PRJQUOTA), device, project, &none) ==
                    0 ||
            errno == ENOENT || errno == ESRCH)
                return 0;
        return errno;
}

static void *run(void *userdata) {
        struct clearing *clearing = userdata;
        struct wire_unquota told = {};
        ssize_t n;

        for (size_t i = 0; i < clearing->n_fds; i++) {
                int r = take_out(clearing->fds[i], clearing->project);

                if (r)
                        told.files = (uint8_t)r;
        }
        fd_close_many(clearing->fds, clearing->n_fds);
        told.limit = (uint8_t)remove_limit(clearing->project, clearing->dev);
        n = write(clearing->told_fd, &told, sizeof(told));
        (void)n; /* the broker has left, and will ask again when it has come back */
        fd_close(clearing->told_fd);
        free(clearing);
        return NULL;
}

static bool is_regular(int fd) {
        struct statx st;

        return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0 &&
               S_ISREG(st.stx_mode);
}

int errand_unquota(struct wire_message *message, struct wire_answer *answer, int *fdp) {
        const int64_t *number = message->request.number;
        size_t n_fds = message->request.n_fds - 1;
        struct clearing *clearing;
        int r;

        if (number[0] < CHILD_PROJECT_MIN || number[0] > CHILD_PROJECT_MAX || number[1] < 0 ||
            number[1] > UINT32_MAX || number[2] < 0 || number[2] > UINT32_MAX)
                return EINVAL;
        for (size_t i = 1; i <= n_fds; i++)
                if (!is_regular(message->fds[i]))
                        return EINVAL;
        clearing = malloc(sizeof(*clearing));
        if (!clearing)
                return ENOMEM;
        *clearing = (struct clearing){.told_fd = message->fds[0],
                                      .n_fds = n_fds,
                                      .project = (uint32_t)number[0],
                                      .dev = makedev((unsigned)number[1], (unsigned)number[2])};
        memcpy(clearing->fds, message->fds + 1, n_fds * sizeof(*clearing->fds));
        r = thread_start(run, clearing, STACK_SIZE);
        if (r) {
                free(clearing);
                return r;
        }
        for (size_t i = 0; i <= n_fds; i++)
                message->fds[i] = -1;
        return 0;
}

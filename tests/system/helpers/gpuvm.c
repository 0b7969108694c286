/* SPDX-License-Identifier: MIT */
/*
 * What of a hypervisor has to do with GPUs: it takes groups as vfio.txt of the kernel says, down to
 * the device itself and memory that it may reach, and tries those that are not its own.
 *
 *     gpuvm WORD...
 *
 *     list                   the names below /dev/vfio
 *     use=GROUP,ADDRESS      the device ADDRESS of the group at the path, or of descriptor GROUP
 *     open=PATH              opens it
 *     make=PATH,MAJOR,MINOR  makes the file of a device there, and opens that
 *
 * Prints a line for each, "WORD: done" or what failed; then "ready", and stays until SIGTERM.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MEMORY (24UL << 20) /* more than one may lock by default */
#define MEMORY_AT 0x10000000

static int container = -1;

/* A group of a container that has its type already is simply one more. */
static const char *take_group(int group, const char *address) {
        struct vfio_group_status status = {.argsz = sizeof(status)};
        struct vfio_device_info info = {.argsz = sizeof(info)};
        struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
                                               .flags = VFIO_DMA_MAP_FLAG_READ |
                                                        VFIO_DMA_MAP_FLAG_WRITE,
                                               .iova = MEMORY_AT,
                                               .size = MEMORY};
        bool first = container < 0;
        void *memory;
        int device;

        if (first)
                container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
        if (container < 0 || ioctl(container, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
                return "container";
        if (ioctl(group, VFIO_GROUP_GET_STATUS, &status) < 0 ||
            !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
                return "status";
        if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) < 0)
                return "set container";
        if (first) {
                if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) < 0)
                        return "set iommu";
                memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                              0);
                map.vaddr = (uintptr_t)memory;
                if (memory == MAP_FAILED || ioctl(container, VFIO_IOMMU_MAP_DMA, &map) < 0)
                        return "map";
        }
        device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
        if (device < 0)
                return "device";
        return ioctl(device, VFIO_DEVICE_GET_INFO, &info) < 0 || info.num_regions == 0 ? "info"
                                                                                       : NULL;
}

static const char *use(char *group, const char *address) {
        int fd = group[0] == '/' ? open(group, O_RDWR | O_CLOEXEC) : atoi(group);

        return fd < 0 ? "open" : take_group(fd, address);
}

static const char *try_open(const char *path) {
        return open(path, O_RDWR | O_CLOEXEC) < 0 ? "open" : NULL;
}

static const char *make(const char *path, const char *major_text, const char *minor_text) {
        dev_t dev = makedev((unsigned)atoi(major_text), (unsigned)atoi(minor_text));

        return mknod(path, S_IFCHR | 0600, dev) < 0 ? "make" : try_open(path);
}

static void list(void) {
        struct dirent **names;
        int n = scandir("/dev/vfio", &names, NULL, alphasort);

        printf("list:");
        for (int i = 0; i < n; i++)
                if (names[i]->d_name[0] != '.')
                        printf(" %s", names[i]->d_name);
        printf("\n");
}

static void on_term(int signo) {
        _exit(0);
}

int main(int argc, char **argv) {
        signal(SIGTERM, on_term);
        for (int i = 1; i < argc; i++) {
                char *word = strdup(argv[i]), *rest = strchr(word, '='), *b, *c;
                const char *failed = "word";

                if (rest)
                        *rest++ = '\0';
                b = rest ? strchr(rest, ',') : NULL;
                if (b)
                        *b++ = '\0';
                c = b ? strchr(b, ',') : NULL;
                if (c)
                        *c++ = '\0';
                errno = 0;
                if (strcmp(word, "list") == 0) {
                        list();
                        continue;
                } else if (strcmp(word, "use") == 0 && b) {
                        failed = use(rest, b);
                } else if (strcmp(word, "open") == 0 && rest) {
                        failed = try_open(rest);
                } else if (strcmp(word, "make") == 0 && c) {
                        failed = make(rest, b, c);
                }
                if (failed)
                        printf("%s: %s %s\n", argv[i], failed, strerrorname_np(errno));
                else
                        printf("%s: done\n", argv[i]);
        }
        printf("ready\n");
        fflush(stdout);
        for (;;)
                pause();
}

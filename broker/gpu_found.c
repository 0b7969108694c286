/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <base/text.h>
#include <broker/gpu_found.h>

#define PATH_SIZE 320

struct gpu_found *gpu_found_free(struct gpu_found *found) {
        if (!found)
                return NULL;
        free(found->devices);
        free(found->profiles);
        free(found->slots);
        free(found);
        return NULL;
}

/* A zeroed entry more of @size bytes; room is made by powers of two. */
static void *add(struct gpu_found *found, void **listp, size_t *np, size_t max, size_t size) {
        char *list = *listp;

        if (*np >= max) {
                found->cut = true;
                return NULL;
        }
        if ((*np & (*np - 1)) == 0) {
                list = reallocarray(list, *np ? 2 * *np : 1, size);
                if (!list)
                        return NULL;
                *listp = list;
        }
        return memset(list + (*np)++ * size, 0, size);
}

struct gpu_device *gpu_found_add_device(struct gpu_found *found) {
        return add(found, (void **)&found->devices, &found->n_devices, GPU_DEVICES_MAX,
                   sizeof(*found->devices));
}

struct gpu_profile *gpu_found_add_profile(struct gpu_found *found) {
        return add(found, (void **)&found->profiles, &found->n_profiles, GPU_PROFILES_MAX,
                   sizeof(*found->profiles));
}

struct gpu_slot *gpu_found_add_slot(struct gpu_found *found) {
        struct gpu_slot *slot = add(found, (void **)&found->slots, &found->n_slots, GPU_SLOTS_MAX,
                                    sizeof(*found->slots));

        if (slot)
                slot->group = slot->numa_node = -1;
        return slot;
}

struct gpu_device *gpu_found_device(const struct gpu_found *found, const char *address) {
        for (size_t i = 0; i < found->n_devices; i++)
                if (strcmp(found->devices[i].address, address) == 0)
                        return &found->devices[i];
        return NULL;
}

/* ---- names ---- */

static size_t hex_span(const char *text) {
        return strspn(text, "0123456789abcdef");
}

bool gpu_is_address(const char *text) {
        size_t domain = hex_span(text);
        const char *rest = text + domain;

        return domain >= 4 && domain <= 8 && rest[0] == ':' && hex_span(rest + 1) == 2 &&
               rest[3] == ':' && hex_span(rest + 4) == 2 && rest[6] == '.' && rest[7] >= '0' &&
               rest[7] <= '7' && rest[8] == '\0';
}

bool gpu_is_uuid(const char *text) {
        static const size_t parts[] = {8, 4, 4, 4, 12};

        for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
                if (hex_span(text) != parts[i] ||
                    text[parts[i]] != (i + 1 < ARRAY_SIZE(parts) ? '-' : '\0'))
                        return false;
                text += parts[i] + 1;
        }
        return true;
}

bool gpu_same_device(const char *a, const char *b) {
        const char *dot = strchrnul(a, '.');

        return strncmp(a, b, (size_t)(dot - a) + 1) == 0;
}

bool gpu_is_vfio(const char *driver) {
        size_t length = strlen(driver);

        if (length < strlen("vfio-pci"))
                return false;
        driver += length - strlen("vfio-pci");
        return strcmp(driver, "vfio-pci") == 0 || strcmp(driver, "vfio_pci") == 0;
}

bool gpu_is_display(uint32_t class, uint16_t vendor) {
        return class >> 16 == 0x03 || (class >> 8 == 0x1200 && vendor == 0x1002);
}

/* ---- sysfs ---- */

void gpu_names_deinit(struct gpu_names *names) {
        free(names->name);
        *names = (struct gpu_names){};
}

static int compare(const void *a, const void *b) {
        return strverscmp(a, b);
}

int gpu_list(int dir_fd, const char *path, bool (*wanted)(const char *), struct gpu_names *names) {
        struct dirent *entry;
        int fd, r = 0;
        DIR *dir;

        *names = (struct gpu_names){};
        fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return 0;
        dir = fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return fault(-ENOMEM);
        }
        while ((entry = readdir(dir))) {
                if (strlen(entry->d_name) >= GPU_WORD_SIZE || !wanted(entry->d_name))
                        continue;
                if (names->n == GPU_LIST_MAX) {
                        names->cut = true;
                        break;
                }
                if ((names->n & (names->n - 1)) == 0) {
                        void *more = reallocarray(names->name, names->n ? 2 * names->n : 1,
                                                  sizeof(*names->name));

                        if (!more) {
                                r = fault(-ENOMEM);
                                break;
                        }
                        names->name = more;
                }
                strcpy(names->name[names->n++], entry->d_name);
        }
        closedir(dir);
        if (r < 0)
                gpu_names_deinit(names);
        else if (names->n > 0)
                qsort(names->name, names->n, sizeof(*names->name), compare);
        return r;
}

void gpu_read_text(int dir_fd, const char *dir, const char *file, char *buffer, size_t size) {
        char path[PATH_SIZE], text[4096];

        buffer[0] = '\0';
        snprintf(path, sizeof(path), "%s/%s", dir, file);
        if (file_read_at(dir_fd, path, text, sizeof(text)) != 0)
                return;
        /* A description may have lines: here they are one. */
        for (char *at = text; (at = strpbrk(at, "\n\t")); at++)
                *at = ' ';
        if (text_is_printable(text))
                snprintf(buffer, size, "%.*s", (int)size - 1, text);
        /* Not in the middle of a character. */
        while (buffer[0] && !text_is_printable(buffer))
                buffer[strlen(buffer) - 1] = '\0';
}

bool gpu_read_number(int dir_fd, const char *dir, const char *file, int base, uint64_t max,
                     uint64_t *valuep) {
        char text[32], *end;
        unsigned long long value;

        gpu_read_text(dir_fd, dir, file, text, sizeof(text));
        if (text[0] < '0' || text[0] > '9')
                return false;
        errno = 0;
        value = strtoull(text, &end, base);
        if (errno || *end || value > max)
                return false;
        *valuep = value;
        return true;
}

void gpu_read_link(int dir_fd, const char *dir, const char *file, char *buffer, size_t size) {
        char path[PATH_SIZE], target[1024];
        const char *last;
        ssize_t n;

        buffer[0] = '\0';
        snprintf(path, sizeof(path), "%s/%s", dir, file);
        n = readlinkat(dir_fd, path, target, sizeof(target));
        if (n <= 0 || (size_t)n == sizeof(target))
                return;
        target[n] = '\0';
        last = strrchr(target, '/');
        last = last ? last + 1 : target;
        if (strlen(last) < size && text_is_printable(last))
                strcpy(buffer, last);
}

int gpu_read_group(int dir_fd, const char *dir) {
        char text[GPU_WORD_SIZE], *end;
        unsigned long group;

        gpu_read_link(dir_fd, dir, "iommu_group", text, sizeof(text));
        if (text[0] < '0' || text[0] > '9')
                return -1;
        errno = 0;
        group = strtoul(text, &end, 10);
        return errno || *end || group > INT_MAX ? -1 : (int)group;
}

bool gpu_slot_find_file(int sys_fd, struct gpu_slot *slot) {
        char path[PATH_SIZE], text[32], *end;
        unsigned long major, minor;

        slot->dev = 0;
        snprintf(path, sizeof(path), "bus/%s/devices/%s", slot->kind == GPU_MDEV ? "mdev" : "pci",
                 slot->name);
        slot->group = slot->name[0] ? gpu_read_group(sys_fd, path) : -1;
        if (slot->group < 0)
                return false;
        snprintf(path, sizeof(path), "class/vfio/%d", slot->group);
        gpu_read_text(sys_fd, path, "dev", text, sizeof(text));
        major = strtoul(text, &end, 10);
        if (end == text || *end != ':')
                return false;
        minor = strtoul(end + 1, &end, 10);
        if (*end || major == 0 || major > 0xfff || minor > 0xfffff)
                return false;
        slot->dev = makedev((unsigned)major, (unsigned)minor);
        return true;
}

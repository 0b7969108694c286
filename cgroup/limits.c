/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <cgroup/limits.h>

#define PERIOD_USEC UINT64_C(100000)
#define PERIOD_LONG_USEC UINT64_C(1000000)
#define QUOTA_MIN_USEC UINT64_C(1000) /* the kernel's min_cfs_quota_period */
#define VALUE_MAX 48
#define FILES_MAX 9

struct limit_value {
        const char *file;
        size_t field; /* its offset in struct limits */
        char text[VALUE_MAX];
};

void limits_set_cpu(struct limits *limits, uint64_t cpu_milli, uint64_t headroom_milli) {
        unsigned __int128 milli = (unsigned __int128)cpu_milli * (1000 + headroom_milli);
        unsigned __int128 quota = milli * PERIOD_USEC / 1000000;

        limits->cpu_period_usec = PERIOD_USEC;
        if (quota < QUOTA_MIN_USEC) {
                limits->cpu_period_usec = PERIOD_LONG_USEC;
                quota = milli * PERIOD_LONG_USEC / 1000000;
        }
        /* 0.001 CPU of a second is just the smallest quota the kernel takes. */
        if (quota < QUOTA_MIN_USEC)
                quota = QUOTA_MIN_USEC;
        limits->cpu_quota_usec = quota > UINT32_MAX ? UINT32_MAX : (uint64_t)quota;
}

uint64_t limits_page_ceil(uint64_t bytes) {
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

        if (bytes > UINT64_MAX - page)
                return bytes;
        return (bytes + page - 1) / page * page;
}

static void add(struct limit_value *values, size_t *np, const struct limits *limits, size_t field,
                const char *file) {
        uint64_t value = *(const uint64_t *)((const char *)limits + field);

        if (value == LIMIT_KEEP)
                return;
        assert(*np < FILES_MAX);
        values[*np].file = file;
        values[*np].field = field;
        if (value == LIMIT_NONE)
                strcpy(values[*np].text, "max");
        else
                snprintf(values[*np].text, VALUE_MAX, "%llu", (unsigned long long)value);
        (*np)++;
}

/* The order matters: protections before limits would be harmless, but a limit that fails should
 * fail before anything else was promised. */
static size_t limits_values(const struct limits *limits, struct limit_value values[FILES_MAX]) {
        size_t n = 0;

        add(values, &n, limits, offsetof(struct limits, memory_max_bytes), "memory.max");
        add(values, &n, limits, offsetof(struct limits, memory_high_bytes), "memory.high");
        add(values, &n, limits, offsetof(struct limits, swap_max_bytes), "memory.swap.max");
        add(values, &n, limits, offsetof(struct limits, memory_low_bytes), "memory.low");
        add(values, &n, limits, offsetof(struct limits, oom_group), "memory.oom.group");
        add(values, &n, limits, offsetof(struct limits, pids_max), "pids.max");
        add(values, &n, limits, offsetof(struct limits, cpu_weight), "cpu.weight");
        add(values, &n, limits, offsetof(struct limits, cpu_quota_usec), "cpu.max");
        if (limits->cpu_quota_usec != LIMIT_KEEP) {
                char *text = values[n - 1].text;

                snprintf(text + strlen(text), VALUE_MAX - strlen(text), " %llu",
                         (unsigned long long)limits->cpu_period_usec);
        }
        return n;
}

static int refuse(struct why *why, const struct limit_value *value, const char *verb, int errnum) {
        int code = errnum == ENODEV ? CGROUP_E_GONE : CGROUP_E_LIMIT;

        if (errnum == ENOENT)
                return why_errno(why, code, errnum,
                                 "cannot %s %s: is the controller switched on for this group?",
                                 verb, value->file);
        return why_errno(why, code, errnum, "cannot %s '%s' %s %s", verb, value->text,
                         strcmp(verb, "write") == 0 ? "to" : "in", value->file);
}

static int compare(int fd, const struct limit_value *value, struct why *why) {
        char text[VALUE_MAX + 16];
        ssize_t n;

        n = pread(fd, text, sizeof(text) - 1, 0);
        if (n < 0)
                return refuse(why, value, "read back", errno);
        while (n > 0 && text[n - 1] == '\n')
                n--;
        text[n] = '\0';
        if (strcmp(text, value->text) != 0)
                return why_set(why, CGROUP_E_LIMIT, "%s was set to '%s' but reads '%s'",
                               value->file, value->text, text);
        return 0;
}

static int apply_one(int dir_fd, const struct limit_value *value, bool write_it, int *fdp,
                     struct why *why) {
        *fdp = openat(dir_fd, value->file, (write_it ? O_RDWR : O_RDONLY) | O_CLOEXEC);
        if (*fdp < 0) {
                /* A file that is missing from a group that is there is a controller's. */
                int saved = errno;

                if (saved == ENOENT && faccessat(dir_fd, "cgroup.procs", F_OK, 0) < 0)
                        saved = ENODEV;
                return refuse(why, value, "open", saved);
        }
        if (write_it && write(*fdp, value->text, strlen(value->text)) < 0)
                return refuse(why, value, "write", errno);
        return compare(*fdp, value, why);
}

static int limits_run(int dir_fd, const struct limits *limits, bool write_it, struct why *why) {
        struct limit_value values[FILES_MAX];
        int fds[FILES_MAX], r = 0;
        size_t n, opened = 0;

        n = limits_values(limits, values);
        for (size_t i = 0; i < n && !r; i++)
                r = apply_one(dir_fd, &values[i], write_it, &fds[opened++], why);
        fd_close_many(fds, opened);
        return r;
}

int limits_apply(int dir_fd, const struct limits *limits, struct why *why) {
        return limits_run(dir_fd, limits, true, why);
}

void limits_apply_best(int dir_fd, struct limits *limits, char *missing, size_t size) {
        struct limit_value values[FILES_MAX];
        size_t n, used = 0;

        missing[0] = '\0';
        n = limits_values(limits, values);
        for (size_t i = 0; i < n; i++) {
                struct why why = {};
                int fd = -1;

                if (apply_one(dir_fd, &values[i], true, &fd, &why)) {
                        used += (size_t)snprintf(missing + used, size - used, "%s%s",
                                                 used ? "; " : "", why.text);
                        used = min_u64(used, size - 1);
                        *(uint64_t *)((char *)limits + values[i].field) = LIMIT_KEEP;
                }
                fd_close(fd);
        }
}

void limits_keep(struct limits *limits, const struct limits *known) {
        static const size_t fields[] = {
                offsetof(struct limits, cpu_quota_usec),
                offsetof(struct limits, cpu_weight),
                offsetof(struct limits, memory_max_bytes),
                offsetof(struct limits, memory_high_bytes),
                offsetof(struct limits, memory_low_bytes),
                offsetof(struct limits, swap_max_bytes),
                offsetof(struct limits, oom_group),
                offsetof(struct limits, pids_max),
        };

        for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
                if (*(const uint64_t *)((const char *)known + fields[i]) == LIMIT_KEEP)
                        *(uint64_t *)((char *)limits + fields[i]) = LIMIT_KEEP;
}

int limits_verify(int dir_fd, const struct limits *limits, struct why *why) {
        return limits_run(dir_fd, limits, false, why);
}

void limits_each(const struct limits *limits,
                 void (*fn)(void *userdata, const char *file, const char *text), void *userdata) {
        struct limit_value values[FILES_MAX];
        size_t n;

        n = limits_values(limits, values);
        for (size_t i = 0; i < n; i++)
                fn(userdata, values[i].file, values[i].text);
}

static int format(char text[VALUE_MAX], uint64_t value) {
        if (value == LIMIT_NONE)
                return snprintf(text, VALUE_MAX, "max");
        return snprintf(text, VALUE_MAX, "%llu", (unsigned long long)value);
}

int limits_write_fd(int fd, uint64_t value) {
        char text[VALUE_MAX];
        int n = format(text, value);

        return pwrite(fd, text, (size_t)n, 0) < 0 ? errno : 0;
}

bool limits_holds_fd(int fd, uint64_t value) {
        char text[VALUE_MAX], found[VALUE_MAX];
        int n = format(text, value);

        return pread(fd, found, sizeof(found), 0) == n + 1 && memcmp(found, text, (size_t)n) == 0 &&
               found[n] == '\n';
}

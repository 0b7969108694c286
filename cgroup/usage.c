/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <cgroup/usage.h>

#define TEXT_SIZE 8192 /* some 60 devices of io.stat */
#define PATH_SIZE 512

static const char *const names[_USAGE_FILE_N] = {
        [USAGE_FILE_CPU] = "cpu.stat",
        [USAGE_FILE_MEMORY] = "memory.current",
        [USAGE_FILE_MEMORY_PEAK] = "memory.peak",
        [USAGE_FILE_MEMORY_EVENTS] = "memory.events",
        [USAGE_FILE_PROCESSES] = "pids.current",
        [USAGE_FILE_IO] = "io.stat",
        [USAGE_FILE_PSI_CPU] = "cpu.pressure",
        [USAGE_FILE_PSI_MEMORY] = "memory.pressure",
        [USAGE_FILE_PSI_IO] = "io.pressure",
};

struct reading {
        int dir_fd;
        char path[PATH_SIZE]; /* of the group, with a slash */
        size_t length;
        struct usage_files *files; /* NULL: none is kept */
        char text[TEXT_SIZE];
};

void usage_files_init(struct usage_files *files) {
        for (size_t i = 0; i < _USAGE_FILE_N; i++)
                files->fd[i] = -1;
}

void usage_files_deinit(struct usage_files *files) {
        fd_close_many(files->fd, _USAGE_FILE_N);
}

/* A descriptor, or -1 with errno. */
static int open_file(struct reading *reading, enum usage_file file) {
        int fd = reading->files ? reading->files->fd[file] : -1;

        if (fd >= 0)
                return fd;
        strcpy(reading->path + reading->length, names[file]);
        fd = openat(reading->dir_fd, reading->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (reading->files)
                reading->files->fd[file] = fd;
        return fd;
}

/*
 * A file of a group comes whole in the first read that is large enough, so the read that would say
 * "no more" is left out; and anew in each that begins at 0. 0 or an errno; EFBIG where it is
 * longer.
 */
static int read_file(struct reading *reading, enum usage_file file) {
        int fd = open_file(reading, file), r;
        ssize_t n;

        if (fd < 0)
                return errno;
        do {
                n = pread(fd, reading->text, sizeof(reading->text), 0);
        } while (n < 0 && errno == EINTR);
        r = n < 0 ? errno : n == sizeof(reading->text) ? EFBIG : 0;
        if (!reading->files)
                fd_close(fd);
        reading->text[r ? 0 : n] = '\0';
        return r;
}

/* The digits at @text; false: there are none. */
static bool number(const char *text, uint64_t *valuep) {
        uint64_t value = 0;

        if (*text < '0' || *text > '9')
                return false;
        for (; *text >= '0' && *text <= '9'; text++)
                value = value * 10 + (uint64_t)(*text - '0');
        *valuep = value;
        return true;
}

static bool read_number(struct reading *reading, enum usage_file file, uint64_t *valuep) {
        return read_file(reading, file) == 0 && number(reading->text, valuep);
}

static bool keyed(const struct reading *reading, const char *key, uint64_t *valuep) {
        return file_keyed_u64(reading->text, key, valuep);
}

static void read_cpu(struct reading *reading, struct usage *usage) {
        if (read_file(reading, USAGE_FILE_CPU))
                return;
        if (keyed(reading, "usage_usec", &usage->cpu_usec))
                usage->known |= USAGE_CPU;
        if (keyed(reading, "nr_periods", &usage->periods) &&
            keyed(reading, "nr_throttled", &usage->throttled_periods) &&
            keyed(reading, "throttled_usec", &usage->throttled_usec))
                usage->known |= USAGE_PERIODS;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234", and the same with "full". */
static bool psi_total(const char *text, const char *line, uint64_t *usecp) {
        const char *found = strstr(text, line), *end;

        if (!found)
                return false;
        end = strchrnul(found, '\n');
        found = strstr(found, "total=");
        return found && found < end && number(found + strlen("total="), usecp);
}

static void read_psi(struct reading *reading, uint32_t wanted, struct usage *usage) {
        for (unsigned i = 0; i < _USAGE_PSI_N; i++)
                if ((wanted & USAGE_PSI_CPU << i) &&
                    read_file(reading, USAGE_FILE_PSI_CPU + i) == 0 &&
                    psi_total(reading->text, "some ", &usage->waiting_usec[i]) &&
                    psi_total(reading->text, "full ", &usage->stalled_usec[i]))
                        usage->known |= USAGE_PSI_CPU << i;
}

static struct usage_disk *add_disk(struct usage_disks *disks) {
        if (disks->n == disks->room) {
                size_t room = disks->room ? disks->room * 2 : 64;
                struct usage_disk *more = reallocarray(disks->list, room, sizeof(*more));

                if (!more)
                        return NULL;
                disks->list = more;
                disks->room = room;
        }
        return &disks->list[disks->n++];
}

/* " rbytes=90430464 wbytes=299008000 rios=8950 wios=1252 dbytes=50331648 dios=3021" */
static void parse_disk(const char *text, const char *end, struct usage_disk *disk) {
        const struct {
                const char *key;
                uint64_t *value;
        } fields[] = {
                {" rbytes=", &disk->read_bytes},
                {" wbytes=", &disk->written_bytes},
                {" rios=", &disk->reads},
                {" wios=", &disk->writes},
                {" dbytes=", &disk->discarded_bytes},
                {" dios=", &disk->discards},
        };

        for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
                const char *found = strstr(text, fields[i].key);

                if (found && found < end)
                        (void)number(found + strlen(fields[i].key), fields[i].value);
        }
}

/*
 * The device whose numbers the line has: what stands before the first of them. (A device without
 * numbers may stand before it in the same line.)
 */
static bool parse_device(const char *line, const char *end, dev_t *devp) {
        const char *numbers = strstr(line, " rbytes="), *start = numbers;
        uint64_t device_major, device_minor;

        if (!numbers || numbers > end)
                return false;
        while (start > line && start[-1] != ' ')
                start--;
        if (!number(start, &device_major))
                return false;
        start += strspn(start, "0123456789");
        if (*start != ':' || !number(start + 1, &device_minor))
                return false;
        *devp = makedev((unsigned)device_major, (unsigned)device_minor);
        return true;
}

/* A group that moved nothing has an empty file: no disks, and that is known. */
static void read_io(struct reading *reading, struct usage *usage, struct usage_disks *disks) {
        const char *line, *end;

        usage->first_disk = disks->n;
        if (read_file(reading, USAGE_FILE_IO))
                return;
        for (line = reading->text; *line; line = *end ? end + 1 : end) {
                struct usage_disk *disk;
                dev_t dev;

                end = strchrnul(line, '\n');
                if (!parse_device(line, end, &dev))
                        continue;
                disk = add_disk(disks);
                if (!disk)
                        return;
                *disk = (struct usage_disk){.dev = dev};
                parse_disk(line, end, disk);
                usage->n_disks++;
        }
        usage->known |= USAGE_IO;
}

bool usage_read(int dir_fd, const char *path, uint32_t wanted, struct usage_files *files,
                struct usage *usage, struct usage_disks *disks) {
        struct reading reading;
        int length;

        *usage = (struct usage){};
        reading.dir_fd = dir_fd;
        reading.files = files;
        length = snprintf(reading.path, sizeof(reading.path), "%s/", path);
        if (length < 0 || (size_t)length >= sizeof(reading.path) - 32)
                return false;
        reading.length = (size_t)length;
        read_cpu(&reading, usage);
        /* Every group has this file: without it there is none. */
        if (!(usage->known & USAGE_CPU))
                return false;
        if ((wanted & USAGE_MEMORY) &&
            read_number(&reading, USAGE_FILE_MEMORY, &usage->memory_bytes))
                usage->known |= USAGE_MEMORY;
        if ((wanted & USAGE_MEMORY_PEAK) &&
            read_number(&reading, USAGE_FILE_MEMORY_PEAK, &usage->memory_peak_bytes))
                usage->known |= USAGE_MEMORY_PEAK;
        if ((wanted & USAGE_PROCESSES) &&
            read_number(&reading, USAGE_FILE_PROCESSES, &usage->processes))
                usage->known |= USAGE_PROCESSES;
        if ((wanted & USAGE_OOM) && read_file(&reading, USAGE_FILE_MEMORY_EVENTS) == 0 &&
            keyed(&reading, "oom_kill", &usage->oom_kills))
                usage->known |= USAGE_OOM;
        if (wanted & USAGE_IO)
                read_io(&reading, usage, disks);
        read_psi(&reading, wanted, usage);
        return true;
}

void usage_disks_deinit(struct usage_disks *disks) {
        free(disks->list);
        *disks = (struct usage_disks){};
}

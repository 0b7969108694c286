/* SPDX-License-Identifier: MIT */
/*
 * fallen NAME[=ARGUMENT]...: a hypervisor that has fallen: tries what it is shut off from, and
 * prints "NAME: ERRNO" for each, or "NAME: done". `rest` at the end stays until it is killed.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int try_open(const char *path, int flags) {
        int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);

        if (fd >= 0)
                close(fd);
        return fd;
}

static int read_file(const char *path) {
        return try_open(path, O_RDONLY);
}

static int write_file(const char *path) {
        return try_open(path, O_WRONLY);
}

static int signal_process(const char *pid) {
        return kill(atoi(pid), SIGCONT);
}

static int trace_process(const char *pid) {
        return (int)ptrace(PTRACE_SEIZE, atoi(pid), NULL, NULL);
}

static int mount_something(const char *nothing) {
        return mount("tmpfs", "/mnt", "tmpfs", 0, NULL);
}

static int unshare_users(const char *nothing) {
        return unshare(CLONE_NEWUSER);
}

static int unshare_mounts(const char *nothing) {
        return unshare(CLONE_NEWNS);
}

static int change_root(const char *nothing) {
        return chroot("/tmp");
}

static int open_socket(int family, int type, int protocol) {
        int fd = socket(family, type | SOCK_CLOEXEC, protocol);

        if (fd >= 0)
                close(fd);
        return fd;
}

static int raw_socket(const char *nothing) {
        return open_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int packet_socket(const char *nothing) {
        return open_socket(AF_PACKET, SOCK_RAW, 0);
}

static int connect_host(const char *port) {
        struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_port = htons((uint16_t)atoi(port)),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

        if (fd < 0)
                return fd;
        r = connect(fd, (struct sockaddr *)&address, sizeof(address));
        close(fd);
        return r;
}

static int make_device(const char *nothing) {
        return mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1));
}

static int become_root(const char *nothing) {
        return setuid(0);
}

static int set_hostname(const char *nothing) {
        return sethostname("fallen", 6);
}

static int load_bpf(const char *nothing) {
        union bpf_attr attributes;

        memset(&attributes, 0, sizeof(attributes));
        attributes.map_type = BPF_MAP_TYPE_ARRAY;
        attributes.key_size = attributes.value_size = 4;
        attributes.max_entries = 1;
        return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes));
}

static int watch_events(const char *nothing) {
        struct perf_event_attr attributes = {.type = PERF_TYPE_SOFTWARE,
                                             .size = sizeof(attributes)};

        return (int)syscall(SYS_perf_event_open, &attributes, -1, 0, -1, 0);
}

static int use_keys(const char *nothing) {
        return (int)syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1);
}

static int write_cgroup(const char *nothing) {
        DIR *dir = opendir("/sys/fs/cgroup");
        const struct dirent *entry;
        int n = 0;

        if (!dir)
                return -1;
        while ((entry = readdir(dir)))
                n += entry->d_name[0] != '.';
        closedir(dir);
        errno = ENOENT;
        return n ? 0 : -1;
}

/* More processes than its own. */
static int see_processes(const char *nothing) {
        DIR *dir = opendir("/proc");
        const struct dirent *entry;
        int n = 0;

        if (!dir)
                return -1;
        while ((entry = readdir(dir)))
                n += entry->d_name[0] >= '0' && entry->d_name[0] <= '9';
        closedir(dir);
        errno = ESRCH;
        return n > 1 ? 0 : -1;
}

/* Descriptors that nobody named. */
static int use_inherited(const char *first) {
        errno = EBADF;
        for (int fd = atoi(first); fd < 1024; fd++)
                if (fcntl(fd, F_GETFD) >= 0)
                        return 0;
        return -1;
}

static int has_capability(const char *nothing) {
        char line[256];
        FILE *file = fopen("/proc/self/status", "re");
        int any = 0, lines = 0;

        while (file && fgets(line, sizeof(line), file))
                if (strncmp(line, "Cap", 3) == 0) {
                        lines++;
                        any = any || strtoull(line + 7, NULL, 16);
                }
        if (file)
                fclose(file);
        errno = EPERM;
        return lines == 5 && !any ? -1 : 0;
}

static int dump_core(const char *nothing) {
        struct rlimit limit;

        getrlimit(RLIMIT_CORE, &limit);
        errno = EPERM;
        return limit.rlim_max ? 0 : -1;
}

static const struct {
        const char *name;
        int (*attempt)(const char *argument);
} attempts[] = {
        {"read", read_file},
        {"write", write_file},
        {"signal", signal_process},
        {"trace", trace_process},
        {"mount", mount_something},
        {"unshare_users", unshare_users},
        {"unshare_mounts", unshare_mounts},
        {"chroot", change_root},
        {"raw_socket", raw_socket},
        {"packet_socket", packet_socket},
        {"connect", connect_host},
        {"mknod", make_device},
        {"setuid", become_root},
        {"hostname", set_hostname},
        {"bpf", load_bpf},
        {"perf", watch_events},
        {"keys", use_keys},
        {"cgroup", write_cgroup},
        {"processes", see_processes},
        {"inherited", use_inherited},
        {"capability", has_capability},
        {"core", dump_core},
};

static void attempt(const char *word) {
        size_t length = strcspn(word, "=");
        const char *argument = word[length] ? word + length + 1 : "";

        for (size_t i = 0; i < sizeof(attempts) / sizeof(*attempts); i++) {
                if (strlen(attempts[i].name) != length || strncmp(attempts[i].name, word, length))
                        continue;
                errno = 0;
                if (attempts[i].attempt(argument) < 0)
                        printf("%s: %s\n", word, strerrorname_np(errno));
                else
                        printf("%s: done\n", word);
                return;
        }
        printf("%s: unknown\n", word);
}

int main(int argc, char **argv) {
        for (int i = 1; i < argc; i++) {
                if (strcmp(argv[i], "rest") == 0) {
                        printf("ready\n");
                        fflush(stdout);
                        pause();
                }
                attempt(argv[i]);
        }
        fflush(stdout);
        return 0;
}

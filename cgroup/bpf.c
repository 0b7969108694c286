/* SPDX-License-Identifier: MIT */
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <base/why.h>
#include <cgroup/bpf.h>

#define LOG_BYTES 65536
#define LOG_TOLD 300 /* of its end, where the reason stands */

static long call(int command, union bpf_attr *attr) {
        return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static uint64_t address(const void *pointer) {
        return (uint64_t)(uintptr_t)pointer;
}

/* The last words of the verifier in one line; its closing statistics are not the reason. */
static const char *last_words(char *log) {
        char *statistics = strstr(log, "\nprocessed ");
        size_t length;

        if (statistics)
                *statistics = '\0';
        length = strlen(log);
        while (length > 0 && log[length - 1] == '\n')
                log[--length] = '\0';
        for (char *at = log; (at = strchr(at, '\n'));)
                *at = ';';
        return length > LOG_TOLD ? log + length - LOG_TOLD : log;
}

/* The log costs the verifier a multiple of its time: only a program that was refused is loaded a
 * second time with one. */
static int tell_refusal(union bpf_attr *attr, struct why *why) {
        _cleanup_(freep) char *log = calloc(1, LOG_BYTES);
        int error;

        if (!log)
                return fault(-ENOMEM);
        attr->log_level = 1;
        attr->log_buf = address(log);
        attr->log_size = LOG_BYTES;
        error = (int)call(BPF_PROG_LOAD, attr);
        if (error >= 0) {
                close(error);
                return why_set(why, CGROUP_E_HOST,
                               "the kernel refused a device program, and then "
                               "took it");
        }
        error = errno;
        if (error == ENOSYS || (error == EINVAL && !*log))
                return why_errno(why, CGROUP_E_UNSUPPORTED, error,
                                 "this kernel has no device programs for groups "
                                 "(CONFIG_CGROUP_BPF)");
        if (!*log)
                return why_errno(why, CGROUP_E_HOST, error, "the kernel refused a device program");
        return why_errno(why, CGROUP_E_HOST, error, "the kernel refused a device program (%s)",
                         last_words(log));
}

int bpf_load_device(const struct bpf_insn *insns, size_t n, int *prog_fdp, struct why *why) {
        union bpf_attr attr;
        int fd;

        /* The kernel wants what lies between and behind the members to be zero. */
        memset(&attr, 0, sizeof(attr));
        attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
        attr.expected_attach_type = BPF_CGROUP_DEVICE;
        attr.insns = address(insns);
        attr.insn_cnt = (uint32_t)n;
        attr.license = address("Dual MIT/GPL");
        strcpy(attr.prog_name, "provium_devices");
        fd = (int)call(BPF_PROG_LOAD, &attr);
        if (fd < 0)
                return tell_refusal(&attr, why);
        *prog_fdp = fd;
        return 0;
}

int bpf_program_id(int prog_fd, uint32_t *idp, struct why *why) {
        struct bpf_prog_info info;
        union bpf_attr attr;

        memset(&info, 0, sizeof(info));
        memset(&attr, 0, sizeof(attr));
        attr.info.bpf_fd = (uint32_t)prog_fd;
        attr.info.info = address(&info);
        attr.info.info_len = sizeof(info);
        if (call(BPF_OBJ_GET_INFO_BY_FD, &attr) < 0)
                return why_errno(why, CGROUP_E_HOST, errno, "cannot tell a device program's id");
        *idp = info.id;
        return 0;
}

int bpf_attach_device(int dir_fd, int prog_fd, struct why *why) {
        uint32_t ids[BPF_PROGRAMS_MAX] = {}, id = 0;
        union bpf_attr attr;
        size_t n = 0;
        int error;

        memset(&attr, 0, sizeof(attr));
        attr.target_fd = (uint32_t)dir_fd;
        attr.attach_bpf_fd = (uint32_t)prog_fd;
        attr.attach_type = BPF_CGROUP_DEVICE;
        attr.attach_flags = BPF_F_ALLOW_MULTI;
        if (call(BPF_PROG_ATTACH, &attr) == 0)
                return 0;
        error = errno;
        /* EINVAL has many reasons; one of them is none. */
        if (error == EINVAL && bpf_program_id(prog_fd, &id, NULL) == 0 &&
            bpf_attached_devices(dir_fd, ids, &n, NULL) == 0)
                for (size_t i = 0; i < n; i++)
                        if (ids[i] == id)
                                return why_set(why, CGROUP_E_EXISTS,
                                               "the device program is attached already");
        if (error == ENOENT)
                return why_errno(why, CGROUP_E_GONE, error, "the group is gone");
        if (error == EPERM)
                return why_errno(why, CGROUP_E_HOST, error,
                                 "cannot attach a device program (is there one on a group above "
                                 "that allows no other below it?)");
        return why_errno(why, CGROUP_E_HOST, error, "cannot attach a device program");
}

int bpf_attached_devices(int dir_fd, uint32_t ids[BPF_PROGRAMS_MAX], size_t *np, struct why *why) {
        union bpf_attr attr;

        memset(&attr, 0, sizeof(attr));
        attr.query.target_fd = (uint32_t)dir_fd;
        attr.query.attach_type = BPF_CGROUP_DEVICE;
        attr.query.prog_ids = address(ids);
        attr.query.prog_cnt = BPF_PROGRAMS_MAX;
        if (call(BPF_PROG_QUERY, &attr) < 0)
                return why_errno(why, errno == ENOENT ? CGROUP_E_GONE : CGROUP_E_HOST, errno,
                                 "cannot tell a group's device programs");
        *np = min_u64(attr.query.prog_cnt, BPF_PROGRAMS_MAX);
        return 0;
}

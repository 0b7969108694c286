/* SPDX-License-Identifier: MIT */
/* What the launcher denies itself, and therefore everything that it starts; and the broker. */
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <base/why.h>
#include <broker/rights.h>
#include <launcher/seccomp_list.h>
#include <launcher/seccomp_names.h>

#include "unit.h"

static int read_text(void *userdata, const char *name, char **textp, size_t *lengthp,
                     char path[SECCOMP_PATH_MAX], struct why *why) {
        *textp = strdup(broker_syscalls);
        *lengthp = strlen(*textp);
        snprintf(path, SECCOMP_PATH_MAX, "broker/syscalls.list");
        return 0;
}

static void list_denies_nothing_that_a_launch_or_a_hypervisor_needs(void) {
        static const char *const needed[] = {
                "clone3",         "clone",        "execve",     "mount",
                "mount_setattr",  "unshare",      "bpf",        "quotactl_fd",
                "quotactl",       "fsetxattr",    "mknodat",    "setresuid",
                "capset",         "seccomp",      "ioctl",      "mmap",
                "io_uring_setup", "keyctl",       "ptrace",     "userfaultfd",
                "setns",          "chroot",       "pivot_root", "socket",
                "sched_setattr",  "memfd_create",
        };
        static const char *const denied[] = {"finit_module", "kexec_load",    "reboot",
                                             "swapon",       "clock_settime", "open_by_handle_at",
                                             "iopl"};
        const uint64_t arguments[SECCOMP_ARGUMENTS] = {};
        struct seccomp_list list = SECCOMP_LIST_NULL;
        struct why why = {};
        int number;

        need_int(seccomp_list_parse(&list, "broker", read_text, NULL, &why), 0);
        for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
                need(seccomp_names_call(needed[i], &number));
                expect_that(seccomp_list_judge(&list, number, arguments).action == SECCOMP_ALLOW,
                            "%s is allowed", needed[i]);
        }
        for (size_t i = 0; i < ARRAY_SIZE(denied); i++) {
                need(seccomp_names_call(denied[i], &number));
                expect_that(seccomp_list_judge(&list, number, arguments).action == SECCOMP_ERRNO,
                            "%s is denied", denied[i]);
        }
        seccomp_list_deinit(&list);
}

static uint64_t effective(void) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

        if (syscall(SYS_capget, &header, data) < 0)
                _exit(9);
        return data[0].effective | (uint64_t)data[1].effective << 32;
}

/* Whether a process of its own has what it should after @limits calls, each as after an upgrade. */
static int try_limits(enum rights_of who, int limits) {
        const uint64_t allowed[_RIGHTS_OF_N] = {
                [RIGHTS_OF_LAUNCHER] = UINT64_MAX,
                [RIGHTS_OF_BROKER] = UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_NET_ADMIN,
        };

        int status = -1;
        pid_t pid = fork();

        if (pid == 0) {
                struct why why = {};

                if (syscall(SYS_sysfs, 3) < 0)
                        _exit(10); /* the kernel has none: it would show nothing */
                for (int i = 0; i < limits; i++)
                        if (rights_limit(who, i > 0, &why))
                                _exit(11);
                if (effective() & ~allowed[who])
                        _exit(15);
                if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
                        _exit(12);
                if (syscall(SYS_sysfs, 3) >= 0 || errno != ENOSYS)
                        _exit(13);
                if (syscall(SYS_swapoff, "") >= 0 || errno != EPERM)
                        _exit(14);
                _exit(0);
        }
        need(pid > 0);
        need_int(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void limits_are_in_force_and_can_be_set_again_by_whoever_resumes(void) {
        for (enum rights_of who = 0; who < _RIGHTS_OF_N; who++) {
                expect_int(try_limits(who, 1), 0);
                expect_int(try_limits(who, 3), 0);
        }
}

UNIT_MAIN(TEST(list_denies_nothing_that_a_launch_or_a_hypervisor_needs),
          TEST(limits_are_in_force_and_can_be_set_again_by_whoever_resumes))

/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/socket.h>

#include <launcher/seccomp_names.h>

#define ERRNO_MAX 4095           /* the kernel's MAX_ERRNO: what a filter can answer */
#define SOCK_TYPE_MASK 0xf       /* the rest of the argument are SOCK_NONBLOCK and SOCK_CLOEXEC */
#define CLONE_NEWTIME_VALUE 0x80 /* <linux/sched.h> and <sched.h> exclude each other */

#define INT(name)                                                                                  \
        { #name, (uint32_t)(name), true }
#define LONG(name)                                                                                 \
        { #name, (uint64_t)(name), false }

static const struct {
        const char *name;
        uint64_t value;
        bool is_int;
} constants[] = {
        /* clang-format off */
        /* socket, socketpair */
        INT(AF_UNSPEC), INT(AF_UNIX), INT(AF_LOCAL), INT(AF_INET), INT(AF_AX25), INT(AF_IPX),
        INT(AF_INET6), INT(AF_NETLINK), INT(AF_PACKET), INT(AF_RDS), INT(AF_LLC), INT(AF_CAN),
        INT(AF_TIPC), INT(AF_BLUETOOTH), INT(AF_ALG), INT(AF_VSOCK), INT(AF_KCM), INT(AF_QIPCRTR),
        INT(AF_SMC), INT(AF_XDP), INT(SOCK_STREAM), INT(SOCK_DGRAM), INT(SOCK_RAW),
        INT(SOCK_SEQPACKET), INT(SOCK_PACKET), INT(SOCK_TYPE_MASK),
        /* prctl */
        INT(PR_SET_PDEATHSIG), INT(PR_GET_DUMPABLE), INT(PR_SET_DUMPABLE), INT(PR_SET_NAME),
        INT(PR_GET_NAME), INT(PR_GET_SECCOMP), INT(PR_SET_SECCOMP), INT(PR_CAPBSET_READ),
        INT(PR_CAPBSET_DROP), INT(PR_SET_SECUREBITS), INT(PR_SET_TIMERSLACK), INT(PR_SET_MM),
        INT(PR_SET_CHILD_SUBREAPER), INT(PR_SET_NO_NEW_PRIVS), INT(PR_GET_NO_NEW_PRIVS),
        INT(PR_SET_THP_DISABLE), INT(PR_CAP_AMBIENT), INT(PR_SET_PTRACER), INT(PR_SET_VMA),
        INT(PR_SCHED_CORE), INT(PR_SET_SPECULATION_CTRL),
        /* ioctl */
        INT(TCGETS), INT(TCSETS), INT(TCSETSW), INT(TCSETSF), INT(TIOCGWINSZ), INT(TIOCSTI),
        INT(TIOCLINUX), INT(TIOCSCTTY), INT(TIOCCONS), INT(TIOCSETD), INT(FIONREAD), INT(FIONBIO),
        INT(FIOCLEX),
        /* fcntl, madvise, personality */
        INT(F_DUPFD), INT(F_DUPFD_CLOEXEC), INT(F_GETFD), INT(F_SETFD), INT(F_GETFL), INT(F_SETFL),
        INT(F_SETLK), INT(F_SETLKW), INT(F_OFD_SETLK), INT(F_OFD_GETLK), INT(MADV_DONTNEED),
        INT(MADV_MERGEABLE), INT(MADV_HUGEPAGE), INT(MADV_HWPOISON), INT(ADDR_NO_RANDOMIZE),
        INT(READ_IMPLIES_EXEC),
        /* clone, unshare; mmap, mprotect. (setns takes CLONE_* as an int: there, say intN.) */
        LONG(CLONE_VM), LONG(CLONE_FS), LONG(CLONE_FILES), LONG(CLONE_SIGHAND), LONG(CLONE_VFORK),
        LONG(CLONE_THREAD), LONG(CLONE_PARENT), LONG(CLONE_PTRACE), LONG(CLONE_NEWNS),
        LONG(CLONE_NEWCGROUP), LONG(CLONE_NEWUTS), LONG(CLONE_NEWIPC), LONG(CLONE_NEWUSER),
        LONG(CLONE_NEWPID), LONG(CLONE_NEWNET), LONG(CLONE_IO),
        {"CLONE_NEWTIME", CLONE_NEWTIME_VALUE, false}, LONG(PROT_READ), LONG(PROT_WRITE),
        LONG(PROT_EXEC), LONG(MAP_SHARED), LONG(MAP_PRIVATE), LONG(MAP_ANONYMOUS),
        LONG(MAP_HUGETLB),
        /* clang-format on */
};

bool seccomp_names_call(const char *name, int *numberp) {
        int number = seccomp_syscall_resolve_name(name);

        /* Below zero are calls of other architectures, and __NR_SCMP_ERROR. */
        if (number < 0)
                return false;
        *numberp = number;
        return true;
}

bool seccomp_names_show_call(int number, char name[SECCOMP_NAME_MAX]) {
        _cleanup_(freep) char *found = NULL;

        found = number < 0 ? NULL : seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
        if (!found || strlen(found) >= SECCOMP_NAME_MAX)
                return false;
        strcpy(name, found);
        return true;
}

bool seccomp_names_errno(const char *name, int *errnump) {
        for (int errnum = 1; errnum <= ERRNO_MAX; errnum++) {
                const char *known = strerrorname_np(errnum);

                if (known && strcmp(known, name) == 0) {
                        *errnump = errnum;
                        return true;
                }
        }
        return false;
}

bool seccomp_names_constant(const char *name, uint64_t *valuep, bool *intp) {
        for (size_t i = 0; i < ARRAY_SIZE(constants); i++)
                if (strcmp(constants[i].name, name) == 0) {
                        *valuep = constants[i].value;
                        *intp = constants[i].is_int;
                        return true;
                }
        return false;
}

const char *seccomp_names_show_constant(const char *prefix, uint32_t value) {
        for (size_t i = 0; i < ARRAY_SIZE(constants); i++)
                if (constants[i].is_int && constants[i].value == value &&
                    strncmp(constants[i].name, prefix, strlen(prefix)) == 0)
                        return constants[i].name;
        return NULL;
}

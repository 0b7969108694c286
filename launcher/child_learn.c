/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>

#include <launcher/bare.h>
#include <launcher/child_learn.h>

#define X32_BIT 0x40000000

/* The rules by their places, for the jumps. */
enum {
        RULE_ARCH = 1,
        RULE_X32 = 3,
        RULE_EXIT,
        RULE_EXIT_GROUP,
        RULE_SIGRETURN,
        RULE_RESTART,
        RULE_CLONE3,
        RULE_SENDMSG,
        RULE_LOW = 11,
        RULE_HIGH = 13,
        RULE_ASK,
        RULE_ALLOW,
        RULE_ENOSYS,
        RULE_KILL,
};

#define TEST(how, value, at, then, otherwise)                                                      \
        BPF_JUMP(BPF_JMP | (how) | BPF_K, (uint32_t)(value), (then) - (at)-1, (otherwise) - (at)-1)
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offset))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (uint32_t)(what))
#define POINTER offsetof(struct seccomp_data, args[1])

void child_learn_init(struct child_learn *learn, int socket_fd) {
        static const char byte = 'l';
        uint64_t address = (uintptr_t)&learn->message;
        const struct sock_filter rules[CHILD_LEARN_RULES] = {
                LOAD(offsetof(struct seccomp_data, arch)),
                TEST(BPF_JEQ, AUDIT_ARCH_X86_64, RULE_ARCH, RULE_ARCH + 1, RULE_KILL),
                LOAD(offsetof(struct seccomp_data, nr)),
                TEST(BPF_JGE, X32_BIT, RULE_X32, RULE_KILL, RULE_EXIT),
                TEST(BPF_JEQ, SYS_exit, RULE_EXIT, RULE_ALLOW, RULE_EXIT_GROUP),
                TEST(BPF_JEQ, SYS_exit_group, RULE_EXIT_GROUP, RULE_ALLOW, RULE_SIGRETURN),
                TEST(BPF_JEQ, SYS_rt_sigreturn, RULE_SIGRETURN, RULE_ALLOW, RULE_RESTART),
                TEST(BPF_JEQ, SYS_restart_syscall, RULE_RESTART, RULE_ALLOW, RULE_CLONE3),
                TEST(BPF_JEQ, SYS_clone3, RULE_CLONE3, RULE_ENOSYS, RULE_SENDMSG),
                TEST(BPF_JEQ, SYS_sendmsg, RULE_SENDMSG, RULE_SENDMSG + 1, RULE_ASK),
                /* That which carries the listener cannot wait for it. */
                LOAD(POINTER),
                TEST(BPF_JEQ, address, RULE_LOW, RULE_LOW + 1, RULE_ASK),
                LOAD(POINTER + 4),
                TEST(BPF_JEQ, address >> 32, RULE_HIGH, RULE_ALLOW, RULE_ASK),
                RETURN(SECCOMP_RET_USER_NOTIF),
                RETURN(SECCOMP_RET_ALLOW),
                RETURN(SECCOMP_RET_ERRNO | ENOSYS),
                RETURN(SECCOMP_RET_KILL_PROCESS),
        };

        *learn = (struct child_learn){
                .socket_fd = socket_fd,
                .program = {.len = CHILD_LEARN_RULES, .filter = learn->rules},
                .part = {.iov_base = (void *)(uintptr_t)&byte, .iov_len = 1},
                .control.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
                                   .cmsg_level = SOL_SOCKET,
                                   .cmsg_type = SCM_RIGHTS},
        };
        memcpy(learn->rules, rules, sizeof(rules));
        learn->message = (struct msghdr){
                .msg_iov = &learn->part,
                .msg_iovlen = 1,
                .msg_control = &learn->control,
                .msg_controllen = CMSG_SPACE(sizeof(int)),
        };
}

_bare_ long child_start_learning(struct child_learn *learn, long socket_fd) {
        long listener_fd, r;

        /* Once its call is looked at, a signal other than a deadly one waits until it is answered:
         * else calls that cannot be interrupted would be. */
        listener_fd =
                call(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                     SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
                     &learn->program);
        if (listener_fd < 0)
                return listener_fd;
        *(int *)CMSG_DATA(&learn->control.header) = (int)listener_fd;
        /* It is the client's socket: it must neither hold us up nor end us. */
        r = call(SYS_sendmsg, socket_fd, &learn->message, MSG_DONTWAIT | MSG_NOSIGNAL);
        return r < 0 ? r : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * capabilities(7), and what of it the code relies on:
 *
 *   - a capability that is not in the bounding set is not gained by executing anything, not even
 *     by root; what is taken from that set needs CAP_SETPCAP, so it goes before the others;
 *   - with no_new_privs nothing that is executed has more than who executes it had.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <base/file.h>
#include <base/why.h>
#include <broker/broker.h>
#include <broker/finding.h>
#include <broker/rights.h>
#include <launcher/launcher.h>
#include <launcher/seccomp_program.h>

#define WORD_BITS 32

struct right {
        int capability;
        const char *name, *reason;
};

static const struct right of_launcher[] = {
        {CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "VMs have namespaces, mounts and quotas of their own"},
        {CAP_NET_ADMIN, "CAP_NET_ADMIN", "a VM without walls keeps it for its own taps"},
        {CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE",
         "its own exemption from the OOM killer, and that VMs cannot take it back"},
        {CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE",
         "oom_score_adj of VMs belongs to their users; images under a quota"},
        {CAP_SETUID, "CAP_SETUID", "VMs run as their users"},
        {CAP_SETGID, "CAP_SETGID", "VMs run with their users' groups"},
        {CAP_SETPCAP, "CAP_SETPCAP", "VMs lose every capability for ever"},
        {CAP_KILL, "CAP_KILL", "signals to VMs of other users"},
        {CAP_CHOWN, "CAP_CHOWN", "sockets for QMP and the nodes in a VM's /dev have owners"},
        {CAP_FOWNER, "CAP_FOWNER", "a VM's images are put under its quota"},
        {CAP_MKNOD, "CAP_MKNOD", "the nodes in a VM's /dev"},
        {CAP_SYSLOG, "CAP_SYSLOG", "the kernel's log names the call of a violation"},
};

static const struct right of_broker[] = {
        {CAP_SYS_ADMIN, "CAP_SYS_ADMIN",
         "records are trusted attributes; the device program of each VM's group"},
        {CAP_NET_ADMIN, "CAP_NET_ADMIN", "taps, bridges, traffic control, NAT, device programs"},
};

static const struct {
        const struct right *kept;
        size_t n;
} tables[_RIGHTS_OF_N] = {
        [RIGHTS_OF_LAUNCHER] = {of_launcher, ARRAY_SIZE(of_launcher)},
        [RIGHTS_OF_BROKER] = {of_broker, ARRAY_SIZE(of_broker)},
};

static uint64_t all_kept(enum rights_of who) {
        uint64_t set = 0;

        for (size_t i = 0; i < tables[who].n; i++)
                set |= UINT64_C(1) << tables[who].kept[i].capability;
        return set;
}

static int read_permitted(uint64_t *setp) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

        if (syscall(SYS_capget, &header, data) < 0)
                return errno;
        *setp = data[0].permitted | (uint64_t)data[1].permitted << WORD_BITS;
        return 0;
}

/* Everything but @set goes, out of every set. Returns 0 or a positive errno. */
static int keep_only(uint64_t set) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
        uint64_t permitted = 0;
        int r;

        r = read_permitted(&permitted);
        if (r)
                return r;
        if (permitted & UINT64_C(1) << CAP_SETPCAP)
                for (int i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
                        if (!(set & UINT64_C(1) << i) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
                                return errno;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return errno;
        permitted &= set;
        data[0].permitted = data[0].effective = (uint32_t)permitted;
        data[1].permitted = data[1].effective = (uint32_t)(permitted >> WORD_BITS);
        return syscall(SYS_capset, &header, data) < 0 ? errno : 0;
}

static int read_list(void *userdata, const char *name, char **textp, size_t *lengthp,
                     char path[SECCOMP_PATH_MAX], struct why *why) {
        char *text = strdup(broker_syscalls);

        if (!text)
                return fault(-ENOMEM);
        snprintf(path, SECCOMP_PATH_MAX, "broker/syscalls.list");
        *lengthp = strlen(text);
        *textp = text;
        return 0;
}

static int load_filter(struct why *why) {
        _cleanup_(seccomp_program_deinit) struct seccomp_program program = SECCOMP_PROGRAM_NULL;
        _cleanup_(seccomp_list_deinit) struct seccomp_list list = SECCOMP_LIST_NULL;
        int r;

        r = seccomp_list_parse(&list, "broker", read_list, NULL, why);
        if (r == 0)
                r = seccomp_program_compile(&program, &list, why);
        if (r)
                return r;
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program.bpf) < 0)
                return why_errno(why, RIGHTS_E_HOST, errno,
                                 "cannot load a seccomp filter of its own");
        return 0;
}

int rights_limit(enum rights_of who, bool resumed, struct why *why) {
        int r;

        r = keep_only(all_kept(who));
        if (r)
                return why_errno(why, RIGHTS_E_HOST, r, "cannot give up capabilities");
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return why_errno(why, RIGHTS_E_HOST, errno, "cannot set no_new_privs");
        /* One more on top of it with every upgrade would make each call of every VM slower. */
        if (resumed && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_FILTER)
                return 0;
        return load_filter(why);
}

void rights_give_up(void) {
        (void)keep_only(0);
        (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* Of the launcher; 0: it cannot be seen, or has none. */
static uint64_t read_launcher(const struct launcher *launcher) {
        char path[40], status[4096], *line;
        uint64_t permitted = 0;

        snprintf(path, sizeof(path), "/proc/%d/status", launcher_pid(launcher));
        if (file_read_at(AT_FDCWD, path, status, sizeof(status)) == 0 &&
            (line = strstr(status, "\nCapPrm:")))
                (void)sscanf(line, " CapPrm: %" SCNx64, &permitted);
        return permitted;
}

static void check(struct findings *findings, enum rights_of who, const char *name,
                  uint64_t permitted) {
        bool all = true;

        for (size_t i = 0; i < tables[who].n; i++) {
                const struct right *right = &tables[who].kept[i];
                char mend[100];

                if (permitted & UINT64_C(1) << right->capability)
                        continue;
                all = false;
                snprintf(mend, sizeof(mend), "see CapabilityBoundingSet= in provium-%s.service",
                         name);
                finding_problem(findings, mend, "the %s lacks %s: %s", name, right->name,
                                right->reason);
        }
        if (permitted & ~all_kept(who))
                finding_warning(findings, "see its log",
                                "the %s has capabilities that it has no use for: %#" PRIx64, name,
                                permitted & ~all_kept(who));
        else if (all)
                finding_ok(findings, "the %s has the %zu capabilities it needs, and no other", name,
                           tables[who].n);
}

void rights_check(struct findings *findings) {
        const struct launcher *launcher = findings->broker->launcher;
        uint64_t permitted = 0;

        (void)read_permitted(&permitted);
        check(findings, RIGHTS_OF_BROKER, "broker", permitted);
        if (launcher && !launcher_is_lost(launcher))
                check(findings, RIGHTS_OF_LAUNCHER, "launcher", read_launcher(launcher));
}

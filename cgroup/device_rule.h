/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CGROUP_DEVICE_RULE_H
#define PROVIUM_CGROUP_DEVICE_RULE_H

/*
 * What a VM may do with a device, as a value: a type, numbers, and ways of access. Rules come from
 * a word of the policy ("kvm", "vfio/12 r", "c 10:232 rw") or from the list of what a hypervisor
 * needs. Nothing here asks the kernel but for the numbers of a name below /dev.
 */

#include <base/macro.h>

struct why;

enum {
        _DEVICE_RULE_E_SUCCESS,
        DEVICE_RULE_E_INVALID, /* no rule; the sentence says what is valid */
        DEVICE_RULE_E_ABSENT,  /* a name below /dev that is not there, or is no device */
        DEVICE_RULE_E_MANY,    /* more than there is room for */
};

/* Ways of access, with the kernel's numbers (BPF_DEVCG_ACC_*). */
enum {
        DEVICE_MKNOD = 1 << 0,
        DEVICE_READ = 1 << 1,
        DEVICE_WRITE = 1 << 2,
        DEVICE_ALL = DEVICE_MKNOD | DEVICE_READ | DEVICE_WRITE,
};

#define DEVICE_ANY UINT32_MAX /* as major or minor: every one */
#define DEVICE_MAJOR_MAX 0xfff
#define DEVICE_MINOR_MAX 0xfffff

struct device_rule {
        char type; /* 'c' or 'b' */
        uint32_t major, minor;
        unsigned access; /* DEVICE_READ, _WRITE, _MKNOD; at least one */
};

#define DEVICE_WORD_MAX 80 /* bytes of a policy word, without the NUL */

/*
 * Reads one word of the policy:
 *
 *         NAME [ACCESS]                a device below /dev: "kvm", "net/tun", "/dev/vfio/12 r"
 *         TYPE MAJOR:MINOR ACCESS      "c 10:232 rw", "c 136:* rw", "b 8:0 r"
 *
 * ACCESS is of the letters r, w and m, each at most once; a name without has "rw". The numbers of a
 * name are those of the file below @dev_fd (a descriptor of /dev) now; for what device_rule_default
 * knows, and is not there, the ones that Linux has given to it once and for all. "pts" is all
 * terminals of devpts. Answers INVALID, ABSENT; @rulep untouched then.
 */
_must_check_ int device_rule_parse(struct device_rule *rulep, int dev_fd, const char *text,
                                   struct why *why);

/*
 * What every hypervisor needs to read and write: null, zero, full, random, urandom, kvm, net/tun,
 * vhost-net, vhost-vsock; and with @terminal, to make terminals of its own (-serial pty), tty, ptmx
 * and pts. A terminal that it inherits as a descriptor needs no rule. Numbers as in
 * device_rule_parse. Fills @rules, at most @n of them (DEVICE_DEFAULTS_MAX is enough), and *np.
 * Answers MANY.
 */
#define DEVICE_DEFAULTS_MAX 12
_must_check_ int device_rule_default(int dev_fd, bool terminal, struct device_rule *rules, size_t n,
                                     size_t *np, struct why *why);

/* "c 10:232 rw", as the parser reads it, into @buffer (DEVICE_RULE_TEXT_MAX is always enough). */
#define DEVICE_RULE_TEXT_MAX 32
const char *device_rule_format(const struct device_rule *rule, char *buffer, size_t size);

#endif

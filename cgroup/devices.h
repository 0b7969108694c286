/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CGROUP_DEVICES_H
#define PROVIUM_CGROUP_DEVICES_H

/*
 * Which devices the processes of a VM's group may open and make: a program that the kernel asks at
 * each open and mknod (BPF_PROG_TYPE_CGROUP_DEVICE; cgroup v2 has no file for it).
 *
 *         device_rule_default(...), device_rule_parse(...)     cgroup/device_rule.h
 *         devices_load(rules, n, &prog_fd)                     once
 *         devices_attach(dir_fd, prog_fd)                      to each group, before its first
 *                                                              process
 *         devices_check(dir_fd, id, &attached)                 whenever, by devices_id(prog_fd)
 *
 * A program is loaded once for all groups that have the same rules, and attached to as many as
 * there are: it is the verifier that takes time. An attached program belongs to the group's
 * directory: it stays when our descriptor is closed, and when we are gone, and ends with the
 * directory. Its id stays the same as long, so a later broker finds it by the number it has noted.
 *
 * Programs add up: whatever one of the group or of its ancestors (systemd's DeviceAllow=) denies is
 * denied with EPERM. What is open already, or comes by a socket or through execve, is not asked
 * about: a descriptor is a right. Nor is what an open device can do by itself. But to open a
 * descriptor's device again by /proc/self/fd is an open: who gives a VM a block device by such a
 * path needs a rule for it.
 */

#include <cgroup/cgroup.h>

struct device_rule;

/* A rule becomes at most nine instructions, and the kernel goes through them at each open. */
#define DEVICES_RULES_MAX 256

/*
 * Loads a program that allows what one of @rules allows, and denies the rest: an open for reading
 * and writing needs one rule with both. No rules deny everything. The descriptor is the caller's;
 * closing it takes nothing away where the program is attached. Needs CAP_BPF and CAP_NET_ADMIN,
 * or CAP_SYS_ADMIN. Answers UNSUPPORTED, LIMIT (more than DEVICES_RULES_MAX, or a rule that is
 * none), HOST (with the verifier's last words).
 */
_must_check_ int devices_load(const struct device_rule *rules, size_t n, int *prog_fdp,
                              struct why *why);

/* The number by which the kernel knows the program, for devices_check(); never 0. Answers HOST. */
_must_check_ int devices_id(int prog_fd, uint32_t *idp, struct why *why);

/*
 * Puts the program in force for the group @dir_fd and all below it, beside the programs that are
 * there; 0 too if it is in force already. Answers GONE, HOST.
 */
_must_check_ int devices_attach(int dir_fd, int prog_fd, struct why *why);

/* Is the program @id (still) attached to this very group? Answers GONE, HOST. */
_must_check_ int devices_check(int dir_fd, uint32_t id, bool *attachedp, struct why *why);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TC_UPLINK_H
#define PROVIUM_TC_UPLINK_H

/*
 * The link to the outside: the device of the default route, as the kernel's routing table names it.
 */

#include <net/if.h>

#include <base/macro.h>

struct why;

enum {
        _UPLINK_E_SUCCESS,
        UPLINK_E_NONE, /* no default route */
        UPLINK_E_HOST, /* netlink refused */
};

/* Finds the device of the default route with the lowest metric, IPv4 before IPv6. Answers NONE,
 * HOST. */
_must_check_ int uplink_find(char name[IF_NAMESIZE], struct why *why);

/*
 * The speed of link @name from "@sys_dir/class/net/NAME/speed", in bytes per second. False where
 * the driver does not know (virtio says -1, some say 0): unknown is not zero.
 */
_must_check_ bool uplink_speed(const char *sys_dir, const char *name, uint64_t *bytes_per_sp);

#endif

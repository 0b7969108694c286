/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_SERVICE_H
#define PROVIUM_BROKER_SERVICE_H

/*
 * Under systemd: the slices live in a delegated scope of their own, provium-vms.scope in
 * provium.slice, kept alive by a small holder process, so that the broker, an ordinary service, can
 * be restarted, upgraded or killed without touching a VM. Stopping the scope ends all VMs.
 *
 * Why a scope: a service with Delegate= cannot restart while its top group has controllers on for
 * its children, a slice cannot be delegated, and a group made by hand at the root loses io at
 * systemd's next daemon-reload.
 */

#include <base/macro.h>

struct why;

#define SERVICE_SCOPE "provium-vms.scope"
#define SERVICE_SLICE "provium.slice"
#define SERVICE_ROOT SERVICE_SLICE "/" SERVICE_SCOPE

/* Is systemd PID 1 here? */
bool service_booted(void);

/*
 * Makes sure that the scope is there and its holder sits in a leaf of its own. @self is the
 * broker's own binary, started as the holder if there is none. Answers BROKER_E_HOST.
 */
_must_check_ int service_open_scope(const char *mount, const char *self, struct why *why);

/*
 * Guarantees memory and CPU to all VMs together against the rest of the host: on the scope and on
 * the slice around it, since a group is protected no better than its parent. Waits for systemd, a
 * few milliseconds. Answers BROKER_E_HOST.
 */
_must_check_ int service_protect(uint64_t memory_low_bytes, uint64_t cpu_weight, struct why *why);

/* The holder itself: waits for ever. */
int service_hold(void);

#endif

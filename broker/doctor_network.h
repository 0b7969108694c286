/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_DOCTOR_NETWORK_H
#define PROVIUM_BROKER_DOCTOR_NETWORK_H

/*
 * The checks of broker/doctor that are about the network. What the policy does not ask for is not
 * looked at, and nothing is said of it.
 */

struct findings;

/* May the broker make links at all? */
void doctor_check_rtnetlink(struct findings *findings);
/* Uploads wait in it; a kernel without has a plain fifo. */
void doctor_check_fq_codel(struct findings *findings);
/* Bridge= of broker.conf: there, ours, up, with its addresses. */
void doctor_check_bridge(struct findings *findings);
/* Bridge= of each slice: there, and up. */
void doctor_check_slice_bridges(struct findings *findings);
/* Uplink= is a port of it, and up. */
void doctor_check_uplink(struct findings *findings);
/* NAT=yes needs the kernel to forward. */
void doctor_check_forwarding(struct findings *findings);
void doctor_check_tun(struct findings *findings);
void doctor_check_vhost_net(struct findings *findings);
/* Do frames between bridged VMs pass the host's iptables? */
void doctor_check_bridge_nf(struct findings *findings);

#endif

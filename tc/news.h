/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TC_NEWS_H
#define PROVIUM_TC_NEWS_H

/*
 * What news of traffic control (RTNLGRP_TC) and of the end of links (RTNLGRP_LINK) is about.
 */

#include <tc/netlink.h>

/* The link, and the minor of the class it names (0: the link itself, a qdisc, a filter, or a class
 * of none of @major). False: it is about something else. */
bool news_subject(const struct nlmsghdr *message, uint16_t major, int *ifindexp, uint16_t *minorp);

/*
 * What a link that ends has carried, out of the news of its end: nothing is counted afterwards.
 * Seen from a VM whose tap it is: its upload is what the tap received. False: it is other news, or
 * does not say.
 */
bool news_last_bytes(const struct nlmsghdr *message, uint64_t *downloadp, uint64_t *uploadp);

#endif

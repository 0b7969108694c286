/* SPDX-License-Identifier: MIT */
/*
 * What the kernel has of a VM's shape: reading it, comparing it, putting it right.
 *
 * Somebody else with CAP_NET_ADMIN may delete a limit by mistake or on purpose, and nothing tells
 * us but the group RTNLGRP_TC. So whatever is looked at is read from the kernel, all of it, and
 * what is put back is read again.
 */
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <string.h>

#include <base/why.h>
#include <tc/qdisc.h>
#include <tc/shape.h>

enum look {
        LOOK_LINK,
        LOOK_ROOT,
        LOOK_ROOT_LEAF,
        LOOK_HOOK,
        LOOK_INGRESS,
        LOOK_EGRESS,
        LOOK_UPLOAD,
        LOOK_UPLOAD_LEAF,
        LOOK_DOWNLOAD,
        LOOK_DOWNLOAD_LEAF,
};

struct reading {
        const struct shape *shape;
        struct shape_state *state;
        struct batch batch;
        struct {
                enum look look;
                size_t tap;
        } index[NETLINK_BATCH_MAX]; /* of the messages of the batch */
};

static uint32_t class_of(const struct shape *shape, uint16_t minor) {
        return TC_H_MAKE((uint32_t)shape->major << 16, minor);
}

static void add_look(struct reading *reading, enum look look, size_t tap, int type, int ifindex,
                     uint32_t parent, uint32_t handle) {
        reading->index[reading->batch.n].look = look;
        reading->index[reading->batch.n].tap = tap;
        if (type == RTM_GETLINK) {
                struct ifinfomsg header = {.ifi_family = AF_UNSPEC, .ifi_index = ifindex};
                struct nl_msg *message = batch_add(&reading->batch, type, 0, "a look at the tap");

                if (message)
                        nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO);
                return;
        }
        qdisc_add_plain(&reading->batch, type, ifindex, parent, handle, "a look at the limits");
}

static void add_looks(struct reading *reading) {
        const struct shape *shape = reading->shape;
        int ifb = shape->ifb_ifindex;

        for (size_t i = 0; i < shape->n_taps; i++) {
                int tap = shape->taps[i];

                add_look(reading, LOOK_LINK, i, RTM_GETLINK, tap, 0, 0);
                add_look(reading, LOOK_ROOT, i, RTM_GETQDISC, tap, TC_H_ROOT, 0);
                add_look(reading, LOOK_ROOT_LEAF, i, RTM_GETQDISC, tap, QDISC_TBF_CLASS, 0);
                add_look(reading, LOOK_HOOK, i, RTM_GETQDISC, tap, TC_H_CLSACT, 0);
                add_look(reading, LOOK_INGRESS, i, RTM_GETTFILTER, tap, QDISC_INGRESS, 1);
                if (shape->download_minor)
                        add_look(reading, LOOK_EGRESS, i, RTM_GETTFILTER, tap, QDISC_EGRESS, 1);
        }
        add_look(reading, LOOK_UPLOAD, 0, RTM_GETTCLASS, ifb, 0, class_of(shape, shape->minor));
        add_look(reading, LOOK_UPLOAD_LEAF, 0, RTM_GETQDISC, ifb, class_of(shape, shape->minor), 0);
        if (shape->download_minor) {
                uint32_t class = class_of(shape, shape->download_minor);

                add_look(reading, LOOK_DOWNLOAD, 0, RTM_GETTCLASS, ifb, 0, class);
                add_look(reading, LOOK_DOWNLOAD_LEAF, 0, RTM_GETQDISC, ifb, class, 0);
        }
}

/* What the host receives from the tap is what the VM sends. */
static void take_link(struct shape_tap_state *tap, const struct nlmsghdr *message) {
        const struct ifinfomsg *header = nlmsg_data(message);
        struct nlattr *attributes[IFLA_MAX + 1];
        struct rtnl_link_stats64 stats = {};

        if (message->nlmsg_type != RTM_NEWLINK ||
            nlmsg_parse((struct nlmsghdr *)message, sizeof(*header), attributes, IFLA_MAX, NULL) <
                    0)
                return;
        tap->present = true;
        tap->up = header->ifi_flags & IFF_UP;
        if (attributes[IFLA_STATS64])
                nla_memcpy(&stats, attributes[IFLA_STATS64], sizeof(stats));
        tap->upload = (struct qdisc_count){
                .bytes = stats.rx_bytes, .packets = stats.rx_packets, .drops = stats.rx_dropped};
        tap->download = (struct qdisc_count){
                .bytes = stats.tx_bytes, .packets = stats.tx_packets, .drops = stats.tx_dropped};
}

static void take_root(struct shape_tap_state *tap, const struct qdisc_seen *seen) {
        if (!seen->tbf || seen->handle != QDISC_TBF_HANDLE) {
                tap->other_root = true;
                return;
        }
        tap->tbf = true;
        tap->rate_bytes_per_s = seen->rate_bytes_per_s;
        tap->buffer_ticks = seen->buffer_ticks;
        tap->limit_bytes = seen->limit_bytes;
        tap->tbf_count = seen->count;
}

static void take_class(struct shape_class_state *class, const struct qdisc_seen *seen) {
        if (!seen->htb_class)
                return;
        class->present = true;
        class->parent = seen->parent;
        class->level = seen->level;
        class->rate_bytes_per_s = seen->rate_bytes_per_s;
        class->ceil_bytes_per_s = seen->ceil_bytes_per_s;
        class->count = seen->count;
}

static void take_leaf(struct shape_class_state *class, const struct qdisc_seen *seen) {
        memcpy(class->leaf, seen->kind, sizeof(class->leaf));
        class->leaf_count = seen->count;
}

static void take_look(void *userdata, const struct nlmsghdr *message) {
        struct reading *reading = userdata;
        const struct shape *shape = reading->shape;
        size_t index = message->nlmsg_seq - reading->batch.first;
        struct shape_tap_state *tap = &reading->state->taps[reading->index[index].tap];
        struct qdisc_seen seen;
        bool ours;

        if (reading->index[index].look == LOOK_LINK) {
                take_link(tap, message);
                return;
        }
        if (!qdisc_parse(message, &seen))
                return;
        ours = seen.redirect && seen.to_ifindex == shape->ifb_ifindex;
        switch (reading->index[index].look) {
        case LOOK_LINK:
                break;
        case LOOK_ROOT:
                take_root(tap, &seen);
                break;
        case LOOK_ROOT_LEAF:
                memcpy(tap->leaf, seen.kind, sizeof(tap->leaf));
                tap->leaf_count = seen.count;
                break;
        case LOOK_HOOK:
                tap->hook = strcmp(seen.kind, "clsact") == 0;
                break;
        case LOOK_INGRESS:
                tap->ingress = ours && seen.class == class_of(shape, shape->minor);
                tap->other_ingress = !tap->ingress;
                break;
        case LOOK_EGRESS:
                tap->egress = ours && seen.class == class_of(shape, shape->download_minor);
                tap->other_egress = !tap->egress;
                break;
        case LOOK_UPLOAD:
                take_class(&reading->state->upload, &seen);
                break;
        case LOOK_UPLOAD_LEAF:
                take_leaf(&reading->state->upload, &seen);
                break;
        case LOOK_DOWNLOAD:
                take_class(&reading->state->download, &seen);
                break;
        case LOOK_DOWNLOAD_LEAF:
                take_leaf(&reading->state->download, &seen);
                break;
        }
}

int shape_read(struct netlink *netlink, const struct shape *shape, struct shape_state *state,
               struct why *why) {
        struct reading reading = {.shape = shape, .state = state, .batch = BATCH_NULL};
        int r;

        *state = (struct shape_state){};
        add_looks(&reading);
        r = netlink_commit(netlink, &reading.batch, take_look, &reading, NULL, why);
        if (r > 0 && r != NETLINK_E_LOST) {
                r = 0;
                /* How the kernel says that something is not there depends on what is asked. */
                for (size_t i = 0; i < reading.batch.n; i++) {
                        int errnum = reading.batch.errnums[i];

                        if (errnum && errnum != ENODEV && errnum != ENOENT && errnum != EINVAL &&
                            errnum != EOPNOTSUPP)
                                r = why_errno(why, NETLINK_E_KERNEL, errnum,
                                              "the kernel refuses %s", reading.batch.what[i]);
                }
        }
        batch_deinit(&reading.batch);
        return r;
}

static int missing(struct why *why, const struct shape *shape, size_t tap, const char *what) {
        return why_set(why, SHAPE_E_DIFFERS, "%s of tap %zu (link %d) is missing or another's",
                       what, tap, shape->taps[tap]);
}

static int number_differs(struct why *why, const char *whose, const char *what, uint64_t asked,
                          uint64_t is) {
        return why_set(why, SHAPE_E_DIFFERS, "%s's %s is %llu and should be %llu", whose, what,
                       (unsigned long long)is, (unsigned long long)asked);
}

static int class_differs(const struct shape_class_state *class, const char *whose, uint32_t parent,
                         uint64_t rate, uint64_t ceil, bool fifo, struct why *why) {
        if (!class->present)
                return why_set(why, SHAPE_E_DIFFERS, "%s is missing", whose);
        if (class->rate_bytes_per_s != rate)
                return number_differs(why, whose, "rate", rate, class->rate_bytes_per_s);
        if (class->ceil_bytes_per_s != ceil)
                return number_differs(why, whose, "ceil", ceil, class->ceil_bytes_per_s);
        if (class->parent != parent)
                return why_set(why, SHAPE_E_DIFFERS, "%s hangs below %x:%x", whose,
                               class->parent >> 16, TC_H_MIN(class->parent));
        if (class->level != 0)
                return why_set(why, SHAPE_E_DIFFERS, "%s has classes of its own", whose);
        if (strcmp(class->leaf, fifo ? "bfifo" : "fq_codel") != 0)
                return why_set(why, SHAPE_E_DIFFERS, "%s's queue is %s", whose,
                               class->leaf[0] ? class->leaf : "missing");
        return 0;
}

static bool is_leaf_of_tbf(const struct shape *shape, const struct shape_tap_state *tap) {
        return strcmp(tap->leaf, shape->fifo ? "" : "fq_codel") == 0;
}

static int tap_differs(const struct shape *shape, const struct shape_tap_state *tap, size_t i,
                       struct why *why) {
        uint64_t rate = shape->download_bytes_per_s;
        uint64_t bucket = shape_bucket(rate, shape->download_bucket_bytes);
        uint64_t limit = shape_limit(rate, SHAPE_LATENCY_USEC);

        if (!tap->present)
                return why_set(why, SHAPE_E_DIFFERS, "tap %zu (link %d) is gone", i,
                               shape->taps[i]);
        if (!tap->tbf)
                return missing(why, shape, i, "the download limit");
        if (tap->rate_bytes_per_s != rate)
                return number_differs(why, "the download limit", "rate", rate,
                                      tap->rate_bytes_per_s);
        if (tap->limit_bytes != limit)
                return number_differs(why, "the download limit", "queue", limit, tap->limit_bytes);
        if (!shape_is_bucket(shape, tap->buffer_ticks))
                return number_differs(why, "the download limit", "bucket in ticks",
                                      qdisc_ticks(bucket, rate), tap->buffer_ticks);
        if (!is_leaf_of_tbf(shape, tap))
                return why_set(why, SHAPE_E_DIFFERS, "the queue of downloads of tap %zu is %s", i,
                               tap->leaf[0] ? tap->leaf : "missing");
        if (!tap->hook)
                return missing(why, shape, i, "the hook for filters");
        if (!tap->ingress)
                return missing(why, shape, i, "the redirect of uploads");
        if (shape->download_minor && !tap->egress)
                return missing(why, shape, i, "the redirect of downloads");
        return 0;
}

static int upload_differs(const struct shape *shape, const struct shape_state *state,
                          struct why *why) {
        return class_differs(&state->upload, "the upload limit", class_of(shape, SHAPE_ROOT_MINOR),
                             shape->upload_rate_bytes_per_s, shape->upload_ceil_bytes_per_s,
                             shape->fifo, why);
}

static int download_differs(const struct shape *shape, const struct shape_state *state,
                            struct why *why) {
        if (!shape->download_minor)
                return 0;
        return class_differs(&state->download, "the limit on the sum of downloads", TC_H_ROOT,
                             shape->download_bytes_per_s, shape->download_bytes_per_s, shape->fifo,
                             why);
}

int shape_differs(const struct shape *shape, const struct shape_state *state, struct why *why) {
        int r;

        r = upload_differs(shape, state, why);
        if (!r)
                r = download_differs(shape, state, why);
        for (size_t i = 0; r == 0 && i < shape->n_taps; i++)
                r = tap_differs(shape, &state->taps[i], i, why);
        return r;
}

/* A class below another parent cannot be moved; a new rate is a change that keeps the queue. */
static void repair_class(struct batch *batch, const struct shape *shape,
                         const struct shape_class_state *class, bool upload) {
        uint16_t minor = upload ? shape->minor : shape->download_minor;
        uint32_t parent = upload ? class_of(shape, SHAPE_ROOT_MINOR) : TC_H_ROOT;
        bool moved = class->present && class->parent != parent;

        if (moved)
                qdisc_add_plain(batch, RTM_DELTCLASS, shape->ifb_ifindex, 0, class_of(shape, minor),
                                "the removal of a class in the wrong place");
        if (upload)
                shape_add_upload(batch, shape, NLM_F_CREATE);
        else
                shape_add_download(batch, shape, NLM_F_CREATE);
        if (class->present && !moved) {
                if (strcmp(class->leaf, shape->fifo ? "bfifo" : "fq_codel") == 0)
                        return;
                if (class->leaf[0])
                        qdisc_add_plain(batch, RTM_DELQDISC, shape->ifb_ifindex,
                                        class_of(shape, minor), 0, "the removal of a queue");
        }
        shape_add_leaf(batch, shape, minor, NLM_F_CREATE | NLM_F_REPLACE);
}

static void repair_redirect(struct batch *batch, const struct shape *shape, size_t tap,
                            uint32_t hook, bool other) {
        /* matchall cannot be replaced, only made anew; both in one sendmsg, so for some 10 us. */
        if (other)
                qdisc_add_plain(batch, RTM_DELTFILTER, shape->taps[tap], hook, 0,
                                "the removal of a filter");
        shape_add_redirect(batch, shape, tap, hook);
}

static void repair_tap(struct batch *batch, const struct shape *shape,
                       const struct shape_tap_state *tap, size_t i, bool hard) {
        int ifindex = shape->taps[i];

        if (tap->other_root)
                qdisc_add_plain(batch, RTM_DELQDISC, ifindex, TC_H_ROOT, 0,
                                "the removal of another's queue");
        shape_add_tbf(batch, shape, i, NLM_F_CREATE | NLM_F_REPLACE);
        if (!tap->tbf || !is_leaf_of_tbf(shape, tap)) {
                if (tap->tbf && tap->leaf[0])
                        qdisc_add_plain(batch, RTM_DELQDISC, ifindex, QDISC_TBF_CLASS, 0,
                                        "the removal of a queue");
                shape_add_tbf_leaf(batch, shape, i, NLM_F_CREATE | NLM_F_REPLACE);
        }
        if (hard)
                qdisc_add_plain(batch, RTM_DELQDISC, ifindex, TC_H_CLSACT, 0,
                                "the removal of the hook for filters");
        if (hard || !tap->hook)
                qdisc_add_clsact(batch, ifindex, NLM_F_CREATE);
        if (hard || !tap->ingress)
                repair_redirect(batch, shape, i, QDISC_INGRESS, !hard && tap->other_ingress);
        if (shape->download_minor && (hard || !tap->egress))
                repair_redirect(batch, shape, i, QDISC_EGRESS, !hard && tap->other_egress);
}

/*
 * One attempt. @hard: filters are made on a new hook, for whatever stands in their place cannot be
 * told or removed alone. Only what differs is touched.
 */
static int attempt(struct netlink *netlink, const struct shape *shape,
                   const struct shape_state *state, bool hard, struct why *why) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;

        if (upload_differs(shape, state, NULL))
                repair_class(&batch, shape, &state->upload, true);
        if (download_differs(shape, state, NULL))
                repair_class(&batch, shape, &state->download, false);
        for (size_t i = 0; i < shape->n_taps; i++)
                if (state->taps[i].present && tap_differs(shape, &state->taps[i], i, NULL))
                        repair_tap(&batch, shape, &state->taps[i], i, hard);
        return netlink_commit(netlink, &batch, NULL, NULL, NULL, why);
}

int shape_repair(struct netlink *netlink, const struct shape *shape, struct why *why) {
        struct shape_state state;
        int r, attempted = 0;

        r = shape_check_rates(shape, why);
        if (r)
                return r;
        for (unsigned i = 0;; i++) {
                r = shape_read(netlink, shape, &state, why);
                if (r || !shape_differs(shape, &state, NULL))
                        return r;
                if (i == 2)
                        break;
                attempted = attempt(netlink, shape, &state, i == 1, why);
                if (attempted < 0 || attempted == NETLINK_E_LOST)
                        return attempted;
        }
        for (size_t i = 0; i < shape->n_taps; i++)
                if (!state.taps[i].present)
                        return why_set(why, NETLINK_E_GONE, "tap %zu (link %d) is gone", i,
                                       shape->taps[i]);
        /* The kernel's own reason, if it gave one, says more than what is still different. */
        return attempted ?: shape_differs(shape, &state, why);
}

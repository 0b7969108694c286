/* SPDX-License-Identifier: MIT */
#include <linux/rtnetlink.h>
#include <string.h>

#include <base/why.h>
#include <tc/qdisc.h>
#include <tc/shape.h>

#define BUCKET_MIN UINT64_C(131072)
#define LIMIT_MIN UINT64_C(100000) /* GSO frames are 64 KB: at least one, and some */
#define LEAF_FIFO_BYTES 131072

uint64_t shape_bucket(uint64_t rate_bytes_per_s, uint64_t asked_bytes) {
        return min_u64(UINT32_MAX,
                       max_u64(asked_bytes, max_u64(BUCKET_MIN, rate_bytes_per_s / 50)));
}

uint64_t shape_limit(uint64_t rate_bytes_per_s, uint64_t latency_usec) {
        unsigned __int128 queue = (unsigned __int128)rate_bytes_per_s * latency_usec / 1000000;

        return min_u64(UINT32_MAX, LIMIT_MIN + (uint64_t)queue);
}

static int check_rate(const char *what, uint64_t rate, struct why *why) {
        if (rate < SHAPE_RATE_MIN || rate > SHAPE_RATE_MAX)
                return why_set(why, SHAPE_E_RANGE,
                               "%s: %llu bytes per second; 8 kbit/s to 160 Gbit/s can be enforced",
                               what, (unsigned long long)rate);
        return 0;
}

int shape_check_rates(const struct shape *shape, struct why *why) {
        int r;

        assert(shape->minor >= SHAPE_MINOR_MIN && shape->minor <= SHAPE_MINOR_MAX);
        assert(shape->n_taps <= SHAPE_TAPS_MAX);
        assert(shape->n_taps <= 1 || shape->download_minor >= SHAPE_MINOR_MIN);
        r = check_rate("download", shape->download_bytes_per_s, why);
        if (!r)
                r = check_rate("upload", shape->upload_rate_bytes_per_s, why);
        if (!r)
                r = check_rate("upload ceil", shape->upload_ceil_bytes_per_s, why);
        return r;
}

static uint32_t class_of(const struct shape *shape, uint16_t minor) {
        return TC_H_MAKE((uint32_t)shape->major << 16, minor);
}

void shape_add_upload(struct batch *batch, const struct shape *shape, int flags) {
        qdisc_add_class(batch, shape->ifb_ifindex, flags, class_of(shape, SHAPE_ROOT_MINOR),
                        class_of(shape, shape->minor), shape->upload_rate_bytes_per_s,
                        shape->upload_ceil_bytes_per_s, "the upload limit");
}

void shape_add_download(struct batch *batch, const struct shape *shape, int flags) {
        qdisc_add_class(batch, shape->ifb_ifindex, flags, class_of(shape, 0),
                        class_of(shape, shape->download_minor), shape->download_bytes_per_s,
                        shape->download_bytes_per_s, "the limit on the sum of downloads");
}

void shape_add_leaf(struct batch *batch, const struct shape *shape, uint16_t minor, int flags) {
        /* The leaf's handle is the class's minor as a major: unique on this IFB. */
        qdisc_add_leaf(batch, shape->ifb_ifindex, flags, class_of(shape, minor),
                       TC_H_MAKE((uint32_t)minor << 16, 0), shape->fifo ? LEAF_FIFO_BYTES : 0,
                       minor == shape->minor ? "the queue of uploads" : "the queue of downloads");
}

void shape_add_tbf(struct batch *batch, const struct shape *shape, size_t tap, int flags) {
        uint64_t rate = shape->download_bytes_per_s;
        uint64_t bucket = shape_bucket(rate, shape->download_bucket_bytes);

        qdisc_add_tbf(batch, shape->taps[tap], flags, rate, (uint32_t)bucket,
                      (uint32_t)shape_limit(rate, SHAPE_LATENCY_USEC));
}

void shape_add_tbf_leaf(struct batch *batch, const struct shape *shape, size_t tap, int flags) {
        if (!shape->fifo)
                qdisc_add_leaf(batch, shape->taps[tap], flags, QDISC_TBF_CLASS, QDISC_TBF_LEAF, 0,
                               "the queue of downloads");
}

void shape_add_redirect(struct batch *batch, const struct shape *shape, size_t tap, uint32_t hook) {
        qdisc_add_redirect(
                batch, shape->taps[tap], hook,
                class_of(shape, hook == QDISC_INGRESS ? shape->minor : shape->download_minor),
                shape->ifb_ifindex);
}

int shape_add(struct batch *batch, const struct shape *shape, struct why *why) {
        const int new = NLM_F_CREATE | NLM_F_EXCL;
        int r;

        r = shape_check_rates(shape, why);
        if (r)
                return r;
        /* The classes before the frames that name them. */
        shape_add_upload(batch, shape, new);
        shape_add_leaf(batch, shape, shape->minor, new);
        if (shape->download_minor) {
                shape_add_download(batch, shape, new);
                shape_add_leaf(batch, shape, shape->download_minor, new);
        }
        for (size_t i = 0; i < shape->n_taps; i++) {
                shape_add_tbf(batch, shape, i, new);
                shape_add_tbf_leaf(batch, shape, i, new);
                qdisc_add_clsact(batch, shape->taps[i], new);
                shape_add_redirect(batch, shape, i, QDISC_INGRESS);
                if (shape->download_minor)
                        shape_add_redirect(batch, shape, i, QDISC_EGRESS);
        }
        return 0;
}

int shape_change(struct batch *batch, const struct shape *shape, struct why *why) {
        int r;

        r = shape_check_rates(shape, why);
        if (r)
                return r;
        shape_add_upload(batch, shape, 0);
        if (shape->download_minor)
                shape_add_download(batch, shape, 0);
        for (size_t i = 0; i < shape->n_taps; i++)
                shape_add_tbf(batch, shape, i, 0);
        return 0;
}

void shape_add_removal(struct batch *batch, const struct shape *shape) {
        qdisc_add_plain(batch, RTM_DELTCLASS, shape->ifb_ifindex, 0, class_of(shape, shape->minor),
                        "the upload limit's removal");
        if (shape->download_minor)
                qdisc_add_plain(batch, RTM_DELTCLASS, shape->ifb_ifindex, 0,
                                class_of(shape, shape->download_minor),
                                "the removal of the limit on downloads");
}

static int differs(struct why *why, const char *what, uint64_t asked, uint64_t made) {
        return why_set(why, SHAPE_E_DIFFERS, "%s was set to %llu but reads %llu", what,
                       (unsigned long long)asked, (unsigned long long)made);
}

bool shape_is_bucket(const struct shape *shape, uint32_t buffer_ticks) {
        uint64_t rate = shape->download_bytes_per_s;
        uint32_t wanted = qdisc_ticks(shape_bucket(rate, shape->download_bucket_bytes), rate);

        /* The kernel keeps nanoseconds and tells the low 32 bits of their ticks. */
        if (wanted == UINT32_MAX)
                return true;
        return buffer_ticks + 1 + wanted / 1000 >= wanted &&
               buffer_ticks <= wanted + 1 + wanted / 1000;
}

static int compare_tbf(const struct shape *shape, const struct qdisc_seen *seen, struct why *why) {
        uint64_t rate = shape->download_bytes_per_s;
        uint64_t bucket = shape_bucket(rate, shape->download_bucket_bytes);
        uint64_t limit = shape_limit(rate, SHAPE_LATENCY_USEC);

        if (seen->rate_bytes_per_s != rate)
                return differs(why, "the download rate", rate, seen->rate_bytes_per_s);
        if (seen->limit_bytes != limit)
                return differs(why, "the download queue", limit, seen->limit_bytes);
        if (!shape_is_bucket(shape, seen->buffer_ticks))
                return differs(why, "the download bucket's ticks", qdisc_ticks(bucket, rate),
                               seen->buffer_ticks);
        return 0;
}

static int compare_class(const struct qdisc_seen *seen, uint32_t parent, uint64_t rate,
                         uint64_t ceil, bool upload, struct why *why) {
        if (seen->rate_bytes_per_s != rate)
                return differs(why, upload ? "the upload rate" : "the rate of all downloads", rate,
                               seen->rate_bytes_per_s);
        if (seen->ceil_bytes_per_s != ceil)
                return differs(why, upload ? "the upload ceil" : "the ceil of all downloads", ceil,
                               seen->ceil_bytes_per_s);
        /* A class whose parent is not there becomes a root class without complaint. */
        if (seen->parent != parent)
                return differs(why, upload ? "the upload class's parent" : "the download class's",
                               parent, seen->parent);
        return 0;
}

void shape_echo(void *userdata, const struct nlmsghdr *message) {
        struct shape_check *check = userdata;
        const struct shape *shape = check->shape;
        struct qdisc_seen seen;
        int r = 0;

        if (!qdisc_parse(message, &seen))
                return;
        for (size_t i = 0; i < shape->n_taps; i++)
                if (seen.tbf && seen.ifindex == shape->taps[i] && seen.handle == QDISC_TBF_HANDLE) {
                        check->seen_taps |= 1U << i;
                        r = compare_tbf(shape, &seen, check->why);
                }
        if (seen.htb_class && seen.ifindex == shape->ifb_ifindex) {
                if (seen.handle == class_of(shape, shape->minor)) {
                        check->seen_upload = true;
                        r = compare_class(&seen, class_of(shape, SHAPE_ROOT_MINOR),
                                          shape->upload_rate_bytes_per_s,
                                          shape->upload_ceil_bytes_per_s, true, check->why);
                } else if (shape->download_minor &&
                           seen.handle == class_of(shape, shape->download_minor)) {
                        check->seen_download = true;
                        r = compare_class(&seen, TC_H_ROOT, shape->download_bytes_per_s,
                                          shape->download_bytes_per_s, false, check->why);
                }
        }
        if (r && !check->result)
                check->result = r;
}

int shape_confirmed(const struct shape_check *check) {
        const struct shape *shape = check->shape;
        bool taps = check->seen_taps == (1U << shape->n_taps) - 1;

        if (check->result)
                return check->result;
        if (taps && check->seen_upload && (check->seen_download || !shape->download_minor))
                return 0;
        return why_set(check->why, SHAPE_E_DIFFERS, "the kernel did not confirm the %s limit",
                       taps && check->seen_upload ? "common download"
                       : taps                     ? "upload"
                                                  : "download");
}

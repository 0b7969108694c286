/* SPDX-License-Identifier: MIT */
#include <err.h>
#include <stdarg.h>
#include <stdio.h>

#include <bench/iproute.h>

static char *format(const char *format, ...) _printf_(1, 2);
static char *format(const char *format, ...) {
        char *text = NULL;
        va_list args;
        int n;

        va_start(args, format);
        n = vasprintf(&text, format, args);
        va_end(args);
        if (n < 0)
                err(1, "vasprintf");
        return text;
}

/* Returns the path. */
static char *write_batch(const char *name, unsigned bridge, const char *text) {
        char *path = format("/tmp/bench-network-%u.%s", bridge, name);
        FILE *file = fopen(path, "we");

        if (!file || fprintf(file, "%s\n", text) < 0 || fclose(file) != 0)
                err(1, "%s", path);
        return path;
}

/* The words behind `ip` and `tc`, which are those of their batch files, too. */
struct steps {
        char *tap, *class, *leaf, *tbf, *queue, *hook, *filter, *up, *gone, *removal;
};

static struct steps write_steps(const char *tap, unsigned bridge, unsigned major, unsigned minor,
                                uid_t owner) {
        return (struct steps){
                .tap = format("tuntap add dev %s mode tap vnet_hdr user %u", tap, owner),
                .class = format("class add dev benchifb%u parent %x:1 classid %x:%x htb "
                                "rate 1250mbit ceil 5gbit burst 1562500 cburst 6250000 "
                                "quantum 60000",
                                bridge, major, major, minor),
                .leaf = format("qdisc add dev benchifb%u parent %x:%x handle %x: fq_codel "
                               "limit 1024 flows 256",
                               bridge, major, minor, minor),
                .tbf = format("qdisc add dev %s root handle 1: tbf rate 2500mbit burst 6250000 "
                              "limit 21975000",
                              tap),
                .queue = format(
                        "qdisc add dev %s parent 1:1 handle 2: fq_codel limit 1024 flows 256", tap),
                .hook = format("qdisc add dev %s clsact", tap),
                .filter = format("filter add dev %s ingress matchall action skbedit "
                                 "priority %x:%x pipe action mirred egress redirect dev benchifb%u",
                                 tap, major, minor, bridge),
                .up = format("link set dev %s alias provium:bench:%u address fe:01:02:03:05:%02x "
                             "master benchbr%u up",
                             tap, minor, minor, bridge),
                .gone = format("link del %s", tap),
                .removal = format("class del dev benchifb%u classid %x:%x", bridge, major, minor),
        };
}

void iproute_init(struct iproute *iproute, unsigned bridge, unsigned major, unsigned minor,
                  uid_t owner) {
        struct steps one = write_steps("benchcmd", bridge, major, minor, owner);
        struct steps two = write_steps("benchbatch", bridge, major, minor + 1, owner);
        char *links, *limits;

        peer_init(&iproute->setup[IPROUTE_COMMANDS],
                  format("commands=ip %s ; tc %s ; tc %s ; tc %s ; tc %s ; tc %s ; tc %s ; ip %s",
                         one.tap, one.class, one.leaf, one.tbf, one.queue, one.hook, one.filter,
                         one.up));
        peer_init(&iproute->gone[IPROUTE_COMMANDS], format("commands=ip %s", one.gone));
        peer_init(&iproute->teardown[IPROUTE_COMMANDS], format("commands=tc %s", one.removal));

        links = write_batch("ip", bridge, format("%s\n%s", two.tap, two.up));
        limits = write_batch("tc", bridge,
                             format("%s\n%s\n%s\n%s\n%s\n%s", two.class, two.leaf, two.tbf,
                                    two.queue, two.hook, two.filter));
        peer_init(&iproute->setup[IPROUTE_BATCH],
                  format("batch=ip -batch %s ; tc -batch %s", links, limits));
        peer_init(&iproute->gone[IPROUTE_BATCH],
                  format("batch=ip -batch %s", write_batch("gone", bridge, two.gone)));
        peer_init(&iproute->teardown[IPROUTE_BATCH],
                  format("batch=tc -batch %s", write_batch("removal", bridge, two.removal)));
}

/* SPDX-License-Identifier: MIT */
/*
 * One VM's network: what it costs to make and to take away, for whoever waits for it.
 *
 *   ours       tc/ as the broker calls it: link_open_tap, shape_add, link_add_tap, one commit whose
 *              echoes are compared with what was asked
 *   bare       the same work of the kernel with the least that can ask for it (bench/bare.c)
 *   commands   ip and tc as a script would call them, seven processes
 *   batch      ip -batch and tc -batch, two processes; the link is up before its limits are on
 *
 * All make a tap, an HTB class with an fq_codel leaf on an IFB, a TBF, clsact and a filter on the
 * tap, and put it into a bridge with address and alias, up.
 *
 *   setup_us      from nothing to the last acknowledgement
 *   link_gone_us  close(2) of the tap, or `ip link del`: mostly a wait of the kernel's, which in
 * the product falls to the dying hypervisor teardown_us   the removal of the class, which is what
 * is left for the broker
 *
 * With no taps, and with many that somebody else holds: once beside the bridge that has them all
 * (what the host's other links cost) and once in it (what the bridge's other ports cost).
 *
 * In each round everybody has his turn, ours and bare eight times as often, after a pause in which
 * the kernel frees what the one before left. Half of the rounds without the many are before them
 * and half behind, so that a machine which gets slower does not look like growth.
 *
 *     bench-network [--rounds N] [--taps N]     two bridges benchbr0, benchbr1 and IFBs benchifb0,
 *                                               benchifb1 with HTB 8000: and 8001: are there
 *     bench-network --count                     makes one each for strace, with marks
 *
 * Longer than most files: it is one experiment, whose parts nobody else has a use for.
 */
#include <err.h>
#include <getopt.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <bench/bare.h>
#include <bench/iproute.h>
#include <bench/peer.h>
#include <bench/sample.h>
#include <tc/link.h>
#include <tc/shape.h>

#define WARM_UP 1
#define OFTEN 8
#define COUNTED 2 /* the second, because the first makes heap and maps */
#define PAUSE_MSEC 40
#define MAJOR 0x8000
#define OWNER 1000
#define HELD_GROUP "77"
#define DOWNLOAD UINT64_C(312500000) /* 2.5 Gbit/s */
#define UPLOAD UINT64_C(156250000)
#define UPLOAD_CEIL UINT64_C(625000000)

enum who { OURS, BARE, COMMANDS, BATCH, WHO_N };
enum step { SETUP, GONE, TEARDOWN, STEP_N };
enum state { EMPTY, BESIDE, WITHIN, STATE_N };

static const char *const who_names[] = {"ours", "bare", "commands", "batch"};
static const char *const step_names[] = {"setup_us", "link_gone_us", "teardown_us"};
static const char *const state_names[] = {"none", "other bridge", "same bridge"};

/* Bridge 0 is where the many are. */
static const unsigned state_bridge[] = {1, 1, 0};

struct network {
        struct netlink netlink;
        int bare_fd;
        bool marks;
        int bridges[2], ifbs[2];
        unsigned taps;
        struct iproute iproutes[2]; /* by bridge */
        struct sample samples[STATE_N][WHO_N][STEP_N];
        unsigned messages[2][2]; /* ours and bare: at set-up, at tear-down */
        unsigned echoes;         /* ours, at set-up */
};

/* Seen by strace, and by nobody else. */
static void mark(struct network *network, const char *text) {
        ssize_t n;

        if (network->marks) {
                n = write(-1, text, strlen(text));
                (void)n;
        }
}

/* ---- ours ---- */

struct confirm {
        struct shape_check check;
        unsigned echoes;
};

static void on_echo(void *userdata, const struct nlmsghdr *message) {
        struct confirm *confirm = userdata;

        confirm->echoes++;
        shape_echo(&confirm->check, message);
}

static struct shape our_shape(struct network *network, unsigned bridge) {
        return (struct shape){
                .ifb_ifindex = network->ifbs[bridge],
                .major = (uint16_t)(MAJOR + bridge),
                .minor = 0x10 + OURS,
                .download_bytes_per_s = DOWNLOAD,
                .upload_rate_bytes_per_s = UPLOAD,
                .upload_ceil_bytes_per_s = UPLOAD_CEIL,
                .n_taps = 1,
        };
}

static void ours_setup(struct network *network, unsigned bridge, int *fdp) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct shape shape = our_shape(network, bridge);
        unsigned char mac[6], host[6];
        struct confirm confirm = {.check = {.shape = &shape}};
        char name[IF_NAMESIZE];
        struct why why = {};
        int r;

        confirm.check.why = &why;
        link_tap_name(name, "benchaaaaaaaaaaa", 0);
        link_mac(mac, "bench", 0);
        link_mac_host(host, mac);
        r = link_open_tap(&network->netlink, "/dev", name, false, OWNER, fdp, &shape.taps[0], &why);
        if (!r)
                r = shape_add(&batch, &shape, &why);
        if (!r) {
                link_add_tap(&batch, shape.taps[0], LINK_MARK "bench:0", host,
                             &(struct link){.ifindex = network->bridges[bridge]}, false);
                r = netlink_commit(&network->netlink, &batch, on_echo, &confirm, NULL, &why);
        }
        if (!r)
                r = shape_confirmed(&confirm.check);
        if (r)
                errx(1, "ours: %s", why.text);
        network->messages[OURS][0] = (unsigned)batch.n;
        network->echoes = confirm.echoes;
}

static void ours_teardown(struct network *network, unsigned bridge) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct shape shape = our_shape(network, bridge);
        struct why why = {};

        shape_add_removal(&batch, &shape);
        if (netlink_commit(&network->netlink, &batch, NULL, NULL, NULL, &why))
                errx(1, "ours: %s", why.text);
        network->messages[OURS][1] = (unsigned)batch.n;
}

/* ---- bare ---- */

static struct bare_plan bare_plan(struct network *network, unsigned bridge) {
        return (struct bare_plan){
                .name = "benchbare",
                .alias = "provium:bench:1",
                .mac = {0xfe, 1, 2, 3, 4, 5},
                .owner = OWNER,
                .bridge = network->bridges[bridge],
                .ifb = network->ifbs[bridge],
                .major = (uint16_t)(MAJOR + bridge),
                .minor = 0x10 + BARE,
                .download = DOWNLOAD,
                .upload = UPLOAD,
                .upload_ceil = UPLOAD_CEIL,
        };
}

/* A process of its own, so that what is measured has no thousand descriptors: @n taps in bridge 0,
 * with all that belongs to a VM's. */
static pid_t hold(struct network *network, unsigned n) {
        struct bare_plan plan = bare_plan(network, 0);
        char name[IF_NAMESIZE], byte = 0;
        struct bare_tap tap;
        int ready[2];
        pid_t pid;

        if (pipe(ready) < 0 || (pid = fork()) < 0)
                err(1, "cannot start who holds the taps");
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                setrlimit(RLIMIT_NOFILE, &(struct rlimit){n + 64, n + 64});
                plan.name = name;
                plan.group = (uint32_t)atoi(HELD_GROUP);
                for (unsigned i = 0; i < n; i++) {
                        snprintf(name, sizeof(name), "held%u", i);
                        plan.minor = (uint16_t)(0x100 + i);
                        plan.mac[4] = (unsigned char)(0x80 | i >> 8);
                        plan.mac[5] = (unsigned char)i;
                        bare_setup(network->bare_fd, &plan, &tap);
                }
                if (write(ready[1], &byte, 1) == 1)
                        pause();
                _exit(0);
        }
        close(ready[1]);
        if (read(ready[0], &byte, 1) != 1)
                errx(1, "the taps could not all be made");
        close(ready[0]);
        return pid;
}

/* ---- all ---- */

static void setup(struct network *network, enum who who, unsigned bridge, int *fdp) {
        struct bare_plan plan;
        struct bare_tap tap;

        switch (who) {
        case OURS:
                ours_setup(network, bridge, fdp);
                return;
        case BARE:
                plan = bare_plan(network, bridge);
                network->messages[BARE][0] = bare_setup(network->bare_fd, &plan, &tap);
                *fdp = tap.fd;
                return;
        case COMMANDS:
        case BATCH:
                peer_launch(&network->iproutes[bridge].setup[who - COMMANDS], false);
                return;
        case WHO_N:
                break;
        }
}

static void gone(struct network *network, enum who who, unsigned bridge, int fd) {
        if (who == OURS || who == BARE)
                close(fd);
        else
                peer_launch(&network->iproutes[bridge].gone[who - COMMANDS], false);
}

static void teardown(struct network *network, enum who who, unsigned bridge) {
        struct bare_plan plan;

        switch (who) {
        case OURS:
                ours_teardown(network, bridge);
                return;
        case BARE:
                plan = bare_plan(network, bridge);
                network->messages[BARE][1] = bare_teardown(network->bare_fd, &plan);
                return;
        case COMMANDS:
        case BATCH:
                peer_launch(&network->iproutes[bridge].teardown[who - COMMANDS], false);
                return;
        case WHO_N:
                break;
        }
}

static void pause_msec(unsigned msec) {
        struct timespec time = {msec / 1000, (long)(msec % 1000) * 1000000};

        nanosleep(&time, NULL);
}

static void measure(struct network *network, enum who who, enum state state, bool count) {
        struct sample *samples = network->samples[state][who];
        unsigned bridge = state_bridge[state];
        uint64_t at[2 * STEP_N];
        int fd = -1;

        pause_msec(PAUSE_MSEC);
        mark(network, "begin setup");
        at[0] = sample_now_ns();
        setup(network, who, bridge, &fd);
        at[1] = sample_now_ns();
        mark(network, "end setup");
        pause_msec(PAUSE_MSEC);
        at[2] = sample_now_ns();
        gone(network, who, bridge, fd);
        at[3] = sample_now_ns();
        pause_msec(PAUSE_MSEC);
        mark(network, "begin teardown");
        at[4] = sample_now_ns();
        teardown(network, who, bridge);
        at[5] = sample_now_ns();
        mark(network, "end teardown");
        for (unsigned step = 0; count && step < STEP_N; step++)
                sample_add(&samples[step], (double)(at[2 * step + 1] - at[2 * step]) / 1000);
}

/* In a group they go in half a second, one by one in as many minutes. */
static void release(pid_t holder) {
        char command[] = "ip=ip link del group " HELD_GROUP;
        struct peer peer = {};

        peer_init(&peer, command);
        peer_launch(&peer, false);
        kill(holder, SIGKILL);
        waitpid(holder, NULL, 0);
}

/* In each round all from @first to @last. */
static void measure_states(struct network *network, enum state first, enum state last,
                           unsigned rounds) {
        for (unsigned round = 0; round < rounds + WARM_UP; round++)
                for (enum state state = first; state <= last; state++) {
                        bool count = round >= WARM_UP;

                        for (unsigned i = 0; i < OFTEN; i++) {
                                measure(network, (round + i) % 2 ? OURS : BARE, state, count);
                                measure(network, (round + i) % 2 ? BARE : OURS, state, count);
                        }
                        measure(network, round % 2 ? COMMANDS : BATCH, state, count);
                        measure(network, round % 2 ? BATCH : COMMANDS, state, count);
                }
}

static void report(struct network *network, enum state state) {
        struct sample(*samples)[STEP_N] = network->samples[state];
        char context[96];

        snprintf(context, sizeof(context), "\"taps\":%u,\"where\":\"%s\"",
                 state == EMPTY ? 0 : network->taps, state_names[state]);
        for (enum who who = BARE; who < WHO_N; who++)
                for (unsigned step = 0; step < STEP_N; step++)
                        sample_report("network", step_names[step], 0.5, &samples[OURS][step],
                                      who_names[who], &samples[who][step], context);
}

static void report_number(const char *metric, const char *context, double ours, double bare) {
        printf("{\"bench\":\"network\",\"metric\":\"%s\",%s%s\"ours\":%.3f,\"against\":\"bare\","
               "\"other\":%.3f,\"ratio\":%.3f,\"n\":1}\n",
               metric, context, *context ? "," : "", ours, bare, ours / bare);
}

/* The median with the many against that with none, ours and the kernel's own. */
static void report_growth(struct network *network, enum state state, enum step step) {
        double growth[2];
        char context[128];

        for (enum who who = OURS; who <= BARE; who++)
                growth[who] = sample_quantile(&network->samples[state][who][step], 0.5) /
                              sample_quantile(&network->samples[EMPTY][who][step], 0.5);
        snprintf(context, sizeof(context), "\"of\":\"%s\",\"taps\":%u,\"where\":\"%s\"",
                 step_names[step], network->taps, state_names[state]);
        report_number("growth", context, growth[OURS], growth[BARE]);
}

static void parse(int argc, char **argv, struct network *network, unsigned *roundsp) {
        static const struct option longs[] = {
                {"rounds", required_argument, NULL, 'n'},
                {"taps", required_argument, NULL, 't'},
                {"count", no_argument, NULL, 'c'},
                {},
        };
        int option;

        while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1)
                switch (option) {
                case 'n':
                        *roundsp = (unsigned)atoi(optarg);
                        break;
                case 't':
                        network->taps = (unsigned)atoi(optarg);
                        break;
                case 'c':
                        network->marks = true;
                        break;
                default:
                        errx(64, "usage: bench-network [--rounds N] [--taps N] | --count");
                }
}

int main(int argc, char **argv) {
        static struct network network = {.netlink = NETLINK_NULL, .taps = 1000};
        unsigned rounds = 8;
        struct why why = {};
        char name[IF_NAMESIZE];
        pid_t holder;

        parse(argc, argv, &network, &rounds);
        if (netlink_open(&network.netlink, &why))
                errx(1, "%s", why.text);
        network.bare_fd = bare_open();
        for (unsigned i = 0; i < 2; i++) {
                snprintf(name, sizeof(name), "benchbr%u", i);
                network.bridges[i] = (int)if_nametoindex(name);
                snprintf(name, sizeof(name), "benchifb%u", i);
                network.ifbs[i] = (int)if_nametoindex(name);
                if (!network.bridges[i] || !network.ifbs[i])
                        errx(1, "there is no benchbr%u with its benchifb%u", i, i);
                iproute_init(&network.iproutes[i], i, MAJOR + i, 0x10 + COMMANDS, OWNER);
        }
        if (network.marks) {
                for (enum who who = OURS; who <= BARE; who++)
                        for (unsigned i = 1; i <= COUNTED; i++) {
                                mark(&network, i < COUNTED ? "warm-up" : who_names[who]);
                                measure(&network, who, EMPTY, false);
                        }
                return 0;
        }

        measure_states(&network, EMPTY, EMPTY, (rounds + 1) / 2);
        holder = hold(&network, network.taps);
        measure_states(&network, BESIDE, WITHIN, rounds);
        release(holder);
        measure_states(&network, EMPTY, EMPTY, rounds / 2);

        report_number("setup_messages", "", network.messages[OURS][0], network.messages[BARE][0]);
        report_number("setup_answers", "", network.messages[OURS][0] + network.echoes,
                      network.messages[BARE][0]);
        report_number("teardown_messages", "", network.messages[OURS][1],
                      network.messages[BARE][1]);
        for (enum state state = EMPTY; state < STATE_N; state++) {
                report(&network, state);
                if (state == EMPTY)
                        continue;
                report_growth(&network, state, SETUP);
                report_growth(&network, state, TEARDOWN);
        }
        return 0;
}

/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "house.h"
#include "links.h"

#define PREFIX "provium:"
#define LINE_MAX_ 4096

/*
 * Programs
 */

static char *run_text(const char *line, int *statusp) {
        FILE *file = popen(line, "re");
        size_t used = 0, size = 1 << 16, n;
        char *text = malloc(size);

        need(file != NULL && text != NULL);
        while ((n = fread(text + used, 1, size - used - 1, file)) > 0) {
                used += n;
                if (used + 1 == size)
                        text = realloc(text, size *= 2);
        }
        text[used] = '\0';
        *statusp = pclose(file);
        return text;
}

void sh(const char *format, ...) {
        char line[LINE_MAX_], *text;
        va_list args;
        int status;

        va_start(args, format);
        vsnprintf(line, sizeof(line), format, args);
        va_end(args);
        text = run_text(line, &status);
        need_that(status == 0, "'%s' succeeds (%d; it said '%s')", line, status, text);
        free(text);
}

char *sh_text(const char *format, ...) {
        char line[LINE_MAX_];
        va_list args;
        int status;

        va_start(args, format);
        vsnprintf(line, sizeof(line), format, args);
        va_end(args);
        return run_text(line, &status);
}

json_t *sh_json(const char *format, ...) {
        char line[LINE_MAX_], *text;
        va_list args;
        json_t *value;
        int status;

        va_start(args, format);
        vsnprintf(line, sizeof(line), format, args);
        va_end(args);
        text = run_text(line, &status);
        /* tc prints nothing at all where there is nothing. */
        value = text[0] ? json_loads(text, 0, NULL) : json_array();
        free(text);
        return value ?: json_array();
}

static const char *text_of(const json_t *object, const char *key) {
        return json_string_value(json_object_get(object, key)) ?: "";
}

static bool begins(const char *text, const char *with) {
        return strncmp(text, with, strlen(with)) == 0;
}

/*
 * The bridge between house and links
 */

static void clear_links(void) {
        json_t *links = sh_json("ip -d -j link show");
        const json_t *link;
        size_t i;

        json_array_foreach(links, i, link) {
                const char *name = text_of(link, "ifname");
                const char *kind = text_of(json_object_get(link, "linkinfo"), "info_kind");

                if (kind[0] && strcmp(name, "lo") != 0)
                        free(sh_text("ip link del %s 2>&1", name));
        }
        json_decref(links);
}

void links_open(struct house *house, const char *conf, const char *slice) {
        clear_links();
        sh("ip link add br0 type bridge && ip link add br1 type bridge && "
           "ip link set br0 up && ip link set br1 up");
        house_open(house, conf, slice);
}

void links_close(struct house *house) {
        house_close(house);
        expect_int(links_count(PREFIX), 0);
        clear_links();
}

unsigned links_count(const char *alias) {
        json_t *links = sh_json("ip -j link show");
        const json_t *link;
        unsigned n = 0;
        size_t i;

        json_array_foreach(links, i, link) {
                n += begins(text_of(link, "ifalias"), alias);
        }
        json_decref(links);
        return n;
}

struct ifb links_ifb(void) {
        json_t *links = sh_json("ip -j link show type ifb");
        struct ifb ifb = {};
        const json_t *link;
        size_t i;

        json_array_foreach(links, i, link) {
                const char *alias = text_of(link, "ifalias");

                if (!begins(alias, PREFIX) || strcmp(strrchr(alias, ':'), ":ifb") != 0 ||
                    strstr(alias, "deadbeef"))
                        continue;
                expect_str(ifb.name, ""); /* only one */
                snprintf(ifb.name, sizeof(ifb.name), "%s", text_of(link, "ifname"));
                snprintf(ifb.tag, sizeof(ifb.tag), "%.8s", alias + strlen(PREFIX));
        }
        json_decref(links);
        return ifb;
}

/*
 * Classes
 */

/* "25Mbit", "8Kbit", "1500bit": tc's JSON knows nothing of HTB. */
static uint64_t rate_of(const char *line, const char *key) {
        const char *at = strstr(line, key);
        double value, unit = 1;
        char *end;

        if (!at)
                return 0;
        value = strtod(at + strlen(key), &end);
        unit = *end == 'K' ? 1e3 : *end == 'M' ? 1e6 : *end == 'G' ? 1e9 : *end == 'T' ? 1e12 : 1;
        return (uint64_t)(value * unit / 8 + 0.5);
}

static void take_kind(const json_t *qdiscs, struct class *class) {
        const json_t *qdisc;
        size_t i;

        json_array_foreach(qdiscs, i, qdisc) {
                if (strcmp(text_of(qdisc, "parent"), class->handle) == 0)
                        snprintf(class->leaf, sizeof(class->leaf), "%s", text_of(qdisc, "kind"));
        }
}

size_t links_classes(const char *dev, struct class *classes) {
        char *text = sh_text("tc -s class show dev %s 2>&1", dev), *line = text, *next;
        json_t *qdiscs = sh_json("tc -j qdisc show dev %s", dev);
        size_t n = 0;

        for (; line && n < CLASSES_MAX; line = next) {
                struct class *class = &classes[n];
                char word[32] = "";

                next = strchr(line, '\n');
                if (next)
                        *next++ = '\0';
                if (n > 0 && sscanf(line, " Sent %lu bytes", &classes[n - 1].bytes) == 1 &&
                    line[0] == ' ')
                        continue;
                *class = (struct class){};
                if (sscanf(line, "class htb %15s %31s %15s", class->handle, word, class->parent) <
                    2)
                        continue;
                if (strcmp(word, "parent") != 0)
                        class->parent[0] = '\0';
                class->rate = rate_of(line, " rate ");
                class->ceil = rate_of(line, " ceil ");
                take_kind(qdiscs, class);
                n++;
        }
        json_decref(qdiscs);
        free(text);
        return n;
}

static bool is_vms(const struct class *class) {
        const char *minor = strchr(class->handle, ':');

        return minor && strcmp(minor, ":1") != 0 && strcmp(minor, ":2") != 0;
}

size_t links_vm_classes(struct class *classes) {
        struct ifb ifb = links_ifb();
        size_t n = ifb.name[0] ? links_classes(ifb.name, classes) : 0, kept = 0;

        for (size_t i = 0; i < n; i++)
                if (is_vms(&classes[i]))
                        classes[kept++] = classes[i];
        return kept;
}

/*
 * One VM's
 */

/* Where it fails: the sentence, and false. */
#define WRONG(...) (snprintf(why, size, __VA_ARGS__), false)

static bool near(uint64_t is, uint64_t wanted) {
        uint64_t slack = wanted / 500 + 1; /* tc rounds */

        return is + slack >= wanted && is <= wanted + slack;
}

/* ip tells the name of one that has a name, and else the number. */
static bool is_of(const json_t *tun, const char *user) {
        const json_t *value = json_object_get(tun, "user");

        if (json_is_integer(value))
                return json_integer_value(value) == atoi(user ?: "0");
        return strcmp(json_string_value(value) ?: "", user ?: "root") == 0;
}

static bool tap_is(const json_t *link, const struct wanted *wanted, const char *bridge,
                   const char *mac, char *why, size_t size) {
        const json_t *info = json_object_get(link, "linkinfo");
        const json_t *tun = json_object_get(info, "info_data");
        const char *address = text_of(link, "address"), *name = text_of(link, "ifname");
        bool up = false, isolated;
        const json_t *flag;
        size_t i;

        if (strcmp(text_of(info, "info_kind"), "tun") != 0 ||
            strcmp(text_of(tun, "type"), "tap") != 0)
                return WRONG("%s is no tap", name);
        if (json_is_true(json_object_get(tun, "persist")))
                return WRONG("%s is persistent", name);
        if (!json_is_true(json_object_get(tun, "vnet_hdr")) ||
            !json_is_false(json_object_get(tun, "pi")))
                return WRONG("%s has no vnet_hdr, or packet information", name);
        if (!is_of(tun, wanted->user))
                return WRONG("%s is not of user '%s'", name, wanted->user ?: "root");
        if (wanted->queues > 1 &&
            json_integer_value(json_object_get(tun, "numqueues")) != wanted->queues)
                return WRONG("%s has not %u queues", name, wanted->queues);
        if (strcmp(text_of(link, "master"), bridge) != 0)
                return WRONG("%s is in '%s'", name, text_of(link, "master"));
        if (!begins(address, "fe:") || strcmp(address + 3, mac + 3) != 0 || begins(mac, "fe:"))
                return WRONG("%s has the address %s, its guest %s", name, address, mac);
        json_array_foreach(json_object_get(link, "flags"), i, flag) {
                up = up || strcmp(json_string_value(flag), "UP") == 0;
        }
        if (!up)
                return WRONG("%s is down", name);
        isolated =
                json_is_true(json_object_get(json_object_get(info, "info_slave_data"), "isolated"));
        if (isolated != wanted->isolated)
                return WRONG("%s is%s isolated", name, isolated ? "" : " not");
        return true;
}

static bool queues_are(const char *tap, uint64_t download, char *why, size_t size) {
        json_t *qdiscs = sh_json("tc -j qdisc show dev %s", tap);
        bool tbf = false, leaf = false, hook = false;
        const json_t *qdisc;
        uint64_t rate = 0;
        size_t i, n = json_array_size(qdiscs);

        json_array_foreach(qdiscs, i, qdisc) {
                if (strcmp(text_of(qdisc, "kind"), "tbf") == 0 &&
                    json_is_true(json_object_get(qdisc, "root"))) {
                        tbf = true;
                        rate = (uint64_t)json_integer_value(
                                json_object_get(json_object_get(qdisc, "options"), "rate"));
                }
                leaf = leaf || (strcmp(text_of(qdisc, "kind"), "fq_codel") == 0 &&
                                strcmp(text_of(qdisc, "parent"), "1:1") == 0);
                hook = hook || strcmp(text_of(qdisc, "kind"), "clsact") == 0;
        }
        json_decref(qdiscs);
        if (!tbf)
                return WRONG("%s has no TBF", tap);
        if (rate != download)
                return WRONG("TBF of %s: %ju and not %ju", tap, (uintmax_t)rate,
                             (uintmax_t)download);
        if (!leaf)
                return WRONG("%s has no fq_codel below its TBF", tap);
        if (!hook || n != 3)
                return WRONG("%s has no clsact, or something else beside", tap);
        return true;
}

/* The class that all frames at this hook are marked with, if they also go to the IFB; "" if nothing
 * is there, "?" if it is something else. */
static void filter_class(const char *tap, const char *hook, const char *ifb, char handle[16]) {
        json_t *filters = sh_json("tc -j filter show dev %s %s", tap, hook);
        const json_t *filter;
        size_t i;

        handle[0] = '\0';
        json_array_foreach(filters, i, filter) {
                const json_t *actions =
                        json_object_get(json_object_get(filter, "options"), "actions");
                const json_t *mark = json_array_get(actions, 0), *to = json_array_get(actions, 1);

                if (!json_object_get(filter, "options"))
                        continue; /* the head of the list */
                if (handle[0] || strcmp(text_of(filter, "kind"), "matchall") != 0 ||
                    strcmp(text_of(filter, "protocol"), "all") != 0 ||
                    json_array_size(actions) != 2 ||
                    strcmp(text_of(mark, "kind"), "skbedit") != 0 ||
                    strcmp(text_of(to, "kind"), "mirred") != 0 ||
                    strcmp(text_of(to, "mirred_action"), "redirect") != 0 ||
                    strcmp(text_of(to, "direction"), "egress") != 0 ||
                    strcmp(text_of(to, "to_dev"), ifb) != 0)
                        strcpy(handle, "?");
                else
                        snprintf(handle, 16, "%s", text_of(mark, "priority"));
        }
        json_decref(filters);
}

static bool class_is(const struct class *classes, size_t n, const char *handle, bool upload,
                     uint64_t rate, uint64_t ceil, char *why, size_t size) {
        char parent[16] = "";

        if (upload)
                snprintf(parent, sizeof(parent), "%.*s:1", (int)strcspn(handle, ":"), handle);
        for (size_t i = 0; i < n; i++) {
                const struct class *class = &classes[i];

                if (strcmp(class->handle, handle) != 0)
                        continue;
                if (strcmp(class->parent, parent) != 0)
                        return WRONG("class %s is below '%s'", handle, class->parent);
                if (!near(class->rate, rate) || !near(class->ceil, ceil))
                        return WRONG("class %s: rate %ju, ceil %ju and not %ju, %ju", handle,
                                     (uintmax_t) class->rate, (uintmax_t) class->ceil,
                                     (uintmax_t)rate, (uintmax_t)ceil);
                if (strcmp(class->leaf, "fq_codel") != 0)
                        return WRONG("class %s has the queue '%s'", handle, class->leaf);
                return true;
        }
        return WRONG("there is no class '%s'", handle);
}

/* The N-th word of a list. */
static void word_at(const char *list, size_t n, char *word, size_t size) {
        for (; n > 0 && list; n--) {
                list = strchr(list, ' ');
                list += list != NULL;
        }
        snprintf(word, size, "%.*s", list ? (int)strcspn(list, " ") : 0, list ?: "");
}

static bool shaping_is(const struct wanted *wanted, const char *tap, const char *ifb, bool several,
                       char up[16], char down[16], char *why, size_t size) {
        char handle[16];

        if (!queues_are(tap, wanted->download, why, size))
                return false;
        filter_class(tap, "ingress", ifb, handle);
        if (up[0] ? strcmp(up, handle) != 0 : !handle[0] || handle[0] == '?')
                return WRONG("%s: the filter of uploads says '%s'", tap, handle);
        strcpy(up, handle);
        filter_class(tap, "egress", ifb, handle);
        if (!several ? handle[0] != '\0'
                     : (down[0] ? strcmp(down, handle) != 0 : !handle[0] || handle[0] == '?'))
                return WRONG("%s: the filter of downloads says '%s'", tap, handle);
        strcpy(down, handle);
        return true;
}

static bool vm_is(const json_t *vm, const struct wanted *wanted, char *why, size_t size) {
        static struct class classes[CLASSES_MAX];
        const char *id = text_of(vm, "id");
        const json_t *nets = json_object_get(vm, "nets"), *net, *link;
        struct ifb ifb = links_ifb();
        char up[16] = "", down[16] = "", word[32];
        size_t n = json_array_size(nets), i, j, n_classes, found = 0;
        json_t *links;
        bool good = true;

        word_at(wanted->bridges, n, word, sizeof(word));
        if (word[0])
                return WRONG("it has %zu taps", n);
        links = sh_json("ip -d -j link show");
        json_array_foreach(nets, i, net) {
                char alias[64];

                snprintf(alias, sizeof(alias), PREFIX "%s:%s:%zu", ifb.tag, id, i);
                word_at(wanted->bridges, i, word, sizeof(word));
                json_array_foreach(links, j, link) {
                        const char *name = text_of(link, "ifname");

                        if (strcmp(text_of(link, "ifalias"), alias) != 0 || !good)
                                continue;
                        found++;
                        good = strcmp(name, text_of(net, "tap")) == 0 &&
                               strcmp(text_of(net, "bridge"), word) == 0;
                        if (!good)
                                snprintf(why, size, "%s is told as %s on %s", name,
                                         text_of(net, "tap"), text_of(net, "bridge"));
                        good = good && tap_is(link, wanted, word, text_of(net, "mac"), why, size) &&
                               shaping_is(wanted, name, ifb.name, n > 1, up, down, why, size);
                }
        }
        json_decref(links);
        if (!good)
                return false;
        if (found != n)
                return WRONG("%zu taps have its mark", found);
        n_classes = links_classes(ifb.name, classes);
        return class_is(classes, n_classes, up, true, wanted->rate, wanted->ceil, why, size) &&
               (n == 1 || class_is(classes, n_classes, down, false, wanted->download,
                                   wanted->download, why, size));
}

bool links_are(const struct wanted *wanted, char *why, size_t size) {
        json_t *reply = ask("Show", json_pack("{s:s}", "vm", wanted->vm));
        const json_t *vm = json_object_get(json_object_get(reply, "parameters"), "vm");
        bool good = vm ? vm_is(vm, wanted, why, size) : WRONG("there is no VM '%s'", wanted->vm);

        json_decref(reply);
        return good;
}

void expect_links(const struct wanted *wanted) {
        char why[256] = "";
        bool good = links_are(wanted, why, sizeof(why));

        expect_that(good, "'%s' has the network that it should: %s", wanted->vm, why);
}

struct waiting {
        const struct wanted *wanted;
        char why[256];
};

static bool are_so(void *userdata) {
        struct waiting *waiting = userdata;

        return links_are(waiting->wanted, waiting->why, sizeof(waiting->why));
}

void wait_links(const struct wanted *wanted) {
        struct waiting waiting = {.wanted = wanted};
        bool good = wait_until(are_so, &waiting, HOUSE_WAIT_MS);

        expect_that(good, "'%s' gets the network that it should: %s", wanted->vm, waiting.why);
}

struct left {
        unsigned taps, qdiscs;
        size_t classes;
};

static bool nothing_left(void *userdata) {
        static struct class classes[CLASSES_MAX];
        struct left *left = userdata;
        struct ifb ifb = links_ifb();

        *left = (struct left){.taps = links_count(PREFIX)};
        if (!ifb.name[0])
                return left->taps == 0;
        left->taps -= 1;
        left->classes = links_vm_classes(classes);
        json_t *qdiscs = sh_json("tc -j qdisc show dev %s", ifb.name);
        left->qdiscs = (unsigned)json_array_size(qdiscs);
        json_decref(qdiscs);
        return left->taps == 0 && left->classes == 0 && left->qdiscs <= 2;
}

bool links_gone(void) {
        struct left left;

        return nothing_left(&left);
}

void expect_no_links(void) {
        struct left left = {};
        bool good = wait_until(nothing_left, &left, HOUSE_WAIT_MS);

        expect_that(good, "nothing of VMs is left: %u links, %zu classes, %u qdiscs on the IFB",
                    left.taps, left.classes, left.qdiscs);
}

char *links_of_others(const char *devs) {
        /* Of bridges that they are ports of, flags and addresses follow the ports. */
        return sh_text("for d in %s; do ip -d -j link show $d | jq -cS '.[] | "
                       "{ifname,ifindex,flags,qdisc,master,address,ifalias,mtu}'; "
                       "tc qdisc show dev $d | sed 's/direct_packets_stat [0-9]*//'; "
                       "tc class show dev $d; tc filter show dev $d; "
                       "tc filter show dev $d ingress; done",
                       devs);
}

/*
 * What the broker says
 */

static json_t *show(const char *vm) {
        json_t *reply = ask("Show", json_pack("{s:s}", "vm", vm)), *parameters;

        parameters = json_incref(json_object_get(reply, "parameters"));
        json_decref(reply);
        need_that(parameters != NULL, "'%s' is shown", vm);
        return parameters;
}

char *shown(const char *vm, const char *group, const char *key) {
        json_t *parameters = show(vm);
        char *text = strdup(text_of(json_object_get(parameters, group), key));

        json_decref(parameters);
        return text;
}

bool noted(const char *vm, const char *text) {
        json_t *parameters = show(vm);
        char *notes = json_dumps(json_object_get(parameters, "notes"), 0);
        bool found = notes && strstr(notes, text);

        free(notes);
        json_decref(parameters);
        return found;
}

char *tap_of(const char *vm, unsigned n) {
        json_t *parameters = show(vm);
        const json_t *nets = json_object_get(json_object_get(parameters, "vm"), "nets");
        char *name = strdup(text_of(json_array_get(nets, n), "tap"));

        json_decref(parameters);
        return name;
}

char *id_of(const char *vm) {
        json_t *parameters = show(vm);
        char *id = strdup(text_of(json_object_get(parameters, "vm"), "id"));

        json_decref(parameters);
        return id;
}

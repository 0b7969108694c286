/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <base/text.h>
#include <base/why.h>
#include <cgroup/device_rule.h>

#define LETTERS "rwm"
#define NAME_DEFAULT_ACCESS (DEVICE_READ | DEVICE_WRITE)

/* Numbers from Linux' Documentation/admin-guide/devices.txt: they do not change, and the file may
 * not be there yet (its module comes later). */
static const struct known {
        const char *name;
        uint32_t major, minor;
        bool terminal;
} known_devices[DEVICE_DEFAULTS_MAX] = {
        {"null", 1, 3, false},       {"zero", 1, 5, false},         {"full", 1, 7, false},
        {"random", 1, 8, false},     {"urandom", 1, 9, false},      {"kvm", 10, 232, false},
        {"net/tun", 10, 200, false}, {"vhost-net", 10, 238, false}, {"vhost-vsock", 10, 241, false},
        {"tty", 5, 0, true},         {"ptmx", 5, 2, true},          {"pts", 136, DEVICE_ANY, true},
};

static int invalid(struct why *why, const char *text, const char *what) {
        char quoted[DEVICE_WORD_MAX + 32];

        return why_set(why, DEVICE_RULE_E_INVALID,
                       "'%s' is no device rule: %s; valid is a name below /dev with r, w or rw "
                       "behind it (\"kvm\", \"vfio/12 rw\"), or type, numbers and access (\"c "
                       "10:232 rw\", \"c 136:* rw\")",
                       text_escape(text, quoted, sizeof(quoted)), what);
}

/* "rw": each letter once at most. 0: not that. */
static unsigned parse_access(const char *text, size_t length) {
        static const unsigned bits[] = {DEVICE_READ, DEVICE_WRITE, DEVICE_MKNOD};
        unsigned access = 0;

        for (size_t i = 0; i < length; i++) {
                const char *letter = strchr(LETTERS, text[i]);

                if (!text[i] || !letter || (access & bits[letter - LETTERS]))
                        return 0;
                access |= bits[letter - LETTERS];
        }
        return access;
}

/* A number up to @most, or "*". Moves *textp behind it. */
static bool parse_number(const char **textp, uint32_t most, uint32_t *numberp) {
        const char *at = *textp;
        uint32_t number = 0;

        if (*at == '*') {
                *numberp = DEVICE_ANY;
                *textp = at + 1;
                return true;
        }
        if (*at < '0' || *at > '9')
                return false;
        for (; *at >= '0' && *at <= '9'; at++) {
                number = number * 10 + (uint32_t)(*at - '0');
                if (number > most)
                        return false;
        }
        *numberp = number;
        *textp = at;
        return true;
}

/* "c 10:232 rw", whose type and blank have been seen. */
static int parse_numbers(struct device_rule *rulep, const char *text, struct why *why) {
        struct device_rule rule = {.type = text[0]};
        const char *at = text + 2;

        if (!parse_number(&at, DEVICE_MAJOR_MAX, &rule.major))
                return invalid(why, text, "the major number is * or 0 to 4095");
        if (*at++ != ':')
                return invalid(why, text, "there is no ':' behind the major number");
        if (!parse_number(&at, DEVICE_MINOR_MAX, &rule.minor))
                return invalid(why, text, "the minor number is * or 0 to 1048575");
        if (*at++ != ' ')
                return invalid(why, text, "there is no access behind the numbers");
        rule.access = parse_access(at, strlen(at));
        if (!rule.access)
                return invalid(why, text, "the access is of the letters r, w and m, each once");
        *rulep = rule;
        return 0;
}

/* Names as udev makes them, that do not lead out of /dev. */
static bool is_name(const char *name) {
        const char *at = name;

        for (; *at; at++) {
                bool begins = at == name || at[-1] == '/';

                if (begins && (*at == '/' || *at == '.'))
                        return false;
                if (!(*at >= 'a' && *at <= 'z') && !(*at >= 'A' && *at <= 'Z') &&
                    !(*at >= '0' && *at <= '9') && !strchr("/._-+:@,=#", *at))
                        return false;
        }
        return at > name && at[-1] != '/';
}

static const struct known *find_known(const char *name) {
        for (size_t i = 0; i < ARRAY_SIZE(known_devices); i++)
                if (strcmp(known_devices[i].name, name) == 0)
                        return &known_devices[i];
        return NULL;
}

/* What the file below /dev says. Returns 0 or a positive errno, ENODEV if it is no device. */
static int look_up(struct device_rule *rule, int dev_fd, const char *name) {
        struct stat st;

        if (fstatat(dev_fd, name, &st, 0) < 0)
                return errno;
        if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
                return ENODEV;
        rule->type = S_ISCHR(st.st_mode) ? 'c' : 'b';
        rule->major = major(st.st_rdev);
        rule->minor = minor(st.st_rdev);
        return 0;
}

/* A known name is what it is called: another kind of file in its place does not count. */
static void resolve_known(struct device_rule *rule, int dev_fd, const struct known *known) {
        struct device_rule found = {};

        *rule = (struct device_rule){'c', known->major, known->minor, rule->access};
        if (known->minor == DEVICE_ANY)
                return;
        if (look_up(&found, dev_fd, known->name) == 0 && found.type == 'c') {
                rule->major = found.major;
                rule->minor = found.minor;
        }
}

static int parse_name(struct device_rule *rulep, int dev_fd, const char *text, struct why *why) {
        const char *begin = strncmp(text, "/dev/", 5) == 0 ? text + 5 : text;
        struct device_rule rule = {.access = NAME_DEFAULT_ACCESS};
        size_t length = strcspn(begin, " ");
        char name[DEVICE_WORD_MAX + 1];
        const struct known *known;
        int error;

        snprintf(name, sizeof(name), "%.*s", (int)length, begin);
        if (!is_name(name))
                return invalid(why, text, "this is not the name of a device below /dev");
        if (begin[length]) {
                rule.access = parse_access(begin + length + 1, strlen(begin + length + 1));
                if (!rule.access)
                        return invalid(why, text,
                                       "the access is of the letters r, w and m, each once");
        }

        known = find_known(name);
        if (known) {
                resolve_known(&rule, dev_fd, known);
                *rulep = rule;
                return 0;
        }
        error = look_up(&rule, dev_fd, name);
        if (error == ENODEV)
                return why_set(why, DEVICE_RULE_E_ABSENT, "/dev/%s is no device", name);
        if (error)
                return why_errno(why, DEVICE_RULE_E_ABSENT, error, "there is no /dev/%s", name);
        *rulep = rule;
        return 0;
}

int device_rule_parse(struct device_rule *rulep, int dev_fd, const char *text, struct why *why) {
        if (!*text)
                return invalid(why, text, "it is empty");
        if (strlen(text) > DEVICE_WORD_MAX)
                return invalid(why, text, "it is too long");
        if ((text[0] == 'c' || text[0] == 'b') && text[1] == ' ')
                return parse_numbers(rulep, text, why);
        return parse_name(rulep, dev_fd, text, why);
}

int device_rule_default(int dev_fd, bool terminal, struct device_rule *rules, size_t n, size_t *np,
                        struct why *why) {
        size_t used = 0;

        for (size_t i = 0; i < ARRAY_SIZE(known_devices); i++) {
                if (known_devices[i].terminal && !terminal)
                        continue;
                if (used == n)
                        return why_set(why, DEVICE_RULE_E_MANY,
                                       "there is no room for the devices of a hypervisor");
                rules[used].access = NAME_DEFAULT_ACCESS;
                resolve_known(&rules[used++], dev_fd, &known_devices[i]);
        }
        *np = used;
        return 0;
}

static const char *format_number(uint32_t number, char text[16]) {
        if (number == DEVICE_ANY)
                return "*";
        snprintf(text, 16, "%u", number);
        return text;
}

const char *device_rule_format(const struct device_rule *rule, char *buffer, size_t size) {
        char first[16], second[16];

        snprintf(buffer, size, "%c %s:%s %s%s%s", rule->type, format_number(rule->major, first),
                 format_number(rule->minor, second), rule->access & DEVICE_READ ? "r" : "",
                 rule->access & DEVICE_WRITE ? "w" : "", rule->access & DEVICE_MKNOD ? "m" : "");
        return buffer;
}

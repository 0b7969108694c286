/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <base/why.h>
#include <cgroup/iomax.h>

#define LINE_MAX_BYTES 4096
#define LIMIT_TEXT_MAX 160
#define DEVICE_DIGITS_MAX 10
#define WEIGHT_MAX 10000
#define BFQ_WEIGHT_MAX 1000

struct word {
        const char *text;
        size_t length;
};

/* ---- lines ----------------------------------------------------------------------------------- */

static bool parse_number(const char *text, size_t length, uint64_t *valuep) {
        uint64_t value = 0;

        if (length == 0)
                return false;
        for (size_t i = 0; i < length; i++) {
                if (text[i] < '0' || text[i] > '9')
                        return false;
                if (__builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
                        return false;
        }
        *valuep = value;
        return true;
}

static bool next_word(const char **textp, const char *end, struct word *word) {
        const char *at = *textp;

        while (at < end && *at == ' ')
                at++;
        word->text = at;
        while (at < end && *at != ' ')
                at++;
        word->length = (size_t)(at - word->text);
        *textp = at;
        return word->length > 0;
}

static bool parse_device(const struct word *word, dev_t *devp) {
        const char *colon = memchr(word->text, ':', word->length);
        uint64_t high, low;

        if (!colon || word->length > 2 * DEVICE_DIGITS_MAX + 1 ||
            !parse_number(word->text, (size_t)(colon - word->text), &high) ||
            !parse_number(colon + 1, (size_t)(word->text + word->length - colon - 1), &low) ||
            high > UINT32_MAX || low > UINT32_MAX)
                return false;
        *devp = makedev((unsigned)high, (unsigned)low);
        return true;
}

/* Splits "key=VALUE"; "max" is UINT64_MAX. */
static bool parse_pair(const struct word *word, struct word *key, uint64_t *valuep) {
        const char *equals = memchr(word->text, '=', word->length);
        struct word value;

        if (!equals)
                return false;
        *key = (struct word){.text = word->text, .length = (size_t)(equals - word->text)};
        value.text = equals + 1;
        value.length = word->length - key->length - 1;
        if (value.length == 3 && memcmp(value.text, "max", 3) == 0) {
                *valuep = UINT64_MAX;
                return true;
        }
        return parse_number(value.text, value.length, valuep);
}

static bool word_is(const struct word *word, const char *text) {
        return word->length == strlen(text) && memcmp(word->text, text, word->length) == 0;
}

bool iomax_parse(const char *line, size_t length, dev_t *devp, struct io_limit *limitp) {
        struct io_limit limit = IO_UNLIMITED;
        const char *end = line + length;
        struct word word, key;
        uint64_t value;
        dev_t dev;

        if (!next_word(&line, end, &word) || !parse_device(&word, &dev))
                return false;
        while (next_word(&line, end, &word)) {
                if (!parse_pair(&word, &key, &value))
                        return false;
                if (word_is(&key, "rbps"))
                        limit.read_bytes_per_s = value;
                else if (word_is(&key, "wbps"))
                        limit.write_bytes_per_s = value;
                else if (word_is(&key, "riops"))
                        limit.read_ios_per_s = value;
                else if (word_is(&key, "wiops"))
                        limit.write_ios_per_s = value;
        }
        *devp = dev;
        *limitp = limit;
        return true;
}

bool iostat_parse(const char *line, size_t length, dev_t *devp, struct io_use *usep) {
        const char *end = line + length;
        struct io_use use = {};
        struct word word, key;
        uint64_t value;
        dev_t dev;

        if (!next_word(&line, end, &word) || !parse_device(&word, &dev))
                return false;
        while (next_word(&line, end, &word)) {
                /* Some kernels leave out the newline after a device that has nothing to tell. */
                if (parse_device(&word, &dev))
                        continue;
                /* io.cost and io.latency add words of their own ("cost.usage=", "depth="). */
                if (!parse_pair(&word, &key, &value))
                        continue;
                if (word_is(&key, "rbytes"))
                        use.read_bytes = value;
                else if (word_is(&key, "wbytes"))
                        use.write_bytes = value;
                else if (word_is(&key, "rios"))
                        use.read_ios = value;
                else if (word_is(&key, "wios"))
                        use.write_ios = value;
        }
        *devp = dev;
        *usep = use;
        return true;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Calls @fn for each line until it says false. Returns 0 or a positive errno; a host with many
 * disks has more than fits any buffer, so it is read by pieces. */
typedef bool (*line_fn)(void *userdata, const char *line, size_t length);

static int each_line(int fd, line_fn fn, void *userdata) {
        char text[LINE_MAX_BYTES];
        size_t used = 0;
        off_t offset = 0;

        for (;;) {
                ssize_t n = pread(fd, text + used, sizeof(text) - used, offset);
                char *line = text, *end;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno;
                if (n == 0)
                        return 0;
                offset += n;
                used += (size_t)n;
                while ((end = memchr(line, '\n', used - (size_t)(line - text)))) {
                        if (!fn(userdata, line, (size_t)(end - line)))
                                return 0;
                        line = end + 1;
                }
                used -= (size_t)(line - text);
                if (used == sizeof(text))
                        return EFBIG;
                memmove(text, line, used);
        }
}

/* A file that is missing from a group that is there is a controller's. */
static bool is_gone(int dir_fd, int errnum) {
        return (errnum == ENOENT || errnum == ENODEV) &&
               faccessat(dir_fd, "cgroup.procs", F_OK, 0) < 0;
}

static int refuse_file(int dir_fd, const char *file, const char *verb, int code, int errnum,
                       struct why *why) {
        if (is_gone(dir_fd, errnum))
                code = CGROUP_E_GONE;
        else if (errnum == ENOENT)
                return why_errno(why, code, errnum,
                                 "cannot %s %s: is the controller io switched on for this group?",
                                 verb, file);
        return why_errno(why, code, errnum, "cannot %s %s", verb, file);
}

struct search {
        dev_t dev;
        struct io_limit limit;
        struct io_use use;
};

static bool find_limit(void *userdata, const char *line, size_t length) {
        struct search *search = userdata;
        struct io_limit limit;
        dev_t dev;

        if (!iomax_parse(line, length, &dev, &limit) || dev != search->dev)
                return true;
        search->limit = limit;
        return false;
}

static bool find_use(void *userdata, const char *line, size_t length) {
        struct search *search = userdata;
        struct io_use use;
        dev_t dev;

        if (!iostat_parse(line, length, &dev, &use) || dev != search->dev)
                return true;
        search->use = use;
        return false;
}

static int read_file(int dir_fd, const char *file, line_fn fn, void *userdata, struct why *why) {
        _cleanup_(fd_closep) int fd = -1;
        int r;

        fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return refuse_file(dir_fd, file, "open", CGROUP_E_HOST, errno, why);
        r = each_line(fd, fn, userdata);
        return r ? refuse_file(dir_fd, file, "read", CGROUP_E_HOST, r, why) : 0;
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* The kernel keeps requests per second in 32 bits, all ones for none. */
static struct io_limit as_kernel_keeps(const struct io_limit *limit) {
        struct io_limit kept = *limit;

        if (kept.read_ios_per_s >= UINT32_MAX)
                kept.read_ios_per_s = IO_NO_LIMIT;
        if (kept.write_ios_per_s >= UINT32_MAX)
                kept.write_ios_per_s = IO_NO_LIMIT;
        return kept;
}

static const char *number(uint64_t value, char text[24]) {
        if (value == IO_NO_LIMIT)
                return "max";
        snprintf(text, 24, "%llu", (unsigned long long)value);
        return text;
}

static size_t format(char text[LIMIT_TEXT_MAX], dev_t dev, const struct io_limit *limit) {
        char a[24], b[24], c[24], d[24];

        return (size_t)snprintf(
                text, LIMIT_TEXT_MAX, "%u:%u rbps=%s wbps=%s riops=%s wiops=%s", major(dev),
                minor(dev), number(limit->read_bytes_per_s, a), number(limit->write_bytes_per_s, b),
                number(limit->read_ios_per_s, c), number(limit->write_ios_per_s, d));
}

static int compare(dev_t dev, const struct io_limit *wanted, const struct io_limit *found,
                   struct why *why) {
        char wanted_text[LIMIT_TEXT_MAX], found_text[LIMIT_TEXT_MAX];

        if (found->read_bytes_per_s == wanted->read_bytes_per_s &&
            found->write_bytes_per_s == wanted->write_bytes_per_s &&
            found->read_ios_per_s == wanted->read_ios_per_s &&
            found->write_ios_per_s == wanted->write_ios_per_s)
                return 0;
        format(wanted_text, dev, wanted);
        format(found_text, dev, found);
        return why_set(why, CGROUP_E_LIMIT, "io.max should be '%s' but reads '%s'", wanted_text,
                       found_text);
}

static int refuse_limit(int dir_fd, const char *text, int errnum, struct why *why) {
        if (is_gone(dir_fd, errnum))
                return why_errno(why, CGROUP_E_GONE, errnum, "cannot write io.max");
        return why_errno(why, CGROUP_E_LIMIT, errnum, "cannot write '%s' to io.max%s", text,
                         errnum == ENODEV ? ": the device is gone, or a partition" : "");
}

int iomax_apply(int dir_fd, dev_t dev, const struct io_limit *limit, struct why *why) {
        struct search search = {.dev = dev, .limit = IO_UNLIMITED};
        struct io_limit wanted = as_kernel_keeps(limit);
        _cleanup_(fd_closep) int fd = -1;
        char text[LIMIT_TEXT_MAX];
        size_t length;
        ssize_t n;
        int r;

        fd = openat(dir_fd, "io.max", O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return refuse_file(dir_fd, "io.max", "open", CGROUP_E_LIMIT, errno, why);
        length = format(text, dev, &wanted);
        do
                n = write(fd, text, length);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return refuse_limit(dir_fd, text, errno, why);
        r = each_line(fd, find_limit, &search);
        if (r)
                return refuse_file(dir_fd, "io.max", "read back", CGROUP_E_LIMIT, r, why);
        return compare(dev, &wanted, &search.limit, why);
}

int iomax_read(int dir_fd, dev_t dev, struct io_limit *limit, struct why *why) {
        struct search search = {.dev = dev, .limit = IO_UNLIMITED};
        int r;

        r = read_file(dir_fd, "io.max", find_limit, &search, why);
        if (r)
                return r;
        *limit = search.limit;
        return 0;
}

int iomax_verify(int dir_fd, dev_t dev, const struct io_limit *limit, struct why *why) {
        struct io_limit wanted = as_kernel_keeps(limit), found;
        int r;

        r = iomax_read(dir_fd, dev, &found, why);
        return r ?: compare(dev, &wanted, &found, why);
}

struct visit {
        iomax_fn fn;
        void *userdata;
};

static bool visit_line(void *userdata, const char *line, size_t length) {
        struct visit *visit = userdata;
        struct io_limit limit;
        dev_t dev;

        if (iomax_parse(line, length, &dev, &limit))
                visit->fn(visit->userdata, dev, &limit);
        return true;
}

int iomax_each(int dir_fd, iomax_fn fn, void *userdata, struct why *why) {
        struct visit visit = {.fn = fn, .userdata = userdata};

        return read_file(dir_fd, "io.max", visit_line, &visit, why);
}

int iostat_read(int dir_fd, dev_t dev, struct io_use *use, struct why *why) {
        struct search search = {.dev = dev};
        int r;

        r = read_file(dir_fd, "io.stat", find_use, &search, why);
        if (r)
                return r;
        *use = search.use;
        return 0;
}

/* ---- weights --------------------------------------------------------------------------------- */

static bool find_default(void *userdata, const char *line, size_t length) {
        uint64_t *valuep = userdata;
        static const char word[] = "default ";

        if (length < sizeof(word) || memcmp(line, word, sizeof(word) - 1) != 0)
                return true;
        return !parse_number(line + sizeof(word) - 1, length - sizeof(word) + 1, valuep);
}

static int weight_write(int dir_fd, const char *file, uint64_t weight, bool *setp,
                        struct why *why) {
        _cleanup_(fd_closep) int fd = -1;
        uint64_t found = 0;
        int r;

        fd = openat(dir_fd, file, O_RDWR | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT && !is_gone(dir_fd, errno))
                return 0;
        if (fd < 0)
                return refuse_file(dir_fd, file, "open", CGROUP_E_LIMIT, errno, why);
        if (dprintf(fd, "default %llu", (unsigned long long)weight) < 0)
                return refuse_file(dir_fd, file, "write", CGROUP_E_LIMIT, errno, why);
        r = each_line(fd, find_default, &found);
        if (r)
                return refuse_file(dir_fd, file, "read back", CGROUP_E_LIMIT, r, why);
        if (found != weight)
                return why_set(why, CGROUP_E_LIMIT, "%s was set to %llu but reads %llu", file,
                               (unsigned long long)weight, (unsigned long long)found);
        *setp = true;
        return 0;
}

int ioweight_apply(int dir_fd, uint64_t weight, bool *setp, struct why *why) {
        uint64_t bfq_weight = max_u64(1, weight * BFQ_WEIGHT_MAX / WEIGHT_MAX);
        bool set = false;
        int r;

        assert(weight >= 1 && weight <= WEIGHT_MAX);
        /* Both, where both are: which of them acts is decided by each disk's scheduler. */
        r = weight_write(dir_fd, "io.weight", weight, &set, why);
        if (!r)
                r = weight_write(dir_fd, "io.bfq.weight", bfq_weight, &set, why);
        if (!r)
                *setp = set;
        return r;
}

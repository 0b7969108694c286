/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <proto/call.h>
#include <proto/request.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "house.h"

uint64_t now_us(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t now_ms(void) {
        return now_us() / 1000;
}

static int left_ms(uint64_t until_ms) {
        uint64_t now = now_ms();

        return until_ms > now ? (int)(until_ms - now) : 0;
}

bool pidfd_wait(int pidfd, int timeout_ms) {
        struct pollfd pollfd = {pidfd, POLLIN, 0};

        return poll(&pollfd, 1, timeout_ms) == 1;
}

bool wait_until(bool (*done)(void *userdata), void *userdata, int timeout_ms) {
        uint64_t until = now_ms() + (uint64_t)timeout_ms;

        while (!done(userdata)) {
                if (now_ms() >= until)
                        return false;
                poll(NULL, 0, 5);
        }
        return true;
}

/*
 * Files
 */

void file_get(const char *path, char *text, size_t size) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = 0;

        text[0] = '\0';
        if (fd < 0)
                return;
        n = read(fd, text, size - 1);
        text[n > 0 ? n : 0] = '\0';
        close(fd);
        while (n > 0 && text[n - 1] == '\n')
                text[--n] = '\0';
}

int file_put(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CLOEXEC), error = 0;

        if (fd < 0)
                return errno;
        if (write(fd, text, strlen(text)) < 0)
                error = errno;
        close(fd);
        return error;
}

json_int_t file_key(const char *path, const char *key) {
        char text[8192];
        size_t length = strlen(key);

        file_get(path, text, sizeof(text));
        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, key, length) == 0 && line[length] == ' ')
                        return strtoll(line + length + 1, NULL, 10);
        }
        return -1;
}

static void write_file(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        need_that(fd >= 0, "cannot write %s: %s", path, strerror(errno));
        need_int(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
}

unsigned count_fds(pid_t pid) {
        char path[64];
        struct dirent *entry;
        unsigned n = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/fd", pid);
        dir = opendir(path);
        while (dir && (entry = readdir(dir)))
                n += entry->d_name[0] != '.';
        if (dir)
                closedir(dir);
        return n;
}

uint64_t rss_kib(pid_t pid) {
        char path[64], text[4096], *line;

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        file_get(path, text, sizeof(text));
        line = strstr(text, "RssAnon:");
        return line ? strtoull(line + 8, NULL, 10) : 0;
}

/*
 * The broker
 */

char *house_log(void) {
        static const size_t size = 1 << 20;
        char *text = calloc(1, size);

        file_get(HOUSE_LOG, text, size);
        return text;
}

bool house_log_has(const char *text) {
        char *log = house_log();
        bool has = strstr(log, text);

        free(log);
        return has;
}

static void print_log(void) {
        char *log = house_log();
        size_t length = strlen(log), from = length > 3000 ? length - 3000 : 0;

        printf("          the broker's log ends:\n%s\n", log + from);
        fflush(stdout);
        free(log);
}

void house_conf(const char *conf) {
        write_file(HOUSE_ETC "/broker.conf", conf);
}

void house_gates(const char *text) {
        mkdir(HOUSE_DIR "/vendor", 0755);
        mkdir(HOUSE_DIR "/vendor/broker.conf.d", 0755);
        write_file(HOUSE_DIR "/vendor/broker.conf.d/gates.conf", text ?: HOUSE_GATES);
}

void house_slice(const char *name, const char *text) {
        char path[256];

        snprintf(path, sizeof(path), HOUSE_ETC "/slices/%s.slice", name);
        write_file(path, text);
}

static void notify_open(struct house *house) {
        struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = HOUSE_DIR "/notify"};

        /* Nobody reads all of it, and sd_notify waits for room. */
        file_put("/proc/sys/net/unix/max_dgram_qlen", "100000");
        unlink(address.sun_path);
        house->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        need(house->notify_fd >= 0);
        need_int(bind(house->notify_fd, (struct sockaddr *)&address, sizeof(address)), 0);
        setenv("NOTIFY_SOCKET", address.sun_path, 1);
}

/* Of the test that runs, or of one that was left in its middle. */
#define JOBS_MAX 256
static pid_t last_broker, last_jobs[JOBS_MAX];

static void remove_groups(const char *path) {
        DIR *dir = opendir(path);
        struct dirent *entry;

        while (dir && (entry = readdir(dir))) {
                char child[2048];

                if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
                        continue;
                snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
                remove_groups(child);
        }
        if (dir)
                closedir(dir);
        rmdir(path);
}

static bool root_is_gone(void *userdata) {
        file_put(HOUSE_ROOT "/cgroup.kill", "1");
        remove_groups(HOUSE_ROOT);
        return access(HOUSE_ROOT, F_OK) < 0;
}

/* What a test that failed in the middle has left must not fail the next one. */
static void clear_away(void) {
        if (last_broker > 0) {
                kill(last_broker, SIGKILL);
                waitpid(last_broker, NULL, 0);
        }
        last_broker = 0;
        for (size_t i = 0; i < JOBS_MAX; i++) {
                if (last_jobs[i] > 0) {
                        kill(last_jobs[i], SIGKILL);
                        waitpid(last_jobs[i], NULL, 0);
                }
                last_jobs[i] = 0;
        }
        if (!wait_until(root_is_gone, NULL, HOUSE_WAIT_MS))
                printf("          the groups of an earlier test cannot be removed\n");
}

void house_open(struct house *house, const char *conf, const char *slice) {
        if (!getenv("PROVIUM_RIG") || strcmp(getenv("PROVIUM_RIG"), "guest") != 0)
                unit_skip("this does not run in the rig");
        *house = (struct house){.pidfd = -1, .notify_fd = -1};
        clear_away();
        mkdir(HOUSE_DIR, 0755);
        mkdir(HOUSE_ETC, 0755);
        mkdir(HOUSE_ETC "/slices", 0755);
        unlink(HOUSE_LOG);
        house_conf(conf ?: HOUSE_CONF);
        house_gates(NULL);
        house_slice("t", slice ?: HOUSE_SLICE);
        notify_open(house);
        setenv("PROVIUM_SOCKET", HOUSE_SOCKET, 1);
        house_start(house);
}

static void exec_broker(const char *const *wrapper) {
        static const char *const broker[] = {"provium-broker",
                                             "--config-dir",
                                             HOUSE_ETC,
                                             "--vendor-dir",
                                             HOUSE_DIR "/vendor",
                                             "--run-dir",
                                             HOUSE_DIR "/run",
                                             "--state-dir",
                                             HOUSE_STATE,
                                             "--cgroup-root",
                                             "house",
                                             "--no-systemd",
                                             NULL};
        const char *words[64];
        size_t n = 0;
        int fd;

        for (; wrapper && *wrapper; wrapper++)
                words[n++] = *wrapper;
        for (size_t i = 0; broker[i]; i++)
                words[n++] = broker[i];
        words[n] = NULL;
        fd = open(HOUSE_LOG, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        dup2(fd, 1);
        dup2(fd, 2);
        execvp(words[0], (char *const *)words);
        _exit(127);
}

/* Waits for a message with @word from the broker; false when it ended or time is up. */
static bool notified(struct house *house, const char *word, int timeout_ms) {
        uint64_t until = now_ms() + (uint64_t)timeout_ms;

        for (;;) {
                struct pollfd fds[] = {{house->notify_fd, POLLIN, 0}, {house->pidfd, POLLIN, 0}};
                char text[1024];
                ssize_t n;

                if (poll(fds, 2, left_ms(until)) <= 0)
                        return false;
                if (!fds[0].revents)
                        return false;
                n = recv(house->notify_fd, text, sizeof(text) - 1, 0);
                text[n > 0 ? n : 0] = '\0';
                if (strstr(text, word))
                        return true;
        }
}

int house_try_start(struct house *house, const char *const *wrapper) {
        char text[1024];
        pid_t before;
        int status;

        /* What an earlier one still said is not this one's. */
        while (recv(house->notify_fd, text, sizeof(text), MSG_DONTWAIT) > 0)
                ;
        before = last_broker;
        house->broker = fork();
        if (house->broker == 0)
                exec_broker(wrapper);
        last_broker = house->broker;
        house->pidfd = pidfd_open(house->broker, 0);
        house->starts++;
        if (notified(house, "READY=1", HOUSE_WAIT_MS))
                return -1;
        need(waitpid(house->broker, &status, WNOHANG) == house->broker);
        last_broker = before;
        close(house->pidfd);
        house->pidfd = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void house_start_with(struct house *house, const char *const *wrapper) {
        int r = house_try_start(house, wrapper);

        if (r >= 0)
                print_log();
        need_that(r < 0, "the broker starts (it left with %d)", r);
}

void house_start(struct house *house) {
        house_start_with(house, NULL);
}

void house_stop(struct house *house) {
        int status = -1;

        kill(house->broker, SIGTERM);
        if (!pidfd_wait(house->pidfd, HOUSE_WAIT_MS)) {
                print_log();
                kill(house->broker, SIGKILL);
        }
        waitpid(house->broker, &status, 0);
        if (status != 0)
                print_log();
        expect_int(status, 0);
        last_broker = 0;
        close(house->pidfd);
        house->pidfd = -1;
}

void house_kill(struct house *house) {
        int status = -1;

        kill(house->broker, SIGKILL);
        waitpid(house->broker, &status, 0);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
                print_log();
        expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        last_broker = 0;
        close(house->pidfd);
        house->pidfd = -1;
}

void house_reload(struct house *house) {
        char text[1024];

        while (recv(house->notify_fd, text, sizeof(text), MSG_DONTWAIT) > 0)
                ;
        kill(house->broker, SIGHUP);
        need(notified(house, "RELOADING=1", HOUSE_WAIT_MS));
        need(notified(house, "READY=1", HOUSE_WAIT_MS));
}

static void end_list(const json_t *list, const char *key) {
        const json_t *item;
        size_t i;

        json_array_foreach(list, i, item) {
                json_t *reply = ask("Kill", json_pack("{s:O s:i}", "vm", json_object_get(item, key),
                                                      "grace_usec", 0));

                json_decref(reply);
        }
}

void house_end_all(struct house *house) {
        json_t *reply = ask("List", NULL), *parameters = json_object_get(reply, "parameters");

        end_list(json_object_get(parameters, "waiting"), "ticket_id");
        end_list(json_object_get(parameters, "vms"), "id");
        json_decref(reply);
}

static bool nothing_held(void *userdata) {
        struct tree tree;

        tree_walk(&tree);
        return tree.vms == 0 && count_vms() == 0 && count_waiting() == 0;
}

void house_close(struct house *house) {
        static const char *const resources[] = {"cpu",     "memory",  "disk",
                                                "disk_io", "network", "gpu"};

        house_end_all(house);
        if (!wait_until(nothing_held, NULL, HOUSE_WAIT_MS)) {
                print_log();
                expect_that(false, "nothing is left at the end: %d VMs, %d waiting",
                            (int)count_vms(), (int)count_waiting());
        }
        for (size_t i = 0; i < 6; i++)
                expect_int(allocated(resources[i]), 0);
        house_stop(house);
        close(house->notify_fd);
        house->notify_fd = -1;
        expect_int(access(HOUSE_ROOT "/t.slice", F_OK), -1);
        unlink(HOUSE_LOG);
}

/*
 * The wire
 */

bool line_open_at(struct line *line, const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        strcpy(address.sun_path, path);
        *line = (struct line){.stream = STREAM_NULL};
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
                if (fd >= 0)
                        close(fd);
                return false;
        }
        stream_init(&line->stream, fd);
        line->stream.in_max = STREAM_OUT_MAX;
        return true;
}

bool line_open(struct line *line) {
        return line_open_at(line, HOUSE_SOCKET);
}

void line_close(struct line *line) {
        stream_deinit(&line->stream);
        line->stream.fd = -1;
}

void line_call(struct line *line, const char *method, json_t *parameters, bool more, const int *fds,
               size_t n_fds) {
        int copies[STREAM_FDS_MAX], r;
        size_t length;
        char name[128], *text;

        for (size_t i = 0; i < n_fds; i++)
                copies[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        if (n_fds > 0)
                stream_give_fds(&line->stream, copies, n_fds);
        snprintf(name, sizeof(name), "%s%s", strchr(method, '.') ? "" : PROTO_INTERFACE ".",
                 method);
        text = call_format(name, parameters, more, &length);
        need(text != NULL);
        r = stream_queue(&line->stream, text, length);
        free(text);
        need_int(r, 0);
        do {
                struct pollfd pollfd = {line->stream.fd, POLLOUT, 0};

                r = stream_flush(&line->stream, NULL);
                if (r == STREAM_E_AGAIN)
                        poll(&pollfd, 1, HOUSE_WAIT_MS);
        } while (r == STREAM_E_AGAIN);
}

void line_run(struct line *line, json_t *parameters) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        int dir_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        const int fds[] = {null_fd, null_fd, null_fd, dir_fd};

        line_call(line, "Run", parameters, true, fds, 4);
        close(null_fd);
        close(dir_fd);
}

bool line_raw(struct line *line, const void *bytes, size_t size) {
        const char *at = bytes;

        while (size > 0) {
                ssize_t n = send(line->stream.fd, at, size, MSG_NOSIGNAL);

                if (n <= 0)
                        return false;
                at += n;
                size -= (size_t)n;
        }
        return true;
}

json_t *line_reply(struct line *line, int timeout_ms, bool *timeoutp) {
        uint64_t until = now_ms() + (uint64_t)timeout_ms;
        const char *message;
        size_t length;
        json_t *reply;

        if (timeoutp)
                *timeoutp = false;
        while (stream_next(&line->stream, &message, &length)) {
                struct pollfd pollfd = {line->stream.fd, POLLIN, 0};
                int r = stream_fill(&line->stream, NULL);

                if (r == STREAM_E_AGAIN) {
                        if (poll(&pollfd, 1, left_ms(until)) > 0)
                                continue;
                        if (timeoutp)
                                *timeoutp = true;
                        return NULL;
                }
                if (r)
                        return NULL;
        }
        reply = json_loadb(message, length, 0, NULL);
        need_that(reply != NULL, "a reply is JSON: %.*s", (int)length, message);
        return reply;
}

const char *reply_word(const json_t *reply) {
        const char *error = json_string_value(json_object_get(reply, "error"));

        if (error)
                return strncmp(error, PROTO_INTERFACE ".", strlen(PROTO_INTERFACE) + 1) == 0
                               ? error + strlen(PROTO_INTERFACE) + 1
                               : error;
        return json_string_value(json_object_get(json_object_get(reply, "parameters"), "state"));
}

static const json_t *reply_member(const json_t *reply, const char *member) {
        const json_t *parameters = json_object_get(reply, "parameters");
        const json_t *value = json_object_get(json_object_get(parameters, "run"), member);

        return value ?: json_object_get(parameters, member);
}

const char *reply_text(const json_t *reply, const char *member) {
        return json_string_value(reply_member(reply, member));
}

json_int_t reply_number(const json_t *reply, const char *member) {
        const json_t *value = reply_member(reply, member);

        return json_is_integer(value) ? json_integer_value(value) : -1;
}

json_t *line_wait(struct line *line, const char *word) {
        for (;;) {
                bool timeout;
                json_t *reply = line_reply(line, HOUSE_WAIT_MS, &timeout);
                const char *is = reply_word(reply);

                if (is && strcmp(is, word) == 0)
                        return reply;
                if (!reply || strcmp(is ?: "", "queued") != 0) {
                        char *text = reply ? json_dumps(reply, 0)
                                           : strdup(timeout ? "nothing" : "the end");

                        if (!reply || strcmp(is ?: "", "started") != 0) {
                                print_log();
                                need_that(false, "'%s' comes, not %s", word, text);
                        }
                        free(text);
                }
                json_decref(reply);
        }
}

json_t *ask(const char *method, json_t *parameters) {
        struct line line;
        json_t *reply;
        bool timeout;

        if (!line_open(&line)) {
                print_log();
                need_that(false, "the broker can be reached with %s", method);
        }
        line_call(&line, method, parameters, false, NULL, 0);
        reply = line_reply(&line, HOUSE_WAIT_MS, &timeout);
        line_close(&line);
        if (!reply)
                print_log();
        need_that(reply != NULL, "%s is answered", method);
        return reply;
}

json_t *ask_as(uid_t uid, const char *method, json_t *parameters) {
        char text[65536];
        json_t *reply;
        size_t used = 0;
        int fds[2];
        pid_t pid;
        ssize_t n;

        need_int(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                struct line line;
                char *dump;

                if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0 ||
                    !line_open(&line))
                        _exit(1);
                line_call(&line, method, parameters, false, NULL, 0);
                reply = line_reply(&line, HOUSE_WAIT_MS, NULL);
                dump = json_dumps(reply, 0);
                n = write(fds[1], dump ?: "", dump ? strlen(dump) : 0);
                _exit(0);
        }
        close(fds[1]);
        while ((n = read(fds[0], text + used, sizeof(text) - used)) > 0)
                used += (size_t)n;
        close(fds[0]);
        waitpid(pid, NULL, 0);
        json_decref(parameters);
        reply = json_loadb(text, used, 0, NULL);
        need_that(reply != NULL, "%s of user %u is answered", method, uid);
        return reply;
}

static json_t *resources(void) {
        json_t *reply = ask("Resources", NULL), *object;

        object = json_incref(json_object_get(json_object_get(reply, "parameters"), "resources"));
        json_decref(reply);
        need(object != NULL);
        return object;
}

json_int_t allocated(const char *resource) {
        json_t *object = resources();
        json_int_t value;

        value = json_integer_value(json_object_get(json_object_get(object, resource), "allocated"));
        json_decref(object);
        return value;
}

static json_int_t queue_number(const char *member) {
        json_t *object = resources();
        json_int_t value;

        value = json_integer_value(json_object_get(json_object_get(object, "queue"), member));
        json_decref(object);
        return value;
}

json_int_t count_vms(void) {
        return queue_number("vms");
}

json_int_t count_waiting(void) {
        return queue_number("waiting");
}

static int by_id(const void *a, const void *b) {
        const json_t *const *x = a, *const *y = b;
        const char *one = json_string_value(json_object_get(*x, "instance_id"));
        const char *two = json_string_value(json_object_get(*y, "instance_id"));

        return strcmp(one ?: "", two ?: "");
}

/* Allocations are told oldest first, but a broker that was started finds them in the tree's order.
 */
char *ledger_text(void) {
        json_t *object = resources(), *list = json_object_get(object, "allocations"), *sorted;
        size_t n = json_array_size(list);
        json_t **items = calloc(n + 1, sizeof(*items));
        char *text;

        for (size_t i = 0; i < n; i++)
                items[i] = json_array_get(list, i);
        qsort(items, n, sizeof(*items), by_id);
        sorted = json_array();
        for (size_t i = 0; i < n; i++)
                json_array_append(sorted, items[i]);
        free(items);
        json_object_set_new(object, "allocations", sorted);
        /* What lies on the disk is not in the books, and comes when it was counted; nor is how the
         * host is at the moment. */
        json_object_del(object, "disk_breakdown");
        json_object_del(object, "pressure");
        list = json_object_get(object, "slices");
        for (size_t i = 0; i < json_array_size(list); i++)
                json_object_del(json_array_get(list, i), "pressure");
        text = json_dumps(object, JSON_SORT_KEYS | JSON_COMPACT);
        json_decref(object);
        return text;
}

/*
 * Events
 */

void news_open(struct news *news) {
        json_t *reply;

        *news = (struct news){};
        need(line_open(&news->line));
        line_call(&news->line, "Events", NULL, true, NULL, 0);
        reply = line_reply(&news->line, HOUSE_WAIT_MS, NULL);
        need(reply != NULL);
        json_decref(reply);
}

void news_close(struct news *news) {
        line_close(&news->line);
        json_decref(news->list);
        news->list = NULL;
}

static const json_t *next_told(struct news *news, int timeout_ms) {
        while (!news->list || news->at >= json_array_size(news->list)) {
                json_t *reply = line_reply(&news->line, timeout_ms, NULL);

                json_decref(news->list);
                news->list = NULL;
                news->at = 0;
                if (!reply)
                        return NULL;
                news->list = json_incref(
                        json_object_get(json_object_get(reply, "parameters"), "events"));
                json_decref(reply);
        }
        return json_array_get(news->list, news->at++);
}

/* What is sold is told every second, whatever happens: no news. */
const json_t *news_next(struct news *news, int timeout_ms) {
        uint64_t until = now_ms() + (uint64_t)timeout_ms;
        const json_t *event;

        do {
                event = next_told(news, left_ms(until));
        } while (event && strcmp(json_string_value(json_object_get(event, "kind")) ?: "",
                                 "pool_state") == 0);
        return event;
}

const json_t *news_wait(struct news *news, const char *kind, const char *name) {
        uint64_t until = now_ms() + HOUSE_WAIT_MS;
        const json_t *event;

        while ((event = news_next(news, left_ms(until)))) {
                const char *is = json_string_value(json_object_get(event, "kind"));
                const char *whose = json_string_value(json_object_get(event, "name"));

                if (strcmp(is ?: "", kind) == 0 && (!name || strcmp(whose ?: "", name) == 0))
                        return event;
        }
        print_log();
        need_that(false, "an event '%s' of '%s' comes", kind, name ?: "anything");
        return NULL;
}

/*
 * Jobs
 */

static void remember_job(pid_t from, pid_t to) {
        for (size_t i = 0; i < JOBS_MAX; i++)
                if (last_jobs[i] == from) {
                        last_jobs[i] = to;
                        return;
                }
}

void job_start(struct job *job, const char *const *words) {
        int out[2], err[2];

        memset(job, 0, sizeof(*job));
        need_int(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
        need_int(pipe2(err, O_CLOEXEC | O_NONBLOCK), 0);
        job->pid = fork();
        if (job->pid == 0) {
                int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

                dup2(null_fd, 0);
                dup2(out[1], 1);
                dup2(err[1], 2);
                fcntl(1, F_SETFL, 0);
                fcntl(2, F_SETFL, 0);
                execvp(words[0], (char *const *)words);
                _exit(127);
        }
        need(job->pid > 0);
        remember_job(0, job->pid);
        job->pidfd = pidfd_open(job->pid, 0);
        close(out[1]);
        close(err[1]);
        job->out_fd = out[0];
        job->err_fd = err[0];
}

static void drain(int fd, char *text, size_t size, size_t *usedp) {
        char rest[4096];
        ssize_t n;

        if (fd < 0)
                return;
        do {
                bool room = *usedp < size - 1;

                n = room ? read(fd, text + *usedp, size - 1 - *usedp)
                         : read(fd, rest, sizeof(rest));
                if (n > 0 && room)
                        *usedp += (size_t)n;
        } while (n > 0);
        text[*usedp] = '\0';
}

void job_drain(struct job *job) {
        drain(job->out_fd, job->out, sizeof(job->out), &job->n_out);
        drain(job->err_fd, job->err, sizeof(job->err), &job->n_err);
}

static void job_wait_text(struct job *job, const char *stream, const char *text) {
        uint64_t until = now_ms() + HOUSE_WAIT_MS;

        for (;;) {
                struct pollfd fds[] = {{job->out_fd, POLLIN, 0}, {job->err_fd, POLLIN, 0}};

                job_drain(job);
                if (strstr(stream, text))
                        return;
                if (poll(fds, 2, left_ms(until)) <= 0 ||
                    ((fds[0].revents | fds[1].revents) & POLLIN) == 0)
                        break;
        }
        print_log();
        need_that(false, "it says '%s'; it said '%s' and '%s'", text, job->out, job->err);
}

void job_wait_out(struct job *job, const char *text) {
        job_wait_text(job, job->out, text);
}

void job_wait_err(struct job *job, const char *text) {
        job_wait_text(job, job->err, text);
}

int job_wait(struct job *job, int timeout_ms) {
        uint64_t until = now_ms() + (uint64_t)timeout_ms;
        int status = 0;

        /* A job that writes more than a pipe holds must not wait for us. */
        for (;;) {
                struct pollfd fds[] = {{job->pidfd, POLLIN, 0},
                                       {job->out_fd, POLLIN, 0},
                                       {job->err_fd, POLLIN, 0}};

                if (poll(fds, 3, left_ms(until)) <= 0)
                        return -1;
                job_drain(job);
                if (fds[0].revents)
                        break;
                for (int i = 1; i < 3; i++)
                        if ((fds[i].revents & (POLLHUP | POLLIN)) == POLLHUP) {
                                close(fds[i].fd);
                                *(i == 1 ? &job->out_fd : &job->err_fd) = -1;
                        }
        }
        waitpid(job->pid, &status, 0);
        remember_job(job->pid, 0);
        close(job->pidfd);
        if (job->out_fd >= 0)
                close(job->out_fd);
        if (job->err_fd >= 0)
                close(job->err_fd);
        job->out_fd = job->err_fd = job->pidfd = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int job_run(struct job *job, const char *const *words) {
        int status;

        job_start(job, words);
        status = job_wait(job, HOUSE_WAIT_MS);
        if (status < 0) {
                job_kill(job, SIGKILL);
                job_wait(job, HOUSE_WAIT_MS);
                print_log();
                need_that(false, "'%s %s' ends in time; it said '%s' and '%s'", words[0],
                          words[1] ?: "", job->out, job->err);
        }
        return status;
}

void job_kill(struct job *job, int signo) {
        pidfd_send_signal(job->pidfd, signo, NULL, 0);
}

/*
 * The tree
 */

char *vm_path(const char *name) {
        json_t *reply = ask("Show", json_pack("{s:s}", "vm", name));
        const json_t *vm = json_object_get(json_object_get(reply, "parameters"), "vm");
        const char *path = json_string_value(json_object_get(vm, "cgroup"));
        char *copy = path ? strdup(path) : NULL;

        json_decref(reply);
        need_that(copy != NULL, "VM '%s' is there", name);
        return copy;
}

void vm_file(const char *name, const char *file, char *text, size_t size) {
        char *dir = vm_path(name), path[1024];

        snprintf(path, sizeof(path), "%s/%s", dir, file);
        free(dir);
        file_get(path, text, size);
}

#define TREE_VMS_MAX 4096

struct tree_vm {
        char path[128]; /* below the root */
        uint64_t memory, cpu_usec;
};

static bool read_at(int dir_fd, const char *name, const char *file, char *text, size_t size) {
        char path[512];
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "%s/%s", name, file);
        fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
        n = fd >= 0 ? read(fd, text, size - 1) : -1;
        if (fd >= 0)
                close(fd);
        text[n > 0 ? n : 0] = '\0';
        return n > 0;
}

/* "max": being made, before its limit. It is sold, but nothing runs in it. False: it is gone. */
static bool look_at_vm(int root_fd, struct tree_vm *vm) {
        uint64_t quota = 0, period = 1;
        char text[64];

        if (!read_at(root_fd, vm->path, "memory.max", text, sizeof(text)))
                return false;
        vm->memory = strncmp(text, "max", 3) == 0 ? 0 : strtoull(text, NULL, 10);
        if (!read_at(root_fd, vm->path, "cpu.max", text, sizeof(text)))
                return false;
        vm->cpu_usec = sscanf(text, "%lu %lu", &quota, &period) == 2 ? quota * 100000 / period : 0;
        return true;
}

/*
 * What was seen in a walk need not have been there at one instant. But what was seen, and is still
 * there when the walk is over, was there when it ended, all of it: names do not come back.
 */
void tree_walk(struct tree *tree) {
        static struct tree_vm vms[TREE_VMS_MAX];
        DIR *root = opendir(HOUSE_ROOT), *slice;
        struct dirent *entry, *vm;
        size_t n = 0;

        *tree = (struct tree){};
        while (root && (entry = readdir(root))) {
                int fd;

                if (!strstr(entry->d_name, ".slice"))
                        continue;
                fd = openat(dirfd(root), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                slice = fd >= 0 ? fdopendir(fd) : NULL;
                while (slice && (vm = readdir(slice)) && n < TREE_VMS_MAX) {
                        if (!strstr(vm->d_name, ".vm"))
                                continue;
                        snprintf(vms[n].path, sizeof(vms[n].path), "%.60s/%.60s", entry->d_name,
                                 vm->d_name);
                        n += look_at_vm(dirfd(root), &vms[n]);
                }
                if (slice)
                        closedir(slice);
        }
        for (size_t i = 0; i < n; i++) {
                if (faccessat(dirfd(root), vms[i].path, F_OK, 0) < 0)
                        continue;
                tree->vms++;
                tree->memory_max += vms[i].memory;
                tree->cpu_usec += vms[i].cpu_usec;
        }
        if (root)
                closedir(root);
}

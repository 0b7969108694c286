/* SPDX-License-Identifier: MIT */
/*
 * The arguments of a child on their way to the launcher: what arrives is what was meant, and what
 * is not the like is told from it, whichever byte lies.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <base/fd.h>
#include <launcher/wire_spawn.h>

#include "unit.h"

#define N_FILES 128
#define PLACE_FIRST 11 /* the word of the head after what there is and ten counts */
#define PLACES 6       /* the group, stdio, the directory, the socket */

static int files[N_FILES];

static void open_files(void) {
        for (size_t i = 0; i < N_FILES; i++) {
                files[i] = memfd_create("passed", MFD_CLOEXEC);
                need(files[i] > 2);
        }
}

static ino_t inode_of(int fd) {
        struct stat st;

        return fd >= 0 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* Arguments with everything there is. */
struct everything {
        struct child_args args;
        struct child_quota quota;
        struct child_open open;
        struct child_walls walls;
        struct sock_fprog program;
        struct sock_filter filter[5];
        gid_t groups[3], open_groups[4];
        int pass[CHILD_PASS_MAX];
        struct child_learn learn;
};

static char *words[] = {(char *)"vm", (char *)"", (char *)"-name with space", NULL};
static char *envp[] = {(char *)"A=1", (char *)"LONGER_THAN_EIGHT=2", NULL};
static char *paths[] = {(char *)"/usr/bin/vm", (char *)"/bin/vm", NULL};
static char *none[] = {NULL};

static void fill_walls(struct child_walls *walls) {
        *walls = (struct child_walls){
                .namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWCGROUP,
                .read_only = true,
                .own_dev = true,
                .drop_capabilities = true,
                .core_dumps = true,
                .cwd = "/srv/images",
                .n_nodes = CHILD_NODES_MAX,
        };
        for (size_t i = 0; i < walls->n_nodes; i++) {
                walls->nodes[i] = (struct child_node){
                        .mode = S_IFCHR | 0600, .dev = i << 8, .uid = 7, .gid = (gid_t)i};
                snprintf(walls->nodes[i].path, CHILD_NODE_PATH_MAX, "vfio/%zu", i);
        }
        memset(walls->nodes[1].path, 'n', CHILD_NODE_PATH_MAX - 1);
}

/* Every descriptor another one, but for one that is passed twice and those that are opened, which
 * are passed, too. */
static void fill(struct everything *all) {
        size_t at = 0;

        *all = (struct everything){.groups = {5, 6, 7}, .open_groups = {8, 9, 10, 11}};
        all->args = (struct child_args){
                .argv = words,
                .envp = envp,
                .paths = paths,
                .cgroup_fd = files[at++],
                .mark_name = "user.mark",
                .bell_file = "cgroup.procs",
                .quota = &all->quota,
                .open = &all->open,
                .pass = all->pass,
                .n_pass = CHILD_PASS_MAX,
                .set_identity = true,
                .uid = 1000,
                .gid = 1001,
                .groups = all->groups,
                .n_groups = ARRAY_SIZE(all->groups),
                .lock_memory = true,
                .walls = &all->walls,
                .seccomp = &all->program,
                .learn = &all->learn,
        };
        for (size_t i = 0; i < 3; i++)
                all->args.stdio[i] = files[at++];
        all->args.cwd_fd = files[at++];
        all->learn.socket_fd = files[at++];
        for (size_t i = 0; i < CHILD_PASS_MAX; i++)
                all->pass[i] = files[at++];
        all->pass[1] = all->pass[0];
        all->quota = (struct child_quota){.project = CHILD_PROJECT_MIN,
                                          .limit_kib = UINT64_C(1) << 40,
                                          .uid = 1002,
                                          .n_files = CHILD_QUOTA_FILES_MAX};
        for (size_t i = 0; i < CHILD_QUOTA_FILES_MAX; i++) {
                all->quota.fds[i] = files[at++];
                all->quota.owners[i] = (uid_t)i;
        }
        all->open = (struct child_open){.uid = 1003,
                                        .gid = 1004,
                                        .groups = all->open_groups,
                                        .n_groups = ARRAY_SIZE(all->open_groups),
                                        .n_files = CHILD_OPEN_MAX};
        for (size_t i = 0; i < CHILD_OPEN_MAX; i++)
                all->open.files[i] = (struct child_file){
                        .fd = all->pass[i], .read_only = i % 2, .name = (unsigned)i + 3};
        fill_walls(&all->walls);
        for (size_t i = 0; i < ARRAY_SIZE(all->filter); i++)
                all->filter[i] = (struct sock_filter){.code = (unsigned short)i, .k = 77};
        all->program = (struct sock_fprog){ARRAY_SIZE(all->filter), all->filter};
        need(at <= N_FILES);
}

/* ---- the same, and the same file behind another number ---- */

static void expect_list(char *const *is, char *const *wanted) {
        size_t i = 0;

        for (; wanted[i]; i++)
                expect_str(is[i], wanted[i]);
        expect(is[i] == NULL);
}

static void expect_file(int is, int wanted) {
        expect_uint(inode_of(is), inode_of(wanted));
        expect(is != wanted || is < 0);
}

static void expect_walls(const struct child_walls *is, const struct child_walls *wanted) {
        expect_uint(is->namespaces, wanted->namespaces);
        expect_int(is->read_only, wanted->read_only);
        expect_int(is->own_proc, wanted->own_proc);
        expect_int(is->own_dev, wanted->own_dev);
        expect_int(is->own_tmp, wanted->own_tmp);
        expect_int(is->drop_capabilities, wanted->drop_capabilities);
        expect_int(is->batch, wanted->batch);
        expect_int(is->core_dumps, wanted->core_dumps);
        expect_str(is->cwd, wanted->cwd);
        expect_uint(is->n_nodes, wanted->n_nodes);
        for (size_t i = 0; i < is->n_nodes; i++) {
                const struct child_node *node = &is->nodes[i], *other = &wanted->nodes[i];

                expect_str(node->path, other->path);
                expect(node->mode == other->mode && node->dev == other->dev &&
                       node->uid == other->uid && node->gid == other->gid);
        }
}

static void expect_disks(const struct child_args *is, const struct child_args *wanted) {
        expect_uint(is->quota->project, wanted->quota->project);
        expect_uint(is->quota->limit_kib, wanted->quota->limit_kib);
        expect_uint(is->quota->uid, wanted->quota->uid);
        need_int(is->quota->n_files, wanted->quota->n_files);
        for (size_t i = 0; i < is->quota->n_files; i++) {
                expect_file(is->quota->fds[i], wanted->quota->fds[i]);
                expect_uint(is->quota->owners[i], wanted->quota->owners[i]);
        }
        expect_uint(is->open->uid, wanted->open->uid);
        expect_uint(is->open->gid, wanted->open->gid);
        need_int(is->open->n_groups, wanted->open->n_groups);
        expect(memcmp(is->open->groups, wanted->open->groups, 4 * sizeof(gid_t)) == 0);
        need_int(is->open->n_files, wanted->open->n_files);
        for (size_t i = 0; i < is->open->n_files; i++) {
                expect_file(is->open->files[i].fd, wanted->open->files[i].fd);
                expect_int(is->open->files[i].read_only, wanted->open->files[i].read_only);
                expect_uint(is->open->files[i].name, wanted->open->files[i].name);
                expect_int(is->open->files[i].fd, is->pass[i]);
        }
}

static void expect_args(const struct child_args *is, const struct child_args *wanted) {
        expect_list(is->argv, wanted->argv);
        expect_list(is->envp, wanted->envp);
        expect_list(is->paths, wanted->paths);
        expect_str(is->mark_name, wanted->mark_name);
        expect_str(is->bell_file, wanted->bell_file);
        expect_file(is->cgroup_fd, wanted->cgroup_fd);
        for (size_t i = 0; i < 3; i++)
                expect_file(is->stdio[i], wanted->stdio[i]);
        expect_file(is->cwd_fd, wanted->cwd_fd);
        need_int(is->n_pass, wanted->n_pass);
        for (size_t i = 0; i < is->n_pass; i++)
                expect_file(is->pass[i], wanted->pass[i]);
        expect_int(is->set_identity, wanted->set_identity);
        expect_int(is->lock_memory, wanted->lock_memory);
        expect_uint(is->uid, wanted->uid);
        expect_uint(is->gid, wanted->gid);
        need_int(is->n_groups, wanted->n_groups);
        expect(memcmp(is->groups, wanted->groups, 3 * sizeof(gid_t)) == 0);
        expect_file(is->learn->socket_fd, wanted->learn->socket_fd);
        need_int(is->seccomp->len, wanted->seccomp->len);
        expect(memcmp(is->seccomp->filter, wanted->seccomp->filter,
                      is->seccomp->len * sizeof(struct sock_filter)) == 0);
}

static void everything_arrives_as_it_was_meant(void) {
        struct wire_request request = {};
        int fds[WIRE_FDS_MAX], pair[2], status = -1;
        struct wire_buffer buffer = {};
        struct wire_fds sent;
        struct wire_spawn spawn;
        struct everything all;
        char *payload;
        size_t n = 0;
        pid_t pid;

        open_files();
        fill(&all);
        need_int(wire_spawn_write(&buffer, &sent, &all.args), 0);
        /* One is passed twice, those to be opened are passed anyway. */
        expect_uint(sent.n, 6 + CHILD_PASS_MAX - 1 + CHILD_QUOTA_FILES_MAX);
        need_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        request.length = (uint32_t)buffer.n;
        pid = fork();
        if (pid == 0)
                _exit(wire_send(pair[1], &request, sizeof(request), buffer.bytes, buffer.n, sent.fd,
                                sent.n));
        need_int(wire_receive(pair[0], &request, sizeof(request), fds, WIRE_FDS_MAX, &n), 0);
        payload = calloc(1, request.length + 1);
        need(payload != NULL);
        need_int(wire_receive_payload(pair[0], payload, request.length), 0);
        expect(waitpid(pid, &status, 0) == pid && status == 0);

        need_int(wire_spawn_read(&spawn, payload, request.length, fds, n), 0);
        expect_args(&spawn.args, &all.args);
        expect_disks(&spawn.args, &all.args);
        expect_walls(spawn.args.walls, &all.walls);
        expect_int(spawn.args.pass[0], spawn.args.pass[1]);
        expect(spawn.args.note == NULL);
        wire_spawn_deinit(&spawn);
        wire_buffer_deinit(&buffer);
        fd_close_many(fds, n);
        fd_close_many(pair, 2);
        fd_close_many(files, N_FILES);
        free(payload);
}

static void the_least_arrives_with_nothing_added(void) {
        char *argv_only[] = {(char *)"x", NULL};
        struct child_args args = {.argv = argv_only,
                                  .envp = none,
                                  .paths = none,
                                  .cgroup_fd = 10,
                                  .stdio = {11, 11, 11},
                                  .cwd_fd = -1};
        struct wire_buffer buffer = {};
        struct wire_spawn spawn;
        struct wire_fds sent;
        char *payload;

        need_int(wire_spawn_write(&buffer, &sent, &args), 0);
        expect_uint(sent.n, 2);
        payload = calloc(1, buffer.n + 1);
        need(payload != NULL);
        memcpy(payload, buffer.bytes, buffer.n);
        need_int(wire_spawn_read(&spawn, payload, buffer.n, sent.fd, sent.n), 0);
        expect_list(spawn.args.argv, argv_only);
        expect_list(spawn.args.envp, none);
        expect_list(spawn.args.paths, none);
        expect_int(spawn.args.cgroup_fd, 10);
        expect_int(spawn.args.stdio[2], 11);
        expect_int(spawn.args.cwd_fd, -1);
        expect(!spawn.args.mark_name && !spawn.args.bell_file && !spawn.args.quota &&
               !spawn.args.open && !spawn.args.walls && !spawn.args.seccomp && !spawn.args.learn);
        expect(!spawn.args.set_identity && !spawn.args.lock_memory);
        expect_uint(spawn.args.n_pass + spawn.args.n_groups, 0);
        wire_spawn_deinit(&spawn);
        wire_buffer_deinit(&buffer);
        free(payload);
}

static void what_is_too_long_is_refused_and_the_next_is_not(void) {
        char *text = malloc(WIRE_LENGTH_MAX + 1), *large[] = {text, NULL};
        struct child_args args = {.argv = large, .cgroup_fd = -1, .stdio = {-1, -1, -1}};
        struct wire_buffer buffer = {};
        struct wire_fds sent;

        need(text != NULL);
        memset(text, 'a', WIRE_LENGTH_MAX);
        text[WIRE_LENGTH_MAX] = '\0';
        expect_int(wire_spawn_write(&buffer, &sent, &args), E2BIG);
        /* In two that fit each by itself. */
        text[WIRE_LENGTH_MAX / 2 + 100] = '\0';
        args.envp = large;
        expect_int(wire_spawn_write(&buffer, &sent, &args), E2BIG);
        args.envp = none;
        expect_int(wire_spawn_write(&buffer, &sent, &args), 0);
        wire_buffer_deinit(&buffer);
        free(text);
}

/* ---- payloads that lie ---- */

struct lie {
        struct wire_buffer buffer;
        struct wire_fds sent;
        int fds[WIRE_FDS_MAX];
        struct everything all;
};

/* Descriptors that are only numbers: none is touched by reading. */
static void lie_open(struct lie *lie) {
        for (size_t i = 0; i < N_FILES; i++)
                files[i] = 1000 + (int)i;
        *lie = (struct lie){};
        fill(&lie->all);
        need_int(wire_spawn_write(&lie->buffer, &lie->sent, &lie->all.args), 0);
        memcpy(lie->fds, lie->sent.fd, sizeof(lie->fds));
}

static bool is_within(const char *text, const char *payload, size_t length) {
        return text >= payload && text < payload + length &&
               strlen(text) < (size_t)(payload + length - text);
}

static bool is_ours(const struct lie *lie, int fd) {
        for (size_t i = 0; i < lie->sent.n; i++)
                if (lie->fds[i] == fd)
                        return true;
        return false;
}

/* Whatever it says, it says nothing that is not there. */
static void expect_sound(const struct lie *lie, const struct wire_spawn *spawn, const char *payload,
                         size_t length) {
        const struct child_args *args = &spawn->args;
        char *const *const lists[] = {args->argv, args->envp, args->paths};

        for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
                for (char *const *text = lists[i]; *text; text++)
                        expect(is_within(*text, payload, length));
        expect(!args->mark_name || is_within(args->mark_name, payload, length));
        expect(!args->bell_file || is_within(args->bell_file, payload, length));
        expect(is_ours(lie, args->cgroup_fd));
        expect(args->cwd_fd == -1 || is_ours(lie, args->cwd_fd));
        need(args->n_pass <= CHILD_PASS_MAX);
        for (size_t i = 0; i < args->n_pass; i++)
                expect(is_ours(lie, args->pass[i]));
        expect(!args->quota || args->quota->n_files <= CHILD_QUOTA_FILES_MAX);
        expect(!args->open || args->open->n_files <= CHILD_OPEN_MAX);
        expect(!args->walls || args->walls->n_nodes <= CHILD_NODES_MAX);
}

/* A copy of exactly that size, so that a sanitizer sees what is read beyond it. */
static int read_copy(const struct lie *lie, size_t length) {
        char *payload = malloc(length + 1);
        struct wire_spawn spawn;
        int r;

        need(payload != NULL);
        memcpy(payload, lie->buffer.bytes, length);
        payload[length] = '\0';
        r = wire_spawn_read(&spawn, payload, length, lie->fds, lie->sent.n);
        if (r == 0) {
                expect_sound(lie, &spawn, payload, length);
                wire_spawn_deinit(&spawn);
        } else {
                expect(spawn.strings == NULL);
        }
        free(payload);
        return r;
}

static int read_with(const struct lie *lie, size_t word, uint32_t value) {
        uint32_t *numbers = (uint32_t *)lie->buffer.bytes, saved = numbers[word];
        int r;

        numbers[word] = value;
        r = read_copy(lie, lie->buffer.n);
        numbers[word] = saved;
        return r;
}

static void every_piece_of_a_payload_is_told_from_the_whole(void) {
        struct lie lie;

        lie_open(&lie);
        expect_int(read_copy(&lie, lie.buffer.n), 0);
        for (size_t length = 0; length < lie.buffer.n; length++)
                expect_int(read_copy(&lie, length), EBADMSG);
        wire_buffer_deinit(&lie.buffer);
}

static void counts_beyond_what_there_is_are_refused(void) {
        static const uint32_t values[] = {UINT32_MAX, UINT32_MAX / 2, UINT32_MAX / 2 + 1,
                                          65537,      1U << 20,       (1U << 20) + 1,
                                          1U << 30};
        struct lie lie;

        lie_open(&lie);
        for (size_t word = 1; word < PLACE_FIRST; word++)
                for (size_t i = 0; i < ARRAY_SIZE(values); i++)
                        expect_that(read_with(&lie, word, values[i]) == EBADMSG, "word %zu: %u",
                                    word, values[i]);
        for (size_t i = 0; i < ARRAY_SIZE(values); i++)
                expect_int(read_with(&lie, 0, values[i]), EBADMSG);
        expect_int(read_with(&lie, 1, 0), EBADMSG); /* nothing to be called */
        expect_int(read_with(&lie, 8, CHILD_PASS_MAX + 1), EBADMSG);
        expect_int(read_with(&lie, 9, CHILD_QUOTA_FILES_MAX + 1), EBADMSG);
        expect_int(read_with(&lie, 10, CHILD_OPEN_MAX + 1), EBADMSG);
        for (size_t word = 1; word < 4; word++) {
                expect_int(read_with(&lie, word, 1), EBADMSG);
                expect_int(read_with(&lie, word, 4), EBADMSG);
        }
        wire_buffer_deinit(&lie.buffer);
}

static void whatever_word_lies_nothing_is_said_that_is_not_there(void) {
        static const uint32_t values[] = {0,  1,  2,   3,   5,   15,         16,
                                          17, 72, 128, 129, 255, UINT32_MAX, UINT32_MAX - 1};
        uint32_t *numbers;
        struct lie lie;

        lie_open(&lie);
        numbers = (uint32_t *)lie.buffer.bytes;
        for (size_t word = 0; word < 512 && word < lie.buffer.n / 4; word++) {
                for (size_t i = 0; i < ARRAY_SIZE(values); i++)
                        (void)!read_with(&lie, word, values[i]);
                for (unsigned bit = 0; bit < 32; bit++)
                        (void)!read_with(&lie, word, numbers[word] ^ 1U << bit);
        }
        wire_buffer_deinit(&lie.buffer);
}

static void a_string_without_its_end_is_refused(void) {
        size_t ends = 0, wanted = 3 + 2 + 2 + 3; /* argv, envp, paths, and three more */
        struct lie lie;

        lie_open(&lie);
        for (size_t at = lie.buffer.n; at-- > 0 && ends < wanted;) {
                if (lie.buffer.bytes[at] != '\0')
                        continue;
                lie.buffer.bytes[at] = 'x';
                expect_int(read_copy(&lie, lie.buffer.n), EBADMSG);
                lie.buffer.bytes[at] = '\0';
                ends++;
        }
        expect_uint(ends, wanted);
        expect_int(read_copy(&lie, lie.buffer.n), 0);
        wire_buffer_deinit(&lie.buffer);
}

static void a_node_whose_name_has_no_end_is_refused(void) {
        struct lie lie;
        char *name;

        lie_open(&lie);
        name = memmem(lie.buffer.bytes, lie.buffer.n, "nnnnnnnn", 8);
        need(name != NULL);
        name[CHILD_NODE_PATH_MAX - 1] = 'n';
        expect_int(read_copy(&lie, lie.buffer.n), EBADMSG);
        wire_buffer_deinit(&lie.buffer);
}

static void places_where_no_descriptor_is_are_refused(void) {
        struct lie lie;

        lie_open(&lie);
        for (size_t place = PLACE_FIRST; place < PLACE_FIRST + PLACES; place++) {
                bool optional = place == PLACE_FIRST + 4; /* the directory */

                expect_int(read_with(&lie, place, 1), 0);
                expect_int(read_with(&lie, place, (uint32_t)lie.sent.n), EBADMSG);
                expect_int(read_with(&lie, place, WIRE_FDS_MAX), EBADMSG);
                expect_int(read_with(&lie, place, INT32_MAX), EBADMSG);
                expect_int(read_with(&lie, place, (uint32_t)INT32_MIN), EBADMSG);
                expect_int(read_with(&lie, place, (uint32_t)-2), EBADMSG);
                expect_int(read_with(&lie, place, (uint32_t)-1), optional ? 0 : EBADMSG);
        }
        /* Fewer came than the payload counts on. */
        for (lie.sent.n -= 1; lie.sent.n > 0; lie.sent.n--)
                expect_int(read_copy(&lie, lie.buffer.n), EBADMSG);
        wire_buffer_deinit(&lie.buffer);
}

/* The child fills 0, 1 and 2 one after the other, and what is to be there must not be among them.
 */
static void descriptors_in_the_way_of_stdio_are_refused(void) {
        struct lie lie;

        lie_open(&lie);
        for (size_t i = 0; i < lie.sent.n; i++) {
                int saved = lie.fds[i];

                for (int fd = -1; fd <= 2; fd++) {
                        lie.fds[i] = fd;
                        expect_int(read_copy(&lie, lie.buffer.n), EBADMSG);
                }
                lie.fds[i] = 3;
                expect_int(read_copy(&lie, lie.buffer.n), 0);
                lie.fds[i] = saved;
        }
        wire_buffer_deinit(&lie.buffer);
}

static void flags_of_clone_that_are_no_namespaces_are_refused(void) {
        static const uint64_t flags[] = {CLONE_VFORK,      CLONE_FILES,   CLONE_THREAD,
                                         CLONE_PARENT,     CLONE_NEWUSER, CLONE_NEWTIME,
                                         UINT64_C(1) << 40};
        struct lie lie;

        lie_open(&lie);
        for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
                lie.all.walls.namespaces = CLONE_NEWNS | flags[i];
                need_int(wire_spawn_write(&lie.buffer, &lie.sent, &lie.all.args), 0);
                expect_int(read_copy(&lie, lie.buffer.n), EBADMSG);
        }
        wire_buffer_deinit(&lie.buffer);
}

UNIT_MAIN(TEST(everything_arrives_as_it_was_meant), TEST(the_least_arrives_with_nothing_added),
          TEST(what_is_too_long_is_refused_and_the_next_is_not),
          TEST(every_piece_of_a_payload_is_told_from_the_whole),
          TEST(counts_beyond_what_there_is_are_refused),
          TEST(whatever_word_lies_nothing_is_said_that_is_not_there),
          TEST(a_string_without_its_end_is_refused), TEST(a_node_whose_name_has_no_end_is_refused),
          TEST(places_where_no_descriptor_is_are_refused),
          TEST(descriptors_in_the_way_of_stdio_are_refused),
          TEST(flags_of_clone_that_are_no_namespaces_are_refused))

/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the arguments of a child. What is taken says nothing that is not there, and is what
 * is written again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <launcher/wire_spawn.h>

#define check(condition) ((condition) ? (void)0 : abort())
#define N_FDS 6

/* Numbers that no file is behind: reading touches none. */
static const int fds[N_FDS] = {1000, 1001, 1002, 1003, 1004, 1005};

static bool is_ours(int fd) {
        return fd >= fds[0] && fd <= fds[N_FDS - 1];
}

/* Reads every byte, so that a sanitizer sees what lies beyond. */
static size_t check_list(char *const *list) {
        size_t n = 0;

        for (; list[n]; n++)
                check(strlen(list[n]) < WIRE_LENGTH_MAX);
        return n;
}

static uint32_t sum_of(const void *bytes, size_t n) {
        uint32_t sum = 0;

        for (size_t i = 0; i < n; i++)
                sum = sum * 31 + ((const uint8_t *)bytes)[i];
        return sum;
}

static void check_descriptors(const struct child_args *args) {
        check(is_ours(args->cgroup_fd));
        for (size_t i = 0; i < 3; i++)
                check(is_ours(args->stdio[i]));
        check(args->cwd_fd == -1 || is_ours(args->cwd_fd));
        check(args->n_pass <= CHILD_PASS_MAX);
        for (size_t i = 0; i < args->n_pass; i++)
                check(is_ours(args->pass[i]));
        check(!args->learn || is_ours(args->learn->socket_fd));
        check(!args->quota || args->quota->n_files <= CHILD_QUOTA_FILES_MAX);
        for (size_t i = 0; args->quota && i < args->quota->n_files; i++)
                check(is_ours(args->quota->fds[i]));
        check(!args->open || args->open->n_files <= CHILD_OPEN_MAX);
        for (size_t i = 0; args->open && i < args->open->n_files; i++)
                check(is_ours(args->open->files[i].fd));
}

static void check_walls(const struct child_walls *walls) {
        check(walls->n_nodes <= CHILD_NODES_MAX);
        for (size_t i = 0; i < walls->n_nodes; i++)
                check(strlen(walls->nodes[i].path) < CHILD_NODE_PATH_MAX);
        check(!walls->cwd || strlen(walls->cwd) < WIRE_LENGTH_MAX);
}

/* A number that differs where the arguments do. */
static uint32_t check_args(const struct child_args *args) {
        uint32_t sum = args->uid ^ args->gid << 8;

        check_descriptors(args);
        check(args->argv[0] != NULL);
        sum += (uint32_t)(check_list(args->argv) * 7 + check_list(args->envp) * 11 +
                          check_list(args->paths) * 13);
        sum += args->mark_name ? sum_of(args->mark_name, strlen(args->mark_name)) : 1;
        sum += args->bell_file ? sum_of(args->bell_file, strlen(args->bell_file)) : 2;
        sum += sum_of(args->groups, args->n_groups * sizeof(gid_t));
        if (args->open)
                sum += sum_of(args->open->groups, args->open->n_groups * sizeof(gid_t)) +
                       (uint32_t)args->open->n_files;
        if (args->seccomp)
                sum += sum_of(args->seccomp->filter,
                              args->seccomp->len * sizeof(struct sock_filter));
        if (args->walls) {
                check_walls(args->walls);
                sum += sum_of(args->walls->nodes, args->walls->n_nodes * sizeof(struct child_node));
                sum += (uint32_t)args->walls->namespaces;
        }
        return sum;
}

/* A copy of exactly that size and the NUL. */
static char *copy_of(const void *data, size_t size) {
        char *payload = malloc(size + 1);

        check(payload);
        if (size > 0)
                memcpy(payload, data, size);
        payload[size] = '\0';
        return payload;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static struct wire_buffer buffer;
        struct wire_spawn spawn, again;
        char *payload, *second;
        struct wire_fds sent;
        uint32_t sum;
        int r;

        payload = copy_of(data, size);
        r = wire_spawn_read(&spawn, payload, size, fds, N_FDS);
        check(r == 0 || r == EBADMSG);
        if (r == 0) {
                sum = check_args(&spawn.args);
                check(wire_spawn_write(&buffer, &sent, &spawn.args) == 0);
                second = copy_of(buffer.bytes, buffer.n);
                check(wire_spawn_read(&again, second, buffer.n, sent.fd, sent.n) == 0);
                check(check_args(&again.args) == sum);
                wire_spawn_deinit(&again);
                free(second);
        }
        wire_spawn_deinit(&spawn);
        free(payload);
        return 0;
}

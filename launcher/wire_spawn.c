/* SPDX-License-Identifier: MIT */
/*
 * A head of fixed size, then what it counts, in this order, each part aligned to 8 bytes: the
 * groups, the groups files are opened with, the nodes of /dev, the filter; the strings at the end:
 * argv, envp, paths, the attribute, the bell, the directory.
 */
#include <errno.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>

#include <launcher/wire_spawn.h>

#define STRINGS_MAX (1U << 20)
#define GROUPS_MAX 65536 /* NGROUPS_MAX */
#define NO_FD (-1)
#define NAMESPACES                                                                                 \
        (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWNET)

enum {
        HAS_MARK = 1 << 0,
        HAS_BELL = 1 << 1,
        HAS_QUOTA = 1 << 2,
        HAS_OPEN = 1 << 3,
        HAS_WALLS = 1 << 4,
        HAS_CWD = 1 << 5, /* of the walls */
        HAS_FILTER = 1 << 6,
        HAS_LEARN = 1 << 7,
        HAS_IDENTITY = 1 << 8,
        LOCKS_MEMORY = 1 << 9,
        _HAS_ALL = (1 << 10) - 1,
};

struct file {
        int32_t fd;
        uint32_t read_only, name;
};

struct head {
        uint32_t has;
        uint32_t n_argv, n_envp, n_paths;
        uint32_t n_groups, n_open_groups, n_nodes, n_filter;
        uint32_t n_pass, n_quota, n_open;
        int32_t cgroup_fd, stdio[3], cwd_fd, learn_fd;
        uint32_t uid, gid, open_uid, open_gid;
        uint32_t quota_project, quota_uid;
        uint64_t quota_limit_kib, namespaces;
        uint32_t walls; /* bits in the order of struct child_walls */
        int32_t pass[CHILD_PASS_MAX];
        int32_t quota_fds[CHILD_QUOTA_FILES_MAX];
        uint32_t quota_owners[CHILD_QUOTA_FILES_MAX];
        struct file open[CHILD_OPEN_MAX];
};

/* ---- writing ---- */

static void *reserve(struct wire_buffer *buffer, size_t n) {
        size_t size = buffer->size ?: 16384;
        char *bytes;

        if (!buffer->error && n > WIRE_LENGTH_MAX - buffer->n)
                buffer->error = E2BIG;
        if (buffer->error)
                return NULL;
        while (size < buffer->n + n)
                size *= 2;
        if (size != buffer->size) {
                bytes = realloc(buffer->bytes, size);
                if (!bytes) {
                        buffer->error = ENOMEM;
                        return NULL;
                }
                buffer->bytes = bytes;
                buffer->size = size;
        }
        bytes = buffer->bytes + buffer->n;
        buffer->n += n;
        return bytes;
}

static void add(struct wire_buffer *buffer, const void *bytes, size_t n) {
        size_t padded = (n + 7) & ~(size_t)7;
        char *to = padded > 0 ? reserve(buffer, padded) : NULL;

        if (!to)
                return;
        memcpy(to, bytes, n);
        memset(to + n, 0, padded - n);
}

static void add_string(struct wire_buffer *buffer, const char *text) {
        size_t n = strlen(text) + 1;
        char *to = reserve(buffer, n);

        if (to)
                memcpy(to, text, n);
}

static uint32_t add_strings(struct wire_buffer *buffer, char *const *list) {
        uint32_t n = 0;

        for (; list && list[n]; n++)
                add_string(buffer, list[n]);
        return n;
}

static int32_t place(struct wire_fds *fds, int fd) {
        if (fd < 0)
                return NO_FD;
        for (size_t i = 0; i < fds->n; i++)
                if (fds->fd[i] == fd)
                        return (int32_t)i;
        if (fds->n == WIRE_FDS_MAX) {
                fds->failed = true;
                return NO_FD;
        }
        fds->fd[fds->n] = fd;
        return (int32_t)fds->n++;
}

static uint32_t pack_walls(const struct child_walls *walls) {
        const bool bits[] = {walls->read_only, walls->own_proc,          walls->own_dev,
                             walls->own_tmp,   walls->drop_capabilities, walls->batch,
                             walls->core_dumps};
        uint32_t packed = 0;

        for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
                packed |= bits[i] ? 1U << i : 0;
        return packed;
}

static void fill_files(struct head *head, struct wire_fds *fds, const struct child_args *args) {
        if (args->quota) {
                head->has |= HAS_QUOTA;
                head->n_quota = (uint32_t)args->quota->n_files;
                head->quota_project = args->quota->project;
                head->quota_limit_kib = args->quota->limit_kib;
                head->quota_uid = args->quota->uid;
        }
        for (size_t i = 0; i < head->n_quota; i++) {
                head->quota_fds[i] = place(fds, args->quota->fds[i]);
                head->quota_owners[i] = args->quota->owners[i];
        }
        if (args->open) {
                head->has |= HAS_OPEN;
                head->n_open = (uint32_t)args->open->n_files;
                head->open_uid = args->open->uid;
                head->open_gid = args->open->gid;
                head->n_open_groups = (uint32_t)args->open->n_groups;
        }
        for (size_t i = 0; i < head->n_open; i++)
                head->open[i] =
                        (struct file){place(fds, args->open->files[i].fd),
                                      args->open->files[i].read_only, args->open->files[i].name};
}

static void fill_head(struct head *head, struct wire_fds *fds, const struct child_args *args) {
        head->has =
                (args->mark_name ? HAS_MARK : 0) | (args->bell_file ? HAS_BELL : 0) |
                (args->walls ? HAS_WALLS : 0) | (args->walls && args->walls->cwd ? HAS_CWD : 0) |
                (args->seccomp ? HAS_FILTER : 0) | (args->learn ? HAS_LEARN : 0) |
                (args->set_identity ? HAS_IDENTITY : 0) | (args->lock_memory ? LOCKS_MEMORY : 0);
        head->cgroup_fd = place(fds, args->cgroup_fd);
        for (size_t i = 0; i < 3; i++)
                head->stdio[i] = place(fds, args->stdio[i]);
        head->cwd_fd = place(fds, args->cwd_fd);
        head->learn_fd = args->learn ? place(fds, args->learn->socket_fd) : NO_FD;
        head->n_pass = (uint32_t)args->n_pass;
        for (size_t i = 0; i < args->n_pass; i++)
                head->pass[i] = place(fds, args->pass[i]);
        head->uid = args->uid;
        head->gid = args->gid;
        head->n_groups = (uint32_t)args->n_groups;
        fill_files(head, fds, args);
        if (args->walls) {
                head->n_nodes = (uint32_t)args->walls->n_nodes;
                head->namespaces = args->walls->namespaces;
                head->walls = pack_walls(args->walls);
        }
        if (args->seccomp)
                head->n_filter = args->seccomp->len;
}

int wire_spawn_write(struct wire_buffer *buffer, struct wire_fds *fds,
                     const struct child_args *args) {
        struct head head = {};

        assert(args->n_pass <= CHILD_PASS_MAX);
        buffer->n = 0;
        buffer->error = 0;
        *fds = (struct wire_fds){};
        fill_head(&head, fds, args);
        add(buffer, &head, sizeof(head)); /* its place; its counts come at the end */
        add(buffer, args->groups, args->n_groups * sizeof(*args->groups));
        if (args->open)
                add(buffer, args->open->groups, args->open->n_groups * sizeof(gid_t));
        if (args->walls)
                add(buffer, args->walls->nodes, args->walls->n_nodes * sizeof(struct child_node));
        if (args->seccomp)
                add(buffer, args->seccomp->filter, head.n_filter * sizeof(struct sock_filter));
        head.n_argv = add_strings(buffer, args->argv);
        head.n_envp = add_strings(buffer, args->envp);
        head.n_paths = add_strings(buffer, args->paths);
        if (args->mark_name)
                add_string(buffer, args->mark_name);
        if (args->bell_file)
                add_string(buffer, args->bell_file);
        if (args->walls && args->walls->cwd)
                add_string(buffer, args->walls->cwd);
        if (fds->failed)
                return E2BIG;
        if (buffer->error)
                return buffer->error;
        memcpy(buffer->bytes, &head, sizeof(head));
        return 0;
}

void wire_buffer_deinit(struct wire_buffer *buffer) {
        free(buffer->bytes);
        *buffer = (struct wire_buffer){};
}

/* ---- reading ---- */

struct reader {
        char *at;
        size_t left;
        const int *fds;
        size_t n_fds;
        bool bad;
};

/* The next @n elements; NULL if there are none. They are aligned: all that comes before them is. */
static void *take_array(struct reader *reader, size_t n, size_t size, size_t max) {
        size_t bytes = n <= max ? (n * size + 7) & ~(size_t)7 : SIZE_MAX;
        char *at = reader->at;

        if (bytes > reader->left)
                reader->bad = true;
        if (reader->bad || n == 0)
                return NULL;
        reader->at += bytes;
        reader->left -= bytes;
        return at;
}

static char *take_string(struct reader *reader) {
        char *at = reader->at;
        size_t n = strnlen(at, reader->left);

        if (reader->bad || n == reader->left) {
                reader->bad = true;
                return NULL;
        }
        reader->at += n + 1;
        reader->left -= n + 1;
        return at;
}

/* One of those that came, or none. */
static int take_fd_at(struct reader *reader, int32_t place) {
        if (place == NO_FD)
                return -1;
        if (place < 0 || (size_t)place >= reader->n_fds || reader->fds[place] <= 2) {
                reader->bad = true;
                return -1;
        }
        return reader->fds[place];
}

/* One that must be there. */
static int need_fd_at(struct reader *reader, int32_t place) {
        reader->bad |= place == NO_FD;
        return take_fd_at(reader, place);
}

static void read_walls(struct wire_spawn *spawn, const struct head *head, struct reader *reader) {
        struct child_walls *walls = &spawn->walls;
        bool *const bits[] = {&walls->read_only, &walls->own_proc,          &walls->own_dev,
                              &walls->own_tmp,   &walls->drop_capabilities, &walls->batch,
                              &walls->core_dumps};
        const struct child_node *nodes;

        nodes = take_array(reader, head->n_nodes, sizeof(*nodes), CHILD_NODES_MAX);
        if (!(head->has & HAS_WALLS)) {
                reader->bad |= head->n_nodes > 0 || head->has & HAS_CWD;
                return;
        }
        /* Of clone3's other flags some would bring down the launcher. */
        reader->bad |=
                head->namespaces & ~(uint64_t)NAMESPACES || head->walls >= 1U << ARRAY_SIZE(bits);
        walls->namespaces = head->namespaces;
        for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
                *bits[i] = head->walls & 1U << i;
        walls->n_nodes = nodes ? head->n_nodes : 0;
        for (size_t i = 0; i < walls->n_nodes; i++) {
                walls->nodes[i] = nodes[i];
                reader->bad |= strnlen(nodes[i].path, CHILD_NODE_PATH_MAX) == CHILD_NODE_PATH_MAX;
        }
        spawn->args.walls = walls;
}

static void read_quota(struct wire_spawn *spawn, const struct head *head, struct reader *reader) {
        struct child_quota *quota = &spawn->quota;

        reader->bad |= head->n_quota > CHILD_QUOTA_FILES_MAX;
        if (!(head->has & HAS_QUOTA) || reader->bad)
                return;
        quota->project = head->quota_project;
        quota->limit_kib = head->quota_limit_kib;
        quota->uid = head->quota_uid;
        quota->n_files = head->n_quota;
        for (size_t i = 0; i < quota->n_files; i++) {
                quota->fds[i] = need_fd_at(reader, head->quota_fds[i]);
                quota->owners[i] = head->quota_owners[i];
        }
        spawn->args.quota = quota;
}

static void read_open(struct wire_spawn *spawn, const struct head *head, const gid_t *groups,
                      struct reader *reader) {
        struct child_open *open = &spawn->open;

        reader->bad |= head->n_open > CHILD_OPEN_MAX;
        if (!(head->has & HAS_OPEN) || reader->bad)
                return;
        open->uid = head->open_uid;
        open->gid = head->open_gid;
        open->groups = groups;
        open->n_groups = groups ? head->n_open_groups : 0;
        open->n_files = head->n_open;
        for (size_t i = 0; i < open->n_files; i++)
                open->files[i] = (struct child_file){.fd = need_fd_at(reader, head->open[i].fd),
                                                     .read_only = head->open[i].read_only,
                                                     .name = head->open[i].name};
        spawn->args.open = open;
}

static char **read_list(struct reader *reader, char **list, uint32_t n) {
        for (uint32_t i = 0; i < n && !reader->bad; i++)
                list[i] = take_string(reader);
        return list + n + 1;
}

static int read_strings(struct wire_spawn *spawn, const struct head *head, struct reader *reader) {
        struct child_args *args = &spawn->args;
        uint64_t n = (uint64_t)head->n_argv + head->n_envp + head->n_paths;
        char **list;

        if (n > STRINGS_MAX || n > reader->left || head->n_argv == 0)
                return EBADMSG;
        list = spawn->strings = calloc(n + 3, sizeof(*list));
        if (!list)
                return ENOMEM;
        args->argv = list;
        list = read_list(reader, list, head->n_argv);
        args->envp = list;
        list = read_list(reader, list, head->n_envp);
        args->paths = list;
        read_list(reader, list, head->n_paths);
        if (head->has & HAS_MARK)
                args->mark_name = take_string(reader);
        if (head->has & HAS_BELL)
                args->bell_file = take_string(reader);
        if (head->has & HAS_CWD)
                spawn->walls.cwd = take_string(reader);
        return 0;
}

static void read_fds(struct wire_spawn *spawn, const struct head *head, struct reader *reader) {
        struct child_args *args = &spawn->args;

        args->cgroup_fd = need_fd_at(reader, head->cgroup_fd);
        for (size_t i = 0; i < 3; i++)
                args->stdio[i] = need_fd_at(reader, head->stdio[i]);
        args->cwd_fd = take_fd_at(reader, head->cwd_fd);
        reader->bad |= head->n_pass > CHILD_PASS_MAX;
        for (size_t i = 0; i < head->n_pass && !reader->bad; i++)
                spawn->pass[i] = need_fd_at(reader, head->pass[i]);
        args->pass = spawn->pass;
        args->n_pass = head->n_pass;
        if (head->has & HAS_LEARN) {
                child_learn_init(&spawn->learn, need_fd_at(reader, head->learn_fd));
                args->learn = &spawn->learn;
        }
}

int wire_spawn_read(struct wire_spawn *spawn, char *payload, size_t length, const int *fds,
                    size_t n_fds) {
        struct reader reader = {.at = payload, .left = length, .fds = fds, .n_fds = n_fds};
        struct child_args *args = &spawn->args;
        const gid_t *open_groups;
        struct head head;
        void *at;
        int r;

        *spawn = (struct wire_spawn){};
        at = take_array(&reader, 1, sizeof(head), 1);
        if (!at)
                return EBADMSG;
        memcpy(&head, at, sizeof(head));
        reader.bad = head.has & ~(uint32_t)_HAS_ALL;
        args->set_identity = head.has & HAS_IDENTITY;
        args->lock_memory = head.has & LOCKS_MEMORY;
        args->uid = head.uid;
        args->gid = head.gid;
        args->groups = take_array(&reader, head.n_groups, sizeof(gid_t), GROUPS_MAX);
        args->n_groups = args->groups ? head.n_groups : 0;
        open_groups = take_array(&reader, head.n_open_groups, sizeof(gid_t), GROUPS_MAX);
        read_fds(spawn, &head, &reader);
        read_quota(spawn, &head, &reader);
        read_open(spawn, &head, open_groups, &reader);
        read_walls(spawn, &head, &reader);
        at = take_array(&reader, head.n_filter, sizeof(struct sock_filter), BPF_MAXINSNS);
        if (head.has & HAS_FILTER) {
                spawn->program = (struct sock_fprog){(unsigned short)head.n_filter, at};
                args->seccomp = &spawn->program;
        }
        r = reader.bad ? EBADMSG : read_strings(spawn, &head, &reader);
        if (r == 0 && (reader.bad || reader.left > 0))
                r = EBADMSG;
        if (r)
                wire_spawn_deinit(spawn);
        return r;
}

void wire_spawn_deinit(struct wire_spawn *spawn) {
        free(take(spawn->strings));
}

/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <fts.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <uthash.h>

#include <base/fd.h>
#include <base/thread.h>
#include <base/units.h>
#include <broker/broker.h>
#include <broker/space.h>

static const char *const names[_DISK_SHARE_N] = {
        [DISK_SHARE_IMAGES] = "images_bytes",
        [DISK_SHARE_OCI_CACHE] = "oci_cache_bytes",
        [DISK_SHARE_VOLUMES] = "volumes_bytes",
        [DISK_SHARE_OVERLAYS] = "overlays_bytes",
};

/* What the thread works on: its own copy of everything. It, or the broker if that outlives it,
 * frees it. */
struct walk {
        pthread_mutex_t lock;
        unsigned holders; /* the thread and the broker */
        int event_fd;     /* the broker's loop hears of the end */
        char paths[_DISK_SHARE_N][POLICY_DIRECTORY_MAX];
        uint64_t bytes[_DISK_SHARE_N];
        bool ended;
};

struct space {
        int event_fd;
        sd_event_source *source;
        struct walk *walk; /* on its way */
        bool known;
        uint64_t at_usec; /* when the last walk began */
        uint64_t began_usec;
        uint64_t bytes[_DISK_SHARE_N];
        TAILQ_HEAD(, connection) askers;
};

/* ---- in the thread ---- */

struct linked {
        struct {
                dev_t dev;
                ino_t ino;
        } key;
        UT_hash_handle hh;
};

/* A file with several names is counted at the first. */
static bool is_new(struct linked **seen, const struct stat *st) {
        struct linked *found, *entry;

        if (st->st_nlink < 2)
                return true;
        entry = calloc(1, sizeof(*entry));
        if (!entry)
                return true;
        entry->key.dev = st->st_dev;
        entry->key.ino = st->st_ino;
        HASH_FIND(hh, *seen, &entry->key, sizeof(entry->key), found);
        if (found) {
                free(entry);
                return false;
        }
        HASH_ADD(hh, *seen, key, sizeof(entry->key), entry);
        return true;
}

static uint64_t count(char *path) {
        char *const roots[] = {path, NULL};
        struct linked *seen = NULL, *entry, *next;
        uint64_t bytes = 0;
        FTSENT *file;
        FTS *fts;

        fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
        while (fts && (file = fts_read(fts)))
                if ((file->fts_info == FTS_F || file->fts_info == FTS_D) &&
                    (file->fts_info == FTS_D || is_new(&seen, file->fts_statp)))
                        bytes += (uint64_t)file->fts_statp->st_blocks * 512;
        if (fts)
                fts_close(fts);
        HASH_ITER(hh, seen, entry, next) {
                HASH_DEL(seen, entry);
                free(entry);
        }
        return bytes;
}

static void walk_drop(struct walk *walk) {
        unsigned left;

        pthread_mutex_lock(&walk->lock);
        left = --walk->holders;
        pthread_mutex_unlock(&walk->lock);
        if (left > 0)
                return;
        pthread_mutex_destroy(&walk->lock);
        fd_close(walk->event_fd);
        free(walk);
}

static void *walk_run(void *userdata) {
        struct walk *walk = userdata;
        uint64_t one = 1;
        ssize_t n;

        for (unsigned i = 0; i < _DISK_SHARE_N; i++)
                walk->bytes[i] = count(walk->paths[i]);
        pthread_mutex_lock(&walk->lock);
        walk->ended = true;
        pthread_mutex_unlock(&walk->lock);
        n = write(walk->event_fd, &one, sizeof(one));
        (void)n; /* a full eventfd is readable, too */
        walk_drop(walk);
        return NULL;
}

/* ---- on the loop ---- */

/* Is any of the directories there? Mostly none is, and then nothing is to be walked. */
static bool any_there(const struct broker *broker) {
        char path[POLICY_DIRECTORY_MAX];

        for (unsigned i = 0; i < _DISK_SHARE_N; i++)
                if (access(policy_disk_directory(&broker->policy->broker, i, path), F_OK) == 0)
                        return true;
        return false;
}

static int begin(struct broker *broker) {
        struct space *space = broker->space;
        struct walk *walk;
        int r;

        if (space->walk)
                return 0;
        if (!any_there(broker)) {
                memset(space->bytes, 0, sizeof(space->bytes));
                space->known = true;
                space->at_usec = broker_now_usec();
                return 0;
        }
        walk = calloc(1, sizeof(*walk));
        if (!walk)
                return fault(-ENOMEM);
        pthread_mutex_init(&walk->lock, NULL);
        walk->holders = 2;
        walk->event_fd = fcntl(space->event_fd, F_DUPFD_CLOEXEC, 3);
        for (unsigned i = 0; i < _DISK_SHARE_N; i++)
                policy_disk_directory(&broker->policy->broker, i, walk->paths[i]);
        r = thread_start(walk_run, walk, 0);
        if (r) {
                walk->holders = 1;
                walk_drop(walk);
                return fault(-r);
        }
        space->walk = walk;
        space->began_usec = broker_now_usec();
        return 0;
}

static int refresh(struct broker *broker) {
        struct space *space = broker->space;

        if (space->known && broker_now_usec() - space->at_usec < SPACE_FRESH_USEC)
                return 0;
        return begin(broker);
}

json_t *space_breakdown(struct broker *broker) {
        struct space *space = broker->space;
        json_t *object;

        if (refresh(broker) < 0 || !space->known)
                return NULL;
        object = json_object();
        for (unsigned i = 0; object && i < _DISK_SHARE_N; i++)
                json_object_set_new(object, names[i], json_integer((json_int_t)space->bytes[i]));
        return object;
}

static int answer(struct connection *connection) {
        struct broker *broker = connection->broker;
        const struct disk_policy *policy = &broker->policy->broker.disk;
        uint64_t size = connection->asked_bytes, images = broker->space->bytes[DISK_SHARE_IMAGES];
        char asked[UNITS_TEXT_MAX], have[UNITS_TEXT_MAX], least[UNITS_TEXT_MAX], text[300];
        uint64_t free_bytes, most;
        char path[HOST_PATH_MAX];
        struct statvfs fs;
        bool allowed = true;

        if (statvfs(host_path(launcher_dev(broker->launcher), broker->policy->broker.data_directory,
                              path),
                    &fs) < 0)
                return connection_error(connection, "Failed", NULL,
                                        "the data directory cannot be asked for its free space");
        free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
        most = (uint64_t)((unsigned __int128)fs.f_blocks * fs.f_frsize * policy->max_images_milli /
                          1000);
        units_format_size(size, asked, sizeof(asked));
        if (size > free_bytes || free_bytes - size < policy->min_free_bytes) {
                allowed = false;
                snprintf(text, sizeof(text),
                         "refused: %s more would leave less than %s free (MinFree=); %s are free",
                         asked, units_format_size(policy->min_free_bytes, least, sizeof(least)),
                         units_format_size(free_bytes, have, sizeof(have)));
        } else if (images > most || size > most - images) {
                allowed = false;
                snprintf(text, sizeof(text),
                         "refused: %s more of images, of which there are %s, would be above %s "
                         "(MaxImageStorage=)",
                         asked, units_format_size(images, have, sizeof(have)),
                         units_format_size(most, least, sizeof(least)));
        } else {
                snprintf(text, sizeof(text), "allowed: %s more; %s are free, images take %s of %s",
                         asked, units_format_size(free_bytes, have, sizeof(have)),
                         units_format_size(images, (char[UNITS_TEXT_MAX]){}, UNITS_TEXT_MAX),
                         units_format_size(most, least, sizeof(least)));
        }
        return connection_reply(connection,
                                json_pack("{s:b s:s s:I s:I s:I}", "allowed", allowed, "reason",
                                          text, "free", (json_int_t)free_bytes, "images",
                                          (json_int_t)images, "images_limit", (json_int_t)most),
                                false);
}

bool space_is_asked(const struct broker *broker) {
        return !TAILQ_EMPTY(&broker->space->askers);
}

void space_forget(struct connection *connection) {
        if (!connection->asking)
                return;
        TAILQ_REMOVE(&connection->broker->space->askers, connection, asker);
        connection->asking = false;
}

int space_check_image(struct connection *connection, uint64_t size_bytes) {
        struct broker *broker = connection->broker;
        struct space *space = broker->space;
        int r;

        connection->asked_bytes = size_bytes;
        r = refresh(broker);
        if (r < 0)
                return r;
        if (!space->walk)
                return answer(connection);
        connection->asking = true;
        TAILQ_INSERT_TAIL(&space->askers, connection, asker);
        return 0;
}

static int on_walked(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct broker *broker = userdata;
        struct space *space = broker->space;
        struct connection *connection;
        uint64_t ended;
        bool done;
        int r = 0;

        if (read(fd, &ended, sizeof(ended)) < 0 || !space->walk)
                return 0;
        pthread_mutex_lock(&space->walk->lock);
        done = space->walk->ended;
        pthread_mutex_unlock(&space->walk->lock);
        if (!done)
                return 0;
        memcpy(space->bytes, space->walk->bytes, sizeof(space->bytes));
        space->known = true;
        space->at_usec = space->began_usec;
        walk_drop(take(space->walk));
        while (r == 0 && (connection = TAILQ_FIRST(&space->askers))) {
                space_forget(connection);
                r = answer(connection);
        }
        return r < 0 ? broker_fault(broker, r) : 0;
}

int space_open(struct broker *broker) {
        struct space *space = calloc(1, sizeof(*space));
        int r;

        if (!space)
                return fault(-ENOMEM);
        broker->space = space;
        TAILQ_INIT(&space->askers);
        space->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (space->event_fd < 0)
                return fault(-errno);
        r = sd_event_add_io(broker->event, &space->source, space->event_fd, EPOLLIN, on_walked,
                            broker);
        return r < 0 ? fault(r) : 0;
}

void space_close(struct broker *broker) {
        struct space *space = broker->space;

        if (!space)
                return;
        sd_event_source_disable_unref(space->source);
        if (space->walk)
                walk_drop(space->walk); /* it ends by itself */
        fd_close(space->event_fd);
        free(take(broker->space));
}

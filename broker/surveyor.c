/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/thread.h>
#include <broker/broker.h>
#include <broker/survey_kept.h>
#include <broker/surveyor.h>

#define STACK_SIZE ((size_t)256 * 1024)
#define REST_SEC 60
#define FDS_SPARE 256 /* of the limit on descriptors: for what it opens besides */

/* Written by the loop before the thread is there, and read by it; but for what @mutex guards. */
struct surveyor {
        struct broker *broker; /* the loop's */
        surveyor_gather_fn gather;
        surveyor_told_fn told;
        sd_event_source *source;
        int made_fd, tell_fd; /* the loop's end of the pipe, and the thread's */
        int root_fd;          /* the loop's; the thread has a copy under the same number */

        pthread_mutex_t mutex;
        pthread_cond_t asked;
        void *work; /* given, and not begun; NULL: none */
        bool has_thread;
        bool closed; /* the loop has no more use for it: whoever comes last frees it */
};

/* ---- the thread ---- */

static int compare_fds(const void *a, const void *b) {
        return *(const int *)a - *(const int *)b;
}

/*
 * A table of its own, with nothing in it of the loop's that somebody waits to see closed. False:
 * the kernel gives none; then nothing may be kept.
 */
static bool part_from_loop(const struct surveyor *surveyor) {
        int keep[] = {STDERR_FILENO, surveyor->tell_fd, surveyor->root_fd};
        unsigned from = 0;

        if (unshare(CLONE_FILES) < 0)
                return false;
        qsort(keep, ARRAY_SIZE(keep), sizeof(*keep), compare_fds);
        for (size_t i = 0; i < ARRAY_SIZE(keep); i++) {
                if ((unsigned)keep[i] > from)
                        close_range(from, (unsigned)keep[i] - 1, 0);
                from = (unsigned)keep[i] + 1;
        }
        close_range(from, ~0U, 0);
        return true;
}

static size_t room_for_files(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur <= FDS_SPARE)
                return 0;
        return (limit.rlim_cur - FDS_SPARE) / _USAGE_FILE_N;
}

/* The next survey to make; NULL: there was none for a while, and the thread ends. Then *freep tells
 * whether it is the last to know of @surveyor. */
static void *wait_for_work(struct surveyor *surveyor, bool *freep) {
        struct timespec until;
        void *work;
        int r = 0;

        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += REST_SEC;
        pthread_mutex_lock(&surveyor->mutex);
        while (!surveyor->work && !surveyor->closed && r != ETIMEDOUT)
                r = pthread_cond_timedwait(&surveyor->asked, &surveyor->mutex, &until);
        work = take(surveyor->work);
        surveyor->has_thread = work != NULL;
        *freep = !work && surveyor->closed;
        pthread_mutex_unlock(&surveyor->mutex);
        return work;
}

static void free_surveyor(struct surveyor *surveyor) {
        pthread_cond_destroy(&surveyor->asked);
        pthread_mutex_destroy(&surveyor->mutex);
        free(surveyor);
}

static void *run(void *userdata) {
        struct surveyor *surveyor = userdata;
        struct survey_kept kept = {};
        bool is_last = false;
        void *survey;

        if (part_from_loop(surveyor))
                kept.max = room_for_files();
        while ((survey = wait_for_work(surveyor, &is_last))) {
                ssize_t n;

                surveyor->gather(survey, surveyor->root_fd, &kept);
                survey_kept_settle(&kept);
                n = write(surveyor->tell_fd, &survey, sizeof(void *)); /* the pointer itself */
                (void)n; /* the broker has left: so does the process */
        }
        if (is_last)
                free_surveyor(surveyor);
        survey_kept_deinit(&kept);
        return NULL;
}

/* ---- the loop ---- */

static int on_made(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct surveyor *surveyor = userdata;
        void *survey;
        int r;

        if (read(fd, &survey, sizeof(void *)) != (ssize_t)sizeof(void *))
                return 0;
        r = surveyor->told(surveyor->broker, survey);
        return r < 0 ? broker_fault(surveyor->broker, r) : 0;
}

int surveyor_new(struct surveyor **ret, struct broker *broker, surveyor_gather_fn gather,
                 surveyor_told_fn told) {
        struct surveyor *surveyor;
        pthread_condattr_t clock;
        int fds[2] = {-1, -1}, r;

        surveyor = calloc(1, sizeof(*surveyor));
        if (!surveyor)
                return fault(-ENOMEM);
        *surveyor = (struct surveyor){.broker = broker, .gather = gather, .told = told};
        pthread_mutex_init(&surveyor->mutex, NULL);
        pthread_condattr_init(&clock);
        pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
        pthread_cond_init(&surveyor->asked, &clock);
        pthread_condattr_destroy(&clock);
        surveyor->root_fd = fcntl(broker->root.dir_fd, F_DUPFD_CLOEXEC, 3);
        if (surveyor->root_fd < 0 || pipe2(fds, O_CLOEXEC) < 0)
                r = -errno;
        else
                r = sd_event_add_io(broker->event, &surveyor->source, fds[0], EPOLLIN, on_made,
                                    surveyor);
        surveyor->made_fd = fds[0];
        surveyor->tell_fd = fds[1];
        if (r < 0) {
                surveyor_close(surveyor);
                return fault(r);
        }
        *ret = surveyor;
        return 0;
}

void surveyor_close(struct surveyor *surveyor) {
        bool has_thread;

        if (!surveyor)
                return;
        sd_event_source_disable_unref(surveyor->source);
        fd_close(surveyor->made_fd);
        fd_close(surveyor->tell_fd);
        fd_close(surveyor->root_fd);
        pthread_mutex_lock(&surveyor->mutex);
        surveyor->closed = true;
        has_thread = surveyor->has_thread;
        pthread_cond_signal(&surveyor->asked);
        pthread_mutex_unlock(&surveyor->mutex);
        if (!has_thread)
                free_surveyor(surveyor);
}

int surveyor_make(struct surveyor *surveyor, void *survey) {
        bool has_thread;

        pthread_mutex_lock(&surveyor->mutex);
        assert(!surveyor->work);
        has_thread = surveyor->has_thread;
        surveyor->has_thread = true;
        surveyor->work = survey;
        pthread_cond_signal(&surveyor->asked);
        pthread_mutex_unlock(&surveyor->mutex);
        if (has_thread || thread_start(run, surveyor, STACK_SIZE) == 0)
                return 0;
        surveyor->has_thread = false;
        surveyor->work = NULL;
        return 1;
}

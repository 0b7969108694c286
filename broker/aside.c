/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/thread.h>
#include <broker/aside.h>
#include <broker/broker.h>

#define STACK_SIZE ((size_t)256 * 1024)

struct asides {
        sd_event_source *source;
        int done_fd, told_fd; /* the loop's end, and the threads' */
};

struct aside {
        void (*work)(void *userdata);
        aside_done_fn done;
        void *userdata;
        int told_fd;
};

static void *run(void *userdata) {
        struct aside *aside = userdata;
        ssize_t n;

        aside->work(aside->userdata);
        n = write(aside->told_fd, &aside, sizeof(void *)); /* the pointer itself */
        (void)n; /* the broker has left: so does the process */
        return NULL;
}

static int on_done(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct broker *broker = userdata;
        struct aside *aside;
        int r;

        if (read(fd, &aside, sizeof(void *)) != (ssize_t)sizeof(void *))
                return 0;
        r = aside->done(broker, aside->userdata);
        free(aside);
        return r < 0 ? broker_fault(broker, r) : 0;
}

/* With the first errand: a broker that nobody looks at has none. */
static int asides_open(struct broker *broker) {
        struct asides *asides;
        int fds[2], r;

        if (broker->asides)
                return 0;
        asides = calloc(1, sizeof(*asides));
        if (!asides)
                return fault(-ENOMEM);
        if (pipe2(fds, O_CLOEXEC) < 0) {
                r = fault(-errno);
                free(asides);
                return r;
        }
        r = sd_event_add_io(broker->event, &asides->source, fds[0], EPOLLIN, on_done, broker);
        if (r < 0) {
                fd_close_many(fds, 2);
                free(asides);
                return fault(r);
        }
        asides->done_fd = fds[0];
        asides->told_fd = fds[1];
        broker->asides = asides;
        return 0;
}

int aside_run(struct broker *broker, void (*work)(void *userdata), aside_done_fn done,
              void *userdata) {
        struct aside *aside;
        int r;

        r = asides_open(broker);
        if (r)
                return r;
        aside = calloc(1, sizeof(*aside));
        if (!aside)
                return fault(-ENOMEM);
        *aside = (struct aside){work, done, userdata, broker->asides->told_fd};
        r = thread_start(run, aside, STACK_SIZE);
        if (r)
                free(aside);
        return r ? 1 : 0;
}

void asides_close(struct broker *broker) {
        struct asides *asides = broker->asides;

        if (!asides)
                return;
        sd_event_source_disable_unref(asides->source);
        fd_close(asides->done_fd);
        fd_close(asides->told_fd);
        free(take(broker->asides));
}

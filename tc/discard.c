/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <base/fd.h>
#include <base/thread.h>
#include <tc/discard.h>

/* Room for a batch of the network's messages and a sentence, several times over. */
#define STACK_SIZE (128 * 1024)

struct job {
        struct job *next;
        int *fds;
        size_t n_fds, n_links;
        struct discard_link links[]; /* behind them the descriptors */
};

/* The one list, and whether somebody works it off. */
static struct {
        pthread_mutex_t lock;
        pthread_cond_t idle;
        struct job *first, **lastp;
        bool working;
} yard = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .idle = PTHREAD_COND_INITIALIZER,
        .lastp = &yard.first,
};

static void remove_link(struct netlink *netlink, const struct discard_link *wanted) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct link link;

        if (link_get(netlink, NULL, wanted->ifindex, &link, NULL) ||
            strcmp(link.alias, wanted->alias) != 0)
                return;
        link_add_removal(&batch, wanted->ifindex);
        /* What stays is found by its mark, and tried again, by whoever looks for it next. */
        (void)!netlink_commit(netlink, &batch, NULL, NULL, NULL, NULL);
}

static void throw_away(const int *fds, size_t n_fds, const struct discard_link *links,
                       size_t n_links) {
        struct netlink netlink = NETLINK_NULL;

        for (size_t i = 0; i < n_fds; i++)
                fd_close(fds[i]);
        if (n_links == 0 || netlink_open(&netlink, NULL))
                return;
        for (size_t i = 0; i < n_links; i++)
                remove_link(&netlink, &links[i]);
        netlink_close(&netlink);
}

static void *work(void *nothing) {
        pthread_mutex_lock(&yard.lock);
        while (yard.first) {
                struct job *job = yard.first;

                yard.first = job->next;
                if (!yard.first)
                        yard.lastp = &yard.first;
                pthread_mutex_unlock(&yard.lock);
                throw_away(job->fds, job->n_fds, job->links, job->n_links);
                free(job);
                pthread_mutex_lock(&yard.lock);
        }
        yard.working = false;
        pthread_cond_broadcast(&yard.idle);
        pthread_mutex_unlock(&yard.lock);
        return NULL;
}

void discard(const int *fds, size_t n_fds, const struct discard_link *links, size_t n_links) {
        struct job *job = NULL;
        bool working;

        if (n_fds == 0 && n_links == 0)
                return;
        job = malloc(sizeof(*job) + n_links * sizeof(*links) + n_fds * sizeof(*fds));
        if (!job) {
                throw_away(fds, n_fds, links, n_links);
                return;
        }
        job->next = NULL;
        job->n_fds = n_fds;
        job->n_links = n_links;
        job->fds = (int *)(job->links + n_links);
        if (n_links)
                memcpy(job->links, links, n_links * sizeof(*links));
        if (n_fds)
                memcpy(job->fds, fds, n_fds * sizeof(*fds));

        pthread_mutex_lock(&yard.lock);
        *yard.lastp = job;
        yard.lastp = &job->next;
        working = yard.working;
        yard.working = true;
        pthread_mutex_unlock(&yard.lock);
        if (!working && thread_start(work, NULL, STACK_SIZE))
                work(NULL);
}

void discard_wait(void) {
        pthread_mutex_lock(&yard.lock);
        while (yard.working)
                pthread_cond_wait(&yard.idle, &yard.lock);
        pthread_mutex_unlock(&yard.lock);
}

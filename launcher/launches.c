/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <launcher/launches.h>
#include <launcher/wire_spawn.h>

/* A child from its request until its broker, which may have left, wants no more of its note. */
struct launch {
        struct process process;
        char *payload;
        bool released;
        struct wire_spawn spawn;
};

static int make_notes(struct launches *launches) {
        size_t size = LAUNCHES_MAX * sizeof(struct child_note);
        void *map;

        launches->notes_fd = memfd_create("provium-notes", MFD_CLOEXEC);
        if (launches->notes_fd < 0 || ftruncate(launches->notes_fd, (off_t)size) < 0)
                return errno;
        map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, launches->notes_fd, 0);
        if (map == MAP_FAILED)
                return errno;
        launches->notes = map;
        return 0;
}

int launches_init(struct launches *launches, void (*log)(const char *text)) {
        *launches = (struct launches){.notes_fd = -1, .log = log};
        spawner_init(&launches->spawner, &launches->exempt);
        return make_notes(launches);
}

/* It would be spared by the OOM killer: better none at all. */
static void end_exempt(const struct launches *launches, pid_t pid, const struct why *why) {
        char text[WHY_TEXT_MAX + 20];

        snprintf(text, sizeof(text), "launcher: %s", why->text);
        launches->log(text);
        (void)kill(pid, SIGKILL);
}

/* Frees what a child needed that is on its own; false: it is not yet. */
static bool collect(struct launches *launches, size_t slot) {
        struct launch *launch = launches->list[slot];
        struct why why = {};
        int r;

        r = spawn_result(&launches->spawner, &launch->process, &why);
        if (r == SPAWN_E_AGAIN)
                return false;
        if (r == SPAWN_E_STEP && launch->process.args.note->failed_errnum == 0)
                end_exempt(launches, launch->process.pid, &why);
        process_deinit(&launch->process);
        wire_spawn_deinit(&launch->spawn);
        free(launch->payload);
        free(launch);
        launches->list[slot] = NULL;
        launches->n--;
        return true;
}

void launches_release(struct launches *launches, size_t slot) {
        struct launch *launch = slot < LAUNCHES_MAX ? launches->list[slot] : NULL;

        if (!launch || launch->released)
                return;
        launch->released = true;
        if (!collect(launches, slot))
                launches->n_released++;
}

void launches_collect(struct launches *launches) {
        for (size_t i = 0; i < LAUNCHES_MAX && launches->n_released > 0; i++)
                if (launches->list[i] && launches->list[i]->released && collect(launches, i))
                        launches->n_released--;
}

void launches_release_all(struct launches *launches) {
        for (size_t i = 0; i < LAUNCHES_MAX && launches->n > launches->n_released; i++)
                launches_release(launches, i);
}

bool launches_has(const struct launches *launches, pid_t pid) {
        for (size_t i = 0; i < LAUNCHES_MAX; i++)
                if (launches->list[i] && launches->list[i]->process.pid == pid)
                        return true;
        return false;
}

static bool take_slot(struct launches *launches, size_t *slotp) {
        for (size_t i = 0; i < LAUNCHES_MAX; i++) {
                size_t slot = (launches->next + i) % LAUNCHES_MAX;

                if (launches->list[slot])
                        continue;
                launches->next = slot + 1;
                *slotp = slot;
                return true;
        }
        return false;
}

int launches_start(struct launches *launches, struct wire_message *message, pid_t *pidp,
                   size_t *slotp, int *pidfdp) {
        struct launch *launch;
        struct why why = {};
        size_t slot;
        int r;

        if (!take_slot(launches, &slot))
                return EAGAIN;
        launch = calloc(1, sizeof(*launch));
        if (!launch)
                return ENOMEM;
        r = wire_spawn_read(&launch->spawn, message->payload, message->request.length, message->fds,
                            message->request.n_fds);
        if (r == 0) {
                launch->process = (struct process){.pidfd = -1, .args = launch->spawn.args};
                launch->process.args.nofile = launches->nofile;
                launch->process.args.note = &launches->notes[slot];
                r = spawn_start(&launches->spawner, &launch->process, &why);
                if (r)
                        r = r < 0 ? -r : why.errnum;
        }
        if (r) {
                wire_spawn_deinit(&launch->spawn);
                free(launch);
                return r;
        }
        launch->payload = take(message->payload);
        launches->list[slot] = launch;
        launches->n++;
        *pidp = launch->process.pid;
        *slotp = slot;
        *pidfdp = take_fd(launch->process.pidfd);
        return 0;
}

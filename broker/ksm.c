/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <base/file.h>
#include <broker/broker.h>
#include <broker/ksm.h>

#define NOTE "ksm"

/* The pace first, then it may run. */
enum ksm_file { KSM_PAGES, KSM_SLEEP, KSM_RUN, _KSM_FILES_N };

static const struct {
        const char *name;
        uint64_t value;
} files[_KSM_FILES_N] = {
        [KSM_PAGES] = {"pages_to_scan", 1000},
        [KSM_SLEEP] = {"sleep_millisecs", 100},
        [KSM_RUN] = {"run", 1},
};

static const char *path_of(const struct broker *broker, enum ksm_file file, char path[256]) {
        snprintf(path, 256, "%s/kernel/mm/ksm/%s", broker->options->sys_dir, files[file].name);
        return path;
}

static int read_value(const struct broker *broker, enum ksm_file file, uint64_t *valuep) {
        char path[256];

        return file_read_u64_at(AT_FDCWD, path_of(broker, file, path), valuep);
}

static void write_value(const struct broker *broker, enum ksm_file file, uint64_t value) {
        char path[256], text[32];
        int r;

        snprintf(text, sizeof(text), "%" PRIu64, value);
        r = file_write_at(AT_FDCWD, path_of(broker, file, path), text);
        if (r)
                log_warning("KSM: cannot write %s to %s: %s", text, path, strerrordesc_np(r));
}

/* A former broker's note, which it could not act on. */
static bool read_note(const struct broker *broker, uint64_t before[_KSM_FILES_N]) {
        char text[128];

        return cgroup_root_noted(&broker->root, NOTE, text, sizeof(text)) &&
               sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &before[0], &before[1],
                      &before[2]) == _KSM_FILES_N;
}

/* As it is now, noted. False: it is not to be touched. */
static bool note_before(struct broker *broker, uint64_t before[_KSM_FILES_N]) {
        struct why why = {};
        char text[128];

        for (unsigned i = 0; i < _KSM_FILES_N; i++) {
                int r = read_value(broker, i, &before[i]);

                if (r == ENOENT)
                        log_info("KSM: this kernel has none");
                else if (r)
                        log_warning("KSM: left alone: %s cannot be read: %s", files[i].name,
                                    strerrordesc_np(r));
                if (r)
                        return false;
        }
        snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64 " %" PRIu64, before[0], before[1],
                 before[2]);
        if (cgroup_root_note(&broker->root, NOTE, text, &why) == 0)
                return true;
        log_warning("KSM: left alone: %s", why.text);
        return false;
}

static void tune(struct broker *broker) {
        for (unsigned i = 0; i < _KSM_FILES_N; i++)
                write_value(broker, i, files[i].value);
        broker->ksm.tuned = true;
        log_info("KSM: run %" PRIu64 " -> %" PRIu64 ", pages_to_scan %" PRIu64 " -> %" PRIu64
                 ", sleep_millisecs %" PRIu64 " -> %" PRIu64 "; put back at the end",
                 broker->ksm.before[KSM_RUN], files[KSM_RUN].value, broker->ksm.before[KSM_PAGES],
                 files[KSM_PAGES].value, broker->ksm.before[KSM_SLEEP], files[KSM_SLEEP].value);
}

void ksm_put_back(struct broker *broker) {
        struct why why = {};

        if (!broker->ksm.tuned)
                return;
        /* The other way round: it stops before its pace changes. */
        for (unsigned i = _KSM_FILES_N; i-- > 0;) {
                uint64_t now;

                if (read_value(broker, i, &now) == 0 && now == files[i].value)
                        write_value(broker, i, broker->ksm.before[i]);
        }
        broker->ksm.tuned = false;
        log_info("KSM: put back to run %" PRIu64, broker->ksm.before[KSM_RUN]);
        /* Where the root has ended, the note has ended with it. */
        if (!broker->root_ended && cgroup_root_note(&broker->root, NOTE, NULL, &why))
                log_warning("%s", why.text);
}

void ksm_configure(struct broker *broker) {
        bool wanted = broker->policy->broker.ksm;

        if (broker->ksm.tuned) {
                if (!wanted)
                        ksm_put_back(broker);
                return;
        }
        if (read_note(broker, broker->ksm.before)) {
                broker->ksm.tuned = true;
                if (wanted)
                        tune(broker);
                else
                        ksm_put_back(broker);
        } else if (wanted && note_before(broker, broker->ksm.before)) {
                tune(broker);
        }
}

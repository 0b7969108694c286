/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <broker/broker.h>
#include <broker/ended.h>
#include <broker/lease.h>

struct ended {
        char id[RECORD_ID_MAX + 1];
        uid_t uid;
        json_t *run; /* owned */
        uint64_t until_usec;
        UT_hash_handle hh;
};

static void drop(struct broker *broker, struct ended *ended) {
        HASH_DEL(broker->ended, ended);
        json_decref(ended->run);
        free(ended);
}

/* The map keeps the order in which they came, which is that of their ends. */
static void drop_old(struct broker *broker) {
        uint64_t now = broker_now_usec();

        while (broker->ended &&
               (broker->ended->until_usec <= now || HASH_COUNT(broker->ended) >= ENDED_MAX))
                drop(broker, broker->ended);
}

void ended_keep(struct broker *broker, const struct lease *lease, json_t *run) {
        struct ended *ended;

        drop_old(broker);
        ended = run ? calloc(1, sizeof(*ended)) : NULL;
        if (!ended)
                return;
        strcpy(ended->id, lease->record.id);
        ended->uid = lease->record.uid;
        ended->run = json_incref(run);
        ended->until_usec = broker_now_usec() + broker->policy->broker.reconnect_usec;
        HASH_ADD_STR(broker->ended, id, ended);
}

json_t *ended_take(struct broker *broker, const char *id, uid_t uid) {
        struct ended *ended;
        json_t *run;

        HASH_FIND_STR(broker->ended, id, ended);
        if (!ended || (uid != 0 && uid != ended->uid) || ended->until_usec <= broker_now_usec())
                return NULL;
        run = json_incref(ended->run);
        drop(broker, ended);
        return run;
}

void ended_close(struct broker *broker) {
        while (broker->ended)
                drop(broker, broker->ended);
}

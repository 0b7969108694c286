/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <base/units.h>
#include <broker/broker.h>
#include <broker/lease.h>
#include <broker/owning.h>
#include <broker/tenant.h>

#define OWNERS_TOLD 3 /* in one sentence */
#define VMS_TOLD 3    /* of each */

static struct lease *owned_lease(const struct owned *owned) {
        return container_of((struct owned *)owned, struct lease, owned);
}

static const struct named_owner *named(const struct owner *owner) {
        return container_of((struct owner *)owner, struct named_owner, owner);
}

static struct named_owner *find(const struct lease *lease) {
        struct named_owner *owner = NULL;
        char key[OWNING_KEY_MAX];

        snprintf(key, sizeof(key), "%u/%s", lease->record.uid, lease->record.owner);
        HASH_FIND_STR(lease->broker->named_owners, key, owner);
        return owner;
}

static int get(const struct lease *lease, struct named_owner **ownerp) {
        struct broker *broker = lease->broker;
        struct named_owner *owner = find(lease);

        if (!owner) {
                owner = calloc(1, sizeof(*owner));
                if (!owner)
                        return fault(-ENOMEM);
                snprintf(owner->key, sizeof(owner->key), "%u/%s", lease->record.uid,
                         lease->record.owner);
                owner->uid = lease->record.uid;
                owner->name = strchr(owner->key, '/') + 1;
                owner_init(&owner->owner);
                HASH_ADD_STR(broker->named_owners, key, owner);
        }
        *ownerp = owner;
        return 0;
}

static void add(struct lease *lease, struct named_owner *owner, bool waits) {
        owner_add(&lease->broker->owners, &owner->owner, &lease->owned, &lease->tenant->account,
                  &lease->claim.demand, waits);
        lease->owned.place = &lease->claim.place;
}

/* Kept until its owner has what he asks for. */
static bool is_kept(const struct lease *lease) {
        return (lease->state == LEASE_STARTING || lease->state == LEASE_RUNNING) &&
               lease->record.time_usec == 0 && lease->client_until_usec == 0;
}

int owning_enter(struct lease *lease) {
        bool waits = lease->state == LEASE_WAITING;
        struct named_owner *owner;
        int r;

        /* What is inside a reservation, that keeps. */
        if (lease->owner || !lease->record.owner[0] || lease->inside || !(waits || is_kept(lease)))
                return 0;
        r = get(lease, &owner);
        if (r)
                return r;
        lease->owner = owner;
        owner->n_leases++;
        add(lease, owner, waits);
        if (!waits)
                lease->broker->owners_suspect |= owner->owner.listed;
        return 0;
}

void owning_granted(struct lease *lease) {
        struct broker *broker = lease->broker;

        if (!lease->owner)
                return;
        owner_remove(&broker->owners, &lease->owned);
        if (!is_kept(lease)) {
                owning_leave(lease);
                return;
        }
        add(lease, lease->owner, false);
        /* He goes on waiting for something else, and keeps more than before. */
        broker->owners_suspect |= lease->owner->owner.listed;
}

void owning_leave(struct lease *lease) {
        struct named_owner *owner = take(lease->owner);

        if (!owner)
                return;
        owner_remove(&lease->broker->owners, &lease->owned);
        assert(owner->n_leases > 0);
        owner->n_leases--;
        if (owner->n_leases > 0)
                return;
        HASH_DELETE(hh, lease->broker->named_owners, owner);
        free(owner);
}

/* ---- who holds what ---- */

struct sentence {
        char *text;
        size_t size, used;
        const struct shortage *shortage;
        uid_t uid; /* to whom it is said */
};

static void say(struct sentence *sentence, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

static void say(struct sentence *sentence, const char *format, ...) {
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(sentence->text + sentence->used, sentence->size - sentence->used, format,
                      args);
        va_end(args);
        sentence->used =
                min_u64(sentence->used + (size_t)max_u64(0, (uint64_t)n), sentence->size - 1);
}

/* "cpu 2, memory 1G": CPU and memory, and what is short. */
static void say_demand(struct sentence *sentence, const struct demand *demand) {
        const char *comma = "";
        char amount[UNITS_TEXT_MAX];

        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                bool is_short = !sentence->shortage->is_vms && sentence->shortage->resource == i;

                if (demand->amount[i] == 0 ||
                    !(i == RESOURCE_CPU || i == RESOURCE_MEMORY || is_short))
                        continue;
                say(sentence, "%s%s %s", comma, resource_name(i),
                    resource_format(i, demand->amount[i], amount, sizeof(amount)));
                comma = ", ";
        }
}

/* "'a' (cpu 2, memory 1G) and 2 more"; of somebody else's only the amounts. */
static void say_held(struct sentence *sentence, const struct owner *owner, bool visible) {
        const struct owned *owned;
        unsigned n = 0, more = 0;

        TAILQ_FOREACH(owned, &owner->held, link) {
                if (n == VMS_TOLD) {
                        more++;
                        continue;
                }
                say(sentence, "%s", n++ ? ", " : " holds ");
                if (visible)
                        say(sentence, "'%s' (", owned_lease(owned)->record.name);
                say_demand(sentence, owned->demand);
                say(sentence, "%s", visible ? ")" : "");
        }
        if (more)
                say(sentence, " and %u more", more);
}

static void say_owner(struct sentence *sentence, const struct owner *owner,
                      const struct lease *asking) {
        const struct named_owner *who = named(owner);
        bool visible = sentence->uid == 0 || sentence->uid == who->uid;
        const struct owned *waiting = TAILQ_FIRST(&owner->waiting);

        if (asking)
                waiting = &asking->owned;
        if (visible)
                say(sentence, "owner '%s'", who->name);
        else
                say(sentence, "another user's");
        say_held(sentence, owner, visible);
        say(sentence, " and %s ", asking ? "asks for" : "waits for");
        say_demand(sentence, waiting->demand);
}

/* All that are marked stuck, the one of @asking first. */
static void say_circle(const struct broker *broker, const struct lease *asking, int answer,
                       struct sentence *sentence) {
        const struct owner *first = asking->owned.owner, *owner;
        unsigned n = 0, more = 0;

        say(sentence, "deadlock: ");
        say_owner(sentence, first, asking);
        TAILQ_FOREACH(owner, &broker->owners.list, link) {
                if (!owner->stuck || owner == first)
                        continue;
                if (++n >= OWNERS_TOLD) {
                        more++;
                        continue;
                }
                say(sentence, "; ");
                say_owner(sentence, owner, NULL);
        }
        if (more)
                say(sentence, "; and %u more", more);
        if (answer == DEADLOCK_E_BEHIND)
                say(sentence, ": the first in the queue, which none may pass, waits for what %s",
                    n ? "they keep" : "it keeps");
        else
                say(sentence, n ? ": each keeps what another waits for"
                                : ": more than there is beside what it keeps");
}

/* Stuck means that it does not fit beside what the stuck ones hold, so not beside all either; or it
 * may fit, and is behind one that does not. */
static void find_shortage(const struct lease *lease, struct shortage *shortage) {
        struct shortage found = {};

        if (ledger_check(&lease->broker->ledger, &lease->tenant->account, &lease->claim.demand,
                         &found))
                *shortage = found;
}

/* By how strict an order claims are served now. */
static void heed_order(struct broker *broker) {
        const struct order_rules *rules = &broker->queue.rules;

        broker->owners.strict = !rules->backfill && rules->pass_for_usec == 0;
}

/* The first of all who wait, if it waits for the pool and nobody may pass it: then it goes on
 * waiting for that until it is granted. NULL, or @buffer. */
static const struct owned *find_first(const struct broker *broker, struct owned *buffer) {
        const struct order_rules *rules = &broker->queue.rules;
        const struct claim *first = TAILQ_FIRST(&broker->queue.claims);

        if (!first || first->reason != WAIT_POOL_FULL || rules->backfill || rules->pass_for_usec)
                return NULL;
        *buffer = (struct owned){.account = &claim_lease((struct claim *)first)->tenant->account,
                                 .demand = &first->demand};
        return buffer;
}

/* May @lease, that is not queued yet, come to stand before all others? */
static bool comes_first(const struct lease *lease) {
        const struct queue *queue = &lease->broker->queue;
        const struct claim *first = TAILQ_FIRST(&queue->claims);

        return !first || queue->rules.age_step_ns || lease->claim.order < first->order;
}

bool owning_would_lock(struct lease *lease, uid_t uid, struct shortage *shortage, char *text,
                       size_t size) {
        struct broker *broker = lease->broker;
        struct named_owner *owner = lease->record.owner[0] ? find(lease) : NULL;
        struct sentence sentence = {.text = text, .size = size, .shortage = shortage, .uid = uid};
        struct owned buffer;
        int r;

        if (!owner)
                return false;
        /* It is not queued yet: its place as it is going to be. */
        lease->claim.place.key = claim_key(&lease->claim, broker->queue.rules.age_step_ns);
        lease->claim.place.order = lease->claim.order;
        add(lease, owner, true);
        heed_order(broker);
        r = deadlock_check(&broker->owners, &broker->ledger,
                           comes_first(lease) ? NULL : find_first(broker, &buffer), &owner->owner);
        if (r) {
                find_shortage(lease, shortage);
                say_circle(broker, lease, r, &sentence);
        }
        owner_remove(&broker->owners, &lease->owned);
        return r;
}

struct lease *owning_find_locked(struct broker *broker, char *text, size_t size) {
        struct lease *last = NULL;
        const struct owned *owned;
        const struct owner *owner;
        struct sentence sentence = {.text = text, .size = size};
        const struct claim *first;
        struct owned buffer;
        int r;

        first = TAILQ_FIRST(&broker->queue.claims);
        if (!broker->owners_suspect && (!first || first->order == broker->owners_first))
                return NULL;
        broker->owners_first = first ? first->order : 0;
        heed_order(broker);
        r = deadlock_find(&broker->owners, &broker->ledger, find_first(broker, &buffer));
        if (r == 0) {
                broker->owners_suspect = false;
                return NULL;
        }
        TAILQ_FOREACH(owner, &broker->owners.list, link)
                TAILQ_FOREACH(owned, &owner->waiting, link)
                        if (owner->stuck &&
                            (!last || owned_lease(owned)->claim.order > last->claim.order))
                                last = owned_lease(owned);
        assert(last); /* who is stuck waits for something */
        find_shortage(last, &last->claim.shortage);
        sentence.shortage = &last->claim.shortage;
        sentence.uid = last->record.uid;
        broker->owners_suspect = true; /* there may be more */
        say_circle(broker, last, r, &sentence);
        return last;
}

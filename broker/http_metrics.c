/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <broker/aside.h>
#include <broker/broker.h>
#include <broker/http_metrics.h>
#include <broker/metrics.h>
#include <broker/stats.h>

#define PAGES_MAX 8 /* kept for a survey: of so many users */

enum page_kind { PAGE_METRICS, PAGE_STATS };

static const char *const types[] = {[PAGE_METRICS] = METRICS_TYPE, [PAGE_STATS] = HTTP_JSON};

/* A text that is finished. */
struct page {
        enum page_kind kind;
        uid_t uid; /* as whom it was seen */
        char *body;
        size_t length;
        unsigned n_refs;
        TAILQ_ENTRY(page) link;
};
TAILQ_HEAD(page_list, page);

/* One that is being made, and who gets it. */
struct making {
        struct broker *broker;
        enum page_kind kind;
        uid_t uid;
        struct survey_asker asker;
        struct survey *survey;   /* NULL: waited for */
        struct metrics *metrics; /* of PAGE_METRICS */
        char *body;              /* of PAGE_STATS; NULL: out of memory */
        TAILQ_HEAD(, sharer) sharers;
        TAILQ_ENTRY(making) link;
};

struct sharer {
        struct making *making;
        struct http_request *request;
        TAILQ_ENTRY(sharer) link;
};

struct pages {
        TAILQ_HEAD(, making) makings;
};

/* ---- a finished one ---- */

static void page_put(void *userdata) {
        struct page *page = userdata;

        if (--page->n_refs > 0)
                return;
        free(page->body);
        free(page);
}

static int page_answer(struct page *page, struct http_request *request) {
        page->n_refs++;
        return http_answer_shared(request, types[page->kind], page->body, page->length, page_put,
                                  page);
}

static void drop_kept(void *userdata) {
        struct page_list *list = userdata;
        struct page *page;

        while ((page = TAILQ_FIRST(list))) {
                TAILQ_REMOVE(list, page, link);
                page_put(page);
        }
        free(list);
}

/* It goes with the survey that it tells of. */
static void page_keep(struct page *page, struct survey *survey) {
        struct page_list *list = survey->kept;
        struct page *other;
        unsigned n = 0;

        if (!list) {
                list = malloc(sizeof(*list));
                if (!list)
                        return;
                TAILQ_INIT(list);
                survey->kept = list;
                survey->drop_kept = drop_kept;
        }
        TAILQ_FOREACH(other, list, link)
                n++;
        if (n >= PAGES_MAX)
                return;
        page->n_refs++;
        TAILQ_INSERT_TAIL(list, page, link);
}

static struct page *find_kept(struct broker *broker, enum page_kind kind, uid_t uid) {
        struct survey *survey = survey_young(broker);
        struct page_list *list = survey ? survey->kept : NULL;
        struct page *page;

        if (!list)
                return NULL;
        TAILQ_FOREACH(page, list, link)
                if (page->kind == kind && page->uid == uid)
                        return page;
        return NULL;
}

/* ---- who gets it ---- */

static void sharer_free(struct sharer *sharer) {
        TAILQ_REMOVE(&sharer->making->sharers, sharer, link);
        free(sharer);
}

static void on_gone(void *userdata) {
        sharer_free(userdata);
}

static int join(struct making *making, struct http_request *request) {
        struct sharer *sharer = calloc(1, sizeof(*sharer));

        if (!sharer)
                return fault(-ENOMEM);
        sharer->making = making;
        sharer->request = request;
        TAILQ_INSERT_TAIL(&making->sharers, sharer, link);
        http_later(request, on_gone, sharer);
        return 0;
}

/* Ends it; all who wait get @page, or (NULL) an error. */
static int finish(struct making *making, struct page *page) {
        struct sharer *sharer;
        int r = 0;

        TAILQ_REMOVE(&making->broker->pages->makings, making, link);
        while ((sharer = TAILQ_FIRST(&making->sharers))) {
                struct http_request *request = sharer->request;

                sharer_free(sharer);
                if (r == 0)
                        r = page ? page_answer(page, request)
                                 : http_answer_error(request, 503,
                                                     "the broker got no thread from the kernel to "
                                                     "look at the VMs; ask again");
        }
        survey_unref(making->survey);
        metrics_free(making->metrics);
        free(making->body);
        free(making);
        return r;
}

/* ---- the making ---- */

/* In a thread: only the survey, which stays as it is, is looked at. */
static void render_stats(struct making *making) {
        const struct survey *survey = making->survey;
        json_t *vms = json_array(), *slices = json_array(), *object;

        for (size_t i = 0; i < survey->n_vms; i++)
                if (stats_visible(&survey->vms[i], making->uid))
                        json_array_append_new(vms, stats_vm(survey, &survey->vms[i]));
        for (size_t i = 0; i < survey->n_slices; i++)
                if (survey->slices[i].present)
                        json_array_append_new(slices, stats_slice(survey, &survey->slices[i]));
        object = json_pack("{s:I s:o s:o}", "taken_ns", (json_int_t)survey->begun_realtime_ns,
                           "vms", vms, "slices", slices);
        making->body = object ? json_dumps(object, JSON_COMPACT) : NULL;
        json_decref(object);
}

static void render(void *userdata) {
        struct making *making = userdata;

        if (making->kind == PAGE_METRICS)
                metrics_render(making->metrics);
        else
                render_stats(making);
}

/* The text moves into the page. */
static int take_text(struct making *making, struct page *page) {
        if (making->kind == PAGE_METRICS) {
                if (making->metrics->text.failed)
                        return fault(-ENOMEM);
                page->body = take(making->metrics->text.body);
                page->length = making->metrics->text.n;
                return 0;
        }
        if (!making->body)
                return fault(-ENOMEM);
        page->length = strlen(making->body) + 1;
        making->body[page->length - 1] = '\n'; /* in the place of the NUL */
        page->body = take(making->body);
        return 0;
}

static int on_rendered(struct broker *broker, void *userdata) {
        struct making *making = userdata;
        struct page *page = calloc(1, sizeof(*page));
        int r;

        if (!page)
                return fault(-ENOMEM);
        page->n_refs = 1;
        page->kind = making->kind;
        page->uid = making->uid;
        r = take_text(making, page);
        if (r == 0) {
                page_keep(page, making->survey);
                r = finish(making, page);
        }
        page_put(page);
        return r;
}

static int on_surveyed(struct survey_asker *asker, struct survey *survey) {
        struct making *making = container_of(asker, struct making, asker);
        struct broker *broker = making->broker;
        int r;

        if (!survey)
                return finish(making, NULL);
        making->survey = survey_ref(survey);
        if (making->kind == PAGE_METRICS) {
                making->metrics = metrics_new(broker, survey, making->uid);
                if (!making->metrics)
                        return fault(-ENOMEM);
        }
        r = aside_run(broker, render, on_rendered, making);
        return r <= 0 ? r : finish(making, NULL);
}

static int make(struct http_request *request, enum page_kind kind) {
        struct broker *broker = http_broker(request);
        struct making *making;
        int r;

        making = calloc(1, sizeof(*making));
        if (!making)
                return fault(-ENOMEM);
        making->broker = broker;
        making->kind = kind;
        making->uid = http_sees_as(request);
        making->asker.told = on_surveyed;
        TAILQ_INIT(&making->sharers);
        TAILQ_INSERT_TAIL(&broker->pages->makings, making, link);
        r = join(making, request);
        return r ?: survey_ask(broker, &making->asker);
}

static int give(struct http_request *request, enum page_kind kind) {
        struct broker *broker = http_broker(request);
        uid_t uid = http_sees_as(request);
        struct making *making;
        struct page *page;

        if (!broker->pages) {
                broker->pages = calloc(1, sizeof(*broker->pages));
                if (!broker->pages)
                        return fault(-ENOMEM);
                TAILQ_INIT(&broker->pages->makings);
        }
        page = find_kept(broker, kind, uid);
        if (page)
                return page_answer(page, request);
        TAILQ_FOREACH(making, &broker->pages->makings, link)
                if (making->kind == kind && making->uid == uid)
                        return join(making, request);
        return make(request, kind);
}

int http_metrics(struct http_request *request) {
        return give(request, PAGE_METRICS);
}

int http_stats(struct http_request *request) {
        return give(request, PAGE_STATS);
}

/* What a thread still works at stays: the process ends. */
void http_metrics_close(struct broker *broker) {
        free(take(broker->pages));
}

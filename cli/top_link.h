/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_TOP_LINK_H
#define PROVIUM_CLI_TOP_LINK_H

/*
 * The conversation with the broker beneath a screen: never waits for it (but for a full backlog,
 * see client_connect()), and takes it up again when the broker has gone. Several connections, since
 * each holds one call at a time: for the rounds of questions, for events as they come, for the
 * details of one VM, and for each VM that is being ended.
 */
#include <poll.h>

#include <base/why.h>
#include <cli/client.h>
#include <cli/top_model.h>

#define TOP_KILLS_MAX 8 /* at a time */
#define TOP_POLLS_MAX (3 + TOP_KILLS_MAX)

enum top_round { TOP_ROUND_NONE, TOP_ROUND_LIST, TOP_ROUND_USAGE, TOP_ROUND_RESOURCES };

struct top_kill {
        struct client client; /* not connected: free */
        char name[TEXT_NAME_MAX + 1];
};

struct top_link {
        const char *path;        /* borrowed */
        struct top_model *model; /* borrowed */

        struct client client;
        enum top_round round;
        bool first;          /* no answer to its question has come yet */
        uint64_t asked_usec; /* when the last question was asked */
        uint64_t rounds;     /* that came to their end */
        uint64_t gone_usec;  /* since when nobody is there; 0: somebody is */
        uint64_t retry_usec; /* when it is looked for again */
        uint64_t heard_usec; /* the last answer */
        struct why why;      /* why it cannot be connected to */
        bool no_usage;       /* it is older than the question for it */

        struct client events;

        struct client details;
        char *text; /* the last details, owned; NULL: none yet */

        struct top_kill kills[TOP_KILLS_MAX];
        char message[200]; /* what became of the last one; "" */
        uint64_t message_usec;
};

/* Nothing is connected yet. */
void top_link_init(struct top_link *link, const char *path, struct top_model *model);
void top_link_deinit(struct top_link *link);

/* Asks all anew, unless it is still being asked; connects first where that is due. Negative: out of
 * memory. */
_must_check_ int top_link_ask(struct top_link *link, uint64_t now_usec);
/* Takes what has come. *changedp: something is to be drawn. Negative: out of memory. */
_must_check_ int top_link_step(struct top_link *link, uint64_t now_usec, bool *changedp);
/* What to wait for: fills @pollfds, returns how many. */
size_t top_link_poll(const struct top_link *link, struct pollfd pollfds[TOP_POLLS_MAX]);

/* Asks for the details of the VM @id; what was known of another is forgotten with @anew. */
_must_check_ int top_link_ask_details(struct top_link *link, const char *id, bool anew);
/* Ends the VM @id, which is called @name. */
_must_check_ int top_link_kill(struct top_link *link, const char *id, const char *name,
                               uint64_t now_usec);

/* What is wrong with the broker, in @buffer; NULL: nothing. */
const char *top_link_notice(const struct top_link *link, uint64_t now_usec, char *buffer,
                            size_t size);

#endif

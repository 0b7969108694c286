/* SPDX-License-Identifier: MIT */
/*
 * The client's side of a VM's life, as the replies to Run and Attach tell it.
 *
 *     ASKED ---queued---> QUEUED ---started---> STARTED ---exited---> done
 *       +-----------------------started-----------^
 *
 * A reply may repeat what we know (Attach begins with "started" again) and may be of a kind that we
 * do not know: neither is an error.
 */
#include <signal.h>
#include <string.h>

#include <base/text.h>
#include <cli/human.h>
#include <cli/session.h>

static void take_ticket(struct session *session, const json_t *run) {
        struct run_request *request = &session->options->request;
        const char *ticket = human_string(run, "ticket");

        /* One that is longer than a ticket may be is none; without it we would lose our place. */
        if (*ticket && !text_copy(request->ticket, sizeof(request->ticket), ticket))
                request->ticket[0] = '\0';
}

static void on_queued(struct session *session, const json_t *run) {
        take_ticket(session, run);
        if (session->phase == PHASE_STARTED)
                return;
        session->phase = PHASE_QUEUED;
        if (!session->cli->json)
                tell_waiting(&session->tell, run);
}

static void on_started(struct session *session, const json_t *run) {
        char safe[HUMAN_TEXT_MAX];

        tell_clear(&session->tell);
        take_ticket(session, run);
        if (session->phase == PHASE_STARTED)
                return;
        if (!text_copy(session->id, sizeof(session->id), human_string(run, "id")) ||
            !text_copy(session->name, sizeof(session->name), human_member(run, "name", safe))) {
                session_finish(
                        session,
                        cli_fail(session->cli, STATUS_BROKER,
                                 "the broker's reply makes no sense: its names are too long"));
                return;
        }
        if (!session->name[0])
                strcpy(session->name, session->id);
        session->phase = PHASE_STARTED;
        session->forward.vm = session->id;
        run_options_close_disks(session->options);
        learn_started(&session->learn);
        if (session->options->request.reserves && !session->options->request.detach)
                hold_start(&session->hold, session->cli, session->options->request.argv);
        if (!session->options->request.detach)
                return;
        if (!session->cli->json)
                fprintf(session->cli->out, "%s\n", session->name);
        session_finish(session, STATUS_OK);
}

/* The reservation is over: so is its command, which is told and waited for. */
static void on_reservation_over(struct session *session, const char *reason) {
        session->over = true;
        if (!hold_runs(&session->hold))
                return;
        cli_say(session->cli, "the reservation has ended (%s); its command is told to end",
                *reason ? reason : "the broker does not know it");
        hold_signal(&session->hold, SIGTERM, false);
}

static void on_exited(struct session *session, const json_t *run) {
        char safe[HUMAN_TEXT_MAX];
        const char *reason = human_member(run, "reason", safe);
        int status = STATUS_BROKER;
        uint64_t number;

        tell_clear(&session->tell);
        if (session->options->request.reserves) {
                on_reservation_over(session, reason);
                return;
        }
        if (human_number(run, "exit_code", &number))
                status = (int)(number & 0xff);
        else if (human_number(run, "signal", &number))
                status = 128 + (int)(number & 0x7f);
        else
                cli_say(session->cli,
                        "VM '%s' ended (%s); its exit status was lost with the broker",
                        session->name, *reason ? reason : "exit");
        if (json_is_true(json_object_get(run, "oom")))
                cli_say(session->cli, "VM '%s' was killed: %s", session->name,
                        *reason ? reason : "out of memory");
        session_finish(session, status);
}

/* The status is what a real run would have met at once. */
static void on_dry_run(struct session *session, const json_t *run) {
        const char *verdict = human_string(run, "verdict");
        bool full = strcmp(verdict, "refuse") == 0 ||
                    (strcmp(verdict, "wait") == 0 && session->options->request.wait_usec == 0);
        int r = 0;

        tell_clear(&session->tell);
        if (!session->cli->json)
                r = tell_dry_run(session->cli, run);
        session_finish(session, r < 0  ? cli_fault(session->cli, r)
                                : full ? STATUS_FULL
                                       : STATUS_OK);
}

static void on_error(struct session *session, const struct reply *reply) {
        tell_clear(&session->tell);
        if (session->phase == PHASE_STARTED && session->options->request.reserves)
                on_reservation_over(session, "");
        else if (session->phase == PHASE_STARTED &&
                 strcmp(reply->error, PROTO_INTERFACE ".NotFound") == 0)
                session_finish(session,
                               cli_fail(session->cli, STATUS_BROKER,
                                        "VM '%s' ended while the broker was away; its exit status "
                                        "is lost",
                                        session->name));
        else
                session_finish(session, cli_refused(session->cli, reply));
}

void life_take_reply(struct session *session, const struct reply *reply) {
        const char *state = human_string(reply->parameters, "state");
        const json_t *run = json_object_get(reply->parameters, "run");
        bool known = session->phase == PHASE_STARTED && strcmp(state, "started") == 0;

        session->lost_at_usec = 0;
        session->away_told = false;
        session->kept = 0;
        if (reply->error) {
                on_error(session, reply);
                return;
        }
        if (session->cli->json && !known && strcmp(state, "asked") != 0)
                cli_print_json(session->cli, reply->parameters);
        if (strcmp(state, "asked") == 0)
                take_ticket(session, run);
        else if (strcmp(state, "queued") == 0)
                on_queued(session, run);
        else if (strcmp(state, "started") == 0)
                on_started(session, run);
        else if (strcmp(state, "exited") == 0)
                on_exited(session, run);
        else if (strcmp(state, "dry_run") == 0)
                on_dry_run(session, run);
        /* Other states are news from a newer broker. */
}

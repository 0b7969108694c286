/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <base/why.h>
#include <cli/cli.h>
#include <cli/fate.h>
#include <cli/human.h>

#define RETRY_USEC 200000

static void lose(struct fate *fate, uint64_t now_usec) {
        client_deinit(&fate->client);
        fate->retry_at_usec = now_usec + RETRY_USEC;
}

static int call(struct fate *fate, uint64_t now_usec) {
        json_t *parameters = json_pack("{s[ss]}", "kinds", "vm_shutdown", "claim_released");
        struct why why = {};
        int r;

        if (fate->next >= 0)
                json_object_set_new(parameters, "since", json_integer(fate->next));

        r = client_connect(&fate->client, fate->cli->socket, &why);
        if (r)
                json_decref(parameters);
        else
                r = client_call(&fate->client, "Events", parameters, true, NULL, 0, &why);
        if (r > 0)
                lose(fate, now_usec);
        return r < 0 ? r : 0;
}

static void take_event(struct fate *fate, const json_t *event) {
        const char *kind = human_string(event, "kind");
        uint64_t number;

        if (human_number(event, "seq", &number))
                fate->next = (int64_t)number + 1;
        if (strcmp(human_string(event, "id"), fate->id) != 0)
                return;
        if (strcmp(kind, "claim_released") == 0)
                fate->ended = true;
        if (strcmp(kind, "vm_shutdown") != 0)
                return;
        if (human_number(event, "exit_code", &number))
                fate->status = (int)(number & 0xff);
        else if (human_number(event, "signal", &number))
                fate->status = 128 + (int)(number & 0x7f);
        else
                return;
        fate->known = true;
}

int fate_step(struct fate *fate, uint64_t now_usec) {
        if (!client_connected(&fate->client)) {
                int r = now_usec < fate->retry_at_usec ? 0 : call(fate, now_usec);

                if (r < 0)
                        return r;
        }
        while (client_connected(&fate->client)) {
                struct reply reply = REPLY_NULL;
                const json_t *events;
                struct why why = {};
                int r;

                r = client_step(&fate->client, &reply, &why);
                if (r < 0 || r == CLIENT_E_AGAIN)
                        return r < 0 ? r : 0;
                if (r || reply.error) {
                        reply_deinit(&reply);
                        lose(fate, now_usec);
                        return 0;
                }
                events = json_object_get(reply.parameters, "events");
                for (size_t i = 0; i < json_array_size(events); i++)
                        take_event(fate, json_array_get(events, i));
                reply_deinit(&reply);
        }
        return 0;
}

uint64_t fate_deadline(const struct fate *fate) {
        return client_connected(&fate->client) ? UINT64_MAX : fate->retry_at_usec;
}

bool fate_still_runs(const struct fate *fate) {
        _cleanup_(client_deinitp) struct client client = CLIENT_NULL;
        struct reply reply = REPLY_NULL;
        struct why why = {};
        bool runs;

        if (client_connect(&client, fate->cli->socket, &why) ||
            client_call(&client, "Show", json_pack("{ss}", "vm", fate->id), false, NULL, 0, &why) ||
            client_wait(&client, &reply, &why))
                return false;
        runs = !reply.error;
        reply_deinit(&reply);
        return runs;
}

void fate_deinit(struct fate *fate) {
        client_deinit(&fate->client);
}

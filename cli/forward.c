/* SPDX-License-Identifier: MIT */
/*
 * Signals to the VM. The first connection is busy following the VM's life, so each signal goes over
 * a connection of its own; nothing here waits for the broker, and signals of one number that come
 * faster than they leave are one, as between processes.
 *
 * A broker that is away gets them when it is back. If it left between call and reply the signal is
 * sent again: a SIGTERM twice is better than none.
 */
#include <string.h>

#include <base/why.h>
#include <cli/human.h>
#include <cli/run.h>

#define RETRY_USEC 100000

static_assert(REQUEST_SIGNAL_MAX <= 64, "a bit for each signal");

void forward_add(struct forward *forward, int signal_number) {
        assert(signal_number >= 1 && signal_number <= REQUEST_SIGNAL_MAX);

        forward->waiting |= UINT64_C(1) << (signal_number - 1);
}

void forward_deinit(struct forward *forward) {
        client_deinit(&forward->client);
        *forward = (struct forward)FORWARD_NULL;
}

uint64_t forward_deadline(const struct forward *forward) {
        return forward->waiting && !forward->sent && forward->vm ? forward->retry_at_usec
                                                                 : UINT64_MAX;
}

static void later(struct forward *forward, uint64_t now_usec) {
        client_deinit(&forward->client);
        if (forward->sent)
                forward_add(forward, forward->sent);
        forward->sent = 0;
        forward->retry_at_usec = now_usec + RETRY_USEC;
}

static int send_next(struct forward *forward, uint64_t now_usec) {
        struct vm_request request = VM_REQUEST_NULL;
        struct why why;
        int r;

        r = client_connect(&forward->client, forward->cli->socket, &why);
        if (r) {
                later(forward, now_usec);
                return 0;
        }
        request.signal = __builtin_ctzll(forward->waiting) + 1;
        if (!text_copy(request.vm, sizeof(request.vm), forward->vm))
                return fault(-EINVAL);
        r = client_call(&forward->client, "Signal", vm_request_format(&request), false, NULL, 0,
                        &why);
        if (r)
                return r < 0 ? r : fault(-EMSGSIZE);
        forward->sent = request.signal;
        forward->waiting &= ~(UINT64_C(1) << (request.signal - 1));
        return 0;
}

/* What the broker said to the signal sent last: news only if it could not be delivered. */
static void take_reply(struct forward *forward, const struct reply *reply) {
        char safe[HUMAN_TEXT_MAX];

        /* A VM that has just ended is told on the other connection. */
        if (reply->error && !strstr(reply->error, ".NotFound"))
                cli_say(forward->cli, "signal %d did not reach the VM: %s", forward->sent,
                        human_member(reply->parameters, "message", safe));
        client_deinit(&forward->client);
        forward->sent = 0;
}

int forward_step(struct forward *forward, uint64_t now_usec) {
        struct reply reply = REPLY_NULL;
        struct why why;
        int r;

        if (!forward->vm)
                return 0;
        if (!forward->sent && forward->waiting && now_usec >= forward->retry_at_usec) {
                r = send_next(forward, now_usec);
                if (r < 0)
                        return r;
        }
        if (!forward->sent)
                return 0;

        r = client_step(&forward->client, &reply, &why);
        if (r < 0)
                return r;
        if (r == CLIENT_E_AGAIN)
                return 0;
        if (r) {
                later(forward, now_usec);
                return 0;
        }
        take_reply(forward, &reply);
        reply_deinit(&reply);
        return forward->waiting ? forward_step(forward, now_usec) : 0;
}

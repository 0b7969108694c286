/* SPDX-License-Identifier: MIT */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <base/why.h>
#include <bench/ask.h>

static void connect_to(struct client *client, const char *socket) {
        struct why why = {};

        *client = (struct client)CLIENT_NULL;
        if (client_connect(client, socket, &why))
                errx(1, "%s", why.text);
}

static void next_reply(struct client *client, const char *method, struct reply *reply) {
        struct why why = {};

        *reply = (struct reply)REPLY_NULL;
        if (client_wait(client, reply, &why))
                errx(1, "%s: no reply: %s", method, why.text);
        if (reply->error)
                errx(1, "%s: %s: %s", method, reply->error,
                     json_string_value(json_object_get(reply->parameters, "message")) ?: "");
}

void ask_run_init(struct ask_run *run, const char *slice, const char *program, const char *word,
                  bool detach) {
        *run = (struct ask_run){.argv = {(char *)program, (char *)word}};
        snprintf(run->request.slice, sizeof(run->request.slice), "%s", slice);
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                run->request.claim.amount[i] = REQUEST_DEFAULT;
        run->request.download_bytes_per_s = run->request.upload_bytes_per_s = REQUEST_DEFAULT;
        run->request.disk_read_bytes_per_s = run->request.disk_write_bytes_per_s = REQUEST_DEFAULT;
        run->request.disk_ios_per_s = REQUEST_DEFAULT;
        run->request.wait_usec = 0;
        run->request.detach = detach;
        run->request.argv = run->argv;
        run->request.n_argv = word ? 2 : 1;
        run->request.envp = run->envp;
}

void ask_run(struct ask_run *run, const char *socket, int stdout_fd) {
        int fds[_REQUEST_FDS_N] = {
                [REQUEST_FD_STDIN] = open("/dev/null", O_RDONLY | O_CLOEXEC),
                [REQUEST_FD_STDOUT] = dup(stdout_fd),
                [REQUEST_FD_STDERR] = dup(2),
                [REQUEST_FD_CWD] = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
        };
        struct client client;
        struct reply reply;
        struct why why = {};
        bool continues;
        json_t *state;

        /* The request's strings stay ours. */
        run->request.argv = run->argv;
        run->request.envp = run->envp;
        connect_to(&client, socket);
        if (client_call(&client, "Run", run_request_format(&run->request), !run->request.detach,
                        fds, _REQUEST_FDS_N, &why))
                errx(1, "Run: %s", why.text);
        do {
                next_reply(&client, "Run", &reply);
                continues = reply.continues;
                state = json_object_get(reply.parameters, "run");
                snprintf(run->id, sizeof(run->id), "%s",
                         json_string_value(json_object_get(state, "id")) ?: "");
                reply_deinit(&reply);
        } while (continues);
        client_deinit(&client);
}

json_t *ask(const char *socket, const char *method, json_t *parameters) {
        struct client client;
        struct reply reply;
        struct why why = {};
        json_t *result;

        connect_to(&client, socket);
        if (client_call(&client, method, parameters, false, NULL, 0, &why))
                errx(1, "%s: %s", method, why.text);
        next_reply(&client, method, &reply);
        result = json_incref(reply.parameters);
        reply_deinit(&reply);
        client_deinit(&client);
        return result;
}

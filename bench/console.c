/* SPDX-License-Identifier: MIT */
/*
 * What the console of a detached VM costs: the same launch with one and without, in turns, of a
 * program that ends at once.
 *
 *     bench-console SOCKET PROGRAM ROUNDS MSEC     with a pause of MSEC milliseconds before each
 *
 *   request_p50_us   connect to the socket, Run, to the reply "started" in the client's hands
 *   life_p50_us      by the broker's events: from the grant to the group gone and the charge
 *                    returned, which is when the keeper has ended, too
 */
#include <err.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include <bench/ask.h>
#include <bench/sample.h>

#define WARM_UP 3

struct side {
        struct sample request, life; /* usec */
};

static void pause_msec(unsigned msec) {
        struct timespec time = {msec / 1000, (long)(msec % 1000) * 1000000};

        nanosleep(&time, NULL);
}

/* From the grant of @id to its release, once that is over. */
static double life_of(const char *socket, const char *id, uint64_t *nextp) {
        uint64_t acquired_ns = 0, released_ns = 0;

        while (!released_ns) {
                json_t *parameters =
                        ask(socket, "Events", json_pack("{s:I}", "since", (json_int_t)*nextp));
                json_t *event;
                size_t i;

                json_array_foreach(json_object_get(parameters, "events"), i, event) {
                        const char *kind = json_string_value(json_object_get(event, "kind"));
                        const char *whose = json_string_value(json_object_get(event, "id"));
                        json_t *at = json_object_get(event, "ts_ns");

                        *nextp = (uint64_t)json_integer_value(json_object_get(event, "seq")) + 1;
                        if (!whose || strcmp(whose, id) != 0)
                                continue;
                        if (strcmp(kind, "claim_acquired") == 0)
                                acquired_ns = (uint64_t)json_integer_value(at);
                        else if (strcmp(kind, "claim_released") == 0)
                                released_ns = (uint64_t)json_integer_value(at);
                }
                json_decref(parameters);
                pause_msec(released_ns ? 0 : 20);
        }
        return (double)(released_ns - acquired_ns) / 1000;
}

int main(int argc, char **argv) {
        static struct side sides[2]; /* without, with */
        uint64_t next_event = 0;
        struct ask_run run;
        int null;

        if (argc != 5)
                errx(64, "usage: bench-console SOCKET PROGRAM ROUNDS MSEC");
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        ask_run_init(&run, "bench", argv[2], NULL, true);
        for (int round = 0; round < atoi(argv[3]) + WARM_UP; round++)
                for (int i = 0; i < 2; i++) {
                        /* Who goes first changes. */
                        struct side *side = &sides[(i + round) % 2];
                        double request, life;
                        uint64_t began;

                        run.request.console = side == &sides[1];
                        pause_msec((unsigned)atoi(argv[4]));
                        began = sample_now_ns();
                        ask_run(&run, argv[1], null);
                        request = (double)(sample_now_ns() - began) / 1000;
                        life = life_of(argv[1], run.id, &next_event);
                        if (round < WARM_UP)
                                continue;
                        sample_add(&side->request, request);
                        sample_add(&side->life, life);
                }
        sample_report("console", "request_p50_us", 0.5, &sides[1].request, "no-console",
                      &sides[0].request, "");
        sample_report("console", "life_p50_us", 0.5, &sides[1].life, "no-console", &sides[0].life,
                      "");
        return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * The whole path of a launch, from the request to the exec and from the exit to the release,
 * against the floor (bench/floor.h) and against what people would take instead.
 *
 * Everybody takes turns in one run, so that what else the machine does meets all alike. Two ways:
 * "idle", with a pause before each launch, as a host mostly is (timers, RCU and caches have gone to
 * sleep), and "burst", ten in a row. Three metrics:
 *
 *   p50, p99          inside the broker: from the grant (its event claim_acquired) to the first
 *                     instruction of the VM's main(), and from the last one to the event
 * claim_released, which it writes when the directory is gone and the charge returned. Against the
 *                     floor's same two stretches: mkdir to main(), and main()'s end to after rmdir.
 *   start, end        the two stretches by themselves
 *   request_p50, p99  the whole request: connect to the socket, Run with four descriptors, to the
 *                     reply "exited" in the client's hands. Against the whole floor.
 *   command_p50       `provium run` as a user types it, against each peer's command as a user types
 * it
 */
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bench/ask.h>
#include <bench/floor.h>
#include <bench/peer.h>

#define PEERS_MAX 12
#define BURST 10
#define WARM_UP 3
#define EVENTS_EVERY 200 /* launches between two readings of the events, whose ring holds 4,096 */

/* One contender whose inside can be looked at. */
struct inside {
        struct sample start, end, both, whole; /* usec */
};

/* A launch by the broker whose events were not read yet. */
struct open_launch {
        char id[64];
        uint64_t main_ns, exit_ns, acquired_ns, released_ns;
};

struct bench {
        const char *socket, *floor_path, *program, *context;
        unsigned rounds, idle_msec, burst_rounds;
        bool no_limits;

        struct ask_run run;
        struct floor floor;
        struct peer peers[PEERS_MAX];
        size_t n_peers;
        int notes_fd;
        volatile uint64_t *notes; /* bench-static's */

        struct open_launch open[EVENTS_EVERY];
        size_t n_open;
        uint64_t next_event;
        struct inside ours, floors;
};

static void pause_msec(unsigned msec) {
        struct timespec time = {msec / 1000, (long)(msec % 1000) * 1000000};

        nanosleep(&time, NULL);
}

static void add(struct inside *inside, uint64_t from, uint64_t main_ns, uint64_t exit_ns,
                uint64_t to) {
        double start = (double)(int64_t)(main_ns - from) / 1000,
               end = (double)(int64_t)(to - exit_ns) / 1000;

        sample_add(&inside->start, start);
        sample_add(&inside->end, end);
        sample_add(&inside->both, start + end);
}

static void launch_floor(struct bench *bench, bool count) {
        struct floor_times times;

        floor_launch(&bench->floor, &times);
        if (!count)
                return;
        add(&bench->floors, times.began_ns, bench->notes[0], bench->notes[1], times.ended_ns);
        sample_add(&bench->floors.whole, (double)(times.ended_ns - times.began_ns) / 1000);
}

/* Completes the open launches with what the broker noted about them. */
static void read_events(struct bench *bench) {
        json_t *parameters, *event;
        size_t i;

        parameters = ask(bench->socket, "Events",
                         json_pack("{s:I}", "since", (json_int_t)bench->next_event));
        json_array_foreach (json_object_get(parameters, "events"), i, event) {
                const char *id = json_string_value(json_object_get(event, "id"));
                const char *kind = json_string_value(json_object_get(event, "kind"));
                uint64_t at = (uint64_t)json_integer_value(json_object_get(event, "ts_ns"));

                bench->next_event = (uint64_t)json_integer_value(json_object_get(event, "seq")) + 1;
                for (size_t j = 0; id && j < bench->n_open; j++) {
                        struct open_launch *open = &bench->open[j];

                        if (strcmp(open->id, id) != 0)
                                continue;
                        if (strcmp(kind, "claim_acquired") == 0)
                                open->acquired_ns = at;
                        else if (strcmp(kind, "claim_released") == 0)
                                open->released_ns = at;
                }
        }
        json_decref(parameters);
        for (i = 0; i < bench->n_open; i++) {
                struct open_launch *open = &bench->open[i];

                if (!open->acquired_ns || !open->released_ns)
                        errx(1, "the broker has no events of %s", open->id);
                add(&bench->ours, open->acquired_ns, open->main_ns, open->exit_ns,
                    open->released_ns);
        }
        bench->n_open = 0;
}

static void launch_ours(struct bench *bench, bool count) {
        uint64_t began = sample_now_ns();
        struct open_launch *open;

        ask_run(&bench->run, bench->socket, bench->notes_fd);
        if (!count)
                return;
        sample_add(&bench->ours.whole, (double)(sample_now_ns() - began) / 1000);
        open = &bench->open[bench->n_open++];
        *open = (struct open_launch){.main_ns = bench->notes[0], .exit_ns = bench->notes[1]};
        snprintf(open->id, sizeof(open->id), "%s", bench->run.id);
        if (bench->n_open == EVENTS_EVERY)
                read_events(bench);
}

static void launch(struct bench *bench, size_t who, bool count) {
        if (who == 0)
                launch_floor(bench, count);
        else if (who == 1)
                launch_ours(bench, count);
        else
                peer_launch(&bench->peers[who - 2], count);
}

static void clear(struct bench *bench) {
        memset(&bench->ours, 0, sizeof(bench->ours));
        memset(&bench->floors, 0, sizeof(bench->floors));
        for (size_t i = 0; i < bench->n_peers; i++)
                bench->peers[i].whole.n = 0;
}

/* @idle: each alone after a pause; else, without the peers, in rows of BURST. */
static void measure(struct bench *bench, bool idle) {
        size_t n = 2 + (idle ? bench->n_peers : 0);
        unsigned rounds = idle ? bench->rounds : bench->burst_rounds;

        for (unsigned round = 0; round < rounds + WARM_UP; round++)
                for (size_t i = 0; i < n; i++) {
                        /* Who goes first changes, so that nobody always follows the slowest. */
                        size_t who = (i + round) % n;

                        for (unsigned j = 0; j < (idle ? 1 : BURST); j++) {
                                if (idle)
                                        pause_msec(bench->idle_msec);
                                launch(bench, who, round >= WARM_UP);
                        }
                }
        read_events(bench);
}

static void report(struct bench *bench, bool idle) {
        struct inside *ours = &bench->ours, *other = &bench->floors;
        struct peer *command = bench->n_peers ? &bench->peers[0] : NULL;
        char context[200];

        snprintf(context, sizeof(context), "\"way\":\"%s\"%s%s", idle ? "idle" : "burst",
                 *bench->context ? "," : "", bench->context);
        sample_report("launch", "p50_us", 0.5, &ours->both, "floor", &other->both, context);
        sample_report("launch", "p99_us", 0.99, &ours->both, "floor", &other->both, context);
        sample_report("launch", "start_p50_us", 0.5, &ours->start, "floor", &other->start, context);
        sample_report("launch", "end_p50_us", 0.5, &ours->end, "floor", &other->end, context);
        sample_report("launch", "request_p50_us", 0.5, &ours->whole, "floor", &other->whole,
                      context);
        sample_report("launch", "request_p99_us", 0.99, &ours->whole, "floor", &other->whole,
                      context);
        if (!idle || !command)
                return;
        sample_report("launch", "command_p50_us", 0.5, &command->whole, "floor", &other->whole,
                      context);
        for (size_t i = 1; i < bench->n_peers; i++) {
                sample_report("launch", "request_p50_us", 0.5, &ours->whole, bench->peers[i].name,
                              &bench->peers[i].whole, context);
                sample_report("launch", "command_p50_us", 0.5, &command->whole,
                              bench->peers[i].name, &bench->peers[i].whole, context);
        }
}

static void parse(struct bench *bench, int argc, char **argv) {
        static const struct option longs[] = {
                {"socket", required_argument, NULL, 's'},
                {"floor", required_argument, NULL, 'f'},
                {"program", required_argument, NULL, 'p'},
                {"rounds", required_argument, NULL, 'n'},
                {"bursts", required_argument, NULL, 'b'},
                {"idle", required_argument, NULL, 'i'},
                {"context", required_argument, NULL, 'c'},
                {"peer", required_argument, NULL, 'P'},
                {},
        };
        int option;

        while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1)
                switch (option) {
                case 's':
                        bench->socket = optarg;
                        break;
                case 'f':
                        bench->floor_path = optarg;
                        break;
                case 'p':
                        bench->program = optarg;
                        break;
                case 'n':
                        bench->rounds = (unsigned)atoi(optarg);
                        break;
                case 'b':
                        bench->burst_rounds = (unsigned)atoi(optarg);
                        break;
                case 'i':
                        bench->idle_msec = (unsigned)atoi(optarg);
                        break;
                case 'c':
                        bench->context = optarg;
                        break;
                case 'P':
                        if (bench->n_peers == PEERS_MAX)
                                errx(64, "more than %d peers", PEERS_MAX);
                        peer_init(&bench->peers[bench->n_peers++], optarg);
                        break;
                default:
                        exit(64);
                }
        if (!bench->program || !bench->floor_path)
                errx(64, "usage: bench-launch --program STATIC --floor GROUP [--socket PATH] "
                         "[--rounds N] "
                         "[--bursts N] [--idle MSEC] [--context JSON] [--peer NAME=COMMAND]...\n"
                         "The first peer is our own command.");
}

int main(int argc, char **argv) {
        static struct bench bench = {
                .socket = "/run/provium/control",
                .context = "",
                .rounds = 40,
                .burst_rounds = 5,
                .idle_msec = 80,
        };
        char fd_word[16];

        parse(&bench, argc, argv);
        bench.notes_fd = memfd_create("notes", 0); /* inherited by the floor's child */
        if (bench.notes_fd < 0 || ftruncate(bench.notes_fd, 4096) < 0)
                err(1, "memfd_create");
        bench.notes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, bench.notes_fd, 0);
        if (bench.notes == MAP_FAILED)
                err(1, "mmap");
        snprintf(fd_word, sizeof(fd_word), "%d", bench.notes_fd);
        floor_init(&bench.floor, bench.floor_path, bench.program, true);
        bench.floor.argv[1] = fd_word;
        ask_run_init(&bench.run, "bench", bench.program, "1", false);

        if (bench.rounds) {
                measure(&bench, true);
                report(&bench, true);
        }
        if (bench.burst_rounds) {
                clear(&bench);
                measure(&bench, false);
                report(&bench, false);
        }
        return 0;
}

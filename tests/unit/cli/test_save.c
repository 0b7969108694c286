/* SPDX-License-Identifier: MIT */
/*
 * What is saved is read again by programs that are not ours: jansson line by line, and Python's
 * msgpack.
 */
#include <cli/frame.h>
#include <cli/save.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>

#include "traces.h"
#include "unit.h"

#define WRITERS 4
#define EACH 300

static const char *const names[] = {"events.json", "events.msgpack"};

struct place {
        char dir[64], path[128];
};

static void place_init(struct place *place, const char *name) {
        strcpy(place->dir, "/tmp/save-XXXXXX");
        need(mkdtemp(place->dir) != NULL);
        snprintf(place->path, sizeof(place->path), "%s/%s", place->dir, name);
}

static void place_deinit(struct place *place) {
        char command[256];

        snprintf(command, sizeof(command), "rm -r %s", place->dir);
        need_int(system(command), 0); // NOLINT(cert-env33-c): our own directory
}

static void fill(const char *path, const char *bytes, size_t length) {
        FILE *file = fopen(path, "we");

        need(file != NULL);
        need_uint(fwrite(bytes, 1, length, file), length);
        need_int(fclose(file), 0);
}

static size_t size_of(const char *path) {
        struct stat st;

        need_int(stat(path, &st), 0);
        return (size_t)st.st_size;
}

static json_t *event(int seq, size_t padding) {
        char text[9000] = "";

        memset(text, 'x', padding);
        text[padding] = '\0';
        return json_pack("{si si ss sb sn sf s[ii] s{si} ss}", "seq", seq, "negative", -seq, "kind",
                         "vm_oom", "ok", 1, "nothing", "real", 0.25, "list", 1, 70000, "charge",
                         "cpu", 1500, "text", text);
}

/* By Python: the number of whole frames or lines, or -1. */
static int count_by_python(const char *path) {
        char command[1024];
        int status;

        snprintf(command, sizeof(command),
                 "/usr/bin/python3 -c \"\n"
                 "import json, sys\n"
                 "path = '%s'\n"
                 "if path.endswith('.msgpack'):\n"
                 "    import msgpack\n"
                 "    data = open(path, 'rb').read()\n"
                 "    unpacker = msgpack.Unpacker(strict_map_key=True)\n"
                 "    unpacker.feed(data)\n"
                 "    events = list(unpacker)\n"
                 "    assert unpacker.tell() == len(data)\n"
                 "else:\n"
                 "    events = [json.loads(line) for line in open(path)]\n"
                 "for e in events:\n"
                 "    assert e['negative'] == -e['seq'] and e['ok'] is True and e['real'] == 0.25\n"
                 "    assert e['list'] == [1, 70000] and e['charge'] == {'cpu': 1500}, e\n"
                 "    assert e['nothing'] is None and set(e['text']) <= {'x'}\n"
                 "open(path + '.count', 'w').write(str(len(events)))\n"
                 "\"",
                 path);
        status = system(command); // NOLINT(cert-env33-c): a program of the test's own
        if (status == 0) {
                char counted[256], text[32] = "";
                FILE *file;

                snprintf(counted, sizeof(counted), "%s.count", path);
                file = fopen(counted, "re");
                need(file != NULL && fgets(text, sizeof(text), file));
                fclose(file);
                return atoi(text);
        }
        return -1;
}

static bool has_msgpack(void) {
        // NOLINTNEXTLINE(cert-env33-c)
        return system("/usr/bin/python3 -c 'import msgpack' 2>/dev/null") == 0;
}

static int add(struct save *save, int seq, size_t padding, struct why *why) {
        json_t *object = event(seq, padding);
        int r = save_add(save, object, why);

        json_decref(object);
        return r;
}

static void what_is_saved_is_read_by_others_as_it_was(void) {
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct save save = SAVE_NULL;
                struct why why = {};
                struct place place;

                if (i == 1 && !has_msgpack())
                        unit_skip("python3-msgpack is not installed");
                place_init(&place, names[i]);
                for (int seq = 0; seq < 20; seq++) {
                        need_int(save_open(&save, place.path, &why), 0);
                        expect_int(add(&save, seq * seq * seq * 1000, (size_t)seq * 400, &why), 0);
                        expect_int(save_close(&save, &why), 0);
                }
                expect_int(count_by_python(place.path), 20);
                place_deinit(&place);
        }
}

static void a_frame_is_read_back_as_it_was(void) {
        json_t *object = event(-7, 300), *back = NULL;
        struct why why = {};
        size_t length, found;
        char *bytes;

        need_int(frame_pack(object, &bytes, &length), 0);
        expect_int(frame_length(bytes, length, &found), 0);
        expect_uint(found, length);
        for (size_t i = 0; i < length; i++)
                expect_int(frame_length(bytes, i, &found), FRAME_E_SHORT);
        need_int(frame_unpack(bytes, length, &back, &why), 0);
        expect(json_equal(object, back));
        json_decref(back);
        json_decref(object);
        free(bytes);
}

/* With a length of @n bytes that follow, all 0. */
static void expect_frame(const char *head, size_t n_head, size_t n, int wanted) {
        char bytes[512] = "";
        size_t length = 0;

        memcpy(bytes, head, n_head);
        expect_int(frame_length(bytes, n_head + n, &length), wanted);
        if (wanted == 0)
                expect_uint(length, n_head + n);
}

static void every_type_has_its_length_and_hostile_ones_cost_nothing(void) {
        static const struct {
                const char *head;
                size_t n_head, n;
        } good[] = {
                {"\x81\xa0\xc0", 3, 0},          {"\x81\xa0\xc3", 3, 0},
                {"\x81\xa0\xcc", 3, 1},          {"\x81\xa0\xcd", 3, 2},
                {"\x81\xa0\xce", 3, 4},          {"\x81\xa0\xcf", 3, 8},
                {"\x81\xa0\xd0", 3, 1},          {"\x81\xa0\xd3", 3, 8},
                {"\x81\xa0\xca", 3, 4},          {"\x81\xa0\xcb", 3, 8},
                {"\x81\xa0\xd4", 3, 2},          {"\x81\xa0\xd8", 3, 17},
                {"\x81\xa0\xc4\x05", 4, 5},      {"\x81\xa0\xc5\x01\x00", 5, 256},
                {"\x81\xa0\xc7\x05", 4, 6},      {"\x81\xa0\xd9\x20", 4, 32},
                {"\x81\xa0\xda\x00\x20", 5, 32}, {"\x81\xa0\x93", 3, 3},
                {"\x81\xa0\xdc\x00\x03", 5, 3},  {"\xde\x00\x01", 3, 2},
                {"\xdf\x00\x00\x00\x01", 5, 2},  {"\x80", 1, 0},
        };
        static const struct {
                const char *head;
                size_t n_head;
        } bad[] = {
                {"\xc0", 1},
                {"{\"a\":1}", 7},
                {"\x81\xa0\xc1", 3},
                {"\xdf\xff\xff\xff\xff", 5},
                {"\x81\xa0\xdd\xff\xff\xff\xff", 7},
                {"\x81\xa0\xdb\xff\xff\xff\xff", 7},
        };
        char deep[400], nested[201];
        struct why why = {};
        size_t length;
        json_t *object;

        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                expect_frame(good[i].head, good[i].n_head, good[i].n, 0);
                if (good[i].n > 0)
                        expect_frame(good[i].head, good[i].n_head, good[i].n - 1, FRAME_E_SHORT);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                expect_frame(bad[i].head, bad[i].n_head, 0, FRAME_E_INVALID);

        /* Deeper than any event. */
        memset(deep, 0x91, sizeof(deep));
        memcpy(deep, "\x81\xa0", 2);
        deep[sizeof(deep) - 1] = '\0';
        need_int(frame_length(deep, sizeof(deep), &length), 0);
        expect_int(frame_unpack(deep, length, &object, &why), FRAME_E_INVALID);
        expect_in(why.text, "deeper");
        /* Keys that are no texts, values that JSON does not have. */
        memcpy(nested, "\x81\x01\x01", 3);
        expect_int(frame_unpack(nested, 3, &object, &why), FRAME_E_INVALID);
        memcpy(nested, "\x81\xa0\xc4\x01\x00", 5);
        expect_int(frame_unpack(nested, 5, &object, &why), FRAME_E_INVALID);
        memcpy(nested, "\x81\xa1\xff\xc0", 4);
        expect_int(frame_unpack(nested, 4, &object, &why), FRAME_E_INVALID);
}

/* Writes until it is killed, or @n times. */
static pid_t start_writer(const char *path, int n) {
        pid_t pid = fork();

        if (pid == 0) {
                struct save save = SAVE_NULL;
                struct why why = {};
                int r = save_open(&save, path, &why);

                for (int i = 0; r == 0 && (n == 0 || i < n); i++)
                        r = add(&save, i, (size_t)(i * 37 % 8000), &why);
                if (r)
                        fprintf(stderr, "%s\n", why.text);
                _exit(r ? 1 : 0);
        }
        need(pid > 0);
        return pid;
}

static void several_writers_leave_whole_frames(void) {
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct place place;
                pid_t pids[WRITERS];

                if (i == 1 && !has_msgpack())
                        unit_skip("python3-msgpack is not installed");
                place_init(&place, names[i]);
                for (size_t w = 0; w < WRITERS; w++)
                        pids[w] = start_writer(place.path, EACH);
                for (size_t w = 0; w < WRITERS; w++) {
                        int status = -1;

                        need_int(waitpid(pids[w], &status, 0), pids[w]);
                        expect_int(status, 0);
                }
                expect_int(count_by_python(place.path), WRITERS * EACH);
                place_deinit(&place);
        }
}

/* Killed anywhere, again and again, while others write. */
static void a_killed_writer_spoils_nothing(void) {
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct place place;
                pid_t pids[WRITERS];

                if (i == 1 && !has_msgpack())
                        unit_skip("python3-msgpack is not installed");
                place_init(&place, names[i]);
                for (size_t w = 0; w < WRITERS; w++)
                        pids[w] = start_writer(place.path, 0);
                for (unsigned kills = 0; kills < 60; kills++) {
                        struct timespec pause = {.tv_nsec = 500000 + kills * 7919 % 2000000};

                        nanosleep(&pause, NULL); // not a wait: the moment of the kill
                        kill(pids[kills % WRITERS], SIGKILL);
                        waitpid(pids[kills % WRITERS], NULL, 0);
                        pids[kills % WRITERS] = start_writer(place.path, 0);
                }
                for (size_t w = 0; w < WRITERS; w++) {
                        kill(pids[w], SIGKILL);
                        waitpid(pids[w], NULL, 0);
                }
                /* What the very last one left is the next one's to take away. */
                need_int(waitpid(start_writer(place.path, 1), NULL, 0) > 0, 1);
                expect(count_by_python(place.path) > 0);
                place_deinit(&place);
        }
}

/* As a writer leaves it that is killed in the middle: at each byte of the last frame. */
static void a_cut_frame_is_taken_away_by_the_next_writer(void) {
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct save save = SAVE_NULL;
                struct why why = {};
                struct place place;
                size_t one, two;

                place_init(&place, names[i]);
                need_int(save_open(&save, place.path, &why), 0);
                need_int(add(&save, 1, 20, &why), 0);
                one = size_of(place.path);
                need_int(add(&save, 2, 20, &why), 0);
                two = size_of(place.path);
                for (size_t cut = one; cut <= two; cut++) {
                        need_int(truncate(place.path, (off_t)cut), 0);
                        need_int(add(&save, 2, 20, &why), 0);
                        expect_uint(size_of(place.path), cut == two ? 2 * two - one : two);
                        need_int(truncate(place.path, (off_t)cut), 0);
                        save_deinit(&save);
                        need_int(save_open(&save, place.path, &why), 0);
                        expect_uint(size_of(place.path), cut == two ? two : one);
                        expect_uint(save.n_mended, cut == two ? 0 : cut - one);
                        if (cut < two)
                                need_int(add(&save, 2, 20, &why), 0);
                }
                save_deinit(&save);
                place_deinit(&place);
        }
}

static void what_is_no_file_of_events_is_left_as_it_is(void) {
        static const struct {
                const char *name, *bytes;
        } foreign[] = {
                {"notes.txt", "dear diary\n"},
                {"notes.txt", "{\"a\":1}\nand so on"},
                {"notes.txt", "x"},
                {"a.msgpack", "dear diary\n"},
                {"a.msgpack", "{\"a\":1}\n"},
                {"a.msgpack", "\x80\x80 and so on"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
                size_t length = strlen(foreign[i].bytes);
                struct save save = SAVE_NULL;
                struct why why = {};
                struct place place;

                place_init(&place, foreign[i].name);
                fill(place.path, foreign[i].bytes, length);
                expect_int(save_open(&save, place.path, &why), SAVE_E_FOREIGN);
                expect_in(why.text, "is no file of events");
                expect_uint(size_of(place.path), length);
                save_deinit(&save);
                place_deinit(&place);
        }
}

static void what_does_not_fit_is_taken_back_and_told(void) {
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct rlimit before, limit;
                struct save save = SAVE_NULL;
                struct why why = {};
                struct place place;
                size_t whole;

                place_init(&place, names[i]);
                need_int(save_open(&save, place.path, &why), 0);
                need_int(add(&save, 1, 2000, &why), 0);
                whole = size_of(place.path);
                getrlimit(RLIMIT_FSIZE, &before);
                limit = before;
                limit.rlim_cur = whole + 1000;
                need_int(setrlimit(RLIMIT_FSIZE, &limit), 0);
                expect_int(add(&save, 2, 2000, &why), SAVE_E_WRITE);
                expect_int(why.errnum, EFBIG);
                need_int(setrlimit(RLIMIT_FSIZE, &before), 0);
                expect_uint(size_of(place.path), whole);
                expect_int(add(&save, 2, 2000, &why), 0);
                expect_uint(size_of(place.path), 2 * whole);
                save_deinit(&save);
                place_deinit(&place);
        }
}

static void a_file_that_was_moved_away_is_followed_by_a_new_one(void) {
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct save save = SAVE_NULL;
                struct why why = {};
                struct place place;
                char moved[256];
                size_t one;

                place_init(&place, names[i]);
                snprintf(moved, sizeof(moved), "%s.1", place.path);
                need_int(save_open(&save, place.path, &why), 0);
                need_int(add(&save, 1, 10, &why), 0);
                one = size_of(place.path);
                need_int(rename(place.path, moved), 0);
                need_int(add(&save, 2, 10, &why), 0);
                expect_uint(size_of(place.path), one);
                expect_uint(size_of(moved), one);
                /* Emptied in place, as copytruncate does. */
                need_int(truncate(place.path, 0), 0);
                need_int(add(&save, 3, 10, &why), 0);
                expect_uint(size_of(place.path), one);
                save_deinit(&save);
                place_deinit(&place);
        }
}

static void append_frame(char *bytes, size_t *usedp, const char *json) {
        json_t *object = json_loads(json, 0, NULL);
        size_t length;
        char *frame;

        need(object != NULL);
        need_int(frame_pack(object, &frame, &length), 0);
        memcpy(bytes + *usedp, frame, length);
        *usedp += length;
        free(frame);
        json_decref(object);
}

static void saved_frames_are_a_trace_up_to_where_they_are_cut(void) {
        size_t used = 0, whole, acquired;
        struct trace trace;
        struct why why = {};
        char bytes[4096];

        append_frame(bytes, &used, "{\"kind\":\"pool_state\",\"seq\":0,\"ts_ns\":1}");
        append_frame(bytes, &used,
                     "{\"kind\":\"claim_acquired\",\"ts_ns\":1000000,\"id\":\"a\",\"slice\":\"ci\","
                     "\"uid\":5,\"admission_us\":10,\"charge\":{\"cpu\":2000,\"memory\":4096}}");
        acquired = used;
        append_frame(bytes, &used,
                     "{\"kind\":\"gap\",\"seq\":9,\"from\":2,\"to\":9,\"restarted\":true}");
        append_frame(bytes, &used, "{\"kind\":\"claim_released\",\"ts_ns\":3000000,\"id\":\"a\"}");
        whole = used;
        for (size_t n = acquired; n <= whole; n++) {
                need_that(traces_read_bytes(&trace, bytes, n, &why) == 0, "%s", why.text);
                expect_uint(trace.n, 1);
                expect_uint(trace.rows[0].cpu_milli, 2000);
                expect_uint(trace.rows[0].duration_usec, n == whole ? 2000 : 0);
                expect_uint(trace.n_open, n == whole ? 0 : 1);
                expect(n == whole || n == acquired || trace.n_cut > 0 || trace.n_restarts > 0);
                trace_deinit(&trace);
        }
        bytes[used++] = '\n';
        expect_int(traces_read_bytes(&trace, bytes, used, &why), TRACE_E_INVALID);
        expect_in(why.text, "behind frame 4 there is no event");
        trace_deinit(&trace);
}

static void lines_are_a_trace_up_to_where_they_are_cut(void) {
        static const char text[] =
                "{\"kind\":\"claim_acquired\",\"ts_ns\":1000000,\"id\":\"a\",\"admission_us\":10,"
                "\"charge\":{\"cpu\":2000,\"memory\":4096}}\n"
                "{\"kind\":\"claim_released\",\"ts_ns\":3000000,\"id\":\"a\"}\n";
        size_t first = strcspn(text, "\n") + 1;

        for (size_t n = first; n < sizeof(text); n++) {
                struct trace trace;
                struct why why = {};
                bool whole = n >= sizeof(text) - 2; /* but for the newline */

                need_that(traces_read_bytes(&trace, text, n, &why) == 0, "%s", why.text);
                expect_uint(trace.n, 1);
                expect_uint(trace.rows[0].duration_usec, whole ? 2000 : 0);
                expect_uint(trace.n_cut, whole ? 0 : n - first);
                trace_deinit(&trace);
        }
}

UNIT_MAIN(TEST(a_frame_is_read_back_as_it_was),
          TEST(every_type_has_its_length_and_hostile_ones_cost_nothing),
          TEST(what_is_saved_is_read_by_others_as_it_was), TEST(several_writers_leave_whole_frames),
          TEST(a_killed_writer_spoils_nothing), TEST(a_cut_frame_is_taken_away_by_the_next_writer),
          TEST(what_is_no_file_of_events_is_left_as_it_is),
          TEST(what_does_not_fit_is_taken_back_and_told),
          TEST(a_file_that_was_moved_away_is_followed_by_a_new_one),
          TEST(saved_frames_are_a_trace_up_to_where_they_are_cut),
          TEST(lines_are_a_trace_up_to_where_they_are_cut), )

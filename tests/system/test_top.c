/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 600 */
/*
 * `provium top` on a terminal, with a real broker and VMs that burn CPU and hold memory: what it
 * shows is what the broker and the kernel say; keys, a new size, an end of the broker's, and its
 * own. What was seen is kept as artefacts.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <base/units.h>

#include "house.h"
#include "pane.h"

#define CONF                                                                                       \
        "[Capacity]\nCPU=4\nMemory=400M\nDisk=1G\n[Ratio]\nCPU=2\n"                                \
        "[Claim]\nCPU=0.1\nMemory=16M\nDiskIO=0\nNetwork=0\n[Enforce]\nMemoryOverhead=0\n"
#define TOP "provium --socket " HOUSE_SOCKET " top"

static void start(const char *name, const char *cpus, const char *mem, const char *mode,
                  const char *amount) {
        struct job job;

        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--name", name, "--cpus", cpus,
                         "--mem", mem, "--detach", "--", "vm", mode, amount),
                   0);
}

/* A VM that burns what it was sold, one that holds memory, one that rests. */
static void start_three(void) {
        start("burner", "0.5", "32M", "spin", "1");
        start("eater", "0.1", "96M", "eat", "60");
        start("rester", "1", "128M", "rest", "");
}

/* The N-th word of the row that begins with @start. */
static const char *word(const struct pane *pane, const char *start, int n) {
        static char copy[1024];
        char *token;

        snprintf(copy, sizeof(copy), "%s", pane_row(pane, start));
        token = strtok(copy, " ");
        while (token && n-- > 0)
                token = strtok(NULL, " ");
        return token ?: "";
}

static json_int_t resource(const json_t *reply, const char *name, const char *key) {
        const json_t *resources =
                json_object_get(json_object_get(reply, "parameters"), "resources");

        return json_integer_value(json_object_get(json_object_get(resources, name), key));
}

/* "0.50/0.50" or "60.3M/96M": what is before the stroke. */
static double used_of(const char *text) {
        char number[64];
        uint64_t bytes = 0;

        snprintf(number, sizeof(number), "%.*s", (int)strcspn(text, "/"), text);
        if (units_parse_size(number, &bytes, NULL) == 0 && strpbrk(number, "BKMG"))
                return (double)bytes;
        return strtod(number, NULL);
}

static void expect_order(const struct pane *pane, const char *first, const char *second,
                         const char *third) {
        const char *a = strstr(pane->text, first), *b = strstr(pane->text, second),
                   *c = strstr(pane->text, third);

        expect_that(a && b && c && a < b && b < c, "not in the order %s, %s, %s", first, second,
                    third);
}

static json_int_t memory_held(const char *vm) {
        char text[64], path[512], *group = vm_path(vm);

        snprintf(path, sizeof(path), "%s/memory.current", group);
        free(group);
        file_get(path, text, sizeof(text));
        return strtoll(text, NULL, 10);
}

/* With a tenth of a processor that takes seconds. */
static bool eater_is_full(void *userdata) {
        return memory_held("eater") >= 60 << 20;
}

static void bars_and_rows_are_what_broker_and_kernel_say(void) {
        struct house house;
        static struct pane pane;
        struct job waits;
        char text[64];
        json_t *reply;
        json_int_t held;

        house_open(&house, CONF, NULL);
        start_three();
        need(wait_until(eater_is_full, NULL, HOUSE_WAIT_MS));
        JOB_RUN(&waits, "--name", "late", "--mem", "300M", "--", "vm", "rest");
        job_wait_err(&waits, "pool_full");
        pane_open(&pane, 80, 24, TOP " --delay 0.5");
        pane_wait(&pane, "rester");
        /* Rates come with the second look. */
        pane_wait_gone(&pane, "-/0.50");
        reply = ask("Resources", NULL);
        expect_str(word(&pane, "cpu ", 3), "1.60");
        expect_int(resource(reply, "cpu", "allocated"), 1600);
        expect_str(word(&pane, "cpu ", 2), "0.80");
        expect_int(resource(reply, "cpu", "guaranteed"), 800);
        expect_str(word(&pane, "cpu ", 4), "8");
        expect_int(resource(reply, "cpu", "effective_limit"), 8000);
        units_format_size((uint64_t)resource(reply, "memory", "allocated"), text, sizeof(text));
        expect_str(word(&pane, "memory ", 3), text);
        expect_str(word(&pane, "memory ", 4), "400M");
        json_decref(reply);
        /* It gets half a CPU, whoever else wants one; the machine may give it less. */
        expect_within(used_of(word(&pane, "burner ", 3)), 0.1, 0.6);
        expect_within(used_of(word(&pane, "cpu ", 1)), 0.1, 0.8);
        held = memory_held("eater");
        expect_within(used_of(word(&pane, "eater ", 4)), (double)held * 0.97, (double)held * 1.03);
        expect_in(pane.text, "3 VMs, 1 waiting");
        expect_in(pane_row(&pane, "late"), "pool_full");
        expect_in(pane.text, "claim_queued");
        pane_keep(&pane, "top-80x24.txt");
        /* Larger while it runs: more columns, and nothing of the smaller one is left. */
        pane_resize(200, 60);
        pane_wait(&pane, "COMMAND");
        pane_wait(&pane, "vm spin 1");
        expect_in(pane.text, "CAPACITY RATIO");
        pane_keep(&pane, "top-200x60.txt");
        pane_resize(40, 10);
        pane_wait_gone(&pane, "COMMAND");
        pane_wait(&pane, "burner");
        pane_keep(&pane, "top-40x10.txt");
        pane_press("q");
        pane_close(&pane);
        job_kill(&waits, SIGTERM);
        job_wait(&waits, HOUSE_WAIT_MS);
        house_end_all(&house);
        house_close(&house);
}

static void keys_sort_filter_and_show_details(void) {
        struct house house;
        static struct pane pane;

        house_open(&house, CONF, NULL);
        start_three();
        pane_open(&pane, 80, 24, TOP " --delay 0.5");
        pane_wait(&pane, "rester");
        pane_wait_gone(&pane, "-/0.50");
        pane_type("V");
        pane_wait(&pane, "NAME\xe2\x96\xbc");
        expect_order(&pane, "burner ", "eater ", "rester ");
        pane_type("r");
        pane_wait(&pane, "NAME\xe2\x96\xb2");
        expect_order(&pane, "rester ", "eater ", "burner ");
        pane_type("M");
        pane_wait(&pane, "MEMORY\xe2\x96\xbc");
        expect_order(&pane, "eater ", "rester ", "EVENTS");
        pane_type("/eat");
        pane_wait(&pane, "Only VMs with: eat");
        pane_press("Enter");
        pane_wait(&pane, "Only VMs with 'eat'");
        expect_str(pane_row(&pane, "rester"), "");
        pane_keep(&pane, "top-filter.txt");
        pane_press("Enter");
        pane_wait(&pane, "vm eat 60");
        expect_in(pane.text, "CLAIM");
        pane_keep(&pane, "top-details.txt");
        pane_press("End");
        pane_wait(&pane, "memory.pressure");
        pane_press("Escape");
        pane_wait(&pane, "Only VMs with 'eat'");
        pane_press("Escape");
        pane_wait(&pane, "rester");
        pane_type("?");
        pane_wait(&pane, "any key: back");
        pane_keep(&pane, "top-help.txt");
        pane_type("x");
        pane_wait(&pane, "burner");
        pane_press("q");
        pane_close(&pane);
        house_end_all(&house);
        house_close(&house);
}

static void a_vm_is_ended_after_a_yes_and_only_then(void) {
        struct house house;
        static struct pane pane;

        house_open(&house, CONF, NULL);
        start_three();
        pane_open(&pane, 80, 24, TOP " --delay 0.5 --sort name");
        pane_wait(&pane, "rester");
        pane_press("Down");
        pane_wait(&pane, ">eater");
        pane_type("k");
        pane_wait(&pane, "End the VM eater?");
        pane_keep(&pane, "top-question.txt");
        pane_type("n");
        pane_wait_gone(&pane, "End the VM");
        expect_int(count_vms(), 3);
        pane_type("k");
        pane_wait(&pane, "End the VM eater?");
        pane_type("y");
        pane_wait(&pane, "eater has ended");
        pane_wait(&pane, "2 VMs");
        expect_int(count_vms(), 2);
        expect_str(pane_row(&pane, "eater  "), "");
        pane_keep(&pane, "top-ended.txt");
        pane_press("q");
        pane_close(&pane);
        house_end_all(&house);
        house_close(&house);
}

/* Settings of the terminal before and after, and how it ended. */
static const char around[] = "stty -g > " HOUSE_DIR "/before; " TOP " --delay 0.5; echo STATUS $?; "
                             "stty -g > " HOUSE_DIR "/after; exec sleep 1000";

static void expect_restored(struct pane *pane, const char *status) {
        char before[256], after[256];
        struct job job;

        pane_wait(pane, status);
        expect(!pane_is_screen());
        expect(!strstr(pane->text, "RESOURCE"));
        SHELL(&job, "sh", "-c", "until test -s " HOUSE_DIR "/after; do :; done");
        file_get(HOUSE_DIR "/before", before, sizeof(before));
        file_get(HOUSE_DIR "/after", after, sizeof(after));
        expect_str(after, before);
        unlink(HOUSE_DIR "/after");
        pane_close(pane);
}

static void the_terminal_is_given_back_as_it_was(void) {
        struct house house;
        static struct pane pane;
        struct job job;

        house_open(&house, CONF, NULL);
        pane_open(&pane, 80, 24, around);
        pane_wait(&pane, "(no VM runs)");
        expect(pane_is_screen());
        pane_press("q");
        expect_restored(&pane, "STATUS 0");
        pane_open(&pane, 80, 24, around);
        pane_wait(&pane, "(no VM runs)");
        pane_press("C-c");
        expect_restored(&pane, "STATUS 0");
        pane_open(&pane, 80, 24, around);
        pane_wait(&pane, "(no VM runs)");
        expect_int(SHELL(&job, "pkill", "-TERM", "-x", "provium"), 0);
        expect_restored(&pane, "STATUS 143");
        /* What cannot be drawn on is left alone. */
        pane_open(&pane, 80, 24, "TERM=dumb " TOP "; echo STATUS $?; exec sleep 1000");
        pane_wait(&pane, "STATUS 64");
        expect_in(pane.text, "cannot be drawn on");
        pane_close(&pane);
        expect_int(SHELL(&job, "provium", "top"), 64);
        expect_in(job.err, "--once prints a frame");
        house_close(&house);
}

static void a_broker_that_is_gone_is_said_to_be_and_found_again(void) {
        struct house house;
        static struct pane pane;

        house_open(&house, CONF, NULL);
        start_three();
        pane_open(&pane, 80, 24, "NO_COLOR=1 LC_ALL=C " TOP " --delay 0.5");
        pane_wait(&pane, "rester");
        house_kill(&house);
        pane_wait(&pane, "broker is gone, trying again");
        expect_in(pane_row(&pane, "burner"), "running");
        pane_keep(&pane, "top-gone.txt");
        house_start(&house);
        pane_wait_gone(&pane, "broker is gone");
        pane_wait(&pane, "3 VMs");
        pane_wait(&pane, "CPUv");
        pane_press("q");
        pane_close(&pane);
        house_end_all(&house);
        house_close(&house);
}

/* No line of a printed frame is longer than it may be. */
static void expect_width(const char *text, size_t width) {
        for (; *text; text += strcspn(text, "\n"), text += *text != 0)
                expect_within(strcspn(text, "\n"), 0, width);
}

static void a_frame_is_printed_for_a_pipe(void) {
        struct house house;
        struct job job;

        setenv("LC_ALL", "C", 1);
        house_open(&house, CONF, NULL);
        start_three();
        expect_int(SHELL(&job, "provium", "top", "--once", "--width", "80", "--sort", "name"), 0);
        unit_note("%s", job.out);
        expect_width(job.out, 80);
        expect_in(job.out, "two looks ");
        expect_in(job.out, "\n burner ");
        expect(!strstr(job.out, " -/0.50"));
        expect(!strchr(job.out, '\x1b'));
        expect_int(SHELL(&job, "env", "COLUMNS=132", "provium", "top", "--once"), 0);
        expect_width(job.out, 132);
        expect_in(job.out, "CAPACITY RATIO");
        expect_int(SHELL(&job, "provium", "top", "--once", "--slice", "u"), 0);
        expect_in(job.out, "(no VM matches)");
        /* Others see the host, and their own VMs. */
        expect_int(SHELL(&job, "setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "--",
                         "provium", "top", "--once"),
                   0);
        expect_in(job.out, "0 of 3 VMs");
        expect_in(job.out, "YOURS");
        expect_in(job.out, "(no VM of yours runs)");
        expect(!strstr(job.out, "burner"));
        house_end_all(&house);
        house_stop(&house);
        expect_int(SHELL(&job, "provium", "top", "--once"), 69);
        expect_in(job.err, "is provium-broker running?");
        house_start(&house);
        house_close(&house);
}

UNIT_MAIN(TEST(bars_and_rows_are_what_broker_and_kernel_say),
          TEST(keys_sort_filter_and_show_details), TEST(a_vm_is_ended_after_a_yes_and_only_then),
          TEST(the_terminal_is_given_back_as_it_was),
          TEST(a_broker_that_is_gone_is_said_to_be_and_found_again),
          TEST(a_frame_is_printed_for_a_pipe))

/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --disk 64M --timeout 400 */
/*
 * What VMs have used is what the kernel counted, each counts once, and it is known afterwards:
 * whatever becomes of the broker, and of the disk that the log is on.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "house.h"
#include "links.h"

#define MIB ((json_int_t)1 << 20)
#define LOG HOUSE_STATE "/usage.log"
#define FRAMES 200
#define FRAME 1000
#define CONF_NET                                                                                   \
        "[Capacity]\nCPU=4\nMemory=400M\nDisk=1G\nNetwork=1Gbps\n[Ratio]\nCPU=1\nNetwork=2\n"      \
        "[Claim]\nCPU=0.1\nMemory=16M\nDiskIO=0\n[Enforce]\nMemoryOverhead=0\n"
#define SLICE_NET HOUSE_SLICE "[Network]\nBridges=*\n"

static void open_house(struct house *house) {
        sh("umount " HOUSE_STATE " 2>/dev/null; rm -rf " HOUSE_STATE);
        house_open(house, NULL, NULL);
}

/* ---- asking ---- */

static json_t *usage_as(uid_t uid, const char *by) {
        json_t *reply = ask_as(uid, "Usage", by ? json_pack("{s:s}", "by", by) : NULL);

        need_that(json_object_get(json_object_get(reply, "parameters"), "total") != NULL,
                  "Usage is answered: %s", reply_word(reply));
        return reply;
}

static json_t *usage(const char *by) {
        json_t *reply = ask("Usage", by ? json_pack("{s:s}", "by", by) : NULL);

        need_that(json_object_get(json_object_get(reply, "parameters"), "total") != NULL,
                  "Usage is answered: %s", reply_word(reply));
        return reply;
}

static const json_t *total_of(const json_t *reply) {
        return json_object_get(json_object_get(reply, "parameters"), "total");
}

/* The row whose @key is @name; needs it. */
static const json_t *row_of(const json_t *reply, const char *key, const char *name) {
        const json_t *rows = json_object_get(json_object_get(reply, "parameters"), "rows"), *row;
        size_t i;

        json_array_foreach(rows, i, row) {
                const json_t *is = json_object_get(row, key);

                if (json_is_string(is) && strcmp(json_string_value(is), name) == 0)
                        return row;
        }
        need_that(false, "there is a row of '%s'", name);
        return NULL;
}

static json_int_t number(const json_t *row, const char *key) {
        return json_integer_value(json_object_get(row, key));
}

static double real(const json_t *row, const char *key) {
        return json_number_value(json_object_get(row, key));
}

static json_int_t at_least(const json_t *row, const char *what) {
        return number(json_object_get(row, "at_least"), what);
}

static json_int_t vms_counted(void) {
        json_t *reply = usage(NULL);
        json_int_t n = number(total_of(reply), "vms");

        json_decref(reply);
        return n;
}

/* ---- VMs ---- */

static void end(const char *vm) {
        struct job job;

        expect_int(SHELL(&job, "provium", "kill", vm, "--grace", "0s"), 0);
}

static void run_short(const char *name) {
        struct job job;

        JOB_RUN(&job, "--name", name, "--", "vm", "exit", "0");
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 0);
}

static int pid_of(const char *vm) {
        json_t *reply = ask("Show", json_pack("{s:s}", "vm", vm));
        int pid = (int)json_integer_value(json_object_get(
                json_object_get(json_object_get(reply, "parameters"), "vm"), "pid"));

        json_decref(reply);
        return pid;
}

static json_int_t cpu_usec(const char *vm) {
        char *path = vm_path(vm), file[512];
        json_int_t usec;

        snprintf(file, sizeof(file), "%s/cpu.stat", path);
        usec = file_key(file, "usage_usec");
        free(path);
        return usec;
}

struct spinner {
        const char *vm;
        json_int_t usec;
};

static bool has_spun(void *userdata) {
        const struct spinner *spinner = userdata;

        return cpu_usec(spinner->vm) >= spinner->usec;
}

static uint64_t link_bytes(const char *link, const char *what) {
        char path[128], text[32];

        snprintf(path, sizeof(path), "/sys/class/net/%s/statistics/%s", link, what);
        file_get(path, text, sizeof(text));
        return strtoull(text, NULL, 10);
}

/* Lines of the log with these words. */
static unsigned lines_with(const char *text) {
        char *n = sh_text("cat " LOG "* 2>/dev/null | grep -c '%s'", text);
        unsigned count = (unsigned)atoi(n);

        free(n);
        return count;
}

static bool is_written(void *userdata) {
        return lines_with(userdata) > 0;
}

static void wait_written(const char *vm) {
        char text[80];

        snprintf(text, sizeof(text), "\"vm\":\"%s\"", vm);
        need_that(wait_until(is_written, text, HOUSE_WAIT_MS), "the log has a line of %s", vm);
}

/* ---- what is counted ---- */

/* It is stopped, so that the kernel's number stands still, and then ended by SIGKILL. */
static void cpu_time_is_the_kernels_while_it_runs_and_afterwards(void) {
        struct spinner spinner = {"burner", 300000};
        struct house house;
        struct job job;
        json_t *reply;
        const json_t *row;
        json_int_t usec;

        open_house(&house);
        JOB_RUN(&job, "--name", "burner", "--cpus", "1", "--mem", "32M", "--", "vm", "spin");
        job_wait_out(&job, "ready");
        need(wait_until(has_spun, &spinner, HOUSE_WAIT_MS));
        kill(pid_of("burner"), SIGSTOP);
        usec = cpu_usec("burner");
        reply = usage("vm");
        row = row_of(reply, "vm", "burner");
        expect_int(number(row, "running"), 1);
        expect(real(row, "cpu_seconds") * 1e6 >= (double)usec - 1);
        expect_that(real(row, "cpu_seconds") * 1e6 <= (double)usec + 50000, "%f of %lld",
                    real(row, "cpu_seconds"), (long long)usec);
        json_decref(reply);

        usec = cpu_usec("burner");
        end("burner");
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 128 + 9);
        reply = usage("vm");
        row = row_of(reply, "vm", "burner");
        expect_int(number(row, "running"), 0);
        expect_int(number(row, "vms"), 1);
        expect(real(row, "cpu_seconds") * 1e6 >= (double)usec - 1);
        expect_that(real(row, "cpu_seconds") * 1e6 <= (double)usec + 100000, "%f of %lld",
                    real(row, "cpu_seconds"), (long long)usec);
        printf("# cpu: kernel %lld us before the end, log %.0f us\n", (long long)usec,
               real(row, "cpu_seconds") * 1e6);
        /* One CPU and 32 MiB, claimed for as long as it was held. */
        expect(real(row, "vm_seconds") > 0);
        expect(real(row, "cpu_claimed_seconds") - real(row, "vm_seconds") < 0.001);
        expect(real(row, "vm_seconds") - real(row, "cpu_claimed_seconds") < 0.001);
        expect(real(row, "memory_claimed_byte_seconds") <=
               32.0 * MIB * (real(row, "vm_seconds") + 0.01));
        expect(real(row, "memory_claimed_byte_seconds") >=
               32.0 * MIB * (real(row, "vm_seconds") - 0.01));
        expect_int(at_least(row, "cpu"), 0);
        json_decref(reply);
        wait_written("burner");
        house_close(&house);
}

static void a_claim_that_changes_counts_each_for_its_time(void) {
        struct spinner spinner = {"burner", 100000};
        struct house house;
        struct job job;
        json_t *reply;
        double before, after;

        open_house(&house);
        JOB_RUN(&job, "--name", "burner", "--cpus", "1", "--mem", "32M", "--", "vm", "spin");
        job_wait_out(&job, "ready");
        need(wait_until(has_spun, &spinner, HOUSE_WAIT_MS));
        json_decref(
                ask("Resize", json_pack("{s:s s:{s:i}}", "vm", "burner", "claim", "cpu", 3000)));
        reply = usage(NULL);
        before = real(total_of(reply), "cpu_claimed_seconds") - real(total_of(reply), "vm_seconds");
        json_decref(reply);
        spinner.usec = cpu_usec("burner") + 200000;
        need(wait_until(has_spun, &spinner, HOUSE_WAIT_MS));
        /* The broker that counts on reads what the one before it noted. */
        house_kill(&house);
        house_start(&house);
        reply = usage(NULL);
        after = real(total_of(reply), "cpu_claimed_seconds") - real(total_of(reply), "vm_seconds");
        json_decref(reply);
        /* Two CPUs more, for at least what it has spun since; it cannot spin on more than one. */
        expect_that(after - before >= 2 * 0.19, "%f, %f", before, after);
        kill(pid_of("burner"), SIGKILL);
        job_kill(&job, SIGKILL);
        house_end_all(&house);
        house_close(&house);
}

static void bytes_of_disks_are_the_kernels(void) {
        const char *disk = getenv("RIG_DISKS");
        struct house house;
        struct job job;
        json_t *reply;
        const json_t *row;
        json_int_t written;
        char *path, file[512], *text;

        if (!disk || !*disk)
                unit_skip("the rig has no disk");
        need_int(system("mkfs.ext4 -q -F $RIG_DISKS && mkdir -p /run/disk"), 0);
        need_int(mount(disk, "/run/disk", "ext4", 0, NULL), 0);
        sh("truncate -s 16M /run/disk/image && sync");
        open_house(&house);
        JOB_RUN(&job, "--name", "writer", "--mem", "32M", "--", "diskvm", "write",
                "/run/disk/image", "64", "64");
        job_wait_out(&job, "rest");
        path = vm_path("writer");
        snprintf(file, sizeof(file), "%s/io.stat", path);
        text = sh_text("grep -o 'wbytes=[0-9]*' %s | head -1 | cut -d= -f2", file);
        written = atoll(text);
        free(text);
        free(path);
        end("writer");
        job_wait(&job, HOUSE_WAIT_MS);
        reply = usage("vm");
        row = row_of(reply, "vm", "writer");
        expect(written >= 4 * MIB);
        expect_int(number(row, "write"), written);
        expect_int(at_least(row, "disk"), 0);
        expect(number(row, "memory_peak") > 0);
        json_decref(reply);
        house_close(&house);
        umount("/run/disk");
}

static void bytes_of_taps_are_the_kernels_although_they_go_first(void) {
        struct house house;
        uint64_t up, down;
        struct job job;
        const json_t *row;
        json_t *reply;
        char *tap;

        sh("rm -rf " HOUSE_STATE);
        links_open(&house, CONF_NET, SLICE_NET);
        sh("ip address add 10.9.9.1/24 dev br0");
        JOB_RUN(&job, "--name", "net", "--mem", "64M", "--net", "br0", "--download", "100Mbps",
                "--upload", "100Mbps", "--", "netvm", "{tap.fd}", "10.9.9.2/24");
        job_wait_out(&job, "up");
        /* Nobody listens there: some are answered with an ICMP message that quotes them. */
        sh("bash -c 'for ((i = 0; i < 20; i++)); do "
           "head -c 1000 /dev/zero >/dev/udp/10.9.9.2/9; done' 2>/dev/null");
        tap = tap_of("net", 0);
        up = link_bytes(tap, "rx_bytes");
        down = link_bytes(tap, "tx_bytes");
        expect_that(up >= 500 && down >= 20 * 1000, "up %llu, down %llu", (unsigned long long)up,
                    (unsigned long long)down);
        reply = usage("vm");
        row = row_of(reply, "vm", "net");
        expect(number(row, "upload") >= (json_int_t)up);
        expect(number(row, "download") >= (json_int_t)down);
        json_decref(reply);
        up = link_bytes(tap, "rx_bytes");
        down = link_bytes(tap, "tx_bytes");
        end("net");
        job_wait(&job, HOUSE_WAIT_MS);
        reply = usage("vm");
        row = row_of(reply, "vm", "net");
        printf("# network: kernel up %llu down %llu before the end, log up %lld down %lld\n",
               (unsigned long long)up, (unsigned long long)down, (long long)number(row, "upload"),
               (long long)number(row, "download"));
        /* Between the look and the end: a few frames of the two IPv6 stacks' own. */
        expect(number(row, "upload") >= (json_int_t)up);
        expect(number(row, "upload") <= (json_int_t)up + 2000);
        expect(number(row, "download") >= (json_int_t)down);
        expect(number(row, "download") <= (json_int_t)down + 2000);
        expect_int(at_least(row, "network"), 0);
        json_decref(reply);
        free(tap);
        links_close(&house);
}

/* ---- what survives ---- */

static bool has_sent(void *tap) {
        return link_bytes(tap, "rx_bytes") >= FRAMES * FRAME;
}

static bool nothing_runs(void *userdata) {
        return count_vms() == 0;
}

static void a_vm_that_ended_without_a_broker_counts_once(void) {
        struct house house;
        const json_t *row;
        struct job job;
        json_t *reply;
        json_int_t up;
        char *tap;
        int pid;

        sh("rm -rf " HOUSE_STATE);
        links_open(&house, CONF_NET, SLICE_NET);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", "--name", "net",
                         "--net", "br0", "--download", "100Mbps", "--upload", "100Mbps", "--",
                         "tapvm", "send", "{tap.fd}", "200"),
                   0);
        tap = tap_of("net", 0);
        need(wait_until(has_sent, tap, HOUSE_WAIT_MS));
        up = (json_int_t)link_bytes(tap, "rx_bytes");
        pid = pid_of("net");
        house_kill(&house);
        kill(pid, SIGKILL);
        house_start(&house);
        expect(wait_until(nothing_runs, NULL, HOUSE_WAIT_MS));
        reply = usage("vm");
        row = row_of(reply, "vm", "net");
        expect_int(number(row, "vms"), 1);
        expect_int(number(row, "running"), 0);
        /* Its tap went with it: the class still knows what was sent, and the rest is said. */
        expect_int(at_least(row, "network"), 1);
        expect_int(number(row, "upload"), up);
        expect_int(at_least(row, "cpu"), 0);
        json_decref(reply);
        wait_written("net");
        house_kill(&house);
        house_start(&house);
        expect_int(vms_counted(), 1);
        free(tap);
        links_close(&house);
}

static void killed_at_any_moment_each_vm_counts_once(void) {
        static const char *const moments[] = {"vm_spawned", "vm_shutdown", "claim_released"};
        struct house house;
        json_int_t n = 0;

        open_house(&house);
        for (unsigned i = 0; i < 2 * ARRAY_SIZE(moments); i++) {
                struct news news;
                struct job job;

                news_open(&news);
                JOB_RUN(&job, "--detach", "--name", "vm", "--cpus", "1", "--", "vm", "exit", "0");
                news_wait(&news, moments[i % ARRAY_SIZE(moments)], "vm");
                house_kill(&house);
                news_close(&news);
                job_kill(&job, SIGKILL);
                job_wait(&job, HOUSE_WAIT_MS);
                house_start(&house);
                expect(wait_until(nothing_runs, NULL, HOUSE_WAIT_MS));
                expect_int(vms_counted(), ++n);
        }
        run_short("last");
        expect_int(vms_counted(), n + 1);
        house_kill(&house);
        house_start(&house);
        expect_int(vms_counted(), n + 1);
        wait_written("last");
        house_close(&house);
}

static void a_restart_and_an_upgrade_change_no_sum(void) {
        struct spinner spinner = {"stays", 50000};
        struct house house;
        struct job job, upgrade;
        json_t *reply;
        double before;

        open_house(&house);
        run_short("first");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", "--name", "stays",
                         "--", "vm", "spin"),
                   0);
        need(wait_until(has_spun, &spinner, HOUSE_WAIT_MS));
        reply = usage(NULL);
        before = real(total_of(reply), "vm_seconds");
        json_decref(reply);
        house_stop(&house);
        /* Who stops may be followed by the end of the host: what runs is in the log. */
        expect_int(lines_with("\"running\":true"), 1);
        house_start(&house);
        expect_int(vms_counted(), 2);
        expect_int(SHELL(&upgrade, "provium", "upgrade"), 0);
        expect_int(vms_counted(), 2);
        end("stays");
        reply = usage(NULL);
        expect_int(number(total_of(reply), "vms"), 2);
        expect_int(number(total_of(reply), "running"), 0);
        expect(real(total_of(reply), "vm_seconds") >= before);
        json_decref(reply);
        house_close(&house);
}

static bool is_empty_of_notes(void *userdata) {
        char *text = sh_text("getfattr -d -m trusted.provium.usage " HOUSE_ROOT
                             " 2>/dev/null | grep -c usage");
        bool none = atoi(text) == 0;

        free(text);
        return none;
}

static bool goes_on_in_background(void *userdata) {
        char *text = sh_text("provium show stays 2>/dev/null | grep -c background");
        bool found = atoi(text) > 0;

        free(text);
        return found;
}

static void what_goes_on_in_the_background_has_not_ended(void) {
        struct house house;
        struct job job;
        json_t *reply;

        open_house(&house);
        JOB_RUN(&job, "--name", "stays", "--", "vm", "daemon", "0");
        need(wait_until(goes_on_in_background, NULL, HOUSE_WAIT_MS));
        expect(is_empty_of_notes(NULL));
        house_kill(&house);
        house_start(&house);
        reply = usage(NULL);
        expect_int(number(total_of(reply), "vms"), 1);
        expect_int(number(total_of(reply), "running"), 1);
        json_decref(reply);
        end("stays");
        job_wait(&job, HOUSE_WAIT_MS);
        expect_int(vms_counted(), 1);
        house_close(&house);
}

/* ---- a disk that is full ---- */

static void a_full_disk_holds_up_no_vm_and_loses_none(void) {
        struct house house;
        struct job job;

        sh("umount " HOUSE_STATE " 2>/dev/null; rm -rf " HOUSE_STATE "; mkdir -p " HOUSE_STATE
           " && mount -t tmpfs -o size=64k tmpfs " HOUSE_STATE);
        house_open(&house, NULL, NULL);
        run_short("before");
        wait_written("before");
        /* Up to the end of its page, which would be room. */
        sh("n=$(stat -c %%s " LOG "); head -c $((4095 - n)) /dev/zero | tr '\\0' x >>" LOG
           "; echo >>" LOG);
        sh("dd if=/dev/zero of=" HOUSE_STATE "/fill bs=4k 2>/dev/null || true");
        for (unsigned i = 0; i < 10; i++) {
                char name[16];

                snprintf(name, sizeof(name), "full%u", i);
                run_short(name);
        }
        expect_int(vms_counted(), 11);
        expect_int(SHELL(&job, "provium", "doctor"), 1);
        expect_in(job.out, "usage log");
        expect_in(job.out, "No space left");
        expect(house_log_has("cannot be written: No space left"));
        /* Not even if the broker dies over it. */
        house_kill(&house);
        house_start(&house);
        expect_int(vms_counted(), 11);
        expect_int(lines_with("full"), 0);
        sh("rm " HOUSE_STATE "/fill");
        house_kill(&house);
        house_start(&house);
        wait_written("full9");
        expect(wait_until(is_empty_of_notes, NULL, HOUSE_WAIT_MS));
        expect_int(lines_with("full"), 10);
        expect_int(vms_counted(), 11);
        house_close(&house);
        sh("umount " HOUSE_STATE);
}

/* ---- who may see what, and how much there may be ---- */

static void a_user_sees_his_own_and_root_everybodys(void) {
        static const char line[] =
                "{\\\"id\\\":\\\"%s\\\",\\\"vm\\\":\\\"%s\\\",\\\"slice\\\":\\\"t\\\",\\\"uid\\\":%"
                "u,"
                "\\\"end_ns\\\":1700000000000000000,\\\"held_usec\\\":1000000,\\\"claim\\\":{"
                "\\\"cpu\\\":1000,\\\"memory\\\":1,\\\"disk\\\":0,\\\"disk_io\\\":0,"
                "\\\"network\\\":0,\\\"gpu\\\":0},\\\"claimed_cpu_usec\\\":1000000,"
                "\\\"claimed_memory_mib_ms\\\":1,\\\"cpu_usec\\\":1,\\\"memory_peak\\\":1,"
                "\\\"read\\\":0,\\\"write\\\":0,\\\"download\\\":0,\\\"upload\\\":0,\\\"least\\\":["
                "],"
                "\\\"oom\\\":false,\\\"reason\\\":\\\"exit\\\"}";
        char one[1024], other[1024];
        struct house house;
        struct job job;
        json_t *reply;
        struct stat st;

        open_house(&house);
        snprintf(one, sizeof(one), line, "a", "hers", 1234);
        snprintf(other, sizeof(other), line, "b", "his", 1235);
        sh("mkdir -p " HOUSE_STATE "; printf '%%b\\n' \"%s\" \"%s\" '{\"id\":\"torn' >" LOG
           "; chmod 600 " LOG,
           one, other);
        run_short("roots");
        wait_written("roots");
        expect_int(stat(LOG, &st), 0);
        expect_int(st.st_mode & 0777, 0600);
        reply = usage("user");
        expect_int(number(total_of(reply), "vms"), 3);
        expect_int(number(json_object_get(reply, "parameters"), "bad_lines"), 1);
        json_decref(reply);
        reply = usage_as(1234, "vm");
        expect_int(number(total_of(reply), "vms"), 1);
        expect_int(number(row_of(reply, "vm", "hers"), "uid"), 1234);
        json_decref(reply);
        expect_int(SHELL(&job, "provium", "usage", "--by", "user"), 0);
        expect_in(job.out, "CPU-HOURS");
        expect_in(job.out, "root");
        expect_in(job.out, "1235");
        expect_in(job.out, "total");
        expect_in(job.err, "1 lines of the log");
        expect_int(SHELL(&job, "provium", "usage", "--until", "2023-11-15", "--json"), 0);
        expect_in(job.out, "\"vms\":2");
        expect_int(SHELL(&job, "provium", "usage", "--since", "someday"), 64);
        expect_in(job.err, "'someday' is no time");
        house_close(&house);
}

/* The first line of the log again and again, as @n other leases of 300 VMs. */
static void add_copies(unsigned n) {
        char *line = sh_text("head -1 " LOG), *slice = strstr(line, "\"slice\"");
        FILE *file = fopen(LOG, "a");

        need(file != NULL && slice != NULL);
        for (unsigned i = 0; i < n; i++)
                fprintf(file, "{\"id\":\"x%u\",\"vm\":\"v%u\",%s", i, i % 300, slice);
        need_int(fclose(file), 0);
        free(line);
}

/* Calls that are answered meanwhile; the slowest, in us. */
static uint64_t slowest_beside(struct line *asked, json_t **replyp, unsigned *np) {
        uint64_t slowest = 0;
        bool timeout = true;

        *np = 0;
        do {
                uint64_t began = now_us();

                json_decref(ask("List", NULL));
                slowest = slowest > now_us() - began ? slowest : now_us() - began;
                ++*np;
                *replyp = line_reply(asked, 0, &timeout);
        } while (!*replyp && timeout && *np < 100000);
        return slowest;
}

static void ten_thousand_vms_are_summed_up_beside_the_loop(void) {
        struct house house;
        struct line line;
        uint64_t began, took, slowest, quiet = 0;
        json_t *reply;
        unsigned n;

        open_house(&house);
        run_short("pattern");
        wait_written("pattern");
        add_copies(10000);
        for (unsigned i = 0; i < 20; i++) {
                began = now_us();
                json_decref(ask("List", NULL));
                quiet = quiet > now_us() - began ? quiet : now_us() - began;
        }
        need(line_open(&line));
        began = now_us();
        line_call(&line, "Usage", json_pack("{s:s}", "by", "vm"), false, NULL, 0);
        slowest = slowest_beside(&line, &reply, &n);
        took = now_us() - began;
        need(reply != NULL);
        expect_int(number(total_of(reply), "vms"), 10001);
        expect_int(json_array_size(json_object_get(json_object_get(reply, "parameters"), "rows")),
                   301);
        json_decref(reply);
        printf("# 10,001 lines: %llu ms; List meanwhile: %u calls, the slowest %llu us; before, "
               "the slowest of 20 %llu us\n",
               (unsigned long long)took / 1000, n, (unsigned long long)slowest,
               (unsigned long long)quiet);
        /* Others were answered while the log was read. */
        expect(n > 1);
        line_close(&line);
        house_close(&house);
}

UNIT_MAIN(TEST(cpu_time_is_the_kernels_while_it_runs_and_afterwards),
          TEST(a_claim_that_changes_counts_each_for_its_time), TEST(bytes_of_disks_are_the_kernels),
          TEST(bytes_of_taps_are_the_kernels_although_they_go_first),
          TEST(a_vm_that_ended_without_a_broker_counts_once),
          TEST(killed_at_any_moment_each_vm_counts_once),
          TEST(a_restart_and_an_upgrade_change_no_sum),
          TEST(what_goes_on_in_the_background_has_not_ended),
          TEST(a_full_disk_holds_up_no_vm_and_loses_none),
          TEST(a_user_sees_his_own_and_root_everybodys),
          TEST(ten_thousand_vms_are_summed_up_beside_the_loop), )

/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --gpus --timeout 300 */
/*
 * GPUs handed to VMs, by a real vfio-pci behind an emulated IOMMU: a program in the place of the
 * hypervisor (helpers/gpuvm) takes its devices and reaches no others. The rig has a console, a VGA
 * without a driver or a reset, and two virtio-gpus that the host drives.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "gpus.h"
#include "house.h"
#include "links.h"

#define A GPU_A
#define B GPU_B
#define WALLED "[Access]\nUsers=*\n"
#define PROBE GPUS_PROBE
#define AS_1000 "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"
#define RUN "provium", "run", "--slice", "t", "--mem", "64M", "--name"
#define USE "use={gpu.0.group},{gpu.0}"

static void end(struct job *job, const char *name) {
        struct job kill;

        expect_int(SHELL(&kill, "provium", "kill", name), 0);
        job_wait(job, HOUSE_WAIT_MS);
}

static void a_vm_has_its_own_device_and_reaches_no_other(void) {
        char list[64], other_open[64], other_path[32];
        struct house house;
        struct job a, b, show;

        gpus_open(&house, GPUS_CONF, WALLED);
        expect_uint(gpus_number("total_slots"), 2);
        expect_str(gpus_driver(A), "virtio-pci");
        JOB(&a, AS_1000, RUN, "a", "--gpus", "1", "--", PROBE, "list", USE);
        job_wait_out(&a, "ready");
        snprintf(list, sizeof(list), "list: %d vfio\n", gpus_group(A));
        expect_in(a.out, list);
        snprintf(list, sizeof(list), "use=/dev/vfio/%d," A ": done\n", gpus_group(A));
        expect_in(a.out, list);
        expect_str(gpus_driver(A), "vfio-pci");
        expect_str(gpus_driver(B), "virtio-pci");

        snprintf(other_path, sizeof(other_path), "open=/dev/vfio/%d", gpus_group(A));
        snprintf(other_open, sizeof(other_open), "%s: open ENOENT\n", other_path);
        JOB(&b, AS_1000, RUN, "b", "--gpus", "1", "--", PROBE, "list", USE, other_path);
        job_wait_out(&b, "ready");
        snprintf(list, sizeof(list), "use=/dev/vfio/%d," B ": done\n", gpus_group(B));
        expect_in(b.out, list);
        expect_in(b.out, other_open);
        expect_uint(gpus_number("used_slots"), 2);

        expect_int(SHELL(&show, "provium", "show", "b"), 0);
        expect_in(show.out, B);
        end(&a, "a");
        end(&b, "b");
        gpus_expect_free();
        expect_str(gpus_driver(A), "virtio-pci");
        expect_str(gpus_driver(B), "virtio-pci");
        house_close(&house);
}

static void even_root_cannot_make_itself_another_s_file(void) {
        char word[64], said[80], path[32];
        struct house house;
        struct job a, b;
        struct stat st;

        gpus_open(&house, GPUS_CONF,
                  WALLED "[Sandbox]\nAllowRoot=yes\nDropCapabilities=no\nSeccomp=none\n");
        JOB(&a, AS_1000, RUN, "a", "--gpus", "1", "--", PROBE, USE);
        job_wait_out(&a, "ready");
        snprintf(path, sizeof(path), "/dev/vfio/%d", gpus_group(A));
        need_int(stat(path, &st), 0);
        snprintf(word, sizeof(word), "make=/dev/mine,%u,%u", major(st.st_rdev), minor(st.st_rdev));
        snprintf(said, sizeof(said), "%s: make EPERM\n", word);
        JOB(&b, RUN, "b", "--gpus", "1", "--", PROBE, word, USE);
        job_wait_out(&b, "ready");
        expect_in(b.out, said);
        expect_in(b.out, B ": done\n");
        end(&a, "a");
        end(&b, "b");
        gpus_expect_free();
        house_close(&house);
}

static void a_vm_has_several_and_gets_their_files_as_descriptors(void) {
        struct house house;
        struct job job, more;

        gpus_open(&house, GPUS_CONF, WALLED);
        JOB(&job, AS_1000, RUN, "a", "--gpus", "2", "--", PROBE, "use={gpu.0.fd},{gpu.0}",
            "use={gpu.1.fd},{gpu.1}");
        job_wait_out(&job, "ready");
        expect_in(job.out, "use=3," A ": done\n");
        expect_in(job.out, "use=4," B ": done\n");
        expect_int(SHELL(&more, AS_1000, RUN, "b", "--gpus", "1", "--no-wait", "--", PROBE), 75);
        expect_int(SHELL(&more, AS_1000, RUN, "b", "--gpus", "17", "--", PROBE), 77);
        expect_in(more.err, "one VM can have 16 GPUs, not 17");
        expect_int(SHELL(&more, AS_1000, RUN, "b", "--", PROBE, USE), 64);
        expect_in(more.err, "it has no GPU");
        end(&job, "a");
        gpus_expect_free();
        house_close(&house);
}

static void whoever_waits_gets_it_when_it_is_given_back(void) {
        struct house house;
        struct job a, b;
        struct news news;

        gpus_open(&house, GPUS_CONF, WALLED);
        JOB(&a, AS_1000, RUN, "a", "--gpus", "2", "--", PROBE, USE);
        job_wait_out(&a, "ready");
        news_open(&news);
        JOB(&b, AS_1000, RUN, "b", "--gpus", "1", "--", PROBE, USE);
        news_wait(&news, "claim_queued", "b");
        end(&a, "a");
        job_wait_out(&b, "ready");
        expect_in(b.out, ": done\n");
        end(&b, "b");
        gpus_expect_free();
        news_close(&news);
        house_close(&house);
}

/* The write to sysfs takes so long as some drivers take to let a device go. */
static void slow_down(struct job *strace, const struct house *house) {
        char line[256];

        snprintf(line, sizeof(line),
                 "exec strace -f -p %d -o /dev/null -P $(realpath /sys/bus/pci/devices/" A
                 ")/driver_override -e inject=write:delay_enter=8000000:when=1",
                 house->broker);
        JOB(strace, "sh", "-c", line);
        job_wait_err(strace, "attached");
}

static void nobody_waits_for_a_device_but_its_vm(void) {
        struct house house;
        struct job a, kill, strace;
        struct news news;

        gpus_open(&house, GPUS_CONF, WALLED);
        slow_down(&strace, &house);
        news_open(&news);
        JOB(&a, AS_1000, RUN, "a", "--gpus", "1", "--", PROBE, USE);
        news_wait(&news, "claim_acquired", "a");
        expect_int(SHELL(&kill, "provium", "show", "a"), 0);
        expect_in(kill.out, "its GPUs are being prepared");
        expect_uint(gpus_number("used_slots"), 1);
        /* It is taken back before it was there. */
        JOB(&kill, "provium", "kill", "a");
        expect_int(job_wait(&kill, HOUSE_WAIT_MS), 0);
        expect(job_wait(&a, HOUSE_WAIT_MS) != 0);
        expect_that(!strstr(a.out, "ready"), "it was never started: %s", a.out);
        gpus_expect_free();
        expect_str(gpus_driver(A), "virtio-pci");
        job_kill(&strace, SIGINT);
        job_wait(&strace, HOUSE_WAIT_MS);
        news_close(&news);
        house_close(&house);
}

static void a_broker_that_is_killed_is_followed_by_one_that_knows_whose_they_are(void) {
        struct house house;
        struct job a, show;

        gpus_open(&house, GPUS_CONF, WALLED);
        JOB(&a, AS_1000, RUN, "a", "--gpus", "1", "--", PROBE, USE);
        job_wait_out(&a, "ready");
        expect_int(SHELL(&show, "provium", "upgrade"), 0);
        expect_uint(gpus_number("used_slots"), 1);
        house_kill(&house);
        house_start(&house);
        expect_uint(gpus_number("used_slots"), 1);
        expect_uint(allocated("gpu"), 1);
        expect_int(SHELL(&show, "provium", "show", "a"), 0);
        expect_in(show.out, A);
        /* It ends while nobody is there. */
        house_kill(&house);
        sh("kill -KILL $(cat " HOUSE_ROOT "/t.slice/*.vm/cgroup.procs)");
        house_start(&house);
        gpus_expect_free();
        expect_str(gpus_driver(A), "virtio-pci");
        job_kill(&a, SIGKILL);
        job_wait(&a, HOUSE_WAIT_MS);
        house_close(&house);
}

static bool is_lingering(void *userdata) {
        json_t *reply = ask("Show", json_pack("{s:s}", "vm", "a"));
        const json_t *vm = json_object_get(json_object_get(reply, "parameters"), "vm");
        const char *state = json_string_value(json_object_get(vm, "state"));
        bool is = state && strcmp(state, "lingering") == 0;

        json_decref(reply);
        return is;
}

static void what_somebody_still_holds_is_not_sold_again(void) {
        struct house house;
        struct job a, job;
        char path[32];
        int fd;

        gpus_open(&house, GPUS_CONF, WALLED);
        JOB(&a, AS_1000, RUN, "a", "--gpus", "1", "--", PROBE);
        job_wait_out(&a, "ready");
        snprintf(path, sizeof(path), "/dev/vfio/%d", gpus_group(A));
        fd = open(path, O_RDWR | O_CLOEXEC);
        need(fd >= 0);
        JOB(&job, "provium", "kill", "a");
        need(wait_until(is_lingering, NULL, HOUSE_WAIT_MS));
        expect_uint(gpus_number("used_slots"), 1);
        expect_uint(allocated("gpu"), 1);
        expect(house_log_has("some process has /dev/vfio/"));
        expect_str(gpus_driver(A), "vfio-pci");
        close(fd);
        gpus_expect_free();
        expect_str(gpus_driver(A), "virtio-pci");
        job_wait(&job, HOUSE_WAIT_MS);
        job_wait(&a, HOUSE_WAIT_MS);
        house_close(&house);
}

static void what_cannot_be_bound_refuses_the_launch_and_goes_back(void) {
        struct house house;
        struct job job;

        gpus_open(&house, GPUS_CONF, WALLED);
        sh("rmmod vfio_pci");
        expect_int(SHELL(&job, AS_1000, RUN, "a", "--gpus", "1", "--", PROBE), 125);
        expect_in(job.err, "vfio-pci is not loaded");
        gpus_expect_free();
        expect_str(gpus_driver(A), "virtio-pci");
        house_close(&house);
}

static void without_leave_only_those_count_that_are_bound_already(void) {
        struct house house;
        struct job job;

        gpus_open(&house, GPUS_CONF_OF("Bind=no\n"), WALLED);
        expect_uint(gpus_number("total_slots"), 0);
        expect_int(SHELL(&job, "provium", "doctor"), 0);
        expect_in(job.out, A);
        expect_in(job.out, "is bound to virtio-pci, not to vfio-pci");
        expect_int(SHELL(&job, "provium", "resources"), 0);
        expect_in(job.out, A "  virtio-pci");
        expect_in(job.out, "is bound to virtio-pci, not to vfio-pci");
        sh("cd /sys/bus/pci/devices/" A "; echo vfio-pci > driver_override;"
           "echo " A " > driver/unbind; echo " A " > /sys/bus/pci/drivers_probe");
        house_reload(&house);
        expect_uint(gpus_number("total_slots"), 1);
        JOB(&job, AS_1000, RUN, "a", "--gpus", "1", "--", PROBE, USE);
        job_wait_out(&job, "ready");
        expect_in(job.out, A ": done\n");
        end(&job, "a");
        gpus_expect_free();
        /* It was not the broker that took it. */
        expect_str(gpus_driver(A), "vfio-pci");
        sh("cd /sys/bus/pci/devices/" A "; echo > driver_override;"
           "echo " A " > driver/unbind; echo " A " > /sys/bus/pci/drivers_probe");
        house_close(&house);
}

UNIT_MAIN(TEST(a_vm_has_its_own_device_and_reaches_no_other),
          TEST(even_root_cannot_make_itself_another_s_file),
          TEST(a_vm_has_several_and_gets_their_files_as_descriptors),
          TEST(whoever_waits_gets_it_when_it_is_given_back),
          TEST(nobody_waits_for_a_device_but_its_vm),
          TEST(a_broker_that_is_killed_is_followed_by_one_that_knows_whose_they_are),
          TEST(what_somebody_still_holds_is_not_sold_again),
          TEST(what_cannot_be_bound_refuses_the_launch_and_goes_back),
          TEST(without_leave_only_those_count_that_are_bound_already))

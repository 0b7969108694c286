/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --gpus --timeout 200 */
/*
 * A GPU behind all walls with the real thing: QEMU as an unprivileged user, under the list that is
 * shipped for it, takes the device that its command was told of and shows it to its guest.
 */
#include "gpus.h"
#include "house.h"

#define PATIENT_MS 60000 /* emulation, and QEMU is large */

static void qemu_gives_the_device_to_its_guest(void) {
        struct house house;
        struct job vm, ask;
        struct news news;

        gpus_open(&house, GPUS_CONF, "[Access]\nUsers=*\n[Sandbox]\nSeccomp=qemu\n");
        news_open(&news);
        JOB(&vm, "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "provium", "run",
            "--slice", "t", "--name", "q", "--mem", "300M", "--gpus", "1", "--",
            "qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-m", "64M", "-S",
            "-nodefaults", "-display", "none", "-device", "vfio-pci,host={gpu.0},id=passed",
            "-chardev", "socket,id=qmp,fd={qmp.fd},server=on,wait=off", "-mon",
            "chardev=qmp,mode=control");
        news_wait(&news, "vm_spawned", "q");
        news_close(&news);
        JOB(&ask, "provium", "qmp", "--timeout", "60s", "--json", "q", "query-pci");
        if (job_wait(&ask, PATIENT_MS) != 0) {
                job_drain(&vm);
                expect_that(false, "QEMU answers: %s%s", ask.err, vm.err);
        }
        expect_in(ask.out, "\"qdev_id\":\"passed\"");
        expect_int(SHELL(&ask, "provium", "kill", "q"), 0);
        job_wait(&vm, HOUSE_WAIT_MS);
        gpus_expect_free();
        expect_str(gpus_driver(GPU_A), "virtio-pci");
        house_close(&house);
}

UNIT_MAIN(TEST(qemu_gives_the_device_to_its_guest))

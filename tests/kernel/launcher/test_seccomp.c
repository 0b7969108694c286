/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --disk 64M --timeout 280 */
/*
 * The shipped list for QEMU against QEMU itself: with machines and disks of each kind, QMP on a
 * socket of its own, stop, cont and quit. Besides, with everything that the list does not mention
 * made deadly: a call that QEMU makes and the list forgot is seen, and not only what it breaks.
 */
#include <base/fd.h>
#include <base/why.h>
#include <errno.h>
#include <fcntl.h>
#include <launcher/seccomp_program.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

#define WAIT_MS 60000
#define OUTPUT_MAX 4096

static const char qmp_path[] = "/tmp/seccomp-qmp";
static char disk[256];

struct vm {
        pid_t pid;
        int fd, output_fd;
        char reply[16384]; /* the last one */
};

static int64_t now_ms(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A raw disk: the rig's, where O_DIRECT works. */
static void need_disk(void) {
        const char *names = getenv("RIG_DISKS");

        if (!names || !names[0])
                unit_skip("there is no disk of the rig");
        snprintf(disk, sizeof(disk), "%.*s", (int)strcspn(names, " "), names);
        need_that(access(disk, R_OK | W_OK) == 0, "%s", disk);
        if (access("/usr/bin/qemu-system-x86_64", X_OK) < 0)
                unit_skip("there is no QEMU");
}

static void load(struct seccomp_program *programp, const char *name, const char *text) {
        char shipped[512], path[64] = "/tmp/seccomp-lists";
        const char *const dirs[] = {path, shipped, NULL};
        struct why why = {};

        mkdir(path, 0700);
        if (text) {
                char file[128];
                FILE *stream;

                snprintf(file, sizeof(file), "%s/%s", path, name);
                stream = fopen(file, "we");
                need(stream != NULL);
                fputs(text, stream);
                fclose(stream);
        }
        snprintf(shipped, sizeof(shipped), "%s/policies/etc/seccomp",
                 getenv("PROVIUM_SOURCE") ?: ".");
        need_that(seccomp_program_load(programp, dirs, name, &why) == 0, "%s", why.text);
}

static void start(struct vm *vm, const struct seccomp_program *program, char *const *argv) {
        *vm = (struct vm){.fd = -1, .output_fd = memfd_create("output", MFD_CLOEXEC)};
        need(vm->output_fd >= 0);
        unlink(qmp_path);
        vm->pid = fork();
        need(vm->pid >= 0);
        if (vm->pid > 0)
                return;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(vm->output_fd, STDOUT_FILENO);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program->bpf) < 0)
                _exit(255);
        execv("/usr/bin/qemu-system-x86_64", argv);
        _exit(254);
}

static bool has_ended(struct vm *vm, int *statusp) {
        if (vm->pid > 0 && waitpid(vm->pid, statusp, WNOHANG) == vm->pid)
                vm->pid = 0;
        return vm->pid == 0;
}

static bool connect_qmp(struct vm *vm) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int64_t end = now_ms() + WAIT_MS;
        int status = 0;

        strcpy(address.sun_path, qmp_path);
        while (now_ms() < end) {
                vm->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
                if (connect(vm->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
                        return true;
                vm->fd = fd_close(vm->fd);
                if (has_ended(vm, &status)) {
                        unit_note("it ended with status %#x", (unsigned)status);
                        return false;
                }
                poll(NULL, 0, 5);
        }
        return false;
}

/* Reads lines until one that begins with @prefix; it is in vm->reply then. */
static bool read_until(struct vm *vm, const char *prefix) {
        size_t used = 0;

        for (;;) {
                struct pollfd pollfd = {vm->fd, POLLIN, 0};
                char *end;
                ssize_t n;

                while ((end = memchr(vm->reply, '\n', used))) {
                        size_t length = (size_t)(end + 1 - vm->reply);

                        if (strncmp(vm->reply, prefix, strlen(prefix)) == 0) {
                                *end = '\0';
                                return true;
                        }
                        used -= length;
                        memmove(vm->reply, end + 1, used);
                }
                if (used == sizeof(vm->reply) || poll(&pollfd, 1, WAIT_MS) <= 0)
                        return false;
                n = read(vm->fd, vm->reply + used, sizeof(vm->reply) - used);
                if (n <= 0)
                        return false;
                used += (size_t)n;
        }
}

static void expect_reply(struct vm *vm, const char *command, const char *part) {
        if (vm->fd < 0)
                return;
        expect(write(vm->fd, command, strlen(command)) == (ssize_t)strlen(command));
        if (!read_until(vm, "{\"return\"")) {
                expect_that(false, "no reply to %s", command);
                vm->fd = fd_close(vm->fd);
                return;
        }
        expect_in(vm->reply, part);
}

/* Gives what it printed in @output, if that is not NULL. */
static void expect_end(struct vm *vm, char output[OUTPUT_MAX]) {
        int64_t end = now_ms() + WAIT_MS;
        int status = -1;

        while (!has_ended(vm, &status) && now_ms() < end)
                poll(NULL, 0, 5);
        expect_that(status == 0, "status %#x%s", (unsigned)status,
                    WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? ", a call not allowed"
                                                                      : "");
        if (vm->pid > 0)
                kill(vm->pid, SIGKILL);
        if (output) {
                ssize_t n = pread(vm->output_fd, output, OUTPUT_MAX - 1, 0);

                output[n > 0 ? n : 0] = '\0';
        }
        vm->fd = fd_close(vm->fd);
        vm->output_fd = fd_close(vm->output_fd);
}

/* The kernel says that it runs under a filter. */
static void expect_filtered(const struct vm *vm) {
        char path[64], text[4096] = "";
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/status", vm->pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        expect(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
        expect_in(text, "\nSeccomp:\t2\n");
        fd_close(fd);
}

/* From its start to its end, with requests to the disk by the way that @aio is. */
static void run(const struct seccomp_program *program, const char *machine, const char *device,
                const char *aio, bool sandbox) {
        char drive[512], qmp[128], with[128], output[OUTPUT_MAX];
        char *argv[] = {(char *)"qemu-system-x86_64",
                        (char *)"-machine",
                        (char *)machine,
                        (char *)"-accel",
                        (char *)"tcg,thread=multi",
                        (char *)"-smp",
                        (char *)"2",
                        (char *)"-m",
                        (char *)"64M",
                        (char *)"-nodefaults",
                        (char *)"-display",
                        (char *)"none",
                        (char *)"-no-user-config",
                        (char *)"-drive",
                        drive,
                        (char *)"-device",
                        with,
                        (char *)"-qmp",
                        qmp,
                        (char *)(sandbox ? "-sandbox" : NULL),
                        (char *)"on,obsolete=deny,spawn=deny",
                        NULL};
        struct vm vm;

        snprintf(drive, sizeof(drive), "if=none,id=d,format=raw,cache=none,aio=%s,file=%s", aio,
                 disk);
        snprintf(with, sizeof(with), "%s,drive=d", device);
        snprintf(qmp, sizeof(qmp), "unix:%s,server=on,wait=off", qmp_path);
        start(&vm, program, argv);
        if (!connect_qmp(&vm) || !read_until(&vm, "{\"QMP\"")) {
                expect_that(false, "%s, %s: it did not come up", machine, aio);
                expect_end(&vm, NULL);
                return;
        }
        expect_filtered(&vm);
        expect_reply(&vm, "{\"execute\":\"qmp_capabilities\"}", "{}");
        expect_reply(&vm, "{\"execute\":\"query-status\"}", "\"status\": \"running\"");
        expect_reply(&vm, "{\"execute\":\"stop\"}", "{}");
        expect_reply(&vm, "{\"execute\":\"query-status\"}", "\"status\": \"paused\"");
        expect_reply(&vm,
                     "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":"
                     "\"qemu-io d \\\"write 0 64k\\\"\"}}",
                     "return");
        expect_reply(&vm,
                     "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":"
                     "\"qemu-io d \\\"aio_read 0 64k\\\"\"}}",
                     "return");
        expect_reply(&vm,
                     "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":"
                     "\"qemu-io d flush\"}}",
                     "return");
        expect_reply(&vm, "{\"execute\":\"cont\"}", "{}");
        expect_reply(&vm, "{\"execute\":\"query-status\"}", "\"status\": \"running\"");
        expect_reply(&vm, "{\"execute\":\"quit\"}", "{}");
        expect_end(&vm, output);
        expect_in(output, "wrote 65536/65536 bytes");
        expect_in(output, "read 65536/65536 bytes");
}

static void run_all(const struct seccomp_program *program) {
        static const char *const aios[] = {"threads", "native", "io_uring"};

        for (size_t i = 0; i < 3; i++) {
                run(program, "q35", "virtio-blk-pci", aios[i], false);
                run(program, "microvm", "virtio-blk-device", aios[i], false);
        }
}

static void qemu_works_under_its_list(void) {
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;

        need_disk();
        load(&program, "qemu", NULL);
        run_all(&program);
        seccomp_program_deinit(&program);
}

static void qemu_works_under_its_list_and_its_own_sandbox(void) {
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;

        need_disk();
        load(&program, "qemu", NULL);
        run(&program, "q35", "virtio-blk-pci", "io_uring", true);
        seccomp_program_deinit(&program);
}

static void qemu_makes_no_call_that_its_list_does_not_name(void) {
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;

        need_disk();
        load(&program, "strict", "default kill\ninclude qemu\nerrno ENOSYS clone3\n");
        run_all(&program);
        seccomp_program_deinit(&program);
}

static void qemu_works_under_the_generic_list(void) {
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;

        need_disk();
        load(&program, "generic", NULL);
        run(&program, "q35", "virtio-blk-pci", "io_uring", true);
        run(&program, "microvm", "virtio-blk-device", "native", false);
        seccomp_program_deinit(&program);
}

UNIT_MAIN(TEST(qemu_works_under_its_list), TEST(qemu_works_under_its_list_and_its_own_sandbox),
          TEST(qemu_makes_no_call_that_its_list_does_not_name),
          TEST(qemu_works_under_the_generic_list), )

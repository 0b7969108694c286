/* SPDX-License-Identifier: MIT */
/*
 * fio writes its report into a memfd, so nothing has to be read while it runs: we wait for its end
 * and for our signals. It runs as one process (--thread), because the kernel's word that it dies
 * with us (PR_SET_PDEATHSIG) holds for a child, not for a child's children.
 */
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/text.h>
#include <base/why.h>
#include <cli/fio.h>
#include <cli/interrupt.h>

#define REPORT_MAX (1024 * 1024)
#define FILE_FD 3 /* where fio finds the file */
#define STATUS_CANNOT_EXECUTE 126
#define STATUS_IS_MISSING 127

static const struct {
        const char *rw, *size, *figures; /* of a block; of the report, where the figures are */
} ways[_FIO_N] = {
        [FIO_SEQUENTIAL_WRITE] = {"--rw=write", "--bs=1M", "write"},
        [FIO_SEQUENTIAL_READ] = {"--rw=read", "--bs=1M", "read"},
        [FIO_RANDOM_WRITE] = {"--rw=randwrite", "--bs=4k", "write"},
        [FIO_RANDOM_READ] = {"--rw=randread", "--bs=4k", "read"},
};

const char *fio_engine_name(enum fio_engine engine) {
        static const char *const names[_FIO_ENGINE_N] = {
                [FIO_LIBAIO] = "libaio",
                [FIO_PSYNC] = "psync",
        };

        return names[engine];
}

/* A run: what it has printed, and the file it may open. */
struct run {
        int out_fd, err_fd, file_fd;
        pid_t parent;
};

static void run_closep(struct run *run) {
        run->out_fd = fd_close(run->out_fd);
        run->err_fd = fd_close(run->err_fd);
}

static int run_open(struct run *run, int file_fd) {
        *run = (struct run){.file_fd = file_fd, .parent = getpid()};
        run->out_fd = memfd_create("fio-report", MFD_CLOEXEC);
        run->err_fd = memfd_create("fio-errors", MFD_CLOEXEC);
        return run->out_fd < 0 || run->err_fd < 0 ? fault(-errno) : 0;
}

static _Noreturn void execute(const struct run *run, char *const *argv) {
        int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        /* Out of the way of the numbers below. */
        int file_fd = run->file_fd < 0 ? -1 : fcntl(run->file_fd, F_DUPFD_CLOEXEC, FILE_FD + 1);
        sigset_t none;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != run->parent)
                _exit(STATUS_CANNOT_EXECUTE); /* it ended before we said so */
        if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
            dup2(run->out_fd, STDOUT_FILENO) < 0 || dup2(run->err_fd, STDERR_FILENO) < 0 ||
            (file_fd >= 0 && dup2(file_fd, FILE_FD) < 0))
                _exit(STATUS_CANNOT_EXECUTE);
        close_range(file_fd >= 0 ? FILE_FD + 1 : FILE_FD, ~0U, CLOSE_RANGE_CLOEXEC);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_DFL);
        execvp(argv[0], argv);
        dprintf(STDERR_FILENO, "%s\n", strerror(errno));
        _exit(errno == ENOENT ? STATUS_IS_MISSING : STATUS_CANNOT_EXECUTE);
}

/* Waits for its end, or ends it. Returns 0 with *statusp, or FIO_E_INTERRUPTED. */
static int await(pid_t pid, int pidfd, struct interrupt *interrupt, int *statusp) {
        struct pollfd fds[] = {{.fd = pidfd, .events = POLLIN},
                               {.fd = interrupt->fd, .events = POLLIN}};
        bool stopped = false;

        while (!(fds[0].revents & POLLIN) && !stopped) {
                if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
                        fds[0].revents = 0;
                stopped = interrupt_came(interrupt);
        }
        if (stopped)
                kill(pid, SIGKILL);
        while (waitpid(pid, statusp, 0) < 0 && errno == EINTR)
                ;
        return stopped ? FIO_E_INTERRUPTED : 0;
}

/* What was printed into @fd, malloc'd and ended with a NUL, or NULL. */
static char *printed(int fd) {
        char *text = malloc(REPORT_MAX);
        ssize_t n;

        if (!text)
                return NULL;
        n = pread(fd, text, REPORT_MAX - 1, 0);
        text[n > 0 ? n : 0] = '\0';
        return text;
}

static int failed(const struct run *run, int status, struct why *why) {
        _cleanup_(freep) char *text = printed(run->err_fd);
        char quoted[256];

        if (!text)
                return fault(-ENOMEM);
        if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_IS_MISSING) {
                why_set(why, FIO_E_MISSING,
                        "there is no fio on PATH, which does the measuring; it is in Debian's "
                        "package 'fio' (apt install fio)");
                return FIO_E_MISSING;
        }
        text[strcspn(text, "\n")] = '\0';
        text_escape(strncmp(text, "fio: ", 5) == 0 ? text + 5 : text, quoted, sizeof(quoted));
        if (WIFSIGNALED(status))
                why_set(why, FIO_E_FAILED, "fio was ended by signal %d", WTERMSIG(status));
        else
                why_set(why, FIO_E_FAILED, "fio failed (status %d)%s%s", WEXITSTATUS(status),
                        *quoted ? ": " : "", quoted);
        return FIO_E_FAILED;
}

/* Runs it to its end. Returns 0 and in *textp what it printed, malloc'd. */
static int run_fio(int file_fd, char *const *argv, struct interrupt *interrupt, char **textp,
                   struct why *why) {
        _cleanup_(run_closep) struct run run = {.out_fd = -1, .err_fd = -1};
        _cleanup_(fd_closep) int pidfd = -1;
        int r, status = 0;
        pid_t pid;

        r = run_open(&run, file_fd);
        if (r)
                return r;
        pid = fork();
        if (pid < 0)
                return fault(-errno);
        if (pid == 0)
                execute(&run, argv);
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0) {
                r = fault(-errno);
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
                return r;
        }
        r = await(pid, pidfd, interrupt, &status);
        if (r)
                return r;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return failed(&run, status, why);
        *textp = printed(run.out_fd);
        return *textp ? 0 : fault(-ENOMEM);
}

int fio_version(char version[FIO_VERSION_MAX], struct interrupt *interrupt, struct why *why) {
        _cleanup_(freep) char *text = NULL;
        char fio[] = "fio", option[] = "--version";
        int r;

        r = run_fio(-1, (char *[]){fio, option, NULL}, interrupt, &text, why);
        if (r)
                return r;
        text[strcspn(text, "\n")] = '\0';
        text_escape(text, version, FIO_VERSION_MAX);
        return 0;
}

/* One number below @object; false if it is none or below 0. */
static bool figure(const json_t *object, const char *key, uint64_t *numberp) {
        const json_t *value = json_object_get(object, key);
        double number = json_number_value(value);

        if (!json_is_number(value) || !(number >= 0 && number < (double)INT64_MAX))
                return false;
        *numberp = (uint64_t)number;
        return true;
}

/* Notices of fio stand before the object. */
static json_t *load_report(const char *text) {
        while (*text && *text != '{') {
                text = strchrnul(text, '\n');
                text += *text == '\n';
        }
        return json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
}

static bool take_figures(const json_t *job, const char *name, struct fio_result *result) {
        const json_t *way = json_object_get(job, name);
        const json_t *latency = json_object_get(json_object_get(way, "lat_ns"), "percentile");

        return figure(way, "bw_bytes", &result->bytes_per_s) &&
               figure(way, "iops", &result->iops) &&
               figure(latency, "50.000000", &result->median_ns) &&
               figure(latency, "99.000000", &result->p99_ns) && result->bytes_per_s > 0;
}

int fio_parse(const char *text, enum fio_way way, struct fio_result *resultp, struct why *why) {
        json_t *report = load_report(text);
        const json_t *job = json_array_get(json_object_get(report, "jobs"), 0);
        json_int_t error = json_integer_value(json_object_get(job, "error"));
        struct fio_result result;
        int r = 0;

        if (error)
                r = why_errno(why, FIO_E_FAILED, (int)error, "fio met an error of the disk");
        else if (take_figures(job, ways[way].figures, &result))
                *resultp = result;
        else
                r = why_set(why, FIO_E_FAILED, "fio's report makes no sense to us");
        json_decref(report);
        return r;
}

int fio_measure(enum fio_way way, enum fio_engine engine, int file_fd, uint64_t size_bytes,
                unsigned seconds, struct interrupt *interrupt, struct fio_result *resultp,
                struct why *why) {
        _cleanup_(freep) char *text = NULL;
        char file[64], size[64], runtime[32], ioengine[32], depth[32];
        int r;

        /* By /proc/self it is a fresh open of the same file, with the flags that fio wants. */
        snprintf(file, sizeof(file), "--filename=/proc/self/fd/%d", FILE_FD);
        snprintf(size, sizeof(size), "--size=%ju", (uintmax_t)size_bytes);
        snprintf(runtime, sizeof(runtime), "--runtime=%u", seconds);
        snprintf(ioengine, sizeof(ioengine), "--ioengine=%s", fio_engine_name(engine));
        snprintf(depth, sizeof(depth), "--iodepth=%d", engine == FIO_PSYNC ? 1 : FIO_DEPTH);
        const char *const argv[] = {
                "fio", "--name=bench", file, ways[way].rw, ways[way].size, size, ioengine, depth,
                "--direct=1", "--time_based", runtime, "--thread", "--norandommap",
                /* The file is there, whole, and without a name that could be removed. */
                "--allow_file_create=0", "--overwrite=1", "--fallocate=none", "--lat_percentiles=1",
                "--clat_percentiles=0", "--percentile_list=50:99", "--eta=never",
                "--output-format=json", NULL};

        r = run_fio(file_fd, (char *const *)argv, interrupt, &text, why);
        return r ?: fio_parse(text, way, resultp, why);
}

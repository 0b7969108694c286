/* SPDX-License-Identifier: MIT */
/*
 * A claim and its VM, followed over a connection that may break (life.c has what the replies mean).
 *
 * One loop waits for three things: the broker's replies, our own signals (through a signalfd: no
 * handler ever runs), and the forwarding of signals to the VM. It never reads the standard input:
 * that is the VM's.
 *
 * The broker may go away at any moment, and a VM outlives it. So a lost connection is not the end:
 * until STARTED the call is sent again, with the ticket that keeps the place in the queue and what
 * is left of the wait; from then on Attach takes up the VM's life where it was left. The clock of
 * that patience starts when the connection is lost and stops with the first reply, not with the
 * first connection, so that a broker that accepts and dies at once does not keep us for ever.
 *
 * Before STARTED, INT, TERM, HUP and QUIT mean us: the connection is closed, which takes the claim
 * back. From then on they mean the VM. While the broker is away a first one is kept for later, and
 * a second one lets us leave.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/units.h>
#include <base/why.h>
#include <cli/human.h>
#include <cli/session.h>

#define RETRY_FIRST_USEC 10000
#define RETRY_LAST_USEC 200000
#define AWAY_TOLD_USEC 1000000 /* a broker that restarts is back before that */
#define TICK_USEC 1000000

void session_finish(struct session *session, int status) {
        tell_clear(&session->tell);
        session->done = true;
        session->status = status;
}

/*
 * Signals
 */

static bool is_ending(int n) {
        return n == SIGINT || n == SIGTERM || n == SIGHUP || n == SIGQUIT;
}

/* Takes over the signals that the VM shall get, but for those our parent had us ignore (nohup). */
static int take_signals(struct session *session) {
        static const int numbers[] = {SIGINT,  SIGTERM, SIGHUP,   SIGQUIT,
                                      SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};
        sigset_t set;

        sigemptyset(&set);
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
                struct sigaction action;

                if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
                        sigaddset(&set, numbers[i]);
        }
        session->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (session->signal_fd < 0)
                return fault(-errno);
        sigprocmask(SIG_BLOCK, &set, NULL);
        return 0;
}

static void take_signal(struct session *session, int n, bool from_kernel) {
        if (session->phase == PHASE_STARTED && session->options->request.reserves) {
                if (hold_runs(&session->hold))
                        hold_signal(&session->hold, n, from_kernel);
                else if (is_ending(n))
                        session_finish(session, 128 + n);
        } else if (session->phase == PHASE_STARTED) {
                forward_add(&session->forward, n);
                if (client_connected(&session->client) || !is_ending(n))
                        return;
                if (session->kept++ == 0)
                        cli_say(session->cli,
                                "the broker is away; the signal goes to the VM when it is back, "
                                "another one ends this command");
                else
                        session_finish(session, 128 + n);
        } else if (is_ending(n)) {
                session_finish(session, 128 + n);
        } else {
                tell_tick(&session->tell);
        }
}

static void take_all_signals(struct session *session) {
        struct signalfd_siginfo info;

        while (!session->done && read(session->signal_fd, &info, sizeof(info)) == sizeof(info))
                take_signal(session, (int)info.ssi_signo, info.ssi_code == SI_KERNEL);
}

/*
 * Calls
 */

static int open_fd(const struct session *session, size_t i) {
        const struct run_options *options = session->options;
        int fd = (int)i;

        if (i == REQUEST_FD_CWD)
                return open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (i >= _REQUEST_FDS_N + options->n_disk_fds)
                fd = session->learn.peer_fd;
        else if (i >= _REQUEST_FDS_N)
                fd = options->disk_fds[i - _REQUEST_FDS_N];
        return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

/* What goes with Run: our own three, the directory, the disks, and what learns. Copies, since the
 * call may have to be sent again. */
static int open_fds(const struct session *session, int fds[REQUEST_RUN_FDS_MAX], size_t *np) {
        size_t n = _REQUEST_FDS_N + session->options->n_disk_fds + session->options->request.learn;
        /* A reservation has no process that could use the first. */
        size_t first = session->options->request.reserves ? _REQUEST_FDS_N : 0;

        n -= first;
        for (size_t i = 0; i < n; i++) {
                fds[i] = open_fd(session, first + i);
                if (fds[i] < 0) {
                        int error = errno;

                        fd_close_many(fds, i);
                        return error;
                }
        }
        *np = n;
        return 0;
}

static int call_run(struct session *session, struct why *why) {
        struct run_request *request = &session->options->request;
        uint64_t now = cli_now_usec();
        int fds[REQUEST_RUN_FDS_MAX];
        size_t n = 0;
        int r;

        /* As long as was said from the first time on, and then what is left of it. */
        if (session->wait_until_usec == 0)
                session->wait_until_usec = request->wait_usec == REQUEST_WAIT_FOREVER
                                                   ? UINT64_MAX
                                                   : now + request->wait_usec;
        else if (session->wait_until_usec != UINT64_MAX)
                request->wait_usec =
                        session->wait_until_usec > now ? session->wait_until_usec - now : 0;
        r = open_fds(session, fds, &n);
        if (r)
                return why_errno(why, CLIENT_E_TOO_BIG, r,
                                 "cannot pass on the working directory, the standard streams and "
                                 "the disks");
        if (request->reserves)
                return client_call(&session->client, "Reserve", reserve_request_format(request),
                                   true, fds, n, why);
        return client_call(&session->client, "Run", run_request_format(request), true, fds, n, why);
}

static int call_attach(struct session *session, struct why *why) {
        struct vm_request request = VM_REQUEST_NULL;

        strcpy(request.vm, session->id);
        strcpy(request.ticket, session->options->request.ticket);
        return client_call(&session->client, "Attach", vm_request_format(&request), true, NULL, 0,
                           why);
}

/* Connects and says what we want now. Answers as client_connect() and client_call(). */
static int call(struct session *session, struct why *why) {
        int r;

        r = client_connect(&session->client, session->cli->socket, why);
        if (r)
                return r;
        return session->phase == PHASE_STARTED ? call_attach(session, why) : call_run(session, why);
}

/*
 * The broker goes and comes
 */

static void lose(struct session *session, const struct why *why) {
        client_deinit(&session->client);
        if (session->lost_at_usec == 0) {
                session->lost_at_usec = cli_now_usec();
                session->retry_step_usec = RETRY_FIRST_USEC;
        } else {
                session->retry_step_usec = min_u64(session->retry_step_usec * 2, RETRY_LAST_USEC);
        }
        session->retry_at_usec = cli_now_usec() + session->retry_step_usec;
        session->lost = *why;
}

static void give_up(struct session *session) {
        char patience[UNITS_TEXT_MAX];

        tell_clear(&session->tell);
        units_format_duration(session->options->reconnect_usec, patience, sizeof(patience));
        if (session->hold.ended) {
                cli_say(session->cli,
                        "the broker did not come back within %s; when it does it ends what is left "
                        "in the reservation",
                        patience);
                session_finish(session, session->hold.status);
                return;
        }
        if (session->phase == PHASE_STARTED)
                cli_say(session->cli,
                        "the broker did not come back within %s; VM '%s' may still run, 'provium "
                        "ps' "
                        "tells when the broker is back",
                        patience, session->name);
        else
                cli_say(session->cli,
                        "the broker did not come back within %s; nothing was started "
                        "that we know of",
                        patience);
        session_finish(session, STATUS_NO_BROKER);
}

static void tell_lost(struct session *session) {
        char safe[HUMAN_TEXT_MAX];
        const char *reason = human_safe(session->lost.text, safe);

        /* The terminal is the VM's once it runs: one line, not one that is kept up to date. */
        if (session->phase != PHASE_STARTED)
                tell_away(&session->tell, reason);
        else
                cli_say(session->cli, "the broker is away (%s); %s '%s' %s", reason,
                        session->options->request.reserves ? "reservation" : "VM", session->name,
                        session->options->request.reserves ? "stands" : "runs on");
        session->away_told = true;
}

static int reconnect(struct session *session) {
        uint64_t now = cli_now_usec();
        struct why why = {};
        int r;

        if (session->over)
                return 0;
        /* While its command runs a reservation is worth any wait. */
        if (!hold_runs(&session->hold) &&
            now - session->lost_at_usec >= session->options->reconnect_usec) {
                give_up(session);
                return 0;
        }
        if (!session->away_told && now - session->lost_at_usec >= AWAY_TOLD_USEC)
                tell_lost(session);
        if (now < session->retry_at_usec)
                return 0;

        r = call(session, &why);
        if (r < 0)
                return r;
        if (r == CLIENT_E_NO_BROKER)
                lose(session, &why);
        else if (r)
                session_finish(session, cli_disconnected(session->cli, r, &why));
        return 0;
}

static int take_replies(struct session *session) {
        while (!session->done && client_connected(&session->client)) {
                struct reply reply = REPLY_NULL;
                struct why why = {};
                int r;

                r = client_step(&session->client, &reply, &why);
                if (r < 0)
                        return r;
                if (r == CLIENT_E_AGAIN)
                        return 0;
                if (r == CLIENT_E_GONE) {
                        lose(session, &why);
                        return 0;
                }
                if (r) {
                        session_finish(session, cli_disconnected(session->cli, r, &why));
                        return 0;
                }
                life_take_reply(session, &reply);
                reply_deinit(&reply);
        }
        return 0;
}

/*
 * The loop
 */

static int poll_timeout_msec(const struct session *session) {
        uint64_t now = cli_now_usec(), at = forward_deadline(&session->forward);

        if (!client_connected(&session->client) && !session->over)
                at = min_u64(at, session->retry_at_usec);
        if (session->tell.shown)
                at = min_u64(at, now + TICK_USEC);
        if (at == UINT64_MAX)
                return -1;
        return at > now ? (int)min_u64((at - now + 999) / 1000, 60000) : 0;
}

#define LEARN_TURNS 64 /* before we look after the rest again */

/* Waits, and serves the VM's calls if it learns: while nothing else comes, these alone, for each of
 * them is a VM that stands still. */
static int wait_for_news(struct session *session) {
        int n, timeout = poll_timeout_msec(session);
        struct pollfd fds[] = {
                {.fd = session->signal_fd, .events = POLLIN},
                {.fd = session->client.stream.fd, .events = client_poll_events(&session->client)},
                {.fd = session->forward.client.stream.fd,
                 .events = client_poll_events(&session->forward.client)},
                {.fd = learn_poll_fd(&session->learn), .events = POLLIN},
                {.fd = session->hold.pidfd, .events = POLLIN},
                {.fd = session->hold.client.stream.fd,
                 .events = client_poll_events(&session->hold.client)},
        };

        for (unsigned i = 0; i < LEARN_TURNS; i++) {
                n = poll(fds, ARRAY_SIZE(fds), timeout);
                if (n <= 0 || !fds[3].revents)
                        break;
                learn_step(&session->learn);
                fds[3].fd = learn_poll_fd(&session->learn);
                if (n > 1)
                        break;
        }
        if (n < 0 && errno != EINTR)
                return fault(-errno);
        if (n == 0 && session->tell.shown)
                tell_tick(&session->tell);
        return 0;
}

/* The command of a reservation: when it has ended, so does that, and then we. */
static int look_after_command(struct session *session) {
        bool released = false;
        int r;

        r = hold_step(&session->hold, session->id, &released);
        if (r == 0 && session->hold.ended && (released || session->over))
                session_finish(session, session->hold.status);
        return r;
}

static int loop(struct session *session) {
        while (!session->done) {
                int r = 0;

                take_all_signals(session);
                if (!session->done && !client_connected(&session->client))
                        r = reconnect(session);
                if (r == 0)
                        r = take_replies(session);
                if (r == 0 && !session->done)
                        r = forward_step(&session->forward, cli_now_usec());
                if (r == 0 && !session->done)
                        r = look_after_command(session);
                if (r == 0 && !session->done)
                        r = wait_for_news(session);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The first call: nobody there is an answer, not a reason to wait. */
static int begin(struct session *session) {
        struct why why = {};
        int r;

        r = take_signals(session);
        if (r < 0)
                return r;
        r = call(session, &why);
        if (r > 0)
                session_finish(session, cli_disconnected(session->cli, r, &why));
        return r < 0 ? r : 0;
}

int session_run(struct cli *cli, struct run_options *options) {
        struct session session = {
                .cli = cli,
                .options = options,
                .client = CLIENT_NULL,
                .forward = FORWARD_NULL,
                .learn = LEARN_NULL,
                .hold = HOLD_NULL,
                .signal_fd = -1,
        };
        int r;

        session.forward.cli = cli;
        tell_init(&session.tell, cli);
        session.status = learn_begin(&session.learn, cli, &options->request, options->learn_path);
        session.done = session.status != STATUS_OK;
        r = session.done ? 0 : begin(&session);
        if (r == 0)
                r = loop(&session);
        if (r < 0) {
                tell_clear(&session.tell);
                session.status = cli_fault(cli, r);
        }

        session.status = learn_end(&session.learn, session.status);
        client_deinit(&session.client);
        forward_deinit(&session.forward);
        hold_deinit(&session.hold);
        /* The signals stay blocked: one that comes now must not change what we exit with. */
        fd_close(session.signal_fd);
        return session.status;
}

/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include <broker/broker.h>
#include <broker/console_keeper.h>
#include <broker/control.h>
#include <broker/filters.h>
#include <broker/rights.h>
#include <broker/service.h>
#include <broker/start.h>

#define EXIT_USAGE 64
#define EXIT_BAD_POLICY 78
#define EXIT_HOST 1

static int check(const struct options *options) {
        struct policy_errors *errors = calloc(1, sizeof(*errors));
        struct filters *filters = NULL;
        struct policy *policy = NULL;
        struct why why = {};
        int r;

        r = errors ? policy_load(&policy, options->config_dir, options->vendor_dir, errors)
                   : -ENOMEM;
        for (size_t i = 0; r > 0 && i < errors->n; i++) {
                char line[1200];

                fprintf(stderr, "%s\n", policy_error_format(&errors->list[i], line, sizeof(line)));
        }
        if (r == 0)
                r = filters_load(&filters, options, policy, &why);
        if (why.text[0])
                fprintf(stderr, "%s\n", why.text);
        filters_unref(filters);
        free(errors);
        policy_free(policy);
        return r < 0 ? EXIT_HOST : r ? EXIT_BAD_POLICY : 0;
}

int main(int argc, char **argv) {
        struct options options;
        struct broker *broker = calloc(1, sizeof(*broker));
        struct why why = {};
        int r;

        switch (options_parse(&options, argc, argv)) {
        case OPTIONS_EXIT:
                return 0;
        case OPTIONS_USAGE:
                return EXIT_USAGE;
        }
        if (options.hold) {
                rights_give_up();
                return service_hold();
        }
        if (options.keep_console)
                return console_keep(options.console_owner);
        if (options.check)
                return check(&options);

        r = broker_init(broker, &options, &why);
        if (r == 0) {
                r = broker_run(broker);
        } else if (r > 0) {
                log_error("%s", why.text);
                control_refuse_all();
        }
        sd_notify(0, "STOPPING=1");
        broker_deinit(broker);
        if (r < 0)
                log_error("stopped by a fault: %s; VMs run on", strerrordesc_np(-r));
        return r < 0 ? EXIT_HOST : r == BROKER_E_POLICY ? EXIT_BAD_POLICY : r ? EXIT_HOST : 0;
}

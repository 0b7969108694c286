/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_START_H
#define PROVIUM_BROKER_START_H

#include <broker/broker.h>

/*
 * Makes everything: policy, root, adoption of what runs, sockets. Answers with a sentence
 * (BROKER_E_*), because what fails here is the operator's to mend.
 */
_must_check_ int broker_init(struct broker *broker, const struct options *options, struct why *why);
void broker_deinit(struct broker *broker);

/* Runs until told to stop (0), or until systemd has stopped the scope (BROKER_E_HOST); or a fault.
 */
_must_check_ int broker_run(struct broker *broker);

#endif

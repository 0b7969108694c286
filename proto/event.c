/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <base/why.h>
#include <proto/event.h>

enum { LEVEL_WARNING = 4, LEVEL_NOTICE = 5, LEVEL_INFO = 6 };

/* A message id is never changed, and no kind takes one that another had. */
const struct event_kind event_kinds[] = {
        {"claim_queued",
         "df4e5fe9a8414a17a26b0d27052cb1b7",
         LEVEL_INFO,
         true,
         "A claim waits, for the named reason",
         {{"reason", EVENT_TEXT}, {"detail", EVENT_TEXT}, {"order", EVENT_NUMBER}}},
        {"claim_blocked",
         "c0bd0dcb1de24a9ab9a2413feccfc6a0",
         LEVEL_INFO,
         true,
         "A claim that waits does so for another reason now",
         {{"reason", EVENT_TEXT}, {"detail", EVENT_TEXT}, {"order", EVENT_NUMBER}}},
        {"claim_acquired",
         "244a897b96c846158bc6083adc81d17d",
         LEVEL_INFO,
         true,
         "A claim was admitted; admission_us is how long it had waited",
         {{"admission_us", EVENT_NUMBER}, {"charge", EVENT_DEMAND}}},
        {"claim_released",
         "5b38d73611da4fe5952fb4010fdc8edc",
         LEVEL_INFO,
         true,
         "A claim is over: with charge, what it held was given back; without, it had waited in "
         "vain",
         {{"reason", EVENT_TEXT}, {"detail", EVENT_TEXT, true}, {"charge", EVENT_DEMAND, true}}},
        {"vm_spawned",
         "52c3dab91a2642e0a40629de55424cd9",
         LEVEL_INFO,
         true,
         "A VM runs; setup_us went to its group and network, exec_us to its command",
         {{"pid", EVENT_NUMBER},
          {"admission_us", EVENT_NUMBER},
          {"setup_us", EVENT_NUMBER},
          {"exec_us", EVENT_NUMBER}}},
        {"vm_learning",
         "0f3cf4ef769541d0bf5fd4b473e10d61",
         LEVEL_NOTICE,
         true,
         "A VM runs without a list of system calls, to learn one",
         {{"pid", EVENT_NUMBER}}},
        {"vm_shutdown",
         "394281cecec149b0ab804bddb23d6cfe",
         LEVEL_INFO,
         true,
         "A VM has ended, with an exit code, by a signal, or unknown how",
         {{"reason", EVENT_TEXT},
          {"oom", EVENT_BOOL},
          {"exit_code", EVENT_NUMBER, true},
          {"signal", EVENT_NUMBER, true}}},
        {"vm_oom",
         "ccecadb96bf74a7d931eb81b99dec5fc",
         LEVEL_WARNING,
         true,
         "The kernel killed processes of a VM that had reached its memory_max",
         {{"kills", EVENT_NUMBER}, {"total", EVENT_NUMBER}, {"memory_max", EVENT_NUMBER}}},
        {"vm_seccomp",
         "75cc5be5578a4e4190ca73456a643d83",
         LEVEL_WARNING,
         true,
         "A VM was killed by its list of system calls",
         {{"syscall", EVENT_TEXT}}},
        {"pool_state",
         NULL,
         LEVEL_INFO,
         false,
         "What is sold and what is left, once a second while somebody listens; seq is that of the "
         "last event before it",
         {{"used", EVENT_DEMAND},
          {"available", EVENT_DEMAND},
          {"vms", EVENT_NUMBER},
          {"waiting", EVENT_NUMBER}}},
        {"pressure",
         "feb75116c9bd4a1e91b08c85eddac2f2",
         LEVEL_WARNING,
         false,
         "VMs are started no more for want of CPUs or memory, or again",
         {{"state", EVENT_TEXT},
          {"resource", EVENT_TEXT},
          {"avg10", EVENT_TEXT},
          {"limit", EVENT_TEXT},
          {"waiting", EVENT_NUMBER}}},
        {"policy_reloaded",
         "6c38b7d597e5439698ee3088044ec3b8",
         LEVEL_NOTICE,
         false,
         "The policy files were read again, or have an error and the old policy stays",
         {{"ok", EVENT_BOOL}, {"detail", EVENT_TEXT}}},
        {"drain",
         "f6cc8b5a052c41e4adee73bb5db909f9",
         LEVEL_NOTICE,
         false,
         "From now on no VM is started, or they are again",
         {{"draining", EVENT_BOOL}, {"vms", EVENT_NUMBER}, {"waiting", EVENT_NUMBER}}},
        {"drift",
         "0adff879251c4416aa09293a2f6405db",
         LEVEL_WARNING,
         false,
         "Somebody changed what holds a vm, a slice or the network to its limits; detail says what",
         {{"vm", EVENT_TEXT, true},
          {"slice", EVENT_TEXT, true},
          {"network", EVENT_TEXT, true},
          {"detail", EVENT_TEXT},
          {"repaired", EVENT_BOOL}}},
        {"gap",
         "ff6474acb3f0452f8c5552f56beb11f8",
         LEVEL_WARNING,
         false,
         "Events from that number to that one are not kept any more; with restarted, the broker "
         "was started anew between them, and most of these numbers were never used",
         {{"from", EVENT_NUMBER}, {"to", EVENT_NUMBER}, {"restarted", EVENT_BOOL, true}}},
        {},
};

const struct event_kind *event_kind_find(const char *name) {
        for (const struct event_kind *kind = event_kinds; kind->name; kind++)
                if (strcmp(kind->name, name) == 0)
                        return kind;
        return NULL;
}

uint64_t event_kind_bit(const struct event_kind *kind) {
        return UINT64_C(1) << (kind - event_kinds);
}

static int unknown(const char *name, size_t length, struct why *why) {
        char list[WHY_TEXT_MAX];
        size_t used = 0;

        for (const struct event_kind *kind = event_kinds; kind->name; kind++)
                used += (size_t)snprintf(list + used, sizeof(list) - used, "%s, ", kind->name);
        assert(used + sizeof("all") <= sizeof(list));
        return why_set(why, 1, "no kind of event is called '%.*s'; there are %sall",
                       (int)(length > 32 ? 32 : length), name, list);
}

int event_kinds_parse(const char *list, uint64_t *kindsp, struct why *why) {
        uint64_t kinds = 0;

        for (;;) {
                size_t length = strcspn(list, ",");
                const struct event_kind *kind = event_kinds;

                if (length == 3 && memcmp(list, "all", 3) == 0) {
                        kinds = EVENT_KINDS_ALL;
                } else {
                        while (kind->name && (strlen(kind->name) != length ||
                                              memcmp(kind->name, list, length) != 0))
                                kind++;
                        if (!kind->name)
                                return unknown(list, length, why);
                        kinds |= event_kind_bit(kind);
                }
                if (!list[length])
                        break;
                list += length + 1;
        }
        *kindsp |= kinds;
        return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Calls and replies: whatever is taken can be formatted and is then taken again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <base/why.h>
#include <proto/call.h>

#define check(condition) ((condition) ? (void)0 : abort())

static void try_call(const char *text, size_t size) {
        struct call call = CALL_NULL, again = CALL_NULL;
        struct why why = {};
        size_t length;
        char *copy;

        if (call_parse(&call, text, size, &why)) {
                check(why.text[0] && !strpbrk(why.text, "\n\033"));
                return;
        }
        check(call.method && json_is_object(call.parameters));
        copy = call_format(call.method, json_incref(call.parameters), call.more, &length);
        check(copy && strlen(copy) == length);
        check(call_parse(&again, copy, length, &why) == 0);
        check(strcmp(again.method, call.method) == 0 && again.more == call.more);
        check(json_equal(again.parameters, call.parameters));
        free(copy);
        call_deinit(&again);
        call_deinit(&call);
}

static void try_reply(const char *text, size_t size) {
        struct reply reply = REPLY_NULL, again = REPLY_NULL;
        struct why why = {};
        size_t length;
        char *copy;

        if (reply_parse(&reply, text, size, &why)) {
                check(why.text[0] && !strpbrk(why.text, "\n\033"));
                return;
        }
        copy = reply.error ? error_format(reply.error, json_incref(reply.parameters), &length)
                           : reply_format(json_incref(reply.parameters), reply.continues, &length);
        check(copy && strlen(copy) == length);
        check(reply_parse(&again, copy, length, &why) == 0);
        check(again.continues == reply.continues && json_equal(again.parameters, reply.parameters));
        free(copy);
        reply_deinit(&again);
        reply_deinit(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        try_call((const char *)data, size);
        try_reply((const char *)data, size);
        return 0;
}

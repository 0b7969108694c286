/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <base/why.h>
#include <proto/call.h>

#include "unit.h"

static int parse_call(const char *text, struct why *why) {
        struct call call = CALL_NULL;
        int r = call_parse(&call, text, strlen(text), why);

        call_deinit(&call);
        return r;
}

static int parse_reply(const char *text, struct why *why) {
        struct reply reply = REPLY_NULL;
        int r = reply_parse(&reply, text, strlen(text), why);

        reply_deinit(&reply);
        return r;
}

static void call_with_all_members_is_read(void) {
        static const char text[] = "{\"method\":\"a.b.C\",\"parameters\":{\"x\":1},\"more\":true}";
        struct call call = CALL_NULL;

        need_int(call_parse(&call, text, strlen(text), NULL), 0);
        expect_str(call.method, "a.b.C");
        expect(call.more && !call.oneway);
        expect_int(json_integer_value(json_object_get(call.parameters, "x")), 1);
        call_deinit(&call);
        call_deinit(&call);
}

static void absent_parameters_are_an_empty_object(void) {
        static const char text[] = "{\"method\":\"a.B\"}";
        struct call call = CALL_NULL;

        need_int(call_parse(&call, text, strlen(text), NULL), 0);
        expect(json_is_object(call.parameters));
        expect_uint(json_object_size(call.parameters), 0);
        call_deinit(&call);
}

static void what_is_no_call_is_refused_with_a_sentence(void) {
        static const char *const texts[] = {
                "",
                " ",
                "null",
                "[]",
                "1",
                "\"a.B\"",
                "{}",
                "{",
                "{\"method\":1}",
                "{\"method\":\"\"}",
                "{\"method\":\"noDot\"}",
                "{\"method\":\"a.B\\u0000\"}",
                "{\"method\":\"a.B\\n\"}",
                "{\"method\":\"a.\\u001b[2J\"}",
                "{\"method\":\"a.B\",\"parameters\":[]}",
                "{\"method\":\"a.B\",\"parameters\":null}",
                "{\"method\":\"a.B\",\"more\":1}",
                "{\"method\":\"a.B\",\"more\":\"yes\"}",
                "{\"method\":\"a.B\",\"oneway\":null}",
                "{\"method\":\"a.B\",\"more\":true,\"oneway\":true}",
                "{\"method\":\"a.B\",\"upgrade\":true}",
                "{\"method\":\"a.B\",\"surprise\":1}",
                "{\"method\":\"a.B\",\"method\":\"a.C\"}",
                "{\"method\":\"a.B\",\"parameters\":{\"x\":1,\"x\":2}}",
                "{\"method\":\"a.B\"} ,",
                "{\"method\":\"a.B\"}{\"method\":\"a.B\"}",
                "{\"method\":\"a.B\",\"parameters\":{\"x\":NaN}}",
                "{\"method\":\"a.B\",\"parameters\":{\"x\":1e999}}",
                "{\"method\":\"a.B\",\"parameters\":{\"x\":99999999999999999999}}",
                "{\"method\":\"a.B\",\"parameters\":{\"x\":\"\xff\"}}",
                "{\"method\":\"a.B\",\"parameters\":{\"x\":\"\\ud800\"}}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct why why = {};

                expect_that(parse_call(texts[i], &why) == CALL_E_INVALID, "taken: %s", texts[i]);
                expect_that(why.text[0], "no sentence: %s", texts[i]);
                expect_that(!strpbrk(why.text, "\n\033\xff"), "raw text: %s", why.text);
        }
}

static void names_of_methods_are_bounded(void) {
        char text[400];

        snprintf(text, sizeof(text), "{\"method\":\"a.%0*d\"}", CALL_METHOD_MAX - 2, 0);
        expect_int(parse_call(text, NULL), 0);
        snprintf(text, sizeof(text), "{\"method\":\"a.%0*d\"}", CALL_METHOD_MAX - 1, 0);
        expect_int(parse_call(text, NULL), CALL_E_INVALID);
}

/* A call whose parameters nest @depth arrays. */
static char *nested(size_t depth) {
        char *text = malloc(2 * depth + 64);
        size_t n;

        if (!text)
                abort();
        n = (size_t)sprintf(text, "{\"method\":\"a.B\",\"parameters\":{\"x\":");
        memset(text + n, '[', depth);
        memset(text + n + depth, ']', depth);
        strcpy(text + n + 2 * depth, "}}");
        return text;
}

static void nesting_is_bounded_far_from_the_stack(void) {
        char *text = nested(CALL_DEPTH_MAX - 2);
        struct why why = {};

        expect_int(parse_call(text, NULL), 0);
        free(text);
        text = nested(CALL_DEPTH_MAX - 1);
        expect_int(parse_call(text, &why), CALL_E_INVALID);
        expect_in(why.text, "nested");
        free(text);
        text = nested(100000);
        expect_int(parse_call(text, NULL), CALL_E_INVALID);
        free(text);
}

static void *parse_deepest(void *data) {
        char *text = nested(CALL_DEPTH_MAX - 2);

        *(int *)data = parse_call(text, NULL);
        free(text);
        return NULL;
}

static void deepest_call_needs_little_stack(void) {
        pthread_attr_t attributes;
        pthread_t thread;
        int r = -1;

        pthread_attr_init(&attributes);
        /* Sanitizers keep their own things on it; without them 64 KiB would do. */
        pthread_attr_setstacksize(&attributes, 256 * 1024);
        need_int(pthread_create(&thread, &attributes, parse_deepest, &r), 0);
        pthread_join(thread, NULL);
        pthread_attr_destroy(&attributes);
        expect_int(r, 0);
}

static void brackets_in_strings_are_no_nesting(void) {
        expect_int(parse_call("{\"method\":\"a.B\",\"parameters\":{\"x\":"
                              "\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[[[,,,\"}}",
                              NULL),
                   0);
}

static void values_in_a_call_are_bounded_but_not_in_a_reply(void) {
        size_t size = 2 * (CALL_VALUES_MAX + 10) + 64, n;
        char *text = malloc(size);
        struct why why = {};

        need(text);
        n = (size_t)sprintf(text, "{\"method\":\"a.B\",\"parameters\":{\"x\":[");
        for (int i = 0; i < CALL_VALUES_MAX; i++)
                n += (size_t)sprintf(text + n, "1,");
        strcpy(text + n, "1]}}");
        expect_int(parse_call(text, &why), CALL_E_INVALID);
        expect_in(why.text, "values");
        n = (size_t)sprintf(text, "{\"parameters\":{\"x\":[");
        for (int i = 0; i < CALL_VALUES_MAX; i++)
                n += (size_t)sprintf(text + n, "1,");
        strcpy(text + n, "1]}}");
        expect_int(parse_reply(text, NULL), 0);
        free(text);
}

static void what_is_no_reply_is_refused(void) {
        static const char *const texts[] = {
                "",
                "[]",
                "{\"error\":1}",
                "{\"error\":\"Short\"}",
                "{\"error\":\"a.B\",\"continues\":true}",
                "{\"continues\":1}",
                "{\"parameters\":3}",
                "{\"surprise\":3}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                expect_that(parse_reply(texts[i], NULL) == CALL_E_INVALID, "taken: %s", texts[i]);
        expect_int(parse_reply("{}", NULL), 0);
}

static void what_is_formatted_is_read_back(void) {
        struct reply reply = REPLY_NULL;
        struct call call = CALL_NULL;
        size_t length;
        char *text;

        text = call_format("a.B", json_pack("{ss}", "x", "\n\"\033"), true, &length);
        need(text);
        expect_uint(length, strlen(text));
        need_int(call_parse(&call, text, length, NULL), 0);
        expect(call.more);
        expect_str(json_string_value(json_object_get(call.parameters, "x")), "\n\"\033");
        call_deinit(&call);
        free(text);

        text = reply_format(NULL, true, &length);
        need(text);
        need_int(reply_parse(&reply, text, length, NULL), 0);
        expect(reply.continues && !reply.error);
        reply_deinit(&reply);
        free(text);

        text = error_format("a.b.Full", json_pack("{si}", "n", 5), &length);
        need(text);
        need_int(reply_parse(&reply, text, length, NULL), 0);
        expect_str(reply.error, "a.b.Full");
        expect_int(json_integer_value(json_object_get(reply.parameters, "n")), 5);
        reply_deinit(&reply);
        free(text);
}

static void refused_text_leaves_the_call_untouched(void) {
        struct call call = {.method = "kept"};

        expect_int(call_parse(&call, "{}", 2, NULL), CALL_E_INVALID);
        expect_str(call.method, "kept");
}

UNIT_MAIN(TEST(call_with_all_members_is_read), TEST(absent_parameters_are_an_empty_object),
          TEST(what_is_no_call_is_refused_with_a_sentence), TEST(names_of_methods_are_bounded),
          TEST(nesting_is_bounded_far_from_the_stack), TEST(deepest_call_needs_little_stack),
          TEST(brackets_in_strings_are_no_nesting),
          TEST(values_in_a_call_are_bounded_but_not_in_a_reply), TEST(what_is_no_reply_is_refused),
          TEST(what_is_formatted_is_read_back), TEST(refused_text_leaves_the_call_untouched))

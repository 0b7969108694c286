/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "traces.h"
#include "unit.h"

#define HEAD "arrival_s,duration_s,cpus,memory,priority\n"

static void all_columns_are_read_in_any_order(void) {
        struct trace trace;
        struct why why = {};

        need_int(traces_read(&trace,
                             "user,slice,gpus,disk,upload,download,disk_io,priority,memory,cpus,"
                             "duration_s,arrival_s\n"
                             "ann,web,2,10G,10Mbps,20Mbps,50MB/s,-7,1536M,0.5,2.5,1.000001\n",
                             &why),
                 0);
        need_uint(trace.n, 1);
        expect_uint(trace.rows[0].arrival_usec, 1000001);
        expect_uint(trace.rows[0].duration_usec, 2500000);
        expect_uint(trace.rows[0].cpu_milli, 500);
        expect_uint(trace.rows[0].memory_bytes, UINT64_C(1536) << 20);
        expect_int(trace.rows[0].priority, -7);
        expect_uint(trace.rows[0].disk_io_bytes_per_s, 50000000);
        expect_uint(trace.rows[0].download_bytes_per_s, 2500000);
        expect_uint(trace.rows[0].upload_bytes_per_s, 1250000);
        expect_uint(trace.rows[0].disk_bytes, UINT64_C(10) << 30);
        expect_uint(trace.rows[0].gpus, 2);
        expect_str(trace.users.list[trace.rows[0].user], "ann");
        expect_str(trace.slices.list[trace.rows[0].slice], "web");
        expect_uint(trace.rows[0].line, 2);
        trace_deinit(&trace);
}

static void line_ends_blanks_quotes_and_a_byte_order_mark_do_no_harm(void) {
        struct trace trace;
        struct why why = {};

        need_int(traces_read(&trace,
                             "\xef\xbb\xbf\"arrival_s\",duration_s, cpus ,memory,user\r\n"
                             "\r\n"
                             "  1 ,\"2\",1,1G,\"a, \"\"b\"\"\"\r\n"
                             "   \n# what comes last\n"
                             "3,4,1,1G,",
                             &why),
                 0);
        need_uint(trace.n, 2);
        expect_uint(trace.rows[0].arrival_usec, 1000000);
        expect_str(trace.users.list[trace.rows[0].user], "a, \"b\"");
        expect_uint(trace.rows[0].line, 3);
        expect_uint(trace.rows[1].line, 6);
        expect_uint(trace.rows[1].user, 0);
        trace_deinit(&trace);
}

static void rows_that_come_too_early_are_sorted_and_counted(void) {
        struct trace trace;
        struct why why = {};

        need_int(traces_read(&trace, HEAD "5,1,1,1G,0\n1,1,1,1G,0\n5,1,2,1G,0\n2,1,1,1G,0\n", &why),
                 0);
        expect_uint(trace.n_unsorted, 2);
        expect_uint(trace.rows[0].line, 3);
        expect_uint(trace.rows[1].line, 5);
        expect_uint(trace.rows[2].line, 2);
        expect_uint(trace.rows[3].line, 4);
        trace_deinit(&trace);
}

static void what_is_not_understood_is_told_with_its_line(void) {
        static const struct {
                const char *text, *sentence;
        } bad[] = {
                {"", "it is empty"},
                {"\n\r\n  \n", "it is empty"},
                {"0,1,1,1G,0\n", "1: unknown column '0'; the first line names the columns: arr"},
                {"arrival_s,duration_s,cpus\n", "1: column 'memory' is missing"},
                {"arrival_s,arrival_s\n", "1: column 'arrival_s' is there twice"},
                {"arrival_s,duration_s,cpus,memory,colour\n", "1: unknown column 'colour'"},
                {"arrival_s,duration_s,cpus,memory,\033[2J\n", "1: unknown column '\\x1b[2J'"},
                {HEAD "1,1,1,1G\n", "2: there are 4 fields for 5 columns"},
                {HEAD "1,1,1,1G,0,9\n", "2: there are 6 fields for 5 columns"},
                {HEAD "1,1,1,1G,0\n\n-1,1,1,1G,0\n", "4: arrival_s: '-1' is no number of seconds"},
                {HEAD "nan,1,1,1G,0\n", "2: arrival_s: 'nan' is no number of seconds"},
                {HEAD "inf,1,1,1G,0\n", "2: arrival_s: "},
                {HEAD "1e3,1,1,1G,0\n", "2: arrival_s: "},
                {HEAD "5m,1,1,1G,0\n", "2: arrival_s: '5m' is no"},
                {HEAD ",1,1,1G,0\n", "2: arrival_s: "},
                {HEAD "1.2.3,1,1,1G,0\n", "2: arrival_s: "},
                {HEAD "1,3153600001,1,1G,0\n", "2: duration_s: it is more than 100 years"},
                {HEAD "1,99999999999999999999,1,1G,0\n", "2: duration_s: "},
                {HEAD "1,1,-2,1G,0\n", "2: cpus: "},
                {HEAD "1,1,two,1G,0\n", "2: cpus: "},
                {HEAD "1,1,NaN,1G,0\n", "2: cpus: "},
                {HEAD "1,1,2000000,1G,0\n", "2: cpus: it is more than any host has"},
                {HEAD "1,1,0,1G,0\n", "2: a VM needs some CPU and some memory"},
                {HEAD "1,1,1,0,0\n", "2: a VM needs some CPU and some memory"},
                {HEAD "1,1,1,1Q,0\n", "2: memory: "},
                {HEAD "1,1,1,9999999T,0\n", "2: memory: "},
                {HEAD "1,1,1,-1G,0\n", "2: memory: "},
                {HEAD "1,1,1,1G,1001\n", "2: priority: give a whole number from -1000 to 1000"},
                {HEAD "1,1,1,1G,--1\n", "2: priority: "},
                {HEAD "1,1,1,1G,0.5\n", "2: priority: "},
                {HEAD "1,1,\"1,1G,0\n", "2: a quote is opened and not closed"},
                {HEAD "1,1,\"1\"x,1G,0\n", "2: a quote stands within a field"},
                {HEAD "1,1,1\"1,1G,0\n", "2: a quote stands within a field"},
                {"arrival_s,duration_s,cpus,memory,slice\n1,1,1,1G,../x\n", "2: slice: "},
                {"arrival_s,duration_s,cpus,memory,user\n1,1,1,1G,a\033b\n", "2: user: a user is"},
                {"arrival_s,duration_s,cpus,memory,gpus\n1,1,1,1G,70000\n", "2: gpus: it is more"},
                {"arrival_s,duration_s,cpus,memory,upload\n1,1,1,1G,5\n", "2: upload: "},
                {"{\n", "1: this is no JSON object"},
                {"{}\n", "1: 'kind' is missing"},
                {"{\"kind\":\"drift\"}\n[]\n", "2: this is no JSON object"},
                {"{\"kind\":\"drift\"}\n", "there is no claim_acquired in these events"},
                {"{\"kind\":\"claim_released\",\"id\":\"a\"}\n", "1: 'ts_ns' is missing"},
                {"{\"kind\":\"claim_released\",\"ts_ns\":-1,\"id\":\"a\"}\n", "1: 'ts_ns' is"},
                {"{\"kind\":\"claim_released\",\"ts_ns\":1}\n", "1: 'id' is missing"},
                {"{\"kind\":\"claim_acquired\",\"ts_ns\":1000,\"id\":\"a\",\"admission_us\":2}\n",
                 "1: 'admission_us' is"},
                {"{\"kind\":\"claim_acquired\",\"ts_ns\":1000,\"id\":\"a\",\"admission_us\":0}\n",
                 "1: 'cpu' is missing"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct trace trace;
                struct why why = {};

                expect_that(traces_read(&trace, bad[i].text, &why) == TRACE_E_INVALID, "%s",
                            bad[i].text);
                expect_that(strncmp(why.text, bad[i].sentence, strlen(bad[i].sentence)) == 0,
                            "%s: %s", bad[i].text, why.text);
                trace_deinit(&trace);
        }
}

static void a_nul_and_a_line_without_end_are_refused(void) {
        static const char nul[] = HEAD "1,1,1,1G,0\n1,1\0,1,1G,0\n";
        static char wide[2 * TRACE_LINE_MAX], many[300];
        struct trace trace;
        struct why why = {};

        expect_int(traces_read_bytes(&trace, nul, sizeof(nul) - 1, &why), TRACE_E_INVALID);
        expect_str(why.text, "3: there is a NUL in this line");
        trace_deinit(&trace);

        memset(wide, 'x', sizeof(wide));
        expect_int(traces_read_bytes(&trace, wide, sizeof(wide), &why), TRACE_E_INVALID);
        expect_str(why.text, "1: the line is longer than 65536 bytes");
        trace_deinit(&trace);

        memset(many, ',', sizeof(many) - 1);
        expect_int(traces_read(&trace, many, &why), TRACE_E_INVALID);
        expect_str(why.text, "1: there are more than 64 fields");
        trace_deinit(&trace);
}

#define CHARGE                                                                                     \
        "\"charge\":{\"cpu\":2000,\"memory\":1048576,\"disk\":0,\"disk_io\":5,\"network\":9,"      \
        "\"gpu\":1}"

static void a_brokers_events_are_claims_with_the_time_they_were_held(void) {
        struct trace trace;
        struct why why = {};

        need_int(traces_read(
                         &trace,
                         "{\"seq\":1,\"ts_ns\":1000000000,\"kind\":\"claim_acquired\",\"id\":\"a\","
                         "\"name\":\"x\",\"slice\":\"web\",\"uid\":7,\"admission_us\":0," CHARGE
                         "}\n"
                         "{\"seq\":2,\"ts_ns\":2000000000,\"kind\":\"claim_queued\",\"id\":\"b\","
                         "\"slice\":\"web\",\"uid\":7,\"reason\":\"pool_full\"}\n"
                         "{\"seq\":3,\"ts_ns\":2500000000,\"kind\":\"claim_queued\",\"id\":\"c\"}\n"
                         "{\"seq\":4,\"ts_ns\":2600000000,\"kind\":\"vm_started\",\"id\":\"a\"}\n"
                         "{\"kind\":\"gap\",\"from\":5,\"to\":7}\n"
                         "{\"seq\":8,\"ts_ns\":4000000000,\"kind\":\"claim_released\",\"id\":\"a\"}"
                         "\n"
                         "{\"seq\":9,\"ts_ns\":4000000000,\"kind\":\"claim_acquired\",\"id\":\"b\","
                         "\"slice\":\"web\",\"uid\":0,\"admission_us\":2500000," CHARGE "}\n"
                         "{\"seq\":10,\"ts_ns\":4500000000,\"kind\":\"claim_released\",\"id\":"
                         "\"c\"}\n"
                         "{\"seq\":11,\"ts_ns\":4600000000,\"kind\":\"claim_released\",\"id\":"
                         "\"z\"}\n"
                         "{\"seq\":12,\"ts_ns\":5000000000,\"kind\":\"policy_reloaded\"}\n"
                         "{\"seq\":13,\"ts_ns\":6000000000,\"kind\":\"claim_queued\",\"id\":\"d\"}"
                         "\n",
                         &why),
                 0);
        expect(trace.charged);
        need_uint(trace.n, 2);
        expect_uint(trace.rows[0].arrival_usec, 1000000);
        expect_uint(trace.rows[0].duration_usec, 3000000);
        expect_uint(trace.rows[0].cpu_milli, 2000);
        expect_uint(trace.rows[0].memory_bytes, 1048576);
        expect_uint(trace.rows[0].disk_io_bytes_per_s, 5);
        expect_uint(trace.rows[0].download_bytes_per_s, 9);
        expect_uint(trace.rows[0].gpus, 1);
        expect_str(trace.slices.list[trace.rows[0].slice], "web");
        expect_str(trace.users.list[trace.rows[0].user], "7");
        expect_uint(trace.rows[1].arrival_usec, 1500000);
        expect_uint(trace.rows[1].duration_usec, 2000000);
        expect_uint(trace.n_open, 1);
        expect_uint(trace.n_unserved, 2);
        expect_uint(trace.n_unknown, 1);
        expect_uint(trace.n_lost, 3);
        trace_deinit(&trace);
}

static void slices_are_bounded(void) {
        char *text = NULL;
        size_t length;
        FILE *file = open_memstream(&text, &length);
        struct trace trace;
        struct why why = {};

        need(file != NULL);
        fputs("arrival_s,duration_s,cpus,memory,slice\n", file);
        for (unsigned i = 0; i <= TRACE_SLICES_MAX; i++)
                fprintf(file, "1,1,1,1G,s%u\n1,1,1,1G,s%u\n", i, i / 2);
        fclose(file);
        expect_int(traces_read(&trace, text, &why), TRACE_E_INVALID);
        expect_in(why.text, "2050: slice: there are more than 1024 slices");
        trace_deinit(&trace);
        free(text);
}

UNIT_MAIN(TEST(all_columns_are_read_in_any_order),
          TEST(line_ends_blanks_quotes_and_a_byte_order_mark_do_no_harm),
          TEST(rows_that_come_too_early_are_sorted_and_counted),
          TEST(what_is_not_understood_is_told_with_its_line),
          TEST(a_nul_and_a_line_without_end_are_refused),
          TEST(a_brokers_events_are_claims_with_the_time_they_were_held),
          TEST(slices_are_bounded), )

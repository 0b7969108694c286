/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 280 */
/*
 * What the broker tells over HTTP, and to whom; and what it says to those who ask for something
 * else.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "house.h"
#include "web.h"

#define CURL "curl", "-sS", "-m", "20", "--unix-socket", WEB_SOCKET
#define WRITTEN "-w", "%{http_code}", "-o", "/run/house/answer"
#define PORT 9787
#define TCP_CONF HOUSE_CONF "[HTTP]\nListen=127.0.0.1:9787 [::1]:9787\n"

static void curl_reads_each_route_with_get_and_head(void) {
        static const char *const paths[] = {"/healthz", "/resources"};
        struct house house;
        struct job job;
        struct stat st;

        house_open(&house, NULL, NULL);
        need_int(stat(WEB_SOCKET, &st), 0);
        expect_int(st.st_mode & 0777, 0666);
        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
                char url[64];

                snprintf(url, sizeof(url), "http://localhost%s", paths[i]);
                expect_int(SHELL(&job, CURL, "-i", url), 0);
                expect_in(job.out, "HTTP/1.1 200 OK");
                expect_in(job.out, "Content-Security-Policy: default-src 'none'");
                expect_in(job.out, "X-Content-Type-Options: nosniff");
                expect_in(job.out, "Cache-Control: no-store");
                expect_in(job.out, "Connection: close");
                expect_int(SHELL(&job, CURL, "-I", url), 0);
                expect_in(job.out, "HTTP/1.1 200 OK");
        }
        expect_int(SHELL(&job, CURL, "-I", "http://localhost/events"), 0);
        expect_in(job.out, "Content-Type: text/event-stream");
        house_close(&house);
}

static void what_is_not_there_is_answered_with_what_is(void) {
        static const struct {
                const char *method, *url;
                const char *status, *says;
        } cases[] = {
                {"GET", "http://localhost/nowhere", "404", "/resources"},
                {"GET", "http://localhost/resources/", "404", "\"routes\""},
                {"GET", "http://localhost/../etc/passwd", "404", "\"routes\""},
                {"GET", "http://localhost/resources?vm=x", "400", "instance"},
                {"GET", "http://localhost/resources?instance=a%2fb", "400", "not a valid"},
                {"GET", "http://localhost/resources?instance=nobody", "404", "nobody"},
                {"GET", "http://localhost/resources?instance=a%00b", "400", "instance"},
                {"GET", "http://localhost/healthz?x", "400", "nothing"},
                {"GET", "http://localhost/events?kind=nonsense", "400", "vm_spawned"},
                {"GET", "http://localhost/events?since=-1", "400", "digits"},
                {"POST", "http://localhost/resources", "405", "GET and HEAD"},
                {"DELETE", "http://localhost/", "405", "GET and HEAD"},
                {"GET", "http://evil.example/healthz", "421", "Hosts="},
        };
        struct house house;
        struct job job;

        house_open(&house, NULL, NULL);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char answer[1024];

                expect_int(SHELL(&job, CURL, "--path-as-is", WRITTEN, "-X", cases[i].method,
                                 cases[i].url),
                           0);
                expect_str(job.out, cases[i].status);
                file_get("/run/house/answer", answer, sizeof(answer));
                expect_in(answer, cases[i].says);
                expect_in(answer, "\"error\"");
        }
        expect_int(SHELL(&job, CURL, "-i", "-d", "x=1", "http://localhost/resources"), 0);
        expect_in(job.out, "Allow: GET, HEAD");
        house_close(&house);
}

/* The numbers of one resource. */
static json_int_t of(const json_t *resources, const char *resource, const char *member) {
        return json_integer_value(json_object_get(json_object_get(resources, resource), member));
}

static void resources_are_those_of_the_method_and_of_the_kernel(void) {
        char max[64], memory[64];
        json_t *web, *reply, *one;
        struct house house;
        struct job job;
        unsigned long quota, period;

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--json", "--name", "one", "--cpus", "0.5", "--mem", "64M", "--", "vm",
                "rest");
        job_wait_out(&job, "\"started\"");
        web = web_fetch_json("/resources");
        reply = ask("Resources", NULL);
        one = json_object_get(json_object_get(reply, "parameters"), "resources");
        for (const char *const *name =
                     (const char *const[]){"cpu", "memory", "disk", "slices", "disks",
                                           "allocations", "queue", "gates", NULL};
             *name; name++)
                expect_that(json_equal(json_object_get(web, *name), json_object_get(one, *name)),
                            "%s differs", *name);
        json_decref(reply);
        vm_file("one", "cpu.max", max, sizeof(max));
        vm_file("one", "memory.max", memory, sizeof(memory));
        one = json_array_get(json_object_get(web, "allocations"), 0);
        expect_str(json_string_value(json_object_get(one, "instance_name")), "one");
        expect_int(json_integer_value(json_object_get(one, "memory_bytes")),
                   strtoll(memory, NULL, 10));
        expect_int(of(web, "memory", "allocated"), strtoll(memory, NULL, 10));
        need_int(sscanf(max, "%lu %lu", &quota, &period), 2);
        /* With the hypervisor's own headroom of 4 % on top. */
        expect_within((double)quota / (double)period, json_real_value(json_object_get(one, "cpu")),
                      json_real_value(json_object_get(one, "cpu")) * 1.05);
        json_decref(web);
        web = web_fetch_json("/resources?instance=one");
        expect_int(json_array_size(json_object_get(web, "allocations")), 1);
        json_decref(web);
        job_kill(&job, SIGTERM);
        job_wait(&job, HOUSE_WAIT_MS);
        house_close(&house);
}

/* Both what the socket and what the command tell; importing it takes half a minute under emulation.
 */
static void what_is_told_is_as_the_schema_says(void) {
        static const char program[] =
                "import json, sys, jsonschema\n"
                "schema = json.load(open(sys.argv[1]))\n"
                "jsonschema.Draft7Validator.check_schema(schema)\n"
                "for path in sys.argv[2:]:\n"
                "    told = json.load(open(path))\n"
                "    jsonschema.Draft7Validator(schema).validate(told)\n"
                "    assert len(told['allocations']) == 1\n"
                "    del told['cpu']['source']\n"
                "    assert not jsonschema.Draft7Validator(schema).is_valid(told)\n";
        const char *source = getenv("PROVIUM_SOURCE");
        struct house house;
        struct job job, asker;
        char schema[512];

        house_open(&house, NULL, NULL);
        need(source != NULL);
        snprintf(schema, sizeof(schema), "%s/docs/resources.schema.json", source);
        JOB_RUN(&job, "--json", "--name", "one", "--", "vm", "rest");
        job_wait_out(&job, "\"started\"");
        expect_int(SHELL(&asker, CURL, "-o", "/run/house/http.json", "http://localhost/resources"),
                   0);
        expect_int(SHELL(&asker, "sh", "-c", "provium resources --json > /run/house/cli.json"), 0);
        JOB(&asker, "/usr/bin/python3", "-W", "ignore", "-c", program, schema,
            "/run/house/http.json", "/run/house/cli.json");
        expect_int(job_wait(&asker, 6 * HOUSE_WAIT_MS), 0);
        expect_str(asker.err, "");
        job_kill(&job, SIGTERM);
        job_wait(&job, HOUSE_WAIT_MS);
        house_close(&house);
}

static void another_user_sees_the_sums_and_none_of_the_vms(void) {
        struct house house;
        struct job job, asker;

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--json", "--name", "secret", "--", "vm", "rest");
        job_wait_out(&job, "\"started\"");
        expect_int(SHELL(&asker, "setpriv", "--reuid=1234", "--clear-groups", CURL,
                         "http://localhost/resources"),
                   0);
        expect_in(asker.out, "\"allocations\":[]");
        expect(!strstr(asker.out, "secret"));
        expect_int(SHELL(&asker, "setpriv", "--reuid=1234", "--clear-groups", CURL, "-w",
                         "%{http_code}", "-o", "/dev/null",
                         "http://localhost/resources?instance=secret"),
                   0);
        expect_str(asker.out, "404");
        expect_int(SHELL(&asker, "setpriv", "--reuid=1234", "--clear-groups", "curl", "-sSN", "-m",
                         "1", "--unix-socket", WEB_SOCKET, "http://localhost/events?since=1"),
                   28);
        expect_in(asker.out, "gap");
        expect(!strstr(asker.out, "secret"));
        job_kill(&job, SIGTERM);
        job_wait(&job, HOUSE_WAIT_MS);
        house_close(&house);
}

static void tcp_is_where_the_policy_says_and_nowhere_else(void) {
        struct house house;
        struct web web;
        struct job job;

        house_open(&house, NULL, NULL);
        expect(!web_open_tcp(&web, AF_INET, "127.0.0.1", PORT));
        house_conf(TCP_CONF);
        house_reload(&house);
        expect_int(SHELL(&job, "curl", "-sS", "-m", "20", "http://127.0.0.1:9787/healthz"), 0);
        expect_str(job.out, "ok\n");
        expect_int(SHELL(&job, "curl", "-sS", "-m", "20", "http://[::1]:9787/healthz"), 0);
        expect_int(SHELL(&job, "curl", "-sS", "-m", "20", WRITTEN, "-H", "Host: rebound.example",
                         "http://127.0.0.1:9787/resources"),
                   0);
        expect_str(job.out, "421");
        expect_int(SHELL(&job, "curl", "-sS", "-m", "20", WRITTEN, "-H", "Host: single",
                         "http://127.0.0.1:9787/resources"),
                   0);
        expect_str(job.out, "421");
        house_conf(TCP_CONF "Hosts=single other.example\n");
        house_reload(&house);
        expect_int(SHELL(&job, "curl", "-sS", "-m", "20", WRITTEN, "-H", "Host: single:9787",
                         "http://127.0.0.1:9787/resources"),
                   0);
        expect_str(job.out, "200");
        house_conf(HOUSE_CONF "[HTTP]\nSocket=no\n");
        house_reload(&house);
        expect(!web_open_tcp(&web, AF_INET, "127.0.0.1", PORT));
        expect(!web_open(&web));
        house_conf(HOUSE_CONF);
        house_reload(&house);
        need(web_open(&web));
        web_close(&web);
        house_close(&house);
}

static void strangers_over_tcp_see_vms_only_if_the_policy_shows_them(void) {
        struct house house;
        struct job job, asker;

        house_open(&house, TCP_CONF, NULL);
        JOB_RUN(&job, "--json", "--name", "secret", "--", "vm", "rest");
        job_wait_out(&job, "\"started\"");
        expect_int(SHELL(&asker, "curl", "-sS", "-m", "20", "http://127.0.0.1:9787/resources"), 0);
        expect(!strstr(asker.out, "secret"));
        expect_in(asker.out, "\"vms\":1");
        house_conf(TCP_CONF "Show=all\n");
        house_reload(&house);
        expect_int(SHELL(&asker, "curl", "-sS", "-m", "20", "http://127.0.0.1:9787/resources"), 0);
        expect_in(asker.out, "secret");
        job_kill(&job, SIGTERM);
        job_wait(&job, HOUSE_WAIT_MS);
        house_close(&house);
}

static void an_address_that_is_taken_is_told_and_tried_again(void) {
        struct house house;
        struct job squatter, job;
        struct web web;

        house_open(&house, NULL, NULL);
        JOB(&squatter, "socat", "-d", "-d", "TCP-LISTEN:9787,bind=127.0.0.1,reuseaddr,fork",
            "PIPE");
        job_wait_err(&squatter, "listening on");
        house_conf(TCP_CONF);
        house_reload(&house);
        expect(house_log_has("cannot listen at 127.0.0.1:9787"));
        expect_int(SHELL(&job, "sh", "-c", "provium doctor | grep -A1 ' http '"), 0);
        expect_in(job.out, "cannot listen at 127.0.0.1:9787");
        job_kill(&squatter, SIGTERM);
        job_wait(&squatter, HOUSE_WAIT_MS);
        for (uint64_t until = now_ms() + HOUSE_WAIT_MS;
             !house_log_has("HTTP: listening at 127.0.0.1:9787");)
                need(now_ms() < until);
        need(web_open_tcp(&web, AF_INET, "127.0.0.1", PORT));
        web_close(&web);
        house_close(&house);
}

static void health_follows_the_drain(void) {
        struct house house;
        struct job job;
        char *text;

        house_open(&house, NULL, NULL);
        text = web_fetch("/healthz", 200);
        expect_str(text, "ok\n");
        free(text);
        expect_int(SHELL(&job, "provium", "drain"), 0);
        text = web_fetch("/healthz", 503);
        expect_str(text, "draining\n");
        free(text);
        expect_int(SHELL(&job, "provium", "drain", "--undo"), 0);
        free(web_fetch("/healthz", 200));
        house_close(&house);
}

UNIT_MAIN(TEST(curl_reads_each_route_with_get_and_head),
          TEST(what_is_not_there_is_answered_with_what_is),
          TEST(resources_are_those_of_the_method_and_of_the_kernel),
          TEST(what_is_told_is_as_the_schema_says),
          TEST(another_user_sees_the_sums_and_none_of_the_vms),
          TEST(tcp_is_where_the_policy_says_and_nowhere_else),
          TEST(strangers_over_tcp_see_vms_only_if_the_policy_shows_them),
          TEST(an_address_that_is_taken_is_told_and_tried_again), TEST(health_follows_the_drain))

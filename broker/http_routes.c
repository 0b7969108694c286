/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <base/text.h>
#include <broker/broker.h>
#include <broker/dashboard.h>
#include <broker/http_conn.h>
#include <broker/http_events.h>
#include <broker/http_health.h>
#include <broker/http_metrics.h>
#include <broker/http_parse.h>
#include <broker/http_resources.h>
#include <broker/http_routes.h>

static const struct http_route routes[] = {
        {"/", "", NULL, &dashboard_index_html, "the dashboard"},
        {"/healthz", "", http_health, NULL, "is the broker well"},
        {"/resources", "instance", http_resources, NULL, "what is sold, and to whom"},
        {"/stats", "", http_stats, NULL, "what VMs and slices have used"},
        {"/metrics", "", http_metrics, NULL, "all figures, for Prometheus"},
        {"/events", "since last kind", http_events, NULL, "what happens, as it happens"},
        {"/history", "", dashboard_history, NULL, "what was sold and used in the last hour"},
        {"/queue", "", dashboard_queue, NULL, "who waits, and why"},
        /* What the dashboard is made of; not in the list of what can be asked for. */
        {"/dashboard/app.js", "", NULL, &dashboard_app_js, NULL},
        {"/dashboard/bars.js", "", NULL, &dashboard_bars_js, NULL},
        {"/dashboard/charts.js", "", NULL, &dashboard_charts_js, NULL},
        {"/dashboard/events.js", "", NULL, &dashboard_events_js, NULL},
        {"/dashboard/icon.svg", "", NULL, &dashboard_icon_svg, NULL},
        {"/dashboard/queue.js", "", NULL, &dashboard_queue_js, NULL},
        {"/dashboard/style.css", "", NULL, &dashboard_style_css, NULL},
        {"/dashboard/table.js", "", NULL, &dashboard_table_js, NULL},
        {"/dashboard/usage.js", "", NULL, &dashboard_usage_js, NULL},
        {"/dashboard/vms.js", "", NULL, &dashboard_vms_js, NULL},
        {"/dashboard/words.js", "", NULL, &dashboard_words_js, NULL},
};

static int answer_not_found(struct http_request *request, const char *path) {
        json_t *known = json_object();
        char shown[96];

        for (size_t i = 0; known && i < ARRAY_SIZE(routes); i++)
                if (routes[i].help)
                        json_object_set_new(known, routes[i].path, json_string(routes[i].help));
        return http_answer_json(
                request, MHD_HTTP_NOT_FOUND,
                json_pack("{s:o s:i s:o}", "error",
                          json_sprintf("there is no %s here; see routes for what there is",
                                       text_escape(path, shown, sizeof(shown))),
                          "status", MHD_HTTP_NOT_FOUND, "routes", known));
}

/* What a route does not know of the arguments; looked at one by one. */
struct arguments {
        const struct http_route *route;
        char unknown[96];
        bool bad;
};

static enum MHD_Result check_argument(void *userdata, enum MHD_ValueKind kind, const char *key,
                                      size_t key_size, const char *value, size_t value_size) {
        struct arguments *arguments = userdata;

        if (strlen(key) == key_size && (!value || strlen(value) == value_size) &&
            http_list_has(arguments->route->arguments, key))
                return MHD_YES;
        arguments->bad = true;
        text_escape(key, arguments->unknown, sizeof(arguments->unknown));
        return MHD_NO;
}

static int call(struct http_request *request, const struct http_route *route) {
        struct arguments arguments = {.route = route};

        MHD_get_connection_values_n(request->client->connection, MHD_GET_ARGUMENT_KIND,
                                    check_argument, &arguments);
        if (arguments.bad)
                return http_answer_error(
                        request, MHD_HTTP_BAD_REQUEST, "%s takes no '%s'; valid %s%s", route->path,
                        arguments.unknown, route->arguments[0] ? "are: " : "is nothing",
                        route->arguments);
        return route->handle ? route->handle(request) : http_answer_asset(request, route->asset);
}

int http_routes_check_method(struct http_request *request, const char *method) {
        const char *length = http_header(request, "Content-Length");

        if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
                return http_answer_error(request, MHD_HTTP_METHOD_NOT_ALLOWED,
                                         "nothing can be changed here; valid are GET and HEAD");
        if (http_header(request, "Transfer-Encoding") || (length && strcmp(length, "0") != 0))
                return http_answer_error(request, MHD_HTTP_BAD_REQUEST,
                                         "a body is not taken; valid is none");
        return 0;
}

int http_routes_dispatch(struct http_request *request, const char *path) {
        const struct http_policy *policy = &request->http->broker->policy->broker.http;
        const char *host = http_header(request, "Host");

        if (host && !http_host_is_ours(host, policy->hosts, !request->client->peer.tcp))
                return http_answer_error(request, MHD_HTTP_MISDIRECTED_REQUEST,
                                         "this is not the host that was asked for; valid are its "
                                         "address, localhost and the names in [HTTP] Hosts=");
        for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
                if (strcmp(path, routes[i].path) == 0)
                        return call(request, &routes[i]);
        return answer_not_found(request, path);
}

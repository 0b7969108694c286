/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_DASHBOARD_H
#define PROVIUM_BROKER_DASHBOARD_H

/*
 * The page at "/": the files of broker/dashboard/, compiled in by tools/embed-dashboard.cmake, and
 * what it asks for besides /resources, /stats and /events. It is made of plain HTML, CSS and
 * JavaScript, needs nothing from elsewhere, and runs nothing but its own files: the server's policy
 * (broker/http_answer.c) has browsers refuse the rest.
 */

#include <broker/http.h>

extern const struct http_asset dashboard_app_js;
extern const struct http_asset dashboard_bars_js;
extern const struct http_asset dashboard_charts_js;
extern const struct http_asset dashboard_events_js;
extern const struct http_asset dashboard_icon_svg;
extern const struct http_asset dashboard_index_html;
extern const struct http_asset dashboard_queue_js;
extern const struct http_asset dashboard_style_css;
extern const struct http_asset dashboard_table_js;
extern const struct http_asset dashboard_usage_js;
extern const struct http_asset dashboard_vms_js;
extern const struct http_asset dashboard_words_js;

/* GET /history: the last hour (broker/history). GET /queue: the first who wait, of those that the
 * reader may see, and how many there are. */
_must_check_ int dashboard_history(struct http_request *request);
_must_check_ int dashboard_queue(struct http_request *request);

#endif

/* SPDX-License-Identifier: Apache-2.0
 * What is ready and what is not: this gateway (tables, listeners), the cluster behind, the key process, the registry.
 * The answer is for everybody, so the processes asked for it are asked at most every ADMIN_PROBE_MS, by one thread at a
 * time; the others wait for its result. */
#include "core/base/env.h"
#include "gateway/admin/admin_request.h"
#include "gateway/cluster/node_watch.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROBE_TIMEOUT_MS = 2000, PROBE_ANSWER_MAX = 64 * 1024 };

struct part {
    bool ready;
    char detail[400];
};

struct admin_health {
    struct gateway *gateway;
    char *registry_url, *registry_ca;
    pthread_mutex_t lock;
    int64_t probed_ms; /* INT64_MIN: never */
    struct part keyd, registry;
};

enum err admin_health_new(struct admin_health **out, struct gateway *g, struct reason *why)
{
    const char *url = settings_string(g->settings, "castellan.registry.url");
    const char *ca = settings_string(g->settings, "castellan.registry.ca");
    struct admin_health *h = calloc(1, sizeof *h);

    if (!h || curl_global_init(CURL_GLOBAL_DEFAULT)) {
        free(h);
        return reason_set(why, ERR_NO_MEMORY, "no memory for the admin interface");
    }
    if (!ca)
        ca = settings_string(g->settings, "ssl.truststore.location");
    h->gateway = g;
    h->probed_ms = INT64_MIN;
    pthread_mutex_init(&h->lock, NULL);
    h->registry_url = url ? strdup(url) : NULL;
    h->registry_ca = ca ? strdup(ca) : NULL;
    for (size_t n = h->registry_url ? strlen(h->registry_url) : 0; n && h->registry_url[n - 1] == '/';)
        h->registry_url[--n] = 0;
    *out = h;
    return ERR_OK;
}

void admin_health_free(struct admin_health *h)
{
    if (!h)
        return;
    pthread_mutex_destroy(&h->lock);
    free(h->registry_url);
    free(h->registry_ca);
    free(h);
}

static void set_part(struct part *p, bool ready, const char *detail)
{
    p->ready = ready;
    snprintf(p->detail, sizeof p->detail, "%s", detail);
}

static void probe_keyd(struct admin_health *h)
{
    struct reason why = {0};
    struct buf answer;

    if (!h->gateway->keyd_socket)
        return;
    buf_init(&answer, 0);
    if (key_admin_status(h->gateway->keyd_socket, PROBE_TIMEOUT_MS, &answer, &why))
        set_part(&h->keyd, false, why.code ? why.text : "the key process does not answer");
    else
        set_part(&h->keyd, true, "");
    buf_free(&answer);
}

static size_t drop_bytes(char *p, size_t size, size_t n, void *user)
{
    size_t *seen = user;

    (void)p;
    *seen += size * n;
    return *seen > PROBE_ANSWER_MAX ? 0 : size * n;
}

static void probe_registry(struct admin_health *h)
{
    char url[512], problem[CURL_ERROR_SIZE] = "";
    size_t seen = 0;
    long status = 0;
    CURLcode code;
    CURL *curl;

    if (!h->registry_url)
        return;
    curl = curl_easy_init();
    if (!curl) {
        set_part(&h->registry, false, "no memory");
        return;
    }
    snprintf(url, sizeof url, "%s/health/ready", h->registry_url);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)PROBE_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &seen);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem);
    if (h->registry_ca)
        curl_easy_setopt(curl, CURLOPT_CAINFO, h->registry_ca);
    code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    if (code)
        set_part(&h->registry, false, *problem ? problem : curl_easy_strerror(code));
    else
        set_part(&h->registry, status == 200, status == 200 ? "" : "the registry says that it is not ready");
}

static json_t *part_json(const struct part *p)
{
    json_t *o = json_object();

    json_object_set_new(o, "ready", json_boolean(p->ready));
    if (*p->detail)
        json_object_set_new(o, "detail", json_string(p->detail));
    return o;
}

/* The cluster behind is ready when the gateway can do its own work with it; what else is wrong is in the detail. */
static void judge_cluster(struct gateway *g, struct part *part)
{
    struct cluster_report *report = malloc(sizeof *report);
    struct report_problem *problems = calloc(REPORT_PROBLEMS_MAX, sizeof *problems);
    char summary[200];
    int n;

    *part = (struct part){.ready = false};
    if (!report || !problems) {
        set_part(part, false, "no memory");
    } else {
        node_watch_report(g->watch, report);
        n = cluster_report_problems(report, env_mono_ms(env_system()), problems);
        part->ready = true;
        cluster_report_summary(report, summary, sizeof summary);
        set_part(part, true, summary);
        for (int i = 0; i < n && part->ready; i++) {
            part->ready = !problems[i].stops_serving;
            if (!part->ready)
                snprintf(part->detail, sizeof part->detail, "%.190s%s%s", problems[i].text, *summary ? "; " : "",
                         summary);
        }
    }
    free(report);
    free(problems);
}

static bool put_part(json_t *parts, json_t *reasons, const char *name, const struct part *p)
{
    char text[sizeof p->detail + 32];

    json_object_set_new(parts, name, part_json(p));
    snprintf(text, sizeof text, "%s: %s", name, *p->detail ? p->detail : "not ready");
    if (!p->ready)
        json_array_append_new(reasons, json_string(text));
    return p->ready;
}

json_t *admin_health_report(struct admin_health *h, bool *ready)
{
    struct part own = {.ready = true}, cluster, keyd, registry;
    struct reason why = {0};
    json_t *parts = json_object(), *reasons = json_array(), *report = json_object();

    if (!gateway_is_ready(h->gateway, &why))
        set_part(&own, false, why.text);
    judge_cluster(h->gateway, &cluster);
    pthread_mutex_lock(&h->lock);
    if (h->probed_ms == INT64_MIN || env_mono_ms(env_system()) - h->probed_ms >= ADMIN_PROBE_MS) {
        probe_keyd(h);
        probe_registry(h);
        h->probed_ms = env_mono_ms(env_system());
    }
    keyd = h->keyd;
    registry = h->registry;
    pthread_mutex_unlock(&h->lock);
    *ready = put_part(parts, reasons, "gateway", &own);
    *ready = put_part(parts, reasons, "cluster", &cluster) && *ready;
    if (h->gateway->keyd_socket)
        *ready = put_part(parts, reasons, "keyd", &keyd) && *ready;
    if (h->registry_url)
        *ready = put_part(parts, reasons, "registry", &registry) && *ready;
    json_object_set_new(report, "ready", json_boolean(*ready));
    json_object_set_new(report, "reasons", reasons);
    json_object_set_new(report, "parts", parts);
    return report;
}

/* SPDX-License-Identifier: Apache-2.0
 * The JWKS and the thread that keeps it.
 *
 * Happy path: read at open, in the caller's thread; then the thread sleeps until the next reading is due, reads, and
 * swaps the set in under the lock. A document that says the same as before changes nothing, so that what was verified
 * with its keys stays remembered.
 * Failures: what cannot be read, or holds no usable key, is said once per change of state and tried again with growing
 * pauses; the old keys stay valid, because throwing everybody out for an issuer's hiccup helps nobody.
 * Redirects are not followed and only https is spoken: keys from anywhere else would be anybody's. */
#include "registry/jwks.h"

#include "core/base/env.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/metrics.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>

struct jwks {
    char *url, *truststore;
    struct jwks_config config; /* its strings are ours */
    pthread_mutex_t lock;      /* everything below */
    pthread_cond_t changed;
    struct jwt_keys *keys;
    struct buf text; /* what the keys were read from */
    uint64_t generation;
    int64_t due_ms, read_ms; /* monotonic: next and last reading */
    bool closing, started;
    pthread_t thread;
    struct metric *failures;
};

static int64_t now_ms(void)
{
    return env_mono_ms(env_system());
}

/* --- reading the document --- */

static size_t on_bytes(char *p, size_t size, size_t n, void *user)
{
    struct buf *b = user;
    buf_put(b, p, size * n);
    return buf_error(b) ? 0 : size * n;
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up, curl_off_t sent)
{
    struct jwks *j = user;
    (void)total, (void)now, (void)up, (void)sent;
    pthread_mutex_lock(&j->lock);
    bool closing = j->closing;
    pthread_mutex_unlock(&j->lock);
    return closing; /* not 0: give up */
}

static enum err fetch(struct jwks *j, struct buf *out, struct reason *why)
{
    char problem[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURL *curl = curl_easy_init();
    if (!curl)
        return reason_set(why, ERR_NO_MEMORY, "no memory for a request");
    curl_easy_setopt(curl, CURLOPT_URL, j->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)JWKS_FETCH_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, j);
    if (j->truststore)
        curl_easy_setopt(curl, CURLOPT_CAINFO, j->truststore);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    if (buf_error(out))
        return reason_set(why, ERR_LIMIT_EXCEEDED, "the answer is larger than %d bytes", JWT_KEYS_TEXT_MAX);
    if (code)
        return reason_set(why, ERR_UNAVAILABLE, "%s", problem[0] ? problem : curl_easy_strerror(code));
    if (status != 200)
        return reason_set(why, ERR_UNAVAILABLE, "the server answered with status %ld", status);
    return ERR_OK;
}

/* "file:///etc/keys.json" and "file:/etc/keys.json" -> "/etc/keys.json"; NULL: not a file's URL. */
static const char *file_path(const char *url)
{
    if (strncasecmp(url, "file:", 5))
        return NULL;
    url += 5;
    return !strncmp(url, "///", 3) ? url + 2 : url[0] == '/' && url[1] != '/' ? url : NULL;
}

static enum err read_document(struct jwks *j, struct buf *out, struct reason *why)
{
    const char *path = file_path(j->url);
    return path ? fs_read_file(path, out, why) : fetch(j, out, why);
}

/* Reads and swaps in. Locks for the swap alone. */
static enum err refresh(struct jwks *j, struct reason *why)
{
    struct buf text;
    struct jwt_keys *keys = NULL;
    struct reason inner = {0};
    size_t left_out = 0;
    buf_init(&text, JWT_KEYS_TEXT_MAX);
    enum err e = read_document(j, &text, &inner);
    if (!e)
        e = jwt_keys_parse(&keys, buf_slice(&text), &left_out, &inner);
    pthread_mutex_lock(&j->lock);
    j->read_ms = now_ms();
    if (!e && !slice_eq(buf_slice(&text), buf_slice(&j->text))) {
        struct buf old = j->text;
        jwt_keys_unref(j->keys);
        j->keys = keys;
        keys = NULL;
        j->text = text;
        text = old;
        j->generation++;
        log_info("%s: %zu keys%s", j->url, jwt_keys_count(j->keys), left_out ? ", others left out" : "");
    }
    pthread_mutex_unlock(&j->lock);
    jwt_keys_unref(keys);
    buf_free(&text);
    return e ? reason_set(why, e, "sasl.oauthbearer.jwks.endpoint.url: %s: %s", j->url, inner.text) : ERR_OK;
}

/* --- the thread --- */

/* Locked. Waits until due; false when closing. */
static bool wait_due(struct jwks *j)
{
    while (!j->closing) {
        int64_t left = j->due_ms - now_ms();
        struct timespec ts;
        if (left <= 0)
            return true;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        ts.tv_sec += left / 1000;
        ts.tv_nsec += left % 1000 * 1000000;
        if (ts.tv_nsec >= 1000000000)
            ts.tv_sec++, ts.tv_nsec -= 1000000000;
        pthread_cond_timedwait(&j->changed, &j->lock, &ts);
    }
    return false;
}

static void *run(void *arg)
{
    struct jwks *j = arg;
    int64_t pause = j->config.retry_ms;
    bool failing = false;
    pthread_mutex_lock(&j->lock);
    while (wait_due(j)) {
        struct reason why = {0};
        pthread_mutex_unlock(&j->lock);
        enum err e = refresh(j, &why);
        if (e && !failing)
            log_warn("%s; the keys at hand stay in use", why.text);
        if (e)
            metric_add(j->failures, 1);
        if (!e && failing)
            log_info("%s: can be read again", j->url);
        pthread_mutex_lock(&j->lock);
        failing = e != ERR_OK;
        j->due_ms = now_ms() + (e ? pause : j->config.refresh_ms);
        pause = !e ? j->config.retry_ms : pause * 2 > j->config.retry_ms_max ? j->config.retry_ms_max : pause * 2;
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

/* --- life --- */

static enum err check_url(const struct jwks *j, struct reason *why)
{
    if (file_path(j->url) || !strncasecmp(j->url, "https://", 8))
        return ERR_OK;
    return reason_set(why, ERR_BAD_CONFIG,
                      "sasl.oauthbearer.jwks.endpoint.url: '%s' begins with neither https:// nor file:/", j->url);
}

enum err jwks_open(struct jwks **out, const struct jwks_config *config, struct reason *why)
{
    struct jwks *j = calloc(1, sizeof *j);
    pthread_condattr_t monotonic;
    if (!j)
        return reason_set(why, ERR_NO_MEMORY, "out of memory");
    pthread_mutex_init(&j->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&j->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    buf_init(&j->text, JWT_KEYS_TEXT_MAX);
    j->config = *config;
    j->url = strdup(config->url);
    j->truststore = config->truststore ? strdup(config->truststore) : NULL;
    j->failures = metrics_counter("castellan_registry_jwks_failures_total", NULL, "Readings of the JWKS that failed");
    enum err e = j->url && (j->truststore || !config->truststore) ? ERR_OK : ERR_NO_MEMORY;
    if (!e && curl_global_init(CURL_GLOBAL_DEFAULT))
        e = reason_set(why, ERR_NO_MEMORY, "the HTTP client does not start");
    if (!e)
        e = check_url(j, why);
    if (!e)
        e = refresh(j, why);
    j->due_ms = now_ms() + config->refresh_ms;
    if (!e && pthread_create(&j->thread, NULL, run, j))
        e = reason_set(why, ERR_NO_MEMORY, "no thread for the JWKS");
    j->started = !e;
    if (e)
        jwks_close(j);
    else
        *out = j;
    return e;
}

void jwks_close(struct jwks *j)
{
    if (!j)
        return;
    pthread_mutex_lock(&j->lock);
    j->closing = true;
    pthread_cond_signal(&j->changed);
    pthread_mutex_unlock(&j->lock);
    if (j->started)
        pthread_join(j->thread, NULL);
    jwt_keys_unref(j->keys);
    buf_free(&j->text);
    pthread_cond_destroy(&j->changed);
    pthread_mutex_destroy(&j->lock);
    free(j->url);
    free(j->truststore);
    free(j);
}

struct jwt_keys *jwks_keys(struct jwks *j, uint64_t *generation)
{
    pthread_mutex_lock(&j->lock);
    struct jwt_keys *k = jwt_keys_ref(j->keys);
    *generation = j->generation;
    pthread_mutex_unlock(&j->lock);
    return k;
}

uint64_t jwks_generation(struct jwks *j)
{
    pthread_mutex_lock(&j->lock);
    uint64_t g = j->generation;
    pthread_mutex_unlock(&j->lock);
    return g;
}

void jwks_ask(struct jwks *j)
{
    pthread_mutex_lock(&j->lock);
    int64_t soonest = j->read_ms + j->config.ask_ms_min, now = now_ms();
    if (soonest < now)
        soonest = now;
    if (soonest < j->due_ms) {
        j->due_ms = soonest;
        pthread_cond_signal(&j->changed);
    }
    pthread_mutex_unlock(&j->lock);
}

/* SPDX-License-Identifier: Apache-2.0
 * The HTTPS side of a session: the registry and the admin API, asked with the user and password, or the certificate, of
 * the client properties, and trusting the CA named there. Redirects are not followed: a password goes to the server
 * that was named and nowhere else. */
#include "cli/session.h"
#include "core/base/percent.h"

#include <curl/curl.h>
#include <stdlib.h>

enum { HTTP_ANSWER_MAX = 256 * 1024 * 1024, HTTP_CONNECT_S = 10, HTTP_TIMEOUT_S = 120 };

struct http {
    CURL *curl;
    struct curl_slist *headers;
    struct buf user;
    struct secret password;
    struct buf answer;
    char problem[CURL_ERROR_SIZE];
};

void http_free(struct http *h)
{
    if (!h)
        return;
    curl_slist_free_all(h->headers);
    if (h->curl)
        curl_easy_cleanup(h->curl);
    buf_free(&h->user);
    secret_free(&h->password);
    buf_free(&h->answer);
    free(h);
}

static size_t on_bytes(char *p, size_t size, size_t n, void *user)
{
    struct buf *b = user;
    buf_put(b, p, size * n);
    return buf_error(b) ? 0 : size * n;
}

static enum err set_identity(struct session *s, struct http *h)
{
    const char *jaas = settings_string(s->settings, "sasl.jaas.config");
    const char *keystore = settings_string(s->settings, "ssl.keystore.location");
    const char *truststore = settings_string(s->settings, "ssl.truststore.location");
    enum err err;

    if (truststore)
        curl_easy_setopt(h->curl, CURLOPT_CAINFO, truststore);
    if (keystore) {
        curl_easy_setopt(h->curl, CURLOPT_SSLCERT, keystore);
        curl_easy_setopt(h->curl, CURLOPT_SSLKEY, keystore);
    }
    curl_easy_setopt(h->curl, CURLOPT_PROTOCOLS_STR, jaas ? "https" : "https,http"); /* no password in the clear */
    if (!jaas)
        return ERR_OK;
    err = kafka_jaas_parse(slice_str(jaas), &h->user, &h->password, &s->why);
    if (err)
        return err;
    curl_easy_setopt(h->curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(h->curl, CURLOPT_USERNAME, buf_cstr(&h->user));
    curl_easy_setopt(h->curl, CURLOPT_PASSWORD, (const char *)h->password.p);
    return ERR_OK;
}

static enum err http_open(struct session *s, struct http **out)
{
    struct http *h = calloc(1, sizeof *h);

    if (!h)
        return session_fail(s, ERR_NO_MEMORY, "no memory");
    *out = h;
    buf_init(&h->user, 0);
    buf_init(&h->answer, HTTP_ANSWER_MAX);
    h->curl = curl_easy_init();
    h->headers = curl_slist_append(NULL, "Content-Type: application/json");
    h->headers = h->headers ? curl_slist_append(h->headers, "Accept: application/json") : NULL;
    if (!h->curl || !h->headers)
        return session_fail(s, ERR_NO_MEMORY, "no memory");
    curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, h->problem);
    curl_easy_setopt(h->curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, h->headers);
    curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, &h->answer);
    curl_easy_setopt(h->curl, CURLOPT_CONNECTTIMEOUT, (long)HTTP_CONNECT_S);
    curl_easy_setopt(h->curl, CURLOPT_TIMEOUT, (long)HTTP_TIMEOUT_S);
    return ERR_OK;
}

static enum err http_open_peer(struct session *s, struct http_peer *peer)
{
    enum err err = http_open(s, &peer->http);
    CURL *curl = peer->http ? peer->http->curl : NULL;

    if (err)
        return err;
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, peer->user && !peer->insecure ? "https" : "https,http");
    if (peer->ca)
        curl_easy_setopt(curl, CURLOPT_CAINFO, peer->ca);
    if (peer->insecure) {
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (!peer->user)
        return ERR_OK;
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(curl, CURLOPT_USERNAME, peer->user);
    curl_easy_setopt(curl, CURLOPT_PASSWORD, peer->password.p ? (const char *)peer->password.p : "");
    return ERR_OK;
}

void http_peer_free(struct http_peer *peer)
{
    http_free(peer->http);
    secret_free(&peer->password);
    *peer = (struct http_peer){0};
}

static void put_url(struct buf *out, const char *base, const char *path)
{
    size_t n = strlen(base);

    while (n && base[n - 1] == '/')
        n--;
    buf_put(out, base, n);
    buf_put_str(out, path);
}

static enum err url_of(struct session *s, enum session_api api, const char *path, struct buf *out)
{
    const char *key = api == SESSION_ADMIN ? "castellan.admin.url" : "castellan.registry.url";
    const char *base = settings_string(s->settings, key);

    if (!base)
        return session_fail(s, ERR_BAD_CONFIG, "%s: %s is missing; set it to %s", s->config, key,
                            api == SESSION_ADMIN ? "https://HOST:PORT of the admin API"
                                                 : "the registry's https://HOST:PORT");
    put_url(out, base, path);
    return buf_error(out);
}

/* Both servers answer errors as {"error_code": N, "message": "..."}. */
static enum err refused(struct session *s, const struct http_peer *peer, long status, const char *url,
                        const json_t *answer)
{
    const char *message = json_string_value(json_object_get(answer, "message"));
    long long code = json_integer_value(json_object_get(answer, "error_code"));
    enum err err = status == 404 ? ERR_NOT_FOUND : status == 409 ? ERR_CONFLICT : ERR_INVALID_REQUEST;

    if (status == 401 && peer)
        return session_fail(s, ERR_AUTH,
                            peer->user ? "%s does not know this user and password"
                                       : "%s wants a user and password (--from-user, --password-stdin)",
                            url);
    if (status == 401 && !settings_has(s->settings, "sasl.jaas.config"))
        return session_fail(s, ERR_AUTH, "%s wants a user and password, and %s has none (sasl.jaas.config)", url,
                            s->config);
    if (status == 401)
        return session_fail(s, ERR_AUTH, "%s does not know this user and password (they come from %s)", url, s->config);
    if (status == 403)
        return session_fail(s, ERR_AUTH, "%s: %s; an ACL must allow it (castellan acl add)", url,
                            message ? message : "not allowed");
    if (message && code && code != status)
        return session_fail(s, err, "%s (%lld, from %s)", message, code, url);
    return session_fail(s, err, "%s (%ld, from %s)", message ? message : "refused without a reason", status, url);
}

static enum err unreachable(struct session *s, const struct http_peer *peer, const char *url, const char *problem)
{
    return peer ? session_fail(s, ERR_UNAVAILABLE, "%s: %s", url, problem)
                : session_fail(s, ERR_UNAVAILABLE, "%s: %s; is it running? (the address is from %s)", url, problem,
                               s->config);
}

/* peer: NULL for the servers of the client properties. */
static enum err perform(struct session *s, const struct http_peer *peer, const char *method, const char *url,
                        const char *body, json_t **answer)
{
    struct http *h = peer ? peer->http : s->http;
    json_error_t wrong;
    CURLcode code;
    long status = 0;
    enum err err = ERR_OK;

    buf_clear(&h->answer);
    h->problem[0] = 0;
    curl_easy_setopt(h->curl, CURLOPT_URL, url);
    curl_easy_setopt(h->curl, CURLOPT_HTTPGET, 1L);
    if (body) {
        curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, body);
    }
    curl_easy_setopt(h->curl, CURLOPT_CUSTOMREQUEST, method);
    code = curl_easy_perform(h->curl);
    s->http_status = s->http_code = 0;
    if (code)
        return unreachable(s, peer, url, h->problem[0] ? h->problem : curl_easy_strerror(code));
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
    *answer = h->answer.n ? json_loadb((const char *)h->answer.p, h->answer.n, JSON_DECODE_ANY, &wrong) : NULL;
    s->http_status = status;
    s->http_code = (long)json_integer_value(json_object_get(*answer, "error_code"));
    if (status >= 400)
        err = refused(s, peer, status, url, *answer);
    else if (h->answer.n && !*answer)
        err = session_fail(s, ERR_MALFORMED, "%s answered something that is not JSON: %s", url, wrong.text);
    if (err) {
        json_decref(*answer);
        *answer = NULL;
    }
    return err;
}

/* `err` so far; takes over the URL. */
static enum err exchange(struct session *s, const struct http_peer *peer, enum err err, const char *method,
                         struct buf *url, const json_t *body, json_t **answer)
{
    json_t *got = NULL;
    char *text = err || !body ? NULL : json_dumps(body, JSON_COMPACT);

    if (!err && (buf_error(url) || (body && !text)))
        err = session_fail(s, ERR_NO_MEMORY, "no memory");
    if (!err)
        err = perform(s, peer, method, buf_cstr(url), text, &got);
    free(text);
    buf_free(url);
    if (answer)
        *answer = got;
    else
        json_decref(got);
    return err;
}

enum err session_http_peer(struct session *s, struct http_peer *peer, const char *method, const char *path,
                           const json_t *body, json_t **answer)
{
    struct buf url;
    enum err err = peer->http ? ERR_OK : http_open_peer(s, peer);

    buf_init(&url, 0);
    put_url(&url, peer->url, path);
    return exchange(s, peer, err, method, &url, body, answer);
}

enum err session_http(struct session *s, enum session_api api, const char *method, const char *path, const json_t *body,
                      json_t **answer)
{
    struct buf url;
    enum err err = session_load(s);

    if (!err && !s->http) {
        err = http_open(s, &s->http);
        if (!err)
            err = set_identity(s, s->http);
    }
    buf_init(&url, 0);
    if (!err)
        err = url_of(s, api, path, &url);
    return exchange(s, NULL, err, method, &url, body, answer);
}

void session_put_path(struct buf *out, const char *first, const char *name, const char *rest)
{
    buf_put_str(out, first);
    if (name)
        session_put_escaped(out, name);
    buf_put_str(out, rest);
}

void session_put_escaped(struct buf *out, const char *text)
{
    percent_encode(out, slice_str(text));
}

enum err session_bytes(struct session *s, const char *text, struct slice *out)
{
    uint8_t *p;
    size_t n;

    *out = slice_str(text);
    if (!session_flag(s, "encoded"))
        return ERR_OK;
    p = arena_alloc(&s->arena, out->n + 1);
    if (!p)
        return session_fail(s, ERR_NO_MEMORY, "no memory");
    if (!percent_decode(*out, p, &n))
        return session_wrong_usage(s, "--encoded: in \"%s\" a %% is not followed by two hexadecimal digits", text);
    *out = slice_of(p, n);
    return ERR_OK;
}

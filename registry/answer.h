/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_ANSWER_H
#define CASTELLAN_REGISTRY_ANSWER_H

#include "core/base/buf.h"

/* What one request is answered with. Errors are the reference's: {"error_code":N,"message":"..."}; the HTTP status is
 * the code itself, or its first three digits. */
struct answer {
    int status;
    int error_code; /* 0 unless an error */
    struct buf body;
    const char *content_type; /* NULL: what was negotiated */
    bool authenticate;        /* 401: send WWW-Authenticate */
    unsigned allow;           /* 405, OPTIONS: the methods there are, each as 1 << enum rest_method */
    int32_t id, version;      /* what a change made or removed, for the audit; 0: not said */
};

void answer_init(struct answer *a);
void answer_free(struct answer *a);
/* Both return ERR_CONFLICT, so that a refusing path is one line. */
enum err answer_error(struct answer *a, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
enum err answer_error_text(struct answer *a, int code, struct slice message);

enum {
    API_SUBJECT_NOT_FOUND = 40401,
    API_VERSION_NOT_FOUND = 40402,
    API_SCHEMA_NOT_FOUND = 40403,
    API_SUBJECT_SOFT_DELETED = 40404,
    API_SUBJECT_NOT_SOFT_DELETED = 40405,
    API_VERSION_SOFT_DELETED = 40406,
    API_VERSION_NOT_SOFT_DELETED = 40407,
    API_NO_SUBJECT_CONFIG = 40408,
    API_NO_SUBJECT_MODE = 40409,
    API_ASSOCIATION_NOT_FOUND = 40410,
    API_INCOMPATIBLE = 409,
    API_INCOMPATIBLE_82 = 40901,
    API_RESOURCE_ASSOCIATED = 40903,
    API_SUBJECT_ASSOCIATED = 40904,
    API_SUBJECT_OWNED = 40905,
    API_NO_ACTIVE_VERSION = 40907,
    API_ASSOCIATION_FROZEN = 40908,
    API_INVALID_SCHEMA = 42201,
    API_INVALID_VERSION = 42202,
    API_INVALID_COMPATIBILITY = 42203,
    API_INVALID_MODE = 42204,
    API_NOT_PERMITTED = 42205,
    API_REFERENCE_EXISTS = 42206,
    API_ID_MISMATCH = 42207,
    API_INVALID_SUBJECT = 42208,
    API_TOO_LARGE = 42209,
    API_INVALID_RULES = 42210,
    API_CONTEXT_NOT_EMPTY = 42211,
    API_INVALID_ASSOCIATION = 42212,
    API_STORE = 50001,
    API_TIMEOUT = 50002,
};

#endif

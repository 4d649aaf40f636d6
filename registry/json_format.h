/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_JSON_FORMAT_H
#define CASTELLAN_REGISTRY_JSON_FORMAT_H

#include "core/base/slice.h"

/* The formats of the network, for json_format_check(). */
bool json_format_is_email(struct slice s);
bool json_format_is_idn_email(struct slice s);
bool json_format_is_hostname(struct slice s);
bool json_format_is_idn_hostname(struct slice s);
bool json_format_is_ipv4(struct slice s);
bool json_format_is_ipv6(struct slice s);
bool json_format_is_uri(struct slice s);
bool json_format_is_uri_reference(struct slice s);
bool json_format_is_iri(struct slice s);
bool json_format_is_iri_reference(struct slice s);
bool json_format_is_uri_template(struct slice s);

#endif

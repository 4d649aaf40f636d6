/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_SETTINGS_H
#define CASTELLAN_GATEWAY_SETTINGS_H

#include "core/ledger/ledger_settings.h"
#include "gateway/session/worker_data.h"

/* The gateway's configuration keys. */
extern const struct setting_row gateway_setting_rows[];

/* Read FILE into g: settings, listeners with their TLS, mechanisms, limits, the way to the cluster. */
enum err gateway_configure(struct gateway *g, const char *path, struct reason *why) MUST_CHECK;
/* librdkafka's settings towards the cluster behind; the strings live as long as g->settings. */
void gateway_kafka_settings(const struct gateway *g, struct ledger_settings *out);

#endif

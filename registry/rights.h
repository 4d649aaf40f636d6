/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_RIGHTS_H
#define CASTELLAN_REGISTRY_RIGHTS_H

#include "acl/acl.h"
#include "registry/rest.h"

/* What a right on a subject means in the rules of `__castellan_acl` (resource type SUBJECT). A subject in a context is
 * named as it is everywhere, ":.ctx:name", so a rule with the prefix ":.ctx:" covers a context; what is global is the
 * subject "__GLOBAL". Global settings may be seen by everybody who is known. Pure. */
#define RIGHTS_GLOBAL "__GLOBAL"

bool rights_allow(const struct acl_snapshot *s, struct slice principal, struct slice host, enum rest_right right,
                  struct slice subject);

#endif

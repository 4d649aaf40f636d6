/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_SUBJECT_NAME_H
#define CASTELLAN_GATEWAY_SUBJECT_NAME_H

#include "core/base/buf.h"

/* How an ACL names a data subject. The tenant, the class and the id together say who it is: "ben" of one tenant is not
 * "ben" of another. A person of the default tenant and class is named by the id alone; anybody else, and an id that
 * itself begins with '/', in full:
 *
 *     ID                    the person ID of the default tenant and class
 *     //TENANT/CLASS/ID     in full; in TENANT and CLASS the bytes '/', '%' and NUL are percent-encoded, ID is as it is
 *
 * No two persons have the same name, so a rule on one never reaches another; a prefixed rule on "//acme/" is about
 * everybody of the tenant acme, one on "b" about nobody outside the default tenant and class. */
void subject_name_put(struct buf *out, struct slice tenant, struct slice subject_class, struct slice id);

#endif

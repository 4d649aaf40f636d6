/* SPDX-License-Identifier: Apache-2.0
 * The names of data subjects in ACLs. Pure. */
#include "gateway/admin/subject_name.h"
#include "crypto/policy.h"

static void put_part(struct buf *out, struct slice part)
{
    for (size_t i = 0; i < part.n; i++) {
        if (part.p[i] == '/' || part.p[i] == '%' || part.p[i] == 0)
            buf_printf(out, "%%%02X", part.p[i]);
        else
            buf_u8(out, part.p[i]);
    }
    buf_u8(out, '/');
}

void subject_name_put(struct buf *out, struct slice tenant, struct slice subject_class, struct slice id)
{
    bool plain = slice_eq_str(tenant, POLICY_TENANT_DEFAULT) && slice_eq_str(subject_class, POLICY_CLASS_DEFAULT) &&
                 !slice_starts(id, slice_str("/"));

    if (!plain) {
        buf_put_str(out, "//");
        put_part(out, tenant);
        put_part(out, subject_class);
    }
    buf_put_slice(out, id);
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_PROTOBUF_PRINT_H
#define CASTELLAN_REGISTRY_PROTOBUF_PRINT_H

#include "registry/protobuf_model.h"

/* Writing a .proto file: the text with its indentation, and options, for those that print declarations. */
struct writing {
    const struct proto_schema *s;
    enum proto_style style;
    struct buf *out;
    unsigned level;
    bool line_started;
    struct slice scope; /* the types around, without the package */
    struct arena arena; /* for the normal style's sorted copies */
    struct reason *why; /* of ERR_MALFORMED; may be NULL */
    enum err error;
};

void proto_put(struct writing *w, const char *s);
void proto_put_slice(struct writing *w, struct slice s);
void proto_put_int(struct writing *w, int32_t v);
/* Between the kinds of members of a block: the line belongs to the block itself, not to what is inside. */
void proto_put_break(struct writing *w, bool wanted);
bool proto_is_normal(const struct writing *w);
/* A sorted copy of a list; NULL when empty or memory ran out. */
void *proto_sorted(struct writing *w, const void *v, uint32_t n, size_t size, int (*order)(const void *, const void *));
/* The options to print: fewer, or normalized, as the style asks. */
struct proto_options proto_chosen_options(struct writing *w, const struct proto_options *o);
void proto_put_declared_options(struct writing *w, const struct proto_options *o);
void proto_put_bracketed_options(struct writing *w, const struct proto_options *all);

#endif

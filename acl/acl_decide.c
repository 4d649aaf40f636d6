/* SPDX-License-Identifier: Apache-2.0
 * The decision. The asker's principal and host become ranks (two hash lookups); the resource's name is walked once,
 * byte by byte, and its hash looked up at each length some prefix has, at its full length, and "*" directly. Each
 * pattern found is asked for at most four (principal, host) pairs. No allocation, no lock, nothing written. */
#include "acl/acl_internal.h"

struct asker {
    const struct acl_snapshot *s;
    uint32_t principals[2], hosts[2]; /* the own rank and that of everyone, anywhere; ACL_NOBODY: no rule has it */
    uint16_t operation;               /* its bit */
    int type;
};

struct verdict {
    bool named; /* some rule of anybody names the resource */
    const struct acl_entry *deny, *allow;
};

static uint32_t rank_of(const struct map *m, struct slice key)
{
    uintptr_t v = (uintptr_t)map_get(m, key);
    return v ? (uint32_t)(v - 1) : ACL_NOBODY;
}

static void asker_of(struct asker *a, const struct acl_snapshot *s, const struct acl_question *q)
{
    char space[ACL_HOST_TEXT_MAX];
    bool hosts = map_count(&s->hosts) > (s->anywhere != ACL_NOBODY);

    a->s = s;
    a->type = acl_type_slot(q->type);
    a->operation = (uint16_t)(1u << q->operation);
    a->principals[0] = s->everyone;
    a->principals[1] = rank_of(&s->principals, q->principal);
    if (a->principals[1] == s->everyone) /* nobody is called "*": do not ask twice */
        a->principals[1] = ACL_NOBODY;
    a->hosts[0] = s->anywhere;
    a->hosts[1] = hosts ? rank_of(&s->hosts, acl_host_canonical(q->host, space)) : ACL_NOBODY;
    if (a->hosts[1] == s->anywhere)
        a->hosts[1] = ACL_NOBODY;
}

static uint64_t entry_key(uint32_t principal, uint32_t host)
{
    return (uint64_t)principal << 32 | host;
}

static const struct acl_entry *find_entry(const struct acl_snapshot *s, const struct acl_node *p, uint32_t principal,
                                          uint32_t host)
{
    uint64_t want = entry_key(principal, host);
    uint32_t low = p->entry_at, high = p->entry_at + p->entry_n;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        uint64_t key = entry_key(s->entries[mid].principal, s->entries[mid].host);
        if (key == want)
            return &s->entries[mid];
        if (key < want)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static const struct acl_node *find_pattern(const struct asker *a, uint64_t h, bool prefixed, struct slice name)
{
    const struct acl_snapshot *s = a->s;

    h = acl_hash_end(h, prefixed);
    for (uint32_t at = (uint32_t)h & s->slots_mask; s->slots[at].pattern; at = (at + 1) & s->slots_mask) {
        const struct acl_node *p;
        if (s->slots[at].tag != (uint32_t)(h >> 32))
            continue;
        p = &s->patterns[s->slots[at].pattern - 1];
        if (p->type == a->type && p->prefixed == prefixed && slice_eq(p->name, name))
            return p;
    }
    return NULL;
}

/* True: a DENY was found, nothing else matters. */
static bool ask_pattern(const struct asker *a, const struct acl_node *p, struct verdict *v)
{
    v->named = true;
    for (int i = 0; i < 2; i++) {
        if (a->principals[i] == ACL_NOBODY)
            continue;
        for (int k = 0; k < 2; k++) {
            const struct acl_entry *e = NULL;
            if (a->hosts[k] != ACL_NOBODY)
                e = find_entry(a->s, p, a->principals[i], a->hosts[k]);
            if (e && e->deny & a->operation) {
                v->deny = e;
                return true;
            }
            if (e && e->allow & a->operation)
                v->allow = e; /* later is more specific: prefixes grow, the literal comes last */
        }
    }
    return false;
}

/* Every pattern that covers `name`: "*", prefixes from short to long, the literal. */
static bool ask_all(const struct asker *a, struct slice name, struct verdict *v)
{
    const struct acl_snapshot *s = a->s;
    const struct acl_type_index *t = &s->types[a->type];
    const uint16_t *length = s->lengths + t->lengths_at, *lengths_end = length + t->lengths_n;
    uint64_t h = acl_hash_start(a->type);
    const struct acl_node *p;
    size_t i = 0;

    if (t->wildcard != ACL_NOBODY && ask_pattern(a, &s->patterns[t->wildcard], v))
        return true;
    for (; length < lengths_end && *length <= name.n; length++) {
        for (; i < *length; i++)
            h = acl_hash_byte(h, name.p[i]);
        p = find_pattern(a, h, true, slice_of(name.p, i));
        if (p && ask_pattern(a, p, v))
            return true;
    }
    for (; i < name.n; i++)
        h = acl_hash_byte(h, name.p[i]);
    p = find_pattern(a, h, false, name);
    return p && ask_pattern(a, p, v);
}

static bool decide(const struct acl_snapshot *s, const struct acl_question *q, struct verdict *v, enum acl_basis *basis)
{
    struct asker a;

    *v = (struct verdict){0};
    if (map_count(&s->super_users) && map_has(&s->super_users, q->principal)) {
        *basis = ACL_BASIS_SUPER_USER;
        return true;
    }
    asker_of(&a, s, q);
    if (a.type >= 0 && q->name.p && q->operation > ACL_ALL)
        ask_all(&a, q->name, v);
    else
        v->named = true; /* no such question: refused */
    if (v->deny) {
        *basis = ACL_BASIS_DENY_RULE;
        return false;
    }
    if (v->allow) {
        *basis = ACL_BASIS_ALLOW_RULE;
        return true;
    }
    *basis = v->named ? ACL_BASIS_NO_MATCH : ACL_BASIS_NO_ACL;
    return !v->named && s->allow_if_no_acl;
}

bool acl_allowed(const struct acl_snapshot *s, const struct acl_question *q)
{
    struct verdict v;
    enum acl_basis basis;
    return decide(s, q, &v, &basis);
}

static bool implies(enum acl_operation rule, enum acl_operation asked)
{
    if (rule == ACL_ALL || rule == asked)
        return true;
    if (asked == ACL_DESCRIBE)
        return rule == ACL_READ || rule == ACL_WRITE || rule == ACL_DELETE || rule == ACL_ALTER;
    return asked == ACL_DESCRIBE_CONFIGS && rule == ACL_ALTER_CONFIGS;
}

static const struct acl_rule *deciding_rule(const struct acl_snapshot *s, const struct acl_entry *e,
                                            enum acl_operation asked, enum acl_permission permission)
{
    for (uint32_t i = e->rule_at; i < e->rule_at + e->rule_n; i++) {
        const struct acl_rule *r = &s->rules[i];
        if (r->permission != permission)
            continue;
        if (r->operation == ACL_ALL || r->operation == asked ||
            (permission == ACL_ALLOW && implies(r->operation, asked)))
            return r;
    }
    return NULL;
}

void acl_explain(const struct acl_snapshot *s, const struct acl_question *q, struct acl_explanation *out)
{
    struct verdict v;

    *out = (struct acl_explanation){0};
    out->allowed = decide(s, q, &v, &out->basis);
    if (v.deny)
        out->rule = deciding_rule(s, v.deny, q->operation, ACL_DENY);
    else if (v.allow)
        out->rule = deciding_rule(s, v.allow, q->operation, ACL_ALLOW);
}

void acl_explanation_put(struct buf *out, const struct acl_explanation *e)
{
    buf_put_str(out, e->allowed ? "allowed: " : "refused: ");
    switch (e->basis) {
    case ACL_BASIS_SUPER_USER:
        buf_put_str(out, "super user");
        break;
    case ACL_BASIS_DENY_RULE:
    case ACL_BASIS_ALLOW_RULE:
        buf_put_str(out, "rule ");
        if (e->rule)
            acl_rule_put(out, e->rule);
        break;
    case ACL_BASIS_NO_ACL:
        buf_put_str(out, "no rule names the resource");
        break;
    case ACL_BASIS_NO_MATCH:
        buf_put_str(out, "no rule matches");
        break;
    }
}

/* --- authorize by resource type (KIP-679) --- */

static bool denied_at(const struct asker *a, const struct acl_node *p)
{
    struct verdict v = {0};
    return p && ask_pattern(a, p, &v);
}

/* Is every resource the ALLOW pattern covers also covered by a DENY? A literal by a DENY of the same literal or of a
 * prefix of it, a prefix by a DENY of itself or of a prefix of it. */
static bool dominated(const struct asker *a, const struct acl_node *allow)
{
    const struct acl_snapshot *s = a->s;
    const struct acl_type_index *t = &s->types[a->type];
    uint64_t h = acl_hash_start(a->type);
    size_t i = 0;

    for (uint32_t k = 0; k < t->lengths_n; k++) {
        size_t n = s->lengths[t->lengths_at + k];
        if (n > allow->name.n)
            break;
        for (; i < n; i++)
            h = acl_hash_byte(h, allow->name.p[i]);
        if (denied_at(a, find_pattern(a, h, true, slice_of(allow->name.p, n))))
            return true;
    }
    return !allow->prefixed && denied_at(a, allow);
}

static int compare_to(const struct acl_snapshot *s, uint32_t at, int type, uint32_t principal)
{
    const struct acl_entry *e = &s->entries[s->by_who[at]];
    int t = s->patterns[e->pattern].type;

    if (t != type)
        return t < type ? -1 : 1;
    return (e->principal > principal) - (e->principal < principal);
}

static bool allowed_somewhere(const struct asker *a, uint32_t principal)
{
    const struct acl_snapshot *s = a->s;
    uint32_t low = 0, high = s->entries_n;

    while (low < high) { /* the first entry of (type, principal) */
        uint32_t mid = low + (high - low) / 2;
        if (compare_to(s, mid, a->type, principal) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < s->entries_n && compare_to(s, low, a->type, principal) == 0; low++) {
        const struct acl_entry *e = &s->entries[s->by_who[low]];
        const struct acl_node *p = &s->patterns[e->pattern];
        if (!(e->allow_named & a->operation) || (e->host != a->hosts[0] && e->host != a->hosts[1]))
            continue;
        if ((!p->prefixed && slice_eq_str(p->name, "*")) || !dominated(a, p))
            return true;
    }
    return false;
}

/* Kafka's Authorizer.authorizeByResourceType: a fixed name first, so that super users and rules for "*" with what they
 * imply count; then a DENY on "*" refuses; then any ALLOW that no DENY covers wholly. */
bool acl_allowed_by_type(const struct acl_snapshot *s, const struct acl_question *q)
{
    struct acl_question fixed = *q;
    struct asker a;

    fixed.name = slice_str("hardcode");
    if (acl_allowed(s, &fixed))
        return true;
    asker_of(&a, s, q);
    if (a.type < 0 || q->operation <= ACL_ALL)
        return false;
    if (s->types[a.type].wildcard != ACL_NOBODY && denied_at(&a, &s->patterns[s->types[a.type].wildcard]))
        return false;
    for (int i = 0; i < 2; i++)
        if (a.principals[i] != ACL_NOBODY && allowed_somewhere(&a, a.principals[i]))
            return true;
    return false;
}

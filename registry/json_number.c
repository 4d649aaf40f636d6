/* SPDX-License-Identifier: Apache-2.0
 * Exact decimals over their JSON text. A number is normalised to digits * 10^exponent without leading or trailing zero
 * digits; comparing and dividing walk the digits in place, so no size rounds. Numbers of up to 18 digits (all that
 * occur in practice) take the integer path. Nothing allocates. */
#include "registry/json_number.h"

#include <stdlib.h>

enum { FITS_DIGITS = 18 };

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* The exponent part, saturated far beyond any limit that matters. */
static int64_t exponent_of(const uint8_t *p, const uint8_t *end)
{
    bool negative = false;
    int64_t e = 0;
    if (p < end && (*p == '+' || *p == '-'))
        negative = *p++ == '-';
    for (; p < end && is_digit(*p); p++)
        e = e > INT32_MAX ? e : e * 10 + (*p - '0');
    return negative ? -e : e;
}

struct json_number json_number_of(struct slice text)
{
    struct json_number r = {.fits = true};
    const uint8_t *p = text.p, *end = text.p + text.n, *mantissa_end;
    int64_t point = -1; /* digits seen after the point, once it was seen */
    uint32_t zeros = 0; /* zero digits held back: they count only when a digit follows */
    if (p < end && *p == '-') {
        r.negative = true;
        p++;
    }
    for (mantissa_end = p; mantissa_end < end && *mantissa_end != 'e' && *mantissa_end != 'E'; mantissa_end++)
        ;
    for (; p < mantissa_end; p++) {
        if (*p == '.') {
            point = 0;
            continue;
        }
        if (point >= 0)
            point++;
        if (*p == '0') {
            zeros += r.n > 0;
            continue;
        }
        if (r.n == 0)
            r.first = p;
        r.n += zeros + 1;
        if (r.n <= FITS_DIGITS) {
            for (; zeros; zeros--)
                r.digits *= 10;
            r.digits = r.digits * 10 + (uint64_t)(*p - '0');
        } else {
            r.fits = false;
        }
        zeros = 0;
    }
    if (r.n == 0)
        return (struct json_number){.fits = true};
    r.exponent = (int64_t)zeros - (point > 0 ? point : 0);
    if (mantissa_end < end)
        r.exponent += exponent_of(mantissa_end + 1, end);
    return r;
}

/* Next significant digit; past the last one, 0. */
static int next_digit(const uint8_t **p, uint32_t *left)
{
    int d;
    if (*left == 0)
        return 0;
    if (**p == '.')
        (*p)++;
    d = *(*p)++ - '0';
    (*left)--;
    return d;
}

static int cmp_magnitude(const struct json_number *a, const struct json_number *b)
{
    const uint8_t *pa = a->first, *pb = b->first;
    uint32_t na = a->n, nb = b->n;
    int64_t ma = (int64_t)a->n + a->exponent, mb = (int64_t)b->n + b->exponent;
    if (a->n == 0 || b->n == 0)
        return (a->n != 0) - (b->n != 0);
    if (a->fits && b->fits && a->exponent == b->exponent)
        return (a->digits > b->digits) - (a->digits < b->digits);
    if (ma != mb)
        return ma > mb ? 1 : -1;
    while (na || nb) {
        int da = next_digit(&pa, &na), db = next_digit(&pb, &nb);
        if (da != db)
            return da > db ? 1 : -1;
    }
    return 0;
}

int json_number_cmp(const struct json_number *a, const struct json_number *b)
{
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    return a->negative ? -cmp_magnitude(a, b) : cmp_magnitude(a, b);
}

bool json_number_is_integer(const struct json_number *a)
{
    return a->n == 0 || a->exponent >= 0;
}

/* 10^k mod m */
static uint64_t power_mod(int64_t k, uint64_t m)
{
    unsigned __int128 base = 10 % m, r = 1 % m;
    for (; k > 0; k >>= 1) {
        if (k & 1)
            r = r * base % m;
        base = base * base % m;
    }
    return (uint64_t)r;
}

static bool multiple_small(const struct json_number *a, uint64_t m, int64_t k)
{
    unsigned __int128 r = 0;
    if (a->fits) {
        r = a->digits % m;
    } else {
        const uint8_t *p = a->first;
        uint32_t left = a->n;
        while (left)
            r = (r * 10 + (unsigned)next_digit(&p, &left)) % m;
    }
    return r * power_mod(k, m) % m == 0;
}

/* rem (n digits, most significant first) >= m? */
static bool at_least(const uint8_t *rem, const uint8_t *m, size_t n)
{
    return memcmp(rem, m, n) >= 0;
}

/* Long division, digit by digit; the remainder has one digit more than the divisor. */
static bool multiple_long(const struct json_number *a, const struct json_number *of, int64_t k)
{
    uint8_t rem[JSON_NUMBER_DIGITS_MAX + 1] = {0}, m[JSON_NUMBER_DIGITS_MAX + 1] = {0};
    size_t n = (size_t)of->n + 1;
    const uint8_t *p = of->first;
    uint32_t left = of->n;
    if ((int64_t)a->n + k > JSON_NUMBER_DIGITS_MAX || of->n >= JSON_NUMBER_DIGITS_MAX)
        return false;
    for (size_t i = 1; i < n; i++)
        m[i] = (uint8_t)next_digit(&p, &left);
    p = a->first;
    left = a->n;
    for (int64_t i = 0; i < (int64_t)a->n + k; i++) {
        memmove(rem, rem + 1, n - 1);
        rem[n - 1] = (uint8_t)next_digit(&p, &left);
        while (at_least(rem, m, n)) {
            int borrow = 0;
            for (size_t j = n; j-- > 0;) {
                int d = rem[j] - m[j] - borrow;
                borrow = d < 0;
                rem[j] = (uint8_t)(borrow ? d + 10 : d);
            }
        }
    }
    for (size_t i = 0; i < n; i++)
        if (rem[i])
            return false;
    return true;
}

bool json_number_is_multiple(const struct json_number *a, const struct json_number *of)
{
    int64_t k = a->exponent - of->exponent;
    if (a->n == 0)
        return true;
    /* a's digits do not end in 0, so they are no multiple of anything times 10 */
    if (of->n == 0 || k < 0)
        return false;
    return of->fits ? multiple_small(a, of->digits, k) : multiple_long(a, of, k);
}

uint64_t json_number_hash(const struct json_number *a)
{
    uint64_t h = 0xcbf29ce484222325u ^ (uint64_t)a->exponent ^ ((uint64_t)a->negative << 63);
    const uint8_t *p = a->first;
    uint32_t left = a->n;
    while (left)
        h = (h ^ (uint64_t)next_digit(&p, &left)) * 0x100000001b3u;
    return h;
}

bool json_number_u64(const struct json_number *a, uint64_t *out)
{
    uint64_t v = a->digits;
    if ((a->negative && a->n) || !a->fits || a->exponent < 0 || a->exponent > FITS_DIGITS)
        return false;
    for (int64_t e = a->exponent; e > 0; e--)
        if (__builtin_mul_overflow(v, (uint64_t)10, &v))
            return false;
    *out = v;
    return true;
}

double json_number_double(struct slice text)
{
    char copy[64];
    size_t n = text.n < sizeof copy - 1 ? text.n : sizeof copy - 1;
    struct json_number a;
    if (text.n < sizeof copy) {
        memcpy(copy, text.p, n);
        copy[n] = '\0';
        return strtod(copy, NULL);
    }
    a = json_number_of(text);
    /* long text: the first 17 digits decide a double */
    double v = 0;
    const uint8_t *p = a.first;
    uint32_t left = a.n, used = a.n < FITS_DIGITS ? a.n : FITS_DIGITS;
    for (uint32_t i = 0; i < used; i++)
        v = v * 10 + next_digit(&p, &left);
    int64_t e = a.exponent + a.n - used;
    for (; e > 0 && v < 1e308; e--)
        v *= 10;
    for (; e < 0 && v > 0; e++)
        v /= 10;
    return a.negative ? -v : v;
}

static void print_integer(struct buf *out, struct slice text)
{
    if (slice_eq_str(text, "-0"))
        buf_put_str(out, "0");
    else
        buf_put_slice(out, text);
}

/* java.math.BigDecimal.toString(): plain while scale >= 0 and the adjusted exponent >= -6, else scientific. */
void json_number_print(struct buf *out, struct slice text)
{
    const uint8_t *p = text.p, *end = text.p + text.n, *e;
    uint8_t digits[1024];
    size_t n = 0, fraction = 0;
    bool negative = p < end && *p == '-', point = false, nonzero = false;
    for (e = p; e < end && *e != 'e' && *e != 'E'; e++)
        point |= *e == '.';
    if (e == end && !point) {
        print_integer(out, text);
        return;
    }
    point = false;
    for (p += negative; p < e; p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        fraction += point;
        nonzero |= *p != '0';
        if (n == 1 && digits[0] == '0')
            n = 0; /* leading zeros carry no digit */
        if (n < sizeof digits)
            digits[n++] = *p;
    }
    int64_t scale = (int64_t)fraction - (e < end ? exponent_of(e + 1, end) : 0);
    int64_t adjusted = (int64_t)n - 1 - scale;
    if (negative && nonzero)
        buf_put_str(out, "-");
    if (scale == 0) {
        buf_put(out, digits, n);
    } else if (scale > 0 && adjusted >= -6) {
        if (scale >= (int64_t)n) {
            buf_put_str(out, "0.");
            for (int64_t i = (int64_t)n; i < scale; i++)
                buf_put_str(out, "0");
            buf_put(out, digits, n);
        } else {
            buf_put(out, digits, n - (size_t)scale);
            buf_put_str(out, ".");
            buf_put(out, digits + n - (size_t)scale, (size_t)scale);
        }
    } else {
        buf_put(out, digits, 1);
        if (n > 1) {
            buf_put_str(out, ".");
            buf_put(out, digits + 1, n - 1);
        }
        if (adjusted)
            buf_printf(out, "E%+lld", (long long)adjusted);
    }
}

/* SPDX-License-Identifier: Apache-2.0
 * The names that \p{...} takes: Unicode's categories and scripts as RE2J 1.8 knows them, with the ASCII characters of
 * each (bit c of the two words is character c): as they are, and under (?i). RE2J's tables make (?i)\p{Ll} add only K
 * and S of the capitals (through U+212A and U+017F); so do these. tests/golden/topic_regex.java writes a line for every
 * name into the golden file. Most names have no ASCII character; they must be known all the same. */
#include "gateway/filter/topic_regex_internal.h"

#include <stdlib.h>

struct unicode_class {
    const char *name;
    struct char_set chars, folded;
};

/* In the order of slice_cmp(). */
static const struct unicode_class unicode_classes[] = {
    {"Any", {{UINT64_MAX, UINT64_MAX}}, {{UINT64_MAX, UINT64_MAX}}},
    {.name = "Arabic"},
    {.name = "Armenian"},
    {.name = "Avestan"},
    {.name = "Balinese"},
    {.name = "Bamum"},
    {.name = "Batak"},
    {.name = "Bengali"},
    {.name = "Bopomofo"},
    {.name = "Brahmi"},
    {.name = "Braille"},
    {.name = "Buginese"},
    {.name = "Buhid"},
    {"C", {{0xffffffff, 0x8000000000000000}}, {{0xffffffff, 0x8000000000000000}}},
    {.name = "Canadian_Aboriginal"},
    {.name = "Carian"},
    {"Cc", {{0xffffffff, 0x8000000000000000}}, {{0xffffffff, 0x8000000000000000}}},
    {.name = "Cf"},
    {.name = "Cham"},
    {.name = "Cherokee"},
    {.name = "Co"},
    {"Common", {{UINT64_MAX, 0xf8000001f8000001}}, {{UINT64_MAX, 0xf8000001f8000001}}},
    {.name = "Coptic"},
    {.name = "Cs"},
    {.name = "Cuneiform"},
    {.name = "Cypriot"},
    {.name = "Cyrillic"},
    {.name = "Deseret"},
    {.name = "Devanagari"},
    {.name = "Egyptian_Hieroglyphs"},
    {.name = "Ethiopic"},
    {.name = "Georgian"},
    {.name = "Glagolitic"},
    {.name = "Gothic"},
    {.name = "Greek"},
    {.name = "Gujarati"},
    {.name = "Gurmukhi"},
    {.name = "Han"},
    {.name = "Hangul"},
    {.name = "Hanunoo"},
    {.name = "Hebrew"},
    {.name = "Hiragana"},
    {.name = "Imperial_Aramaic"},
    {.name = "Inherited"},
    {.name = "Inscriptional_Pahlavi"},
    {.name = "Inscriptional_Parthian"},
    {.name = "Javanese"},
    {.name = "Kaithi"},
    {.name = "Kannada"},
    {.name = "Katakana"},
    {.name = "Kayah_Li"},
    {.name = "Kharoshthi"},
    {.name = "Khmer"},
    {"L", {{0, 0x7fffffe07fffffe}}, {{0, 0x7fffffe07fffffe}}},
    {.name = "Lao"},
    {"Latin", {{0, 0x7fffffe07fffffe}}, {{0, 0x7fffffe07fffffe}}},
    {.name = "Lepcha"},
    {.name = "Limbu"},
    {.name = "Linear_B"},
    {.name = "Lisu"},
    {"Ll", {{0, 0x7fffffe00000000}}, {{0, 0x7fffffe00080800}}},
    {.name = "Lm"},
    {.name = "Lo"},
    {.name = "Lt"},
    {"Lu", {{0, 0x7fffffe}}, {{0, 0x7fffffe07fffffe}}},
    {.name = "Lycian"},
    {.name = "Lydian"},
    {.name = "M"},
    {.name = "Malayalam"},
    {.name = "Mandaic"},
    {.name = "Mc"},
    {.name = "Me"},
    {.name = "Meetei_Mayek"},
    {.name = "Mn"},
    {.name = "Mongolian"},
    {.name = "Myanmar"},
    {"N", {{0x3ff000000000000, 0}}, {{0x3ff000000000000, 0}}},
    {"Nd", {{0x3ff000000000000, 0}}, {{0x3ff000000000000, 0}}},
    {.name = "New_Tai_Lue"},
    {.name = "Nko"},
    {.name = "Nl"},
    {.name = "No"},
    {.name = "Ogham"},
    {.name = "Ol_Chiki"},
    {.name = "Old_Italic"},
    {.name = "Old_Persian"},
    {.name = "Old_South_Arabian"},
    {.name = "Old_Turkic"},
    {.name = "Oriya"},
    {.name = "Osmanya"},
    {"P", {{0x8c00f7ee00000000, 0x28000000b8000001}}, {{0x8c00f7ee00000000, 0x28000000b8000001}}},
    {"Pc", {{0, 0x80000000}}, {{0, 0x80000000}}},
    {"Pd", {{0x200000000000, 0}}, {{0x200000000000, 0}}},
    {"Pe", {{0x20000000000, 0x2000000020000000}}, {{0x20000000000, 0x2000000020000000}}},
    {.name = "Pf"},
    {.name = "Phags_Pa"},
    {.name = "Phoenician"},
    {.name = "Pi"},
    {"Po", {{0x8c00d4ee00000000, 0x10000001}}, {{0x8c00d4ee00000000, 0x10000001}}},
    {"Ps", {{0x10000000000, 0x800000008000000}}, {{0x10000000000, 0x800000008000000}}},
    {.name = "Rejang"},
    {.name = "Runic"},
    {"S", {{0x7000081000000000, 0x5000000140000000}}, {{0x7000081000000000, 0x5000000140000000}}},
    {.name = "Samaritan"},
    {.name = "Saurashtra"},
    {"Sc", {{0x1000000000, 0}}, {{0x1000000000, 0}}},
    {.name = "Shavian"},
    {.name = "Sinhala"},
    {"Sk", {{0, 0x140000000}}, {{0, 0x140000000}}},
    {"Sm", {{0x7000080000000000, 0x5000000000000000}}, {{0x7000080000000000, 0x5000000000000000}}},
    {.name = "So"},
    {.name = "Sundanese"},
    {.name = "Syloti_Nagri"},
    {.name = "Syriac"},
    {.name = "Tagalog"},
    {.name = "Tagbanwa"},
    {.name = "Tai_Le"},
    {.name = "Tai_Tham"},
    {.name = "Tai_Viet"},
    {.name = "Tamil"},
    {.name = "Telugu"},
    {.name = "Thaana"},
    {.name = "Thai"},
    {.name = "Tibetan"},
    {.name = "Tifinagh"},
    {.name = "Ugaritic"},
    {.name = "Unknown"},
    {.name = "Vai"},
    {.name = "Yi"},
    {"Z", {{0x100000000, 0}}, {{0x100000000, 0}}},
    {.name = "Zl"},
    {.name = "Zp"},
    {"Zs", {{0x100000000, 0}}, {{0x100000000, 0}}},
};

static int compare(const void *key, const void *row)
{
    return slice_cmp(*(const struct slice *)key, slice_str(((const struct unicode_class *)row)->name));
}

bool regex_unicode_class(struct slice name, bool fold, struct char_set *out)
{
    const struct unicode_class *row =
        bsearch(&name, unicode_classes, sizeof unicode_classes / sizeof unicode_classes[0], sizeof *row, compare);

    if (!row)
        return false;
    *out = fold ? row->folded : row->chars;
    return true;
}

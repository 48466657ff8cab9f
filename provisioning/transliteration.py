"""Cyrillic and Greek names in Latin letters, as passports and standards spell them. Pure; every other script is left alone.

Cyrillic: ICAO Doc 9303 part 3, section 6 B, the recommended column, which is what most passports say; where it differs by language, the
common spelling is taken, since a name does not tell its language. Greek: ISO 843:1997 type 1, without its macrons. Neither guesses a
sound: one letter, or one pair that the standard names, has one spelling.
"""

# ruff: noqa: RUF001 - letters that look like others are what it is about

from __future__ import annotations

import re
import unicodedata

_CYRILLIC = {
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ё": "e", "ж": "zh", "з": "z", "и": "i", "й": "i", "к": "k", "л": "l",
    "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh",
    "щ": "shch", "ъ": "ie", "ы": "y", "ь": "", "э": "e", "ю": "iu", "я": "ia",
    "і": "i", "ї": "i", "є": "ie", "ґ": "g", "ў": "u",  # Ukrainian, Belarusian
    "ђ": "d", "ј": "j", "љ": "lj", "њ": "nj", "ћ": "c", "џ": "dz", "ѓ": "g", "ѕ": "dz", "ќ": "k",  # Serbian, Macedonian
    "ѫ": "u", "ѵ": "y",  # older spellings
}  # fmt: skip
_GREEK = {
    "α": "a", "β": "v", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k", "λ": "l", "μ": "m", "ν": "n",
    "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s", "ς": "s", "τ": "t", "υ": "y", "φ": "f", "χ": "ch", "ψ": "ps", "ω": "o",
}  # fmt: skip
_FROM_CYRILLIC, _FROM_GREEK = str.maketrans(_CYRILLIC), str.maketrans(_GREEK)
_DIPHTHONG = re.compile("([αεηο])υ(?!\u0308)")
"""A pair only where the first letter bears no accent and the second no dialytika, in decomposed form."""


def in_latin_letters(text: str) -> str:
    """``text`` in lower case with its Cyrillic and Greek letters spelt in Latin ones; everything else stays as it is."""
    cyrillic = unicodedata.normalize("NFC", text.lower()).translate(_FROM_CYRILLIC)  # composed: й is a letter, not an accented и
    greek = _DIPHTHONG.sub(r"\1u", unicodedata.normalize("NFD", cyrillic))
    return unicodedata.normalize("NFC", greek.translate(_FROM_GREEK))

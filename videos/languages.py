"""Languages as people read them: a name and a flag for a code, which is arbitrary text."""

import re
from dataclasses import dataclass
from functools import lru_cache

from django.conf.locale import LANG_INFO

# The country that people associate a language with; a code with a country of its own shows that one.
COUNTRIES = {
    "ar": "SA",
    "bg": "BG",
    "bn": "BD",
    "ca": "AD",
    "cs": "CZ",
    "da": "DK",
    "de": "DE",
    "el": "GR",
    "en": "GB",
    "es": "ES",
    "et": "EE",
    "fa": "IR",
    "fi": "FI",
    "fr": "FR",
    "ga": "IE",
    "he": "IL",
    "hi": "IN",
    "hr": "HR",
    "hu": "HU",
    "id": "ID",
    "is": "IS",
    "it": "IT",
    "ja": "JP",
    "ko": "KR",
    "lt": "LT",
    "lv": "LV",
    "ms": "MY",
    "nb": "NO",
    "nl": "NL",
    "no": "NO",
    "pl": "PL",
    "pt": "PT",
    "ro": "RO",
    "ru": "RU",
    "sk": "SK",
    "sl": "SI",
    "sr": "RS",
    "sv": "SE",
    "th": "TH",
    "tr": "TR",
    "uk": "UA",
    "ur": "PK",
    "vi": "VN",
    "zh": "CN",
}
TAG = re.compile(r"(?P<language>[A-Za-z]{2,3})(?:[-_](?P<script>[A-Za-z]{4}))?(?:[-_](?P<country>[A-Za-z]{2}))?")
# Names that Django has only with a script.
NAMES = {"zh": "Chinese"}


@dataclass(frozen=True)
class Language:
    """A language: `tag` is fit for a lang attribute, or empty; `flag` may be empty too."""

    name: str
    flag: str
    tag: str


@lru_cache(maxsize=500)
def language_of(code: str) -> Language:
    """The language of a code such as `en` or `pt-BR`; an unknown one is shown as it is written."""
    match = TAG.fullmatch(code.strip())
    if not match:
        return Language(code, "", "")
    base, country = match["language"].lower(), (match["country"] or "").upper()
    tag = "-".join(filter(None, (base, (match["script"] or "").title(), country)))
    name = NAMES.get(base) or LANG_INFO.get(base, {}).get("name")
    if not name:
        return Language(code, "", tag)
    detail = ", ".join(filter(None, ((match["script"] or "").title(), country)))
    return Language(f"{name} ({detail})" if detail else name, flag_of(country or COUNTRIES.get(base, "")), tag)


def flag_of(country: str) -> str:
    """The flag of a country's two letters: their regional indicator symbols."""
    return "".join(chr(0x1F1E6 + ord(letter) - ord("A")) for letter in country)

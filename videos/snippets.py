"""Where a search was found: the hits marked in a title, and a snippet of a summary around the first one.

Compared as the search compares (models.Fold): case does not count, white space is a space, an en-dash a hyphen.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from html import escape, unescape

from django.db.models import Value
from django.utils.safestring import SafeString, mark_safe

from .keys import UNSTORABLE
from .models import Fold
from .search import latest_summaries

# So many characters stand before the first hit, and so many in all.
BEFORE = 50
LENGTH = 160
# What videos_fold (migration 0001) does to single characters. PostgreSQL makes one letter of each of the last two
# where Python makes two, or looks at the word's end: so folded text is as long as the text.
FOLDED = str.maketrans({**dict.fromkeys("\n\r\t\u00a0\u202f", " "), "–": "-", "İ": "i", "Σ": "σ"})
# As nh3 writes them: attributes in double quotes. Between what the first ones enclose, a reader sees a gap.
BLOCKS = re.compile(r"</?(?:p|li|ul|ol|h[1-6]|hr|div|br|table|tr|td|th|blockquote|pre)\b(?:[^\">]|\"[^\"]*\")*>")
TAGS = re.compile(r"<(?:[^\">]|\"[^\"]*\")*>")


def marked(text: str, q: str) -> SafeString:
    """The text, escaped, with every hit of `q` in <mark>."""
    parts = []
    end = 0
    for start, stop in hits(text, q):
        parts.append(f"{escape(text[end:start])}<mark>{escape(text[start:stop])}</mark>")
        end = stop
    return mark_safe("".join(parts) + escape(text[end:]))


def hits(text: str, q: str) -> list[tuple[int, int]]:
    """Where `q` stands in the text, as start and stop."""
    return [match.span() for match in pattern(q).finditer(folded(text))] if q.strip() else []


def folded(text: str) -> str:
    """The text as the search compares it, but for runs of spaces: each character has its own place still."""
    return text.translate(FOLDED).lower()


@lru_cache(maxsize=16)
def pattern(q: str) -> re.Pattern[str]:
    """What finds `q` in folded text; a space finds a run of them."""
    return re.compile(" +".join(map(re.escape, re.split(" +", folded(q).strip(" ")))))


def snippet(html: str, q: str) -> SafeString:
    """What a reader sees around the first hit in a summary, marked; empty if the hit is not in what is seen."""
    text = visible(html)
    found = pattern(q).search(folded(text)) if q.strip() else None
    if found is None:
        return SafeString("")
    start = max(0, found.start() - BEFORE)
    if start:
        # From the next word on, unless that is the hit.
        gap = text.find(" ", start - 1, found.start())
        start = gap + 1 if gap >= 0 else start
    stop = max(start + LENGTH, found.end())
    if stop < len(text):
        gap = text.rfind(" ", found.end(), stop + 1)
        stop = gap if gap >= 0 else stop
    before, after = ("… " if start else "", " …" if stop < len(text) else "")
    return mark_safe(f"{before}{marked(text[start:stop], q)}{after}")


def visible(html: str) -> str:
    """The text that a reader sees of a summary's HTML, on one line."""
    return " ".join(unescape(TAGS.sub("", BLOCKS.sub(" ", html))).split())


def snippets_of(keys: Sequence[str], q: str) -> dict[str, SafeString]:
    """The snippets of these videos by key, each from the best of its summaries that has a visible hit: one query."""
    if not q or not keys or UNSTORABLE.search(q):
        return {}
    having = latest_summaries().filter(video__in=keys, text_folded__contains=Fold(Value(q)))
    found: dict[str, SafeString] = {}
    for summary in having.defer("text").best_first():
        if summary.video_id not in found and (text := snippet(summary.html, q)):
            found[summary.video_id] = text
    return found

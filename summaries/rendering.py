"""Stored summary text to the safe HTML of the reader.

The rules are those of `contract/summary_rendering.json` and of "Summaries" in `contract/ingest.md`: no word
of a summary is lost, and the text, which comes from a language model, is not trusted: whatever is returned
was either escaped or sanitised.
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from html import escape
from itertools import groupby

import nh3

NO_SUMMARY = "<p>No summary available.</p>"


def render(text: str | None, variant: str) -> str:
    """Return the HTML that the reader shows for a stored text of that variant.

    Source: `contract/summary_rendering.json`. Pure and deterministic, so the result may be stored.
    """
    readable = _storable(_readable_text(text or "", variant)).strip()
    html = _sanitised(readable) if _is_html(readable) else _laid_out(readable, variant)
    return html or NO_SUMMARY


def _storable(text: str) -> str:
    """Return the text without what PostgreSQL and UTF-8 cannot hold: NUL and lone surrogates."""
    return text.replace("\0", "\ufffd").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


# --- The stored text may be an object: to the text of one rendition

# Where there is no text for the stored type, the first of these is shown, and without them whatever there is.
_RENDITIONS = ("comprehensive", "bulletpoints", "keypoints", "summary")
_ALSO_CALLED = {"audio": "audiosummary", "keyinsights": "insights"}
# These tell about a text; they are no words of it.
_DESCRIPTIONS = {
    "defaultvariant",
    "generatedat",
    "kind",
    "language",
    "latestvariant",
    "proficiency",
    "summarytype",
    "type",
    "variant",
}
# Of a summary in parts: what is said around its points is no rendition of its own.
_POINTS = {"bulletpoints", "keypoints"}
_AROUND_POINTS = ("maintopic", "takeaway")
_SEPARATORS = str.maketrans("", "", "-_: ")

# Python's parser needs seconds for a megabyte of small tokens.
_LONGEST_LITERAL = 250_000

# "C:\new" is a path, not "C:" and, on the next line, "ew".
_WRITTEN_LINE_BREAK = re.compile(r"(?P<path>\b[A-Za-z]:\\(?!n[^a-z])[a-z][\w\\.-]*)|(?:\\r)?\\n")


# A language model likes to put an object between these.
_FENCED = re.compile(r"```\w*\s*([{\[].*[}\]])\s*```", re.DOTALL)


def _readable_text(text: str, variant: str) -> str:
    """Return the text to show: the fitting rendition where the text is an object, else the text itself."""
    stripped = text.strip().removeprefix("\ufeff")
    fenced = _FENCED.fullmatch(stripped)
    written = fenced[1] if fenced else stripped
    if written.startswith(("{", "[", '"{', '"[')):
        try:
            return _text_of(_decoded(written), variant)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            pass  # It only looks like an object, or is none that anyone would read.
    if "\\n" not in stripped or "\n" in stripped or "\r" in stripped:
        return stripped
    return _WRITTEN_LINE_BREAK.sub(lambda match: match["path"] or "\n", stripped)


def _decoded(text: str) -> dict | list:
    """Return the object written as JSON or as a Python literal; raise an error where it is neither."""
    try:
        # Numbers stay as they are written: they are words of the summary.
        value = json.loads(text, strict=False, parse_int=str, parse_float=str, parse_constant=str)
    except ValueError:
        if len(text) > _LONGEST_LITERAL:
            raise
        value = ast.literal_eval(text)
    if isinstance(value, str):
        return _decoded(value)  # Written as text twice.
    if not isinstance(value, dict | list):
        raise ValueError("neither an object nor a list")
    return value


def _text_of(value: object, variant: str) -> str:
    match value:
        case str():
            return _readable_text(value, variant)
        case None | bool():
            return ""
        case dict():
            return _text_of_mapping(value, variant)
        case list() | tuple():
            return "\n".join(f"- {item}" for item in _items_of(value, variant))
        case set():
            return _text_of(sorted(value, key=str), variant)  # A set has another order in each process.
        case _:
            return str(value)


def _text_of_mapping(mapping: dict, variant: str) -> str:
    """Return the rendition for the variant, else the first of the usual ones, else every text there is."""
    kind = _name(variant.partition(":")[0])
    names = dict.fromkeys((_name(variant), kind, _ALSO_CALLED.get(kind, kind), *_RENDITIONS))
    rank = {name: position for position, name in enumerate(names)}
    texts = []
    for key in sorted(mapping, key=lambda key: rank.get(_name(key), len(rank))):
        name = _name(key)
        if name in _DESCRIPTIONS:
            continue
        text = _text_of(mapping[key], variant)
        if not text.strip():
            continue
        if name in rank:
            return _with_topic_and_takeaway(text, mapping, variant) if name in _POINTS else text
        texts.append(text)
    return "\n".join(texts)


def _with_topic_and_takeaway(points: str, mapping: dict, variant: str) -> str:
    around = {_name(key): " ".join(_text_of(value, variant).split()) for key, value in mapping.items()}
    topic, takeaway = map(around.get, _AROUND_POINTS)
    lines = [f"Main topic: {topic}"] if topic else []
    lines += ["Key points:", points] if topic or takeaway else [points]
    return "\n".join(lines + ([f"Takeaway: {takeaway}"] if takeaway else []))


def _name(key: object) -> str:
    """Return a key or variant in the one spelling of `bullet_points`, `bullet-points` and `bulletPoints`."""
    return str(key).translate(_SEPARATORS).lower()


def _items_of(values: Iterable, variant: str) -> Iterator[str]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _items_of(value, variant)
        else:
            item = " ".join(_text_of(value, variant).split())
            bullet = _BULLET.match(item)
            yield item[bullet.end() :] if bullet else item


# --- Stored HTML: to safe HTML

_ALLOWED = {
    *("p", "br", "div", "ul", "ol", "li", "strong", "em", "b", "i", "u", "s", "h2", "h3", "h4"),
    *("blockquote", "code", "pre", "hr", "table", "thead", "tbody", "tr", "th", "td", "a"),
}
_CLEANER = nh3.Cleaner(
    tags=_ALLOWED,
    attributes={"a": {"href"}},
    allowed_classes={"div": {"kp-heading", "kp-takeaway"}, "ul": {"kp-list"}},
    url_schemes={"https", "http", "mailto"},
    link_rel="noopener noreferrer",
)

# The sanitiser drops every other tag, which is right for these only: they stand within a line, or hold no
# words. Of "<dt>One</dt><dd>two</dd>" it would make one word, and of a drawing it would drop the words.
_DROPPED = {
    *("abbr", "acronym", "bdi", "bdo", "big", "cite", "data", "del", "dfn", "font", "ins", "kbd", "label"),
    *("mark", "q", "samp", "small", "span", "strike", "sub", "sup", "time", "tt", "var"),
    *("area", "base", "col", "embed", "img", "input", "link", "meta", "param", "source", "track", "wbr"),
    *("script", "style"),
}
_SHOWN_AS = {"h1": "h2", "h5": "h4", "h6": "h4"}

_BLOCK = r"<(p|div|ul|ol|h[1-6]|blockquote|pre|table|dl|section|article|main|header|figure|html|body)(?=[\s/>])"
_OPENING_BLOCK = re.compile(_BLOCK, re.IGNORECASE)
_STARTS_AS_HTML = re.compile(
    r"(?>\s+|<!doctype[^>]*>|<!--(?:(?!-->).)*-->)*+"
    rf"(?:{_BLOCK}|<(?:b|strong|em|i|u|s|a|span|font|small|mark|code|br|hr)(?=[\s/>]))",
    re.IGNORECASE | re.DOTALL,
)
_TAG_NAME = re.compile(r"(?<=<)(/?)([a-zA-Z][^\s/>]*)")
_TAG_WITH_ATTRIBUTES = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)([^>]*)")
_NO_CLASS = re.compile(r'(<[a-z0-9]+) class=""(?=>)')
_ANY_TAG = re.compile(r"<[^>]*>")

# Beyond these the time that the sanitiser takes grows with the square of the text; a short text is harmless.
_SHORT_HTML = 20_000
_DEEPEST_NESTING = 100
_LONGEST_ATTRIBUTES = 4_000
_MOST_REFERENCES = 50_000
_MOST_TAGS_AROUND_TABLES = 5_000
_NEVER_NESTED = {
    *("p", "li", "br", "hr", "tr", "td", "th", "thead", "tbody", "img", "input", "dt", "dd", "option"),
    *("wbr", "col", "source", "meta", "link"),
}


def _is_html(text: str) -> bool:
    """Return whether the text is HTML: it starts with an element, and has a block element, which is closed somewhere.

    Anything else is text, where `<b>` is shown as it is written.
    """
    if not _STARTS_AS_HTML.match(text):
        return False
    lower = text.lower()
    blocks = {opening[1] for opening in _OPENING_BLOCK.finditer(lower)}
    return any(f"</{name}>" in lower for name in blocks) and not _is_tangled(text)


def _is_tangled(html: str) -> bool:
    """Return whether the HTML is of a shape that no summary has, and that would keep the sanitiser busy."""
    if len(html) <= _SHORT_HTML:
        return False
    if html.count("&") > _MOST_REFERENCES:
        return True
    tags = _TAG_WITH_ATTRIBUTES.findall(html)
    if len(tags) > _MOST_TAGS_AROUND_TABLES and "<table" in html.lower():
        return True
    unclosed: Counter[str] = Counter()
    depth = 0
    for slash, name, attributes in tags:
        name = name.lower()
        if name in _NEVER_NESTED:
            pass
        elif not slash:
            unclosed[name] += 1
            depth += 1
        elif unclosed[name]:
            unclosed[name] -= 1
            depth -= 1
        if depth > _DEEPEST_NESTING or len(attributes) > _LONGEST_ATTRIBUTES:
            return True
    return False


def _sanitised(html: str) -> str:
    """Return the HTML with allowed elements and attributes only, or nothing where no word is left."""
    html = _NO_CLASS.sub(r"\1", _CLEANER.clean(_TAG_NAME.sub(_allowed_name, html)))
    return html if _ANY_TAG.sub("", html).strip() else ""


def _allowed_name(tag: re.Match[str]) -> str:
    name = tag[2].lower()
    return tag[1] + (name if name in _ALLOWED or name in _DROPPED else _SHOWN_AS.get(name, "div"))


# --- Stored text: to lines, to blocks, to HTML


class _Kind(Enum):
    BLANK = auto()
    LINE = auto()
    PARAGRAPH = auto()
    ITEM = auto()
    HEADING = auto()
    MAIN_TOPIC = auto()
    KEY_POINTS = auto()
    TAKEAWAY = auto()


_Block = tuple[_Kind, list[str]]

_SECTIONS = (_Kind.MAIN_TOPIC, _Kind.KEY_POINTS, _Kind.TAKEAWAY)

# Only • does without the space: "-5 degrees", "*emphasis*" and "—Non !" are no list items.
_BULLET = re.compile(r"•\s*|[-–—*](?:\s+|$)")
_MARKDOWN_HEADING = re.compile(r"#{1,6}\s+")
_NUMBERED = re.compile(r"\d+[.)]\s")

_LABEL = re.compile(
    r"(?:#{1,6}\s+)?(?P<bold>\*+)?\s*"
    r"(?P<name>main\s+topic|key\s+points|takeaway|comprehensive\s+summary)\s*"
    r"(?(bold)(?:(?P<closed>\*+\s*[:：]|[:：]\s*\*+)|[:：])|[:：])\s*",
    re.IGNORECASE,
)
_SECTION_OF = {"m": _Kind.MAIN_TOPIC, "k": _Kind.KEY_POINTS, "t": _Kind.TAKEAWAY}

# Within a line the same words may be part of a sentence; bold, capitalised and with a colon they are a label.
# The pattern begins with what is rare and looks back from there, so that the search is fast.
_LABEL_WITHIN_LINE = re.compile(
    r"\*\*(?<=[^\s•\-–—*#]\s\*\*)"
    r"(?:Main [Tt]opic|Key [Pp]oints|Takeaway|Comprehensive [Ss]ummary)(?::\*\*|\*\*:)"
)


# How the sections of a summary are called in contract/summary_rendering.json.
_USUAL = re.compile(r"\**(?:overview|key|main|summary|takeaways?)\b", re.IGNORECASE)


def _laid_out(text: str, variant: str) -> str:
    """Return the HTML of a text: main topic, headings, lists, paragraphs and takeaway.

    Short lines are headings in a comprehensive summary, and in any other text that has a list, or the title of a
    usual section, but neither main topic nor key points.
    """
    lines = list(_parsed(_LABEL_WITHIN_LINE.sub(r"\n\g<0>", text).strip().splitlines()))
    kinds = {kind for kind, _ in lines}
    with_headings = _name(variant.partition(":")[0]) == "comprehensive" or (
        kinds.isdisjoint({_Kind.MAIN_TOPIC, _Kind.KEY_POINTS})
        and (
            _Kind.ITEM in kinds
            or any(kind is _Kind.LINE and _USUAL.match(line) and _is_heading(line) for kind, line in lines)
        )
    )
    return _html_of(_blocks(lines, with_headings))


def _parsed(lines: Iterable[str]) -> Iterator[tuple[_Kind, str]]:
    """Yield what each line is, and its words without bullet and label."""
    for line in lines:
        content = line.strip()
        bullet = _BULLET.match(content)
        if bullet:
            content = content[bullet.end() :]
        if label := _LABEL.match(content):
            yield from _parsed_label(label, content[label.end() :])
        elif bullet:
            if content:
                yield _Kind.ITEM, content
        elif not content:
            yield _Kind.BLANK, ""
        elif heading := _MARKDOWN_HEADING.match(content):
            yield _Kind.HEADING, content[heading.end() :]
        elif _NUMBERED.match(content):
            yield _Kind.PARAGRAPH, content
        else:
            yield _Kind.LINE, content


def _parsed_label(label: re.Match[str], rest: str) -> Iterator[tuple[_Kind, str]]:
    if label["bold"] and not label["closed"]:
        rest = label["bold"] + rest  # The whole line is bold, not only its label.
    section = _SECTION_OF.get(label["name"][0].lower())
    if section in (_Kind.MAIN_TOPIC, _Kind.TAKEAWAY):
        yield section, rest
        return
    if section:
        yield section, ""
    if bullet := _BULLET.match(rest):
        yield _Kind.ITEM, rest[bullet.end() :]
    elif rest:
        yield _Kind.PARAGRAPH, rest


def _blocks(lines: Sequence[tuple[_Kind, str]], with_headings: bool) -> Iterator[_Block]:
    """Yield the blocks in the order of reading: topic, points, takeaway, whichever was written first.

    What has no label stays with the label before it. A label that comes a second time begins a new round
    of the three.
    """
    rounds: list[dict[_Kind | None, list[_Block]]] = [{None: []}]
    section = rounds[-1][None]
    # A topic that has no words yet, or a takeaway, which may have several lines.
    unfinished: _Block | None = None
    for number, (kind, content) in enumerate(lines, start=1):
        # With nothing below it, a line is no heading.
        is_heading = kind is _Kind.LINE and with_headings and number < len(lines) and _is_heading(content)
        if kind in _SECTIONS:
            if kind in rounds[-1]:
                rounds.append({})
            block = (kind, [content] if content else [])
            section = rounds[-1][kind] = [block]
            is_open = kind is _Kind.TAKEAWAY or (kind is _Kind.MAIN_TOPIC and not content)
            unfinished = block if is_open else None
        elif kind is _Kind.BLANK:
            if unfinished and unfinished[1]:
                unfinished = None
        elif kind is _Kind.LINE and unfinished and not content.startswith("**") and not (is_heading and unfinished[1]):
            unfinished[1].append(content)
            if unfinished[0] is _Kind.MAIN_TOPIC:
                unfinished = None
        else:
            unfinished = None
            section.append((_Kind.HEADING if is_heading else kind, [content]))
    for sections in rounds:
        for label in (None, *_SECTIONS):
            yield from sections.get(label, ())


def _is_heading(line: str) -> bool:
    """Return whether the line is a title, rather than a sentence, a part of one, or something said."""
    if len(line) >= 80 or line[0] in "-–—|":
        return False
    line = line.rstrip(":： ")
    if line.startswith("**") and not line.endswith("**"):
        return False
    first = next(filter(str.isalnum, line), "")
    return first != "" and not first.islower() and line.rstrip("*\"')”’»")[-1] not in ".,;…"


def _html_of(blocks: Iterable[_Block]) -> str:
    parts = []
    for kind, group in groupby(blocks, key=lambda block: block[0]):
        contents = [_inline(" ".join(lines)) for _, lines in group if lines and lines[0]]
        if not contents:
            continue
        match kind:
            case _Kind.ITEM:
                items = "".join(f"<li>{content}</li>" for content in contents)
                parts.append(f'<ul class="kp-list">{items}</ul>')
            case _Kind.TAKEAWAY:
                parts += [f'<div class="kp-takeaway"><strong>{content}</strong></div>' for content in contents]
            case _Kind.HEADING | _Kind.MAIN_TOPIC:
                parts += [f'<div class="kp-heading">{_without_colon(content)}</div>' for content in contents]
            case _:
                parts += [f"<p>{content}</p>" for content in contents]
    return "".join(parts)


_COLON_AT_END = re.compile(r"(?<!\s)\s*[:：](?=(?:</strong>)?$)")
_BOLD_MARKER = re.compile(r"\*{2,}")
_TWO_WORD_CHARACTERS = re.compile(r"\w\w")


def _without_colon(heading: str) -> str:
    return _COLON_AT_END.sub("", heading)


def _inline(text: str) -> str:
    """Return the text escaped, with `**bold**` as strong; a marker without a partner stays as written.

    So does one between two letters or digits: without it "2**3" would read 23.
    """
    text = escape(text)
    if "**" not in text:
        return text
    parts = []
    done = 0
    opening: re.Match[str] | None = None
    for marker in _BOLD_MARKER.finditer(text):
        start, end = marker.span()
        before = text[start - 1] if start else ""
        after = text[end : end + 1]
        if _TWO_WORD_CHARACTERS.match(before + after):
            continue
        if opening and not before.isspace():
            parts += [text[done : opening.start()], "<strong>", text[opening.end() : start], "</strong>"]
            done = end
            opening = None
        elif after and not after.isspace():
            opening = marker
    return "".join(parts) + text[done:]

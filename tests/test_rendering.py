"""Stored summary text becomes safe HTML, and no word of it is lost (contract/summary_rendering.json)."""

import json
import os
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summaries.rendering import NO_SUMMARY, render

SHARED = Path(os.environ.get("YTV2_SHARED") or Path(__file__).parents[2] / "shared")
EXAMPLES = SHARED / "contract" / "summary_rendering.json"

ALLOWED_TAGS = {
    *("p", "br", "div", "ul", "ol", "li", "strong", "em", "b", "i", "u", "s", "h2", "h3", "h4"),
    *("blockquote", "code", "pre", "hr", "table", "thead", "tbody", "tr", "th", "td", "a"),
}
ALLOWED_CLASSES = {"div": {"kp-heading", "kp-takeaway"}, "ul": {"kp-list"}}
ALLOWED_ATTRIBUTES = {"a": {"href", "rel"}} | {name: {"class"} for name in ALLOWED_CLASSES}
INLINE = {"strong", "em", "b", "i", "u", "s", "code", "a", "span", "font"}


class Page(HTMLParser):
    """What a browser would make of HTML: its words, and the elements that are not allowed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.faults: list[str] = []
        self.feed(html)
        self.close()

    @property
    def words(self) -> Counter[str]:
        return words_of(self.text)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.text += "" if tag in INLINE else " "
        for name, value in attrs:
            if name not in ALLOWED_ATTRIBUTES.get(tag, set()):
                self.faults.append(f"{tag} {name}")
            if name == "class" and not set((value or "").split()) <= ALLOWED_CLASSES[tag]:
                self.faults.append(f"{tag} class {value}")
            if name == "href" and urlsplit((value or "").strip()).scheme not in (
                "",
                "http",
                "https",
                "mailto",
            ):
                self.faults.append(f"{tag} href {value}")
        if tag not in ALLOWED_TAGS:
            self.faults.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.text += "" if tag in INLINE else " "

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"comment {data}")

    def handle_decl(self, decl: str) -> None:
        self.faults.append(f"declaration {decl}")


def words_of(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))


def words_shown(html: str) -> Counter[str]:
    return Counter() if html == NO_SUMMARY else Page(html).words


def normalised(html: str) -> str:
    """The HTML as the contract compares it: white space between tags and the form of ' do not count."""
    return re.sub(r">\s+<", "><", html.strip()).replace("&#x27;", "'")


def assert_shown(html: str, expected: str) -> None:
    assert normalised(html) == normalised(expected)


# --- The contract


def examples() -> list:
    if not EXAMPLES.exists():
        reason = f"{EXAMPLES} is not there; YTV2_SHARED names the folder that holds contract/"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(example, id=example["name"]) for example in json.loads(EXAMPLES.read_text())["examples"]]


@pytest.mark.parametrize("example", examples())
def test_contract_example_is_shown_as_the_contract_says(example):
    assert_shown(render(example["text"], example["type"]), example["html"])


# --- Lines of text


@pytest.mark.parametrize("variant", ["audio", "key-points", "comprehensive", "audio-fr:beginner", "", "??"])
@pytest.mark.parametrize("bullet", ["•", "-", "–", "—", "*"])
def test_line_with_bullet_is_list_item_in_every_layout(variant, bullet):
    html = render(f"A sentence.\n{bullet} one\n   {bullet}\ttwo\n\n{bullet} three", variant)
    assert_shown(html, '<p>A sentence.</p><ul class="kp-list"><li>one</li><li>two</li><li>three</li></ul>')


def test_round_bullet_needs_no_space():
    assert_shown(render("•one", "audio"), '<ul class="kp-list"><li>one</li></ul>')


@pytest.mark.parametrize("line", ["-5 degrees outside.", "*emphasis* first.", "—Non !", "---", "1. First", "2) x"])
def test_line_without_bullet_and_space_is_no_list_item(line):
    assert_shown(render(line, "comprehensive"), f"<p>{line}</p>")


def test_bullet_without_words_is_not_shown():
    assert_shown(render("- a\n-\n•\n- b", "audio"), '<ul class="kp-list"><li>a</li><li>b</li></ul>')
    assert render("**Key points:** -", "key-points") == NO_SUMMARY


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n", "\u2028", "\u2029", "\u0085", "\v", "\f"])
def test_every_kind_of_line_break_ends_a_paragraph(line_break):
    assert_shown(render(f"One.{line_break}Two.", "audio"), "<p>One.</p><p>Two.</p>")


@pytest.mark.parametrize("level", range(1, 7))
def test_markdown_heading_is_heading_in_every_layout(level):
    html = render(f"{'#' * level} What follows:\nText.", "audio")
    assert_shown(html, '<div class="kp-heading">What follows</div><p>Text.</p>')


def test_hash_before_a_word_is_no_heading():
    assert_shown(render("#1 reason", "audio"), "<p>#1 reason</p>")


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        ("Overview", "Overview"),
        ("Idées clés :", "Idées clés"),
        ("Why does it matter?", "Why does it matter?"),
        ("📌 Results", "📌 Results"),
        ("**Overview:**", "<strong>Overview</strong>"),
        ("2025 in short", "2025 in short"),
    ],
)
def test_short_title_is_heading_in_comprehensive_summary(line, heading):
    assert_shown(render(f"{line}\nText.", "comprehensive"), f'<div class="kp-heading">{heading}</div><p>Text.</p>')


@pytest.mark.parametrize(
    "line",
    [
        "A sentence.",
        "wrapped in the middle of",
        "He said “stop.”",
        "1. Install it",
        "* * *".replace(" ", ""),
        "| a | b |",
        "A title " + "that is far too long " * 5 + "to be one",
    ],
)
def test_sentence_or_part_of_one_is_no_heading_in_comprehensive_summary(line):
    assert_shown(render(f"{line}\nText.", "comprehensive"), f"<p>{line}</p><p>Text.</p>")


def test_bold_lead_with_text_is_paragraph_in_comprehensive_summary():
    assert_shown(render("**Note:** tail", "comprehensive"), "<p><strong>Note:</strong> tail</p>")


def test_short_title_is_heading_in_any_text_with_a_list_but_without_labels():
    assert_shown(
        render("Results\n- one", "audio"),
        '<div class="kp-heading">Results</div><ul class="kp-list"><li>one</li></ul>',
    )
    assert_shown(render("Results\nText.", "audio"), "<p>Results</p><p>Text.</p>")
    assert_shown(
        render("**Key points:**\n- one\nResults", "key-points"),
        '<ul class="kp-list"><li>one</li></ul><p>Results</p>',
    )


@pytest.mark.parametrize("text", ["Results", '{"comprehensive": "Results"}', "Results\n \n"])
def test_line_with_nothing_below_it_is_no_heading(text):
    assert_shown(render(text, "comprehensive"), "<p>Results</p>")
    assert_shown(render("# Results", "comprehensive"), '<div class="kp-heading">Results</div>')


@pytest.mark.parametrize("line", ["Overview", "Key Findings:", "**Summary**"])
def test_title_of_a_usual_section_makes_short_lines_headings(line):
    html = render(f"{line}\nText.\nAnother title\nMore text.", "audio")
    assert re.sub(r"</?strong>", "", html).count('<div class="kp-heading">') == 2
    assert words_shown(html) == words_of(f"{line} Text Another title More text")


def test_sentence_that_begins_like_a_usual_section_makes_no_headings():
    assert_shown(
        render("Key ideas follow below.\nTitle line\nText.", "audio"),
        "<p>Key ideas follow below.</p><p>Title line</p><p>Text.</p>",
    )


def test_takeaway_leaves_the_headings_of_a_list():
    assert_shown(
        render("Results\n- one\n**Takeaway:** T", "audio"),
        '<div class="kp-heading">Results</div><ul class="kp-list"><li>one</li></ul>'
        '<div class="kp-takeaway"><strong>T</strong></div>',
    )


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**a**", "<strong>a</strong>"),
        ("**several words & more** tail", "<strong>several words &amp; more</strong> tail"),
        ("**a** and **b**.", "<strong>a</strong> and <strong>b</strong>."),
        ("(**a**)", "(<strong>a</strong>)"),
        ("**Note:**tail", "<strong>Note:</strong>tail"),
        ("***a***", "<strong>a</strong>"),
        ("**open", "**open"),
        ("closed**", "closed**"),
        ("**open **b**", "**open <strong>b</strong>"),
        ("**a** **", "<strong>a</strong> **"),
        ("a ** b ** c", "a ** b ** c"),
        ("a** b**", "a** b**"),
        ("2**3 and 4**5", "2**3 and 4**5"),
        ("****", "****"),
    ],
)
def test_balanced_markers_are_bold_and_others_stay(text, html):
    assert_shown(render(text, "audio"), f"<p>{html}</p>")


# --- Labels


@pytest.mark.parametrize("prefix", ["", "  ", "- ", "• ", "•", "* ", "– ", "— ", "## ", "• ## "])
@pytest.mark.parametrize(
    "label",
    [
        "Takeaway:",
        "**Takeaway:**",
        "**Takeaway**:",
        "TAKEAWAY :",
        "**takeaway :**",
        "*Takeaway:*",
        "Takeaway：",
    ],
)
def test_label_that_leads_a_line_is_not_shown(prefix, label):
    assert_shown(
        render(f"{prefix}{label} Good for work.", "key-points"),
        '<div class="kp-takeaway"><strong>Good for work.</strong></div>',
    )


@pytest.mark.parametrize(
    "text",
    [
        "The key points: are three",
        "Our main topic: bread",
        "Takeaway lessons: two",
        "Takeaways: two",
        "Key points",
        "**Main topic**",
        "A **takeaway:** inside",
        "the comprehensive summary: is long",
    ],
)
def test_words_of_a_label_are_shown_where_they_are_part_of_a_sentence(text):
    assert words_shown(render(text, "key-points")) == words_of(text)


def test_label_alone_is_no_summary():
    assert render("**Main topic:**\n**Key points:**\n**Takeaway:**\nComprehensive Summary:", "audio") == NO_SUMMARY


def test_words_after_the_key_points_label_are_shown():
    assert_shown(
        render("Key points: - A\nKey points: are few", "key-points"),
        '<ul class="kp-list"><li>A</li></ul><p>are few</p>',
    )


def test_bold_over_label_and_words_stays_on_the_words():
    assert_shown(render("**Main topic: Bread**", "key-points"), '<div class="kp-heading"><strong>Bread</strong></div>')


def test_bold_words_after_a_label_stay_bold():
    assert_shown(
        render("Main topic: **Bread** and salt", "key-points"),
        '<div class="kp-heading"><strong>Bread</strong> and salt</div>',
    )


def test_label_without_words_takes_the_next_line():
    assert_shown(
        render("**Main topic:**\n\nBread\nText.\n**Takeaway:**\n\nBake.", "key-points"),
        '<div class="kp-heading">Bread</div><p>Text.</p><div class="kp-takeaway"><strong>Bake.</strong></div>',
    )


def test_bold_label_within_a_line_begins_a_section():
    assert_shown(
        render("• **Main topic:** Bread **Key points:** - Flour **Takeaway:** Bake.", "key-points"),
        '<div class="kp-heading">Bread</div><ul class="kp-list"><li>Flour</li></ul>'
        '<div class="kp-takeaway"><strong>Bake.</strong></div>',
    )


def test_topic_points_and_takeaway_are_shown_in_that_order():
    assert_shown(
        render("Intro.\n**Takeaway:** T\n**Key points:**\n- A\nText.\n**Main topic:** M", "key-points"),
        '<p>Intro.</p><div class="kp-heading">M</div><ul class="kp-list"><li>A</li></ul><p>Text.</p>'
        '<div class="kp-takeaway"><strong>T</strong></div>',
    )


def test_repeated_label_begins_a_new_round():
    assert_shown(
        render("Main topic: A\n- x\nTakeaway: t\nMain topic: B\n- y\nTakeaway: u", "key-points"),
        '<div class="kp-heading">A</div><ul class="kp-list"><li>x</li></ul>'
        '<div class="kp-takeaway"><strong>t</strong></div>'
        '<div class="kp-heading">B</div><ul class="kp-list"><li>y</li></ul>'
        '<div class="kp-takeaway"><strong>u</strong></div>',
    )


@pytest.mark.parametrize(
    ("tail", "html"),
    [
        ("more", '<div class="kp-takeaway"><strong>T more</strong></div>'),
        ("\nText.", '<div class="kp-takeaway"><strong>T</strong></div><p>Text.</p>'),
        ("**Note:** x", '<div class="kp-takeaway"><strong>T</strong></div><p><strong>Note:</strong> x</p>'),
        (
            "• **Best for:** x",
            '<div class="kp-takeaway"><strong>T</strong></div>'
            '<ul class="kp-list"><li><strong>Best for:</strong> x</li></ul>',
        ),
        (
            "- x\nText.",
            '<div class="kp-takeaway"><strong>T</strong></div><ul class="kp-list"><li>x</li></ul><p>Text.</p>',
        ),
        ("1. First", '<div class="kp-takeaway"><strong>T</strong></div><p>1. First</p>'),
        ("# Next", '<div class="kp-takeaway"><strong>T</strong></div><div class="kp-heading">Next</div>'),
    ],
)
def test_takeaway_goes_on_until_a_blank_line_or_a_line_of_another_kind(tail, html):
    assert_shown(render(f"**Takeaway:** T\n{tail}", "key-points"), html)


# --- Objects


FULL = {
    "audio": "spoken",
    "comprehensive": "long",
    "bullet_points": "- b",
    "key_points": "- k",
    "summary": "short",
}


@pytest.mark.parametrize("written", [json.dumps, repr])
@pytest.mark.parametrize(
    ("variant", "word"),
    [
        ("audio", "spoken"),
        ("Audio:advanced", "spoken"),
        ("bullet-points", "b"),
        ("bullet_points", "b"),
        ("key-points", "k"),
        ("summary", "short"),
        ("audio-fr", "long"),
        ("executive", "long"),
        ("", "long"),
    ],
)
def test_rendition_of_the_stored_type_is_shown_else_the_comprehensive_one(written, variant, word):
    assert words_shown(render(written(FULL), variant)) == {word: 1}


@pytest.mark.parametrize("absent", [None, "", "  \n", [], {}, {"language": "en"}, False])
def test_empty_rendition_gives_way_to_the_next(absent):
    assert words_shown(render(json.dumps({"comprehensive": absent, "key_points": "k", "summary": "s"}), "audio")) == {
        "k": 1
    }


@pytest.mark.parametrize("key", ["audio-fr:beginner", "audio_fr:beginner", "Audio FR:Beginner"])
def test_key_is_found_in_any_spelling(key):
    assert words_shown(render(json.dumps({"audio_fr": "autre", key: "simple"}), "audio-fr:beginner")) == {"simple": 1}


def test_level_falls_back_to_its_variant():
    assert words_shown(render('{"comprehensive": "long", "audio_fr": "autre"}', "audio-fr:beginner")) == {"autre": 1}


@pytest.mark.parametrize(
    ("key", "variant"),
    [("audio_summary", "audio"), ("insights", "key-insights"), ("keyPoints", "key-points")],
)
def test_other_name_of_a_variant_is_known(key, variant):
    assert words_shown(render(json.dumps({"comprehensive": "long", key: "own"}), variant)) == {"own": 1}


@pytest.mark.parametrize(
    "value",
    [
        {"summary": {"content": {"summary": "deep", "summary_type": "comprehensive"}}},
        {"content": {"audio": "other", "comprehensive": "deep"}},
        {"summary": "{'comprehensive': 'deep'}"},
        {"summary": json.dumps({"summary": json.dumps({"summary": "deep"})})},
        [[{"text": "deep", "language": "en"}]],
    ],
)
def test_nested_text_is_found(value):
    assert words_shown(render(json.dumps(value), "comprehensive")) == {"deep": 1}


def test_object_of_unknown_keys_shows_all_its_texts():
    html = render('{"intro": "One.", "parts": ["a", "b"], "language": "en", "end": {"x": "Two."}}', "audio")
    assert_shown(html, '<p>One.</p><ul class="kp-list"><li>a</li><li>b</li></ul><p>Two.</p>')


@pytest.mark.parametrize("written", [json.dumps, repr])
def test_list_becomes_list_items(written):
    value = {"key_points": ["One", "- two\nlines", ["three"], "", None, 4, {"point": "five", "why": "six"}]}
    assert_shown(
        render(written(value), "key-points"),
        '<ul class="kp-list"><li>One</li><li>two lines</li><li>three</li><li>4</li><li>five six</li></ul>',
    )


@pytest.mark.parametrize("written", [json.dumps, repr])
@pytest.mark.parametrize("points", [["Flour", "- Salt"], "• Flour\n• Salt", "**Key points:**\n- Flour\n- Salt"])
@pytest.mark.parametrize("key", ["key_points", "bulletPoints"])
def test_topic_and_takeaway_beside_the_points_are_shown_around_them(written, points, key):
    value = {"takeaway": "Bake.", key: points, "main_topic": "Bread", "headline": "other", "language": "en"}
    assert_shown(
        render(written(value), "key-points"),
        '<div class="kp-heading">Bread</div><ul class="kp-list"><li>Flour</li><li>Salt</li></ul>'
        '<div class="kp-takeaway"><strong>Bake.</strong></div>',
    )


def test_takeaway_beside_another_rendition_is_not_part_of_it():
    assert_shown(render('{"takeaway": "Bake.", "comprehensive": "Long."}', "key-points"), "<p>Long.</p>")


def test_labels_within_a_list_are_labels():
    assert_shown(
        render('["**Main topic:** Bread", "Flour", "Takeaway: Bake."]', "key-points"),
        '<div class="kp-heading">Bread</div><ul class="kp-list"><li>Flour</li></ul>'
        '<div class="kp-takeaway"><strong>Bake.</strong></div>',
    )


@pytest.mark.parametrize("number", ["42", "1.50", "-0.10", "12345678901234567890123", "1e400"])
def test_numbers_are_words_as_they_are_written(number):
    assert_shown(render(f'{{"comprehensive": {number}}}', "audio"), f"<p>{number}</p>")


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"summary": "One."}\n```',
        "```\n{'summary': 'One.'}\n```\n",
        '\ufeff{"summary": "One."}',
        json.dumps('{"summary": "One."}'),
        json.dumps(json.dumps({"summary": "One."})),
    ],
)
def test_object_is_read_from_whatever_it_is_wrapped_in(text):
    assert_shown(render(text, "audio"), "<p>One.</p>")


@pytest.mark.parametrize(
    "text", ["{}", "[]", "{'a': None}", '{"a": {"b": [[], ""]}}', '{"a": true}', '{"summary_type": "audio"}']
)
def test_object_without_any_text_is_no_summary(text):
    assert render(text, "audio") == NO_SUMMARY


@pytest.mark.parametrize(
    "text",
    [
        "{not a dict",
        "[Music] Hello",
        "{'a': open('x')}",
        "{'a', 'b'}",
        "{{name}}",
        "{{}}, {[]: 1}",
        "{{}}",
        "[1], [2]",
        '{"a": "b"} tail',
        '"{name}" is a placeholder',
        '"{name}"',
        '```json {"a": "b"',
        "{1: 0x" + "f" * 5000 + "}",
        "{'a': " + "-" * 5000 + "1}",
    ],
)
def test_text_that_only_looks_like_an_object_is_text(text):
    assert Page(render(text, "audio")).text.strip() == text


def test_set_is_shown_in_the_same_order_in_every_process():
    html = render("{'a': {'d', 'b', 'c', 'a', 'e'}}", "audio")
    assert re.findall("<li>(.)", html) == ["a", "b", "c", "d", "e"]


def test_raw_line_breaks_within_json_text_are_line_breaks():
    assert_shown(render('{"comprehensive": "One.\nTwo."}', "audio"), "<p>One.</p><p>Two.</p>")


# --- Line breaks that are written out


def test_written_line_breaks_are_line_breaks():
    assert_shown(
        render(r"One.\n\nTwo.\r\n- a\nb", "audio"),
        '<p>One.</p><p>Two.</p><ul class="kp-list"><li>a</li></ul><p>b</p>',
    )
    assert_shown(render(r'{"comprehensive": "One.\\nTwo."}', "audio"), "<p>One.</p><p>Two.</p>")


@pytest.mark.parametrize("text", [r"Open C:\new\notes and C:\temp now.", "Python's \\n is\na line break."])
def test_backslash_and_n_stay_in_a_path_and_beside_true_line_breaks(text):
    assert words_shown(render(text, "audio")) == words_of(text)


# --- HTML


def test_html_is_kept_as_far_as_it_is_allowed():
    allowed = (
        '<h2>T</h2><p>a <b>b</b> <a href="https://example.org/" rel="noopener noreferrer">c</a></p>'
        '<ul class="kp-list"><li>d</li></ul><table><tbody><tr><td>e</td></tr></tbody></table>'
        "<pre><code>f</code></pre>"
    )
    assert_shown(render("\n " + allowed, "audio"), allowed)


@pytest.mark.parametrize(
    "text",
    [
        "<b>bold</b> text",
        "<br>a<br>",
        "<b>x</b> <p>",
        "<!-- <p>x</p> -->",
        "<!-- -->" * 30 + "x",
        "Text <p>x</p>",
        "<p> opens a paragraph",
        "<para>x</para>",
        "a < b",
    ],
)
def test_markup_within_text_is_shown_as_written(text):
    page = Page(render(text, "audio"))
    assert page.text.strip() == text


@pytest.mark.parametrize("html", ["<P>One</P>", "<P>One</p>", "<p>One</P>"])
def test_html_in_capitals_is_html(html):
    assert_shown(render(html, "audio"), "<p>One</p>")


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("<strong>One</strong><ul><li>two</li></ul>", "<strong>One</strong><ul><li>two</li></ul>"),
        ("<b>One</b><br>two <p>three</p>", "<b>One</b><br>two <p>three</p>"),
        ("<!DOCTYPE html>\n<!-- made by <p> --> <p>One</p>", "<p>One</p>"),
    ],
)
def test_html_may_begin_with_something_else_than_a_block(html, shown):
    assert_shown(render(html, "audio"), shown)


def test_html_within_an_object_is_html():
    assert_shown(render(json.dumps({"summary": "<p>One</p>\\n<p>Two</p>"}), "audio"), "<p>One</p><p>Two</p>")


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("<h1>Title</h1>tail", "Title tail"),
        ("<table><tfoot><tr><td>a</td><td>b</td></tr></tfoot></table>", "a b"),
        ("<dl><dt>One</dt><dd>two</dd></dl>", "One two"),
        ("<p>a</p><select><option>b</option><option>c</option></select>", "a b c"),
        ("<p>a</p><SECTION>b</SECTION><Section class=x>c</Section>", "a b c"),
        ("<div><svg><text>a</text></svg><template>b</template><iframe>c</iframe></div>", "a b c"),
        ("<p>un<span>broken</span> word</p>", "unbroken word"),
        ("<p>a<script>b</script><style>c</style></p>", "a"),
    ],
)
def test_words_of_dropped_tags_survive_and_scripts_do_not(html, words):
    page = Page(render(html, "audio"))
    assert page.words == words_of(words)
    assert not page.faults


def test_html_without_words_is_no_summary():
    assert render("<p> <script>alert(1)</script></p>", "audio") == NO_SUMMARY


@pytest.mark.parametrize(
    ("attributes", "kept"),
    [
        ('href="https://e.org"', 'href="https://e.org"'),
        ('href="mailto:a@e.org" onclick="x()"', 'href="mailto:a@e.org"'),
        ('href="javascript:alert(1)"', ""),
        ('href=" java&#9;script:alert(1)"', ""),
        ('href="data:text/html,x" style="x"', ""),
    ],
)
def test_link_keeps_only_a_harmless_address(attributes, kept):
    html = render(f"<p><a {attributes}>x</a></p>", "audio")
    assert " ".join(html.split()) == f'<p><a {kept + " " if kept else ""}rel="noopener noreferrer">x</a></p>'


def test_only_the_classes_of_the_layout_are_kept():
    html = render('<div class="kp-heading evil">a</div><ul class="kp-list x"><li class="y">b</li></ul>', "audio")
    assert_shown(html, '<div class="kp-heading">a</div><ul class="kp-list"><li>b</li></ul>')


def test_classes_of_others_leave_nothing_behind():
    html = '<div class="x"><p class="mb-6">a &lt;p class=""&gt;</p></div>'
    assert_shown(render(html, "audio"), '<div><p>a &lt;p class=""&gt;</p></div>')


# --- Characters and sizes


@pytest.mark.parametrize(
    "text", ["\0", "a\0b", "\ud800", "a \udfff b", '{"a": "\\u0000 \\ud800 b"}', "<p>\0 \ud800 x</p>"]
)
def test_characters_that_cannot_be_stored_are_replaced(text):
    html = render(text, "audio")
    assert "\0" not in html
    html.encode()


def test_emoji_that_is_written_as_two_surrogates_is_healed():
    assert_shown(render(r"{'audio': 'Yes \ud83d\ude00'}", "audio"), "<p>Yes 😀</p>")


@pytest.mark.parametrize(
    "piece",
    [
        *("word ", "word word word word word.\n", "\n", " ", "- ", "# ", ":", "'", "\\'", "\\n", "\0"),
        *("*", "** ", "a**", "**a ", "Takeaway: ", "**Takeaway:** x ", "&", "<", "<a "),
    ],
)
@pytest.mark.parametrize("opening", ["", "Main topic: a", "<p>a</p>", "{'a': '"])
def test_long_text_of_anything_is_rendered(opening, piece):
    """A rule whose time is the square of the length would need minutes here."""
    assert "zz" in render(opening + piece * (100_000 // len(piece)) + " zz", "comprehensive")


def test_megabyte_of_text_is_rendered():
    line = "- Fast & **cheap** words, and more of them.\n"
    assert render(line * 25_000, "key-points").count("<strong>cheap</strong>") == 25_000


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{" * 100_000,
        '{"a":' * 100_000 + '"x"' + "}" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        "{'a': [" + "1+" * 50_000 + "1]}",
        "{'a': [" + "'b', " * 150_000 + "]}",
        "<div>" * 100_000 + "x</div>",
        "<ul><li>" * 50_000 + "x</ul>",
        "<table>" + "<p>x" * 100_000 + "</table>",
        "<p " + " ".join(f"a{number}" for number in range(100_000)) + ">x</p>",
        "<p>" + "&amp;" * 200_000 + "</p>",
        "<!-- -->" * 50_000 + "x",
        "<b>" * 50_000 + "<p>x</p>",
        "```{" + "} " * 100_000 + "x",
    ],
    ids=lambda text: text[:12],
)
def test_tangled_input_is_rendered_as_text(text):
    assert words_of(text) - words_shown(render(text, "audio")) == Counter()


def test_large_html_is_still_html():
    assert render("<p>one <strong>two</strong></p>" * 20_000, "audio").startswith("<p>one <strong>two</strong></p><p>")


# --- No word is lost, and nothing harmful is shown, whatever the text


LABELS = ["Main topic:", "Key points:", "Takeaway:", "Comprehensive Summary:"]
BULLETS = ["", "", "- ", "• ", "– ", "— ", "* ", "  - ", "1. ", "12) ", "## "]
VARIANTS = st.sampled_from(["audio", "audio-fr:beginner", "comprehensive", "bullet-points", "key-points", "new_one"])

words = st.one_of(
    st.sampled_from(
        [
            "takeaway",
            "Key",
            "points",
            "été",
            "Übung",
            "東京",
            "слово",
            "3.5",
            "O'B",
            "a&b",
            "<b>",
            "x_y",
            "2**3",
            "**",
            "—",
        ]
    ),
    st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8),
)
bold_words = st.lists(words, min_size=1, max_size=3).map(lambda some: f"**{' '.join(some)}**")
# The first word keeps a sentence from beginning with a label by chance.
sentences = st.lists(st.one_of(words, bold_words), max_size=8).map(lambda some: " ".join(["Le", *some]))
line_breaks = st.sampled_from(["\n", "\n\n", "\r\n", "\r", "\u2028", "\u0085"])


@st.composite
def labelled_texts(draw) -> tuple[str, str]:
    """A text, and the same without the labels."""
    text = plain = ""
    for sentence in draw(st.lists(sentences, min_size=1, max_size=8)):
        bullet = draw(st.sampled_from(BULLETS))
        label = draw(st.sampled_from(["", *LABELS]))
        if label and bullet.strip()[:1].isdigit():
            bullet = ""
        form = draw(st.sampled_from(["{} ", "**{}** ", "{}", "**{}**\n"]))
        line_break = draw(line_breaks)
        text += bullet + (form.format(label) if label else "") + sentence + line_break
        plain += bullet + sentence + line_break
    return text, plain


@given(labelled_texts(), VARIANTS)
@settings(max_examples=80, deadline=None)
def test_every_word_but_the_labels_is_shown_as_often_as_it_is_written(texts, variant):
    text, plain = texts
    assert words_shown(render(text, variant)) == words_of(plain)


@given(labelled_texts(), VARIANTS, st.sampled_from(["json", "literal", "nested", "written line breaks"]))
@settings(max_examples=60, deadline=None)
def test_every_word_of_the_rendition_is_shown_however_it_is_stored(texts, variant, form):
    text, plain = texts
    stored = {
        "json": json.dumps({"headline": "other", "comprehensive": text}),
        "literal": repr({"comprehensive": text, "headline": "other"}),
        "nested": json.dumps({"summary": {"content": {"summary": text, "summary_type": variant}}}),
        "written line breaks": "\\n".join(text.splitlines()),
    }[form]
    assert words_shown(render(stored, variant)) == words_of(plain)


@given(st.lists(sentences, min_size=1), VARIANTS)
@settings(max_examples=60, deadline=None)
def test_every_word_of_a_list_is_shown(items, variant):
    assert words_shown(render(json.dumps({"key_points": items}), variant)) == words_of(" ".join(items))


@given(st.text(st.sampled_from("aB1_ *-•—#.:,;<>&\"'\n\r\t\u2028\0\u00a0/{}[]()é東"), max_size=60), VARIANTS)
@settings(max_examples=250, deadline=None)
def test_every_word_of_any_text_is_shown(text, variant):
    assert words_shown(render(text, variant)) == words_of(text)


@given(st.text(st.characters(categories=None), max_size=80), VARIANTS)
@settings(max_examples=60, deadline=None)
def test_any_text_is_rendered_as_allowed_html_that_can_be_stored(text, variant):
    html = render(text, variant)
    assert Page(html).faults == []
    assert "\0" not in html
    assert html == html.encode().decode()
    assert html == render(text, variant)


html_tags = st.sampled_from(
    [
        *("p", "div", "ul", "li", "h1", "h2", "h6", "blockquote", "section", "article", "dl", "dd", "figure"),
        *("span", "b", "em", "code", "font", "x-new", "nav", "form", "label", "svg", "text"),
    ]
)
html_texts = st.recursive(
    st.lists(st.sampled_from(["one", "deux", "três", "a&amp;b", "&eacute;", "5&lt;6"]), min_size=1).map(" ".join),
    lambda inner: st.tuples(html_tags, st.lists(inner, max_size=3)).map(
        lambda element: f"<{element[0]}>{' '.join(element[1])}</{element[0]}>"
    ),
    max_leaves=12,
)


@given(html_texts, VARIANTS)
@settings(max_examples=60, deadline=None)
def test_every_word_of_html_is_shown(html, variant):
    stored = f"<div>{html}</div>"
    shown = render(stored, variant)
    assert words_shown(shown) == words_shown(stored)
    assert Page(shown).faults == []


HOSTILE = r"""
<p>
</p>
<div>
</div>
<p style=x>
<script>alert(1)</script>
<style>*{}</style>
<img src=x onerror=alert(1)>
<a href="javascript:alert(1)">
<a href='https://example.org' onclick=x>
</a>
<svg/onload=alert(1)>
</svg>
<math><mi xlink:href=javascript:x>
<iframe srcdoc='<script>'>
<!--
-->
<![CDATA[
]]>
<
>
"
'
&lt;script&gt;
&#60;
<noscript>
<title>
</title><img src onerror=x>
<template>
<table>
<td>
<select>
<xmp>
<plaintext>
<x y='
<base href=//example.org>
<form action=//example.org>
<h1 onmouseover=x>
{"summary": "
"}
**
-
Takeaway:
word
""".splitlines()

hostile = st.lists(st.sampled_from([*HOSTILE, "\n", " ", "\0"]), max_size=12)


@given(st.sampled_from(["", "<p>", "<div>", "<table>"]), hostile, VARIANTS)
@settings(max_examples=200, deadline=None)
def test_hostile_text_leaves_nothing_that_is_not_allowed(opening, pieces, variant):
    html = render(opening + "".join(pieces) + opening.replace("<", "</"), variant)
    assert Page(html).faults == []

"""Writes made-up snapshots in the old dashboard's SQLite schema: of any size, and always the same for a seed.

The shapes, and the shares of odd values, follow the real snapshot of 2025-09-11 and the formats that
contract/ingest.md lists. Titles, channels and texts are composed from the word lists below; they name nobody.
"""

import json
import os
import re
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, product
from operator import itemgetter
from pathlib import Path
from random import Random
from typing import Any

from ingest.sqlite.schema import Generation

TAXONOMY = Path(__file__).resolve().parents[2] / "videos" / "taxonomy.json"
VIDEOS_PER_BATCH = 1_000
PROTOTYPES = 5_000
PLANTED_WORD = "zyzzyva"
SUMMARIES_PER_PLANTED_WORD = 20_000

FIRST_DAY = datetime(2018, 1, 1)
FIRST_INDEXED = datetime(2023, 1, 1)
LAST_INDEXED = datetime(2025, 9, 10, 17, 3, 9)
DAYS = [f"{FIRST_DAY + timedelta(days=day):%Y-%m-%d}" for day in range((LAST_INDEXED - FIRST_DAY).days + 1)]

# One case only, so that ids still differ when the old row id lower-cases them.
YOUTUBE_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz-_"
BASE36_ALPHABET = YOUTUBE_ALPHABET[:36]
NOT_IN_STEM = re.compile(r"[^a-z0-9]+")
NOT_IN_PLAIN_TITLE = re.compile(r"[^\w ]+")


@dataclass(frozen=True)
class SnapshotSummary:
    """What was written: the file, the number of rows of each table, and the size of the file."""

    path: Path
    rows: dict[str, int]
    size_bytes: int


@dataclass(frozen=True)
class Phrases:
    """Patterns for titles and sentences in one language, and the words that fill their slots."""

    titles: tuple[str, ...]
    subtitles: tuple[str, ...]
    sentences: tuple[str, ...]
    objects: tuple[str, ...]
    results: tuple[str, ...] = ("",)
    adjectives: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class Theme:
    """What a group of videos is about: subjects in one language, and the categories that fit them."""

    phrases: Phrases
    categories: tuple[str, ...]
    subjects: tuple[str, ...]


@dataclass(frozen=True)
class Material:
    """The building blocks that are composed once for a theme."""

    theme: Theme
    titles: list[str]
    subtitles: list[str]
    sentences: list[str]
    paragraphs: list[str]
    topics: list[str]


@dataclass(frozen=True)
class Classification:
    """The categories of one video: the first subcategory, and JSON text in the three forms it is kept in."""

    flat: str
    subcategory: str | None
    structured: str | None
    analysis: str


@dataclass(frozen=True)
class Prototype:
    """What many videos may have in common. The tuples are runs of neighbouring columns of `content`."""

    material: Material
    summary_type: str
    measures: tuple[int, ...]
    counts: tuple[int, ...]
    labels: tuple[str | None, ...]
    subcategory: str | None
    subcategories_json: str | None
    analysis: str | None
    json_size: int
    mp3_size: int


def listed(text: str) -> tuple[str, ...]:
    """The items of a word list, separated by semicolons or line ends."""
    return tuple(re.split(r"\s*[;\n]\s*", text.strip()))


def listed_french(text: str) -> tuple[str, ...]:
    """The items of a French word list, with the typographic apostrophe that French texts have."""
    return listed(text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}"))


def repeated(shares: Sequence[tuple[int, Any]]) -> tuple[Any, ...]:
    """Each value as often as its share says, to pick from with equal chances."""
    return tuple(value for share, value in shares for _ in range(share))


ENGLISH = Phrases(
    titles=listed("""
        The truth about {subject}
        {Subject} explained
        A closer look at {subject}
        What nobody tells you about {subject}
        Inside {subject}: {result} for {object}
        {Subject}: a beginner's guide
        Is it time to rethink {subject}?
        {number} lessons from {subject}
        I spent {number} days with {subject}
        {Subject} vs {other}: which one wins?
        The hidden history of {subject}
        Getting started with {subject} ({year})
        {Subject} in {number} minutes
        How {object} changed because of {subject}
        Why {object} can't ignore {subject} any more
        The "{adjective}" case for {subject}
        From {other} to {subject}: {number} years of {result}
        We tested {subject} so you don't have to
        {Subject} & {object}: an {adjective} story
        Everything that went wrong with {subject} in {year}
    """),
    subtitles=listed("""
        what {object} learned in {year}
        {number} {adjective} facts
        the {adjective} part comes last
        a warning from {object}
        {result} at last
        a {year} story
        with notes on {other}
        for {object} and everybody else
    """),
    sentences=listed("""
        The main argument is that {subject} could reshape {object} within {number} years.
        Early experiments with {subject} produced {adjective} {result}, and nobody expected that.
        By {year} most of {object} had some contact with {subject}, often without knowing it.
        A useful comparison is {other}, where the same pattern led to {result}.
        Critics answer that {object} cannot absorb the cost of {subject}, however {adjective} the promise.
        First, the video looks at where {subject} came from and who paid the bill.
        The numbers are {adjective}: about {number} percent of {object} reported {result}.
        Moving on, the presenter explains step by step how {subject} behaved under pressure.
        One {adjective} detail is that {object} knew about {subject} long before {year}.
        In practice, the team measured {result} over {number} weeks before drawing any conclusion.
        That matters because {object} rarely recover once {subject} and {other} are out of balance.
        The second half turns to {object}, with {adjective} examples and a short demonstration.
        There is a warning too: without {result}, {subject} can become an expensive distraction.
        The advice is simple: start small, keep notes, and return to {subject} every {number} days.
        Interviews from {year} show how {adjective} the debate about {subject} used to be.
        Compared with {other}, the approach behind {subject} needed half the space and gave {result}.
        What surprised the researchers was not {subject} but the effect on {object}.
        In short, anyone who cares about {object} should keep an eye on {subject}.
    """),
    objects=listed("""
        small towns; hospitals; supply chains; schools; farmers; electricity grids; musicians;
        coastal villages; software teams; insurance companies; museums; commuters; family budgets;
        research groups; night shifts; independent shops; shipping routes; retired engineers; young parents;
        universities; factories; national parks; newsrooms; amateur clubs; governments; weekend travellers;
        archives; restaurants; courts; volunteers
    """),
    results=listed("""
        lower costs; fewer accidents; better memory; new markets; cleaner water; a quiet revolution;
        steady progress; unexpected failures; stronger communities; faster repairs; reliable income;
        long delays; higher temperatures; public trust; sharper images; record harvests; legal trouble;
        mixed reviews; lasting peace; richer flavour; less waste; open questions; clearer data;
        political pressure
    """),
    adjectives=listed("""
        unusual; awkward; elegant; unlikely; expensive; ordinary; uneven; honest; underrated; ambitious;
        early; stubborn; intricate; dramatic; old-fashioned; impressive; inconvenient; original; odd;
        incomplete
    """),
)
FRENCH = Phrases(
    titles=listed_french("""
        Comprendre {subject} en {number} minutes
        Comment {subject} a transformé {object}
        Pourquoi {subject} fascine encore
        {Subject} : ce qu'il faut savoir avant d'aller plus loin
        J'ai testé {subject} pendant {number} jours
        {Subject} : mythe ou réalité ?
        Et si {subject} disparaissait ?
        Où en est {subject} en {year} ?
    """),
    subtitles=listed_french("""
        {number} idées reçues
        l'histoire depuis {year}
        et si on regardait {other} ?
        le dossier complet
    """),
    sentences=listed_french("""
        Commençons par le contexte : {subject} a mis {number} ans à trouver son public.
        On découvre comment {subject} a changé {object}, parfois sans que personne ne s'en aperçoive.
        D'après les chercheurs, {subject} influence {object} bien plus qu'on ne le croyait en {year}.
        Le plus étonnant, c'est que {subject} progresse même quand {object} résiste.
        En pratique, il vaut mieux avancer par étapes et noter chaque résultat pendant {number} semaines.
        À l'inverse, certains spécialistes estiment que {subject} coûte trop cher et menace {object}.
        La deuxième partie compare {subject} et {other}, avec des exemples très concrets.
        Résultat : près de {number} pour cent des personnes interrogées ont changé d'avis.
        Depuis {year}, {subject} attire aussi des bénévoles, des élèves et des ingénieurs.
        Ce détail paraît anodin, mais il explique pourquoi {object} a pris du retard.
        Enfin, la vidéo rappelle que {subject} reste fragile et mérite une attention particulière.
        À retenir : la méthode compte davantage que le matériel, et la patience davantage que la vitesse.
    """),
    objects=listed_french("""
        la vie quotidienne; le commerce local; l'économie régionale; le paysage; l'école primaire;
        la santé publique; le réseau électrique; la recherche européenne; le budget des familles;
        l'industrie navale; la culture populaire; le marché du travail
    """),
)
SPANISH = Phrases(
    titles=listed("""
        Cómo {subject} cambió {object}
        ¿Por qué importa {subject} en {year}?
        Entender {subject} en {number} minutos
        {Subject}: lo que nadie te cuenta
    """),
    subtitles=listed("{number} datos curiosos; la historia desde {year}; sin rodeos"),
    sentences=listed("""
        El vídeo explica cómo {subject} cambió {object} en apenas {number} años.
        Según los investigadores, {subject} ofrece resultados sólidos desde {year}.
        También se compara {subject} con {other}, y la diferencia es clara.
        En la práctica conviene empezar poco a poco y anotar cada paso durante {number} días.
        Lo más sorprendente es que {object} apenas reaccionó al principio.
        En resumen, {subject} merece más atención y mejores datos.
    """),
    objects=listed("la vida diaria; la economía local; la escuela; la ciudad; la pesca; la música"),
)
GERMAN = Phrases(
    titles=listed("""
        Warum {subject} heute wichtig ist
        {Subject} einfach erklärt
        {Subject} in {number} Minuten
        Was {subject} für {object} bedeutet
    """),
    subtitles=listed("{number} Fakten; die Geschichte seit {year}; ganz ohne Fachwörter"),
    sentences=listed("""
        Das Video zeigt, wie {subject} {object} seit {year} verändert hat.
        Nach {number} Wochen waren die Ergebnisse überraschend eindeutig.
        Fachleute betonen, dass {subject} ohne gute Planung schnell teuer wird.
        Im Vergleich dazu wirkt {other} beinahe altmodisch.
        Wer anfangen möchte, sollte kleine Schritte gehen und alles aufschreiben.
        Am Ende bleibt {subject} eine Frage der Geduld und der Übung.
    """),
    objects=listed("den Alltag; die Stadt; den Handel; die Schule; das Klima; die Landschaft"),
)

ENGLISH_THEMES = (
    Theme(
        ENGLISH,
        ("Technology", "AI Software Development", "Computer Hardware", "Home Theater", "Reviews & Products"),
        listed("""
            open source databases; coding agents; language models; home servers; mechanical keyboards;
            solid state drives; message queues; type systems; container clusters; C++ <templates> & macros;
            graphics cards; static site generators; password managers; subwoofer placement;
            projector screens; retrieval pipelines; CI/CD pipelines; USB-C docks; supply-chain attacks;
            vector search; embedded firmware; memory safety; cache invalidation; tape backups
        """),
    ),
    Theme(
        ENGLISH,
        ("History", "World War I (WWI)", "World War II (WWII)", "Cold War"),
        listed("""
            Roman roads; the spice trade; medieval guilds; codebreaking machines; trench railways;
            the Berlin airlift; Bronze Age shipwrecks; canal builders; lighthouse keepers; the Silk Road;
            wartime rationing; siege engines; cathedral masons; polar expeditions; the printing press;
            convoy escorts; early submarines; lost alphabets; plague cities; fallout shelters; the salt tax;
            river forts; merchant letters; cavalry & cannon
        """),
    ),
    Theme(
        ENGLISH,
        ("Science & Nature", "Astronomy", "Health & Wellness"),
        listed("""
            black holes; coral reefs; sleep cycles; gut bacteria; neutron stars; lava columns;
            migrating birds; quantum sensors; deep sea vents; glacier cores; cold water swimming;
            protein folding; backyard telescopes; comet dust; fungal networks; tidal power;
            strength training after 50; battery chemistry; bee navigation; exoplanet atmospheres;
            soil carbon; slime moulds; the ozone layer; breathing & heart rate
        """),
    ),
    Theme(
        ENGLISH,
        ("Lifestyle", "How-To & DIY"),
        listed("""
            smash burgers; sourdough starters; cast iron pans; street noodles; fermented hot sauce;
            weeknight curries; hand-cut pasta; wood joinery; kitchen knives; slow-roasted vegetables;
            espresso at home; pickled lemons; raised garden beds; salt & vinegar potatoes; rice cookers;
            smoked trout; leaking taps; dumpling folding; olive oil cakes; linen repair; brown butter;
            chilli crisp; home-made yoghurt; plaster walls
        """),
    ),
    Theme(
        ENGLISH,
        ("Hobbies & Special Interests", "Vlogs & Personal", "Sports"),
        listed("""
            night trains; island ferries; mountain huts; long-distance cycling; desert highways;
            model railways; trail marathons; harbour towns; budget airlines; border crossings;
            winter camping; fjord cruises; rowing machines; van conversions; old cable cars; fly fishing;
            carbon running shoes; street markets; rescue dogs; one-bag packing; chess openings;
            sailing at night; bed & breakfasts; climbing gyms
        """),
    ),
    Theme(
        ENGLISH,
        ("Arts & Creativity", "Entertainment", "Gaming"),
        listed("""
            film scores; pixel art; speedrunning; stop-motion sets; analogue synthesisers; city builders;
            puppet theatre; black & white photography; retro consoles; mystery novels; colour grading;
            choir arrangements; sketch comedy; voice acting; board game design; ballet training;
            street murals; practical effects; drum machines; game jams; short stories; ink drawing;
            sound design; opera houses
        """),
    ),
    Theme(
        ENGLISH,
        ("Business", "News & Politics", "Education", "Religion & Philosophy", "General", "CJCLDS"),
        listed("""
            interest rates; family businesses; remote work; city budgets; water boards; spaced repetition;
            stoic practice; airline boarding; housing shortages; trade agreements; public libraries;
            imposter syndrome; language learning; election software; R&D spending; pension funds;
            parables & proverbs; rail franchises; note-taking; local newspapers; moral luck; container ports;
            debate clubs; open borders
        """),
    ),
)
FOREIGN_THEMES = {
    "fr": Theme(
        FRENCH,
        ("History", "Science & Nature", "Lifestyle", "Education"),
        listed_french("""
            la cuisine de marché; le pain au levain; la mémoire; le sommeil; l'intelligence artificielle;
            la révolution industrielle; le canal du Midi; la forêt ancienne; l'énergie solaire;
            le train de nuit; la course à l'espace; l'architecture gothique; le fromage de chèvre;
            la batterie électrique; l'apprentissage des langues; la ruche connectée; le théâtre d'ombres;
            la randonnée d'hiver; l'écriture cunéiforme; la dette publique; le noyau de la Terre;
            l'élevage en montagne; la pêche côtière; le vélo cargo
        """),
    ),
    "es": Theme(
        SPANISH,
        ("History", "Lifestyle", "Business"),
        listed("""
            la cocina lenta; el comercio marítimo; la energía eólica; el aprendizaje automático;
            la lluvia ácida; el tren nocturno; la pintura mural; el sueño profundo; la montaña en invierno;
            la economía circular; el huerto urbano; la cerámica antigua
        """),
    ),
    "de": Theme(
        GERMAN,
        ("Technology", "History", "Science & Nature"),
        listed("""
            die Nachtzugreise; der Sauerteig; die Wärmepumpe; das Gedächtnis; der Brückenbau;
            die Glasbläserei; die künstliche Intelligenz; das Mittelalter; der Kräutergarten; die Sternwarte;
            die Straßenbahn; der Wald im Winter
        """),
    ),
}
NUMBERS = ("3", "5", "7", "10", "12", "14", "21", "25", "30", "40", "60", "90")
YEARS = tuple(str(year) for year in range(1905, 2026, 4))

OTHER_SCRIPT_TITLES = listed("""
    日本の鉄道はなぜ正確なのか; 量子コンピュータ入門 第{number}回; 初心者のための味噌作り;
    如何在家做手工面条; 人工智能的未来 {year}; 黑洞是什么; 한국의 골목 시장 여행; كيف تعمل الذاكرة البشرية;
    تاريخ طريق الحرير في {number} دقائق; أسرار الخبز المنزلي; Как устроены чёрные дыры
""")
EMOJI = ("🤯", "🔥", "🚀", "🍜", "🔭", "✈️", "👩‍🍳", "🇫🇷", "💡", "⚡")
TITLE_SEPARATORS = (" | ", " - ", " \N{EN DASH} ")
TITLE_FRAMES = (
    "{title} <Full Breakdown>",
    "“{title}”",
    "{title} \N{EN DASH} Part {number}",
    "{title} | Episode #{number}",
    "[{year}] {title}",
    "{title} (100% honest & <unsponsored>)",
    "'{title}'",
    "{title}…",
)

CHANNEL_ADJECTIVES = listed("""
    Amber; Bold; Brisk; Clever; Copper; Crooked; Curious; Daily; Distant; Dusty; Early; Eastern; Electric;
    Faded; Frosted; Gentle; Golden; Green; Hidden; Hollow; Honest; Humble; Inner; Jolly; Kindly; Linen;
    Little; Lucid; Midnight; Mossy; Nimble; Northern; Open; Orbital; Painted; Paper; Patient; Plain; Quiet;
    Royal; Rusty; Salted; Second; Seventh; Silver; Slow; Stray; Thirsty; Tidal; Upper; Urban; Velvet; Vivid;
    Wandering; Warm; Wooden; Yellow; Young; Zesty
""")
CHANNEL_NOUNS = listed("""
    Almanac; Anvil; Archive; Bakery; Beacon; Bridge; Cabinet; Canvas; Circuit; Compass; Depot; Echo; Engine;
    Falcon; Ferry; Foundry; Fountain; Garden; Gazette; Hammer; Harbour; Horizon; Ink; Island; Journal;
    Junction; Kettle; Kiln; Kitchen; Lantern; Ledger; Library; Loom; Market; Meadow; Museum; Needle;
    Notebook; Nursery; Observatory; Orchard; Oven; Pantry; Parade; Quarry; Quill; Railway; River; Saddle;
    Signal; Studio; Tavern; Telescope; Theatre; Umbrella; Violin; Voyage; Windmill; Workshop
""")
CHANNEL_FRAMES = ("{} {}", "{}{}", "The {} {}", "{} & {}", "Café {} {}", "{} {} TV")

RARE_WORDS = tuple(
    "".join(parts)
    for parts in product(
        listed("aero;crypto;dendro;electro;ferro;geo;helio;ichthyo;litho;myco;necto;paleo;rheo;thermo"),
        listed("basalt;cordal;dactyl;glyph;karst;lumin;morph;nebul;plasm;quartz;spor;tact;vort;xyl"),
        listed("ade;eme;ite;oid;oma;ology;osis;uria;arium;esque;ine;ation"),
    )
)

CONTENT_TYPES = repeated(
    (
        (60, "Discussion"),
        (8, "News"),
        (8, "Review"),
        (7, "Tutorial"),
        (5, "Documentary"),
        (3, "Interview"),
        (2, "Presentation"),
        (2, "Guide"),
        (4, ""),
        (1, None),
    )
)
COMPLEXITY_LEVELS = repeated(((75, "Intermediate"), (13, "Beginner"), (7, "Advanced"), (4, ""), (1, None)))
LANGUAGES = repeated(((84, "en"), (7, "fr"), (3, "es"), (3, "de"), (1, ""), (2, None)))
FORMAT_SOURCES = repeated(((67, "empty"), (30, "complete"), (3, "enriched")))
SUMMARY_TYPES = repeated(
    (
        (480, "audio"),
        (90, "audio-fr"),
        (110, "bullet-points"),
        (80, "key-points"),
        (50, "key-insights"),
        (100, "comprehensive"),
        (30, "executive"),
        (20, "adaptive"),
        (10, "deep-research"),
        (10, "audio-es"),
        (5, "audio-fr:intermediate"),
        (5, "audio-es:beginner"),
        (4, "summary"),
        (4, "key_insights"),
        (2, "haiku"),
    )
)
BULLET_TYPES = frozenset({"bullet-points", "key-points", "key-insights", "key_insights"})
THUMBNAILS = (
    "https://i.ytimg.com/vi/{}/hq720.jpg",
    "https://i.ytimg.com/vi/{}/hq720.jpg",
    "https://i.ytimg.com/vi/{}/maxresdefault.jpg",
    "https://i.ytimg.com/vi_webp/{}/maxresdefault.webp",
    "https://i.ytimg.com/vi/{}/sddefault.jpg",
    "https://i.ytimg.com/vi/{}/hq720_2.jpg?sqp=-oaymwEoCIAKENAF8quKqQMcGADwAQH4AbYIgAKAD4oCDAgAEAEYVSBbKGUwDw==",
)

# The other subcategories of this category are the names of living people.
NAMELESS_SUBCATEGORIES = {"CJCLDS": ["Other", "Non GC"]}


class Library:
    """Composes the rows of a made-up library from a seed, in the shape of the last generation."""

    def __init__(self, videos: int, seed: int) -> None:
        # A text, because as numbers 1 and -1 are the same seed.
        self.random = Random(str(seed))
        self.identity_key = self.random.getrandbits(96)
        self.summaries = 0

        self.indexed = FIRST_INDEXED
        self.left_in_import = 0
        # An import has 20 videos on average, so this spreads them over the whole period.
        self.seconds_between_imports = (LAST_INDEXED - FIRST_INDEXED).total_seconds() / (1 + videos / 20)

        taxonomy = json.loads(TAXONOMY.read_text(encoding="utf-8"))
        self.older_flat_names: list[str] = taxonomy["older_flat_names"]
        self.subcategories: dict[str, list[str]] = {
            entry["category"]: NAMELESS_SUBCATEGORIES.get(entry["category"], entry["subcategories"])
            for entry in taxonomy["categories"]
        }
        self.english = [self.compose_material(theme) for theme in ENGLISH_THEMES]
        self.foreign = {language: self.compose_material(theme) for language, theme in FOREIGN_THEMES.items()}
        self.prototypes = [self.compose_prototype() for _ in range(min(videos, PROTOTYPES))]
        self.clocks = [self.compose_clock() for _ in range(2_000)]
        self.pairs = [self.random_case(a + b) for a, b in product(YOUTUBE_ALPHABET, repeat=2)]

        channels = self.compose_channels(min(5_000, max(20, videos // 50)))
        # The share of a channel falls with its rank, as in real libraries: a few large ones and a long tail.
        shares = [1 / rank for rank in range(1, len(channels) + 1)]
        self.channels = [*channels, ("Unknown", ""), (None, "")]
        self.channel_weights = list(accumulate([*shares, sum(shares) * 0.05, sum(shares) * 0.01]))

    def pick(self, values: Sequence[Any]) -> Any:
        return values[int(self.random.random() * len(values))]

    # What is composed once

    def fill(self, pattern: str, theme: Theme) -> str:
        """The pattern with its slots filled with words of the theme."""
        subject = self.pick(theme.subjects)
        return pattern.format(
            subject=subject,
            Subject=subject[0].upper() + subject[1:],
            other=self.pick(theme.subjects),
            object=self.pick(theme.phrases.objects),
            result=self.pick(theme.phrases.results),
            adjective=self.pick(theme.phrases.adjectives),
            number=self.pick(NUMBERS),
            year=self.pick(YEARS),
        )

    def compose_material(self, theme: Theme) -> Material:
        phrases = theme.phrases
        sentences = [self.fill(self.pick(phrases.sentences), theme) for _ in range(400)]
        slugs = [stem(subject).replace("_", "-") for subject in theme.subjects]
        return Material(
            theme=theme,
            titles=[self.fill(self.pick(phrases.titles), theme) for _ in range(200)],
            subtitles=[self.fill(self.pick(phrases.subtitles), theme) for _ in range(100)],
            sentences=sentences,
            paragraphs=[" ".join(self.random.choices(sentences, k=self.pick((3, 4, 5)))) for _ in range(400)],
            topics=[json.dumps(self.random.sample(slugs, self.pick((1, 3, 5)))) for _ in range(100)],
        )

    def compose_classification(self, theme: Theme) -> Classification:
        """Structured categories for most; for the others flat ones only, older flat names, or nothing."""
        first = self.pick(theme.categories)
        others = [category for category in self.subcategories if category != first]
        categories = [first, *self.random.sample(others, self.pick((0, 0, 1, 1, 2)))]
        kind = self.random.random()
        if kind < 0.05:
            return Classification("[]", None, None, '"category": [], "categories": []')
        if kind < 0.15:
            categories = self.random.sample(self.older_flat_names, self.pick((1, 1, 2)))
        # Both ways of writing é are met: as itself and as an escape.
        ascii_only = self.random.random() < 0.5
        flat = json.dumps(categories, ensure_ascii=ascii_only)
        if kind < 0.28:
            return Classification(flat, None, None, f'"category": {flat}, "categories": []')
        entries = []
        for position, category in enumerate(categories):
            names = self.subcategories[category]
            # Only a later category may lack subcategories: the column `subcategory` holds one of the first.
            count = self.pick((0, 1, 1, 1, 2, 2, 3) if position else (1, 1, 2, 2, 3))
            chosen = self.random.sample(names, min(count, len(names)))
            entries.append({"category": category, "subcategories": chosen})
        structured = json.dumps({"categories": entries}, ensure_ascii=ascii_only)
        analysis = f'"category": {flat}, {structured[1:-1]}'
        return Classification(flat, entries[0]["subcategories"][0], structured, analysis)

    def compose_prototype(self) -> Prototype:
        draw = self.random.random
        language = self.pick(LANGUAGES)
        material = self.foreign.get(language) or self.pick(self.english)
        classification = self.compose_classification(material.theme)

        duration = int(40 + 5_000 * draw() ** 3) if draw() < 0.96 else 0
        has_audio = draw() < 0.8
        audio_duration = 0
        if has_audio and draw() < 0.4:
            audio_duration = duration if draw() < 0.7 else int(120 + 400 * draw())
        format_source = self.pick(FORMAT_SOURCES)
        has_transcript = format_source != "empty"
        word_count = int(100 + 6_000 * draw() ** 2) if has_transcript else 0
        views = int(10 ** (2 + 5 * draw()))

        content_type = self.pick(CONTENT_TYPES)
        complexity_level = self.pick(COMPLEXITY_LEVELS)
        key_topics = self.pick(material.topics) if has_transcript else "[]"
        named_entities = self.pick(material.topics) if draw() < 0.1 else "[]"
        analysis = (
            f'{{"schema_version": 2, {classification.analysis}, "content_type": {json.dumps(content_type)}, '
            f'"complexity_level": {json.dumps(complexity_level)}, "language": {json.dumps(language)}, '
            f'"key_topics": {key_topics}, "named_entities": {named_entities}}}'
        )
        return Prototype(
            material=material,
            summary_type=self.pick(SUMMARY_TYPES),
            measures=(
                duration,
                word_count,
                int(has_audio),
                audio_duration,
                int(has_transcript),
                int(word_count * 5.7),
            ),
            counts=(views, 0, 0) if has_transcript else (0, views // 25, views // 400),
            labels=(
                classification.flat,
                content_type,
                complexity_level,
                language,
                key_topics,
                named_entities,
                format_source,
            ),
            subcategory=classification.subcategory,
            subcategories_json=classification.structured,
            analysis=analysis if draw() < 0.4 else None,
            json_size=int(4_000 + 45_000 * draw() ** 3),
            mp3_size=16_000 * (audio_duration or 240) if has_audio and draw() < 0.4 else 0,
        )

    def compose_clock(self) -> str:
        """What follows the date: midnight, or a time of day with or without microseconds."""
        kind = self.random.random()
        if kind < 0.52:
            return "T00:00:00+00:00"
        second = int(self.random.random() * 86_400)
        clock = f"T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        return f"{clock}+00:00" if kind < 0.7 else f"{clock}.{self.random.randint(1, 999_999):06}+00:00"

    def random_case(self, text: str) -> str:
        return "".join(self.pick((character.lower(), character.upper())) for character in text)

    def compose_channels(self, count: int) -> list[tuple[str, str]]:
        """Distinct channel names, some with an id."""
        names = [
            frame.format(adjective, noun)
            for frame, adjective, noun in product(CHANNEL_FRAMES, CHANNEL_ADJECTIVES, CHANNEL_NOUNS)
        ]
        return [
            (name, f"UC{self.random.getrandbits(88):022x}" if rank % 5 == 0 else "")
            for rank, name in enumerate(self.random.sample(names, count))
        ]

    # What is composed for each video

    def batch(self, numbers: range) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of the next videos, by table, without the ids that SQLite gives."""
        rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in Generation.LAST.columns}
        prototypes = self.random.choices(self.prototypes, k=len(numbers))
        channels = self.random.choices(self.channels, cum_weights=self.channel_weights, k=len(numbers))
        for number, prototype, channel in zip(numbers, prototypes, channels, strict=True):
            if not self.left_in_import:
                self.start_import()
            self.left_in_import -= 1
            self.add_video(number, prototype, channel, rows)
        return rows

    def start_import(self) -> None:
        """The next moment at which videos are indexed; all videos of one import share it to the second."""
        self.left_in_import = 1 + int(self.random.random() * 39)
        step = timedelta(seconds=int(2 * self.random.random() * self.seconds_between_imports))
        self.indexed = min(self.indexed + step, LAST_INDEXED)
        self.indexed_day = (self.indexed - FIRST_DAY).days
        self.indexed_at = f"{self.indexed:%Y-%m-%dT%H:%M:%S}+00:00"
        self.created_at = f"{self.indexed:%Y-%m-%d %H:%M:%S}"

    def add_video(
        self,
        number: int,
        prototype: Prototype,
        channel: tuple[str | None, str],
        rows: dict[str, list[tuple[Any, ...]]],
    ) -> None:
        """Appends the rows of one video to the lists of their tables."""
        draw = self.random.random
        material, created_at = prototype.material, self.created_at
        title = self.title(material)
        title_stem = stem(title)
        row_id, video_id, canonical_url, thumbnail_url = self.identity(number, title_stem)
        file_stem = f"{title_stem}_{video_id.replace(':', '_')}"

        summary_type = "reddit-discussion" if video_id.startswith("reddit:") else prototype.summary_type
        inline_summary = None
        if draw() < 0.85:
            summary = self.summary(summary_type, material, title)
            rows["content_summaries"].append((row_id, summary, summary_type))
            if draw() < 0.2:
                inline_summary = summary
        else:
            summary = None
            # Some old rows have their only text in the column.
            if draw() < 0.2:
                inline_summary = self.summary("comprehensive", material, title)

        rows["content"].append(
            (
                row_id,
                title,
                canonical_url,
                thumbnail_url,
                self.published_at(),
                self.indexed_at,
                *prototype.measures,
                video_id,
                *channel,
                *prototype.counts,
                *prototype.labels,
                "imported",
                created_at,
                created_at,
                prototype.subcategory,
                prototype.subcategories_json,
                inline_summary,
                prototype.analysis,
            )
        )
        files = rows["content_files"]
        files.append((row_id, "json", f"data/reports/{file_stem}.json", prototype.json_size, created_at))
        if prototype.mp3_size:
            files.append((row_id, "mp3", f"exports/{file_stem}.mp3", prototype.mp3_size, created_at))
        message = f"Processed as {prototype.labels[-1]} format"
        rows["migration_log"].append((f"{file_stem}.json", row_id, "success", message, created_at))
        if draw() < 1 / 3:
            self.add_variants(video_id, material, title, summary_type, summary, rows["summary_variants"])

    def add_variants(
        self,
        video_id: str,
        material: Material,
        title: str,
        summary_type: str,
        summary: str | None,
        rows: list[tuple[Any, ...]],
    ) -> None:
        """Appends one to three kinds of summary, some in two revisions, the second the latest."""
        others = [self.pick(SUMMARY_TYPES) for _ in range(self.pick((0, 1, 2)))]
        for kind in dict.fromkeys([summary_type, *others]):
            latest = self.pick((1, 1, 1, 2))
            for revision in range(1, latest + 1):
                if revision == latest and kind == summary_type and summary is not None:
                    text = summary
                else:
                    text = self.summary(kind, material, title)
                rows.append(
                    (
                        video_id,
                        kind,
                        revision,
                        text,
                        f'{{"variant": "{kind}", "revision": {revision}, "sent_at": "{self.indexed_at}"}}',
                        f'{{"source": "worker", "pipeline_version": "2025-09-07-v{revision}"}}',
                        int(revision == latest),
                        self.indexed_at,
                        self.indexed_at,
                        len(text.encode()),
                        text.count(" ") + 1,
                    )
                )

    def title(self, material: Material) -> str:
        """A title: plain, decorated, long, in another script, cut like a file name, or missing."""
        kind = self.random.random()
        if kind < 0.03:
            return "Untitled"
        if kind < 0.04:
            return ""
        if kind < 0.06:
            return self.pick(OTHER_SCRIPT_TITLES).format(number=self.pick(NUMBERS), year=self.pick(YEARS))
        title = self.pick(material.titles)
        if kind < 0.08:
            while len(title) < 150:
                title += self.pick(TITLE_SEPARATORS) + self.pick(material.titles)
            return title
        if kind < 0.7:
            title += self.pick(TITLE_SEPARATORS) + self.pick(material.subtitles)
        if kind < 0.14:
            return f"{title} {self.pick(EMOJI)}"
        if kind < 0.25:
            frame = self.pick(TITLE_FRAMES)
            return frame.format(title=title, number=self.pick(NUMBERS), year=self.pick(YEARS))
        if kind < 0.45:
            return NOT_IN_PLAIN_TITLE.sub("", title).title()[:50].rstrip()
        return title

    def identity(self, number: int, title_stem: str) -> tuple[str, str, str, str | None]:
        """The row id, the native id, the address and the thumbnail (contract/ingest.md, Ids)."""
        kind = self.random.random()
        if kind < 0.015:
            post = encoded(self.scramble(number, 31), BASE36_ALPHABET, 6)
            native = f"reddit:{post}"
            return native, native, f"https://www.reddit.com/r/example/comments/{post}/{title_stem}/", ""
        if kind < 0.025:
            page = f"{self.scramble(number, 96):024x}"
            return f"web:{page}", f"web:{page}", f"https://example.org/{title_stem}/{page}", None
        # The first ten characters make it unique, in lower case too; the last is free.
        native = encoded(self.scramble(number, 52), self.pairs, 5) + self.pick(YOUTUBE_ALPHABET)
        row_id = f"yt:{native.lower()}" if kind < 0.98 else f"yt:{native}"
        address = "https://youtu.be/" if kind < 0.05 else "https://www.youtube.com/watch?v="
        return row_id, native, address + native, self.pick(THUMBNAILS).format(native)

    def scramble(self, number: int, bits: int) -> int:
        """A number below 2**bits, another one for each number: ids are distinct without a list of them."""
        mask = (1 << bits) - 1
        value = (number ^ self.identity_key) & mask
        for odd in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9):
            value = value * odd & mask
            value ^= value >> bits // 2
        return value

    def published_at(self) -> str | None:
        """A time before the video is indexed, mostly by days, at times by years; or none."""
        if self.random.random() < 0.06:
            return None
        age = 1 + int(self.random.random() ** 3 * 900)
        return DAYS[self.indexed_day - age] + self.pick(self.clocks)

    def summary(self, kind: str, material: Material, title: str) -> str:
        """A text in a form that fits the kind (contract/ingest.md, Summaries)."""
        self.summaries += 1
        if kind.startswith(("audio-fr", "audio-es")):
            material = self.foreign[kind[6:8]]
        draw = self.random.random
        if kind in BULLET_TYPES:
            parts = self.random.choices(material.sentences, k=7 + int(draw() ** 2 * 10))
        else:
            parts = self.random.choices(material.paragraphs, k=2 + int(draw() ** 2 * 5))
        if draw() < 0.5:
            parts[1] += f" ({self.pick(RARE_WORDS)})"
        if self.summaries % SUMMARIES_PER_PLANTED_WORD == 1:
            parts[1] += f" {PLANTED_WORD}"
        if kind in BULLET_TYPES:
            text = bullets(title, parts)
        elif kind in ("comprehensive", "summary"):
            sentences = self.random.choices(material.sentences, k=4)
            form = draw()
            if form < 0.6:
                text = sections(parts, sentences)
            else:
                renditions = {
                    "comprehensive": "\n\n".join(parts),
                    "bullet_points": bullets(title, sentences),
                    "headline": title,
                }
                text = json.dumps(renditions, ensure_ascii=False) if form < 0.85 else repr(renditions)
        else:
            text = "\n\n".join(parts)
        return text.replace("\n", "\\n") if draw() < 0.03 else text


def encoded(value: int, digits: Sequence[str], length: int) -> str:
    """The number written with these digits, the lowest first, in a fixed length."""
    written = []
    for _ in range(length):
        value, digit = divmod(value, len(digits))
        written.append(digits[digit])
    return "".join(written)


def bullets(heading: str, sentences: list[str]) -> str:
    points = "\n  - ".join(sentences[:-1])
    return f"• **Main topic:** {heading}\n• **Key points:**\n  - {points}\n• **Takeaway:** {sentences[-1]}"


def sections(paragraphs: list[str], sentences: list[str]) -> str:
    points, conclusion = "\n- ".join(sentences), "\n\n".join(paragraphs[1:])
    return f"Overview\n{paragraphs[0]}\n\nKey Findings:\n- {points}\n\nConclusion\n{conclusion}"


def stem(title: str) -> str:
    """The words of a title as the worker puts them into a file name."""
    return NOT_IN_STEM.sub("_", title.lower()).strip("_")[:50] or "video"


def write_snapshot(
    path: Path,
    videos: int,
    seed: int,
    generation: Generation = Generation.LAST,
    progress: Callable[[int], None] | None = None,
    *,
    overwrite: bool = False,
) -> SnapshotSummary:
    """Writes a snapshot of made-up videos, complete or not at all, and says what is in it.

    The same videos, seed and generation give the same bytes with the same versions of Python and SQLite; each
    generation of a seed holds the same videos. `progress` is called with the number of videos written so far.
    """
    if videos < 0:
        raise ValueError(f"The number of videos cannot be negative, and it is {videos}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder {path.parent} does not exist.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"The file {path} exists already.")
    for companion in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-journal")):
        if companion.exists():
            # SQLite would apply it to the new file and damage it.
            raise OSError(f"The file {companion} belongs to an older database: remove it first.")

    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        connection = sqlite3.connect(unfinished, isolation_level=None)
        try:
            rows = write_rows(connection, videos, seed, generation, progress)
        finally:
            connection.close()
        flush_to_disk(unfinished)
        size_bytes = unfinished.stat().st_size
        unfinished.replace(path)
    flush_to_disk(path.parent)
    return SnapshotSummary(path, rows, size_bytes)


def write_rows(
    connection: sqlite3.Connection,
    videos: int,
    seed: int,
    generation: Generation,
    progress: Callable[[int], None] | None,
) -> dict[str, int]:
    """Fills an empty database, and counts the rows of each table."""
    # Nobody reads the file before it is complete, so it needs neither journal nor syncs on the way.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -65536")
    connection.execute("BEGIN")
    for statement in generation.create_tables():
        connection.execute(statement)

    library = Library(videos, seed)
    positions = [Generation.LAST.columns["content"].index(column) for column in generation.columns["content"]]
    inserts = {table: insert_statement(table, columns) for table, columns in generation.columns.items()}
    counts = dict.fromkeys(inserts, 0)
    for start in range(0, videos, VIDEOS_PER_BATCH):
        stop = min(start + VIDEOS_PER_BATCH, videos)
        batch = library.batch(range(start, stop))
        batch["content"] = list(map(itemgetter(*positions), batch["content"]))
        for table, insert in inserts.items():
            connection.executemany(insert, batch[table])
            counts[table] += len(batch[table])
        if progress is not None:
            progress(stop)

    for statement in generation.create_indexes():
        connection.execute(statement)
    connection.execute("COMMIT")
    return counts


def insert_statement(table: str, columns: Sequence[str]) -> str:
    """An INSERT for all columns but the id that SQLite gives by itself."""
    given = columns if table == "content" else [column for column in columns if column != "id"]
    return f"INSERT INTO {table} ({', '.join(given)}) VALUES ({', '.join('?' * len(given))})"


def flush_to_disk(path: Path) -> None:
    """Waits until a file, or the names in a folder, would survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

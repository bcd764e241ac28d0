"""The words of made-up libraries: what titles, channels, summaries and labels are put together from.

Everything here is invented; no channel and no person of these names is meant.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any


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

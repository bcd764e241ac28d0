"""Ids of videos: one key, many ways to write it (contract/ingest.md, Ids)."""

import re
from dataclasses import dataclass

YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
# A NUL, or half of a surrogate pair: PostgreSQL takes neither.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Behind a YouTube id: the time of a report, the hash of a report, or the number of a second report.
TIME_SUFFIX = re.compile(r"_\d{8}_\d{6}$")
HASH_SUFFIX = re.compile(r"_[0-9a-f]{6}$")
NUMBER_SUFFIX = re.compile(r"_\d{1,3}$")
YOUTUBE_URL = re.compile(
    r"^https?://(?:[a-z]+\.)?(?:youtube(?:-nocookie)?\.com/(?:watch\?(?:[^#]*&)?v=|shorts/|embed/|live/|v/)|youtu\.be/)"
    r"([A-Za-z0-9_-]{11})(?![A-Za-z0-9_-])",
    re.IGNORECASE,
)
REDDIT_URL = re.compile(
    r"^https?://(?:[a-z]+\.)?(?:reddit\.com/(?:r/[^/]+/)?comments/|redd\.it/)([a-z0-9]+)", re.IGNORECASE
)
# Ids that are sent bare, and stored as `source:id`. "web" stands for every source whose pages are known by a digest.
NATIVE_SHAPES = {"reddit": re.compile(r"[a-z0-9]{1,10}"), "web": re.compile(r"[0-9a-f]{24}")}
HOST = re.compile(r"^https?://([^/?#:@]+)", re.IGNORECASE)

# Hosts that are sources of their own, before "web".
SOURCES = {
    "wikipedia.org": "wikipedia",
    "churchofjesuschrist.org": "lds",
    "reddit.com": "reddit",
    "redd.it": "reddit",
    "youtube.com": "youtube",
    "youtube-nocookie.com": "youtube",
    "youtu.be": "youtube",
}


def source_of(slug: str, url: str, native_id: str) -> str:
    """The source: the slug given, else by the URL's host, else youtube for 11 characters, else web, else other."""
    if slug.strip():
        return slug.strip().lower()
    if host := HOST.match(url.strip()):
        name = host.group(1).lower()
        for domain, source in SOURCES.items():
            if name == domain or name.endswith(f".{domain}"):
                return source
        return "youtube" if YOUTUBE_ID.fullmatch(native_id) else "web"
    return "youtube" if YOUTUBE_ID.fullmatch(native_id) else "other"


def native_keys(native: str) -> list[str]:
    """The keys that an id without its source can be."""
    return [f"{source}:{native}" for source, shape in NATIVE_SHAPES.items() if shape.fullmatch(native)]


def native_id(key: str) -> str:
    """The id of a key that can come without its source; empty for others."""
    native = key.partition(":")[2]
    return native if key in native_keys(native) else ""


@dataclass(frozen=True)
class VideoKey:
    """What an id in a request can name, best first; each is compared whole, never as a part of a key."""

    text: str
    candidates: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "VideoKey":
        """Read a video_id, an old id, a stem, a report id or a native id. What cannot be a key has no candidates."""
        text = text.strip()
        bare = text.removeprefix("yt:")
        if not bare or len(text) > 1000 or UNSTORABLE.search(text):
            return cls(text, ())
        unnumbered = NUMBER_SUFFIX.sub("", bare)
        stems = [bare, *(ending.sub("", bare) for ending in (TIME_SUFFIX, NUMBER_SUFFIX, HASH_SUFFIX)),
                 TIME_SUFFIX.sub("", unnumbered)]  # fmt: skip
        # By position: an id holds "_" and "-" itself, so the stem is never split on them. A whole id before an ending
        # comes first: the last 11 characters of `AbC-dE_f123_0056c1` look like an id as well.
        youtube = [stem for stem in stems if YOUTUBE_ID.fullmatch(stem)]
        youtube += [stem[-11:] for stem in stems if stem[-12:-11] == "_" and YOUTUBE_ID.fullmatch(stem[-11:])]
        return cls(text, tuple(dict.fromkeys([text, bare, *youtube, *native_keys(bare)])))

    @property
    def youtube_id(self) -> str:
        """The YouTube id that the text names, if it names one; empty for none."""
        return next((found for found in self.candidates if YOUTUBE_ID.fullmatch(found)), "")

    @property
    def expected(self) -> str:
        """What a video that is not here yet would be called by this name, its source aside; empty for none."""
        return self.youtube_id or (self.text.removeprefix("yt:") if self.candidates else "")

    @property
    def lowered(self) -> str:
        """The YouTube id in an old id that the old system may have lower-cased; empty for any other text."""
        is_old = self.text.startswith("yt:") and self.text == self.text.lower()
        return self.youtube_id if is_old and self.youtube_id == self.text[3:] else ""


PREFIXED = re.compile(r"([a-z][a-z0-9-]{1,30}):(.+)", re.DOTALL)


def natural_key(video_id: str, old_id: str, url: str, slug: str = "") -> tuple[str, str]:
    """(source, key) of data that names its video by a native id, an old id and an address; any may be empty.

    The key is YouTube's 11 characters bare, else `source:native id`. An id that someone lower-cased, or that
    stands in a stem, is taken from the address, which has it as it is. Raises ValueError where nothing names a video.
    """
    in_url = match.group(1) if (match := YOUTUBE_URL.match(url.strip())) else ""
    native = (video_id.strip() or old_id.strip()).removeprefix("yt:")
    if not native:
        if in_url:
            return source_of(slug, url, in_url), in_url
        if match := REDDIT_URL.match(url.strip()):
            return source_of(slug, url, ""), f"reddit:{match.group(1).lower()}"
        raise ValueError("no id and no address that holds one")
    if in_url and not {in_url, in_url.lower()}.isdisjoint(VideoKey.parse(native).candidates):
        return source_of(slug, url, in_url), in_url
    if YOUTUBE_ID.fullmatch(native):
        return source_of(slug, url, native), native
    if match := PREFIXED.fullmatch(native):
        prefix = match.group(1)
        return (source_of(slug, url, "") if prefix == "hash" else prefix), native
    source = source_of(slug, url, native)
    prefix = source if source in ("reddit", "youtube", "other") else "web"
    shape = NATIVE_SHAPES.get(prefix)
    return source, f"{prefix}:{native}" if shape and shape.fullmatch(native) else native

"""Made-up rows for tests, through the ORM."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from summaries.models import Summary, SummaryText
from videos.models import Categorization, Origin, Pair, Video

FIRST_DAY = datetime(2025, 9, 1, tzinfo=UTC)
CATEGORIES = ("Technology", "History", "World War I (WWI)", "World War II (WWII)", "Education")


def new_video(number: int, **values: Any) -> Video:
    """A video, not saved yet, whose id, title and dates follow from its number."""
    moment = FIRST_DAY + timedelta(hours=number)
    defaults: dict[str, Any] = {
        "video_id": f"video_{number:05d}",
        "source": "youtube",
        "title": f"Video number {number}",
        "channel_name": f"Channel {number % 7}",
        "content_type": "News" if number % 2 else "Review",
        "complexity_level": "Beginner" if number % 3 else "Advanced",
        "language": "fr" if number % 5 == 0 else "en",
        "published_at": moment,
        "indexed_at": moment,
        "duration_seconds": 60 * number,
        "has_audio": number % 4 != 0,
    }
    return Video(**defaults | values)


def make_video(number: int = 1, **values: Any) -> Video:
    """A saved video."""
    video = new_video(number, **values)
    video.save(force_insert=True)
    return video


def categorise(video: Video, pairs: Iterable[tuple[str, str | None]], origin: Origin = Origin.CURATED) -> None:
    """Give a video its pairs of category and subcategory, by name, in order."""
    rows = [Pair(category, subcategory, origin) for category, subcategory in pairs]
    with transaction.atomic():
        Categorization.objects.merge({video.pk: rows}, newest={video.pk})


def summarise(video: Video, text: str, variant: str = "comprehensive") -> None:
    """Give a video a summary."""
    Summary.objects.merge({video.pk: [SummaryText(variant, text)]}, newest={video.pk})


def make_library(videos: int) -> None:
    """A library of so many videos with pairs and two summaries each."""
    rows = Video.objects.bulk_create(map(new_video, range(videos)))
    keys = {video.pk: number for number, video in enumerate(rows)}
    pairs = {
        key: [
            Pair(CATEGORIES[number % len(CATEGORIES)], f"Part {number % 3}", Origin.CURATED),
            Pair("General", None, Origin.IMPORTED),
        ]
        for key, number in keys.items()
    }
    texts = {
        key: [
            SummaryText("comprehensive", f"Summary of {number}.\n\nIt is about history."),
            SummaryText("audio", f"Audio of {number}."),
        ]
        for key, number in keys.items()
    }
    with transaction.atomic():
        Categorization.objects.merge(pairs, newest=keys.keys())
    Summary.objects.merge(texts, newest=keys.keys())


def truncate(tables: str) -> None:
    """Empty these tables, as a session does that may (videos/triggers.py): no trigger of a row sees it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT set_config('ytv2.empty', 'yes', true); TRUNCATE {tables}")

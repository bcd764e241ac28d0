"""What makes it fast, without a clock: the number of queries does not grow, and the plans use the indexes."""

import json
import re
from urllib.parse import urlencode

import pytest
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext

from videos.items import LISTED
from videos.keys import VideoKey
from videos.models import Categorization, FacetCount, Origin, Pair, Video
from videos.search import Search, found_in_text, remembered, strictly_in_title

from .factories import make_library, new_video

PATHS = [
    "/",
    "/?view=grid&page=2",
    "/?category=History&channel=Channel+1&q=number",
    "/?q=summary",
    "/videos/video_00003/",
    "/video_00003.json?v=2",
    "/api/reports",
    "/api/reports?size=50&sort=title",
    "/api/reports?category=History&language=en",
    "/api/reports?q=number",
    "/api/reports/video_00003",
    "/api/filters",
    "/api/filters?category=History&has_audio=true",
]


def queries(path: str) -> int:
    """How many queries a page takes that was not asked for since the library changed."""
    remembered.cache_clear()
    with CaptureQueriesContext(connection) as captured:
        assert Client().get(path).status_code == 200
    return len(captured)


@pytest.mark.django_db(transaction=True)
def test_the_number_of_queries_is_the_same_for_20_and_1000_videos():
    make_library(20)
    few = {path: queries(path) for path in PATHS}
    Video.objects.bulk_create(new_video(number) for number in range(20, 1000))
    Categorization.objects.merge(
        {f"video_{n:05d}": [Pair(f"Category {n % 30}", f"Sub {n % 7}", Origin.AI)] for n in range(20, 1000)}, set()
    )
    assert {path: queries(path) for path in PATHS} == few
    assert max(few.values()) <= 13, few


@pytest.fixture(scope="module")
def large_library(django_db_setup, django_db_blocker):
    """20,000 videos with categories, in a transaction that is rolled back, analysed as after an import."""
    with django_db_blocker.unblock(), transaction.atomic():
        Video.objects.bulk_create((new_video(n, channel_name=f"Channel {n % 400}") for n in range(20_000)), 5000)
        with connection.cursor() as cursor:
            cursor.execute("""
                    INSERT INTO videos_category (name) SELECT 'Category ' || n FROM generate_series(1, 25) AS n;
                    INSERT INTO videos_subcategory (category_id, name)
                        SELECT id, 'Sub ' || n FROM videos_category, generate_series(1, 7) AS n;
                    INSERT INTO videos_categorization (video_id, position, category_id, subcategory_id, origin)
                        SELECT video_id, 0, s.category_id, s.id, 'ai' FROM (
                            SELECT video_id, row_number() OVER () AS number FROM videos_video) AS v
                        JOIN (SELECT *, row_number() OVER () AS number FROM videos_subcategory) AS s
                            ON s.number = 1 + v.number % 175;
                    ANALYZE videos_video, videos_category, videos_subcategory, videos_categorization;
                    -- What a VACUUM does after an import.
                    SELECT gin_clean_pending_list(indexname::regclass) FROM pg_indexes WHERE indexname ~ '_substring$'
                """)
        yield
        transaction.set_rollback(True)


def plan(sql: str, params: object = ()) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        return json.dumps(cursor.fetchone()[0])


def plan_of(queryset: QuerySet) -> str:
    return plan(*queryset.query.sql_with_params())


def page_of(**parameters: object) -> QuerySet:
    search = Search.from_query(QueryDict(urlencode(parameters, doseq=True)))
    return search.in_order(search.filtered())[:20]


@pytest.mark.usefixtures("large_library")
class TestPlans:
    """On 20,000 videos no page reads the whole table."""

    @pytest.mark.parametrize(
        ("sort", "index"),
        [
            ("added_desc", "videos_video_added"),
            ("added_asc", "videos_video_added"),
            ("newest", "videos_video_published"),
            ("oldest", "videos_video_published"),
            ("title_asc", "videos_video_title"),
            ("title_desc", "videos_video_title"),
            ("duration_desc", "videos_video_duration"),
            ("duration_asc", "videos_video_duration"),
        ],
    )
    def test_each_sort_reads_its_index(self, sort, index):
        found = plan_of(page_of(sort=sort))
        assert f'"Index Name": "{index}"' in found
        assert "Seq Scan" not in found

    @pytest.mark.parametrize(
        ("parameters", "index"),
        [
            ({"channel": "Channel 7"}, "videos_video_channel"),
            ({"category": "Category 3"}, "videos_categorization"),
            ({"subcategory": "Sub 3", "parentCategory": "Category 3"}, "videos_categorization"),
            ({"source": "reddit"}, "videos_video_source"),
        ],
    )
    def test_selective_filters_use_an_index(self, parameters, index):
        found = plan_of(page_of(**parameters))
        assert f'"Index Name": "{index}' in found
        assert not re.search(r'"Seq Scan", [^{}]*"Relation Name": "videos_video"', found)

    def test_a_common_filter_goes_through_the_order(self):
        found = plan_of(page_of(language="en", sort="added_desc"))
        assert '"Index Name": "videos_video_added"' in found

    def test_rows_are_fetched_by_key(self):
        found = plan(LISTED, [["video_00001"]] * 3)
        assert '"Index Name": "videos_video_pkey"' in found
        assert '"Index Name": "videos_categorization' in found

    @pytest.mark.parametrize("name", ["video_00042", "yt:video_00042"])
    def test_an_id_is_found_by_index(self, name):
        candidates = VideoKey.parse(name).candidates
        found = plan_of(Video.objects.live().filter(Q(video_id__in=candidates) | Q(legacy_id__in=candidates)))
        assert "Seq Scan" not in found

    def test_a_common_word_is_found_by_going_through_the_order(self):
        videos = Video.objects.live().filter(strictly_in_title("number"))
        found = plan_of(Search(sort="added_desc").in_order(videos)[:20])
        assert '"Index Name": "videos_video_added"' in found

    def test_substrings_use_trigrams_where_the_server_has_them(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM pg_extension WHERE extname = 'pg_trgm'")
            if not cursor.rowcount:
                pytest.skip("this server has no pg_trgm")
        assert "videos_video_title_substring" in plan_of(found_in_text("number 12345"))

    def test_counts_are_kept(self):
        assert FacetCount.objects.revision().videos == 20_000
        with CaptureQueriesContext(connection) as captured:
            assert Search(categories=("Category 3",)).count() > 0
            assert Search(has_audio=True).count() > 0
            assert Search(channels=("Channel 7",)).count() == 50
        assert not [query for query in captured if 'FROM "videos_video"' in query["sql"]]

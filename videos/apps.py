from django.apps import AppConfig
from django.db.models.signals import post_migrate

from .groups import add_groups


class VideosConfig(AppConfig):
    name = "videos"
    verbose_name = "What is watched"

    def ready(self) -> None:
        post_migrate.connect(add_groups, sender=self, dispatch_uid="videos.add_groups")

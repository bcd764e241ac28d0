from django.apps import AppConfig
from django.contrib.staticfiles.apps import StaticFilesConfig


class YTV2Config(AppConfig):
    name = "ytv2"


class StaticConfig(StaticFilesConfig):
    """Collects static files, but for htmx's extensions: none is used, and one names a module that is not there."""

    ignore_patterns = (*StaticFilesConfig.ignore_patterns, "django_htmx/ext/*")

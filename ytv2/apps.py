from django.apps import AppConfig


class YTV2Config(AppConfig):
    name = "ytv2"

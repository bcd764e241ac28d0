"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path

from videos.api import api

from . import health

urlpatterns = [
    path("health", health.health, name="health"),
    path("health/db", health.database, name="health-database"),
    path("health/backend", health.backend, name="health-backend"),
    path("health/ingest", health.ingest, name="health-ingest"),
    path("api/", api().urls),
    path("admin/", admin.site.urls),
    path("", include("videos.urls")),
]

handler400 = "ytv2.errors.bad_request"
handler403 = "ytv2.errors.permission_denied"
handler404 = "ytv2.errors.not_found"
handler500 = "ytv2.errors.server_error"

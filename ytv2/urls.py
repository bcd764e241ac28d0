"""Every address of the site."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import include, path

from videos.api import api

from . import health

admin.site.site_header = admin.site.site_title = "YTV2"
admin.site.index_title = "Library"


def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers ask here for the icon of a page that names none, such as the admin's."""
    return redirect(static("favicon.svg"))


urlpatterns = [
    path("favicon.ico", favicon),
    path("health", health.health, name="health"),
    path("health/db", health.database, name="health-database"),
    path("health/backend", health.backend, name="health-backend"),
    path("health/ingest", health.ingest, name="health-ingest"),
    path("", include("ingest.file_routes")),
    path("", include("ingest.urls")),
    path("api/", api().urls),
    path("admin/", admin.site.urls),
    path("", include("videos.urls")),
]

handler400 = "ytv2.errors.bad_request"
handler403 = "ytv2.errors.permission_denied"
handler404 = "ytv2.errors.not_found"
handler500 = "ytv2.errors.server_error"

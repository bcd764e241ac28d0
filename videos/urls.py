from django.urls import path

from . import views

app_name = "videos"
urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("read/<path:video_id>/", views.read, name="read"),
    path("playlist/", views.playlist, name="playlist"),
    path("delete/<path:video_id>/", views.delete, name="delete"),
    path("curate/<path:video_id>/", views.curate, name="curate"),
    path("deleted/", views.deleted, name="deleted"),
    path("deleted/restore/", views.restore, name="restore"),
    path("videos/<path:video_id>/", views.report, name="report"),
    path("<str:stem>.json", views.old_report, name="old-report"),
]

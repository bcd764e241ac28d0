from django.urls import path

from . import routes

app_name = "ingest"
urlpatterns = [
    path("ingest/report", routes.ingest_report, name="report"),
    path("api/content", routes.content, name="content"),
    path("api/content/<path:content_id>", routes.content_changes, name="content-changes"),
    path("api/delete", routes.delete, name="delete"),
    path("api/delete/<path:content_id>", routes.delete, name="delete-one"),
    path("api/upload-report", routes.upload_report, name="upload-report"),
    path("api/upload-database", routes.upload_database, name="upload-database"),
    path("api/download-database", routes.download_database, name="download-database"),
]

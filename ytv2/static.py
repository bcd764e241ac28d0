"""Static files in production: compressed, and named after their content, so that none is stale after a deploy."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedFilesStorage(CompressedManifestStaticFilesStorage):
    """WhiteNoise's storage, with the names inside `import` statements of modules hashed too."""

    support_js_module_import_aggregation = True

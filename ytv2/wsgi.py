"""The application for a WSGI server such as gunicorn."""

import os
import re
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ytv2.settings")
CHARSET = re.compile(r";\s*charset=\"?([^;\"]*)\"?", re.IGNORECASE)
django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django, for requests in any charset.

    It fails before any view where Python knows a charset by name and cannot decode text with it ("undefined", "hex").
    One that Python does not know it passes over, and so is such a one.
    """
    content_type = environ.get("CONTENT_TYPE", "")
    if (named := CHARSET.search(content_type)) and not decodes(named[1].strip()):
        environ["CONTENT_TYPE"] = CHARSET.sub("", content_type)
    return django(environ, start_response)


def decodes(charset: str) -> bool:
    """Whether text can be decoded with it, and odd bytes be replaced, as Django does with addresses and forms."""
    try:
        b"text".decode(charset)
        bytes(range(256)).decode(charset, "replace")
    except (LookupError, ValueError):
        return False
    return True

"""The application as a server calls it."""

import pytest

from ytv2.wsgi import application


@pytest.mark.parametrize("charset", ["undefined", '"undefined"', "hex", "rot13", "nobody", "\x00", "UTF-8", "utf-16"])
def test_no_charset_fails_before_the_view(charset, rf, transactional_db):
    environ = rf.get("/health?a=b").environ | {"CONTENT_TYPE": f"application/json; charset={charset}"}
    statuses = []
    application(environ, lambda status, headers, *rest: statuses.append(status))
    assert statuses == ["200 OK"]

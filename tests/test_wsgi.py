"""The application as a server calls it."""

import pytest

from ytv2.wsgi import application


@pytest.mark.parametrize("address", ["/health?a=b", "/health?a=%ff%00"])
@pytest.mark.parametrize(
    "charset", ["undefined", '"undefined"', "hex", "rot13", "nobody", "\x00", "UTF-8", "utf-16", "idna", "punycode"]
)
def test_no_charset_fails_before_the_view(charset, address, rf, transactional_db):
    environ = rf.get(address).environ | {"CONTENT_TYPE": f"application/json; charset={charset}"}
    statuses = []
    application(environ, lambda status, headers, *rest: statuses.append(status))
    assert statuses == ["200 OK"]

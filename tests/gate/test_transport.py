"""HTTPS only: who may speak plain HTTP, by where the request comes from."""

import pytest

from kaiko_server.app import create_app
from kaiko_server.gate.transport import networks
from kaiko_server.settings import Settings, SettingsError
from tests.gate.asgi import ask

HTTPS = {"x-forwarded-proto": "https"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("trusted", "peer", "headers", "served"),
    [
        ((), "127.0.0.1", {}, True),
        ((), "::1", {}, True),
        ((), "::ffff:127.0.0.1", {}, True),
        ((), "203.0.113.9", {}, False),
        ((), "203.0.113.9", HTTPS, False),
        ((), "2001:db8::9", {}, False),
        ((), "no address", {}, False),
        (("203.0.113.0/24",), "203.0.113.9", HTTPS, True),
        (("203.0.113.0/24",), "::ffff:203.0.113.9", HTTPS, True),
        (("203.0.113.0/24",), "203.0.113.9", {}, False),
        (("203.0.113.0/24",), "203.0.113.9", {"x-forwarded-proto": "http"}, False),
        (("203.0.113.0/24",), "203.0.113.9", {"x-forwarded-proto": "http, https"}, False),
        (("203.0.113.0/24",), "198.51.100.1", HTTPS, False),
    ],
)
async def test_plain_http_is_for_this_machine_and_for_declared_proxies(tmp_path, trusted, peer, headers, served):
    """Loopback is served; a declared proxy when it took the request over HTTPS, and then with HSTS; all else is refused."""
    app = create_app(Settings(data_dir=tmp_path, trusted_proxies=trusted))
    answer = await ask(app, "/healthz", peer=peer, headers=headers)
    assert answer.status == (200 if served else 403)
    if not served:
        assert answer.code == "https_required"
    assert ("strict-transport-security" in answer.headers) == (served and headers == HTTPS)


def test_a_proxy_must_be_an_address():
    """What is neither an address nor a network is refused when the server starts, by the setting's name."""
    with pytest.raises(SettingsError, match="KAIKO_TRUSTED_PROXIES"):
        networks(["example.org"])

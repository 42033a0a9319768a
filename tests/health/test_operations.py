"""The routes for operators, and the docs page as a person sees it in a real browser."""

import hashlib
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

import kaiko_server.health


def test_health_needs_no_key(server):
    """`/healthz` and `/readyz` answer 200 without a key while all is well."""
    for path in ("/healthz", "/readyz"):
        reply = server.request("GET", path, key=None)
        assert (reply.status, reply.json) == (200, {"status": "ok"})


def test_metrics_count_by_route(server):
    """Metrics are Prometheus text, by route template and never by path."""
    server.request("GET", "/v2/models")
    server.request("GET", "/some/path/that/is/unknown")
    body = server.request("GET", "/metrics", key=None).body.decode()
    assert 'kaiko_http_requests_total{method="GET",route="/v2/models",status="200"}' in body
    assert "unknown" not in body
    assert "kaiko_model_ready 1.0" in body


def test_models_are_listed(server):
    """`GET /v2/models` needs a key and names the model, its alias and its version."""
    assert server.request("GET", "/v2/models", key=None).status == 401
    (model,) = server.request("GET", "/v2/models").json["data"]
    assert model["id"] == "emotion-v2"
    assert model["aliases"] == ["emotion-1"]
    assert model["version"].startswith("emotion-v2+")


def test_what_is_not_ours_is_as_it_was_published():
    """The files of swagger-ui are those that its makers published, licences included; the page's other files are ours and few."""
    folder = Path(kaiko_server.health.__file__).parent / "swagger_ui"
    published = dict(reversed(line.split()) for line in (folder / "SHA256SUMS.txt").read_text(encoding="utf-8").splitlines())
    for name, digest in published.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    assert {"LICENSE", "NOTICE", "swagger-ui-bundle.js"} <= set(published)
    assert {path.name for path in folder.iterdir()} == {*published, "SHA256SUMS.txt", "index.html", "start.js", "page.css"}


@pytest.fixture
def page():
    """A page of a real browser that reports whatever it tried to load."""
    chromium = shutil.which("chromium")
    assert chromium, "chromium is needed: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update"],
        )
        yield browser.new_page()
        browser.close()


def test_the_docs_page_works_without_the_internet(server, page):
    """The page shows every operation, takes a key, tries a reading out with it, and loads nothing from anywhere but this server."""
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(f"{server.url}/docs")
    page.get_by_text("/v2/emotions/analysis", exact=True).wait_for()
    page.locator("button.authorize").first.click()
    page.locator(".auth-container input").first.fill(server.key)
    page.locator(".auth-container button.authorize").first.click()
    page.locator(".modal-ux button.close-modal").click()
    page.get_by_text("/v2/emotions/analysis", exact=True).click()
    page.locator("button.execute").click()
    page.wait_for_selector(".live-responses-table .response-col_status:has-text('200')")
    page.get_by_text('"response_type"').first.wait_for()
    assert all(url.startswith((server.url, "data:")) for url in asked)
    assert not complaints

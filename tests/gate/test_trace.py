"""What becomes of faults that nobody expects, and of the parts that a server needs and loses."""

import io
import json

import pytest

from kaiko_server.app import create_app
from kaiko_server.gate import logs
from kaiko_server.gate.metrics import Metrics
from kaiko_server.gate.table import RouteTable
from kaiko_server.gate.trace import Trace
from kaiko_server.gate.traffic import Traffic
from kaiko_server.keys.service import create_key, load_pepper
from kaiko_server.settings import Settings
from tests.gate.asgi import ask

SECRET = "what somebody wrote in confidence"


def traced(app, log):
    return Trace(
        app,
        table=RouteTable([]),
        settings=Settings(),
        traffic=Traffic(),
        metrics=Metrics(),
        log=logs.make_logger(Settings(log_level="debug", log_format="json"), log),
    )


@pytest.mark.anyio
async def test_an_unexpected_fault_is_a_500_that_tells_nothing():
    """The client gets the envelope; the log says what and where, and nothing of the message, nor of what caused it."""

    async def broken(_scope, _receive, _send):
        try:
            int(SECRET)
        except ValueError as error:
            raise RuntimeError(SECRET) from error

    log = io.StringIO()
    answer = await ask(traced(broken, log))
    assert (answer.status, answer.code) == (500, "internal")
    assert SECRET not in answer.body.decode() + log.getvalue()
    fault, request = map(json.loads, log.getvalue().splitlines())
    assert {"builtins.RuntimeError", "builtins.ValueError"} <= set(fault["error"])
    assert any("test_trace.py" in line for line in fault["error"])
    assert (request["status"], request["code"], request["request_id"]) == (500, "internal", answer.headers["x-request-id"])


@pytest.mark.anyio
async def test_a_fault_after_the_reply_began_adds_nothing_to_it():
    """No second reply is written into the first; it stays without its end, so the server cuts the connection."""

    async def breaks_midway(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError(SECRET)

    log = io.StringIO()
    answer = await ask(traced(breaks_midway, log))
    assert (answer.status, answer.body) == (200, b"half")
    assert json.loads(log.getvalue().splitlines()[-1])["code"] == "internal"


@pytest.mark.anyio
async def test_a_clients_own_id_is_logged_only_if_it_is_one():
    """An id of plain characters is logged; anything that could be a sentence is not."""

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    log = io.StringIO()
    for sent in ("order-7:retry.1", SECRET, "a" * 129, ""):
        await ask(traced(app, log), headers={"x-client-request-id": sent})
    told = [json.loads(line).get("client_request_id") for line in log.getvalue().splitlines()]
    assert told == ["order-7:retry.1", None, None, None]


@pytest.mark.anyio
async def test_without_its_model_or_its_database_the_server_says_so(tmp_path):
    """A dead model or a closed database: `/readyz` and the data routes get 503 with Retry-After, `/healthz` stays 200."""
    settings = Settings(data_dir=tmp_path / "var")
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        parts = app.state.parts
        made = await create_key(parts.db, load_pepper(settings), project="p", environment="live", name="n", clock=parts.clock)
        assert (await ask(app, "/readyz")).status == 200
        await parts.model.close()
        lost = await ask(app, "/readyz")
        assert (lost.status, lost.code) == (503, "model_unavailable")
        assert int(lost.headers["retry-after"]) > 0
        await parts.db.close()
        for path in ("/v2/models", "/readyz"):
            lost = await ask(app, path, headers={"x-api-key": made.key})
            assert lost.status == 503
            assert int(lost.headers["retry-after"]) > 0
        assert (await ask(app, "/healthz")).status == 200

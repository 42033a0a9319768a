"""Counters in Valkey (or Redis), for servers that share them: each question is one script and one round trip."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import RedisError

from kaiko_server.settings import SettingsError
from kaiko_server.store.counters import LEASE, Ask, CountersError, Limit, Standing, standing

_PATIENCE_S = 0.25
"""How long a request waits for an answer; then the counters count as lost."""
_NONSENSE = "an answer that the script does not give"
_REFUSALS = (None, Limit.MINUTE, Limit.CONCURRENT, Limit.TOKENS)
_SCHEMES = {"valkey": "redis", "valkeys": "rediss", "redis": "redis", "rediss": "rediss"}


class ValkeyCounters:
    """Counts in Valkey.

    Parameters
    ----------
    url
        ``valkey://``, or ``valkeys://`` for TLS; ``redis://`` and ``rediss://`` are the same.
    own_time
        Whether Valkey's clock rules, so that servers whose clocks differ count alike; else that of whoever asks.

    Raises
    ------
    SettingsError
        The address is none.
    """

    def __init__(self, url: str, *, own_time: bool = True) -> None:
        scheme, _, rest = url.partition("://")
        try:
            self._client = Redis.from_url(
                f"{_SCHEMES[scheme]}://{rest}",
                socket_timeout=_PATIENCE_S,
                socket_connect_timeout=_PATIENCE_S,
                # A connection that was closed while nobody used it is opened again, once; every script bears being asked twice.
                retry=Retry(NoBackoff(), 1, supported_errors=(LostError,)),
            )
        except (KeyError, ValueError):
            message = "KAIKO_VALKEY_URL is not an address such as valkey://user:password@host:6379/0"
            raise SettingsError(message) from None
        self._own_time = own_time
        folder = Path(__file__).parent
        self._enter, self._leave, self._fail = (
            self._client.register_script((folder / f"{name}.lua").read_text(encoding="utf-8")) for name in ("enter", "leave", "fail")
        )

    async def enter(self, ask: Ask) -> Standing:
        limits = ask.limits
        keys = [f"kaiko:{{{ask.who}}}:minute", f"kaiko:{{{ask.who}}}:inside", _tokens(ask)]
        arguments = [
            self._time(ask.now), ask.ticket, limits.per_minute, limits.concurrent, limits.tokens_per_month, ask.used, ask.reserve, LEASE,
        ]  # fmt: skip
        told = await self._run(self._enter, keys, arguments)
        try:
            refused, passed, oldest, inside, tokens = told
            return standing(_REFUSALS[refused], ask, int(passed), int(float(oldest)), int(inside), int(tokens))
        except (TypeError, ValueError, IndexError):  # whoever answers so is no Valkey
            raise CountersError(_NONSENSE) from None

    async def leave(self, ask: Ask, tokens: int) -> None:
        change = tokens - ask.reserve if ask.limits.tokens_per_month else 0
        await self._run(self._leave, [f"kaiko:{{{ask.who}}}:inside", _tokens(ask)], [ask.ticket, change])

    async def fail(self, address: str, limit: int, now: int) -> int:
        arguments = [self._time(now), secrets.token_hex(8), limit]
        told = await self._run(self._fail, [f"kaiko:failed:{{{address}}}"], arguments)
        try:
            return int(told)
        except (TypeError, ValueError):
            raise CountersError(_NONSENSE) from None

    async def close(self) -> None:
        await self._client.aclose()

    def _time(self, now: int) -> int:
        return 0 if self._own_time else now

    async def _run(self, script: Any, keys: Sequence[str], arguments: Sequence[object]) -> Any:  # noqa: ANN401 - what a script gives
        try:
            return await script(keys=keys, args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            raise CountersError(type(error).__name__) from None


def _tokens(ask: Ask) -> str:
    return f"kaiko:{{{ask.who}}}:tokens:{ask.month}"

"""API keys: what is stored is HMAC-SHA-256 of the key under the server's pepper, so a stolen database opens nothing."""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from kaiko_server.audit import service as audit
from kaiko_server.audit.service import NOBODY, Actor
from kaiko_server.errors import ApiError, Code
from kaiko_server.keys import format as key_format
from kaiko_server.keys import queries
from kaiko_server.keys.format import ENVIRONMENTS, Environment
from kaiko_server.projects.service import Retention, denied_to, ensure_project, retention_of
from kaiko_server.settings import Settings, SettingsError
from kaiko_server.store.counters import NO_LIMITS, Limits
from kaiko_server.store.db import Connection, Database, Row, from_micros, to_micros
from kaiko_server.store.files import locked, make_private_folder, write_private_file

MAX_NAME = 100
"""Characters that the name of a key may have."""
CACHE_FOR = timedelta(seconds=0.5)
"""How long a verified key is believed without looking: half of the second within which a revocation takes effect."""

LONGEST_OVERLAP = timedelta(days=30)
"""How long a key that was rotated may work on at most."""

PEPPER_FILE = "pepper"
_MIN_PEPPER = 32
_MEND_PEPPER = "`openssl rand -hex 32` makes one; keep it, for keys are worth nothing under another"


SCOPES = ("analysis", "contexts", "chat", "admin")
"""What a key may be for."""
USUAL_SCOPES = ("analysis", "contexts", "chat")
Network = IPv4Network | IPv6Network


class KeyNotFoundError(LookupError):
    """There is no key with this id."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, as its key tells."""

    key_id: str
    project_id: str
    environment: Environment
    name: str
    """The name of the key."""
    retention: Retention = field(default_factory=Retention)
    """How long what is remembered for its project lives."""
    scopes: frozenset[str] = frozenset(USUAL_SCOPES)
    limits: Limits = field(default_factory=Limits)
    addresses: tuple[Network, ...] = ()
    """Networks that it may come from; none is from anywhere."""
    denied: frozenset[str] = frozenset()
    """Features that its project may not use."""
    pii: str = "off"
    """What is done with personal data in its texts: ``off``, ``report`` or ``mask``."""

    def must_have(self, feature: str) -> None:
        """Refuse what is denied.

        Raises
        ------
        ApiError
            ``FEATURE_RESTRICTED``.
        """
        if feature in self.denied:
            message = f"The feature `{feature}` is not available to this project."
            raise ApiError(Code.FEATURE_RESTRICTED, message)

    def may_come_from(self, address: str | None) -> bool:
        """Whether the key is good at this *address*; one that is not known is none of those listed."""
        if not self.addresses:
            return True
        return address is not None and any(ip_address(address) in network for network in self.addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a key is made for; a limit of None is that of its plan or of the settings, 0 is none.

    Attributes
    ----------
    scopes
        Of ``SCOPES``.
    addresses
        Addresses and networks that it may come from; none is from anywhere.
    expires_at
        From when on it is refused; with a time zone.
    """

    scopes: tuple[str, ...] = USUAL_SCOPES
    addresses: tuple[str, ...] = ()
    expires_at: datetime | None = None
    per_minute: int | None = None
    concurrent: int | None = None
    tokens_per_month: int | None = None


USUAL_TERMS = Terms()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A key as it may be shown at any time."""

    id: str
    project_id: str
    project: str
    """The name of the project."""
    environment: Environment
    name: str
    hint: str
    """The last four characters of the key."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """Seconds late."""
    scopes: tuple[str, ...]
    addresses: tuple[str, ...]
    plan: str | None
    """Of the project."""
    per_minute: int | None
    concurrent: int | None
    tokens_per_month: int | None
    """Of the key, or else of the plan; None where the settings hold, 0 for none."""
    successor: str | None
    """The id of the key that follows it."""

    def status(self, now: datetime) -> str:
        """Give ``active``, ``revoked`` or ``expired``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now >= self.expires_at else "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedKey(KeyRecord):
    """A new key, with what is shown this once and stored nowhere."""

    key: str = field(repr=False)


Finish = Callable[[Connection, CreatedKey], Awaitable[None]]
"""What is to be done in the transaction that makes a key."""


async def create_key(  # noqa: PLR0913 - what a key is made of
    db: Database,
    pepper: bytes,
    *,
    project: str,
    environment: str,
    name: str,
    clock: Callable[[], datetime],
    terms: Terms = USUAL_TERMS,
    by: Actor = NOBODY,
    finish: Finish | None = None,
) -> CreatedKey:
    """Make a key for the project of this name, which is made too if there is none; *finish* is done in the same transaction.

    Raises
    ------
    ValueError
        The environment is not ``live`` or ``test``, a name is blank, too long or holds control characters, or something in the
        terms is not what it should be. The message says which.
    """
    now = clock()
    kind = _checked(environment, name, terms, now)
    owner = await ensure_project(db, project, clock)
    key = key_format.make_key(kind)
    key_id = f"key_{secrets.token_hex(8)}"

    async def insert(connection: Connection) -> CreatedKey:
        await queries.insert(
            connection,
            key_id=key_id,
            project_id=owner.id,
            environment=kind,
            name=name,
            hint=key_format.hint(key),
            digest=_digest(pepper, key),
            created_at=to_micros(now),
            expires_at=None if terms.expires_at is None else to_micros(terms.expires_at),
            scopes=" ".join(scope for scope in SCOPES if scope in terms.scopes),
            addresses=" ".join(str(network) for network in _networks(terms.addresses)) or None,
            per_minute=terms.per_minute,
            concurrent=terms.concurrent,
            tokens_per_month=terms.tokens_per_month,
        )
        await audit.record(connection, by, "key.create", key_id, now, name=name, project=project, environment=kind, scopes=terms.scopes)
        return await _finished(connection, key_id, key, finish)

    return await db.write(insert)


async def _finished(connection: Connection, key_id: str, key: str, finish: Finish | None) -> CreatedKey:
    """Give a key that was just inserted, when what belongs to it is done."""
    row = await queries.find(connection, key_id)
    assert row is not None  # just inserted
    made = CreatedKey(key=key, **_columns(row))
    if finish is not None:
        await finish(connection, made)
    return made


async def find_key(db: Database, key_id: str) -> KeyRecord:
    """Give a key.

    Raises
    ------
    KeyNotFoundError
        There is no key with this id.
    """
    return KeyRecord(**_columns(await db.read(lambda connection: _found(connection, key_id))))


async def _found(connection: Connection, key_id: str) -> Row:
    row = await queries.find(connection, key_id)
    if row is None:
        message = f"there is no key {key_id!r}"
        raise KeyNotFoundError(message)
    return row


async def list_keys(db: Database, project: str | None = None) -> list[KeyRecord]:
    """Give the keys of the project of this name, or of all projects, oldest first; none for an unknown project."""
    rows = await db.read(
        lambda connection: queries.list_all(connection) if project is None else queries.list_of_project(connection, project)
    )
    return [KeyRecord(**_columns(row)) for row in rows]


async def revoke_key(db: Database, key_id: str, clock: Callable[[], datetime], by: Actor = NOBODY) -> KeyRecord:
    """Revoke a key for good; servers on the same data follow within a second. Doing it again changes nothing.

    Raises
    ------
    KeyNotFoundError
        There is no key with this id.
    """
    now = clock()

    async def revoke(connection: Connection) -> Row:
        if await queries.revoke(connection, key_id, to_micros(now)):
            await audit.record(connection, by, "key.revoke", key_id, now)
        return await _found(connection, key_id)

    return KeyRecord(**_columns(await db.write(revoke)))


class RotationError(ValueError):
    """The key cannot be rotated; the message says why."""


async def rotate_key(  # noqa: PLR0913 - a key and how it is followed
    db: Database,
    pepper: bytes,
    key_id: str,
    *,
    overlap: timedelta,
    clock: Callable[[], datetime],
    by: Actor = NOBODY,
    finish: Finish | None = None,
) -> CreatedKey:
    """Make a key that follows another: for the same, with the same limits and the same expiry. The old one works on for the *overlap*.

    *finish* is done in the same transaction.

    Raises
    ------
    KeyNotFoundError
        There is no key with this id.
    RotationError
        The overlap is not between nothing and 30 days, or the key has been revoked, has expired, or was rotated before.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        message = "a key that is rotated works on for 0 seconds to 30 days"
        raise RotationError(message)
    now, new_id = clock(), f"key_{secrets.token_hex(8)}"

    async def rotate(connection: Connection) -> CreatedKey:
        row = await _found(connection, key_id)
        old = KeyRecord(**_columns(row))
        if old.status(now) != "active":
            message = f"{key_id} is {old.status(now)}: make a new key"
            raise RotationError(message)
        key = key_format.make_key(old.environment)
        copied: dict[str, Any] = {name: row[name] for name in ("project_id", "environment", "name", "expires_at", "scopes", "addresses")}
        own = {name: row[f"own_{name}"] for name in ("per_minute", "concurrent", "tokens_per_month")}
        made: dict[str, Any] = {
            "key_id": new_id,
            "hint": key_format.hint(key),
            "digest": _digest(pepper, key),
            "created_at": to_micros(now),
        }
        await queries.insert(connection, **copied, **own, **made)
        if not await queries.end_by(connection, key_id, to_micros(now + overlap), new_id):
            message = f"{key_id} was rotated before: {old.successor} follows it"
            raise RotationError(message)
        await audit.record(connection, by, "key.rotate", key_id, now, successor=new_id, overlap_s=round(overlap.total_seconds()))
        return await _finished(connection, new_id, key, finish)

    return await db.write(rotate)


async def delete_keys(db: Database, project_id: str, clock: Callable[[], datetime], by: Actor = NOBODY) -> int:
    """Remove every key of a project, and give how many there were; servers on the same data follow within a second."""
    now = clock()

    async def delete(connection: Connection) -> int:
        removed = await queries.delete_of_project(connection, project_id)
        await audit.record(connection, by, "project.keys.delete", project_id, now, keys=removed)
        return removed

    return await db.write(delete)


@dataclass(frozen=True, slots=True)
class _Seen:
    caller: Caller
    at: datetime
    expires_at: datetime | None


class Verifier:
    """Tells who presents a key.

    Keys found good are remembered for half a second at most, *remembered* of them, under their digest; refusals are not, so a
    new key works at once. Used from one event loop.
    """

    def __init__(
        self,
        db: Database,
        pepper: bytes,
        clock: Callable[[], datetime],
        *,
        usual: Limits = NO_LIMITS,
        remembered: int = 10_000,
    ) -> None:
        self._db = db
        self._pepper = pepper
        self._clock = clock
        self._usual = usual
        self._remembered = remembered
        self._seen: OrderedDict[bytes, _Seen] = OrderedDict()
        self._decoy = secrets.token_bytes(32)

    @property
    def pepper(self) -> bytes:
        """What new keys are to be hashed with."""
        return self._pepper

    async def verify(self, presented: str, address: str | None = None) -> Caller:
        """Give the caller whose key this is; a request without a key presents ``""``. *address* is where it comes from, if that is known.

        What is missing, malformed or unknown costs the same work and gets the same error: a malformed key is not looked up,
        a digest that belongs to nobody is, in its place.

        Raises
        ------
        ApiError
            ``INVALID_API_KEY``, ``KEY_REVOKED``, ``KEY_EXPIRED`` or ``IP_NOT_ALLOWED``.
        StoreError
            The database cannot answer.
        """
        now = self._clock()  # before looking: an answer is as old as its question
        digest = _digest(self._pepper, presented)
        seen = self._seen.get(digest)
        if seen is None or not _fresh(seen, now):
            seen = await self._look_up(digest, now, known=key_format.is_well_formed(presented))
        self._seen.move_to_end(digest)
        if not seen.caller.may_come_from(address):
            raise ApiError(Code.IP_NOT_ALLOWED)
        return seen.caller

    async def _look_up(self, digest: bytes, now: datetime, *, known: bool) -> _Seen:
        self._seen.pop(digest, None)
        wanted = digest if known else self._decoy

        async def find(connection: Connection) -> tuple[Row | None, frozenset[str]]:
            row = await queries.find_by_digest(connection, wanted)
            return row, frozenset() if row is None else await denied_to(connection, row["project_id"])

        row, denied = await self._db.read(find)
        if row is None or not hmac.compare_digest(row["digest"], digest):
            raise ApiError(Code.INVALID_API_KEY)
        record = KeyRecord(**_columns(row))
        status = record.status(now)
        if status == "revoked":
            raise ApiError(Code.KEY_REVOKED)
        if status == "expired":
            raise ApiError(Code.KEY_EXPIRED)
        usual = self._usual
        limits = Limits(
            usual.per_minute if record.per_minute is None else record.per_minute,
            usual.concurrent if record.concurrent is None else record.concurrent,
            usual.tokens_per_month if record.tokens_per_month is None else record.tokens_per_month,
        )
        caller = Caller(
            record.id, record.project_id, record.environment, record.name, retention_of(row), frozenset(record.scopes), limits,
            tuple(ip_network(network) for network in record.addresses),
            denied,
            row["pii"],
        )  # fmt: skip
        seen = _Seen(caller, now, record.expires_at)
        self._seen[digest] = seen
        if len(self._seen) > self._remembered:
            self._seen.popitem(last=False)
        return seen


def load_pepper(settings: Settings) -> bytes:
    """Give the secret that keys are hashed with: the setting; in development, if it is not set, one made once and kept in a file.

    Raises
    ------
    SettingsError
        It is needed and not given, or its file cannot be used; the message says how to mend it.
    """
    if settings.pepper is not None:
        return settings.pepper.encode()
    if not settings.development:
        message = f"KAIKO_PEPPER is required when KAIKO_ENVIRONMENT={settings.environment}: {_MEND_PEPPER}"
        raise SettingsError(message)
    path = settings.data_dir / PEPPER_FILE
    try:
        make_private_folder(settings.data_dir)
        with locked(settings.data_dir):
            if not path.exists():
                write_private_file(path, secrets.token_hex(32).encode())
            pepper = path.read_bytes().strip()
    except OSError as error:
        message = f"the pepper cannot be kept in {path} ({error.strerror}): make the folder writable, or set KAIKO_PEPPER"
        raise SettingsError(message) from error
    if len(pepper) < _MIN_PEPPER:
        message = f"{path} holds no pepper: restore it, or remove it and make new keys"
        raise SettingsError(message)
    return pepper


def _digest(pepper: bytes, key: str) -> bytes:
    # Headers may hold anything: what cannot be encoded must end as an unknown key, not as a fault.
    return hmac.digest(pepper, key.encode("utf-8", "surrogatepass"), "sha256")


def _fresh(seen: _Seen, now: datetime) -> bool:
    # The age of an entry made before the clock was set back is negative: it is not believed either.
    return timedelta(0) <= now - seen.at < CACHE_FOR and (seen.expires_at is None or now < seen.expires_at)


def _checked(environment: str, name: str, terms: Terms, now: datetime) -> Environment:
    _networks(terms.addresses)
    expires_at = terms.expires_at
    kind = next((known for known in ENVIRONMENTS if known == environment), None)
    if kind is None:
        message = f"the environment of a key is one of {', '.join(ENVIRONMENTS)}"
    elif not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        message = f"the name of a key has 1 to {MAX_NAME} printable characters"
    elif expires_at is not None and expires_at.tzinfo is None:
        message = "the expiry of a key needs a time zone"
    elif expires_at is not None and expires_at <= now:
        message = "the expiry of a key must be in the future"
    elif not terms.scopes or not set(terms.scopes) <= set(SCOPES):
        message = f"the scopes of a key are some of {', '.join(SCOPES)}"
    elif any(limit is not None and not 0 <= limit < _MOST for limit in (terms.per_minute, terms.concurrent, terms.tokens_per_month)):
        message = "a limit is a whole number from 0, which is none, on"
    else:
        return kind
    raise ValueError(message)


_MOST = 2**53


def _networks(addresses: Sequence[str]) -> list[Network]:
    try:
        return [ip_network(address, strict=False) for address in addresses]
    except ValueError:
        message = "a key comes from addresses such as 203.0.113.7 or networks such as 203.0.113.0/24"
        raise ValueError(message) from None


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _columns(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "project_id": row["project_id"],
        "project": row["project"],
        "environment": row["environment"],
        "name": row["name"],
        "hint": row["hint"],
        "created_at": from_micros(row["created_at"]),
        "expires_at": _moment(row["expires_at"]),
        "revoked_at": _moment(row["revoked_at"]),
        "last_used_at": _moment(row["last_used_at"]),
        "scopes": tuple(row["scopes"].split()),
        "addresses": tuple((row["addresses"] or "").split()),
        **{name: row[name] for name in ("plan", "per_minute", "concurrent", "tokens_per_month", "successor")},
    }

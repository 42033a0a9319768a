"""HTTPS spoken by the server itself, with certificates that are renewed while it runs."""

import ssl
from pathlib import Path

from kaiko_server.settings import SettingsError


class Certificate:
    """A context for new connections that follows its files: when one changes, both are read anew.

    Parameters
    ----------
    cert, key
        PEM files.

    Raises
    ------
    SettingsError
        They cannot be read, or do not belong together; the message names them.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert, self._key = cert, key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._seen = self._state()
        try:
            self._load(self.context)
        except (OSError, ssl.SSLError) as error:
            message = f"KAIKO_TLS_CERT={cert} and KAIKO_TLS_KEY={key} cannot be used: {_reason(error)}"
            raise SettingsError(message) from None

    def renew(self) -> str | None:
        """Look whether the files have changed, and take what they hold; connections that are open keep what they have.

        Returns
        -------
        None when nothing has changed, ``"renewed"``, or why what is there now cannot be used; then the old one stays in use.
        """
        state = self._state()
        if state == self._seen:
            return None
        self._seen = state
        try:
            # In a context of its own first: half a pair must not get into the one in use.
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
            self._load(self.context)
        except (OSError, ssl.SSLError) as error:
            return _reason(error)
        return "renewed"

    def _load(self, context: ssl.SSLContext) -> None:
        # An empty password: without one OpenSSL would ask for it at the terminal, for ever.
        context.load_cert_chain(self._cert, self._key, password=str)

    def _state(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_state_of(path) for path in (self._cert, self._key))


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _reason(error: OSError) -> str:
    """Say what is wrong, without what the file holds."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM").replace("_", " ").lower()
    return error.strerror or type(error).__name__

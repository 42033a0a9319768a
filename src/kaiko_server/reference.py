"""Writes ``docs/reference`` from the code: ``python -m kaiko_server.reference``, or ``make docs``."""

import json
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from kaiko_server.app import create_app
from kaiko_server.errors import ApiError, Code
from kaiko_server.settings import Settings

FOLDER = Path(__file__).parent.parent.parent / "docs" / "reference"
_NOTE = "<!-- Written by `make docs` from the code. -->\n\n"


def pages() -> Iterator[tuple[str, str]]:
    """Give every page: its path below the folder, and what stands on it."""
    yield "openapi.json", json.dumps(create_app(Settings()).openapi(), indent=1, ensure_ascii=False) + "\n"
    yield "settings.md", _settings()
    yield "errors/README.md", _catalogue()
    for code in Code:
        yield f"errors/{code.slug}.md", _error(code)


def _settings() -> str:
    rows = [f"| `KAIKO_{f.name.upper()}` | {_default(f.default)} | {f.metadata['help']} |" for f in fields(Settings)]
    about = "Environment variables; options of the command line win over them."
    return _page("Settings", about, "| name | default | meaning |", "|---|---|---|", *rows)


def _default(value: object) -> str:
    return f"`{value}`" if value not in (None, ()) else "none"


def _catalogue() -> str:
    rows = [f"| {c.value.status} | [`{c.slug}`]({c.slug}.md) | `{c.value.type}` | {c.value.public} |" for c in Code]
    about = "Every error of every route has one shape and one of these codes."
    return _page("Errors", about, "| status | code | type | meaning |", "|---|---|---|---|", *rows)


def _error(code: Code) -> str:
    body = json.dumps(ApiError(code).body("req-0123456789abcdef01234567"), indent=2)
    told = f"Status {code.value.status}, type `{code.value.type}`. {code.value.public}"
    return _page(f"`{code.slug}`", told, f"**What to do.** {code.value.mend}", "", "```json", body, "```")


def _page(title: str, about: str, *lines: str) -> str:
    return f"{_NOTE}# {title}\n\n{about}\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Write every page."""
    for name, text in pages():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"docs/reference is written: {len(Code)} error codes, {len(fields(Settings))} settings\n")


if __name__ == "__main__":
    main()

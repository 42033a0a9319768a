"""The command line. It calls services and holds no SQL; each command is a module, loaded when it is called."""

from importlib import import_module
from importlib.metadata import version

import click

COMMANDS = {
    "serve": "Run the server.",
    "keys": "Make, list, rotate and revoke API keys, and show what they used.",
    "projects": "List projects, say how long they remember, and end them.",
    "plans": "List, make and remove plans: limits that many projects share.",
    "features": "Deny features to projects, plans or regions.",
    "contexts": "Show and erase conversations that are remembered.",
    "audit": "Show and verify what was done to keys, projects and contexts.",
    "analyze": "Read texts here, without a server.",
    "doctor": "Say what is wrong here and how to mend it.",
    "compact": "Take what was erased out of the database's files.",
    "migrate": "Bring the database to this version's schema.",
}
"""Name to one line of help: so that `kaiko --help` loads none of them."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"kaiko_server.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("kaiko-server"), prog_name="kaiko")
def main() -> None:
    """Read the emotions in texts: a self-hosted server with its own model inside."""

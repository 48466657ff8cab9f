"""What a command line that cannot be read says: with ``--json`` one JSON value as well, so that a program never reads nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from cli.output import EXIT_CONFIGURATION, EXIT_FAILED, print_json

_MISTYPED: Any = typer.BadParameter.__mro__[1]
"""Every fault of a command line: a missing option, an unknown command … Typer gives a name to this child of it alone."""


class Commands(TyperGroup):
    """The command line as a whole."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **named: Any) -> Any:
        """Run what was typed, and end the process with its exit code."""
        typed = list(sys.argv[1:] if args is None else args)
        if "--json" not in typed:
            return super().main(typed, *rest, **named)
        try:
            code = super().main(typed, *rest, **{**named, "standalone_mode": False})
        except _MISTYPED as error:
            _tell(error)
        except typer.Abort:
            sys.exit(EXIT_FAILED)
        sys.exit(code or 0)


def _tell(error: Any) -> NoReturn:
    where = error.ctx.command_path if error.ctx else "stint"
    message = f"{error.format_message().rstrip('.')}; see: {where} --help"
    print_json({"ok": False, "error": message, "cause": "mistyped"})
    sys.stderr.write(f"stint: {message}\n")
    sys.exit(EXIT_CONFIGURATION)

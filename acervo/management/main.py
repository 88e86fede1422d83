"""The `acervo` command: finds the settings, wakes the embedded database, runs one of our commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.util import find_spec

from acervo.management import demo_ground

COMMANDS = {
    "serve": "Everything on one machine, one port; restarts what dies.",
    "demo": "A simulated WhatsApp number and HubSpot account, and a believable day.",
    "web": "The web part alone.",
    "worker": "A worker for some queues: capture, tick, prepare, deliver.",
    "tick": "What happens by the clock, alone.",
    "migrate": "Bring the database to this version.",
    "createadmin": "Make a workspace and its administrator.",
    "connect": "Connect a WhatsApp account or a CRM.",
    "media": "List files, or get one.",
    "import_chat": "Bring in a chat that WhatsApp exported, or take it out again.",
    "renditions": "Make copies anew over many files.",
    "backfill": "Write earlier files to a CRM.",
    "receipts": "List what could not be read, or read it again.",
    "scan": "Show kept files to the malware scanner.",
    "doctor": "Try every part and say how to cure what is not well.",
    "sweep": "Find objects in the store that no file owns.",
    "verify": "Read every kept object back and compare it with its hash.",
    "audit": "Verify the chain of the audit trail.",
    "settings": "Every setting, its value's kind and its default.",
    "api": "The description of the REST API.",
    "manage": "Django's own commands, for developers.",
}
WITHOUT_DATABASE = frozenset({"settings", "api"})
FIRST_WORD_S = 3.0
NEXT_WORD_S = 10.0


def main() -> None:
    """Exit code 0 when done, 1 when it failed, 2 when it was called wrongly or a setting is wrong."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        _print_help()
        raise SystemExit(0 if arguments else 2)
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(version("acervo"))
        raise SystemExit(0)
    arguments[0] = arguments[0].replace("-", "_")  # a command is a module, and people write import-chat
    if arguments[0] not in COMMANDS:
        _print_help()
        raise SystemExit(f"acervo: there is no command {arguments[0]!r}.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "acervo.settings")
    if arguments[0] == "demo":
        if find_spec("sandbox") is None:
            raise SystemExit(
                "acervo: the demo is not part of this installation; it runs from a clone of the repository."
            )
        demo_ground.lay(os.environ, arguments)
    is_help = "-h" in arguments or "--help" in arguments
    _prepare(with_database=arguments[0] not in WITHOUT_DATABASE and not is_help)
    _run(arguments)


def _prepare(*, with_database: bool) -> None:
    from acervo.base.environment import WrongSetting
    from acervo.base.errors import AcervoError

    try:
        from acervo import settings
        from acervo.web.catalogues import ensure_compiled

        ensure_compiled()
        if with_database and settings.EMBEDDED is not None:
            settings.EMBEDDED.ensure_running(progress=_say_waiting())
    except WrongSetting as error:
        print(f"acervo: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except AcervoError as error:
        print(f"acervo: {error}", file=sys.stderr)
        raise SystemExit(1) from error


def _say_waiting() -> Callable[[float], None]:
    """Says now and then that the database is on its way; a quick start is silent."""
    next_word_s = FIRST_WORD_S

    def say(waited_s: float) -> None:
        nonlocal next_word_s
        if waited_s >= next_word_s:
            next_word_s = waited_s + NEXT_WORD_S
            print(f"acervo: the database is starting ({waited_s:.0f} s)", file=sys.stderr)

    return say


def _run(arguments: list[str]) -> None:
    from django.core.management import ManagementUtility

    if arguments[0] == "manage":
        arguments = arguments[1:] or ["help"]
    ManagementUtility(["acervo", *arguments]).execute()


def _print_help() -> None:
    width = max(map(len, COMMANDS))
    print("usage: acervo COMMAND [options]      (acervo COMMAND --help tells its options)\n")
    for name, purpose in COMMANDS.items():
        print(f"  {name.replace('_', '-'):<{width}}  {purpose}")


if __name__ == "__main__":
    main()

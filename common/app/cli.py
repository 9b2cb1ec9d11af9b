"""The command `trifold`: finds what is asked for and imports nothing else."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from common import __version__
from common.app.errors import TrifoldError
from common.app.registry import did_you_mean

DOMAINS = {
    "materials": "properties of crystals and molecules",
    "weather": "global forecasts",
    "protein": "structures from sequences",
}
VERBS = {
    "train": "train a model into a run folder with a report",
    "evaluate": "measure a trained model on one split of a data set",
    "predict": "apply a trained model to files",
    "benchmark": "print a published table beside what is reproduced here",
}
COMMANDS = {
    "demo": "train small models, use them, and draw what they give: a few minutes",
    "models": "list the shipped models; models NAME shows a card; models verify|licence|citation|size [NAME ...]; "
    "models manifest",
    "export": "write a model for other programs: export model=NAME format=torch-export|aoti|onnx output=FOLDER",
    "data": "list the data sets; data fetch|verify|licence|citation|size NAME ...; data mirror FOLDER NAME ...; "
    "data prepare domain=NAME folder=... output=...",
    "doctor": "tell what this machine offers",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0 done; 1 an error, told in one message; 2 wrong usage; 3 nothing could be predicted; 130 Ctrl-C; 143 SIGTERM.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    full_traceback = "1" in (os.environ.get("TRIFOLD_TRACEBACK"), os.environ.get("HYDRA_FULL_ERROR"))
    try:
        status = _dispatch(words)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `trifold models | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (TrifoldError, OSError) as error:
        if full_traceback:
            raise
        named = error if isinstance(error, TrifoldError) else f"{error} (TRIFOLD_TRACEBACK=1 shows where)"
        print(f"Error: {named}", file=sys.stderr)
        return 1


def _dispatch(words: list[str]) -> int:
    match words:
        case [] | ["help" | "--help" | "-h", *_]:
            print(_help())
        case ["--version"]:
            print(f"trifold {__version__}")
        case ["-sc" | "--shell-completion", *rest]:
            return _complete(rest)
        case [domain, *rest] if domain in DOMAINS:
            return _domain(domain, rest)
        case [command, *rest] if command in COMMANDS:
            return _command(command, rest)
        case [word, *_]:
            _usage(f"unknown command '{word}'. {did_you_mean(word, [*DOMAINS, *COMMANDS])}")
    return 0


def _domain(domain: str, words: list[str]) -> int:
    match words:
        case [] | ["help" | "--help" | "-h"]:
            print(_domain_help(domain))
            return 0
        case ["data", *rest]:
            return _command("data", rest, domain)
        case [verb, *rest] if verb in VERBS:
            from common.app.entry import run_verb

            return run_verb(domain, verb, rest)
    _usage(f"unknown verb '{words[0]}' of {domain}. {did_you_mean(words[0], [*VERBS, 'data'])}")


def _command(command: str, words: list[str], *domains: str) -> int:
    if words in (["--help"], ["-h"]) and command != "export":  # which explains its keys
        print(f"trifold {command}: {COMMANDS[command]}")
        return 0
    module = import_module(f"common.app.{command}")
    run: Callable[[list[str], Sequence[str]], int] = module.run
    return run(words, domains or tuple(DOMAINS))


def _usage(text: str) -> NoReturn:
    print(f"trifold: {text}", file=sys.stderr)
    sys.exit(2)


def _help() -> str:
    lines = [
        f"trifold {__version__}",
        "",
        "  trifold <domain> <verb> key=value ...     a verb of a domain, configured by keys",
    ]
    for title, table in (("Domains", DOMAINS), ("Verbs", VERBS), ("Other commands: trifold <command>", COMMANDS)):
        lines += ["", title, *_table(table)]
    lines += ["", "Keys, groups and examples of a verb: trifold materials train --help"]
    lines += ['Tab completion: eval "$(trifold -sc install=bash)"']
    return "\n".join(lines)


def _domain_help(domain: str) -> str:
    lines = [f"trifold {domain}: {DOMAINS[domain]}", "", *_table(VERBS)]
    return "\n".join([*lines, "", f"Keys, groups and examples of a verb: trifold {domain} train --help"])


def _table(rows: dict[str, str]) -> list[str]:
    return [f"  {name:<11}{text}" for name, text in rows.items()]


def _complete(words: list[str]) -> int:
    """Tab completion: the shell functions that Hydra installs ask here, with the line typed so far in COMP_LINE."""
    line = os.environ.get("COMP_LINE", "")
    typed = line.split()[1:] + ([""] if line.endswith(" ") else [])
    match typed if any(word.startswith("query=") for word in words) else [next(iter(DOMAINS)), "train", ""]:
        case [] | [_]:
            print(" ".join([*DOMAINS, *COMMANDS]))
        case [domain, _] if domain in DOMAINS:
            print(" ".join(VERBS))
        case [domain, verb, *rest] if domain in DOMAINS and verb in VERBS:
            from common.app.entry import complete_verb

            return complete_verb(domain, verb, words, rest)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Ask the platform from a terminal: `python -m client.query [VIEW [NAME=VALUE ...]]`.

Without a view it lists what there is. NAME=VALUE are parts of the key and other parameters of the API.
Ends with status 0, with 1 if the API had no answer, and with 2 if the command cannot be understood.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from client.errors import ClientError, ProblemError
from client.models import Answer
from client.questions import Question
from client.showing import catalogue_text, text_of
from client.showing_keys import explanation_text, keys_text, ranking_text
from client.sync import Client

__all__ = ["main", "run"]

_EXAMPLES = """examples:
  query
  query edits_by_country countryIsoCode=IT from=2015-09-12 to=2015-09-13
  query wiki last=24h every=hour
  query edits_by_channel channel='#en.wikipedia' --live
  query edits_by_page channel='#en.wikipedia' --top edits -n 20
"""
_CLEAR = "\x1b[H\x1b[2J"
Connect = Callable[[str], Client]


def main() -> int:
    return run(sys.argv[1:], sys.stdout, sys.stderr, os.environ, Client)


def run(
    arguments: Sequence[str], out: TextIO, err: TextIO, environ: Mapping[str, str], connect: Connect
) -> int:
    """The exit status of one command."""
    options = _parser(environ).parse_intermixed_args(arguments)
    try:
        with connect(options.url) as client:
            _answer(client, options, out)
    except ClientError as error:
        err.write(f"{_told(error)}\n")
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 0
    return 0


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="query", description="Ask a view, or list views.", epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("view", nargs="?", help="name of a view; left out: list all")
    parser.add_argument(
        "parameters", nargs="*", metavar="NAME=VALUE", type=_pair, help="key, range, every, ..."
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--live", action="store_true", help="show each new answer, until Ctrl-C")
    how.add_argument("--top", metavar="MEASURE", help="the keys with the most of it")
    how.add_argument("--keys", action="store_true", help="the keys that begin with the parts given")
    how.add_argument("--explain", action="store_true", help="what the number is made of, and its events")
    parser.add_argument("-n", type=int, default=10, help="how many keys or events (%(default)s)")
    parser.add_argument("--json", action="store_true", help="what the API answers, one line for each answer")
    parser.add_argument("--rows", action="store_true", help="a series as a table, not as sparklines")
    parser.add_argument("--url", default=_url(environ), help="the API (%(default)s; LAMBDA_API_HOST, _PORT)")
    return parser


def _url(environ: Mapping[str, str]) -> str:
    host = environ.get("LAMBDA_API_HOST", "127.0.0.1")
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{environ.get('LAMBDA_API_PORT', '8000')}"


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as page=Ada or every=hour")
    return name, value


def _answer(client: Client, options: argparse.Namespace, out: TextIO) -> None:
    if options.view is None:
        catalogue = client.catalogue()
        out.write(f"{catalogue.raw if options.json else catalogue_text(catalogue)}\n")
        return
    asked = Question(options.view, tuple(options.parameters))
    if options.live:
        _follow(client, asked, options, out)
    elif options.top:
        ranking = client.top(asked, options.top, options.n)
        out.write(f"{ranking.raw if options.json else ranking_text(ranking)}\n")
    elif options.keys:
        out.write(f"{keys_text(client.keys(asked, min(options.n + 1, 1000)), options.n)}\n")
    elif options.explain:
        told = client.explain(asked, options.n)
        out.write(f"{told.raw if options.json else explanation_text(told)}\n")
    else:
        _show(client.answer(asked), options, out)


def _follow(client: Client, asked: Question, options: argparse.Namespace, out: TextIO) -> None:
    for update in client.updates(asked):
        if isinstance(update, Answer):
            out.write(_CLEAR if out.isatty() and not options.json else "")
            _show(update, options, out)


def _show(answer: Answer, options: argparse.Namespace, out: TextIO) -> None:
    width = max(20, shutil.get_terminal_size().columns - 50)
    out.write(f"{answer.raw if options.json else text_of(answer, options.rows, width)}\n")
    out.flush()


def _told(error: ClientError) -> str:
    """What is wrong, and the way out, as the API says it."""
    if isinstance(error, ProblemError):
        return f"{error.title}: {error.detail}"
    return f"{error}; is the API running (make up), and at that address (--url)?"


if __name__ == "__main__":
    sys.exit(main())

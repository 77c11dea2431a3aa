"""Versions of the batch views: list them, and move readers back and forward. Starts no Spark.

python -m batch_layer.versions list [--source NAME] [--json]
python -m batch_layer.versions rollback VERSION [--source NAME]
python -m batch_layer.versions rollforward [VERSION] [--source NAME]
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from conf.settings import Settings, SettingsError, get_settings, variable
from core.application import Application, BoundSource
from core.errors import LambdaError
from core.folders import Folders
from core.versions import Version, Versions

__all__ = ["main"]

_HEAD = ("", "version", "boundary", "published", "mode", "events", "files", "definitions")


def main(
    arguments: Sequence[str] | None = None,
    settings: Settings | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> int:
    """1, and one line that says why, if readers were not moved."""
    options = _parse(arguments)
    try:
        told = _told(options, settings or get_settings(), now().isoformat())
    except (LambdaError, SettingsError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("\n".join(told) + "\n")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="batch_layer.versions", description=__doc__.partition("\n")[0])
    actions = parser.add_subparsers(dest="action", required=True)
    told = actions.add_parser("list", help="versions, newest first")
    told.add_argument("--json", action="store_true", help="one JSON object a version")
    back = actions.add_parser("rollback", help="move readers to an older version")
    back.add_argument("version", type=int)
    forward = actions.add_parser("rollforward", help="undo roll-backs")
    forward.add_argument("version", type=int, nargs="?", help="without it the newest that was published")
    for action in (told, back, forward):
        action.add_argument("--source", help="may be left out if the application has one source")
    return parser.parse_args(arguments)


def _told(options: argparse.Namespace, settings: Settings, at: str) -> list[str]:
    application = Application.load(settings.application, settings.contracts_dir)
    if options.action == "list":
        names = [application.source(options.source).source.name] if options.source else application.sources
        return [line for name in names for line in _list(application.source(name), settings, options.json)]
    return _move(options, application.source(options.source), settings, at)


def _list(bound: BoundSource, settings: Settings, as_json: bool) -> list[str]:
    versions = Versions(Folders(settings.data_dir, bound.source.name))
    found, semantics = versions.all(), bound.semantics(settings.dedupe_window)
    if as_json:
        return [json.dumps({"source": bound.source.name} | version.report()) for version in found]
    if not found:
        return [
            bound.source.name,
            f"nothing was published yet in {settings.data_dir} ({variable('data_dir')} names another folder)",
        ]
    held = versions.held()
    note = [_held(held)] if held else []
    return [bound.source.name, *_aligned([_HEAD, *(_row(version, semantics) for version in found)]), *note]


def _row(version: Version, semantics: str) -> tuple[str, ...]:
    manifest, first = version.manifest, version.first
    mine = "torn manifest" if manifest is None else "these" if manifest.semantics == semantics else "others"
    return (
        "->" if version.current else "",
        str(first.version),
        str(first.boundary),
        first.at[:19],
        manifest.mode if manifest else "",
        str(manifest.counts.get("counted", "")) if manifest else "",
        "retained" if version.retained else "gone",
        mine,
    )


def _aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ("  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _move(options: argparse.Namespace, bound: BoundSource, settings: Settings, at: str) -> list[str]:
    folders = Folders(settings.data_dir, bound.source.name)
    versions = Versions(folders)
    move = versions.roll_back if options.action == "rollback" else versions.roll_forward
    pointer = move(options.version, at)
    told = [f"readers of {bound.source.name} use version {pointer.version}, up to cut {pointer.boundary}"]
    manifest = folders.publications().manifest(pointer.version)
    if manifest.semantics != bound.semantics(settings.dedupe_window):
        told.append("it was made by other definitions: it is read by processes that run those")
    held = versions.held()
    return [*told, _held(held)] if held else told


def _held(newest: int) -> str:
    return (
        f"scheduled runs publish nothing while readers use an older version than {newest}; to end that: "
        "roll forward, or publish by a run with --force"
    )


if __name__ == "__main__":
    sys.exit(main())

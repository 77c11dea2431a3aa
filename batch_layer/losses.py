"""Records that the log dropped before they were archived: list them, and accept that they are lost. No Spark.

python -m batch_layer.losses list [--source NAME]
python -m batch_layer.losses accept [--source NAME] [--note WHY]
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from batch_layer.ledger import read_ledger
from batch_layer.log import KafkaLog, open_log
from conf.settings import Settings, SettingsError, get_settings
from core.application import Application
from core.errors import LambdaError
from core.folders import Folders
from core.handoff import check_same_log
from core.logs import get_logger
from core.losses import Gap, Loss, gaps, unaccepted

__all__ = ["main", "pending"]


def main(
    arguments: Sequence[str] | None = None,
    settings: Settings | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> int:
    """1, and one line that says why, if the log cannot be asked or is another one."""
    options = _parse(arguments)
    try:
        told = _told(options, settings or get_settings(), now().isoformat())
    except (LambdaError, SettingsError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("\n".join(told) + "\n")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="batch_layer.losses", description=__doc__.partition("\n")[0])
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="what is lost: accepted, and not accepted yet")
    accepting = actions.add_parser("accept", help="declare all that the log dropped lost for ever")
    accepting.add_argument("--note", default="", help="why; manifests and answers show it")
    for action in (listing, accepting):
        action.add_argument("--source", help="may be left out if the application has one source")
    return parser.parse_args(arguments)


def _told(options: argparse.Namespace, settings: Settings, at: str) -> list[str]:
    bound = Application.load(settings.application, settings.contracts_dir).source(options.source)
    folders = Folders(settings.data_dir, bound.source.name)
    with open_log(settings, bound.source.topic, get_logger("batch"), seconds=10) as kafka:
        found = pending(folders, kafka)
    if options.action == "accept":
        accepted = folders.losses().accept(found, at, options.note)
        return [_line(loss, "accepted") for loss in accepted] or ["nothing is lost"]
    lines = [_line(loss, "accepted") for loss in folders.losses().accepted()]
    lines += [_line(gap, "not accepted: nothing is archived beyond it, nothing published") for gap in found]
    return lines or ["nothing is lost"]


def pending(folders: Folders, kafka: KafkaLog) -> list[Gap]:
    """What the log dropped before it was archived and nobody accepted. Raises ForeignLog, SourceUnusable."""
    losses, ledger, identity = folders.losses(), read_ledger(folders.master), kafka.identity()
    if ledger.last:
        last = ledger.last
        check_same_log((last.cluster_id, last.topic_id), (identity.cluster, identity.topic_id), kafka.topic)
    begin = kafka.begin()
    return unaccepted(gaps(losses.origin(identity, begin) | ledger.end, begin), losses.accepted())


def _line(gap: Gap, what: str) -> str:
    count = gap.end - gap.start
    told = f"partition {gap.partition}: offsets {gap.start} to {gap.end - 1} ({count}) {what}"
    return f"{told} at {gap.at} {gap.note}".rstrip() if isinstance(gap, Loss) else told


if __name__ == "__main__":
    sys.exit(main())

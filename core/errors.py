"""Every error this platform raises on purpose.

LambdaError
├── SettingsError            a setting is missing or wrong (conf.settings)
├── LocalError               what keeps the platform from running on one machine (local.errors)
├── DatasetError             the demo's file of edits is absent or another one (demo.dataset)
├── ReplayFailed, DemoFailed  a step of the demo did not happen (demo)
├── ChangeFailed             a step of the comparison with Kappa did not happen (bench.kappa)
├── ContractError            a data contract cannot be understood
│   └── ContractRefused      a contract asks for what cannot be honoured (core.columns)
├── DefinitionError          a source, a view or a measure is wrong
│   ├── ExpressionError      an SQL expression is refused
│   ├── NotEvaluable         an expression that Spark computes and plain Python does not
│   ├── TableRefused         a file that is no table to look up in (core.tables)
│   ├── DuplicateView        two views carry one name
│   └── UnknownName          a name that nothing carries; knows the nearest
├── EntryTaken               an append-only log already holds that entry
├── FormatRefused            stored by a version that writes another format
├── HandoffError             the hand-off contract would be broken
│   ├── PositionError        positions missing, twice, or out of order
│   │   └── RecordsLost      the log dropped records before they were archived
│   ├── BoundaryError        a boundary that falls, or that nothing covers
│   ├── IntentMismatch       a replayed micro-batch holds other records
│   ├── StateLost            speed state is gone, or older than its stamp
│   ├── NotExact             a version that takes rows over would not be what a full recompute gives
│   ├── HandoffUnequal       the speed state is not what the log gives, and that is to block
│   ├── Superseded           other definitions were promoted over those of this process
│   └── ForeignLog           another log stands under the same name
├── VersionRefused           readers cannot be moved to that version
│   ├── UnknownVersion       nothing was published under that number
│   └── VersionGone          its files were removed
├── CandidateError           what cannot be done with definitions that stand beside those of readers
├── LeaseHeld                somebody else does this work already
└── SourceUnusable           a topic that cannot be a log (compacted, absent)
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class LambdaError(Exception):
    """Base of all errors below; its text names the thing, the value and the way out."""


class ContractError(LambdaError):
    """A data contract cannot be understood."""


class DefinitionError(LambdaError):
    """A source, a view or a measure is wrong."""


class ExpressionError(DefinitionError):
    """An SQL expression is refused."""


class NotEvaluable(DefinitionError):
    """An expression that Spark computes and plain Python does not, to the last digit. Keeps it and why."""

    def __init__(self, expression: str, why: str) -> None:
        super().__init__(f"expression {expression!r} cannot be evaluated outside Spark: {why}")
        self.expression, self.why = expression, why


class DuplicateView(DefinitionError):
    """Two views carry one name."""


class EntryTaken(LambdaError):
    """An append-only log already holds that entry."""


class FormatRefused(LambdaError):
    """Something stored carries a format version that this code does not read."""


class HandoffError(LambdaError):
    """Going on would break the hand-off contract."""


class PositionError(HandoffError):
    """Log positions are missing, stand twice, or do not abut."""


class BoundaryError(HandoffError):
    """A boundary that falls, or that the master dataset does not cover."""


class IntentMismatch(HandoffError):
    """A replayed micro-batch is not the one that was intended."""


class StateLost(HandoffError):
    """Speed state is gone, or older than the stamp that should precede it."""


class ForeignLog(HandoffError):
    """Another log stands under the name of the one that was archived."""


class NotExact(HandoffError):
    """A version that takes rows over would not be what a full recompute gives. Keeps what and why."""

    def __init__(self, what: str, why: str, way_out: str) -> None:
        super().__init__(f"{what} would not be exact: {why}; {way_out}")
        self.what, self.why = what, why


class Superseded(HandoffError):
    """Other definitions were promoted over those of this process. Keeps version and both hashes."""

    def __init__(self, version: int, mine: str, theirs: str) -> None:
        super().__init__(
            f"this process runs definitions {mine}, over which {theirs} were promoted; readers use version "
            f"{version}. Restart it with the promoted application (LAMBDA_APPLICATION), or build and promote "
            "these again"
        )
        self.version, self.mine, self.theirs = version, mine, theirs


class HandoffUnequal(HandoffError):
    """The speed state differs from the log, and a setting lets that block. Keeps version and setting."""

    def __init__(self, version: int, alarm: str, setting: str) -> None:
        super().__init__(
            f"version {version} is not published: {alarm}. The speed layer rebuilds that generation: publish "
            f"again when it is done, or publish what batch has with {setting}=false"
        )
        self.version, self.setting = version, setting


class HandoffsLost(HandoffError):
    """The table of hand-off checks knows more of them than the registry does."""

    def __init__(self, table: str, kept: int, registered: int) -> None:
        super().__init__(
            f"table {table} has hand-off checks up to {kept}, the registry only up to {registered}: it was "
            "deleted, or restored from an older copy; restore it, or move the table away"
        )
        self.table, self.kept, self.registered = table, kept, registered


class CandidateError(LambdaError):
    """What cannot be done with definitions that stand beside those of readers."""


class LeaseHeld(LambdaError):
    """Somebody else does this work already. Keeps the lease's file and its holder's pid."""

    def __init__(self, work: str, path: str, pid: int) -> None:
        super().__init__(f"{work} is running already, as process {pid} ({path}); stop it or wait for it")
        self.work, self.path, self.pid = work, path, pid


class RecordsLost(PositionError):
    """Records that nobody has any more; nobody accepted that. Keeps (partition, start, end) of each gap."""

    def __init__(self, lost: Sequence[tuple[int, int, int]]) -> None:
        told = [
            f"partition {partition}: archived up to {start}, but the log begins at {end}: offsets {start} to "
            f"{end - 1} were dropped before they were archived"
            for partition, start, end in lost
        ]
        super().__init__(
            f"{'; '.join(told)}; nothing is published until an operator accepts that they are lost "
            "(python -m batch_layer.losses accept); keep records longer (retention.ms)"
        )
        self.lost = tuple(lost)


class VersionRefused(LambdaError):
    """Readers stay where they are. Keeps the version asked for and those that readers can be moved to."""

    def __init__(self, version: int, retained: Iterable[int], reason: str) -> None:
        self.version, self.retained = version, sorted(retained)
        super().__init__(f"{reason}. Retained are: {', '.join(map(str, self.retained)) or 'none'}")


class UnknownVersion(VersionRefused):
    """No version of that number was ever published."""

    def __init__(self, version: int, retained: Iterable[int]) -> None:
        super().__init__(version, retained, f"there is no version {version}")


class VersionGone(VersionRefused):
    """A version whose files were removed."""

    def __init__(self, version: int, retained: Iterable[int]) -> None:
        reason = f"version {version} is not retained any more; LAMBDA_VERSIONS_KEPT says how many are"
        super().__init__(version, retained, reason)


class SourceUnusable(LambdaError):
    """A topic that cannot serve as a log."""


class UnknownName(DefinitionError):
    """A name that nothing carries.

    >>> str(UnknownName("view", "edit", ["edits", "robots"]))
    "unknown view 'edit'; did you mean 'edits'? There are: edits, robots"
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        self.nearest = next(iter(get_close_matches(name, self.known, n=1)), None)
        hint = f"; did you mean {self.nearest!r}?" if self.nearest else "."
        super().__init__(f"unknown {kind} {name!r}{hint} There are: {', '.join(self.known) or 'none'}")

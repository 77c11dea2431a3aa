"""Names that definitions may give to sources, views, parts of keys, measures and derived columns."""

from core.errors import DefinitionError

__all__ = ["RESERVED", "check_name"]

RESERVED = ("from", "to", "every", "tile", "bucket", "key")


def check_name(kind: str, name: str, reserved: tuple[str, ...] = RESERVED) -> None:
    """Raise `DefinitionError` for a name that a column, a folder or a parameter cannot have."""
    if not name.isidentifier() or name.startswith("_") or "__" in name or name in reserved:
        raise DefinitionError(
            f"{kind} {name!r}: a name has letters, digits and single underscores, and is none of {reserved}"
        )

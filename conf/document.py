"""`python -m conf.document > docs/settings.md` writes the page that lists every setting."""

import sys
from pathlib import Path

from pydantic.fields import FieldInfo

from conf.settings import ROOT, Settings, variable

__all__ = ["page", "table"]

HEAD = """\
# Settings

Environment variables with the prefix `LAMBDA_`, read once when a process starts; or the same names in a file
`.env` in the working directory, or in the file that `LAMBDA_ENV_FILE` names. The environment wins. A value
that is not allowed, or a name that does not exist, stops the start with a message that says which and why.

Secrets stand in files, never in variables. `python -m conf.document > docs/settings.md` writes this page.

"""


def table() -> str:
    """A Markdown table with one row a setting."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows]) + "\n"


def page() -> str:
    return HEAD + table()


def _row(name: str, field: FieldInfo) -> str:
    return f"| `{variable(name)}` | {_default(field.default)} | {field.description} |"


def _default(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Path) and value.is_relative_to(ROOT):
        value = value.relative_to(ROOT)
    return f"`{value}`"


if __name__ == "__main__":
    sys.stdout.write(page())

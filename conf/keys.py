"""Keys that the platform makes for itself: made once, mode 0600, never logged, never in a commit."""

import os
import secrets
from pathlib import Path

from conf.clients import secret
from conf.settings import Settings, variable

__all__ = ["admin_key", "pseudonym_key"]


def admin_key(settings: Settings) -> str:
    """The key that whatever changes something asks for."""
    return _key(settings, "admin")


def pseudonym_key(settings: Settings) -> bytes:
    """The key of pseudonyms. Whoever loses it cannot link old pseudonyms to new ones."""
    return _key(settings, "pseudonym").encode()


def _key(settings: Settings, name: str) -> str:
    field = f"{name}_key_file"
    named: Path | None = getattr(settings, field)
    path = named or settings.secrets_dir / f"{name}.key"
    if named is None and not path.exists():
        _make(path)
    return secret(path, variable(field))


def _make(path: Path) -> None:
    """Writes a new key. Of two processes that start at once, both see the key of the first."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()

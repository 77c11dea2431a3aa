"""`python -m local.down`: stops the platform that runs in this data folder, and waits for its end."""

import os
import signal
import sys

from conf.settings import SettingsError, get_settings
from core.errors import LeaseHeld
from core.leases import hold
from local.platform import lock_path

__all__: list[str] = []


def main() -> int:
    try:
        path = lock_path(get_settings())
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        with hold(path, "a platform"):
            print("nothing runs here")
    except LeaseHeld as held:
        print(f"stopping process {held.pid}", flush=True)
        os.kill(held.pid, signal.SIGTERM)
        with hold(path, "a platform", patient=True):
            print("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())

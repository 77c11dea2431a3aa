"""`python -m serving_layer` runs the API until it is told to stop."""

import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from conf.keys import admin_key
from conf.settings import Settings, SettingsError, get_settings
from core.application import Application
from core.errors import LambdaError
from core.logs import get_logger
from serving_layer.file_limit import raise_file_limit
from serving_layer.listening import listen

APP = "serving_layer.app:from_environment"


def main() -> int:
    """Exit status 1, and one line that says why, if the API cannot start."""
    try:
        settings = get_settings()
        _check(settings)
        listener = listen(settings)
    except (LambdaError, SettingsError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    raise_file_limit()
    folder = _metrics_folder(settings)
    try:
        _serve(settings, listener)
    finally:
        listener.close()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _check(settings: Settings) -> None:
    """Raise once what would be raised in every process; make the admin key before they all would."""
    Application.load(settings.application, settings.contracts_dir)
    admin_key(settings)


def _metrics_folder(settings: Settings) -> Path:
    """A folder for this run's metrics; the processes know it by the variable that prometheus_client reads."""
    for left in settings.run_dir.glob("metrics-*"):
        if not Path("/proc/self").exists() or not Path(f"/proc/{left.name.partition('-')[2]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = settings.run_dir / f"metrics-{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    return folder


def _serve(settings: Settings, listener: socket.socket) -> None:
    config = uvicorn.Config(
        APP, factory=True, host=settings.api_host, port=settings.api_port, workers=settings.api_workers,
        access_log=False, log_config=_logging(), timeout_graceful_shutdown=5, server_header=False,
    )  # fmt: skip
    get_logger("api").info("listening", url=settings.api_url, workers=settings.api_workers)
    if settings.api_workers == 1:
        uvicorn.Server(config).run([listener])
    else:
        Multiprocess(config, [listener]).run()


def _logging() -> dict[str, Any]:
    """uvicorn's own messages in the form of all others."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"json": {"class": "serving_layer.library_logs.JsonHandler"}},
        "root": {"handlers": ["json"], "level": "WARNING"},
        # says each attempt to connect many times over; what matters of it is in /v1/status
        "loggers": {"kafka": {"level": "CRITICAL"}},
    }


if __name__ == "__main__":
    sys.exit(main())

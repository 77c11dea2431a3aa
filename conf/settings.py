"""Settings of every process: environment variables with the prefix LAMBDA_, read once at start.

`get_settings()` is what commands call; tests build `Settings(data_dir=tmp_path, ...)`. Values may also stand
in an env file, named by LAMBDA_ENV_FILE (default: `.env` in the working directory, if there is one). The
environment wins.

    SettingsError
      a value that is not allowed, a LAMBDA_ variable that does not exist, a file that cannot be read
"""

import difflib
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from dotenv import dotenv_values
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from core.errors import LambdaError

__all__ = ["PREFIX", "Settings", "SettingsError", "get_settings", "read_settings", "variable"]

PREFIX = "LAMBDA_"
ENV_FILE = PREFIX + "ENV_FILE"
ROOT = Path(__file__).resolve().parent.parent


class SettingsError(LambdaError):
    """A setting that stops the start. Keeps the variable, the value (None if secret) and what is allowed."""

    def __init__(self, key: str, value: object, allowed: str) -> None:
        super().__init__(
            f"{key} has value {value!r}: {allowed}" if value is not None else f"{key}: {allowed}"
        )
        self.key, self.value, self.allowed = key, value, allowed


def variable(name: str) -> str:
    """The environment variable of a field: api_port -> LAMBDA_API_PORT."""
    return PREFIX + name.upper()


class Settings(BaseSettings):
    """Typed settings. Paths are absolute once read; relative ones start at the working directory."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=PREFIX)

    data_dir: Path = Field(
        Path("data"), description="Master dataset, views, registry, checkpoints, logs, secrets."
    )
    cache_dir: Path = Field(ROOT / ".cache", description="What set-up fetched: jars and the demo's dataset.")
    application: str = Field(
        "conf.definitions.wikipedia",
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$",
        description="Module with the sources and views; any importable package, also outside the clone.",
    )
    contracts_dir: Path = Field(ROOT / "conf" / "contracts", description="Folder of the data contracts.")
    namespace: str = Field(
        "lambda", pattern=r"^[a-z0-9_-]{1,40}$", description="First part of every Redis key."
    )

    kafka_bootstrap: str | None = Field(
        None,
        pattern=r"^[^\s,:]+:\d+(,[^\s,:]+:\d+)*$",
        description="host:port of your own Kafka. Unset: a local server is run.",
    )
    kafka_port: int = Field(9092, ge=1, le=65535, description="Port of the local Kafka.")
    kafka_controller_port: int = Field(
        9093, ge=1, le=65535, description="Controller port of the local Kafka."
    )
    kafka_properties: Path | None = Field(
        None, description="Java client properties for your own Kafka (SASL, TLS). Keep it out of the clone."
    )
    topic_partitions: int = Field(
        2, ge=1, le=1000, description="Partitions of a topic that the platform makes."
    )

    redis_url: str | None = Field(
        None,
        pattern=r"^rediss?://",
        description="redis:// or rediss:// of your own Redis. Unset: a local one is run.",
    )
    redis_port: int = Field(6379, ge=1, le=65535, description="Port of the local Redis.")
    redis_username: str | None = Field(None, description="ACL user of your own Redis.")
    redis_password_file: Path | None = Field(
        None, description="File that holds the password of your own Redis."
    )
    redis_ca_file: Path | None = Field(
        None, description="CA certificates (PEM) that signed your own Redis (rediss://)."
    )
    redis_maxmemory: str = Field(
        "1gb",
        pattern=r"^\d+(kb|mb|gb)$",
        description="Memory limit of the local Redis; it refuses writes beyond it.",
    )

    api_host: str = Field("127.0.0.1", min_length=1, description="Address the API listens on.")
    api_port: int = Field(8000, ge=1, le=65535, description="Port of the API.")
    api_workers: int = Field(2, ge=1, le=64, description="Worker processes of the API.")
    live_listeners: int = Field(
        4000, ge=1, le=100_000, description="Listeners of live answers in one process of the API, at most."
    )
    live_heartbeat: float = Field(
        15, ge=0.1, le=3600, description="Seconds between signs of life to a listener of live answers."
    )
    admin_key_file: Path | None = Field(
        None,
        description="Key for whatever changes something. Unset: {data_dir}/secrets/admin.key, made once.",
    )
    pseudonym_key_file: Path | None = Field(
        None, description="Key of pseudonyms. Unset: {data_dir}/secrets/pseudonym.key, made once."
    )

    cut_interval: float = Field(30, gt=0, le=86400, description="Seconds: least time between two cuts.")
    dedupe_window: int = Field(
        20, ge=1, le=10000, description="Segments for which the speed layer knows a duplicate."
    )
    shards: int = Field(
        16, ge=1, le=4096, description="Parts of the speed state. Changing it starts a new generation."
    )
    trigger_interval: float = Field(
        0.2, ge=0, le=3600, description="Seconds between micro-batches of the speed layer."
    )
    max_offsets_per_trigger: int = Field(50_000, ge=1, description="Records in one micro-batch, at most.")
    archive_chunk: int = Field(
        500_000, ge=1, description="Records in one micro-batch of the archive, at most."
    )
    batch_interval: float = Field(300, gt=0, description="Seconds between scheduled batch runs.")
    recompute_mode: Literal["full", "incremental"] = Field(
        "full",
        description="What scheduled batch runs do: recompute all, or add what is new where that is exact.",
    )
    handoff_wait: float = Field(
        10, ge=0, le=3600, description="Seconds that a publish waits for the speed layer, to check it."
    )
    handoff_records: int = Field(
        1_000_000, ge=1, description="Records that a publish checks at most; of more, whole shards in turn."
    )
    handoff_blocks: bool = Field(
        False, description="Whether a speed state that differs from the log stops a publish."
    )
    versions_kept: int = Field(
        5, ge=2, le=1000, description="Published versions kept on disk for a roll-back."
    )
    index_partitions: int = Field(2, ge=1, le=256, description="LMDB files of one view.")
    ranked_keys: int = Field(
        100_000, ge=1, le=10_000_000, description="Keys that one ranking (`/top`) reads at most."
    )
    as_of_records: int = Field(
        200_000,
        ge=1,
        description="Records of the master dataset that a question about the past reads at most.",
    )
    as_of_copies: int = Field(
        20_000_000,
        ge=1,
        description="Records that it looks through for events and for copies of them, at most.",
    )

    spark_master: str = Field(
        "local[2]",
        pattern=r"^(local(\[[^\]]+\])?|spark://.+|k8s://.+|yarn)$",
        description="Spark master of both jobs.",
    )
    spark_driver_memory: str = Field("2g", pattern=r"^\d+[mg]$", description="Driver heap of the speed job.")
    batch_driver_memory: str = Field("3g", pattern=r"^\d+[mg]$", description="Driver heap of the batch job.")
    spark_java_options: str = Field(
        "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC",
        description="JVM flags of the speed job: its micro-batches are short, and cheap compilation pays; "
        "its default for compiled code, 48 MB, is too small for Spark.",
    )
    batch_java_options: str = Field(
        "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseParallelGC",
        description="JVM flags of the batch job: a full recompute folds outside the JVM, so that cheap "
        "compilation pays; where incremental runs or backfills of many million events are the rule, "
        "leave out the first one.",
    )

    faults_dir: Path | None = Field(
        None, description="For tests only: folder of planted faults (docs/faults.md). Unset: there are none."
    )
    batch_nice: int = Field(
        19, ge=0, le=19, description="Niceness of a batch job on this machine: fresh answers go first."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments only: `read_settings` hands the environment over, so a stray variable moves no test."""
        return (init_settings,)

    @field_validator("data_dir", "cache_dir", "contracts_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @field_validator(
        "kafka_properties", "redis_password_file", "redis_ca_file", "admin_key_file", "pseudonym_key_file"
    )
    @classmethod
    def _readable(cls, path: Path | None) -> Path | None:
        if path is None:
            return None
        path = path.expanduser().absolute()
        if not os.access(path, os.R_OK) or not path.is_file():
            raise ValueError("must be a file that exists and can be read")
        return path

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.redis_ca_file and not (self.redis_url or "").startswith("rediss://"):
            raise SettingsError(
                variable("redis_ca_file"), str(self.redis_ca_file), "needs LAMBDA_REDIS_URL=rediss://..."
            )
        if self.redis_url and "@" in self.redis_url:
            raise SettingsError(
                variable("redis_url"),
                None,
                "must hold no password; use LAMBDA_REDIS_USERNAME and LAMBDA_REDIS_PASSWORD_FILE",
            )
        ports = ("kafka_port", "kafka_controller_port", "redis_port", "api_port")
        _distinct({name: getattr(self, name) for name in ports})
        return self

    @property
    def runs_kafka(self) -> bool:
        """Whether a local Kafka belongs to this platform."""
        return self.kafka_bootstrap is None

    @property
    def runs_redis(self) -> bool:
        """Whether a local Redis belongs to this platform."""
        return self.redis_url is None

    @property
    def bootstrap(self) -> str:
        """host:port list of the Kafka to use."""
        return self.kafka_bootstrap or f"127.0.0.1:{self.kafka_port}"

    @property
    def redis_address(self) -> str:
        """URL of the Redis to use, without user and password."""
        return self.redis_url or f"redis://127.0.0.1:{self.redis_port}/0"

    @property
    def api_url(self) -> str:
        """Where this machine reaches the API."""
        host = "127.0.0.1" if self.api_host in ("0.0.0.0", "::") else self.api_host
        return f"http://{host}:{self.api_port}"

    @property
    def jars_dir(self) -> Path:
        """Folder of what Ivy fetched: spark/, kafka/, data/."""
        return self.cache_dir / "jars"

    @property
    def master_dir(self) -> Path:
        return self.data_dir / "master"

    @property
    def views_dir(self) -> Path:
        return self.data_dir / "views"

    @property
    def registry_dir(self) -> Path:
        return self.data_dir / "registry"

    @property
    def checkpoints_dir(self) -> Path:
        return self.data_dir / "checkpoints"

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def run_dir(self) -> Path:
        """Files of running processes: pid files, the supervisor's socket and configuration."""
        return self.data_dir / "run"

    @property
    def secrets_dir(self) -> Path:
        return self.data_dir / "secrets"

    def environment(self) -> dict[str, str]:
        """These settings as variables, for a child process that must see the same ones."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {variable(name): str(value) for name, value in values.items() if value is not None}


def _distinct(ports: Mapping[str, int]) -> None:
    seen: dict[int, str] = {}
    for name, port in ports.items():
        if port in seen:
            raise SettingsError(variable(name), port, f"must differ from {variable(seen[port])}")
        seen[port] = name


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from variables and from the env file they name. Raises SettingsError."""
    values = {
        **_from_file(environ),
        **{key: value for key, value in environ.items() if key.startswith(PREFIX)},
    }
    values.pop(ENV_FILE, None)
    fields = {variable(name): name for name in Settings.model_fields}
    _refuse_unknown(values, fields)
    given = {fields[key]: value for key, value in values.items() if value != ""}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        raise _explain(error) from None


@cache
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return read_settings(os.environ)


def _from_file(environ: Mapping[str, str]) -> dict[str, str]:
    named = environ.get(ENV_FILE)
    path = Path(named or ".env")
    if named and not path.is_file():
        raise SettingsError(ENV_FILE, named, "must be a file that exists and can be read")
    if not path.is_file():
        return {}
    return {key: value or "" for key, value in dotenv_values(path).items() if key.startswith(PREFIX)}


def _refuse_unknown(keys: Iterable[str], known: Iterable[str]) -> None:
    for key in keys:
        if key not in set(known):
            near = difflib.get_close_matches(key, list(known), n=1)
            hint = f"did you mean {near[0]}?" if near else "docs/settings.md lists what there is"
            raise SettingsError(key, None, f"no such setting; {hint}")


def _explain(error: ValidationError) -> SettingsError:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "?"
    description = Settings.model_fields[name].description if name in Settings.model_fields else ""
    return SettingsError(variable(name), first["input"], f"{_allowed(first)} ({description})")


def _allowed(first: Any) -> str:
    message = str(first["msg"]).removeprefix("Value error, ")
    return message.replace("Input should ", "must ", 1).replace("String should ", "must ", 1)

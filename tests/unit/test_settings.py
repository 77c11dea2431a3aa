"""Settings: what is read, what is refused and in which words, and that the documentation lists every one."""

from pathlib import Path

import pytest

from conf.settings import Settings, SettingsError, read_settings, variable

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def test_without_variables_everything_has_a_default() -> None:
    settings = read_settings({})
    assert (settings.api_port, settings.bootstrap, settings.runs_kafka) == (8000, "127.0.0.1:9092", True)


def test_variables_of_the_environment_are_read_and_typed() -> None:
    settings = read_settings(
        {"LAMBDA_API_PORT": "8080", "LAMBDA_TRIGGER_INTERVAL": "1.5", "HOME": "/nowhere"}
    )
    assert (settings.api_port, settings.trigger_interval) == (8080, 1.5)


def test_an_empty_variable_means_the_default() -> None:
    assert read_settings({"LAMBDA_API_PORT": ""}).api_port == 8000


def test_an_env_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("LAMBDA_API_PORT=1111\nLAMBDA_REDIS_PORT=2222\nOTHER=3\n")
    settings = read_settings({"LAMBDA_ENV_FILE": str(file), "LAMBDA_API_PORT": "3333"})
    assert (settings.api_port, settings.redis_port) == (3333, 2222)


@pytest.mark.parametrize(
    ("environ", "key", "value", "hint"),
    [
        ({"LAMBDA_API_PORT": "80000"}, "LAMBDA_API_PORT", "80000", "less than or equal to 65535"),
        ({"LAMBDA_API_PORT": "http"}, "LAMBDA_API_PORT", "http", "valid integer"),
        ({"LAMBDA_CUT_INTERVAL": "0"}, "LAMBDA_CUT_INTERVAL", "0", "greater than 0"),
        ({"LAMBDA_NAMESPACE": "a b"}, "LAMBDA_NAMESPACE", "a b", "must match"),
        ({"LAMBDA_APPLICATION": "my-app.views"}, "LAMBDA_APPLICATION", "my-app.views", "importable"),
        ({"LAMBDA_KAFKA_BOOTSTRAP": "broker"}, "LAMBDA_KAFKA_BOOTSTRAP", "broker", "host:port"),
        ({"LAMBDA_REDIS_CA_FILE": "/no/ca"}, "LAMBDA_REDIS_CA_FILE", "/no/ca", "must be a file that exists"),
        ({"LAMBDA_API_PORT": "9092"}, "LAMBDA_API_PORT", 9092, "must differ from LAMBDA_KAFKA_PORT"),
        ({"LAMBDA_ENV_FILE": "/no/env"}, "LAMBDA_ENV_FILE", "/no/env", "must be a file"),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_what_is_allowed(
    environ: dict[str, str], key: str, value: object, hint: str
) -> None:
    with pytest.raises(SettingsError, match=key) as caught:
        read_settings(environ)
    assert (caught.value.key, caught.value.value) == (key, value)
    assert hint in str(caught.value)


def test_an_unknown_variable_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SettingsError, match="did you mean LAMBDA_API_PORT"):
        read_settings({"LAMBDA_API_PROT": "1"})


def test_a_password_in_the_redis_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({"LAMBDA_REDIS_URL": "rediss://me:hunter2@redis.example:6380/0"})
    assert "LAMBDA_REDIS_PASSWORD_FILE" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_child_process_gets_the_same_settings(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, api_port=8081, kafka_bootstrap="a:1,b:2", cut_interval=2)
    assert read_settings(settings.environment()) == settings


def test_addresses_of_own_servers_mean_that_no_local_one_is_run() -> None:
    settings = read_settings(
        {"LAMBDA_KAFKA_BOOTSTRAP": "k1:9092,k2:9092", "LAMBDA_REDIS_URL": "rediss://redis.example:6380/0"}
    )
    assert (settings.runs_kafka, settings.bootstrap) == (False, "k1:9092,k2:9092")
    assert (settings.runs_redis, settings.redis_address) == (False, "rediss://redis.example:6380/0")


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_setting_is_documented() -> None:
    documented = DOCS.read_text()
    assert [name for name in Settings.model_fields if f"`{variable(name)}`" not in documented] == []


def test_the_table_of_settings_is_the_generated_one() -> None:
    from conf.document import table

    assert table() in DOCS.read_text(), "run: python -m conf.document > docs/settings.md"

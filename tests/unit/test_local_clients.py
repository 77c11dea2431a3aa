"""One file of Java client properties reaches Spark and kafka-python; secrets come from files."""

import stat
from pathlib import Path

import pytest

from conf.clients import kafka_options, read_properties, redis_options, spark_kafka_options
from conf.keys import admin_key, pseudonym_key
from conf.settings import Settings, SettingsError

SCRAM = """\
# from the operator
security.protocol=SASL_SSL
sasl.mechanism = SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\
    username="me" password="pa\\"ss";
ssl.truststore.type=PEM
ssl.truststore.location=/etc/kafka/ca.pem
ssl.endpoint.identification.algorithm=
"""


def own_kafka(tmp_path: Path, properties: str) -> Settings:
    file = tmp_path / "client.properties"
    file.write_text(properties)
    return Settings(data_dir=tmp_path, kafka_bootstrap="a:1,b:2", kafka_properties=file)


def test_properties_are_read_as_java_reads_them() -> None:
    assert read_properties("# no\n! no\na=1\nb : 2\nc 3\nd=\ne=x=y\nf=1,\\\n   2\n") == {
        "a": "1", "b": "2", "c": "3", "d": "", "e": "x=y", "f": "1,2",
    }  # fmt: skip


def test_client_properties_become_options_of_spark(tmp_path: Path) -> None:
    options = spark_kafka_options(own_kafka(tmp_path, SCRAM))
    assert options["kafka.bootstrap.servers"] == "a:1,b:2"
    assert options["kafka.security.protocol"] == "SASL_SSL"
    assert options["kafka.sasl.jaas.config"].endswith('required username="me" password="pa\\"ss";')


def test_client_properties_become_arguments_of_kafka_python(tmp_path: Path) -> None:
    assert kafka_options(own_kafka(tmp_path, SCRAM)) == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "me",
        "sasl_plain_password": 'pa"ss',
        "ssl_cafile": "/etc/kafka/ca.pem",
        "ssl_check_hostname": False,
    }


@pytest.mark.parametrize(
    ("properties", "hint"),
    [
        ("bootstrap.servers=a:1", "bootstrap.servers"),
        ("ssl.truststore.location=/a.jks", "PEM"),
        ("sasl.mechanism=OAUTHBEARER", "SCRAM-SHA-512"),
        ("sasl.mechanism=PLAIN", "sasl.jaas.config"),
    ],
)
def test_properties_that_cannot_work_are_refused_by_name(tmp_path: Path, properties: str, hint: str) -> None:
    with pytest.raises(SettingsError, match="LAMBDA_KAFKA_PROPERTIES") as caught:
        kafka_options(own_kafka(tmp_path, properties))
    assert hint in str(caught.value)


def test_redis_gets_user_password_and_certificates_from_files(tmp_path: Path) -> None:
    for name in ("password", "ca.pem"):
        (tmp_path / name).write_text(name + "\n")
    options = redis_options(
        Settings(
            data_dir=tmp_path,
            redis_url="rediss://redis.example:6380/0",
            redis_username="me",
            redis_password_file=tmp_path / "password",
            redis_ca_file=tmp_path / "ca.pem",
        )
    )
    assert (options["username"], options["password"]) == ("me", "password")
    assert options["ssl_ca_certs"] == str(tmp_path / "ca.pem")


def test_keys_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert admin_key(settings) == admin_key(settings) != pseudonym_key(settings).decode()
    assert stat.S_IMODE((settings.secrets_dir / "admin.key").stat().st_mode) == 0o600
    assert sorted(path.name for path in settings.secrets_dir.iterdir()) == ["admin.key", "pseudonym.key"]


def test_an_empty_key_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    with pytest.raises(SettingsError, match="LAMBDA_ADMIN_KEY_FILE"):
        admin_key(Settings(data_dir=tmp_path, admin_key_file=tmp_path / "key"))

"""How to reach Kafka and Redis, as the options of each client library. Builds no client.

`kafka_properties` is a file of Java client properties, so that what a user has for any Kafka tool works here:

    security.protocol=SASL_SSL
    sasl.mechanism=SCRAM-SHA-512
    sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\
        username="u" password="p";
    ssl.truststore.type=PEM
    ssl.truststore.location=/etc/kafka/ca.pem
"""

import re
from pathlib import Path
from typing import Any

from conf.settings import Settings, SettingsError, variable

__all__ = ["kafka_options", "read_properties", "redis_options", "secret", "spark_kafka_options"]

_OWN = ("bootstrap.servers", "group.id", "key.", "value.", "auto.offset.reset", "enable.auto.commit")
_JAAS = re.compile(r'\b(username|password)\s*=\s*"((?:[^"\\]|\\.)*)"')
_PLAIN = {
    "security.protocol": "security_protocol",
    "sasl.mechanism": "sasl_mechanism",
    "sasl.kerberos.service.name": "sasl_kerberos_service_name",
    "ssl.truststore.location": "ssl_cafile",
    "ssl.keystore.location": "ssl_certfile",
    "ssl.key.password": "ssl_password",
    "client.id": "client_id",
}


def spark_kafka_options(settings: Settings) -> dict[str, str]:
    """Options of Spark's Kafka source and sink: bootstrap servers and every client property."""
    properties = _client_properties(settings)
    return {f"kafka.{name}": value for name, value in properties.items()} | {
        "kafka.bootstrap.servers": settings.bootstrap
    }


def kafka_options(settings: Settings) -> dict[str, Any]:
    """Arguments of the clients of kafka-python. Raises SettingsError for what that library cannot do."""
    properties = _client_properties(settings)
    options: dict[str, Any] = {"bootstrap_servers": settings.bootstrap.split(",")}
    options |= {_PLAIN[name]: value for name, value in properties.items() if name in _PLAIN}
    options |= _credentials(settings, properties)
    for store in ("truststore", "keystore"):
        _require_pem(settings, properties, store)
    if "ssl_certfile" in options:
        options["ssl_keyfile"] = options["ssl_certfile"]  # a PEM key store holds both
    if properties.get("ssl.endpoint.identification.algorithm") == "":
        options["ssl_check_hostname"] = False
    return options


def redis_options(settings: Settings) -> dict[str, Any]:
    """Arguments of redis-py beside the address: user, password, TLS, timeouts in seconds."""
    options: dict[str, Any] = {"socket_connect_timeout": 5, "socket_timeout": 30}
    if settings.redis_username:
        options["username"] = settings.redis_username
    if settings.redis_password_file:
        options["password"] = secret(settings.redis_password_file, variable("redis_password_file"))
    if settings.redis_ca_file:
        options["ssl_ca_certs"] = str(settings.redis_ca_file)
    return options


def secret(path: Path, key: str) -> str:
    """The text of a secret file without its line end. Raises SettingsError if there is none."""
    try:
        text = path.read_text().strip()
    except OSError as error:
        raise SettingsError(key, str(path), f"must be a file that can be read ({error.strerror})") from error
    if not text:
        raise SettingsError(key, str(path), "must be a file that holds the secret; it is empty")
    return text


def read_properties(text: str) -> dict[str, str]:
    """Java properties: `name=value` lines, # and ! comments, lines continued by a backslash."""
    joined = re.sub(r"\\\r?\n[ \t]*", "", text)
    lines = (line.strip() for line in joined.splitlines())
    pairs = (re.split(r"\s*[=:]\s*|\s+", line, maxsplit=1) for line in lines if line and line[0] not in "#!")
    return {pair[0]: pair[1] if len(pair) > 1 else "" for pair in pairs}


def _client_properties(settings: Settings) -> dict[str, str]:
    if settings.kafka_properties is None:
        return {}
    properties = read_properties(secret(settings.kafka_properties, variable("kafka_properties")))
    for name in properties:
        if name.startswith(_OWN):
            raise _refused(
                settings, f"must not set {name}, which the platform decides (see LAMBDA_KAFKA_BOOTSTRAP)"
            )
    return properties


def _credentials(settings: Settings, properties: dict[str, str]) -> dict[str, str]:
    mechanism = properties.get("sasl.mechanism", "")
    if not mechanism or mechanism == "GSSAPI":
        return {}
    if mechanism != "PLAIN" and not mechanism.startswith("SCRAM-"):
        raise _refused(
            settings,
            f"sasl.mechanism {mechanism!r} is not one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, GSSAPI",
        )
    found = dict(_JAAS.findall(properties.get("sasl.jaas.config", "")))
    if found.keys() != {"username", "password"}:
        raise _refused(settings, 'sasl.jaas.config must hold username="..." and password="..."')
    plain = {name: re.sub(r"\\(.)", r"\1", value) for name, value in found.items()}
    return {"sasl_plain_username": plain["username"], "sasl_plain_password": plain["password"]}


def _require_pem(settings: Settings, properties: dict[str, str], store: str) -> None:
    if f"ssl.{store}.location" in properties and properties.get(f"ssl.{store}.type", "JKS").upper() != "PEM":
        raise _refused(
            settings, f"ssl.{store}.type must be PEM (keytool and openssl convert a JKS or PKCS12 store)"
        )


def _refused(settings: Settings, allowed: str) -> SettingsError:
    return SettingsError(variable("kafka_properties"), str(settings.kafka_properties), allowed)

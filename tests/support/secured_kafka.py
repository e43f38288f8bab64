"""A real broker that asks for TLS and a SCRAM password, to prove that every client of ours can give both."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cosmo.stack import spawner
from cosmo.stack.extras import java
from cosmo.stack.home import Home
from cosmo.stack.kafka import KafkaPart
from cosmo.stack.kafka_config import server_properties
from cosmo.stack.ports import Ports
from cosmo.stack.probes import kafka_brokers

USER, PASSWORD = "cosmo", "not-a-secret"
MECHANISM = "SCRAM-SHA-512"
_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule"


class SecuredKafka(KafkaPart):
    """One node whose broker listener is SASL_SSL. Its certificate signs itself: ``ca_file`` is what clients trust."""

    def __init__(self, home: Home, *, ports: Ports) -> None:
        super().__init__(home, ports=ports, tied=True)
        self.ca_file = home.root / "ca.pem"
        self._keys = home.root / "keys.p12"

    def serves(self) -> bool:
        """Whether it answers one who has the password."""
        return kafka_brokers(self.client_config) == 1

    ready = serves

    @property
    def client_config(self) -> dict[str, str | int | float | bool]:
        return {
            "bootstrap.servers": self.address,
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": MECHANISM,
            "sasl.username": USER,
            "sasl.password": PASSWORD,
            "ssl.ca.location": str(self.ca_file),
        }

    def _configure(self, node_id: int) -> None:
        self._make_certificate()
        self._directory(node_id).mkdir(parents=True, exist_ok=True)
        plain = server_properties(node_id=node_id, ports=self._ports, log_dir=self._directory(node_id))
        secured = plain.replace("PLAINTEXT://", "SASL_SSL://").replace("PLAINTEXT:PLAINTEXT", "SASL_SSL:SASL_SSL")
        more = {
            "inter.broker.listener.name": "SASL_SSL",
            "sasl.mechanism.inter.broker.protocol": MECHANISM,
            "sasl.enabled.mechanisms": MECHANISM,
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
                f'{_LOGIN} required username="{USER}" password="{PASSWORD}";'
            ),
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": str(self._keys),
            "ssl.keystore.password": PASSWORD,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca_file),
        }
        self._properties(node_id).write_text(secured + "".join(f"{name}={value}\n" for name, value in more.items()))

    def _format(self, node_id: int) -> None:
        """As for any node, with the user's password among the first records of the cluster's metadata."""
        tool = (java(), "-cp", f"{self._jars}/*", "kafka.tools.StorageTool", "format")
        arguments = ("--cluster-id", self._cluster_id(), "--config", str(self._properties(node_id)))
        user = ("--add-scram", f"{MECHANISM}=[name={USER},password={PASSWORD}]")
        log = self._home.logs / "format.log"
        assert spawner.run((*tool, *arguments, *user), log=log) == 0, log.read_text()

    def _make_certificate(self) -> None:
        keytool = Path(java()).with_name("keytool")
        store = ("-keystore", str(self._keys), "-storetype", "PKCS12", "-storepass", PASSWORD, "-alias", "broker")
        names = ("-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1", "-ext", "bc:critical=ca:true")
        _run(keytool, "-genkeypair", "-keyalg", "RSA", "-validity", "2", *names, *store)
        _run(keytool, "-exportcert", "-rfc", "-file", str(self.ca_file), *store)


def _run(program: Path, *arguments: str) -> None:
    subprocess.run([program, *arguments], check=True, capture_output=True)

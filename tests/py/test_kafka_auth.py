"""Who librdkafka's clients are: SCRAM users, and access keys by AWS's signer for
Python, over TLS."""

import json
import subprocess
import time
import uuid

import botocore.credentials
import confluent_kafka
import confluent_kafka.admin as ck
import conftest
import pytest
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider

REGION = "eu-west-1"


class Cluster:
    """A server with strict authentication, and a key of its account."""

    def __init__(self, directory):
        ready = json.loads((directory / "ready.json").read_text())
        data = directory / "data"
        made = subprocess.run(
            [conftest.binary(directory), "keys", "create", "--account", conftest.ACCOUNT, "--data", str(data), "-o", "json"],
            check=True,
            capture_output=True,
        )
        key = json.loads(made.stdout)
        self.key = (key["access_key_id"], key["secret_access_key"])
        self.common = {
            "bootstrap.servers": ready["kafka_listeners"][0]["advertised"],
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(data / "ca.pem"),
        }

    def password(self, mechanism, user, password):
        """The configuration of a client with a name and a password."""
        return {**self.common, "sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": password}

    def signed(self, region, key, secret):
        """The configuration of a client with tokens of AWS's signer."""

        def token(_):
            made, expires = MSKAuthTokenProvider.generate_auth_token_from_credentials_provider(region, Provider(key, secret))
            return made, expires / 1000

        return {**self.common, "sasl.mechanism": "OAUTHBEARER", "oauth_cb": token}


class Provider(botocore.credentials.CredentialProvider):
    """Gives the key that it was given."""

    def __init__(self, key, secret):
        super().__init__()
        self.credentials = botocore.credentials.Credentials(key, secret)

    def load(self):
        return self.credentials


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    directory = tmp_path_factory.mktemp("kafka-auth")
    flags = ["--auth", "strict", "--region", REGION, "--listen-kafka", "SASL_SSL://127.0.0.1:0"]
    with conftest.serve(directory, *flags):
        yield Cluster(directory)


@pytest.fixture
def admin(cluster):
    return ck.AdminClient(cluster.password("PLAIN", *cluster.key))


def there_and_back(config, topic):
    """Produces to a topic and consumes it in a group."""
    failed = []
    producer = confluent_kafka.Producer(config)
    for i in range(100):
        producer.produce(topic, b"%d" % i, on_delivery=lambda e, m: e and failed.append(e))
    assert producer.flush(20) == 0
    assert failed == []
    consumer = confluent_kafka.Consumer({**config, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    got = []
    while len(got) < 100:
        batch = consumer.consume(100, 20)
        assert batch, "%d messages came" % len(got)
        assert [m.error() for m in batch if m.error()] == []
        got += [m.value() for m in batch]
    consumer.close()
    assert got == [b"%d" % i for i in range(100)]


def refused(config):
    """Fails unless the client is told that it is nobody."""
    told = []
    client = ck.AdminClient({**config, "error_cb": told.append, "logger": Quiet()})
    deadline = time.monotonic() + 30
    while confluent_kafka.KafkaError._AUTHENTICATION not in [e.code() for e in told]:
        assert time.monotonic() < deadline, told
        with pytest.raises(confluent_kafka.KafkaException):
            client.list_topics(timeout=0.2)
        client.poll(0)


class Quiet:
    """Takes what librdkafka logs."""

    def log(self, *_):
        pass


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_user_with_a_password(cluster, admin, mechanism):
    user, topic = "ada-" + mechanism, "ada-" + uuid.uuid4().hex[:8]
    kind = getattr(ck.ScramMechanism, mechanism.replace("-", "_"))
    upsert = ck.UserScramCredentialUpsertion(user, ck.ScramCredentialInfo(kind, 4096), b"secret")
    admin.alter_user_scram_credentials([upsert])[user].result(20)
    assert admin.describe_user_scram_credentials([user])[user].result(20).scram_credential_infos[0].mechanism == kind
    admin.create_topics([ck.NewTopic(topic, 1, 1)])[topic].result(20)

    as_ada = cluster.password(mechanism, user, "secret")
    failed = []
    producer = confluent_kafka.Producer(as_ada)
    producer.produce(topic, b"x", on_delivery=lambda e, m: failed.append(e))
    producer.flush(20)
    assert failed[0].code() == confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED

    for kind, operations in {ck.ResourceType.TOPIC: ["WRITE", "READ"], ck.ResourceType.GROUP: ["READ"]}.items():
        for operation in operations:
            acl = ck.AclBinding(
                kind, topic, ck.ResourcePatternType.LITERAL, "User:" + user, "*",
                getattr(ck.AclOperation, operation), ck.AclPermissionType.ALLOW,
            )
            admin.create_acls([acl])[acl].result(20)
    there_and_back(as_ada, topic)
    refused(cluster.password(mechanism, user, "wrong"))
    refused(cluster.password(mechanism, "nobody", "secret"))


def test_a_key_by_its_secret(cluster, admin):
    admin.create_topics([ck.NewTopic("plain", 1, 1)])["plain"].result(20)
    there_and_back(cluster.password("PLAIN", *cluster.key), "plain")
    refused(cluster.password("PLAIN", cluster.key[0], "wrong"))


def test_a_key_by_awss_signer(cluster, admin):
    admin.create_topics([ck.NewTopic("signed", 1, 1)])["signed"].result(20)
    there_and_back(cluster.signed(REGION, *cluster.key), "signed")
    refused(cluster.signed(REGION, cluster.key[0], "wrong"))
    refused(cluster.signed("us-east-1", *cluster.key))

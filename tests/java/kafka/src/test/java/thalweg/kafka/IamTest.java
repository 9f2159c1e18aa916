package thalweg.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.SaslAuthenticationException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import thalweg.harness.Server;
import thalweg.harness.Server.Key;

/** AWS's own library for MSK, over TLS, by both of its mechanisms. */
@Timeout(60)
class IamTest {
    private static final String REGION = "eu-west-1";
    private static final String PACKAGE = "software.amazon.msk.auth.iam.";

    private static Server server;
    private static Key key;
    private static Key another;

    @BeforeAll
    static void start() throws Exception {
        server = server();
        key = server.createKey("000000000000");
        another = server.createKey("123456789012");
        System.setProperty("aws.region", REGION);
    }

    @AfterAll
    static void stop() throws Exception {
        server.close();
    }

    private static Server server(String... flags) throws Exception {
        var all = new ArrayList<>(List.of("--auth", "strict", "--region", REGION, "--listen-kafka", "SASL_SSL://127.0.0.1:0"));
        all.addAll(List.of(flags));
        return Server.start(all.toArray(String[]::new));
    }

    /** The configuration that AWS documents, as the given key. */
    private static Map<String, Object> as(Server server, String mechanism, Key key) {
        System.setProperty("aws.accessKeyId", key.id());
        System.setProperty("aws.secretAccessKey", key.secret());
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", server.kafka(),
                "security.protocol", "SASL_SSL", "sasl.mechanism", mechanism,
                "ssl.truststore.type", "PEM", "ssl.truststore.location", server.authority().toString(),
                "group.id", "readers", "auto.offset.reset", "earliest"));
        if (mechanism.equals("AWS_MSK_IAM")) {
            config.put("sasl.jaas.config", PACKAGE + "IAMLoginModule required;");
            config.put("sasl.client.callback.handler.class", PACKAGE + "IAMClientCallbackHandler");
        } else {
            config.put("sasl.jaas.config", "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;");
            config.put("sasl.login.callback.handler.class", PACKAGE + "IAMOAuthBearerLoginCallbackHandler");
            config.put("sasl.client.callback.handler.class", PACKAGE + "IAMOAuthBearerLoginCallbackHandler");
        }
        return config;
    }

    private static void refused(Map<String, Object> config) {
        try (Admin admin = Admin.create(config)) {
            var e = assertThrows(ExecutionException.class, () -> admin.listTopics().names().get(20, TimeUnit.SECONDS));
            assertInstanceOf(SaslAuthenticationException.class, e.getCause());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"AWS_MSK_IAM", "OAUTHBEARER"})
    void aKeyOfTheAccountMayProduceAndConsume(String mechanism) throws Exception {
        var config = as(server, mechanism, key);
        String topic = "orders-" + mechanism;
        try (Admin admin = Admin.create(config)) {
            admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
            assertEquals(Set.of(topic), admin.describeTopics(List.of(topic)).allTopicNames().get().keySet());
        }
        try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            producer.send(new ProducerRecord<>(topic, "key", "value")).get();
        }
        try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            var records = consumer.poll(Duration.ofSeconds(20));
            assertEquals("value", records.iterator().next().value());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"AWS_MSK_IAM", "OAUTHBEARER"})
    void anotherSecretAndAnotherAccountAreRefused(String mechanism) {
        refused(as(server, mechanism, new Key(key.id(), another.secret())));
        refused(as(server, mechanism, new Key("AKIANOBODYKNOWSTHIS0", key.secret())));
        refused(as(server, mechanism, another));
    }

    @ParameterizedTest
    @ValueSource(strings = {"AWS_MSK_IAM", "OAUTHBEARER"})
    void anotherRegionIsRefused(String mechanism) {
        System.setProperty("aws.region", "us-east-1");
        try {
            refused(as(server, mechanism, key));
        } finally {
            System.setProperty("aws.region", REGION);
        }
    }

    @Test
    void anExpiredSignatureIsRefused() throws Exception {
        try (Server later = server("--test-aids")) {
            Key its = later.createKey("000000000000");
            try (Admin admin = Admin.create(as(later, "OAUTHBEARER", its))) {
                assertEquals(Set.of(), admin.listTopics().names().get());
            }
            later.advance(Duration.ofMinutes(20));
            refused(as(later, "OAUTHBEARER", its));
            refused(as(later, "AWS_MSK_IAM", its));
        }
    }
}

package thalweg.kpl;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.protobuf.ByteString;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.kinesis.retrieval.AggregatorUtil;
import software.amazon.kinesis.retrieval.KinesisClientRecord;
import software.amazon.kinesis.retrieval.kpl.Messages.AggregatedRecord;
import software.amazon.kinesis.retrieval.kpl.Messages.Record;
import thalweg.harness.Commands;
import thalweg.harness.Server;

/**
 * Keeps the golden files of internal/kpl: aggregates that the producer library wrote, and what the client library
 * makes of them and of a thousand damaged ones. -Dgolden=update writes the files anew.
 */
class GoldenTest {
    private static final HexFormat HEX = HexFormat.of();
    private static final byte[] MAGIC = HEX.parseHex("f3899ac2");
    private static final int DIGEST = 16;
    private static final int DAMAGED = 1_000;
    private static final BigInteger LAST = BigInteger.ONE.shiftLeft(128).subtract(BigInteger.ONE);

    private final Path directory = Commands.root().resolve(Path.of("internal", "kpl", "testdata"));
    private final boolean update = "update".equals(System.getProperty("golden"));

    static {
        System.setProperty("org.slf4j.simpleLogger.log." + AggregatorUtil.class.getName(), "off"); // it prints the damaged
    }

    @Test
    @DisplayName("the client library's answers are those in internal/kpl/testdata")
    void answers() throws Exception {
        Path written = directory.resolve("kpl.hex");
        if (update) {
            Files.createDirectories(directory);
            Files.writeString(written, String.join("\n", write()) + "\n");
        }
        List<byte[]> seeds = Files.readAllLines(written).stream().map(HEX::parseHex).toList();
        StringBuilder now = new StringBuilder();
        for (byte[] seed : seeds) {
            now.append(answer(seed)).append('\n');
        }
        Random random = new Random(1);
        for (int i = 0; i < DAMAGED; i++) {
            now.append(answer(damaged(seeds.get(i % seeds.size()), random))).append('\n');
        }
        Path golden = directory.resolve("kcl.txt");
        if (update) {
            Files.writeString(golden, now);
        }
        assertEquals(Files.readString(golden), now.toString());
        System.out.printf("KCL: de-aggregates %d good and %d damaged aggregates as internal/kpl does%n", seeds.size(), DAMAGED);
    }

    /** Aggregates as the producer library writes them: one key, several, and explicit hash keys. */
    private static List<String> write() throws Exception {
        List<String> hex = new ArrayList<>();
        try (Server server = Server.start(); KinesisClient kinesis = Clients.kinesis(server);
                Producer producer = new Producer(server, "golden")) {
            Clients.createStream(kinesis, "golden", 1);
            for (int n = 1; n <= 4; n++) {
                for (int i = 0; i < 2 * n; i++) {
                    producer.add("key" + i % n, i % 3 == 2 ? "" + (7 + i) : null, "data" + i);
                }
                producer.flush();
            }
            Reader reader = new Reader(kinesis, "golden");
            for (var record : reader.records(reader.shards().get(0))) {
                String data = HEX.formatHex(record.data().asByteArray());
                if (data.startsWith(HEX.formatHex(MAGIC))) { // one record alone is sent as it is
                    hex.add(data);
                }
            }
        }
        return hex;
    }

    /** A line: the data, then "plain", "partial", or KEY:HASHKEY:DATA of each user record, all in hexadecimal. */
    private static String answer(byte[] data) throws Exception {
        KinesisClientRecord whole = KinesisClientRecord.builder().data(ByteBuffer.wrap(data)).partitionKey("a").sequenceNumber("1").build();
        StringBuilder line = new StringBuilder(HEX.formatHex(data));
        List<KinesisClientRecord> got;
        try {
            got = new AggregatorUtil().deaggregate(new ArrayList<>(List.of(whole)), BigInteger.ZERO, LAST);
        } catch (NoClassDefFoundError e) {
            return line.append(" partial").toString(); // it prints what it drops, with a class that left Java
        }
        if (got.size() == 1 && !got.get(0).aggregated()) {
            return line.append(" plain").toString();
        }
        AggregatedRecord message = AggregatedRecord.parseFrom(Arrays.copyOfRange(data, MAGIC.length, data.length - DIGEST));
        if (got.size() < message.getRecordsCount()) {
            return line.append(" partial").toString();
        }
        for (Record r : message.getRecordsList()) {
            line.append(' ').append(hex(message.getPartitionKeyTableBytes((int) r.getPartitionKeyIndex())))
                    .append(':').append(r.hasExplicitHashKeyIndex()
                            ? hex(message.getExplicitHashKeyTableBytes((int) r.getExplicitHashKeyIndex())) : "")
                    .append(':').append(hex(r.getData()));
        }
        return line.toString();
    }

    private static String hex(ByteString b) {
        return HEX.formatHex(b.toByteArray());
    }

    /** An aggregate with one to three small changes in its message, and the digest of the changed one. */
    private static byte[] damaged(byte[] seed, Random random) throws Exception {
        byte[] message = Arrays.copyOfRange(seed, MAGIC.length, seed.length - DIGEST);
        for (int n = 1 + random.nextInt(3); n > 0 && message.length > 1; n--) {
            int at = random.nextInt(message.length);
            ByteBuffer out = ByteBuffer.allocate(message.length + 1);
            out.put(message, 0, at);
            switch (random.nextInt(4)) {
                case 0 -> out.put((byte) random.nextInt(256)).put(message, at + 1, message.length - at - 1);
                case 1 -> out.put((byte) random.nextInt(4)).put(message, at + 1, message.length - at - 1);
                case 2 -> out.put((byte) random.nextInt(256)).put(message, at, message.length - at);
                default -> out.put(message, at + 1, message.length - at - 1);
            }
            message = Arrays.copyOf(out.array(), out.position());
        }
        byte[] digest = MessageDigest.getInstance("MD5").digest(message);
        return ByteBuffer.allocate(MAGIC.length + message.length + DIGEST).put(MAGIC).put(message).put(digest).array();
    }
}

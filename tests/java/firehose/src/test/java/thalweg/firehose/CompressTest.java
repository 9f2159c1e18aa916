package thalweg.firehose;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipInputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.io.compress.SnappyCodec;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.xerial.snappy.SnappyInputStream;
import thalweg.harness.Commands;

/** The libraries that the formats are named after read the golden files of internal/delivery/compress. */
class CompressTest {
    private static final Path DIRECTORY = Commands.root().resolve(Path.of("internal", "delivery", "compress", "testdata"));
    private static final Map<String, String> PLAIN = Map.of(
            "empty", "", "short", "abcabcabc", "long", "{\"player\":\"ada\",\"move\":17}\n".repeat(3000));

    @Test
    @DisplayName("snappy-java reads Snappy")
    void snappy() throws Exception {
        check("snappy", SnappyInputStream::new);
    }

    @Test
    @DisplayName("Hadoop's SnappyCodec reads HADOOP_SNAPPY")
    void hadoop() throws Exception {
        SnappyCodec codec = new SnappyCodec();
        codec.setConf(new Configuration(false));
        check("hadoop_snappy", codec::createInputStream);
    }

    @Test
    @DisplayName("java.util.zip reads GZIP")
    void gzip() throws Exception {
        check("gzip", GZIPInputStream::new);
    }

    @Test
    @DisplayName("java.util.zip reads ZIP, of one entry")
    void zip() throws Exception {
        check("zip", in -> {
            ZipInputStream archive = new ZipInputStream(in);
            assertEquals("entry", archive.getNextEntry().getName());
            byte[] plain = archive.readAllBytes();
            assertNull(archive.getNextEntry());
            return new ByteArrayInputStream(plain);
        });
    }

    private interface Decoder {
        InputStream open(InputStream in) throws IOException;
    }

    private static void check(String extension, Decoder decoder) throws IOException {
        for (var file : PLAIN.entrySet()) {
            Path path = DIRECTORY.resolve(file.getKey() + "." + extension);
            try (InputStream in = decoder.open(new ByteArrayInputStream(Files.readAllBytes(path)))) {
                assertEquals(file.getValue(), new String(in.readAllBytes(), StandardCharsets.UTF_8), path.toString());
            }
        }
    }
}

package thalweg.firehose;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import thalweg.harness.Commands;

/**
 * Keeps the golden file of internal/delivery/prefix: what java.time makes of patterns. A line is zone, milliseconds
 * since 1970, pattern, and = with the text or ! alone, between tabs. -Dgolden=update writes it anew.
 */
class TimePatternTest {
    private static final int PATTERNS = 3_000;
    private static final long FROM = Instant.parse("1996-01-01T00:00:00Z").toEpochMilli();
    private static final long TO = Instant.parse("2036-01-01T00:00:00Z").toEpochMilli();
    private static final List<String> ZONES = List.of("UTC", "UTC", "America/New_York", "Asia/Tokyo", "Asia/Kolkata",
            "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Abidjan", "Pacific/Marquesas", "GMT");
    private static final List<String> PLAIN = List.of("yyyy/MM/dd/HH/", "yyyy-MM-dd-HH-mm-ss", "yyyy", "MM", "'year='yyyy'/month='MM",
            "''yyyy''", "'it''s' HH", "'open", "yyyy/[MM/]dd", "yyyy]", "[yyyy", "{", "yyyy#", "EEEE, d MMMM uuuu", "YYYY-'w'ww", "DDD",
            "YYYY/MM/DD", "hh:mm a", "SSS", "VV", "z", "zzzz", "XXX", "O", "cc", "", "yyyy-MM-dd'T'HH:mm:ss.SSSX", "12:00", "''''", "'a'''");
    private static final String LETTERS = "GuyYMLQqwWDdEecaHkKhmsSnANVOXxZzvBFgpbCfIijJlOoPrRtTU";
    private static final List<String> BETWEEN = List.of("", "", "/", "-", "_", ".", "''", "'T'", "'x''y'", "[", "]", " ", "=");

    @Test
    @DisplayName("java.time's texts are those in internal/delivery/prefix/testdata")
    void patterns() throws Exception {
        Random random = new Random(1);
        List<String> patterns = new ArrayList<>(PLAIN);
        for (char c : LETTERS.toCharArray()) {
            for (int n = 1; n <= 6; n++) {
                patterns.add(String.valueOf(c).repeat(n));
            }
        }
        for (char c : "yuYnAN".toCharArray()) {
            patterns.add(String.valueOf(c).repeat(19));
            patterns.add(String.valueOf(c).repeat(20));
        }
        while (patterns.size() < PATTERNS) {
            StringBuilder p = new StringBuilder();
            for (int parts = 1 + random.nextInt(5); parts > 0; parts--) {
                p.append(BETWEEN.get(random.nextInt(BETWEEN.size())));
                // The first are what works, with the numbers of letters that mostly do.
                p.append(String.valueOf(LETTERS.charAt(random.nextInt(35))).repeat(1 + random.nextInt(random.nextInt(8) == 0 ? 5 : 2)));
            }
            patterns.add(p.toString());
        }
        StringBuilder now = new StringBuilder();
        for (String pattern : patterns) {
            String zone = ZONES.get(random.nextInt(ZONES.size()));
            long at = FROM + (long) (random.nextDouble() * (TO - FROM));
            if (random.nextInt(8) == 0) { // the days around new year
                at = ZonedDateTime.of(1996 + random.nextInt(40), 1, 1, random.nextInt(24), 0, 0, 0, ZoneId.of(zone))
                        .plusDays(random.nextInt(14) - 7).toInstant().toEpochMilli();
            }
            now.append(zone).append('\t').append(at).append('\t').append(pattern).append('\t').append(text(pattern, zone, at)).append('\n');
        }
        Path golden = Commands.root().resolve(Path.of("internal", "delivery", "prefix", "testdata", "java-time.txt"));
        if ("update".equals(System.getProperty("golden"))) {
            Files.createDirectories(golden.getParent());
            Files.writeString(golden, now);
        }
        assertEquals(Files.readString(golden), now.toString());
    }

    private static String text(String pattern, String zone, long at) {
        try {
            return "=" + DateTimeFormatter.ofPattern(pattern, Locale.US).format(Instant.ofEpochMilli(at).atZone(ZoneId.of(zone)));
        } catch (IllegalArgumentException | DateTimeException e) {
            return "!";
        }
    }
}

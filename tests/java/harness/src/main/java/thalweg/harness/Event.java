package thalweg.harness;

import java.io.IOException;
import java.util.List;

/**
 * One player event. Its identity is game, player and seq; seq rises by one within a game and player, whose
 * name is {@link #key()}.
 */
public record Event(String game, String player, long seq, String json) {

    /** The first n player events, all for 0: the recorded ones where they are found, else those of the seeded model. */
    public static List<Event> load(int n) throws IOException, InterruptedException {
        return Commands.output(List.of("go", "run", "./tests/events/write", "-n", n == 0 ? "all" : "" + n))
                .lines().map(Event::parse).toList();
    }

    /** Reads an event's JSON, whose members are written without spaces or escapes. */
    public static Event parse(String json) {
        return new Event(text(json, "\"game_id\":\""), text(json, "\"player_id\":\""), seq(json), json);
    }

    /** The partition key: one player in one game, whose events are in order. */
    public String key() {
        return game + "/" + player;
    }

    private static String text(String json, String after) {
        int start = json.indexOf(after) + after.length();
        return json.substring(start, json.indexOf('"', start));
    }

    private static long seq(String json) {
        int start = json.indexOf("\"seq\":") + 6;
        int end = start;
        while (Character.isDigit(json.charAt(end))) {
            end++;
        }
        return Long.parseLong(json.substring(start, end));
    }
}

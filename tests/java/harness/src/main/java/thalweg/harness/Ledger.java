package thalweg.harness;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToIntFunction;

/** Holds what was read against what was sent. */
public final class Ledger {
    private static final int SHOWN = 10;

    private final Map<String, String> sent = new HashMap<>();

    public Ledger(List<Event> events) {
        for (Event e : events) {
            sent.put(name(e), e.json());
        }
    }

    /** Fails unless the events read are the events sent, each of them once. */
    public void exactlyOnce(List<String> read) {
        check(read, json -> 1);
    }

    /** Fails unless every event sent was read, byte for byte, and nothing else; returns how many reads were repeats. */
    public int atLeastOnce(List<String> read) {
        return check(read, json -> Integer.MAX_VALUE);
    }

    /** Like {@link #atLeastOnce}, and no event was read more often than it was written. */
    public int written(List<String> read, Map<String, Integer> writes) {
        return check(read, writes::get);
    }

    private int check(List<String> read, ToIntFunction<String> most) {
        List<String> wrong = new ArrayList<>();
        Map<String, Integer> times = new HashMap<>();
        for (String json : read) {
            String name = name(Event.parse(json));
            if (!json.equals(sent.get(name))) {
                wrong.add("never sent: " + json);
            } else if (times.merge(name, 1, Integer::sum) > most.applyAsInt(json)) {
                wrong.add("read again: " + name);
            }
        }
        for (String name : sent.keySet()) {
            if (!times.containsKey(name)) {
                wrong.add("not read: " + name);
            }
        }
        report(wrong);
        return read.size() - times.size();
    }

    /** Fails unless each key's events were first read in the order of their seq, none left out. */
    public static void ordered(List<String> read) {
        Map<String, Long> last = new HashMap<>();
        List<String> wrong = new ArrayList<>();
        for (String json : read) {
            Event e = Event.parse(json);
            long before = last.getOrDefault(e.key(), -1L);
            if (e.seq() > before + 1) {
                wrong.add(e.key() + ": " + e.seq() + " came after " + before);
            }
            last.merge(e.key(), e.seq(), Math::max);
        }
        report(wrong);
    }

    private static String name(Event e) {
        return e.key() + "/" + e.seq();
    }

    private static void report(List<String> wrong) {
        if (!wrong.isEmpty()) {
            throw new AssertionError(wrong.size() + " wrong:\n"
                    + String.join("\n", wrong.subList(0, Math.min(SHOWN, wrong.size()))));
        }
    }
}

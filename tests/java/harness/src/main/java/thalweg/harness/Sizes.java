package thalweg.harness;

/** How much the suites do; make soak raises it. */
public final class Sizes {
    /** Player events of one test: $JAVA_EVENTS, 0 for all. */
    public static final int EVENTS = Integer.parseInt(System.getenv().getOrDefault("JAVA_EVENTS", "20000"));

    private Sizes() {}
}

package thalweg.harness;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Programs that the suites run. */
public final class Commands {
    private Commands() {}

    /** The repository's root: the directory above this one that has a go.mod. */
    public static Path root() {
        for (Path p = Path.of("").toAbsolutePath(); p != null; p = p.getParent()) {
            if (Files.exists(p.resolve("go.mod"))) {
                return p;
            }
        }
        throw new IllegalStateException("run this inside the repository");
    }

    /**
     * Runs a command in the repository's root and returns its standard output; fails if the command does, or
     * takes more than three minutes.
     */
    public static String output(List<String> command) throws IOException, InterruptedException {
        Process p = new ProcessBuilder(command).directory(root().toFile())
                .redirectError(ProcessBuilder.Redirect.INHERIT).start();
        p.onExit().completeOnTimeout(null, 3, TimeUnit.MINUTES).thenAccept(ended -> {
            if (ended == null) { // of one that has ended this would close the output, read or not
                p.destroyForcibly();
            }
        });
        String out = new String(p.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (p.waitFor() != 0) {
            throw new IllegalStateException(String.join(" ", command) + " ended with " + p.exitValue() + ":\n" + out);
        }
        return out;
    }
}

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import jdk.jshell.Diag;
import jdk.jshell.EvalException;
import jdk.jshell.JShell;
import jdk.jshell.JShellException;
import jdk.jshell.Snippet;
import jdk.jshell.SnippetEvent;
import jdk.jshell.SourceCodeAnalysis;
import jdk.jshell.UnresolvedReferenceException;

/**
 * Makes a Java development kit an interpreter for `runner.py`; see frames.py. Arguments: the descriptors of
 * requests and replies. Code is a sequence of statements, declarations and expressions, as in jshell.
 */
public class Driver {
    private static final String[] IMPORTS = {
        "java.io.*", "java.math.*", "java.net.*", "java.nio.file.*", "java.time.*", "java.util.*",
        "java.util.concurrent.*", "java.util.function.*", "java.util.regex.*", "java.util.stream.*",
    };
    private static OutputStream replies;
    private static JShell shell;
    private static volatile boolean running;
    private static volatile boolean interrupted;

    public static void main(String[] arguments) throws Exception {
        DataInputStream requests = new DataInputStream(new FileInputStream("/dev/fd/" + arguments[0]));
        replies = new FileOutputStream("/dev/fd/" + arguments[1]);
        shell = JShell.builder().executionEngine("local").build();
        for (String name : IMPORTS) {
            shell.eval("import " + name + ";");
        }
        onInterrupt();
        send("ready", "");
        while (true) {
            String[] head = readLine(requests).split(" ");
            byte[] body = new byte[Integer.parseInt(head[1])];
            requests.readFully(body);
            if (head[0].equals("code")) {
                interrupted = false;
                running = true;
                try {
                    run(new String(body, StandardCharsets.UTF_8));
                } finally {
                    running = false;
                }
                System.out.flush();
                System.err.flush();
                send("end", "");
            }
        }
    }

    private static void run(String code) throws IOException {
        String rest = code;
        while (!rest.isBlank()) {
            SourceCodeAnalysis.CompletionInfo part = shell.sourceCodeAnalysis().analyzeCompletion(rest);
            if (part.completeness() == SourceCodeAnalysis.Completeness.EMPTY) {
                return; // a comment
            }
            boolean complete = part.completeness().isComplete();
            String source = complete ? part.source() : rest;
            rest = complete ? part.remaining() : "";
            SnippetEvent last = null;
            List<SnippetEvent> events = shell.eval(source);
            if (interrupted) {
                fail("Interrupted", "", "Interrupted");
                return;
            }
            for (SnippetEvent event : events) {
                if (event.causeSnippet() != null) {
                    continue; // an update of something older
                }
                last = event;
                if (event.status() == Snippet.Status.REJECTED) {
                    rejected(event.snippet());
                    return;
                }
                if (event.exception() != null) {
                    threw(event.exception());
                    return;
                }
            }
            boolean expression = last != null && (last.snippet().kind() == Snippet.Kind.EXPRESSION
                || last.snippet().subKind() == Snippet.SubKind.TEMP_VAR_EXPRESSION_SUBKIND);
            if (rest.isBlank() && expression && last.value() != null && !last.value().isEmpty()) {
                send("text/plain", last.value());
                send("main", "");
            }
        }
    }

    private static void rejected(Snippet snippet) throws IOException {
        StringBuilder text = new StringBuilder();
        for (Diag problem : (Iterable<Diag>) shell.diagnostics(snippet)::iterator) {
            if (problem.isError()) {
                text.append(text.length() == 0 ? "" : "\n").append(problem.getMessage(Locale.ROOT));
            }
        }
        fail("CompilationError", text.toString(), "CompilationError: " + text + "\n  in: " + snippet.source().strip());
    }

    private static void threw(JShellException problem) throws IOException {
        if (problem instanceof EvalException) {
            EvalException exception = (EvalException) problem;
            String message = exception.getMessage() == null ? "" : exception.getMessage();
            StringBuilder text = new StringBuilder(exception.getExceptionClassName());
            text.append(message.isEmpty() ? "" : ": " + message);
            for (StackTraceElement frame : exception.getStackTrace()) {
                text.append("\n    at ").append(frame);
            }
            fail(exception.getExceptionClassName(), message, text.toString());
        } else if (problem instanceof UnresolvedReferenceException) {
            String name = ((UnresolvedReferenceException) problem).getSnippet().source().strip();
            fail("CompilationError", "uses what is not defined: " + name, "CompilationError: uses what is not defined: " + name);
        } else {
            fail(problem.getClass().getName(), String.valueOf(problem.getMessage()), problem.toString());
        }
    }

    private static void fail(String name, String value, String text) throws IOException {
        send("error-name", name);
        send("error-value", value);
        send("error", text);
    }

    private static synchronized void send(String name, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        ByteArrayOutputStream frame = new ByteArrayOutputStream();
        frame.write((name + " " + body.length + "\n").getBytes(StandardCharsets.UTF_8));
        frame.write(body);
        replies.write(frame.toByteArray());
        replies.flush();
    }

    private static String readLine(DataInputStream requests) throws IOException {
        StringBuilder line = new StringBuilder();
        for (int next; (next = requests.read()) != '\n';) {
            if (next < 0) {
                System.exit(0);
            }
            line.append((char) next);
        }
        return line.toString();
    }

    /** Stop what runs when SIGINT comes. By reflection: the compiler warns of this class, on standard error. */
    private static void onInterrupt() throws ReflectiveOperationException {
        Class<?> signal = Class.forName("sun.misc.Signal");
        Class<?> handler = Class.forName("sun.misc.SignalHandler");
        Object stop = Proxy.newProxyInstance(handler.getClassLoader(), new Class<?>[] {handler}, (proxy, method, given) -> {
            if (method.getName().equals("handle") && running) {
                interrupted = true;
                shell.stop();
            }
            return null;
        });
        signal.getMethod("handle", signal, handler).invoke(null, signal.getConstructor(String.class).newInstance("INT"), stop);
    }
}

import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import java.io.StringReader;
import java.io.StringWriter;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.apache.commons.lang.StringEscapeUtils;
import org.apache.velocity.Template;
import org.apache.velocity.VelocityContext;
import org.apache.velocity.runtime.RuntimeInstance;

/**
 * Velocity 1.7 rendering a template over a JSON document, as Tollgate's render beside
 * it does: the template is parsed once, the document once for every rendering.
 *
 * What could be chosen is chosen for Velocity: Jackson reads the document, which is the
 * fastest parser that Debian has; $input.path('$') is the document itself and works no
 * path out; the engine has no log, no resource loader and no introspection rules to
 * ask; the output is a text of the right size from the start, and is not encoded. The
 * second figure leaves the reading out altogether.
 *
 * java -cp ... Bench.java TEMPLATE DOCUMENT SECONDS prints one line of JSON: the output,
 * and microseconds of processor time per rendering.
 */
public class Bench {
    /** What templates know as $input. */
    public static final class Input {
        private final Object root;

        Input(Object root) {
            this.root = root;
        }

        public Object path(String path) {
            if (!path.equals("$")) {
                throw new IllegalArgumentException(path);
            }
            return root;
        }
    }

    /** What templates know as $util. */
    public static final class Util {
        public String escapeJavaScript(String text) {
            return StringEscapeUtils.escapeJavaScript(text);
        }
    }

    private static final Util UTIL = new Util();
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private static String render(Template template, Object root) {
        VelocityContext context = new VelocityContext();
        context.put("input", new Input(root));
        context.put("util", UTIL);
        StringWriter out = new StringWriter(4096);
        template.merge(context, out);
        return out.toString();
    }

    /** Processor time of this process in nanoseconds, the collector's and compiler's with it. */
    private static long cpu() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    /** Microseconds of processor time per call, of the best of ten runs after as long a warm-up. */
    private static double measure(Supplier<String> work, double seconds) {
        long until = System.nanoTime() + (long) (seconds * 1e9);
        int calls = 0;
        while (System.nanoTime() < until) {
            work.get();
            calls++;
        }
        calls = Math.max(1, calls / 10);
        double best = Double.MAX_VALUE;
        for (int run = 0; run < 10; run++) {
            long began = cpu();
            for (int i = 0; i < calls; i++) {
                work.get();
            }
            best = Math.min(best, (cpu() - began) / 1e3 / calls);
        }
        return best;
    }

    public static void main(String[] args) throws Exception {
        String source = Files.readString(Path.of(args[0]));
        String document = Files.readString(Path.of(args[1]));
        double seconds = Double.parseDouble(args[2]);
        RuntimeInstance engine = new RuntimeInstance();
        engine.setProperty("runtime.log.logsystem.class", "org.apache.velocity.runtime.log.NullLogChute");
        engine.init();
        Template template = new Template();
        template.setRuntimeServices(engine);
        template.setData(engine.parse(new StringReader(source), "template"));
        template.initDocument();

        Object parsed = MAPPER.readValue(document, Map.class);
        Supplier<String> whole = () -> {
            try {
                return render(template, MAPPER.readValue(document, Map.class));
            } catch (java.io.IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        };
        Map<String, Object> out = new TreeMap<>();
        out.put("output", whole.get());
        out.put("micros", measure(whole, seconds));
        out.put("microsParsed", measure(() -> render(template, parsed), seconds));
        out.put("java", System.getProperty("java.vm.name") + " " + System.getProperty("java.version"));
        System.out.println(MAPPER.writeValueAsString(out));
    }
}

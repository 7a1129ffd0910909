
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What one call is made with. */
public abstract class ApiRequest<T extends ApiRequest<T>> {
    final Map<String, String> pathValues = new LinkedHashMap<>();
    final List<String[]> queryValues = new ArrayList<>();
    final Map<String, String> headerValues = new LinkedHashMap<>();
    byte[] content;
    String contentType;
    String verb;
    Duration limit;

    @SuppressWarnings("unchecked")
    private T self() {
        return (T) this;
    }

    /** Sends a parameter of the query, beside those that there are. */
    public T withQuery(String name, String value) {
        if (value != null) {
            queryValues.add(new String[] {name, value});
        }
        return self();
    }

    /** Sends a header. */
    public T withHeader(String name, String value) {
        if (value != null) {
            headerValues.put(name.toLowerCase(Locale.ROOT), value);
        }
        return self();
    }

    /** How long this call may take, its answer's body included. */
    public T withTimeout(Duration value) {
        limit = value;
        return self();
    }

    protected T withPath(String name, String value) {
        pathValues.put(name, value);
        return self();
    }

    protected T withVerb(String value) {
        verb = value.toUpperCase(Locale.ROOT);
        return self();
    }

    protected T withJson(String type, Object value) {
        return withContent(type, value == null ? null : Json.write(value).getBytes(StandardCharsets.UTF_8));
    }

    protected T withContent(String type, byte[] value) {
        content = value;
        contentType = type;
        return self();
    }

    String segment(String name, boolean greedy) {
        String value = pathValues.get(name);
        String[] parts = value == null ? new String[] {""} : greedy ? value.split("/", -1) : new String[] {value};
        StringBuilder out = new StringBuilder();
        for (String part : parts) {
            // What stands for another path would call another operation.
            if (value == null || value.isEmpty() || part.equals(".") || part.equals("..")) {
                throw new IllegalArgumentException("the parameter " + name + " must not be empty, and no part of it may be . or ..");
            }
            out.append(out.length() == 0 && part == parts[0] ? "" : "/").append(encode(part));
        }
        return out.toString();
    }

    String verb() {
        if (verb == null) {
            throw new IllegalArgumentException("the parameter method is missing");
        }
        return verb;
    }

    void requireQuery(String name) {
        if (queryValues.stream().noneMatch(q -> q[0].equals(name))) {
            throw new IllegalArgumentException("the parameter " + name + " is missing");
        }
    }

    void requireHeader(String name) {
        if (!headerValues.containsKey(name.toLowerCase(Locale.ROOT))) {
            throw new IllegalArgumentException("the parameter " + name + " is missing");
        }
    }

    String query() {
        StringBuilder out = new StringBuilder();
        for (String[] q : queryValues) {
            out.append(out.length() == 0 ? '?' : '&').append(encode(q[0])).append('=').append(encode(q[1]));
        }
        return out.toString();
    }

    private static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }
}

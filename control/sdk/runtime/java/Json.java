
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** Reads and writes JSON. */
public final class Json {
    private static final int MAX_DEPTH = 1000;

    private final String text;
    private int at;
    private int depth;

    private Json(String text) {
        this.text = text;
    }

    /** The value of a text: a Map, List, String, Long, BigInteger, Double, Boolean or null. */
    public static Object parse(String text) {
        Json in = new Json(text);
        Object out = in.value();
        in.space();
        if (in.at < text.length()) {
            throw in.bad();
        }
        return out;
    }

    static Object read(String text) {
        try {
            return parse(text);
        } catch (IllegalArgumentException e) {
            return null;
        }
    }

    /** A value as a text. Maps, Iterables, JsonObjects, Strings, Numbers, Booleans and null can be written. */
    public static String write(Object value) {
        StringBuilder out = new StringBuilder();
        write(out, value, 0);
        return out.toString();
    }

    public static String string(Object v) {
        return (String) v;
    }

    public static Boolean bool(Object v) {
        return (Boolean) v;
    }

    public static Long integer(Object v) {
        if (v instanceof BigInteger big) {
            return big.longValueExact();
        }
        if (v instanceof Double d && d == Math.rint(d)) {
            return d.longValue();
        }
        return v == null ? null : (Long) (v instanceof Integer i ? Long.valueOf(i) : v);
    }

    public static Double number(Object v) {
        return v == null ? null : ((Number) v).doubleValue();
    }

    public static <T> List<T> list(Object v, Function<Object, T> as) {
        if (v == null) {
            return null;
        }
        List<T> out = new ArrayList<>();
        for (Object item : (Iterable<?>) v) {
            out.add(item == null ? null : as.apply(item));
        }
        return Collections.unmodifiableList(out);
    }

    public static <T> Map<String, T> map(Object v, Function<Object, T> as) {
        if (v == null) {
            return null;
        }
        Map<String, T> out = new LinkedHashMap<>();
        for (Map.Entry<?, ?> e : ((Map<?, ?>) v).entrySet()) {
            out.put((String) e.getKey(), e.getValue() == null ? null : as.apply(e.getValue()));
        }
        return Collections.unmodifiableMap(out);
    }

    @SuppressWarnings("unchecked")
    public static <T> T object(Object v, Function<Map<String, Object>, T> as) {
        if (v == null) {
            return null;
        }
        return as.apply(v instanceof JsonObject o ? o.own() : (Map<String, Object>) v);
    }

    private static void write(StringBuilder out, Object v, int depth) {
        if (depth > MAX_DEPTH) {
            throw new IllegalArgumentException("the value contains itself, or is nested too deeply");
        }
        if (v instanceof JsonObject o) {
            v = o.own();
        }
        if (v == null || v instanceof Boolean || v instanceof Number) {
            if (v instanceof Double d && (d.isNaN() || d.isInfinite()) || v instanceof Float f && (f.isNaN() || f.isInfinite())) {
                throw new IllegalArgumentException("JSON has no " + v);
            }
            out.append(v);
        } else if (v instanceof Map<?, ?> map) {
            String before = "{";
            for (Map.Entry<?, ?> e : map.entrySet()) {
                out.append(before);
                quote(out, String.valueOf(e.getKey()));
                out.append(':');
                write(out, e.getValue(), depth + 1);
                before = ",";
            }
            out.append(map.isEmpty() ? "{}" : "}");
        } else if (v instanceof Iterable<?> list) {
            String before = "[";
            for (Object item : list) {
                out.append(before);
                write(out, item, depth + 1);
                before = ",";
            }
            out.append(before.equals("[") ? "[]" : "]");
        } else {
            quote(out, v.toString());
        }
    }

    private static void quote(StringBuilder out, String s) {
        out.append('"');
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ' || Character.isSurrogate(c)) {
                out.append(String.format("\\%c%04x", 'u', (int) c));
            } else {
                out.append(c);
            }
        }
        out.append('"');
    }

    private IllegalArgumentException bad() {
        return new IllegalArgumentException("no JSON at character " + at);
    }

    private void space() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private char next() {
        space();
        if (at >= text.length()) {
            throw bad();
        }
        return text.charAt(at);
    }

    private Object value() {
        if (++depth > MAX_DEPTH) {
            throw bad();
        }
        try {
            switch (next()) {
                case '{':
                    return members();
                case '[':
                    return items();
                case '"':
                    return quoted();
                case 't':
                    return word("true", Boolean.TRUE);
                case 'f':
                    return word("false", Boolean.FALSE);
                case 'n':
                    return word("null", null);
                default:
                    return numeral();
            }
        } finally {
            depth--;
        }
    }

    private Map<String, Object> members() {
        Map<String, Object> out = new LinkedHashMap<>();
        at++;
        if (next() == '}') {
            at++;
            return out;
        }
        while (true) {
            if (next() != '"') {
                throw bad();
            }
            String name = quoted();
            if (next() != ':') {
                throw bad();
            }
            at++;
            out.put(name, value());
            char c = next();
            at++;
            if (c == '}') {
                return out;
            }
            if (c != ',') {
                at--;
                throw bad();
            }
        }
    }

    private List<Object> items() {
        List<Object> out = new ArrayList<>();
        at++;
        if (next() == ']') {
            at++;
            return out;
        }
        while (true) {
            out.add(value());
            char c = next();
            at++;
            if (c == ']') {
                return out;
            }
            if (c != ',') {
                at--;
                throw bad();
            }
        }
    }

    private Object word(String word, Object value) {
        if (!text.startsWith(word, at)) {
            throw bad();
        }
        at += word.length();
        return value;
    }

    private Object numeral() {
        int from = at;
        while (at < text.length() && "+-.eE0123456789".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
        String s = text.substring(from, at);
        if (s.matches("-?(0|[1-9][0-9]{0,999})")) {
            BigInteger n = new BigInteger(s);
            if (n.bitLength() < 64) {
                return n.longValue();
            }
            return n;
        }
        if (!s.matches("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?")) {
            at = from;
            throw bad();
        }
        return Double.valueOf(s);
    }

    private String quoted() {
        StringBuilder out = new StringBuilder();
        at++;
        while (at < text.length()) {
            char c = text.charAt(at++);
            if (c == '"') {
                return out.toString();
            }
            if (c < ' ') {
                break;
            }
            if (c != '\\') {
                out.append(c);
                continue;
            }
            if (at >= text.length()) {
                break;
            }
            c = text.charAt(at++);
            int i = "\"\\/bfnrt".indexOf(c);
            if (i >= 0) {
                out.append("\"\\/\b\f\n\r\t".charAt(i));
            } else if (c == 'u' && at + 4 <= text.length() && text.substring(at, at + 4).matches("[0-9a-fA-F]{4}")) {
                out.append((char) Integer.parseInt(text.substring(at, at + 4), 16));
                at += 4;
            } else {
                break;
            }
        }
        throw bad();
    }
}

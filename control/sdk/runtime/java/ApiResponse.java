
import java.net.http.HttpHeaders;
import java.nio.charset.StandardCharsets;

/** An answer as it came. */
public final class ApiResponse {
    private final int status;
    private final HttpHeaders headers;
    private final byte[] body;

    ApiResponse(int status, HttpHeaders headers, byte[] body) {
        this.status = status;
        this.headers = headers;
        this.body = body;
    }

    public int status() {
        return status;
    }

    public HttpHeaders headers() {
        return headers;
    }

    public byte[] body() {
        return body;
    }

    /** The body as a text in UTF-8. */
    public String text() {
        return new String(body, StandardCharsets.UTF_8);
    }

    /** The body's value: a Map, List, String, Long, BigInteger, Double, Boolean, or null if it is no JSON. */
    public Object json() {
        return Json.read(text());
    }
}

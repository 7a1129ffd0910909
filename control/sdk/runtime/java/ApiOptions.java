
import java.net.http.HttpClient;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;

/** How a client calls the API. */
public final class ApiOptions {
    String baseUrl;
    Duration timeout = Duration.ofSeconds(30);
    HttpClient httpClient;
    final Map<String, String> headers = new LinkedHashMap<>();

    /** Where the API is, if not where the client was made for. */
    public ApiOptions baseUrl(String value) {
        baseUrl = value;
        return this;
    }

    /** Sent in the header x-api-key. */
    public ApiOptions apiKey(String value) {
        return header("x-api-key", value);
    }

    /** Sent in the header Authorization, after the word Bearer. */
    public ApiOptions bearerToken(String value) {
        return header("authorization", "Bearer " + value);
    }

    /** Sent with every call. */
    public ApiOptions header(String name, String value) {
        headers.put(name.toLowerCase(java.util.Locale.ROOT), value);
        return this;
    }

    /** How long a call may take, its answer's body included. */
    public ApiOptions timeout(Duration value) {
        timeout = value;
        return this;
    }

    /** Makes the calls. One that follows redirections sends the key to where an answer points. */
    public ApiOptions httpClient(HttpClient value) {
        httpClient = value;
        return this;
    }
}

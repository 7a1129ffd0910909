
import java.net.http.HttpHeaders;

/** What an API answered instead of what was asked for. */
public final class ApiException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final int status;
    private final transient HttpHeaders headers;
    private final transient ApiResponse response;

    ApiException(ApiResponse response, String message) {
        super(message(response, message));
        this.status = response.status();
        this.headers = response.headers();
        this.response = response;
    }

    private static String message(ApiResponse response, String message) {
        if (message == null && Json.read(response.text()) instanceof java.util.Map<?, ?> said && said.get("message") instanceof String text) {
            message = text;
        }
        return message == null || message.isEmpty() ? "the API answered with status " + response.status() : response.status() + ": " + message;
    }

    public int status() {
        return status;
    }

    /** What to name when asking whoever runs the API; empty if the answer has none. */
    public String requestId() {
        return headers.firstValue("x-amzn-requestid").orElse("");
    }

    public HttpHeaders headers() {
        return headers;
    }

    /** The answer as it came, with its body. */
    public ApiResponse response() {
        return response;
    }
}

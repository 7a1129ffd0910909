
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;

/** What every client has in common. */
abstract class ApiBase {
    private final String baseUrl;
    private final ApiOptions options;
    private final HttpClient http;

    ApiBase(String made, ApiOptions options) {
        String base = options.baseUrl == null || options.baseUrl.isEmpty() ? made : options.baseUrl;
        while (base.endsWith("/")) {
            base = base.substring(0, base.length() - 1);
        }
        this.baseUrl = base;
        this.options = options;
        this.http = options.httpClient != null ? options.httpClient : HttpClient.newHttpClient();
    }

    final ApiResponse send(String method, String path, ApiRequest<?> request) {
        URI uri = URI.create(baseUrl + path + request.query());
        HttpRequest.BodyPublisher content = request.content == null
                ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofByteArray(request.content);
        HttpRequest.Builder call = HttpRequest.newBuilder(uri).method(method, content);
        if ("http".equalsIgnoreCase(uri.getScheme())) {
            call.version(HttpClient.Version.HTTP_1_1);
        }
        Map<String, String> headers = new LinkedHashMap<>();
        headers.put("accept", "application/json, */*;q=0.5");
        headers.putAll(options.headers);
        if (request.content != null && request.contentType != null) {
            headers.put("content-type", request.contentType);
        }
        headers.putAll(request.headerValues);
        headers.forEach(call::setHeader);
        Duration limit = request.limit != null ? request.limit : options.timeout;
        CompletableFuture<HttpResponse<byte[]>> answer = http.sendAsync(call.build(), HttpResponse.BodyHandlers.ofByteArray());
        try {
            HttpResponse<byte[]> res = answer.get(limit.toMillis(), TimeUnit.MILLISECONDS);
            ApiResponse out = new ApiResponse(res.statusCode(), res.headers(), res.body());
            if (out.status() < 200 || out.status() > 299) {
                throw new ApiException(out, null);
            }
            return out;
        } catch (TimeoutException e) {
            answer.cancel(true);
            throw new UncheckedIOException(new HttpTimeoutException("the API has not answered within " + limit.toMillis() + " ms"));
        } catch (InterruptedException e) {
            answer.cancel(true);
            Thread.currentThread().interrupt();
            throw new UncheckedIOException(new IOException("the call was interrupted", e));
        } catch (ExecutionException e) {
            if (e.getCause() instanceof IOException io) {
                throw new UncheckedIOException(io);
            }
            throw new UncheckedIOException(new IOException(e.getCause()));
        }
    }

    /** The value of an answer of JSON; null if it is empty. */
    final <T> T read(ApiResponse answer, Function<Object, T> as) {
        if (answer.body().length == 0) {
            return null;
        }
        try {
            return as.apply(Json.parse(answer.text()));
        } catch (IllegalArgumentException | ClassCastException | ArithmeticException e) {
            throw new ApiException(answer, "the answer is not the JSON that was declared: " + e.getMessage());
        }
    }
}


import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/** An object of JSON. It keeps properties that its class does not know. */
public abstract class JsonObject {
    private final Map<String, Object> properties;

    protected JsonObject() {
        this.properties = new LinkedHashMap<>();
    }

    protected JsonObject(Map<String, Object> properties) {
        this.properties = properties;
    }

    /** The properties by name, declared or not. */
    public final Map<String, Object> properties() {
        return Collections.unmodifiableMap(properties);
    }

    /** Sets a property, declared or not. */
    public final void put(String name, Object value) {
        properties.put(name, value);
    }

    protected final Object value(String name) {
        return properties.get(name);
    }

    final Map<String, Object> own() {
        return properties;
    }

    @Override
    public final boolean equals(Object other) {
        return other instanceof JsonObject o && Json.write(this).equals(Json.write(o));
    }

    @Override
    public final int hashCode() {
        return Json.write(this).hashCode();
    }

    /** This object as JSON. */
    @Override
    public final String toString() {
        return Json.write(this);
    }
}

import com.example.pets.*;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.net.http.HttpTimeoutException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

public class Driver {
    public static void main(String[] args) {
        PrintStream out = System.out;
        PetsClient client = new PetsClient(new ApiOptions().baseUrl(args[0]).apiKey("key-1").bearerToken("token-1").header("X-Client", "test"));
        out.println("status " + client.status().text());
        List<Pet> pets = client.listPets(new ListPetsRequest().tag("a b&\u00fc").limit("2").xTrace("t1"));
        out.println("pets " + pets.size() + " " + pets.stream().map(Pet::getName).collect(Collectors.joining(",")));
        Pet made = client.createPet(new CreatePetRequest().body(new NewPet().setName("Rex \ud83d\udc36").setPetKind("a\"b\\c").setClass_("mammal")
                .setOwner(new NewPetOwner().setName("Ada").setSince(9007199254740991L)).setNotes(Map.of("a", "b"))));
        out.println("created " + made.getId() + " " + made.getName() + " " + made.getOwner().getName() + " " + made.getNext().getName() + " " + made.properties().get("extra"));
        if (!made.setWeight(null).equals(Json.object(Json.parse(made.toString()), Pet::new)) || made.getOwner().getSince() != 9007199254740991L) {
            throw new AssertionError(made);
        }
        out.println("got " + client.getPet(new GetPetRequest().petId("7/8 ?#%")).getName());
        try {
            client.getPet(new GetPetRequest().petId("missing"));
        } catch (ApiException e) {
            out.println("error true " + e.status() + " " + e.requestId() + " " + e.headers().firstValue("x-why").get() + " " + ((Map<?, ?>) e.response().json()).get("message"));
        }
        for (String id : List.of("..", "")) {
            refused(() -> client.getPet(new GetPetRequest().petId(id)));
        }
        out.println("deleted " + (client.deletePetsByPetId(new DeletePetsByPetIdRequest().petId("7")).status() == 204));
        out.println("photo " + client.putPhoto(new PutPhotoRequest().petId("7").body(new byte[] {(byte) 255, (byte) 216})).text());
        out.println("file " + client.getFile(new GetFileRequest().path("a/b c.txt")).text());
        refused(() -> client.getFile(new GetFileRequest().path("a/../b")));
        out.println("any " + ((Map<?, ?>) client.anyProxy(new AnyProxyRequest().method("put").body(Map.of("x", List.of(1, 2)))).json()).get("verb"));
        try {
            client.import_(new ImportRequest().withTimeout(Duration.ofSeconds(2)));
        } catch (UncheckedIOException e) {
            out.println("timeout " + (e.getCause() instanceof HttpTimeoutException));
        }
        try {
            client.moved();
        } catch (ApiException e) {
            out.println("moved " + e.status() + " " + e.headers().firstValue("location").get());
        }
    }

    private static void refused(Runnable call) {
        try {
            call.run();
        } catch (IllegalArgumentException e) {
            System.out.println("refused true");
        }
    }
}

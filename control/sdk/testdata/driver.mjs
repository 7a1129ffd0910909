import { Client, ApiError } from "./index.js";

const client = new Client({ baseUrl: process.argv[2], apiKey: "key-1", bearerToken: "token-1", headers: { "X-Client": "test" } });
console.log("status", await client.status());
const pets = await client.listPets({ tag: "a b&ü", limit: 2, xTrace: "t1" });
console.log("pets", pets.length, pets.map((p) => p.name).join(","));
const made = await client.createPet({ body: { name: "Rex \u{1F436}", "pet-kind": 'a"b\\c', class: "mammal", owner: { name: "Ada", since: 9007199254740991 }, notes: { a: "b" } } });
console.log("created", made.id, made.name, made.owner.name, made.next.name, made.extra);
console.log("got", (await client.getPet({ petId: "7/8 ?#%" })).name);
try {
  await client.getPet({ petId: "missing" });
} catch (e) {
  console.log("error", e instanceof ApiError, e.status, e.requestId, e.headers.get("x-why"), e.body.message);
}
for (const petId of ["..", ""]) {
  await client.getPet({ petId }).catch((e) => console.log("refused", e instanceof TypeError));
}
console.log("deleted", (await client.deletePetsByPetId({ petId: "7" })) === undefined);
console.log("photo", await client.putPhoto({ petId: "7", body: new Uint8Array([255, 216]) }));
console.log("file", await client.getFile({ path: "a/b c.txt" }));
await client.getFile({ path: "a/../b" }).catch((e) => console.log("refused", e instanceof TypeError));
console.log("any", (await client.anyProxy({ method: "put", body: { x: [1, 2] } })).verb);
await client.import({ timeout: 2000 }).catch((e) => console.log("timeout", e.name === "TimeoutError"));
await client.moved().catch((e) => console.log("moved", e.status, e.headers.get("location")));

import sys

from pets_x_u000a_ltd_client import ApiError, Client

client = Client(base_url=sys.argv[1], api_key="key-1", bearer_token="token-1", headers={"X-Client": "test"})


def said(ok):
    return "true" if ok else "false"


print("status", client.status())
pets = client.list_pets("a b&ü", limit=2, x_trace="t1")
print("pets", len(pets), ",".join(p["name"] for p in pets))
made = client.create_pet(
    body={"name": "Rex \U0001f436", "pet-kind": 'a"b\\c', "class": "mammal", "owner": {"name": "Ada", "since": 9007199254740991}, "notes": {"a": "b"}}
)
print("created", made["id"], made["name"], made["owner"]["name"], made["next"]["name"], made["extra"])
print("got", client.get_pet("7/8 ?#%")["name"])
try:
    client.get_pet("missing")
except ApiError as e:
    print("error true", e.status, e.request_id, e.headers["x-why"], e.body["message"])
for pet_id in ("..", ""):
    try:
        client.get_pet(pet_id)
    except ValueError:
        print("refused true")
print("deleted", said(client.delete_pets_by_pet_id("7") is None))
print("photo", client.put_photo("7", body=b"\xff\xd8"))
print("file", client.get_file("a/b c.txt"))
try:
    client.get_file("a/../b")
except ValueError:
    print("refused true")
print("any", client.any_proxy("put", body={"x": [1, 2]})["verb"])
try:
    client.import_(options={"timeout": 2})
except TimeoutError:
    print("timeout true")
try:
    client.moved()
except ApiError as e:
    print("moved", e.status, e.headers["location"])

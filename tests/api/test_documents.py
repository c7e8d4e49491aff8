"""What the API says of itself is true and well-formed."""

import jsonschema
import openapi_spec_validator
import pytest
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema

from api.app import create_app
from api.core.resource import register
from contracts import asyncapi, catalog, errors, topics
from contracts.rules.access import PUBLIC
from contracts.topics import TopicNames
from tests.api.conftest import Api, World, event


async def test_openapi_has_every_route_with_security_errors_and_examples(api: Api, world: World) -> None:
    document = (await api.get("/v1/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    declared = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    served = {(method, path.replace(":path", "")) for method, path, _ in register(create_app(world.deps))}
    assert declared == served
    for path, item in document["paths"].items():
        for operation in item.values():
            assert operation["summary"], path
            secured = operation["x-permission"] != PUBLIC
            assert bool(operation["security"]) == secured
            assert "401" in operation["responses"] or not secured
            assert any(status[0] in "23" for status in operation["responses"])
    ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))


async def test_no_two_schemas_of_openapi_share_a_name(api: Api) -> None:
    schemas = (await api.get("/v1/openapi.json")).json()["components"]["schemas"]
    assert [name for name in schemas if name.startswith("api__")] == []
    titles = [schema["title"] for schema in schemas.values() if "title" in schema]
    assert len(titles) == len(set(titles))


async def test_every_json_body_in_openapi_has_an_example_that_fits_its_schema(api: Api) -> None:
    document = (await api.get("/v1/openapi.json")).json()
    answers = [answer for item in document["paths"].values() for one in item.values() for answer in bodies(one)]
    shown = 0
    for body in answers + list(document["components"]["responses"].values()):
        for media_type, media in body.get("content", {}).items():
            if "json" in media_type:
                schema = media["schema"] | {"components": document["components"]}
                jsonschema.validate(media["example"], schema, jsonschema.Draft202012Validator)
                shown += 1
    assert shown > 60


def bodies(operation: dict) -> list[dict]:
    return [operation.get("requestBody", {}), *operation["responses"].values()]


async def test_openapi_names_the_codes_of_every_status(api: Api) -> None:
    document = (await api.get("/v1/openapi.json")).json()
    described = {name: one["description"] for name, one in document["components"]["responses"].items()}
    tree = [*subclasses(errors.InputError), *subclasses(errors.Unavailable)]
    for error in tree:
        assert f"`{error.code}`" in described[f"Error{error.status}"], error
    assert len({error.code for error in tree}) == len(tree)
    assert set(document["components"]["securitySchemes"]) == {"bearer", "accessToken", "apiKey"}


def subclasses(error: type[errors.AihubError]) -> list[type[errors.AihubError]]:
    return [error, *(found for one in error.__subclasses__() for found in subclasses(one))]


async def test_every_reference_in_openapi_leads_somewhere(api: Api) -> None:
    document = (await api.get("/v1/openapi.json")).json()
    for reference in references(document):
        resolve(document, reference)


async def test_answers_fit_the_declared_schema(api: Api) -> None:
    document = (await api.get("/v1/openapi.json")).json()
    await api.post("/v1/keys", json={"name": "x", "scopes": ["events:write"]})
    for path in ("/v1/keys", "/v1/organizations", "/v1/credits/balance", "/v1/credits/transactions"):
        fits(document, document["paths"][path]["get"], (await api.get(path)).json())
    fits(document, document["paths"]["/v1/events"]["post"], (await api.send([event(), event(type="x")])).json(), "202")
    refused = (await api.get("/v1/keys?limit=0")).json()
    schema = {"$ref": "#/components/schemas/ErrorAnswer", "components": document["components"]}
    jsonschema.validate(refused, schema)


def fits(document: dict, operation: dict, body: dict, status: str = "200") -> None:
    schema = operation["responses"][status]["content"]["application/json"]["schema"]
    jsonschema.validate(body, schema | {"components": document["components"]})


def test_asyncapi_names_every_event_of_every_topic_once() -> None:
    document = asyncapi.document("1.2.3", TopicNames("x."))
    named = {message["name"] for message in document["components"]["messages"].values()}
    assert named == set(catalog.EVENTS)
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == {"x." + topic.name for topic in topics.TOPICS if topic is not topics.DEAD_LETTERS}
    for operation in document["operations"].values():
        assert operation["action"] in ("send", "receive")
        assert operation["messages"]
        for message in operation["messages"]:
            assert message["$ref"].startswith(operation["channel"]["$ref"] + "/messages/")


def test_asyncapi_follows_the_structure_of_version_3() -> None:
    document = asyncapi.document("1.2.3")
    assert document["asyncapi"] == "3.0.0"
    assert set(document) <= {
        "asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components",
    }  # fmt: skip
    assert {"title", "version"} <= set(document["info"])
    for server in document["servers"].values():
        assert {"host", "protocol"} <= set(server)
    for channel in document["channels"].values():
        assert set(channel) <= {
            "address", "messages", "title", "summary", "description", "servers", "parameters", "tags", "bindings",
        }  # fmt: skip
    for reference in references(document):
        resolve(document, reference)


@pytest.mark.parametrize("name", sorted(catalog.EVENTS))
def test_the_example_of_an_event_fits_its_asyncapi_payload(name: str) -> None:
    document = asyncapi.document("1.2.3")
    message = document["components"]["messages"][catalog.EVENTS[name].__name__]
    jsonschema.validate(message["examples"][0]["payload"], message["payload"] | {"components": document["components"]})


def references(node: object) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in references(item)]
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for item in node.values() for found in references(item)]
    return []


def resolve(document: dict, reference: str) -> object:
    node: object = document
    for part in reference.removeprefix("#/").split("/"):
        assert isinstance(node, dict)
        assert part in node, reference
        node = node[part]
    return node


async def test_an_independent_validator_accepts_openapi(api: Api) -> None:
    openapi_spec_validator.validate((await api.get("/v1/openapi.json")).json())


def test_an_independent_model_reads_asyncapi() -> None:
    document = asyncapi.document("1.0.0")
    for server in document["servers"].values():
        server["pathname"] = ""  # FastStream's model wants it, the specification does not
    read = ApplicationSchema.model_validate(document)
    assert set(read.channels) == set(document["channels"])
    assert set(read.operations) == set(document["operations"])
    assert read.components is not None
    assert set(read.components.messages or {}) == set(document["components"]["messages"])

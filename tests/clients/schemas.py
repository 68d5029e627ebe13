"""What hosts and providers ask of a tool's schema. A schema that breaks a rule costs the whole request, not the one tool."""

import re

BRANCHES = ("anyOf", "any_of", "oneOf", "allOf")  # protobuf's JSON has either spelling

# What says which values there are. `{"nullable": true}` is how google-genai writes null.
WORDS = {"type", "enum", "const", "$ref", "nullable", *BRANCHES}


def nodes(schema, path=""):
    """Every schema inside of a schema, with its place."""
    yield path or "the schema", schema
    if not isinstance(schema, dict):
        return
    for keyword in ("properties", "$defs", "definitions"):
        for name, inner in (schema.get(keyword) or {}).items():
            yield from nodes(inner, f"{path}.{name}".lstrip("."))
    if schema.get("items") is not None:
        yield from nodes(schema["items"], f"{path}[]")
    for keyword in BRANCHES:
        for index, inner in enumerate(schema.get(keyword) or []):
            yield from nodes(inner, f"{path}({keyword} {index})")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}.*")


def kind(schema):
    """Its type, in small letters: Gemini's libraries write large ones."""
    return schema["type"].lower() if isinstance(schema.get("type"), str) else None


def branches(schema):
    return schema.get("anyOf") or schema.get("any_of") or []


def takes(schema, wanted):
    """Whether a value of that type is described."""
    if any(takes(branch, wanted) for branch in branches(schema)):
        return True
    return kind(schema) == wanted or (wanted == "integer" and kind(schema) == "number")


def everywhere(tool):
    """Rules of all: VS Code (`tool parameters array type must have items`), OpenAI and Gemini (400 to the whole request)."""
    schema = tool["schema"]
    if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}", tool["name"]):
        yield "its name is none for a tool"
    if not isinstance(schema, dict) or kind(schema) != "object" or any(word in schema for word in (*BRANCHES, "not", "enum")):
        yield "the schema is not that of an object"
        return
    for place, node in nodes(schema):
        if not isinstance(node, dict) or not node.keys() & WORDS:
            yield f"{place} says nothing"
        elif isinstance(node.get("type"), list):
            yield f"{place} has a list under type"
        elif kind(node) == "array" and not isinstance(node.get("items"), dict):
            yield f"{place} is an array without items"


def openai(_):
    return []


def openai_strict(tool):
    """OpenAI, Structured Outputs, "Supported schemas"."""
    if not tool["schema"].get("properties"):
        return  # without arguments there is nothing to be strict about
    if not tool.get("strict"):
        yield "it is not strict"
    for place, node in nodes(tool["schema"]):
        if kind(node) == "object" and node.get("additionalProperties") is not False:
            yield f"{place} allows other members"
        if kind(node) == "object" and set(node.get("required") or []) != set(node.get("properties") or []):
            yield f"{place} has members that are not required"


def gemini(tool):
    """Gemini's and Vertex's `Schema`; a schema of the answers goes there, too."""
    for place, node in nodes(tool["schema"]):
        if branches(node) and len(node) > 1:
            yield f"{place} has more beside anyOf"
        if any(not isinstance(value, str) for value in node.get("enum") or []):
            yield f"{place} has an enum of what is no string"
    if tool.get("answer"):
        for complaint in everywhere({"name": tool["name"], "schema": tool["answer"]}):
            yield f"of the answer: {complaint}"


def anthropic(_):
    return []


PROVIDERS = {"openai": openai, "openai-strict": openai_strict, "gemini": gemini, "anthropic": anthropic}


def complaints(tool, provider):
    found = [f"{tool['name']}: {complaint}" for complaint in everywhere(tool)]
    return found or [f"{tool['name']}: {complaint}" for complaint in PROVIDERS[provider](tool)]


def parameters_complaints(tool):
    """Whether a model still learns that `parameters` takes a list with a number or a text in it."""
    parameters = (tool["schema"].get("properties") or {}).get("parameters") or {}
    lists = [branch for branch in [parameters, *branches(parameters)] if kind(branch) == "array"]
    if not lists:
        return [f"{tool['name']}: parameters is no list"]
    items = lists[0].get("items") or {}
    return [f"{tool['name']}: parameters takes no {wanted}" for wanted in ("integer", "string") if not takes(items, wanted)]

"""What the resources of a IIIF document have in common: a type, and an address."""

from typing import Any

from src.config.addresses import has_user
from src.config.validation import is_address
from src.io.json_text import Json, as_list


def kind(node: Json) -> str:
    """Return the type of a resource in lower case, without a prefix such as sc: or dctypes:."""
    value = node.get("type") or node.get("@type")
    value = value[0] if isinstance(value, list) and value else value
    return value.rpartition(":")[2].casefold() if isinstance(value, str) else ""


def address(node: Any) -> str:
    """Return the http(s) address of a resource or a text, without a fragment; "" if it has none."""
    return located(node)[0]


def located(node: Any) -> tuple[str, str]:
    """Return the address of a resource or a text as `address` does, and its fragment without #."""
    value = (node.get("id") or node.get("@id")) if isinstance(node, dict) else node
    if not isinstance(value, str):
        return "", ""
    text, _, fragment = value.strip().partition("#")
    return (text, fragment) if is_address(text) and not has_user(text) else ("", "")


def objects(value: Any) -> list[Json]:
    """Return the JSON objects of a list, or of a single one."""
    return [item for item in as_list(value) if isinstance(item, dict)]

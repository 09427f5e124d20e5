"""Reads a kubeconfig with PyYAML, where its text is beyond the plain reader or wrong.

Imported only where needed, since PyYAML costs 27 ms.
"""

import yaml

from kubelag.errors import KubeconfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.config.kubeconfig_file import Place

_BASE: "type[yaml.SafeLoader]" = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# What PyYAML lets slip for values that belie an explicit tag (`!!int x`), or that refer to
# themselves.
_WRONG = (
    yaml.YAMLError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class KubeconfigLoader(_BASE):  # type: ignore[misc, valid-type]  # whichever the machine has
    """A safe loader for which a date stays text, as it does for kubectl."""

    yaml_implicit_resolvers = {  # noqa: RUF012 -- PyYAML's own way
        first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:timestamp"]
        for first, rules in _BASE.yaml_implicit_resolvers.items()
    }


def parse_yaml(content: bytes, path: str) -> object:
    """The document of a kubeconfig.

    Raises:
        KubeconfigError: If it is no YAML, naming the line where PyYAML knows it.
    """
    try:
        return yaml.load(content, Loader=KubeconfigLoader)  # noqa: S506 -- a safe loader, less one resolver
    except _WRONG as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise KubeconfigError(
            f"kubeconfig {path} is not valid YAML{where}",
            "correct it there, or restore it from a copy",
        ) from error


def line_of(content: bytes, place: "Place") -> int | None:
    """The line, from 1, of the value that these keys and indices lead to, or as near as there is.

    None where PyYAML cannot read the text, which may still be JSON.
    """
    try:
        node = yaml.compose(content, Loader=KubeconfigLoader)
    except _WRONG:
        return None
    for step in place:
        inner = _child(node, step)
        if inner is None:
            break
        node = inner
    return node.start_mark.line + 1 if node is not None else None


def _child(node: object, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return node.value[step] if step < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        # The last of several wins, as it does for the loader.
        return next((value for key, value in reversed(node.value) if key.value == step), None)
    return None

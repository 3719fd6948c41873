"""Which metrics and labels a PromQL expression asks for."""

import re

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_NOT_METRICS = re.compile(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)|\$\w+")
_KEYWORDS = frozenset(("and", "or", "unless", "offset", "bool", "inf", "nan", "by", "without", "on", "ignoring"))
_DURATION = re.compile(r"(?<![\w:])\d+(?:ms|[smhdwy])\b")


def metrics_in(expression: str) -> frozenset[str]:
    """Names of metrics; those of functions, labels and strings are none."""
    bare = _NOT_METRICS.sub(" ", _DURATION.sub(" ", _STRING.sub('""', expression)))
    found = re.findall(r"(?<![\w:.])([a-zA-Z_:][\w:]*)(?![\w:])\s*(\()?", bare)
    return frozenset(name for name, call in found if not call and name.lower() not in _KEYWORDS)

"""Pydantic's validation errors in one line, for whatever users wrote."""

from pydantic import ValidationError

from harness.errors import short_repr, truncate

# errors whose message says all: what was given is missing, or quoted in the message
COMPLETE_MESSAGES = ("missing", "value_error", "extra_forbidden", "json_invalid")


def format_validation_error(error: ValidationError, prefix: str = "{}: ", top: str = "") -> str:
    """The first mistake in one line: where it is, what was expected, what was given.

    prefix: the text around the path to the mistake, such as `sweeps.0.beta`
    top: the path of a mistake in the outermost value; if empty, the prefix is left out

    >>> from pydantic import TypeAdapter
    >>> try:
    ...     TypeAdapter(dict[str, int]).validate_python({"a": "x"})
    ... except ValidationError as error:
    ...     format_validation_error(error)
    "a: input should be a valid integer, unable to parse string as an integer, got 'x'"
    """
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "bool_type" and location[-1:] == ["bool"]:
        # pydantic names only the first type that a setting can have
        location, message = location[:-1], "expected a number, a word or a truth value"
    keys = [
        part for part in location if not part.startswith(("list[", "function-", "constrained-"))
    ]
    path = truncate(".".join(keys)) or top
    given = "" if first["type"] in COMPLETE_MESSAGES else f", got {short_repr(first['input'])}"
    text = f"{message[0].lower()}{message[1:]}{given}"
    return " ".join(f"{prefix.format(path) if path else ''}{text}".split())

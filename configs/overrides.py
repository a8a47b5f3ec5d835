"""`MANTA__SECTION__KEY` variables laid over the YAML.

A step that is a number names a list entry, counted from 0; one past the end adds an entry. Sections and lists are given
whole as YAML in one line, for example `MANTA__GENERAL_SETTINGS__ALLOWED_HOSTS='[chat.example.com]'`.
"""

from collections.abc import Iterator

from configs.environment import Variable, Variables
from configs.problems import Problem, Refused
from configs.settings import NAMES, SECRETS
from configs.shape import leaf_at, takes_null
from configs.suggest import LONGEST_NAME, closest
from configs.tree import LONGEST_INDEX, Node, Path, assign, plain, steps, wrap
from configs.yaml_source import WORDS, Reader, is_clean, plain_value, read_value

PREFIX = "MANTA__"
ALIASES: dict[str, Path] = {"MANTA_DATA_DIR": ("general_settings", "data_dir")}


def apply(root: Node, variables: Variables, problems: list[Problem]) -> Node:
    """`root` with the overrides of one level; the short names first, then from the outermost section inwards."""
    paths = [(path, variables[name]) for name, path in ALIASES.items() if name in variables]
    named = _named(variables, problems)
    paths += sorted(named, key=lambda each: (len(each[0]), [str(step).zfill(LONGEST_INDEX) for step in each[0]]))
    for path, variable in paths:
        try:
            root = assign(root, path, value_of(variable, path))
        except Refused as refused:
            problems.append(refused.problem)
        except LookupError as error:
            problems.append(Problem(variable.spot, str(error.args[0])))
    return root


def _named(variables: Variables, problems: list[Problem]) -> list[tuple[Path, Variable]]:
    found: list[tuple[Path, Variable]] = []
    for name, variable in variables.items():
        if name.startswith(PREFIX):
            try:
                found.append((path_of(name), variable))
            except LookupError as error:
                problems.append(Problem(variable.spot, str(error.args[0])))
    return found


def path_of(name: str) -> Path:
    """`MANTA__MODEL_LIST__0__ENGINE` as ("model_list", 0, "engine")."""
    return steps(name.removeprefix(PREFIX).lower().split("__"))


def value_of(variable: Variable, path: Path) -> Node:
    """A text as the value that `path` holds: text stays text, the rest is read as YAML.

    Raises:
        Refused: it cannot be read.
    """
    text = variable.text
    if not is_clean(text):
        raise Refused(Problem(variable.spot, "its value is not UTF-8 text"))
    leaf = leaf_at(path)
    if leaf in ("mapping", "list") or (leaf == "value" and text[:1] in ("[", "{")):
        return wrap(plain(_structure(variable)), variable.spot)
    if leaf == "text":
        return wrap(WORDS[text] if takes_null(path) and text in WORDS and WORDS[text] is None else text, variable.spot)
    return wrap(_plain_value(variable), variable.spot)


def _plain_value(variable: Variable) -> object:
    try:
        return plain_value(variable.text)
    except ValueError as error:
        raise Refused(Problem(variable.spot, "the number is too large")) from error


def _structure(variable: Variable) -> Node:
    try:
        return read_value(variable.text, Reader(variable.name))
    except Refused as refused:  # its position counts inside the variable, which helps nobody
        raise Refused(Problem(variable.spot, refused.problem.message)) from refused


def strangers(variables: Variables) -> Iterator[Problem]:
    """Names that look like ours and are not, so that a typo is not silently ignored.

    Other `MANTA_…` names pass: Kubernetes sets `MANTA_SERVICE_HOST` and the like in every pod beside a service `manta`.
    """
    known = {*NAMES, *(f"{name}_FILE" for name in SECRETS)}
    for name, variable in variables.items():
        if not name.startswith("MANTA_") or name.startswith(PREFIX) or name in known:
            continue
        if "__" in name:
            meant = f"{PREFIX}{name.removeprefix('MANTA_')}"
            yield Problem(
                variable.spot, f"{name[:LONGEST_NAME]!r} is not known; did you mean {meant[:LONGEST_NAME]!r}?"
            )
        elif near := closest(name, known, cutoff=0.85):
            yield Problem(variable.spot, f"{name!r} is not known; did you mean {near!r}?")

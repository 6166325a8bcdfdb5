"""How the code is built, in numbers: folders, imports, functions, lines, names, words and tests.

    python -m benchmarks.structure [--save FILE.json] [--against FILE.json]

Prints a Markdown table. `--save` keeps the numbers, `--against` puts those of an earlier run beside
them: `structure_before.json` holds the numbers of commit 43f859f.
"""

import argparse
import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from statistics import median, quantiles

ROOT = Path(__file__).parents[1]
PACKAGES = ("harness", "models", "analysis")
LIMITS = (88, 100)  # columns
CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
PARTICIPLES = """
    begun built drawn fed found given gone grown held kept known laid lost made meant met said seen
    sent shown taken told understood won written
"""  # those that do not end in -ed, and are no verb or noun as well
NO_PARTICIPLES = "bleed embed exceed feed need proceed seed shed shred speed succeed"

Function = ast.FunctionDef | ast.AsyncFunctionDef
Graph = Mapping[str, set[str]]
Numbers = dict[str, float]


def main() -> None:
    """Print the table, and save the numbers where that is asked."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--save", type=Path, metavar="FILE.json")
    parser.add_argument("--against", type=Path, metavar="FILE.json")
    args = parser.parse_args()
    now = measure(ROOT)
    print(render(now, json.loads(args.against.read_text()) if args.against else None))
    if args.save:
        args.save.write_text(json.dumps(now, indent=1) + "\n")


def measure(root: Path) -> Numbers:
    """Every number of the project that lies in the folder `root`, by its name."""
    files = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    trees = {path.relative_to(root).as_posix(): ast.parse(path.read_text()) for path in files}
    lines, tests = read_lines(files), read_lines((root / "tests").rglob("*.py"))
    return {
        **count_files(sorted(trees)),
        **measure_imports(build_graph(trees)),
        **measure_functions(list(trees.values())),
        "lines of code": len(lines),
        **{f"lines over {most} columns, %": share(len(x) > most for x in lines) for most in LIMITS},
        "lines of tests for a line of code": round(len(tests) / len(lines), 2),
        **measure_readme((root / "README.md").read_text()),
    }


def render(now: Numbers, before: Numbers | None = None) -> str:
    """Write the numbers as a Markdown table, beside earlier ones where there are any.

    >>> print(render({"files": 3, "lines": 20}, {"files": 4}))
    | measure | before | now |
    | --- | --- | --- |
    | files | 4 | 3 |
    | lines | – | 20 |
    """
    columns = {"now": now} if before is None else {"before": before, "now": now}
    rows = [["measure", *columns], ["---"] * (len(columns) + 1)]
    for name in dict.fromkeys([*now, *(before or {})]):
        rows += [[name, *(f"{c[name]:g}" if name in c else "–" for c in columns.values())]]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def read_lines(files: Iterable[Path]) -> list[str]:
    """Read the lines of some files that are not empty."""
    return [line for path in files for line in path.read_text().splitlines() if line.strip()]


def share(answers: Iterable[bool]) -> float:
    """How many of the answers are yes, in %; 0 where there is none."""
    found = list(answers)
    return round(100 * sum(found) / len(found), 1) if found else 0.0


# --- folders and imports --------------------------------------------------------------------------


def count_files(files: Iterable[str]) -> Numbers:
    """Count the Python files that lie in each folder itself."""
    parents = [PurePosixPath(file).parent.as_posix() for file in files]
    return {f"files in {parent}/": parents.count(parent) for parent in dict.fromkeys(parents)}


def build_graph(trees: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """Which of our modules each one imports, inside functions as well, by their dotted names."""
    known = {name_module(file): tree for file, tree in trees.items()}
    graph: dict[str, set[str]] = {}
    for name, tree in known.items():
        base = name if f"{name.replace('.', '/')}/__init__.py" in trees else parent(name)
        found = {one if one in known else parent(one) for one in find_imports(base, tree)}
        graph[name] = found & set(known) - {name}
    return graph


def name_module(file: str) -> str:
    """Name a module by its file.

    >>> name_module("harness/grid.py"), name_module("harness/grids/__init__.py")
    ('harness.grid', 'harness.grids')
    """
    return file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def parent(name: str) -> str:
    """The package that a module lies in, empty for one that lies in none."""
    return name.rpartition(".")[0]


def find_imports(package: str, tree: ast.Module) -> Iterator[str]:
    """Everything that a module of a package imports, as if each name were a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            place = [*above, *filter(None, [node.module])]
            yield from (".".join([*place, alias.name]) for alias in node.names)


def measure_imports(graph: Graph) -> Numbers:
    """Count the arrows and cycles of an import graph, and its levels in all and in each package."""
    cycles = find_cycles(graph)
    within = [len(graph[name] & cycle) for cycle in cycles for name in cycle]
    return {
        "arrows between modules": sum(map(len, graph.values())),
        "arrows within cycles of modules": sum(within),
        "cycles of modules": len(cycles),
        "cycles of folders": len(find_cycles(join_folders(graph))),
        "levels of imports": count_levels(graph),
        **{
            f"levels in {place.replace('.', '/')}/": count_levels(select(graph, place))
            for place in sorted({parent(name) for name in graph} - {""})
        },
    }


def select(graph: Graph, package: str) -> dict[str, set[str]]:
    """The part of a graph whose modules lie in a package or in those below it."""
    inside = {name for name in graph if f"{name}.".startswith(f"{package}.")}
    return {name: graph[name] & inside for name in inside}


def join_folders(graph: Graph) -> dict[str, set[str]]:
    """The arrows between the folders that modules lie in."""
    found: dict[str, set[str]] = {parent(name): set() for name in graph}
    for name, others in graph.items():
        found[parent(name)] |= {parent(other) for other in others} - {parent(name)}
    return found


def count_levels(graph: Graph) -> int:
    """Count the modules of the longest chain of imports; a cycle is one.

    >>> count_levels({"a": {"b"}, "b": {"c"}, "c": set(), "d": {"c"}})
    3
    """
    found = {name: cycle for cycle in map(frozenset, find_cycles(graph)) for name in cycle}
    group = {name: found.get(name, frozenset({name})) for name in graph}
    below = {to: {group[x] for name in to for x in graph[name]} - {to} for to in group.values()}
    depths: dict[frozenset[str], int] = {}

    def depth(one: frozenset[str]) -> int:
        if one not in depths:
            depths[one] = 1 + max(map(depth, below[one]), default=0)
        return depths[one]

    return max(map(depth, below), default=0)


def find_cycles(graph: Graph) -> list[set[str]]:
    """Find the groups of two or more that reach each other, each as large as can be.

    >>> [sorted(cycle) for cycle in find_cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}})]
    [['b', 'c']]
    """
    reach = {name: find_reached(graph, name) for name in graph}
    groups = {frozenset(one for one in reach[name] if name in reach[one]) for name in graph}
    return [set(group) for group in groups if len(group) > 1]


def find_reached(graph: Graph, start: str) -> set[str]:
    """Find everything to which arrows lead from `start`."""
    found: set[str] = set()
    left = [start]
    while left:
        new = graph[left.pop()] - found
        found |= new
        left.extend(new)
    return found


# --- functions and names --------------------------------------------------------------------------


def measure_functions(trees: list[ast.Module]) -> Numbers:
    """Measure how long functions are, those in others counted too, and what they tell."""
    every = [node for tree in trees for node in ast.walk(tree) if isinstance(node, Function)]
    lengths = [count_body_lines(one) for one in every]
    named = [one for one in every if one.name != "__init__"]
    return {
        "functions": len(every),
        "lines of a body, median": median(lengths),
        "lines of a body, 90th percentile": round(quantiles(lengths, n=10)[-1], 1),
        "lines of a body, most": max(lengths),
        "returns annotated, %": share(one.returns is not None for one in named),
        "public names with a docstring, %": share(
            ast.get_docstring(one) is not None for tree in trees for one in find_public(tree)
        ),
        "function names that are a bare participle": sum(is_participle(one.name) for one in every),
    }


def count_body_lines(function: Function) -> int:
    """Count the lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def find_public(
    node: ast.Module | ast.ClassDef,
) -> Iterator[ast.Module | ast.ClassDef | Function]:
    """Find what needs a docstring: a module or class, and all in it without an underscore."""
    yield node
    for child in node.body:
        if isinstance(child, ast.ClassDef | Function) and not child.name.startswith("_"):
            yield from find_public(child) if isinstance(child, ast.ClassDef) else [child]


def is_participle(name: str) -> bool:
    """Whether a function's name is one participle, where a verb would tell what it does.

    >>> [name for name in ("kept", "_stacked", "keep", "seed", "kept_rows") if is_participle(name)]
    ['kept', '_stacked']
    """
    word = name.strip("_")
    ends = word.endswith("ed") and "_" not in word and word not in NO_PARTICIPLES.split()
    return ends or word in PARTICIPLES.split()


# --- words ----------------------------------------------------------------------------------------


def measure_readme(text: str) -> Numbers:
    """Count the words outside blocks of code, and the columns of the longest line in one."""
    code = [line for block in CODE.findall(text) for line in block.splitlines()]
    return {
        "README, words": len(CODE.sub("", text).split()),
        "README, columns of the longest line of code": max(map(len, code), default=0),
    }


if __name__ == "__main__":
    main()

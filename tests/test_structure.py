"""The shape of the code: floors, cycles, file sizes, the package list, mirrored tests, light imports."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import omniforge

ROOT = Path(omniforge.__file__).parent
FLOORS = {
    "errors": 0,
    "settings": 0,
    "registry": 0,
    "files": 0,
    "search": 1,
    "adapters": 2,
    "store": 2,
    "data": 2,
    "models": 2,
    "estimators": 3,
    "deploy": 3,
    "sidecar": 4,
    "serving": 4,
    "launch": 4,
    "components": 5,
    "pipelines": 6,
    "cli": 8,
    "client": 7,
    "console": 8,
}
PACKAGES = [name for name in FLOORS if (ROOT / name).is_dir()]
MAX_LINES = 600
NO_TEST_OF_ITS_OWN = {"__init__.py", "__main__.py", "env.py", "component.py"}


def sources() -> list[Path]:
    files = [path for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
    return sorted([*files, *(path for path in ROOT.glob("*.py") if path.stem in FLOORS or path.stem == "__init__")])


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(part for part in parts if part != "__init__")


def imports_of(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    """Yield the modules inside the project that a file imports, as dotted paths below the root."""
    tree = ast.parse(path.read_text())
    package = list(path.relative_to(ROOT).parts[:-1])
    nodes = _top_level(tree) if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level <= len(package) + 1, f"{path}:{node.lineno} climbs out of the package"
            base = package[: len(package) - node.level + 1]
            target = [*base, *(node.module.split(".") if node.module else [])]
            if node.module:
                yield ".".join(target)
            for alias in node.names:
                yield ".".join([*target, alias.name])
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "omniforge":
            yield ".".join((node.module or "").split(".")[1:])
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "omniforge":
                    yield ".".join(alias.name.split(".")[1:])


def _top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node


def test_every_package_has_a_floor() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert folders <= set(FLOORS)


def test_imports_run_down_the_floors() -> None:
    """Floor 0 is single modules that may use each other; the cycle test keeps them in order."""
    wrong = []
    for path in sources():
        own = module_name(path).split(".")[0]
        if not own:
            continue
        for target in imports_of(path):
            top = target.split(".")[0]
            allowed = FLOORS.get(top, -1) < FLOORS[own] or (FLOORS[own] == 0 and FLOORS.get(top) == 0)
            if top in FLOORS and top != own and not allowed:
                wrong.append(f"{path.relative_to(ROOT)} imports {target}")
    assert wrong == []


def test_no_import_cycles() -> None:
    names = {module_name(path) for path in sources()}
    graph = {
        module_name(path): {t for t in imports_of(path, top_level_only=True) if t in names and t != module_name(path)}
        for path in sources()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for target in graph[name]:
                if not name.startswith(f"{target}."):  # a package that re-exports its own modules
                    visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_no_bare_import_of_a_top_folder() -> None:
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert (node.module or "").split(".")[0] not in FLOORS, f"{path}:{node.lineno}"
            if isinstance(node, ast.Import):
                assert not {alias.name.split(".")[0] for alias in node.names} & set(FLOORS), f"{path}:{node.lineno}"


@pytest.mark.parametrize("folder", [*PACKAGES, "tests", "benchmarks", "examples"])
def test_no_file_is_over_the_cap(folder: str) -> None:
    long = {str(p.relative_to(ROOT)): n for p in (ROOT / folder).rglob("*.py") if (n := _lines(p)) > MAX_LINES}
    assert long == {}


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_the_package_list_is_complete() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        f"omniforge.{'.'.join(p.parent.relative_to(ROOT).parts)}"
        for n in PACKAGES
        for p in (ROOT / n).rglob("__init__.py")
    }
    assert sorted(listed) == sorted({"omniforge", *found})


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert [str(f.relative_to(ROOT)) for f in sorted(folders) if not (f / "__init__.py").exists()] == []


def test_tests_mirror_the_source() -> None:
    missing = []
    for path in sources():
        relative = path.relative_to(ROOT)
        if path.name in NO_TEST_OF_ITS_OWN or "versions" in relative.parts:
            continue
        expected = ROOT / "tests" / relative.parent / f"test_{path.name}"
        beside = ROOT / "tests" / relative.parent.parent / f"test_{relative.parent.name}.py"
        if not expected.exists() and not beside.exists():
            missing.append(str(expected.relative_to(ROOT)))
    assert missing == []


def test_every_module_says_what_it_is() -> None:
    assert [str(p.relative_to(ROOT)) for p in sources() if not ast.get_docstring(ast.parse(p.read_text()))] == []


@pytest.mark.parametrize(
    "module",
    ["omniforge", "omniforge.search", "omniforge.adapters", "omniforge.adapters.katib", "omniforge.store",
     "omniforge.data", "omniforge.models", "omniforge.estimators", "omniforge.estimators.sdk",
     "omniforge.deploy", "omniforge.launch", "omniforge.sidecar", "omniforge.pipelines", "omniforge.client", "omniforge.cli"],
)  # fmt: skip
def test_imports_are_light(module: str) -> None:
    heavy = "torch mlflow kfp botorch sklearn onnxruntime lightgbm pandas plotly"
    code = f"import sys, {module}; print([m for m in {heavy.split()!r} if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"

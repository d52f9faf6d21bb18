"""The source of a user's own parts, which changes results as settings do.

A part is the user's own where the module of its `_target_` belongs neither to normexp nor to an
installed package: it lies in the current folder, or elsewhere on the path. Nothing is imported:
modules are found, and their imports are read.
"""

import ast
import hashlib
import struct
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import cache_from_source
from pathlib import Path

from normexp.errors import UserError

PACKAGE = "normexp"
_called: dict[Path, bytes] = {}
"""By the file of a user's own module, its digest when a part that imports it was called."""
MOST = 2**32 - 1
WEIGHTS = "model.weights"
"""The key of the digest of a file of weights."""


def own_source(settings: object) -> dict[str, str]:
    """Return a digest by module, for each module of the user's own that `settings` name.

    The digest covers the module's file and what it imports from the same folder, also indirectly.
    The file of `model.weights`, where there is one, has a digest too. Raises UserError where a part
    is of a session or script itself, `__main__`, and has no file of its own.
    """
    if own := [each for each in targets(settings) if each.startswith("__main__.")]:
        raise UserError(
            f"_target_={own[0]}: a part must lie in a file, such as mynorms.py, to be recorded; "
            f"mynorms.{own[0].rpartition('.')[2]} is then the part"
        )
    files = {
        name: file
        for target in targets(settings)
        if (name := target.rpartition(".")[0]) and (file := own_file(name))
    }
    digests = {name: _digest(files[name]) for name in sorted(files)}
    model = settings.get("model") if isinstance(settings, Mapping) else None
    weights = Path(str(model.get("weights") if isinstance(model, Mapping) else None)).expanduser()
    if weights.is_file():
        with weights.open("rb") as content:
            digests[WEIGHTS] = hashlib.file_digest(content, "sha256").hexdigest()[:8]
    return digests


def targets(node: object) -> Iterator[str]:
    """Yield every `_target_` in nested settings."""
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        node = list(node.values())
    if isinstance(node, list | tuple):
        for each in node:
            yield from targets(each)


def search_own(settings: object) -> None:
    """Let modules in the current folder be imported, where `settings` name one of the user's own.

    They come behind all others: a `statistics.py` there is not the standard library's. Raises
    UserError where one has changed since this process imported it, and would be called as it was.
    """
    folder = str(Path.cwd())
    names = {target.rpartition(".")[0] for target in targets(settings)}
    files = {file for name in names if (file := own_file(name))}
    if not files:
        return
    if folder not in sys.path:
        sys.path.append(folder)
    # What they say of themselves: some modules import others where an attribute is asked for.
    # A script that runs is no import: a part in it is called from a second, imported module.
    script = sys.modules["__main__"]  # multiprocessing has a second name for it
    others = [module for module in list(sys.modules.values()) if module is not script]
    imported = {getattr(module, "__dict__", {}).get("__file__") for module in others}
    for each in sorted({each for file in files for each in _covered(file)}):
        digest = hashlib.sha256(each.read_bytes()).digest()
        is_first = each not in _called
        has_changed = _is_older_compiled(each) if is_first else _called[each] != digest
        if has_changed and str(each) in imported:
            raise UserError(
                f"{each.name} has changed since this process imported it: start Python again"
            )
        _called[each] = digest


def _is_older_compiled(file: Path) -> bool:
    """Whether what Python keeps of a module, compiled, is of another state of its file."""
    if sys.dont_write_bytecode:
        return False
    try:
        header = Path(cache_from_source(str(file))).read_bytes()[:16]
    except OSError:
        return False
    found, stat = struct.unpack("<4xIII", header), file.stat()
    kept_by_time = found[0] == 0  # else by a digest (PEP 552)
    return kept_by_time and found[1:] != (int(stat.st_mtime) & MOST, stat.st_size & MOST)


def own_file(module: str) -> Path | None:
    """Return the file of a module of the user's own, or None where it is none or is not found."""
    found, places, file = "", None, None
    package = module.partition(".")[0]
    if package == PACKAGE or _comes_before(package):
        return None
    for word in module.split("."):
        found = f"{found}.{word}".lstrip(".")
        spec = PathFinder.find_spec(found, places or [*sys.path, str(Path.cwd())])
        if spec is None:  # a class within a module
            break
        if spec.origin is not None and spec.origin.endswith(".py"):
            file = Path(spec.origin)
        places = spec.submodule_search_locations
        if places is None:
            break
    return None if file is None or _is_installed(file) else file


def _is_installed(file: Path) -> bool:
    paths = sysconfig.get_paths()
    installed = {
        Path(paths[key]).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib")
    }
    return not installed.isdisjoint(file.resolve().parents)


@cache
def _comes_before(name: str) -> bool:
    """Whether `import name` finds the standard library's or an installed package's, not a file."""
    if name in sys.stdlib_module_names:
        return True
    spec = PathFinder.find_spec(name)
    return spec is not None and spec.origin is not None and _is_installed(Path(spec.origin))


def _covered(file: Path) -> set[Path]:
    """Return a file and what it imports from its folder, also indirectly."""
    files, waiting = {file}, [file]
    while waiting:
        new = set(_imported(waiting.pop())) - files
        files |= new
        waiting += new
    return files


def _digest(file: Path) -> str:
    """Return eight hexadecimal digits of a file and of what it imports from its folder."""
    text = hashlib.sha256()
    for each in sorted(_covered(file)):
        text.update(each.name.encode() + b"\0" + each.read_bytes() + b"\0")
    return text.hexdigest()[:8]


def _imported(file: Path) -> Iterator[Path]:
    """Yield the files of the same folder, or of folders in it, that `file` imports."""
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError:  # importing it will say so
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module or ''}.{a.name}" for a in node.names)]
        else:
            continue
        is_relative = isinstance(node, ast.ImportFrom) and node.level > 0
        for name in names:
            if not is_relative and _comes_before(name.partition(".")[0]):
                continue
            # `from mypackage.other import x` within mypackage names a file beside it.
            words = [word for word in name.split(".") if word and word != file.parent.name]
            beside = file.parent.joinpath(*words)
            for each in (beside.with_suffix(".py"), beside / "__init__.py"):
                if words and each.is_file():
                    yield each

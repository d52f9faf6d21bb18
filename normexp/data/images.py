"""Images of the user's own, in class folders; decoded once, then read from a cache."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from normexp.contracts import DataSource
from normexp.data.decoding import digest_of
from normexp.data.image_cache import ImageCache
from normexp.data.stacking import stacked
from normexp.errors import UserError
from normexp.runs.names import composed
from normexp.runs.tree import ImageFile, ImageTree, image_root, tree_of

Classes = dict[str, list[ImageFile]]


def images(
    root: str, cache_dir: str, content: str, convert: bool, resize: int | None
) -> DataSource:
    """Return the images below `root`/train/<class>/ and `root`/test/<class>/.

    `root`/val/<class>/ has the validation images where there is one, or the test images where there
    is no test/. `content` is the digest of the tree when the run was named (`normexp.runs.tree`).
    Without `convert`, images that are not RGB are refused; `resize` makes all of one size
    (`normexp.data.decoding`). Raises UserError that names the files or the folder that cannot be
    used.
    """
    folder = image_root(root)
    tree = tree_of(folder)
    if tree.digest != content:
        raise UserError(
            f"the images below {folder} have changed since the run got its name; type the command "
            "again"
        )
    sets = _sets(folder, tree)
    files = [file for classes in sets.values() for group in classes.values() for file in group]
    cache = ImageCache(Path(cache_dir).expanduser(), folder, content, f"{convert} {resize}")
    source = cache.find(tree.state, partial(_digest, folder, files))
    if source is None:
        source, contents = stacked(folder, sets, convert=convert, resize=resize)
        source = cache.keep(source, tree.state, _combined(files, contents))
    notes = (*_suffixes(files), *tree.left_out.lines(), *_roles(tree, source), *source.notes)
    return replace(source, notes=notes)


def _sets(folder: Path, tree: ImageTree) -> dict[str, Classes]:
    """Return the files by class for training, test and, where it is given, validation."""
    test = "test" if "test" in tree.files else "val"
    for name in ("train", test):
        if name not in tree.files:
            missing = "train" if name == "train" else "test"
            raise UserError(
                f"there is no folder {folder / missing}; data=images needs <root>/train/<class>/ "
                "and <root>/test/<class>/"
            )
    names = {"train": "train", "test": test} | ({"val": "val"} if len(tree.files) == 3 else {})
    sets = {role: tree.files[name] for role, name in names.items()}
    for role, classes in sets.items():
        if set(classes) != set(sets["train"]):
            differing = sorted(set(classes) ^ set(sets["train"]))
            hint = "; without test/, val/ has the test images" if len(tree.files) == 3 else ""
            raise UserError(
                f"{folder}: train/ and {names[role]}/ have different class folders: "
                f"{', '.join(differing)}{hint * (role == 'test')}"
            )
        for name, group in classes.items():
            if not group:
                raise UserError(
                    f"{folder / names[role] / name} has no image; add some, or remove the folder"
                )
    if len(sets["train"]) < 2:
        raise UserError(
            f"{folder / 'train'} has {len(sets['train'])} class folders; at least two are needed"
        )
    return sets


def _suffixes(files: list[ImageFile]) -> list[str]:
    """Return a line where the images are of several kinds, as classes may differ in it."""
    counts = Counter(file.path.rpartition(".")[2].lower() for file in files)
    kinds = ", ".join(f"{number:,} .{suffix}" for suffix, number in counts.most_common())
    return [f"images by suffix: {kinds}"] if len(counts) > 1 else []


def _roles(tree: ImageTree, source: DataSource) -> list[str]:
    if "val" not in tree.files:
        return []
    if source.val is None:
        return [f"there is no test/: the {len(source.test):,} images of val/ are the test images"]
    return [
        f"the {len(source.val):,} images of val/ are for validation, and no others are held out"
    ]


def _digest(folder: Path, files: list[ImageFile]) -> str:
    """Return the digest of all files; raises OSError where one cannot be read."""
    with ThreadPoolExecutor() as pool:
        contents = pool.map(lambda file: digest_of((folder / file.path).read_bytes()), files)
        return _combined(files, contents)


def _combined(files: list[ImageFile], contents: Iterable[bytes]) -> str:
    combined = hashlib.sha256()
    for file, content in zip(files, contents, strict=True):
        combined.update(composed(file.path).encode("utf-8", "surrogateescape") + b"\0" + content)
    return combined.hexdigest()[:16]

"""A damaged file of the compiled functions is never loaded: it would end the process by SIGBUS."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.needs import needs_compiler
from helpers.typed import link_kernels

from normexp.kernels import compiled

from .size import chance, size


def damages(content: bytes, number: int) -> Iterator[tuple[str, bytes]]:
    """Half of them are cuts, at places over all of it; half are single bits."""
    places = chance(number)
    for part in range(number // 2):
        length = len(content) * part // (number // 2)
        yield f"cut to {length} bytes", content[:length]
        place, bit = places.randrange(len(content)), places.randrange(8)
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        yield f"bit {bit} of byte {place}", bytes(flipped)


@needs_compiler
def test_no_damage_of_the_file_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORMEXP_CACHE", str(tmp_path))
    link_kernels(tmp_path)
    compiled.found.cache_clear()
    library = compiled.library()
    if library is None:
        pytest.skip(compiled.problem())
    file = Path(library._name)  # others may be of other sources
    content = file.read_bytes()
    number = size(10, 200)
    with monkeypatch.context() as without:
        without.setenv("PATH", "")  # or it would be compiled anew, each time
        for what, damaged in damages(content, number):
            file.unlink()
            file.write_bytes(damaged)
            file.chmod(0o600)
            compiled.found.cache_clear()
            assert compiled.library() is None, what
            assert "compiler" in compiled.problem()
    file.write_bytes(content)
    compiled.found.cache_clear()
    assert compiled.library() is not None
    print(f"{number} damages")

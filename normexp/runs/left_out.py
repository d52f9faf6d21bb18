"""What a folder of images holds besides them."""

from collections import Counter
from dataclasses import dataclass, field

from normexp.runs.names import readable, several


@dataclass
class LeftOut:
    """What lies among the images and is none."""

    suffixes: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)  # links to nowhere, or no files
    loops: list[str] = field(default_factory=list)  # paths of links to a folder that they lie in
    without_class: list[str] = field(default_factory=list)  # images in no class folder

    def lines(self) -> list[str]:
        suffixes = ", ".join(
            f"{number} {suffix}" for suffix, number in sorted(self.suffixes.items())
        )
        return [
            *([f"left out, no images by their suffix: {suffixes}"] if suffixes else []),
            *_counted("left out, links that lead nowhere or no files", self.unreadable),
            *_counted("left out, links to a folder that they lie in", self.loops),
            *_counted("warning: left out, images outside of class folders", self.without_class),
        ]


def _counted(what: str, names: list[str]) -> list[str]:
    return [f"{what}: {len(names)} ({several([readable(n) for n in names])})"] if names else []

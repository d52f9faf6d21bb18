"""Tables as LaTeX, for a paper."""

import re
from collections.abc import Iterable, Sequence

from normexp.analysis.render.document import Table
from normexp.errors import visible

TEX = {
    **{character: rf"\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "–": "--",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "…": r"\ldots{}",
    "<": "$<$",
    ">": "$>$",
    "“": "``",
    "”": "''",
}
SPECIAL = re.compile("|".join(map(re.escape, TEX)))
TABLE = r"""\begin{table}
\caption{%s}
\label{tab:%s}
\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%%
\begin{tabular}{%s}
\toprule
%s
\midrule
%s
\bottomrule
\end{tabular}}
\end{table}
"""


def latex(tables: Iterable[Table]) -> str:
    """Return tables that need the packages booktabs and graphicx."""
    return "% \\usepackage{booktabs,graphicx}\n" + "\n".join(map(_table, tables))


def _table(table: Table) -> str:
    rows = [
        [
            rf"\textbf{{{_tex(cell)}}}" if (i, j) in table.bold else _tex(cell)
            for j, cell in enumerate(row)
        ]
        for i, row in enumerate(table.rows)
    ]
    head, *lines = map(_row, ([*map(_tex, table.head)], *rows))
    columns = "l" * len(table.head)
    return TABLE % (_tex(table.caption), table.name, columns, head, "\n".join(lines))


def _row(line: Sequence[str]) -> str:
    text = " & ".join(line) + r" \\"
    # Behind the end of a row, a bracket or a star would belong to it.
    return "{}" + text if text.startswith(("[", "*")) else text


def _tex(text: str) -> str:
    return SPECIAL.sub(lambda match: TEX[match[0]], visible(text))

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
    "<": "$<$",
    ">": "$>$",
    "“": "``",
    "”": "''",
}
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
    head, *rows = [_row(line) for line in (table.head, *table.rows)]
    columns = "l" * len(table.head)
    return TABLE % (_tex(table.caption), table.name, columns, head, "\n".join(rows))


def _row(line: Sequence[str]) -> str:
    text = " & ".join(map(_tex, line)) + r" \\"
    # Behind the end of a row, a bracket or a star would belong to it.
    return "{}" + text if text.startswith(("[", "*")) else text


def _tex(text: str) -> str:
    return re.sub("|".join(map(re.escape, TEX)), lambda match: TEX[match[0]], visible(text))

"""Rendering the report page, and reading its data back.

The one rule: the page is one file without scripts or links to elsewhere; its data is in it as JSON too, for
`pytest-vcluster report` and for other programs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from pytest_vcluster.report import Row
from pytest_vcluster.summary import spell, summary_lines

_OPEN = '<script type="application/json" id="data">'
_CLOSE = "</script>"
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8884; padding: .35rem .6rem; text-align: left; vertical-align: top; }
td.test { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
td.number { text-align: right; white-space: nowrap; }
.passed { color: #188038; } .failed, .error { color: #c5221f; font-weight: 600; } .skipped { color: #b06000; }
"""


def write_page(path: Path, rows: Sequence[Row], totals: Mapping[str, Any]) -> None:
    """Write the page of a run; links to evidence are relative, so that both can be moved together."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_page(rows, totals, base=path.parent), encoding="utf-8")


def render_page(rows: Sequence[Row], totals: Mapping[str, Any], *, base: Path) -> str:
    """The page, with links to evidence as seen from the folder `base`."""
    data = json.dumps({"rows": [row.to_json() for row in rows], "totals": dict(totals)}).replace("<", "\\u003c")
    lines = "".join(f"<li>{escape(line)}</li>" for line in summary_lines(totals))
    body = "".join(line for row in rows for line in _table_rows(row, base=base))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>pytest-vcluster</title>'
        f"<style>{_STYLE}</style></head><body><h1>Tests and their clusters</h1><ul>{lines}</ul>"
        "<table><thead><tr><th>Test</th><th>Outcome</th><th>Version</th><th>Cluster</th>"
        f"<th>Time to pristine</th><th>Evidence</th></tr></thead><tbody>{body}</tbody></table>"
        f"{_OPEN}{data}{_CLOSE}</body></html>\n"
    )


def read_page(path: Path) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, Any]]:
    """Rows and totals of a page; raises ValueError when the file is none."""
    text = path.read_text(encoding="utf-8")
    data, end, _ = text.partition(_OPEN)[2].partition(_CLOSE)
    if not end:
        message = f"{path} is no report of pytest-vcluster"
        raise ValueError(message)
    document = json.loads(data)
    return document["rows"], document["totals"]


def _table_rows(row: Row, *, base: Path) -> Iterator[str]:
    for cluster in row.clusters:
        evidence = cluster["evidence"]
        link = f'<a href="{escape(os.path.relpath(evidence, base))}">evidence</a>' if evidence else ""
        yield (
            f'<tr><td class="test">{escape(row.test)}</td><td class="{escape(row.outcome)}">{escape(row.outcome)}</td>'
            f"<td>{escape(cluster['version'])}</td><td>{escape(cluster['cluster'])}</td>"
            f'<td class="number">{spell(cluster["waited"])}</td><td>{link}</td></tr>'
        )

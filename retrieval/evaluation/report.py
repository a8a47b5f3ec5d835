"""The finding of an evaluation as one HTML page: a table, bars and curves in SVG; it loads nothing and runs nothing."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

MEASURES = {
    "ndcg@10": "nDCG@10",
    "mrr": "MRR",
    "recall@1": "recall@1",
    "recall@5": "recall@5",
    "recall@10": "recall@10",
}
COLOURS = ("#4477aa", "#66ccee", "#228833", "#ee6677", "#aa3377")
"""Paul Tol's bright scheme, which people who see few colours can tell apart."""
WIDTH, LEFT, TOP, BAR, GAP = 760, 150, 30, 18, 10
CURVE_HEIGHT, PLACES = 260, 20
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0 }
td, th { padding: .25rem .8rem; border-bottom: 1px solid #ddd; text-align: right }
td:first-child, th:first-child { text-align: left }
td.best { font-weight: 700 }
svg { max-width: 100%; height: auto }
"""


def page(found: Mapping[str, Any]) -> str:
    """A whole document of what `serving.evaluation` found (its JSON)."""
    rows = found["rankers"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>Retrieval quality</title><style>{STYLE}</style><h1>Retrieval quality</h1>",
        f"<p>{html.escape(summary(found))}</p>",
        table(rows),
        "<h2>nDCG@10</h2>",
        bars([(row["name"], row["ndcg@10"]) for row in rows]),
        "<h2>Questions answered within the first places</h2>",
        curves([(row["name"], row["answered_within"]) for row in rows]),
        "<h2>Place of the first answer, by question</h2>",
        questions(found["questions"], [row["name"] for row in rows]),
    ]
    return "\n".join(parts)


def summary(found: Mapping[str, Any]) -> str:
    """What was measured, in one line."""
    return (
        f"{found['answerable']} questions on {found['documents']} documents in {found['chunks']} chunks "
        f"({found['max_tokens']} tokens, {found['overlap_tokens']} of them shared); embedder {found['embedder']}, "
        f"reranker {found['reranker'] or 'none'}."
    )


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rankers by measures; the best of each stands out."""
    best = {key: max(row[key] for row in rows) for key in MEASURES}
    head = "".join(f"<th>{title}</th>" for title in ("ranker", *MEASURES.values(), "ms per question"))
    body = "".join(
        f"<tr><td>{html.escape(row['name'])}</td>"
        + "".join(f"<td{' class=best' if row[key] == best[key] else ''}>{row[key]:.3f}</td>" for key in MEASURES)
        + f"<td>{row['ms']:.1f}</td></tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def bars(values: Sequence[tuple[str, float]]) -> str:
    """Values from 0 to 1 as horizontal bars."""
    height = TOP + len(values) * (BAR + GAP)
    room = WIDTH - LEFT - 60
    drawn = []
    for place, (name, value) in enumerate(values):
        y = TOP / 2 + place * (BAR + GAP)
        text = f"<text x={LEFT - 8} y={y + 14:g} text-anchor=end>{html.escape(name)}</text>"
        bar = f"<rect x={LEFT} y={y:g} width={room * value:.1f} height={BAR} fill='{_colour(place)}'></rect>"
        drawn.append(f"{text}{bar}<text x={LEFT + room * value + 6:.1f} y={y + 14:g}>{value:.3f}</text>")
    return _svg(height, "nDCG@10 of each ranker", drawn)


def curves(values: Sequence[tuple[str, Sequence[float]]]) -> str:
    """For each name its values at places 1, 2, ... up to PLACES, as lines over one grid."""
    width, height = WIDTH - LEFT - 60, CURVE_HEIGHT
    drawn = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = TOP + height * (1 - share)
        line = f"<line x1={LEFT} x2={LEFT + width} y1={y:g} y2={y:g} stroke='#ddd'></line>"
        drawn.append(f"{line}<text x={LEFT - 8} y={y + 5:g} text-anchor=end>{share:.0%}</text>")
    drawn += [
        f"<text x={_x(place, width):.1f} y={TOP + height + 20} text-anchor=middle>{place}</text>"
        for place in (1, 5, 10, 15, 20)
    ]
    for number, (name, points) in enumerate(values):
        path = " ".join(
            f"{_x(place, width):.1f},{TOP + height * (1 - value):.1f}" for place, value in enumerate(points[:PLACES], 1)
        )
        drawn.append(f"<polyline points='{path}' fill=none stroke-width=2.5 stroke='{_colour(number)}'></polyline>")
        y = TOP + height + 44 + 20 * number
        drawn.append(f"<rect x={LEFT} y={y - 11} width=14 height=14 fill='{_colour(number)}'></rect>")
        drawn.append(f"<text x={LEFT + 22} y={y + 1}>{html.escape(name)}</text>")
    return _svg(TOP + height + 44 + 20 * len(values), "Share of questions answered within so many places", drawn)


def questions(asked: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Each question with the place of its first answer by each ranker; a dash where none was found."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ("question", *names))
    body = "".join(
        f"<tr><td>{html.escape(each['question'])}</td>"
        + "".join(f"<td>{each['places'].get(name) or '-'}</td>" for name in names)
        + "</tr>"
        for each in asked
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _svg(height: float, title: str, drawn: Sequence[str]) -> str:
    inside = "".join(drawn)
    return (
        f"<svg viewBox='0 0 {WIDTH} {height:g}' width={WIDTH} height={height:g} role=img font-size=14>"
        f"<title>{html.escape(title)}</title>{inside}</svg>"
    )


def _x(place: int, width: float) -> float:
    return LEFT + width * (place - 1) / (PLACES - 1)


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]

"""Charts as SVG, drawn here, each with the sentence that says what the picture says."""

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

WIDTH: Final = 300
HEIGHT: Final = 48
GAP: Final = 0.3


def bars(values: Sequence[int], label: str) -> Markup:
    """One bar for each value; `label` is the text alternative."""
    step = WIDTH / max(len(values), 1)
    most = max(values, default=0) or 1
    shapes = Markup("").join(
        Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
            number * step, HEIGHT - tall, step * (1 - GAP), tall
        )
        for number, value in enumerate(values)
        if (tall := max(HEIGHT * value / most, 2 if value else 0))
    )
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}" preserveAspectRatio="none">'
        '<line x1="0" y1="{}" x2="{}" y2="{}"/>{}</svg>'
    ).format(WIDTH, HEIGHT, label, HEIGHT, WIDTH, HEIGHT, shapes)

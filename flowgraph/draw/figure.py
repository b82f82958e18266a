"""A scene as svg, png or pdf, by matplotlib.

Uses matplotlib's Figure, never pyplot: no state, no display. Promises the same bytes for the same scene
(no dates, salted ids that do not change), the page's size in points (an svg or pdf of 1:1), and texts that
are
letters in pdf and outlines in svg, so that they look the same everywhere.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from .measure import font_folder, measure
from .scene import Arrow, Scene, Text
from .theme import Style, Theme

if TYPE_CHECKING:
    from .drawing import Drawing

DPI = 200
"""Of a png, unless told otherwise: a picture of 500 points is 1389 pixels wide."""
LARGEST = 30000
"""Pixels of a png's longer side: matplotlib holds no larger one."""
SETTINGS: Any = {
    "svg.hashsalt": "flowgraph",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "pdf.compression": 6,
    "text.usetex": False,
    "path.simplify": False,
    "font.family": ["DejaVu Sans"],
}


def svg(drawing: Drawing) -> bytes:
    """The drawing as svg."""
    return render(drawing.scene, drawing.theme, "svg")


def png(drawing: Drawing) -> bytes:
    """The drawing as png."""
    return render(drawing.scene, drawing.theme, "png")


def pdf(drawing: Drawing) -> bytes:
    """The drawing as pdf."""
    return render(drawing.scene, drawing.theme, "pdf")


def render(scene: Scene, theme: Theme, format: str, *, dpi: float = DPI) -> bytes:
    """The file. format: svg, png or pdf. dpi: of a png; less where it would be too large."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(scene.width / 72, scene.height / 72), dpi=72, facecolor=theme.page)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, scene.width)
        axes.set_ylim(scene.height, 0)
        _draw(axes, scene, theme, format)
        out = io.BytesIO()
        title = scene.picture.doc or scene.picture.name
        metadata: Any = {
            "svg": {"Date": None, "Title": title},
            "pdf": {"CreationDate": None, "Title": title},
            "png": {"Software": None},
        }
        dpi = min(dpi, LARGEST / max(scene.width, scene.height) * 72)
        figure.savefig(out, format=format, dpi=dpi, metadata=metadata[format], facecolor=theme.page)
    return out.getvalue()


def _draw(axes: Any, scene: Scene, theme: Theme, format: str) -> None:
    from matplotlib.patches import Circle, FancyBboxPatch

    for panel in scene.frames:
        _box(axes, FancyBboxPatch, panel.rect, panel.corner, theme[panel.role], 1 + panel.depth / 100)
    for arrow in scene.arrows:
        _arrow(axes, arrow, theme)
    for circle in scene.circles:
        style = theme[circle.role]
        axes.add_patch(
            Circle((circle.x, circle.y), circle.radius, facecolor=style.fill, zorder=4, **_line(style))
        )
    for box in scene.boxes:
        if theme[box.role].stroke != "none":
            _box(axes, FancyBboxPatch, box.rect, box.corner, theme[box.role], 4)
    for curve in scene.curves:
        xs, ys = zip(*curve.points, strict=True)
        style = theme[curve.role]
        axes.plot(
            xs, ys, color=style.stroke, linewidth=curve.width, solid_capstyle="round",
            solid_joinstyle="round", zorder=5 if curve.role == "axis" else 5.5,
        )  # fmt: skip
    for text in scene.texts:
        _text(axes, text, theme, format)


def _line(style: Style) -> dict[str, Any]:
    dash = (0, style.dash) if style.dash else "solid"
    return {"edgecolor": style.stroke, "linewidth": style.width, "linestyle": dash}


def _box(axes: Any, patch: Any, rect: Any, corner: float, style: Style, zorder: float) -> None:
    rounded = f"round,pad=0,rounding_size={corner}"
    axes.add_patch(
        patch((rect.x0, rect.y0), rect.width, rect.height, boxstyle=rounded, facecolor=style.fill,
              zorder=zorder, mutation_aspect=1, **_line(style))
    )  # fmt: skip


def _arrow(axes: Any, arrow: Arrow, theme: Theme) -> None:
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path

    style = theme[arrow.role]
    codes = [Path.MOVETO] + [Path.CURVE4] * (len(arrow.points) - 1)
    dash = (0, tuple(d / max(arrow.width, 1.0) * 1.0 for d in style.dash)) if style.dash else "solid"
    alpha = arrow.strength
    axes.add_patch(
        PathPatch(Path(arrow.points, codes), facecolor="none", edgecolor=style.stroke, linewidth=arrow.width,
                  linestyle=dash, alpha=alpha, capstyle="butt", zorder=2)
    )  # fmt: skip
    if arrow.head:
        axes.add_patch(
            Polygon(
                arrow.head, closed=True, facecolor=style.stroke, edgecolor="none", alpha=alpha, zorder=2.5
            )
        )


def _text(axes: Any, text: Text, theme: Theme, format: str) -> None:
    """Each piece of one font by itself, at the place that was measured for it.

    In a png letters are outlines too: as bitmaps they would stand on whole pixels.
    """
    from matplotlib import patheffects
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    color = theme[text.role].stroke
    rim = [patheffects.Stroke(linewidth=2.6, foreground=theme.page)] if text.halo else []
    pieces = measure(text.tex, text.size).pieces
    # The rim of all pieces lies below the letters of all.
    for piece, effects in [*((p, rim) for p in pieces if rim), *((p, []) for p in pieces)]:
        font = FontProperties(fname=f"{font_folder()}/{piece.file}", size=piece.size)
        x, y = text.x + piece.dx, text.y + piece.dy
        drawn: Any
        if format == "png":
            outline = TextPath((0, 0), piece.text, prop=font, usetex=False)
            path = outline.transformed(Affine2D().scale(1, -1).translate(x, y))
            drawn = PathPatch(path, facecolor=color, edgecolor="none", linewidth=0, zorder=7)
            axes.add_patch(drawn)
        else:
            drawn = axes.text(x, y, piece.text, fontproperties=font, color=color, ha="left", va="baseline",
                              zorder=7, parse_math=False)  # fmt: skip
        drawn.set_path_effects(effects)

"""A model, its report, and a bound of it, as objects."""

from draw import BLUE, DARK, ORANGE, PURPLE

SIZE = (7.2, 2.3)
BOXES = (  # left, width, title, lines, colour
    (0.1, 1.55, "model", ("fit(X, y)", "quantized(bound)", "stochastic(bound)"), BLUE),
    (2.85, 1.6, "report", ("tightest", "summary()", "to_frame()", "with_bound(bound)"), PURPLE),
    (5.5, 1.6, "bound", ("value, delta", "guess, informative", "terms", "assumptions"), ORANGE),
)
ARROWS = ((1.65, 2.85, "generalization_\nreport(X, y)"), (4.45, 5.5, 'report\n["occam"]'))


def draw(figure):
    ax = figure.subplots()
    ax.set(xlim=(0, SIZE[0]), ylim=(0, SIZE[1]))
    ax.axis("off")
    for left, width, title, lines, colour in BOXES:
        ax.fill_between([left, left + width], 0.2, 2.1, color=colour, alpha=0.12, lw=0)
        ax.plot([left, left], [0.2, 2.1], color=colour, lw=3)
        ax.text(left + 0.12, 1.87, title, weight="bold", color=colour, va="center", size=11)
        for row, line in enumerate(lines):
            ax.text(left + 0.12, 1.5 - 0.32 * row, line, family="monospace", size=8.5, color=DARK, va="center")
    for start, end, text in ARROWS:
        ax.annotate("", (end - 0.05, 1.15), (start + 0.05, 1.15), arrowprops={"arrowstyle": "->", "lw": 1.2})
        ax.text((start + end) / 2, 1.25, text, family="monospace", size=7.5, ha="center", va="bottom", color=DARK)

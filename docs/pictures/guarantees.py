"""Which guarantee: what each of the four is about."""

from draw import BLUE, DARK, GREEN, ORANGE, PURPLE

SIZE = (7.2, 2.6)
ROWS = (
    ("worst case", "certify", "the forecast under every input error of up to eps", 0.9, BLUE),
    ("random noise", "noise_interval", "the forecast under random noise on the inputs", 0.45, GREEN),
    ("prediction interval", "prediction_interval", "the value that will be measured", 1.6, ORANGE),
    ("generalisation bound", "generalization_report", "the average error on new data", None, PURPLE),
)


def draw(figure):
    ax = figure.add_subplot()
    ax.axvline(0, ymin=0.3, color=DARK, lw=1)
    ax.text(0.05, 0.4, "the forecast", ha="left", va="top", style="italic")
    for place, (name, function, about, half, colour) in enumerate(reversed(ROWS), start=0):
        if half is None:
            ax.text(0, place, "one number for all forecasts", ha="center", va="center", color=colour, weight="bold")
        else:
            ax.plot([-half, half], [place, place], color=colour, lw=9, solid_capstyle="butt", alpha=0.8)
        ax.text(-4.6, place, name, va="center", weight="bold", color=colour)
        ax.text(2.0, place + 0.13, function, va="center", family="monospace", size=9)
        ax.text(2.0, place - 0.2, about, va="center", size=9)
    ax.set(xlim=(-4.6, 6.3), ylim=(-0.6, 3.5))
    ax.axis("off")

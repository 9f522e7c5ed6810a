"""Folds of a time series, with a gap."""

from draw import BLUE, DARK, ORANGE, QUIET, YELLOW

SIZE = (7.2, 2.5)


def draw(figure):
    ax = figure.add_subplot()
    for fold in range(3):
        y, train = 2 - fold, 30 + 20 * fold
        ax.barh(y, train, color=BLUE, alpha=0.8, height=0.55)
        ax.barh(y, 6, left=train, color="white", edgecolor=YELLOW, hatch="////", height=0.55)
        ax.barh(y, 18, left=train + 6, color=ORANGE, alpha=0.85, height=0.55)
        ax.text(-1.5, y, f"fold {fold + 1}", ha="right", va="center")
    ax.text(15, 2, "training windows", ha="center", va="center", color="white", weight="bold", size=9)
    ax.text(45, 2, "test windows", ha="center", va="center", color="white", weight="bold", size=9)
    ax.annotate(
        "gap: these windows share time steps\nwith training or test windows, and are left out",
        (33, 2.28),
        (38, 3.05),
        va="center",
        size=9,
        color=DARK,
        arrowprops={"arrowstyle": "-|>", "color": QUIET, "relpos": (0, 0.5)},
    )
    ax.set(xlim=(-10, 100), ylim=(-0.5, 3.5), xlabel="time", xticks=[], yticks=[])
    ax.spines["left"].set_visible(False)

"""Checkpoints: what a search does after a power cut."""

from draw import BLUE, GREEN, ORANGE, QUIET

SIZE = (7.2, 2.7)
CUT, AGAIN = 10, 12.5
#: Fits as (name, start, end in the first run, last stored epoch in it)
FITS = (("fit 1", 0, 6, 6), ("fit 2", 0, 7, 7), ("fit 3", 6, CUT, 8), ("fit 4", 7, CUT, 9))


def draw(figure):
    ax = figure.add_subplot()
    for place, (name, start, end, stored) in enumerate(reversed(FITS)):
        ax.text(-0.3, place, name, ha="right", va="center")
        ax.barh(place, stored - start, left=start, height=0.5, color=BLUE)
        ax.barh(place, end - stored, left=stored, height=0.5, color=BLUE, alpha=0.25)
        if end < CUT:
            ax.barh(place, 0.15, left=AGAIN, height=0.5, color=GREEN)
            ax.text(AGAIN + 0.35, place, "taken over from the folder", va="center", color=GREEN)
        else:
            left = start + 6.5 - stored
            ax.barh(place, left, left=AGAIN, height=0.5, color=BLUE)
            ax.text(AGAIN + left + 0.2, place, "continued from the last state", va="center", color=BLUE)
    ax.axvline(CUT, ymax=0.86, color=ORANGE, lw=2)
    ax.axvline(AGAIN, ymax=0.86, color=QUIET, ls=":")
    ax.text(CUT, 3.6, "power cut", ha="center", va="bottom", color=ORANGE, weight="bold")
    ax.text(AGAIN, 3.6, "the same search again", ha="left", va="bottom", color=QUIET, weight="bold")
    ax.text(0, 3.6, "first run", ha="left", va="bottom", weight="bold")
    ax.text(CUT - 0.3, -0.5, "lost: epochs after\nthe last state", ha="right", va="top", color=BLUE, alpha=0.7, size=9)
    ax.set(xlim=(-1.3, 24.5), ylim=(-1.5, 4.2))
    ax.axis("off")

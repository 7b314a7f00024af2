"""What the pictures of benchmarks share: colours, and dots by row."""

import math

import numpy as np

# Okabe and Ito's colours, for all eyes.
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
SKY, PURPLE, BLACK = "#56B4E9", "#CC79A7", "#000000"
# Told apart by their markers as well.
LOOKS = ((BLUE, "o"), (VERMILION, "s"), (GREEN, "^"), (PURPLE, "D"), (BLACK, "v"))


def number(cell):
    """Return the number that a cell of a table begins with, NaN where it has none."""
    try:
        return float(cell.strip("()").split()[0])
    except (IndexError, ValueError):
        return math.nan


def numbers(rows, column):
    """Return a column of a table."""
    return np.array([number(row[column]) for row in rows])


def offsets(count, spread=0.6):
    """Return where to draw so many things of one row, from the top."""
    return spread * ((np.arange(count) + 0.5) / count - 0.5)


def draw_rows(ax, labels, groups=None):
    """Make the vertical axis one of rows, from the top, every other group shaded."""
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    groups = groups or range(len(labels))
    order = list(dict.fromkeys(groups))
    for row, group in enumerate(groups):
        if order.index(group) % 2 == 0:
            ax.axhspan(row - 0.5, row + 0.5, color="0.94", linewidth=0, zorder=0)


def plain_log(ax, which="x"):
    """Make what is drawn logarithmic along an axis, with ticks as plain numbers."""
    ax.set(**{f"{which}scale": "log"})
    low, high = getattr(ax, f"get_{which}lim")()
    factors = (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)
    factors = factors[min(3, int(math.log10(high / low)))]
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in factors]
    ticks = [tick for tick in ticks if low <= tick <= high]
    ax.set(**{f"{which}ticks": ticks, f"{which}ticklabels": [f"{t:g}" for t in ticks]})
    getattr(ax, f"{which}axis").minorticks_off()
    getattr(ax, f"{which}axis").grid(color="0.85", linewidth=0.6)
    ax.set(**{f"{which}lim": (low, high)})


def draw_dots(ax, labels, columns, spread=0.6, size=5):
    """Draw {name: numbers}, a dot for each row; what is NaN is left out."""
    draw_rows(ax, labels)
    shifts = offsets(len(columns), spread)
    for name, shift, (color, marker) in zip(columns, shifts, LOOKS, strict=False):
        style = {"color": color, "marker": marker, "markersize": size, "ls": "none"}
        y = np.arange(len(labels)) + shift
        ax.plot(columns[name], y, label=name, **style)

"""What was measured: one record for each figure, printed as it comes, written as JSON lines."""

import json
import statistics


def number(value):
    """For people: three digits that count, thousands apart."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


class Figure:
    """Values of several runs of one thing. `keys` says of what: part, system, figure, unit, and what else tells it apart."""

    def __init__(self, values, **keys):
        self.values, self.keys = sorted(values), keys

    @property
    def median(self):
        return statistics.median(self.values)

    def text(self, scale=1.0):
        """Median (least … most)."""
        low, high = self.values[0] * scale, self.values[-1] * scale
        spread = f" ({number(low)} … {number(high)})" if len(self.values) > 1 else ""
        return number(self.median * scale) + spread


class Results:
    def __init__(self):
        self.figures = []

    def add(self, values, **keys):
        figure = Figure(values, **keys)
        self.figures.append(figure)
        shown = {k: v for k, v in keys.items() if k not in ("part", "system", "figure", "unit")}
        details = ", ".join(f"{k} {v:,}" if isinstance(v, int) else f"{k} {v}" for k, v in shown.items())
        what = f"{keys['figure']}{', ' + details if details else ''}"
        print(f"{keys['part']:<11} {keys['system']:<16} {what:<52} {figure.text():>34} {keys['unit']}", flush=True)
        return figure

    def find(self, **keys):
        """The figure with these keys, or None."""
        for figure in self.figures:
            if all(figure.keys.get(k) == v for k, v in keys.items()):
                return figure
        return None

    def all(self, key, **keys):
        """The different values of a key among the figures with these others, in the order they came."""
        return list(dict.fromkeys(f.keys[key] for f in self.figures
                                  if key in f.keys and all(f.keys.get(k) == v for k, v in keys.items())))

    def write(self, path):
        with open(path, "w") as lines:
            for figure in self.figures:
                lines.write(json.dumps({**figure.keys, "median": figure.median, "values": figure.values}) + "\n")

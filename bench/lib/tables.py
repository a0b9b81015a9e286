"""Samples in, tables out: medians, spread, ratios; as text, Markdown or plain data."""

import dataclasses
import statistics


def quartiles(values):
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def number(value):
    """Three significant digits, no exponent."""
    if value < 0:
        return "-" + number(-value)
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def median_of(values):
    return number(statistics.median(values))


def spread_of(values):
    """The middle half of the rounds."""
    low, high = quartiles(values)
    return f"{number(low)} to {number(high)}"


def paired_ratios(values, floor):
    """Round by round: what ran side by side is compared, so that slow drift of the machine drops
    out."""
    return [value / base for value, base in zip(values, floor)]


def ratio_of(values, floor):
    return f"{statistics.median(paired_ratios(values, floor)):.2f}"


def best_ratio_of(values, floor):
    """Noise only ever adds CPU time: the two best rounds are the least disturbed."""
    return f"{min(values) / min(floor):.2f}"


@dataclasses.dataclass
class Table:
    """With one column it is text from elsewhere, shown as it came."""

    title: str
    columns: list
    rows: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)
    data: dict = dataclasses.field(default_factory=dict)  # raw samples, for --json

    def add(self, *cells):
        self.rows.append([str(cell) for cell in cells])

    def markdown(self):
        lines = [f"### {self.title}", ""]
        if len(self.columns) == 1:
            return "\n".join([*lines, "```", *(row[0] for row in self.rows), *self.notes, "```"])
        lines.append("| " + " | ".join(self.columns) + " |")
        lines.append("|---" + "|---:" * (len(self.columns) - 1) + "|")
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        lines += [""] + [f"{note}  " for note in self.notes]
        return "\n".join(lines)

    def text(self):
        widths = [max(len(row[i]) for row in [self.columns, *self.rows])
                  for i in range(len(self.columns))]

        def line(cells):
            first = cells[0].ljust(widths[0])
            rest = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:]))
            return "  ".join([first, *rest]).rstrip()

        lines = [self.title]
        if len(self.columns) > 1:
            lines += [line(self.columns), "  ".join("-" * width for width in widths)]
        lines += [line(row) for row in self.rows]
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines)

"""What was aimed at, what was measured, and whether that is enough: one table at the end of a run."""

from lib.tables import Table, number


def _text(value, unit):
    return f"{number(value)}{unit}"


class Targets:
    def __init__(self):
        self.rows = []

    def at_most(self, what, value, limit, unit="", against=""):
        """`against`: what it is a ratio to."""
        self._add(what, value, limit, unit, against, "at most", value <= limit)

    def at_least(self, what, value, limit, unit="", against=""):
        self._add(what, value, limit, unit, against, "at least", value >= limit)

    def _add(self, what, value, limit, unit, against, which, met):
        self.rows.append({"what": what, "measured": value, "unit": unit, "against": against, "which": which,
                          "limit": limit, "met": met})

    def not_measured(self, what, why):
        self.rows.append({"what": what, "measured": None, "why": why, "met": None})

    def table(self, quick):
        table = Table("Targets" + (" (a quick run: it shows that things work, and no more)" if quick else ""), ["what", "measured", "target", "met"])
        for row in self.rows:
            if row["measured"] is None:
                table.add(row["what"], "-", "-", "not measured: " + row["why"])
                continue
            unit = " times " + row["against"] if row["against"] else row["unit"]
            table.add(row["what"], _text(row["measured"], "" if row["against"] else row["unit"]),
                      f"{row['which']} {_text(row['limit'], unit)}", "yes" if row["met"] else "NO")
        table.data = {"rows": self.rows}
        return table

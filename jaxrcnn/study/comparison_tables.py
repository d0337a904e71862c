"""How the schemes of a study differ from its baseline, as tables of text."""

from jaxrcnn.study.intervals import Interval
from jaxrcnn.study.results import Comparison, Study
from jaxrcnn.study.summary import baseline_of, spread
from jaxrcnn.study.tables import LABELS, NONE, Table, as_text, glance_table, signed


def main_tables(study: Study) -> str:
    """The final scores and the differences in AP, as text for a terminal."""
    tables = (glance_table(study), differences_table(study))
    return "\n\n".join(as_text(table) for table in tables if table is not None)


def differences_table(study: Study) -> Table | None:
    """Differences in AP with their intervals; None if nothing is compared."""
    found = [one for one in study.comparisons if one.measure == "AP"]
    if not found:
        return None
    over_images = any(one.over_images for one in found)
    head = (
        f"AP compared with {baseline_of(study)}",
        *("difference", "t interval", "bootstrap, seeds"),
        *(["bootstrap, seeds and images"] if over_images else []),
        *("pairs", "diverged"),
    )
    rows = tuple(
        (
            one.scheme,
            *(with_deviation(one), from_to(one.student), from_to(one.over_seeds)),
            *([from_to(one.over_images)] if over_images else []),
            *(str(len(one.seeds)), str(one.diverged)),
        )
        for one in found
    )
    return Table(head, rows)


def measures_table(study: Study) -> Table | None:
    """Differences in the other measures with their t intervals; None if there are none."""
    found = {(one.scheme, one.measure): one for one in study.comparisons if one.measure != "AP"}
    if not found:
        return None
    measures = list(dict.fromkeys(measure for _, measure in found))
    schemes = list(dict.fromkeys(one.scheme for one in study.comparisons))
    return Table(
        (f"compared with {baseline_of(study)}", *(LABELS.get(name, name) for name in measures)),
        tuple(
            (scheme, *(with_interval(found.get((scheme, name))) for name in measures))
            for scheme in schemes
        ),
    )


def with_deviation(one: Comparison) -> str:
    """The mean difference and, if there are several pairs, their sample standard deviation."""
    found = spread(one.differences)
    mean = signed(one.mean)
    return mean if found is None or found.std is None else f"{mean} ± {found.std:.3f}"


def with_interval(one: Comparison | None) -> str:
    """The mean difference and, if there are several pairs, its t interval."""
    if one is None:
        return NONE
    mean = signed(one.mean)
    return mean if one.student is None else f"{mean} ({from_to(one.student)})"


def from_to(interval: Interval | None) -> str:
    """Both ends of an interval, with signs."""
    return NONE if interval is None else f"{interval[0]:+.3f} to {interval[1]:+.3f}"

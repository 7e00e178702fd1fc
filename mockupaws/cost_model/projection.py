"""A month made of what was measured: how much traffic it has, and between what bounds that is known. Pure.

Likely. Where a whole day or more was measured, each hour of the day counts by its own mean, so that a span from
Monday noon to Wednesday midnight doesn't count nights less than afternoons. Where it was less, the span goes on.

Low and high. The span is cut into stretches: days where there are three whole ones, else hours, else minutes. Their
volumes spread by a standard deviation s around their mean; the mean of n stretches is known to ± t·s/√n (Student's t,
95 %). The likely traffic less and plus that share is the low and the high. With fewer than three stretches there is no
spread to go by, and all three are the same.

Growth multiplies all three.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import msgspec

from mockupaws.cost_model.architecture import Growth
from mockupaws.cost_model.quantities import MONTH_SECONDS, Quantities

DAY_SECONDS = 86_400
HOUR_SECONDS = 3600
MIN_STRETCHES = 3
_STUDENT_T = {
    2: "4.303", 3: "3.182", 4: "2.776", 5: "2.571", 6: "2.447", 7: "2.365", 8: "2.306", 9: "2.262", 10: "2.228",
    15: "2.131", 20: "2.086", 30: "2.042", 60: "2.000", 120: "1.980", 1000: "1.962",
}  # fmt: skip
"""Of 97.5 %, by degrees of freedom; between two the wider bound holds."""
_SHARE_PLACES = Decimal("0.0001")
_UNITS = {DAY_SECONDS: "days", HOUR_SECONDS: "hours", 60: "minutes"}


class Projection(msgspec.Struct, frozen=True, kw_only=True):
    """How the month follows from the measured span."""

    measured_lines: int
    lines_low: int
    lines_likely: int
    lines_high: int
    relative_error: Decimal
    """By which low and high differ from likely, as a share."""
    stretches: int
    stretch: str
    """What the spread was taken from: `days`, `hours`, `minutes`, or empty where there were too few."""
    by_hour_of_day: bool
    """Whether each hour of the day counts by its own mean."""
    hour_shares: list[Decimal] = msgspec.field(default_factory=list)
    """Share of a day's lines in each hour (UTC), where a day or more was measured."""
    busiest_stretch_to_mean: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Factors:
    """How many times the measured traffic a month has."""

    low: Fraction
    likely: Fraction
    high: Fraction


Projected = tuple[Factors, Projection]


def project_month(quantities: Quantities, growth: Growth) -> Projected:
    nothing = Fraction(0)
    span = quantities.span_seconds
    if not span or not quantities.entries:
        empty = Projection(measured_lines=0, lines_low=0, lines_likely=0, lines_high=0, relative_error=Decimal(0),
                           stretches=0, stretch="", by_hour_of_day=False)  # fmt: skip
        return Factors(nothing, nothing, nothing), empty
    hours = _hours_of_day(quantities) if span >= DAY_SECONDS and quantities.volume_seconds == HOUR_SECONDS else []
    plain = Fraction(MONTH_SECONDS, span)
    day = sum(hours, nothing)
    likely = day * MONTH_SECONDS / DAY_SECONDS / quantities.entries if hours else plain
    stretches, unit = _stretches(quantities)
    error = _relative_error(stretches)
    likely *= (1 + Fraction(growth.share_per_month)) ** growth.months
    factors = Factors(likely * max(1 - error, nothing), likely, likely * (1 + error))
    mean = Fraction(sum(stretches), len(stretches)) if stretches else nothing
    return factors, Projection(
        measured_lines=quantities.entries,
        lines_low=_up(quantities.entries * factors.low),
        lines_likely=_up(quantities.entries * factors.likely),
        lines_high=_up(quantities.entries * factors.high),
        relative_error=_decimal(error),
        stretches=len(stretches) if len(stretches) >= MIN_STRETCHES else 0,
        stretch=_UNITS.get(unit, "") if len(stretches) >= MIN_STRETCHES else "",
        by_hour_of_day=bool(hours),
        hour_shares=[_decimal(lines / day) for lines in hours],
        busiest_stretch_to_mean=_decimal(Fraction(max(stretches)) / mean) if mean else Decimal(0),
    )


def _hours_of_day(quantities: Quantities) -> list[Fraction]:
    """Lines of a mean day in each of its hours. Hours that the span covers in part count by their covered part."""
    first, end = quantities.first_minute or 0, (quantities.last_minute or 0) + 60
    lines = [0] * 24
    covered = [0] * 24
    for start in range(first - first % HOUR_SECONDS, end, HOUR_SECONDS):
        hour = start % DAY_SECONDS // HOUR_SECONDS
        covered[hour] += min(start + HOUR_SECONDS, end) - max(start, first)
        lines[hour] += quantities.volumes.get(start, 0)
    if sum(lines) != quantities.entries:
        return []  # when some of the lines came isn't known
    return [Fraction(count * HOUR_SECONDS, seconds) for count, seconds in zip(lines, covered, strict=True)]


def _stretches(quantities: Quantities) -> tuple[list[int], int]:
    """Volumes of the whole stretches of the span, and their seconds."""
    step = quantities.volume_seconds
    if sum(quantities.volumes.values()) != quantities.entries:
        return [], step  # when some of the lines came isn't known
    first, end = quantities.first_minute or 0, (quantities.last_minute or 0) + 60
    start = first + -first % step
    whole = [quantities.volumes.get(at, 0) for at in range(start, end - step + 1, step)]
    per_day = DAY_SECONDS // step
    if len(whole) >= MIN_STRETCHES * per_day:
        days = len(whole) // per_day
        return [sum(whole[day * per_day : (day + 1) * per_day]) for day in range(days)], DAY_SECONDS
    return whole, step


def _relative_error(stretches: list[int]) -> Fraction:
    count, total = len(stretches), sum(stretches)
    if count < MIN_STRETCHES or not total:
        return Fraction(0)
    squares = sum((volume * count - total) ** 2 for volume in stretches)  # count² × the sum of squared deviations
    variance_of_mean = Decimal(squares) / (count**3 * (count - 1))
    t = Decimal(_STUDENT_T[max(known for known in _STUDENT_T if known <= count - 1)])
    return Fraction(t * variance_of_mean.sqrt() * count / total).limit_denominator(10**12)


def _decimal(value: Fraction) -> Decimal:
    return (Decimal(value.numerator) / value.denominator).quantize(_SHARE_PLACES)


def _up(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)

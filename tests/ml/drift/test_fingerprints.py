"""Counts by bin: right for every kind of value, the same on every engine, adding up, equal to scipy's."""

import sys

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scipy.spatial import distance
from scipy.stats import chi2, entropy

from ml.drift import counting
from ml.drift.bins import Bins, number_bins
from ml.drift.fingerprint import Counted, Fingerprint, merged, quantiles
from ml.drift.measures import LEAST_SHARE, jensen_shannon, noise, psi
from ml.drift.taking import take_table

BINS = (
    Bins("x", edges=(1.0, 2.5, 0.1 + 3)),
    Bins("n", edges=(-1.0, 0.0)),
    Bins("kind", categories=("a", "it's", 'b"c')),
    Bins("tag", categories=("", "a")),
    Bins("is_on", categories=("false", "true")),
    Bins("never", edges=(0.0,)),
)
ROWS = pa.table(
    {
        "x": [1.0, 1.0000001, 2.5, 3.1, 3.2, None, float("nan"), float("inf"), float("-inf")],
        "n": pa.array([-5, -1, 0, 1, None, 2**31 - 1, 0, 0, 0], pa.int32()),
        "kind": pa.array(["a", "it's", 'b"c', "z", None, "a", "a", "", "A"]).dictionary_encode(),
        "tag": ["", "", "a", "b", None, "", "a", "c", " "],
        "is_on": [True, False, None, True, True, False, False, False, False],
        "never": pa.nulls(9, pa.float64()),
        "day": [1, 1, 1, 2, 2, 2, 3, 3, 3],
    }
)
WHOLE = (
    Counted(9, 2, (2, 2, 1, 2), -sys.float_info.max, sys.float_info.max),
    Counted(9, 1, (2, 4, 2), -5.0, 2.0**31 - 1),
    Counted(9, 1, (3, 1, 1, 3)),
    Counted(9, 1, (3, 2, 3)),
    Counted(9, 1, (5, 3, 0)),
    Counted(9, 9, (0, 0)),
)


def test_every_kind_of_value_is_counted_where_it_belongs() -> None:
    found = take_table(ROWS, BINS)[None]
    assert found.columns == WHOLE
    assert Fingerprint.from_json(found.to_json()) == found


@pytest.mark.parametrize("engine", [counting.Portable(), counting.Duckdb()], ids=["portable", "duckdb"])
def test_every_engine_counts_alike(engine: counting.Engine) -> None:
    with duckdb.connect() as con:
        con.register("given", ROWS)
        rows = con.execute(counting.query("given", BINS, None, engine)).fetchall()
    assert [tuple(found) for _, found in counting.read(rows, BINS, engine)] == [WHOLE]


def test_spark_quotes_names_its_own_way() -> None:
    sql = counting.query("t", (Bins("a`b", edges=(0.0,)),), "day", counting.ENGINES["spark"]())
    assert "cast(`a``b` as double)" in sql
    assert "`day` as part" in sql


def test_a_month_is_the_sum_of_its_days() -> None:
    by_day = take_table(ROWS, BINS, "day")
    assert sorted(by_day) == [1, 2, 3]
    assert merged(BINS, by_day.values()).columns == WHOLE
    with pytest.raises(ValueError, match="different bins"):
        by_day[1] + Fingerprint(BINS[:1], WHOLE[:1])


def test_no_rows_at_all() -> None:
    assert take_table(ROWS.slice(0, 0), BINS) == {}
    assert merged(BINS, []).n_rows == 0


def test_bins_hold_about_equally_many_and_tell_what_lies_outside() -> None:
    values = np.random.default_rng(1).gamma(2, 3, 50_000)
    bins = number_bins("x", values)
    found = take_table(pa.table({"x": values}), (bins,))[None].columns[0]
    assert found.counts[0] == found.counts[-1] == 0
    assert all(abs(count - 2500) <= 1 for count in found.counts[1:-1])
    beyond = take_table(pa.table({"x": [values.min() - 1e-9, values.max() + 1e-9]}), (bins,))[None].columns[0]
    assert (beyond.counts[0], beyond.counts[-1]) == (1, 1)
    zeros = number_bins("x", [0.0] * 99 + [1.0])
    assert take_table(pa.table({"x": [0.0, 1.0, 2.0]}), (zeros,))[None].columns[0].counts[1:] == (1, 1, 1)


def test_quantiles_are_those_of_the_values_within_their_bin() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(10, 3, 20_000)
    bins = number_bins("x", values)
    shares = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    for drawn in (values, rng.normal(12, 1, 5_000)):
        found = take_table(pa.table({"x": drawn}), (bins,))[None].columns[0]
        told = np.array(quantiles(bins, found, shares), dtype=float)
        exact = np.quantile(drawn, shares)
        assert np.all(np.diff(told) >= 0)
        assert (told[0], told[-1]) == (drawn.min(), drawn.max())
        widest = np.max(np.diff([*bins.edges]))
        assert np.all(np.abs(told - exact) < widest)
        assert abs(told[3] - exact[3]) < 0.3
    assert quantiles(bins, Counted(3, 3, (0,) * bins.n_bins), (0.5,)) == [None]


@pytest.mark.parametrize("seed", range(20))
def test_measures_are_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    then, now = rng.integers(1, 500, (2, int(rng.integers(2, 30))))
    p, q = then / then.sum(), now / now.sum()
    if min(p.min(), q.min()) > LEAST_SHARE:
        assert psi(then, now) == pytest.approx(entropy(p, q) + entropy(q, p), rel=1e-12)
    assert jensen_shannon(then, now) == pytest.approx(distance.jensenshannon(p, q, base=2), rel=1e-12)
    then[: len(then) // 2] = 0
    expected = distance.jensenshannon(then, now, base=2)
    assert jensen_shannon(then, now) == pytest.approx(expected, rel=1e-12)
    stacked = psi(np.stack([then, now]), np.stack([now, now]))
    assert stacked[1] == 0
    assert stacked[0] == psi(then, now)


def test_what_shares_no_bin_is_as_far_as_can_be() -> None:
    assert jensen_shannon([5, 0], [0, 5]) == 1
    assert 9 < psi([5, 0], [0, 5]) * 0.5 < 9.3  # ln(10,000), of each bin
    assert np.isnan(psi([0, 0], [1, 1]))


def test_chance_stays_below_the_noise_bound() -> None:
    for free in (1, 5, 20, 100):
        expected = chi2.ppf(0.999, free) * (1 / 200 + 1 / 5000)
        assert noise(free + 1, 5000, 200) == pytest.approx(expected, rel=0.04)
    rng = np.random.default_rng(5)
    drawn = rng.multinomial(300, np.full(20, 0.05), 4000)
    trained = rng.multinomial(50_000, np.full(20, 0.05))
    assert np.mean(psi(trained, drawn) > noise(20, 50_000, 300)) < 0.004
